//! Why a token is not taken: a reason in; the SASL condition, the text that clients show, and a counter's label, out.
//!
//! Texts are upstream's to the letter: people search for them, and clients show them (client §0.3).

use std::borrow::Cow;
use std::fmt;

/// The condition inside SASL's `failure` (RFC 6120 §6.5, and one of upstream's own).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// `not-allowed`: upstream's for all but two.
    NotAllowed,
    /// `not-authorized`.
    NotAuthorized,
    /// `temporary-auth-failure`: ours to mend.
    Temporary,
}

impl Condition {
    /// The element's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAllowed => "not-allowed",
            Self::NotAuthorized => "not-authorized",
            Self::Temporary => "temporary-auth-failure",
        }
    }
}

/// Why a login with a token fails. Blame: the person or its token's issuer, but for [`Refusal::NoKey`], where it may be the
/// key server, and [`Refusal::NoClock`]. Consequence: `failure`; the connection may try again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Refusal {
    /// There is none, and there has to be.
    TokenRequired,
    /// Not three parts, too long, or a header that is not base64url.
    InvalidToken,
    /// A header that is no JSON object.
    InvalidHeader,
    /// The same where the header names a key.
    BadTokenFormat,
    /// Claims that are no JSON object, or none with one meaning.
    InvalidBody,
    /// No `kid`.
    NoKeyId,
    /// No `alg`.
    NoAlgorithm,
    /// Another family of algorithms than keys of a server are for.
    NotRsa,
    /// Nobody has the key, or it was asked for too often.
    NoKey,
    /// A key was needed and none was given.
    KeyMissing,
    /// `typ` is not `JWT`.
    InvalidTyp,
    /// Not the algorithm that the rules name.
    WrongAlgorithm,
    /// The signature is another's, or of something else.
    InvalidSignature,
    /// `exp` is no number.
    ExpiryNotNumber,
    /// `nbf` is no number.
    NotBeforeNotNumber,
    /// It is over.
    Expired {
        /// For so many seconds.
        ago: f64,
        /// Seconds between `iat` and `exp`.
        valid_for: Option<f64>,
    },
    /// It has not begun.
    NotYet,
    /// No `iss`.
    NoIssuer,
    /// Not an accepted one.
    WrongIssuer,
    /// No `aud`.
    NoAudience,
    /// Not an accepted one.
    WrongAudience,
    /// No `room`, or none that is a name.
    NoRoom,
    /// No `sub`, or none that is a name.
    NoSubject,
    /// The server does not know what time it is: a token would never end.
    NoClock,
}

impl Refusal {
    /// What stands in `failure`.
    pub const fn condition(&self) -> Condition {
        match self {
            Self::NoRoom | Self::NoSubject => Condition::NotAuthorized,
            Self::NoClock => Condition::Temporary,
            _ => Condition::NotAllowed,
        }
    }

    /// What the client shows.
    pub fn text(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::TokenRequired => "token required",
            Self::InvalidToken => "Invalid token",
            Self::InvalidHeader => "Invalid header",
            Self::BadTokenFormat => "bad token format",
            Self::InvalidBody => "Invalid body",
            Self::NoKeyId => "'kid' claim is missing",
            Self::NoAlgorithm => "'alg' claim is missing",
            Self::NotRsa => "'kid' claim only support with RS family",
            Self::NoKey => "could not obtain public key",
            Self::KeyMissing => "signature verification key is missing",
            Self::InvalidTyp => "Invalid typ",
            Self::WrongAlgorithm => "Invalid or incorrect alg",
            Self::InvalidSignature => "Invalid signature",
            Self::ExpiryNotNumber => "exp must be number",
            Self::NotBeforeNotNumber => "nbf must be number",
            Self::Expired { ago, valid_for } => {
                let ago = Lua(*ago);
                let valid_for = valid_for.map_or_else(String::new, |s| format!(", valid for:{} sec", Lua(s)));
                return format!("Not acceptable by exp ({ago} sec since expired{valid_for})").into();
            }
            Self::NotYet => "Not acceptable by nbf",
            Self::NoIssuer => "'iss' claim is missing",
            Self::WrongIssuer => "invalid 'iss' claim",
            Self::NoAudience => "'aud' claim is missing",
            Self::WrongAudience => "invalid 'aud' claim",
            Self::NoRoom => "room claim is missing",
            Self::NoSubject => "sub claim is missing",
            Self::NoClock => "the server's clock is not set",
        })
    }

    /// The counter's label.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TokenRequired => "none",
            Self::InvalidToken
            | Self::InvalidHeader
            | Self::BadTokenFormat
            | Self::InvalidBody
            | Self::NoKeyId
            | Self::NoAlgorithm
            | Self::InvalidTyp
            | Self::ExpiryNotNumber
            | Self::NotBeforeNotNumber => "malformed",
            Self::NotRsa | Self::WrongAlgorithm => "algorithm",
            Self::NoKey | Self::KeyMissing => "key",
            Self::InvalidSignature => "signature",
            Self::Expired { .. } => "expired",
            Self::NotYet => "not_yet",
            Self::NoIssuer | Self::WrongIssuer => "issuer",
            Self::NoAudience | Self::WrongAudience => "audience",
            Self::NoRoom | Self::NoSubject => "claims",
            Self::NoClock => "clock",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl std::error::Error for Refusal {}

/// A number as Lua 5.4 writes a float (`%.14g`, and `.0` behind what would look like an integer).
// compat: JSON has only floats for upstream (test: compat_seconds_are_written_as_lua_writes_floats).
struct Lua(f64);

impl fmt::Display for Lua {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let x = self.0;
        if !x.is_finite() {
            return f.write_str(if x.is_nan() {
                "nan"
            } else if x > 0.0 {
                "inf"
            } else {
                "-inf"
            });
        }
        // Fourteen digits, rounded; then the shorter of the two notations.
        let scientific = format!("{x:.13e}");
        let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let exponent: i32 = exponent.parse().unwrap_or_default();
        if (-4..14).contains(&exponent) {
            let decimals = usize::try_from(13 - exponent).unwrap_or_default();
            let fixed = format!("{x:.decimals$}");
            let fixed =
                if fixed.contains('.') { fixed.trim_end_matches('0').trim_end_matches('.') } else { &fixed };
            return write!(f, "{fixed}{}", if fixed.contains('.') { "" } else { ".0" });
        }
        let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
        write!(f, "{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The right column is what Lua 5.4 prints.
    #[test]
    fn compat_seconds_are_written_as_lua_writes_floats() {
        for (x, lua) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (3600.0, "3600.0"),
            (0.5, "0.5"),
            (1_795_390_568.25, "1795390568.25"),
            (1e13, "10000000000000.0"),
            (99_999_999_999_999.0, "99999999999999.0"),
            (1e14, "1e+14"),
            (1.5e300, "1.5e+300"),
            (-3.0, "-3.0"),
            (0.1 + 0.2, "0.3"),
            (1e-5, "1e-05"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(Lua(x).to_string(), lua);
        }
    }

    #[test]
    fn an_expired_token_says_for_how_long_and_how_long_it_was_valid() {
        let expired = |valid_for| Refusal::Expired { ago: 3600.0, valid_for };
        assert_eq!(expired(None).text(), "Not acceptable by exp (3600.0 sec since expired)");
        assert_eq!(
            expired(Some(7200.0)).text(),
            "Not acceptable by exp (3600.0 sec since expired, valid for:7200.0 sec)"
        );
    }
}
