//! A request over HTTP from the inside: as the shell has read it in; what a module wants to know of it out.

use jitsi_xmpp::{BareJid, Jid, Sensitive};
use serde_json::Value;

use crate::config::Config;
use crate::tenants;

/// What is done to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HttpMethod {
    /// `GET`
    Get,
    /// `PUT`
    Put,
    /// `POST`
    Post,
}

/// A request of the admin, or of a service of the admin's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// With the path one of those that [`Server::http_routes`](crate::Server::http_routes) names.
    pub method: HttpMethod,
    /// `/room-size`
    pub path: String,
    /// What stands behind the question mark, as it came. `None`: there is none.
    pub query: Option<Sensitive<String>>,
    /// `Authorization`, as it came.
    pub authorization: Option<Sensitive<String>>,
    /// `Content-Type`, as it came.
    pub content_type: Option<String>,
    /// All of it.
    pub body: Sensitive<Vec<u8>>,
}

impl HttpRequest {
    /// A question without anything else.
    pub fn get(path: String, query: Option<Sensitive<String>>) -> Self {
        Self {
            method: HttpMethod::Get,
            path,
            query,
            authorization: None,
            content_type: None,
            body: Sensitive::default(),
        }
    }

    /// The token that it brings.
    pub(crate) fn bearer(&self) -> Option<&str> {
        self.authorization.as_ref()?.reveal().strip_prefix("Bearer ").map(str::trim)
    }

    /// A parameter as it stands there; the last one counts. Empty ones are none.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let mut pairs = self.query.as_ref()?.reveal().split('&').filter_map(|p| p.split_once('='));
        pairs.rfind(|(n, _)| *n == name).map(|(_, v)| v).filter(|v| !v.is_empty())
    }

    /// The same as it is meant.
    pub(crate) fn decoded(&self, name: &str) -> Option<String> {
        decoded(self.parameter(name)?)
    }

    /// The object that its body is. `None`: it is none, or is not said to be one.
    pub(crate) fn object(&self) -> Option<Value> {
        let kind = self.content_type.as_deref()?.split(';').next()?.trim();
        let json = jitsi_xmpp::json::parse_slice(self.body.reveal());
        json.filter(|v| kind.eq_ignore_ascii_case("application/json") && v.is_object())
    }

    /// The room that `room` and `prefix` name. compat: taken as they stand there, because the rooms of web clients are named with
    /// percent signs (test: compat_a_rooms_name_is_taken_as_it_stands_in_the_question).
    pub(crate) fn room(&self, config: &Config) -> Option<BareJid> {
        let name = self.parameter("room")?;
        let node = match self.parameter("prefix") {
            Some(tenant) => format!("[{tenant}]{name}"),
            None => name.to_owned(),
        };
        BareJid::from_parts(&node, config.muc_domain()).ok()
    }
}

/// The room with this address, in the spelling of clients or, as the census names it, the stored one.
pub(crate) fn room_at(config: &Config, address: &str) -> Option<BareJid> {
    let jid: Jid = address.parse().ok()?;
    if jid.domain() == config.muc_domain() {
        return jid.node().map(|_| jid.to_bare());
    }
    tenants::stored(config, jid).ok().filter(|jid| jid.node().is_some()).map(|jid| jid.to_bare())
}

/// Text of a query without its percent signs. `None`: it cannot be read.
fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_once_and_broken_ones_are_none() {
        let query = "a=1&a=r%40muc+x&b=&c=%4&d=%zz&e=%C3&f";
        let request = HttpRequest::get("/".into(), Some(Sensitive::new(query.into())));
        assert_eq!(request.decoded("a").as_deref(), Some("r@muc x"));
        assert_eq!(request.parameter("a"), Some("r%40muc+x"));
        for none in ["b", "c", "d", "e", "f", "g"] {
            assert_eq!(request.decoded(none), None, "{none}");
        }
    }

    #[test]
    fn rooms_are_found_in_both_spellings() {
        let config = Config::for_domain("meet.jitsi").unwrap();
        let at = |text: &str| room_at(&config, text).map(|jid| jid.as_str().to_owned());
        let stored = Some("[town]r@muc.meet.jitsi".to_owned());
        assert_eq!(at("[town]r@muc.meet.jitsi"), stored);
        assert_eq!(at("R@muc.town.meet.jitsi/nick"), stored);
        assert_eq!(at("r@muc.meet.jitsi").as_deref(), Some("r@muc.meet.jitsi"));
        for none in ["", "muc.meet.jitsi", "muc.town.meet.jitsi", "@", "r@"] {
            assert_eq!(at(none), None, "{none}");
        }
    }
}
