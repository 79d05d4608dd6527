//! What a token says, once it is believed: its JSON in; typed claims, personal ones hidden from logs, out.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jitsi_xmpp::Sensitive;
use serde_json::{Map, Number, Value};

use crate::limits::{FEATURES, USER_MEMBERS};
use crate::refusal::Refusal;
use crate::rules::TokenRules;

/// Named permissions: `context.features`. What is not named is not allowed (xmpp-server §4.11).
pub type Features = BTreeMap<String, bool>;

/// What a token vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The room it is for, as written: a name, `*`, or a Lua pattern ([`RoomContext::pattern`]). `None`: any, unless rooms are
    /// required.
    pub room: Option<Sensitive<String>>,
    /// The tenant or domain it is for, or `*`: `sub`.
    pub subject: Sensitive<String>,
    /// Who has made it, where that is a text: `iss`.
    pub issuer: Option<Sensitive<String>>,
    /// `context.tenant`.
    pub tenant: Option<Sensitive<String>>,
    /// The person: `context.user`, or without `context` the top-level `user_id`.
    pub user: Option<User>,
    /// `context.group`.
    pub group: Option<Sensitive<String>>,
    /// `context.features`. `None`: moderators may everything, others nothing; empty: nobody anything.
    pub features: Option<Features>,
    /// `context.room`.
    pub room_context: RoomContext,
}

impl Claims {
    /// Reads the claims of a token whose signature is right.
    pub(crate) fn read(rules: &TokenRules, mut body: Map<String, Value>) -> Result<Self, Refusal> {
        let room = match present(body.remove("room")) {
            None if rules.require_room => return Err(Refusal::NoRoom),
            None => None,
            Some(Value::String(room)) => Some(room.into()),
            Some(_) => return Err(Refusal::NoRoom),
        };
        let Some(Value::String(subject)) = body.remove("sub") else { return Err(Refusal::NoSubject) };
        let mut claims = Self {
            room,
            subject: subject.into(),
            issuer: body.remove("iss").and_then(text),
            tenant: None,
            user: None,
            group: None,
            features: None,
            room_context: RoomContext::default(),
        };
        match present(body.remove("context")) {
            None => {
                if let Some(id) = body.remove("user_id").and_then(Member::new) {
                    claims.user = Some(User(BTreeMap::from([("id".into(), id)])));
                }
            }
            Some(context) => claims.read_context(members(context).ok_or(Refusal::InvalidBody)?)?,
        }
        Ok(claims)
    }

    fn read_context(&mut self, mut context: Map<String, Value>) -> Result<(), Refusal> {
        self.tenant = match present(context.remove("tenant")) {
            None => None,
            // It restricts, so it has to be understood.
            Some(tenant) => Some(text(tenant).ok_or(Refusal::InvalidBody)?),
        };
        self.group = context.remove("group").and_then(text);
        self.user = match present(context.remove("user")) {
            None => None,
            Some(user) => Some(User::read(user)?),
        };
        if let Some(features) = present(context.remove("features")) {
            let features = members(features).unwrap_or_default();
            if features.len() > FEATURES {
                return Err(Refusal::InvalidBody);
            }
            self.features = Some(features.into_iter().map(|(name, v)| (name, says_true(&v))).collect());
        }
        if let Some(room) = context.remove("room").and_then(members) {
            self.room_context = RoomContext::read(room);
        }
        Ok(())
    }

    /// Whether the person is to own the room (xmpp-server §4.37): as `moderator`, or with an `affiliation` that is as much.
    pub fn owns(&self) -> bool {
        self.user.as_ref().is_some_and(User::owns)
    }

    /// Whether the person goes past the lobby: `lobby_bypass`, which stood in `context.user` and stands in `context.features`.
    pub fn passes_lobby(&self) -> bool {
        self.user.as_ref().is_some_and(|u| u.is("lobby_bypass"))
            || self.features.as_ref().is_some_and(|f| f.get("lobby_bypass") == Some(&true))
    }
}

/// A person, as an issuer describes one. Names are checked: each is an element's name without prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User(BTreeMap<Box<str>, Member>);

impl User {
    /// What is no object says nothing. What cannot be shown (a list, an object, a name that is no element's) is left out.
    fn read(user: Value) -> Result<Self, Refusal> {
        let user = members(user).unwrap_or_default();
        if user.len() > USER_MEMBERS {
            return Err(Refusal::InvalidBody);
        }
        let shown = user.into_iter().filter(|(name, _)| is_element_name(name));
        Ok(Self(shown.filter_map(|(name, v)| Some((name.into(), Member::new(v)?))).collect()))
    }

