//! What the tests share: rules, keys made once, and tokens.

use std::sync::OnceLock;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jitsi_xmpp::Sensitive;
use prosody_token::{Claims, Hash, KeyId, Refusal, RsaKey, Settings, Signer, TokenRules, Unverified};
use serde_json::{Map, Value, json};

/// November 2026.
pub(crate) const NOW: u64 = 1_795_390_568;
pub(crate) const KID: &str = "test-key";
pub(crate) const SECRET: &str = "a-secret-of-the-tests-with-32-bytes";

/// A key pair, made once.
pub(crate) struct Pair {
    pub(crate) private_pem: Sensitive<String>,
    pub(crate) public_pem: String,
    /// `SubjectPublicKeyInfo`.
    pub(crate) public_der: Vec<u8>,
    /// `RSAPublicKey`.
    pub(crate) plain_der: Vec<u8>,
}

impl Pair {
    fn new() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        Self {
            private_pem: pem("PRIVATE KEY", private.as_ref()).into(),
            public_pem: pem("PUBLIC KEY", public.as_ref()),
            public_der: public.as_ref().to_vec(),
            plain_der: pair.public_key().as_ref().to_vec(),
        }
    }

    pub(crate) fn signer(&self, hash: Hash) -> Signer {
        Signer::rsa(hash, &self.private_pem, KID).unwrap()
    }

    pub(crate) fn key(&self) -> RsaKey {
        RsaKey::from_pem(Hash::Sha256, &self.public_pem).unwrap()
    }

    /// Modulus and exponent.
    pub(crate) fn components(&self) -> (Vec<u8>, Vec<u8>) {
        // SEQUENCE { INTEGER of 257 bytes, the first of which is 0; INTEGER of 3 bytes }.
        (self.plain_der[9..9 + 256].to_vec(), self.plain_der[9 + 256 + 2..].to_vec())
    }

    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let (n, e) = self.components();
        json!({ "kty": "RSA", "kid": kid, "n": b64(n), "e": b64(e) })
    }
}

/// The issuer's key.
pub(crate) fn ours() -> &'static Pair {
    static OURS: OnceLock<Pair> = OnceLock::new();
    OURS.get_or_init(Pair::new)
}

/// Somebody else's.
pub(crate) fn theirs() -> &'static Pair {
    static THEIRS: OnceLock<Pair> = OnceLock::new();
    THEIRS.get_or_init(Pair::new)
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|l| std::str::from_utf8(l).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Rules as those of upstream's tests: people without a token get in, no room is required.
pub(crate) fn settings() -> Settings {
    Settings {
        app_id: Some("jitsi".into()),
        app_secret: Some(SECRET.to_owned().into()),
        require_room: false,
        ..Settings::default()
    }
}

pub(crate) fn rules(settings: Settings) -> TokenRules {
    TokenRules::new(settings).unwrap()
}

pub(crate) fn secret_rules() -> TokenRules {
    rules(settings())
}

/// The same with a key server.
pub(crate) fn served() -> Settings {
    let key_server = Some("https://keys.example/asap".into());
    Settings { key_server, app_secret: None, allow_empty: true, ..settings() }
}

/// Claims that pass, with changes; `null` takes one away.
pub(crate) fn claims(changes: Value) -> Map<String, Value> {
    let Value::Object(mut all) =
        json!({ "iss": "jitsi", "aud": "jitsi", "sub": "*", "iat": NOW, "exp": NOW + 3600 })
    else {
        unreachable!()
    };
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            all.remove(name);
        } else {
            all.insert(name.clone(), value.clone());
        }
    }
    all
}

pub(crate) fn hs(changes: Value) -> String {
    let signer = Signer::secret(Hash::Sha256, &SECRET.to_owned().into()).unwrap();
    signer.sign(&claims(changes)).unwrap().into_inner()
}

pub(crate) fn rs(changes: Value) -> String {
    ours().signer(Hash::Sha256).sign(&claims(changes)).unwrap().into_inner()
}

/// A token of any two texts, signed with the secret.
pub(crate) fn raw(header: &str, body: &str) -> String {
    raw_signed(&format!("{}.{}", b64(header), b64(body)), SECRET.as_bytes())
}

pub(crate) fn raw_signed(signed: &str, secret: &[u8]) -> String {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    format!("{signed}.{}", b64(aws_lc_rs::hmac::sign(&key, signed.as_bytes())))
}

/// A login with a secret.
pub(crate) fn log_in(token: &str) -> Result<Claims, Refusal> {
    log_in_by(&secret_rules(), token)
}

pub(crate) fn log_in_by(rules: &TokenRules, token: &str) -> Result<Claims, Refusal> {
    Unverified::parse(rules, token)?.verify(rules, None, unix())
}

/// A login with our key of the key server.
pub(crate) fn log_in_served(token: &str) -> Result<Claims, Refusal> {
    let rules = rules(served());
    let unverified = Unverified::parse(&rules, token)?;
    assert_eq!(unverified.key_id(), Some(&KeyId::of(KID)));
    unverified.verify(&rules, Some(&ours().key()), unix())
}

pub(crate) const fn unix() -> Duration {
    Duration::from_secs(NOW)
}

/// What a client sees.
pub(crate) fn refused(outcome: Result<Claims, Refusal>) -> (&'static str, String) {
    let refusal = outcome.unwrap_err();
    (refusal.condition().as_str(), refusal.text().into_owned())
}
