//! PLAIN: the one message in, name and password out, and back.

use super::SaslError;
use crate::limits::MAX_SASL_MESSAGE_BYTES;
use crate::prepare;
use crate::sensitive::Sensitive;

/// A PLAIN message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    /// Act as somebody else; empty = no.
    pub authzid: String,
    /// The account.
    pub username: Sensitive<String>,
    /// Its password, prepared.
    pub password: Sensitive<String>,
}

impl Plain {
    /// Reads the message, base64 already removed.
    pub fn parse(message: &[u8]) -> Result<Self, SaslError> {
        if message.len() > MAX_SASL_MESSAGE_BYTES {
            return Err(SaslError::Malformed);
        }
        let text = std::str::from_utf8(message).map_err(|_| SaslError::Malformed)?;
        let mut parts = text.split('\0');
        let (Some(authzid), Some(username), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SaslError::Malformed);
        };
        if username.is_empty() {
            return Err(SaslError::Malformed);
        }
        let password = prepare::password(password).ok_or(SaslError::Malformed)?;
        Ok(Self {
            authzid: authzid.to_owned(),
            username: Sensitive::new(username.to_owned()),
            password: Sensitive::new(password.into_owned()),
        })
    }

    /// The message before base64.
    pub fn message(username: &str, password: &str) -> Vec<u8> {
        format!("\0{username}\0{password}").into_bytes()
    }
}
