//! PLAIN: the one message in, name and password out, and back.

use super::{MAX_MESSAGE_BYTES, SaslError};
use crate::sensitive::Sensitive;

/// A PLAIN message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    /// Act as somebody else; empty = no.
    pub authzid: String,
    /// The account.
    pub username: Sensitive<String>,
    /// Its password.
    pub password: Sensitive<String>,
}

impl Plain {
    /// Reads the message, base64 already removed.
    pub fn parse(message: &[u8]) -> Result<Self, SaslError> {
        if message.len() > MAX_MESSAGE_BYTES {
            return Err(SaslError::Malformed);
        }
        let text = std::str::from_utf8(message).map_err(|_| SaslError::Malformed)?;
        let mut parts = text.split('\0');
        let (Some(authzid), Some(username), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SaslError::Malformed);
        };
        if username.is_empty() || password.is_empty() {
            return Err(SaslError::Malformed);
        }
        Ok(Self {
            authzid: authzid.to_owned(),
            username: Sensitive::new(username.to_owned()),
            password: Sensitive::new(password.to_owned()),
        })
    }

    /// The message before base64.
    pub fn message(username: &str, password: &str) -> Vec<u8> {
        format!("\0{username}\0{password}").into_bytes()
    }
}