    /// Somebody of whom nothing else is known.
    pub fn with_id(id: &str) -> Self {
        Self(BTreeMap::from([("id".into(), Member::Text(id.to_owned().into()))]))
    }

    /// `id`.
    pub fn id(&self) -> Option<Cow<'_, str>> {
        self.text("id")
    }

    /// `name`, shown to others.
    pub fn name(&self) -> Option<Cow<'_, str>> {
        self.text("name")
    }

    /// `email`.
    pub fn email(&self) -> Option<Cow<'_, str>> {
        self.text("email")
    }

    /// `avatar`: a picture's address.
    pub fn avatar(&self) -> Option<Cow<'_, str>> {
        self.text("avatar")
    }

    /// Any member as text.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.get(name).map(Member::text)
    }

    /// Whether a member is true: `true` or `"true"`.
    pub fn is(&self, name: &str) -> bool {
        match self.0.get(name) {
            Some(Member::Flag(flag)) => *flag,
            Some(Member::Text(text)) => text.reveal() == "true",
            _ => false,
        }
    }

    /// Whether it goes past the password and lobby that a token asks for: `security_bypass`.
    pub fn passes_security(&self) -> bool {
        self.is("security_bypass")
    }

    /// Whether a recorder does not show it: `hidden-from-recorder`.
    pub fn hidden_from_recorder(&self) -> bool {
        self.is("hidden-from-recorder")
    }

    fn owns(&self) -> bool {
        let affiliation = self.0.get("affiliation").and_then(Member::as_str);
        affiliation.is_some_and(|a| ["owner", "moderator", "teacher"].contains(&a)) || self.is("moderator")
    }

    /// All members, as elements of a presence have them (xmpp-server §4.29), by name.
    pub fn members(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        self.0.iter().map(|(name, member)| (&**name, member.text()))
    }

    /// All members as JSON, for a token of our own about this person.
    pub fn to_json(&self) -> Value {
        let json = |m: &Member| match m {
            Member::Text(text) => Value::from(text.reveal().as_str()),
            Member::Flag(flag) => Value::from(*flag),
            Member::Number(n) => Value::Number(n.reveal().clone()),
        };
        Value::Object(self.0.iter().map(|(name, m)| (name.to_string(), json(m))).collect())
    }
}

/// What is said of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member {
    /// A text.
    Text(Sensitive<String>),
    /// Yes or no.
    Flag(bool),
    /// A number.
    Number(Sensitive<Number>),
}

impl Member {
    fn new(value: Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Text(text.into())),
            Value::Bool(flag) => Some(Self::Flag(flag)),
            Value::Number(n) => Some(Self::Number(n.into())),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.reveal()),
            _ => None,
        }
    }

    /// As an element's content.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text.reveal()),
            Self::Flag(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
            Self::Number(n) => Cow::Owned(n.reveal().to_string()),
        }
    }
}

/// What a token says about the meeting.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoomContext {
    /// The room claim is a Lua pattern: `regex`.
    pub pattern: bool,
    /// The meeting is to have a lobby, or none: `lobby`.
    pub lobby: Option<bool>,
    /// A lobby that begins with the meeting is wanted, or not: `lobby_autostart`.
    pub lobby_autostart: Option<bool>,
    /// The meeting is to have this password: `password`. Empty: none.
    pub password: Option<Sensitive<String>>,
}

impl RoomContext {
    fn read(mut room: Map<String, Value>) -> Self {
        Self {
            pattern: room.get("regex").is_some_and(says_true),
            lobby: room.get("lobby").and_then(flag),
            lobby_autostart: room.get("lobby_autostart").and_then(flag),
            password: room.remove("password").and_then(text),
        }
    }
}

/// `null` is nothing.
fn present(value: Option<Value>) -> Option<Value> {
    value.filter(|v| !v.is_null())
}

/// Of an object; of PHP's empty list, which is how that writes an empty object.
fn members(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(members) => Some(members),
        Value::Array(list) if list.is_empty() => Some(Map::new()),
        _ => None,
    }
}

/// A text, or a number as text.
fn text(value: Value) -> Option<Sensitive<String>> {
    match value {
        Value::String(text) => Some(text.into()),
        Value::Number(n) => Some(n.to_string().into()),
        _ => None,
    }
}

/// Issuers write flags in two ways.
fn flag(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_str()?.parse().ok())
}

fn says_true(value: &Value) -> bool {
    flag(value) == Some(true)
}

/// An element's name without prefix: one with a prefix that nobody has declared breaks the presence for every client.
fn is_element_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}
