//! The conference request (client §3, focus §2): the IQ or its HTTP twin in, a typed request out; a typed
//! reply or refusal in, the IQ payload or the HTTP answer out.

use serde_json::{Map, Value, json};

use crate::limits::{MAX_REQUEST_BYTES, MAX_REQUEST_PROPERTIES};
use crate::parse::{ParseError, expect};
use crate::room::is_stored_spelling;
use crate::sensitive::Sensitive;
use crate::stanza_error::{Condition, StanzaError};
use crate::xml::Element;
use crate::{BareJid, ns};

/// Attribute of a request for [`ConferenceRequest::moderates`], ours: upstream's server does not know.
pub const MODERATES: &str = "moderates";

/// What a client asks the focus before it joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConferenceRequest {
    /// The room.
    pub room: BareJid,
    /// The browser.
    pub machine_uid: Option<Sensitive<String>>,
    /// An earlier login.
    pub session_id: Option<Sensitive<String>>,
    /// A JWT.
    pub token: Option<Sensitive<String>>,
    /// Whether the account that asks moderates, where the server knows. Never the client's word: our server takes that out.
    pub moderates: Option<bool>,
    /// Wishes, as text, in order.
    pub properties: Vec<(String, String)>,
}

/// The focus' answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConferenceReply {
    /// The room.
    pub room: BareJid,
    /// Join now; otherwise ask again later.
    pub ready: bool,
    /// Who the focus is: a bare JID.
    pub focus_jid: Option<BareJid>,
    /// The login's id.
    pub session_id: Option<Sensitive<String>>,
    /// The login's name.
    pub identity: Option<Sensitive<String>>,
    /// Go to this visitor node.
    pub vnode: Option<String>,
    /// `authentication`, `externalAuth`, `sipGatewayEnabled`, `live`, `visitors-supported`.
    pub properties: Vec<(String, String)>,
}

/// The focus' refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConferenceRefusal {
    /// Log in first, or wait for the host.
    NotAuthorized,
    /// The session id is unknown or belongs to another browser.
    SessionInvalid,
    /// The reservation system refused.
    Reservation {
        /// Its code.
        code: i32,
        /// Its text.
        text: String,
    },
    /// The request is malformed; the text names what, without values.
    BadRequest(String),
    /// Anything else. Clients show an error page.
    Other(Condition),
}

/// The HTTP form of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Status code.
    pub status: u16,
    /// `application/json` or `text/plain`.
    pub content_type: &'static str,
    /// Body.
    pub body: String,
}

impl ConferenceRequest {
    /// A request for `room` without wishes.
    pub fn new(room: BareJid) -> Self {
        Self {
            room,
            machine_uid: None,
            session_id: None,
            token: None,
            moderates: None,
            properties: Vec::new(),
        }
    }

    /// A property's value.
    pub fn property(&self, name: &str) -> Option<&str> {
        property(&self.properties, name)
    }

    /// Reads `conference`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        expect(e, "conference", ns::FOCUS)?;
        let mut r = Self::new(room(e.attr("room"))?);
        r.machine_uid = text(e, "machine-uid");
        r.session_id = text(e, "session-id");
        r.token = text(e, "token");
        r.moderates = e.attr(MODERATES).and_then(|m| m.parse().ok());
        r.properties = properties(e);
        Ok(r)
    }

    /// Writes `conference`.
    pub fn to_element(&self) -> Element {
        Element::new("conference", ns::FOCUS)
            .with_attr("room", self.room.as_str())
            .with_opt_attr("machine-uid", self.machine_uid.as_ref().map(Sensitive::reveal))
            .with_opt_attr("session-id", self.session_id.as_ref().map(Sensitive::reveal))
            .with_opt_attr("token", self.token.as_ref().map(Sensitive::reveal))
            .with_opt_attr(MODERATES, self.moderates.map(|m| m.to_string()))
            .with_children(self.properties.iter().map(property_element))
    }

    /// Reads a request body. Property values may be numbers and booleans.
    pub fn from_json(body: &str) -> Result<Self, ParseError> {
        let o = object(body)?;
        let mut r = Self::new(room(o.get("room").and_then(Value::as_str))?);
        let text = |k: &str| member(&o, k).map(Sensitive::new);
        r.machine_uid = text("machineUid");
        r.session_id = text("sessionId");
        r.token = text("token");
        r.properties = json_properties(&o);
        Ok(r)
    }

    /// Writes a request body.
    pub fn to_json(&self) -> String {
        let mut o = Map::new();
        o.insert("room".into(), json!(self.room.as_str()));
        for (k, v) in
            [("machineUid", &self.machine_uid), ("sessionId", &self.session_id), ("token", &self.token)]
        {
            if let Some(v) = v {
                o.insert(k.into(), json!(v.reveal()));
            }
        }
        o.insert("properties".into(), properties_json(&self.properties));
        Value::from(o).to_string()
    }
}

