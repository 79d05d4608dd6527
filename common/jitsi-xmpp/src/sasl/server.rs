//! SCRAM, the server's side: a client's messages and stored credentials in, challenges and the verdict out.

use super::SaslError;
use super::scram::{Credentials, Hash, attribute, decode, encode, equal, nonce, text, xor};
use crate::sensitive::Sensitive;

/// A client's first message: the name is known, its credentials are to be looked up.
#[derive(Debug, Clone)]
pub struct ScramFirst {
    username: Sensitive<String>,
    authzid: Option<Sensitive<String>>,
    gs2: String,
    bare: Sensitive<String>,
    nonce: String,
}

/// An exchange whose challenge is out.
#[derive(Debug, Clone)]
pub struct ScramServer {
    credentials: Credentials,
    gs2: String,
    nonce: String,
    /// Both first messages.
    transcript: Sensitive<String>,
}

impl ScramFirst {
    /// Reads the client's first message, base64 already removed.
    pub fn parse(message: &[u8]) -> Result<Self, SaslError> {
        let message = text(message)?;
        let mut parts = message.splitn(3, ',');
        let (Some(binding), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(SaslError::Malformed);
        };
        match binding {
            // `y`: the client could bind, and rightly believes that the server cannot.
            "n" | "y" => {}
            b if b.starts_with("p=") => return Err(SaslError::ChannelBinding),
            _ => return Err(SaslError::Malformed),
        }
        let authzid = match authzid {
            "" => None,
            a => Some(Sensitive::new(unescape(a.strip_prefix("a=").ok_or(SaslError::Malformed)?)?)),
        };
        let mut parts = bare.split(',');
        let username = Sensitive::new(unescape(attribute(&mut parts, "n")?)?);
        let client_nonce = nonce(attribute(&mut parts, "r")?)?.to_owned();
        let gs2 = message.strip_suffix(bare).unwrap_or_default().to_owned();
        Ok(Self { username, authzid, gs2, bare: Sensitive::new(bare.to_owned()), nonce: client_nonce })
    }

    /// Whose credentials are wanted.
    pub fn username(&self) -> &str {
        self.username.reveal()
    }

    /// Whom the client wants to act as, if not itself.
    pub fn authzid(&self) -> Option<&str> {
        self.authzid.as_ref().map(|a| a.reveal().as_str())
    }

    /// The challenge, before base64. `nonce`: at least 18 random bytes as printable text without comma, e.g. hex.
    pub fn challenge(self, credentials: Credentials, nonce: &str) -> (ScramServer, Vec<u8>) {
        let nonce = format!("{}{nonce}", self.nonce);
        let challenge = format!("r={nonce},s={},i={}", encode(&credentials.salt), credentials.iterations);
        let transcript = Sensitive::new(format!("{},{challenge}", self.bare.reveal()));
        (ScramServer { credentials, gs2: self.gs2, nonce, transcript }, challenge.into_bytes())
    }
}

impl ScramServer {
    /// The hash of the exchange.
    pub fn hash(&self) -> Hash {
        self.credentials.hash
    }

    /// Checks the client's final message; the server's final message, before base64.
    pub fn finish(self, client_final: &[u8]) -> Result<Vec<u8>, SaslError> {
        let message = text(client_final)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(SaslError::Malformed)?;
        let proof = decode(proof)?;
        let mut parts = without_proof.split(',');
        if decode(attribute(&mut parts, "c")?)? != self.gs2.as_bytes() {
            return Err(SaslError::ChannelBinding);
        }
        if attribute(&mut parts, "r")? != self.nonce {
            return Err(SaslError::Nonce);
        }
        let c = &self.credentials;
        let auth_message = format!("{},{without_proof}", self.transcript.reveal());
        let signature = c.hash.hmac(c.stored_key.reveal(), auth_message.as_bytes());
        let client_key = xor(&proof, &signature);
        if proof.len() != c.hash.output_len() || !equal(&c.hash.digest(&client_key), c.stored_key.reveal()) {
            return Err(SaslError::Proof);
        }
        let server_signature = c.hash.hmac(c.server_key.reveal(), auth_message.as_bytes());
        Ok(format!("v={}", encode(&server_signature)).into_bytes())
    }
}

/// RFC 5802 §5.1: `,` and `=` of a name are escaped, nothing else may follow a `=`.
fn unescape(name: &str) -> Result<String, SaslError> {
    let mut parts = name.split('=');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for p in parts {
        let (c, rest) = match (p.strip_prefix("2C"), p.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(SaslError::Malformed),
        };
        out.push(c);
        out.push_str(rest);
    }
    Ok(out)
}
