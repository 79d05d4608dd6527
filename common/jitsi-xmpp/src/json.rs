//! JSON of peers: a text in, its value out, unless an object in it has a member twice.
//!
//! Of two members with one name, one program reads the first and another the last: a message that we judge by one and
//! somebody else by the other is a way around every check.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Reads a text. `None`: no JSON, or not with one meaning.
pub fn parse(text: &str) -> Option<Value> {
    serde_json::from_str::<Unique>(text).ok().map(|u| u.0)
}

/// Reads the bytes of a request's body.
pub fn parse_slice(bytes: &[u8]) -> Option<Value> {
    parse(std::str::from_utf8(bytes).ok()?)
}

/// A value in which every object has each of its members once.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(Unique(v)) = list.next_element()? {
            out.push(v);
        }
        Ok(out.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some((key, Unique(v))) = members.next_entry::<String, Unique>()? {
            if out.insert(key, v).is_some() {
                return Err(A::Error::custom("a member twice"));
            }
        }
        Ok(out.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_twice_is_refused_at_any_depth() {
        for twice in [
            r#"{"a":1,"a":1}"#,
            r#"[{"b":{"a":1,"c":2,"a":3}}]"#,
            r#"{"colibriClass":"EndpointMessage","colibriClass":"ClientHello"}"#,
            r#"{"a":1,"\u0061":2}"#,
        ] {
            assert_eq!(parse(twice), None, "{twice}");
            assert!(serde_json::from_str::<Value>(twice).is_ok());
        }
    }

    #[test]
    fn everything_else_is_read_as_it_is() {
        for text in [
            r#"{"a":[1,-2,2.5,1e300,null,true,"x\n\u00e9",{}],"b":{"a":{"a":[]}}}"#,
            "18446744073709551615",
            "-9223372036854775808",
            "\"\"",
            " [ ] ",
        ] {
            assert_eq!(parse(text), serde_json::from_str(text).ok(), "{text}");
        }
        for bad in ["", "{", "[1,]", "{\"a\":}", "nan", "1 2"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(parse_slice(b"\xff"), None);
        // Deeper nesting than 128 is refused, as by the crate underneath.
        assert_eq!(parse(&("[".repeat(200) + &"]".repeat(200))), None);
    }
}
