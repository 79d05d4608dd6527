use crate::limits::{MAX_SASL_MESSAGE_BYTES, MAX_SCRAM_ITERATIONS, MIN_SCRAM_ITERATIONS};
use std::num::NonZeroU32;

use super::scram::decode;
use super::*;
use crate::sensitive::Sensitive;

struct Vector {
    hash: Hash,
    client_nonce: &'static str,
    server_nonce: &'static str,
    salt: &'static str,
    challenge: &'static str,
    client_final: &'static str,
    server_final: &'static str,
}

/// RFC 5802 §5 and RFC 7677 §3: user `user`, password `pencil`.
const VECTORS: [Vector; 2] = [
    Vector {
        hash: Hash::Sha1,
        client_nonce: "fyko+d2lbbFgONRv9qkxdawL",
        server_nonce: "3rfcNHYJY1ZVvWVs7j",
        salt: "QSXCR+Q6sek8bf92",
        challenge: "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        client_final: "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        server_final: "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    },
    Vector {
        hash: Hash::Sha256,
        client_nonce: "rOprNGfwEbeRWgbNEkqO",
        server_nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
        challenge: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        client_final: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        server_final: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    },
];

fn pencil(v: &Vector) -> Credentials {
    Credentials::derive(v.hash, "pencil", &decode(v.salt).unwrap(), NonZeroU32::new(4096).unwrap())
}

fn client(v: &Vector, password: &str) -> ScramClient {
    ScramClient::new(v.hash, "user", Sensitive::new(password.to_owned()), v.client_nonce)
}

#[test]
fn rfc_vectors_on_both_sides() {
    for v in &VECTORS {
        let c = client(v, "pencil");
        assert_eq!(c.first(), format!("n,,n=user,r={}", v.client_nonce).as_bytes());
        let first = ScramFirst::parse(&c.first()).unwrap();
        assert_eq!(first.username(), "user");
        let (server, challenge) = first.challenge(pencil(v), v.server_nonce);
        assert_eq!(challenge, v.challenge.as_bytes());
        let (waiting, answer) = c.respond(&challenge).unwrap();
        assert_eq!(answer, v.client_final.as_bytes());
        let verdict = server.finish(&answer).unwrap();
        assert_eq!(verdict, v.server_final.as_bytes());
        assert_eq!(waiting.verify(&verdict), Ok(()));
        assert_eq!(waiting.verify(b"e=other-error"), Err(SaslError::Refused));
        assert_eq!(waiting.verify(b"v=AAAA"), Err(SaslError::Proof));
    }
}

#[test]
fn a_wrong_password_fails_on_the_server() {
    for v in &VECTORS {
        let c = client(v, "pencils");
        let (server, challenge) = ScramFirst::parse(&c.first()).unwrap().challenge(pencil(v), v.server_nonce);
        let (_, answer) = c.respond(&challenge).unwrap();
        assert_eq!(server.finish(&answer), Err(SaslError::Proof));
    }
}

#[test]
fn a_manipulated_exchange_fails() {
    let v = &VECTORS[0];
    let server =
        || ScramFirst::parse(&client(v, "pencil").first()).unwrap().challenge(pencil(v), v.server_nonce).0;
    for (message, why) in [
        (v.client_final.replace("biws", "eSws"), SaslError::ChannelBinding),
        (v.client_final.replace("r=fyko", "r=fykO"), SaslError::Nonce),
        (v.client_final.replace("p=v0X8", "p=v1X8"), SaslError::Proof),
        (v.client_final.replace(",p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", ",p=AAAA"), SaslError::Proof),
        (v.client_final.replace(",p=", ",q="), SaslError::Malformed),
        (String::new(), SaslError::Malformed),
    ] {
        assert_eq!(server().finish(message.as_bytes()), Err(why), "{message}");
    }
    let respond = |challenge: &str| client(v, "pencil").respond(challenge.as_bytes()).map(|_| ());
    assert_eq!(respond(&v.challenge.replace("r=fyko", "r=fykO")), Err(SaslError::Nonce));
    assert_eq!(respond("r=fyko+d2lbbFgONRv9qkxdawL,s=QSXCR+Q6sek8bf92,i=4096"), Err(SaslError::Nonce));
    assert_eq!(respond(&v.challenge.replace("i=4096", "i=4095")), Err(SaslError::Iterations));
    assert_eq!(respond(&v.challenge.replace("i=4096", "i=500001")), Err(SaslError::Iterations));
    assert_eq!(respond("s=QSXCR+Q6sek8bf92,i=4096"), Err(SaslError::Malformed));
}

#[test]
fn first_messages() {
    let first = ScramFirst::parse(b"y,a=other,n=a=2Cb=3Dc,r=abc").unwrap();
    assert_eq!((first.username(), first.authzid()), ("a,b=c", Some("other")));
    let odd = ScramClient::new(Hash::Sha1, "a,b=c", Sensitive::new("x".into()), "abc").first();
    assert_eq!(ScramFirst::parse(&odd).unwrap().username(), "a,b=c");
    for (message, why) in [
        (&b"p=tls-exporter,,n=u,r=abc"[..], SaslError::ChannelBinding),
        (b"n,,n=a=2Zb,r=abc", SaslError::Malformed),
        (b"n,,n=u", SaslError::Malformed),
        (b"n,,r=abc,n=u", SaslError::Malformed),
        (b"n,,n=u,r=", SaslError::Malformed),
        (b"x,,n=u,r=abc", SaslError::Malformed),
        (b"n,,n=u,r=a\xff", SaslError::Malformed),
        (b"", SaslError::Malformed),
    ] {
        assert_eq!(ScramFirst::parse(message).map(|_| ()), Err(why));
    }
    let long = |n: usize| [&b"n,,n=u,r="[..], &vec![b'x'; n - 9]].concat();
    assert!(ScramFirst::parse(&long(MAX_SASL_MESSAGE_BYTES)).is_ok());
    assert!(ScramFirst::parse(&long(MAX_SASL_MESSAGE_BYTES + 1)).is_err());
}

#[test]
fn plain_and_stored_credentials() {
    let p = Plain::parse(&Plain::message("focus", "se\u{e4}cret")).unwrap();
    assert_eq!((p.username.reveal().as_str(), p.password.reveal().as_str()), ("focus", "se\u{e4}cret"));
    let rounds = NonZeroU32::new(4096).unwrap();
    let c = Credentials::derive(Hash::Sha1, p.password.reveal(), b"salt", rounds);
    let derived = |password| Credentials::derive(Hash::Sha1, password, b"salt", rounds);
    assert!(c == derived("se\u{e4}cret") && c != derived("secret"));
    // The same letter, written otherwise.
    assert!(c == derived("sea\u{308}cret"));
    let other = Plain::parse(&Plain::message("focus", "sea\u{308}cret")).unwrap();
    assert_eq!(other.password.reveal(), "se\u{e4}cret");
    assert!(!format!("{p:?} {c:?}").contains("cret"));
    for bad in [&b"focus"[..], b"\0focus", b"\0focus\0", b"\0\0x", b"\0a\0b\0c", b"\0a\0\xff", b""] {
        assert_eq!(Plain::parse(bad), Err(SaslError::Malformed));
    }
}

#[test]
fn iterations_at_the_limits_and_beyond() {
    for (iterations, ok) in [
        (MIN_SCRAM_ITERATIONS - 1, false),
        (MIN_SCRAM_ITERATIONS, true),
        (MAX_SCRAM_ITERATIONS, true),
        (MAX_SCRAM_ITERATIONS + 1, false),
    ] {
        let client = ScramClient::new(Hash::Sha1, "u", Sensitive::new("p".into()), "abc");
        let challenge = format!("r=abcdef,s=c2FsdA==,i={iterations}");
        let answer = client.respond(challenge.as_bytes());
        assert_eq!(answer.is_ok(), ok, "{iterations}");
        assert!(ok || answer.is_err_and(|e| e == SaslError::Iterations), "{iterations}");
    }
}
