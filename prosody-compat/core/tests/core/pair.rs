//! A pair of keys for tokens, made once: the private and the public one as PEM out.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jitsi_xmpp::Sensitive;

/// The same whenever it is asked for.
pub(crate) fn pair() -> &'static (Sensitive<String>, String) {
    static PAIR: OnceLock<(Sensitive<String>, String)> = OnceLock::new();
    PAIR.get_or_init(another)
}

/// A new one.
pub(crate) fn another() -> (Sensitive<String>, String) {
    let pem = |label: &str, der: &[u8]| {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    };
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    (pem("PRIVATE KEY", private.as_ref()).into(), pem("PUBLIC KEY", public.as_ref()))
}