impl ConferenceReply {
    /// A reply without focus and properties.
    pub fn new(room: BareJid, ready: bool) -> Self {
        Self {
            room,
            ready,
            focus_jid: None,
            session_id: None,
            identity: None,
            vnode: None,
            properties: Vec::new(),
        }
    }

    /// A property's value.
    pub fn property(&self, name: &str) -> Option<&str> {
        property(&self.properties, name)
    }

    /// The same with a property.
    #[must_use]
    pub fn with_property(mut self, name: &str, value: impl ToString) -> Self {
        self.properties.push((name.to_owned(), value.to_string()));
        self
    }

    /// Reads `conference` out of a result.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        expect(e, "conference", ns::FOCUS)?;
        let mut r = Self::new(room(e.attr("room"))?, e.attr("ready") == Some("true"));
        r.focus_jid = e.attr("focusjid").and_then(|j| j.parse().ok());
        r.session_id = text(e, "session-id");
        r.identity = text(e, "identity");
        r.vnode = e.attr("vnode").map(str::to_owned);
        r.properties = properties(e);
        Ok(r)
    }

    /// Writes `conference` for a result.
    pub fn to_element(&self) -> Element {
        Element::new("conference", ns::FOCUS)
            .with_attr("room", self.room.as_str())
            .with_attr("ready", self.ready.to_string())
            .with_opt_attr("focusjid", self.focus_jid.as_ref().map(BareJid::as_str))
            .with_opt_attr("session-id", self.session_id.as_ref().map(Sensitive::reveal))
            .with_opt_attr("identity", self.identity.as_ref().map(Sensitive::reveal))
            .with_opt_attr("vnode", self.vnode.as_deref())
            .with_children(self.properties.iter().map(property_element))
    }

    /// Reads an answer's body.
    pub fn from_json(body: &str) -> Result<Self, ParseError> {
        let o = object(body)?;
        let ready = o.get("ready").and_then(Value::as_bool).unwrap_or(false);
        let mut r = Self::new(room(o.get("room").and_then(Value::as_str))?, ready);
        r.focus_jid = member(&o, "focusJid").and_then(|j| j.parse().ok());
        r.session_id = member(&o, "sessionId").map(Sensitive::new);
        r.identity = member(&o, "identity").map(Sensitive::new);
        r.vnode = member(&o, "vnode");
        r.properties = json_properties(&o);
        Ok(r)
    }

    /// The HTTP answer. `properties` always stands: clients read it without looking. Its values are text.
    pub fn to_http(&self) -> HttpAnswer {
        let mut o = Map::new();
        o.insert("room".into(), json!(self.room.as_str()));
        o.insert("ready".into(), json!(self.ready));
        if let Some(j) = &self.focus_jid {
            o.insert("focusJid".into(), json!(j.as_str()));
        }
        for (k, v) in [("sessionId", &self.session_id), ("identity", &self.identity)] {
            if let Some(v) = v {
                o.insert(k.into(), json!(v.reveal()));
            }
        }
        if let Some(v) = &self.vnode {
            o.insert("vnode".into(), json!(v));
        }
        o.insert("properties".into(), properties_json(&self.properties));
        HttpAnswer { status: 200, content_type: "application/json", body: Value::from(o).to_string() }
    }
}

impl ConferenceRefusal {
    /// The error of the IQ.
    pub fn to_stanza_error(&self) -> StanzaError {
        match self {
            Self::NotAuthorized => StanzaError::new(Condition::NotAuthorized),
            Self::SessionInvalid => StanzaError::new(Condition::NotAcceptable)
                .with_extra(Element::new("session-invalid", ns::FOCUS)),
            Self::Reservation { code, text } => {
                StanzaError::new(Condition::ServiceUnavailable).with_text(text).with_extra(
                    Element::new("reservation-error", ns::FOCUS).with_attr("error-code", code.to_string()),
                )
            }
            Self::BadRequest(text) => StanzaError::new(Condition::BadRequest).with_text(text),
            Self::Other(condition) => StanzaError::new(*condition),
        }
    }

