//! Tokens of our own: claims in, a signed token out. For services that people of a meeting use (xmpp-server §4.33), and for tests.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jitsi_xmpp::Sensitive;
use serde_json::{Map, Value, json};

use crate::algorithm::{Algorithm, Hash};
use crate::claims::{Features, User};
use crate::key::pem_block;

/// Why nothing can be signed. Blame: the admin, who has named the key. Consequence: the server does not start; or a token is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Not a key.
    #[error("not an unencrypted RSA private key as PEM, of 2048 to 8192 bits")]
    Key,
    /// An empty secret.
    #[error("an empty secret signs nothing")]
    EmptySecret,
    /// The crypto library failed.
    #[error("signing failed")]
    Failed,
}

/// Makes tokens.
pub struct Signer {
    key: Key,
    /// The first part of each token.
    header: String,
}

enum Key {
    Secret(Hash, Box<hmac::Key>),
    Rsa(Hash, Box<RsaKeyPair>),
}

impl Signer {
    /// With an RSA key as PEM (PKCS #8 or PKCS #1), named `kid`.
    pub fn rsa(hash: Hash, pem: &Sensitive<String>, kid: &str) -> Result<Self, SignError> {
        let (label, der) = pem_block(pem.reveal()).ok_or(SignError::Key)?;
        let pair = match label {
            "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&der),
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der),
            _ => return Err(SignError::Key),
        };
        let pair = Box::new(pair.map_err(|_| SignError::Key)?);
        Ok(Self::new(Key::Rsa(hash, pair), Some(kid)))
    }

    /// With a secret.
    pub fn secret(hash: Hash, secret: &Sensitive<String>) -> Result<Self, SignError> {
        if secret.reveal().is_empty() {
            return Err(SignError::EmptySecret);
        }
        Ok(Self::new(Key::Secret(hash, hmac::Key::new(hash.hmac(), secret.reveal().as_bytes()).into()), None))
    }

    fn new(key: Key, kid: Option<&str>) -> Self {
        let algorithm = match &key {
            Key::Secret(hash, _) => Algorithm::Hs(*hash),
            Key::Rsa(hash, _) => Algorithm::Rs(*hash),
        };
        let mut header = json!({ "typ": "JWT", "alg": algorithm.as_str() });
        if let (Some(kid), Some(members)) = (kid, header.as_object_mut()) {
            members.insert("kid".to_owned(), kid.into());
        }
        Self { key, header: URL_SAFE_NO_PAD.encode(header.to_string()) }
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Map<String, Value>) -> Result<Sensitive<String>, SignError> {
        let claims = Value::Object(claims.clone()).to_string();
        let mut token = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(claims));
        let signature = match &self.key {
            Key::Secret(_, key) => hmac::sign(key, token.as_bytes()).as_ref().to_vec(),
            Key::Rsa(hash, pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                // Signatures of this kind have no random part; the library asks for a source and does not use it.
                let unused = SystemRandom::new();
                let signed = pair.sign(hash.sign(), &unused, token.as_bytes(), &mut signature);
                signed.map_err(|_| SignError::Failed)?;
                signature
            }
        };
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token.into())
    }
}

/// The key does not show.
impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(…)")
    }
}

/// What a short-lived token says of somebody in a meeting.
#[derive(Debug, Clone)]
pub struct ShortLived<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// `aud`: the service that it is for.
    pub audience: &'a str,
    /// `sub`: the tenant in the person's URL, or the host.
    pub subject: &'a str,
    /// `room`, as the person's URL spells it.
    pub room: Option<&'a str>,
    /// `meeting_id`.
    pub meeting_id: Option<&'a str>,
    /// The person as its own token describes it.
    pub user: Option<&'a User>,
    /// Without such a token: its address, and what its presence says.
    pub guest: Guest<'a>,
    /// `context.group`: its own token's, or that of whoever made it moderator.
    pub group: Option<&'a str>,
    /// `context.features`.
    pub features: Option<&'a Features>,
    /// `granted_from`: the id of whoever made it moderator.
    pub granted_from: Option<&'a str>,
    /// `customer_id` where the tenant has one; otherwise the group.
    pub customer_id: Option<&'a str>,
    /// `backend_region`.
    pub backend_region: Option<&'a str>,
    /// `user_region`.
    pub user_region: Option<&'a str>,
}

/// Somebody without a token.
#[derive(Debug, Clone, Copy, Default)]
pub struct Guest<'a> {
    /// The full address.
    pub id: &'a str,
    /// The display name.
    pub name: Option<&'a str>,
    /// The e-mail address.
    pub email: Option<&'a str>,
    /// The nick in the room.
    pub nick: Option<&'a str>,
}

impl ShortLived<'_> {
    /// The claims of a token that begins at `unix`, seconds since 1970, and lasts `seconds`.
    pub fn claims(&self, unix: u64, seconds: u64) -> Map<String, Value> {
        let mut claims = Map::new();
        let mut say = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                claims.insert(name.to_owned(), value);
            }
        };
        let text = |value: Option<&str>| value.map(Value::from);
        say("iss", text(Some(self.issuer)));
        say("aud", text(Some(self.audience)));
        say("nbf", Some(unix.into()));
        say("exp", Some(unix.saturating_add(seconds).into()));
        say("sub", text(Some(self.subject)));
        say("room", text(self.room));
        say("meeting_id", text(self.meeting_id));
        say("granted_from", text(self.granted_from));
        say("customer_id", text(self.customer_id.or(self.group)));
        say("backend_region", text(self.backend_region));
        say("user_region", text(self.user_region));
        let mut context = Map::new();
        let mut tell = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                context.insert(name.to_owned(), value);
            }
        };
        tell("group", text(self.group));
        tell("user", Some(self.user.map_or_else(|| self.guest.to_json(), User::to_json)));
        let features = |f: &Features| f.iter().map(|(name, on)| (name.clone(), Value::from(*on))).collect();
        tell("features", self.features.map(|f| Value::Object(features(f))));
        say("context", Some(Value::Object(context)));
        claims
    }
}

impl Guest<'_> {
    fn to_json(self) -> Value {
        let said = [("id", Some(self.id)), ("name", self.name), ("email", self.email), ("nick", self.nick)];
        Value::Object(said.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?.into()))).collect())
    }
}
