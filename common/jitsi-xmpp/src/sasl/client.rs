//! SCRAM, the client's side: challenges in, responses out.

use std::num::NonZeroU32;

use super::SaslError;
use super::scram::{Hash, attribute, decode, encode, equal, nonce, text, xor};
use crate::limits::{MAX_SCRAM_ITERATIONS, MIN_SCRAM_ITERATIONS};
use crate::sensitive::Sensitive;

/// An exchange whose first message is out.
#[derive(Debug, Clone)]
pub struct ScramClient {
    hash: Hash,
    password: Sensitive<String>,
    nonce: String,
    first_bare: Sensitive<String>,
}

/// An exchange that waits for the server's proof.
#[derive(Debug, Clone)]
pub struct ScramClientFinal {
    server_signature: Sensitive<Vec<u8>>,
}

impl ScramClient {
    /// Begins an exchange. `nonce`: at least 18 random bytes as printable text without comma, e.g. hex.
    pub fn new(hash: Hash, username: &str, password: Sensitive<String>, nonce: &str) -> Self {
        let name = username.replace('=', "=3D").replace(',', "=2C");
        let first_bare = Sensitive::new(format!("n={name},r={nonce}"));
        Self { hash, password, nonce: nonce.to_owned(), first_bare }
    }

    /// The first message, before base64.
    pub fn first(&self) -> Vec<u8> {
        format!("{GS2}{}", self.first_bare.reveal()).into_bytes()
    }

    /// Answers the challenge: the final message, before base64.
    pub fn respond(self, challenge: &[u8]) -> Result<(ScramClientFinal, Vec<u8>), SaslError> {
        let challenge = text(challenge)?;
        let mut parts = challenge.split(',');
        let full_nonce = nonce(attribute(&mut parts, "r")?)?;
        let salt = decode(attribute(&mut parts, "s")?)?;
        let iterations: u32 = attribute(&mut parts, "i")?.parse().map_err(|_| SaslError::Malformed)?;
        if full_nonce.len() <= self.nonce.len() || !full_nonce.starts_with(&self.nonce) {
            return Err(SaslError::Nonce);
        }
        let iterations = NonZeroU32::new(iterations)
            .filter(|i| (MIN_SCRAM_ITERATIONS..=MAX_SCRAM_ITERATIONS).contains(&i.get()))
            .ok_or(SaslError::Iterations)?;

        let salted = self.hash.salted_password(self.password.reveal(), &salt, iterations);
        let client_key = self.hash.hmac(&salted, b"Client Key");
        let without_proof = format!("c={},r={full_nonce}", encode(GS2.as_bytes()));
        let auth_message = format!("{},{challenge},{without_proof}", self.first_bare.reveal());
        let signature = self.hash.hmac(&self.hash.digest(&client_key), auth_message.as_bytes());
        let proof = xor(&client_key, &signature);
        let server_key = self.hash.hmac(&salted, b"Server Key");
        let server_signature = Sensitive::new(self.hash.hmac(&server_key, auth_message.as_bytes()));
        Ok((
            ScramClientFinal { server_signature },
            format!("{without_proof},p={}", encode(&proof)).into_bytes(),
        ))
    }
}

impl ScramClientFinal {
    /// Checks the server's proof in its final message. Without it the server does not know the password.
    pub fn verify(&self, server_final: &[u8]) -> Result<(), SaslError> {
        let message = text(server_final)?;
        if message.starts_with("e=") {
            return Err(SaslError::Refused);
        }
        let signature = decode(attribute(&mut message.split(','), "v")?)?;
        if equal(&signature, self.server_signature.reveal()) { Ok(()) } else { Err(SaslError::Proof) }
    }
}

/// No channel binding, no authorization identity.
const GS2: &str = "n,,";