    /// The HTTP answer. compat: clients find an invalid session only by `400 invalid-session` behind other text
    /// (test: compat_invalid_session_is_found_behind_other_text).
    pub fn to_http(&self) -> HttpAnswer {
        let (status, body) = match self {
            Self::NotAuthorized => (403, "Error".to_owned()),
            Self::SessionInvalid => (400, "Bad request: 400 invalid-session".to_owned()),
            Self::Reservation { text, .. } | Self::BadRequest(text) => (400, format!("Bad request: {text}")),
            Self::Other(condition) => (400, format!("Bad request: {}", condition.as_str())),
        };
        HttpAnswer { status, content_type: "text/plain", body }
    }
}

impl From<ParseError> for ConferenceRefusal {
    fn from(e: ParseError) -> Self {
        Self::BadRequest(match e {
            // compat: upstream's text (test: compat_a_missing_room_is_said_as_upstream_says_it).
            ParseError::Missing { what: "room", .. } => "No 'room' specified.".to_owned(),
            e => e.to_string(),
        })
    }
}

fn room(room: Option<&str>) -> Result<BareJid, ParseError> {
    let room =
        room.filter(|r| !r.is_empty()).ok_or(ParseError::Missing { element: "conference", what: "room" })?;
    let jid: BareJid = room.parse().map_err(|_| INVALID_ROOM)?;
    if jid.node().is_some_and(|n| !is_stored_spelling(n)) { Ok(jid) } else { Err(INVALID_ROOM) }
}

fn text(e: &Element, name: &str) -> Option<Sensitive<String>> {
    e.attr(name).filter(|v| !v.is_empty()).map(|v| Sensitive::new(v.to_owned()))
}

fn property<'a>(properties: &'a [(String, String)], name: &str) -> Option<&'a str> {
    properties.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
}

fn properties(e: &Element) -> Vec<(String, String)> {
    e.children_of("property", ns::FOCUS)
        .filter_map(|p| Some((p.attr("name")?.to_owned(), p.attr("value")?.to_owned())))
        .take(MAX_REQUEST_PROPERTIES)
        .collect()
}

fn property_element((name, value): &(String, String)) -> Element {
    Element::inherit("property").with_attr("name", name).with_attr("value", value)
}

fn object(body: &str) -> Result<Map<String, Value>, ParseError> {
    if body.len() > MAX_REQUEST_BYTES {
        return Err(ParseError::TooLarge);
    }
    match crate::json::parse(body) {
        Some(Value::Object(o)) => Ok(o),
        _ => Err(ParseError::Json),
    }
}

fn member(o: &Map<String, Value>, key: &str) -> Option<String> {
    o.get(key).and_then(Value::as_str).filter(|v| !v.is_empty()).map(str::to_owned)
}

fn json_properties(o: &Map<String, Value>) -> Vec<(String, String)> {
    let Some(Value::Object(p)) = o.get("properties") else { return Vec::new() };
    p.iter()
        .filter_map(|(k, v)| {
            let v = match v {
                Value::String(s) => s.clone(),
                Value::Bool(_) | Value::Number(_) => v.to_string(),
                _ => return None,
            };
            Some((k.clone(), v))
        })
        .take(MAX_REQUEST_PROPERTIES)
        .collect()
}

fn properties_json(properties: &[(String, String)]) -> Value {
    properties.iter().map(|(k, v)| (k.clone(), json!(v))).collect::<Map<_, _>>().into()
}

