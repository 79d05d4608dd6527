//! Service discovery (XEP-0030) and the capabilities hash over it (XEP-0115): queries in and out.

use crate::forms::Form;

/// `identity`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// `component`, `server` …
    pub category: String,
    /// `speakerstats`, `im` …
    pub kind: String,
    /// `xml:lang`.
    pub lang: Option<String>,
    /// For people; for Jitsi's components their address.
    pub name: Option<String>,
}

/// `query` of disco#info.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DiscoInfo {
    /// Which part of the entity.
    pub node: Option<String>,
    /// What it is.
    pub identities: Vec<Identity>,
    /// What it can do.
    pub features: Vec<String>,
    /// More about it.
    pub forms: Vec<Form>,
}
