//! A request's headers in; which form of a file it takes, and whether it has it already, out (RFC 9110 §12.5.3, §13).

use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, IF_NONE_MATCH, IF_RANGE};

/// How a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Plain,
    /// gzip.
    Gzip,
    /// Brotli.
    Brotli,
}

impl Form {
    /// The end of a file that has this form, and of its tag.
    pub(super) const fn ending(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Gzip => ".gz",
            Self::Brotli => ".br",
        }
    }
}

/// Whether the client takes this form.
pub(super) fn takes(headers: &HeaderMap, form: Form) -> bool {
    let names: &[&str] = match form {
        Form::Plain => return true,
        Form::Gzip => &["gzip", "x-gzip"],
        Form::Brotli => &["br"],
    };
    let mut any = None;
    for one in list(headers, &ACCEPT_ENCODING) {
        let (name, rest) = one.split_once(';').unwrap_or((one, ""));
        let weight = rest.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.trim().parse::<f32>().ok());
        let taken = weight.is_some_and(|w| w > 0.0);
        if names.iter().any(|n| name.trim().eq_ignore_ascii_case(n)) {
            return taken;
        }
        if name.trim() == "*" {
            any = Some(taken);
        }
    }
    any.unwrap_or(false)
}

/// Whether it was asked for what differs from `tag`, and does not. A web server between us may have weakened the tag.
pub(super) fn has(headers: &HeaderMap, tag: &str) -> bool {
    list(headers, &IF_NONE_MATCH).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// Whether a range is still wanted: the file is what the client has the beginning of.
pub(super) fn range_holds(headers: &HeaderMap, tag: &str, modified: &str) -> bool {
    headers
        .get(IF_RANGE)
        .is_none_or(|r| r.as_bytes() == tag.as_bytes() || r.as_bytes() == modified.as_bytes())
}

fn list<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, http::HeaderValue::from_static(value))])
    }

    #[test]
    fn forms_that_a_client_takes() {
        let takes = |value, form| takes(&with(ACCEPT_ENCODING, value), form);
        assert!(takes("gzip, deflate, br", Form::Gzip) && takes("gzip, deflate, br", Form::Brotli));
        assert!(
            takes("GZIP;q=0.5", Form::Gzip)
                && !takes("gzip;q=0", Form::Gzip)
                && !takes("gzip;q=x", Form::Gzip)
        );
        assert!(takes("*", Form::Brotli) && !takes("*, br;q=0", Form::Brotli) && !takes("*;q=0", Form::Gzip));
        assert!(!takes("identity", Form::Gzip) && takes("identity", Form::Plain) && !takes("", Form::Gzip));
    }

    #[test]
    fn what_a_client_has_already() {
        let has = |value| has(&with(IF_NONE_MATCH, value), "\"a\"");
        assert!(has("\"a\"") && has("\"b\", W/\"a\"") && has("*"));
        assert!(!has("\"b\"") && !has("a") && !has(""));
        let holds = |value| range_holds(&with(IF_RANGE, value), "\"a\"", "then");
        assert!(holds("\"a\"") && holds("then") && !holds("W/\"a\"") && !holds("now"));
    }
}
