//! A file in HOCON, as Jicofo and the bridge read it, and the environment in; its values by their path, and the names of what it
//! includes, out. Includes are not followed.

mod reader;
mod resolve;

use self::reader::read;
use self::resolve::resolve;
use super::Odd;

/// A value. Numbers, durations and yes or no are texts: HOCON itself reads the one as the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing, said so.
    Null,
    /// Everything else that is no list.
    Text(String),
    /// Several.
    List(Vec<Self>),
    /// In lists only; elsewhere its values have paths of their own.
    Object(Vec<(String, Self)>),
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its keys, from the outermost.
    pub path: Vec<String>,
    /// What it is.
    pub value: Value,
    /// Where it was written, from 1.
    pub line: usize,
}

impl Entry {
    /// The path as it is usually written.
    pub fn key(&self) -> String {
        self.path.join(".")
    }
}

/// What is in a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// In the order in which their keys came first; of what was written twice, the last.
    pub entries: Vec<Entry>,
    /// What it includes, as written.
    pub includes: Vec<String>,
}

impl Document {
    /// The value of this path.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|e| e.path.iter().map(String::as_str).eq(key.split('.'))).map(|e| &e.value)
    }
}

impl Value {
    /// A text that is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A yes or no, as HOCON reads it.
    pub fn truth(&self) -> Option<bool> {
        match self.text()? {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }
}

/// Reads it. `variable`: the environment, for `${NAME}` and `${?NAME}`.
pub fn parse(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Document, Odd> {
    let (root, includes) = read(text)?;
    Ok(Document { entries: resolve(&root, variable)?, includes })
}

#[cfg(test)]
mod tests {
    use super::super::limits::{DEPTH, FILE, STEPS, VALUES};
    use super::*;

    fn read(text: &str) -> Document {
        let env = |name: &str| (name == "PORT").then(|| "10001".to_owned());
        parse(text, &env).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    fn odd(text: &str) -> Odd {
        parse(text, &|_| None).map(|d| format!("{d:?}")).unwrap_err()
    }

    #[test]
    fn what_jitsi_s_files_use_is_read() {
        let d = read(
            r#"# a bridge
            videobridge {
                ice { udp.port = 10000, advertise-private-candidates: no }
                stats.interval = 5 seconds // how often
                apis.xmpp-client.configs {
                    shard0 { HOSTNAME="xmpp.meet.jitsi", MUC_JIDS = "brewery@internal.auth.meet.example" }
                }
                ice.udp { port = ${?PORT} }
                health.interval = ${?NOTHING}
                relay.region = null
                list = [ 1, "b c"
                    { local-address = 10.0.0.2, public-address = "203.0.113.7" }
                ]
                list += d
                "quoted.key" = """a "b""""
                a = b ${?NOTHING}c
            }
            ice4j.harvest.mapping.stun.addresses = []
            videobridge.cc.trust-bwe = true
            base = /etc
            path = ${base}/jitsi
            include "custom-jvb.conf"
            include required(file("/etc/more.conf"))
            "#,
        );
        let is = |key: &str| d.value(key).and_then(Value::text);
        assert_eq!(is("videobridge.ice.udp.port"), Some("10001"), "the later counts, when it is there");
        assert_eq!(d.value("videobridge.ice.advertise-private-candidates").unwrap().truth(), Some(false));
        assert_eq!(is("videobridge.stats.interval"), Some("5 seconds"));
        assert_eq!(is("videobridge.apis.xmpp-client.configs.shard0.HOSTNAME"), Some("xmpp.meet.jitsi"));
        assert_eq!(d.value("videobridge.health.interval"), None);
        assert_eq!(d.value("videobridge.relay.region"), Some(&Value::Null));
        assert_eq!(is("videobridge.a"), Some("b c"));
        assert_eq!(is("path"), Some("/etc/jitsi"));
        let text = |t: &str| Value::Text(t.into());
        let mapping = Value::Object(vec![
            ("local-address".into(), text("10.0.0.2")),
            ("public-address".into(), text("203.0.113.7")),
        ]);
        assert_eq!(
            d.value("videobridge.list"),
            Some(&Value::List(vec![text("1"), text("b c"), mapping, text("d")]))
        );
        let quoted = d.entries.iter().find(|e| e.path.last().is_some_and(|k| k == "quoted.key")).unwrap();
        assert_eq!(quoted.value, text("a \"b\""));
        assert_eq!(d.value("videobridge.cc.trust-bwe").unwrap().truth(), Some(true));
        assert_eq!(d.includes, ["\"custom-jvb.conf\"", "required(file(\"/etc/more.conf\"))"]);
        assert_eq!(read("{\"a\":{\"b\":1,\"c\":[true]}}").value("a.b"), Some(&text("1")), "JSON is HOCON");
        assert_eq!(
            read("a { b = 1 }\na { c = 2 }\na.b = 3").entries.len(),
            2,
            "objects are laid over each other"
        );
        assert_eq!(read("include-me = 1").value("include-me"), Some(&text("1")));
    }

    #[test]
    fn what_is_not_understood_is_said_with_its_line() {
        for (text, line) in [
            ("a {\n b = 1\n", 3),
            ("a = 1\n}", 2),
            ("a = \"x\n", 2),
            ("\na = [1", 2),
            ("a", 1),
            ("a =", 1),
            ("= 1", 1),
            ("a = [1] [2]", 1),
            ("a = ${b}", 1),
            ("a = \"\\q\"", 1),
            ("a = ${b}\nb = ${a}", 2),
            ("a = b {", 1),
            ("a..b = 1", 1),
        ] {
            assert_eq!(odd(text).line, line, "{text:?}: {}", odd(text));
        }
    }

    #[test]
    fn files_depth_values_and_steps_end_at_their_limits() {
        let fill = |bytes: usize| format!("#{}", "x".repeat(bytes - 1));
        assert!(parse(&fill(FILE), &|_| None).is_ok());
        assert_eq!(odd(&fill(FILE + 1)).what, "the file is too large");
        let nested = |depth: usize| format!("{}x = 1{}", "a {".repeat(depth), "}".repeat(depth));
        assert!(parse(&nested(DEPTH - 1), &|_| None).is_ok());
        assert_eq!(odd(&nested(DEPTH + 1)).what, "too deep");
        let dotted = |depth: usize| format!("{} = 1", vec!["a"; depth].join("."));
        assert!(parse(&dotted(DEPTH), &|_| None).is_ok());
        assert_eq!(odd(&dotted(DEPTH + 1)).what, "too deep");
        assert_eq!(odd(&format!("a = {}", "[".repeat(100_000))).what, "too deep");
        let many = |n: usize| format!("a = [{}]", "1,".repeat(n - 1));
        assert!(parse(&many(VALUES), &|_| None).is_ok());
        assert_eq!(odd(&many(VALUES + 1)).what, "too many values");
        // Each is twice the one before.
        let mut laughs = "a0 = ha\n".to_owned();
        for n in 0..30 {
            laughs.push_str(&format!("a{} = ${{a{n}}}${{a{n}}}\n", n + 1));
        }
        assert!(odd(&laughs).what.contains("too far"), "FILE or STEPS");
        let steps = |n: usize| format!("a = [{}]\nb = [{}]", "1,".repeat(10), "${a},".repeat(n));
        assert!(STEPS > 9_000 * 11 && parse(&steps(8_000), &|_| None).is_ok());
        assert!(odd(&steps(9_980)).what.contains("too far"));
    }
}