const INVALID_ROOM: ParseError = ParseError::Invalid { element: "conference", what: "room" };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml;

    fn request() -> ConferenceRequest {
        let mut r = ConferenceRequest::new("rathaus@conference.meet.example".parse().unwrap());
        r.machine_uid = Some(Sensitive::new("0f1e".into()));
        r.properties =
            vec![("rtcstatsEnabled".into(), "false".into()), ("visitors-version".into(), "1".into())];
        r
    }

    #[test]
    fn request_as_iq_and_as_json() {
        let xml_form = "<conference xmlns=\"http://jitsi.org/protocol/focus\" room=\"rathaus@conference.meet.example\" machine-uid=\"0f1e\"><property name=\"rtcstatsEnabled\" value=\"false\"/><property name=\"visitors-version\" value=\"1\"/></conference>";
        assert_eq!(request().to_element().to_xml(), xml_form);
        assert_eq!(ConferenceRequest::from_element(&xml::parse(xml_form.as_bytes()).unwrap()), Ok(request()));
        let body = r#"{"room":"rathaus@conference.meet.example","machineUid":"0f1e","unknown":[],"properties":{"rtcstatsEnabled":false,"visitors-version":1}}"#;
        assert_eq!(ConferenceRequest::from_json(body), Ok(request()));
        assert_eq!(ConferenceRequest::from_json(&request().to_json()), Ok(request()));
    }

    #[test]
    fn reply_as_iq_and_as_json() {
        let mut r = ConferenceReply::new("rathaus@conference.meet.example".parse().unwrap(), true)
            .with_property("authentication", false);
        r.focus_jid = Some("focus@auth.meet.example".parse().unwrap());
        let xml_form = "<conference xmlns=\"http://jitsi.org/protocol/focus\" room=\"rathaus@conference.meet.example\" ready=\"true\" focusjid=\"focus@auth.meet.example\"><property name=\"authentication\" value=\"false\"/></conference>";
        assert_eq!(r.to_element().to_xml(), xml_form);
        assert_eq!(ConferenceReply::from_element(&r.to_element()), Ok(r.clone()));
        let http = r.to_http();
        assert_eq!((http.status, http.content_type), (200, "application/json"));
        let v: Value = serde_json::from_str(&http.body).unwrap();
        assert_eq!(
            v,
            json!({"room": "rathaus@conference.meet.example", "ready": true, "focusJid": "focus@auth.meet.example", "properties": {"authentication": "false"}})
        );
        assert_eq!(ConferenceReply::from_json(&http.body), Ok(r));
    }

    #[test]
    fn limits_at_and_beyond() {
        for (n, kept) in [
            (MAX_REQUEST_PROPERTIES, MAX_REQUEST_PROPERTIES),
            (MAX_REQUEST_PROPERTIES + 1, MAX_REQUEST_PROPERTIES),
        ] {
            let mut r = request();
            r.properties = (0..n).map(|i| (format!("p{i}"), "v".into())).collect();
            assert_eq!(ConferenceRequest::from_element(&r.to_element()).unwrap().properties.len(), kept);
            assert_eq!(ConferenceRequest::from_json(&r.to_json()).unwrap().properties.len(), kept);
        }
        let body = |n: usize| format!(r#"{{"room":"a@b","x":"{}"}}"#, "y".repeat(n - 21));
        assert_eq!(body(MAX_REQUEST_BYTES).len(), MAX_REQUEST_BYTES);
        assert!(ConferenceRequest::from_json(&body(MAX_REQUEST_BYTES)).is_ok());
        assert_eq!(ConferenceRequest::from_json(&body(MAX_REQUEST_BYTES + 1)), Err(ParseError::TooLarge));
    }

    #[test]
    fn a_reply_without_properties_still_has_the_object() {
        let r = ConferenceReply::new("a@b".parse().unwrap(), false);
        assert!(r.to_http().body.contains("\"properties\":{}"));
    }

    #[test]
    fn compat_invalid_session_is_found_behind_other_text() {
        let a = ConferenceRefusal::SessionInvalid.to_http();
        assert!(a.status == 400 && a.body.find("400 invalid-session").is_some_and(|at| at > 0));
        assert_eq!(ConferenceRefusal::NotAuthorized.to_http().status, 403);
    }

    #[test]
    fn compat_a_missing_room_is_said_as_upstream_says_it() {
        let none = ConferenceRequest::from_json("{}").unwrap_err();
        assert_eq!(ConferenceRefusal::from(none).to_http().body, "Bad request: No 'room' specified.");
    }

    #[test]
    fn bad_requests_say_what_without_saying_whose() {
        for room in ["demo", "a@b@c", "@x", "a@b/c", "[town]a@b", "[]x@b"] {
            let e = ConferenceRequest::from_json(&json!({"room": room}).to_string()).unwrap_err();
            assert_eq!(e, INVALID_ROOM, "{room}");
        }
        let twice = r#"{"room":"a@b","room":"c@d"}"#;
        assert_eq!(ConferenceRequest::from_json(twice), Err(ParseError::Json));
        assert_eq!(ConferenceRequest::from_json("[]"), Err(ParseError::Json));
        assert_eq!(
            ConferenceRequest::from_json(&" ".repeat(MAX_REQUEST_BYTES + 1)),
            Err(ParseError::TooLarge)
        );
    }
}
