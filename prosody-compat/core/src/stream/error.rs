//! Stream errors (RFC 6120 §4.9): what went wrong in, the element that ends the stream out.

use jitsi_xmpp::xml::escape_text;

use crate::output::CloseReason;

/// Why a stream ends. Blame: the peer, except for `SystemShutdown`. Consequence: the connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamError {
    AccountDeleted,
    AccountDisabled,
    AckedTooMuch { h: u32, sent: u32 },
    ClosedByAdmin,
    Conflict,
    ConnectionTimeout,
    HostUnknown,
    NotAuthorized,
    NotWellFormed,
    PasswordChanged,
    SystemShutdown,
    TooLarge,
    TooManyFailures,
    Unexpected,
}

impl StreamError {
    const fn condition(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::ConnectionTimeout => "connection-timeout",
            Self::ClosedByAdmin | Self::AckedTooMuch { .. } => "undefined-condition",
            Self::HostUnknown => "host-unknown",
            Self::NotAuthorized | Self::AccountDeleted | Self::AccountDisabled => "not-authorized",
            Self::NotWellFormed => "not-well-formed",
            Self::PasswordChanged => "reset",
            Self::SystemShutdown => "system-shutdown",
            Self::TooLarge | Self::TooManyFailures => "policy-violation",
            Self::Unexpected => "unsupported-stanza-type",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::AckedTooMuch { .. } => "Client acknowledged more stanzas than sent by server",
            Self::AccountDeleted => "Account deleted",
            Self::AccountDisabled => "Account disabled",
            Self::PasswordChanged => "Password changed",
            Self::ClosedByAdmin => "Connection closed by the administrator",
            Self::Conflict => "Replaced by new connection",
            Self::TooLarge => "stanza too large",
            Self::TooManyFailures => "Too many failed logins",
            Self::HostUnknown => "This server does not serve this host",
            _ => "",
        }
    }

    pub(crate) const fn close_reason(self) -> CloseReason {
        match self {
            Self::Conflict => CloseReason::Replaced,
            Self::ConnectionTimeout => CloseReason::Timeout,
            Self::HostUnknown => CloseReason::HostUnknown,
            Self::SystemShutdown => CloseReason::Shutdown,
            _ => CloseReason::StreamError,
        }
    }

    /// The error, complete in itself (client §0.2).
    pub(crate) fn to_xml(self) -> String {
        let mut xml = String::from(
            r#"<stream:error xmlns:stream="http://etherx.jabber.org/streams" xmlns="jabber:client">"#,
        );
        let condition = self.condition();
        xml.push_str(&format!(r#"<{condition} xmlns="urn:ietf:params:xml:ns:xmpp-streams"/>"#));
        if !self.text().is_empty() {
            xml.push_str(r#"<text xmlns="urn:ietf:params:xml:ns:xmpp-streams">"#);
            escape_text(self.text(), &mut xml);
            xml.push_str("</text>");
        }
        if let Self::AckedTooMuch { h, sent } = self {
            xml.push_str(&format!(
                r#"<handled-count-too-high xmlns="urn:xmpp:sm:3" h="{h}" send-count="{sent}"/>"#
            ));
        }
        xml.push_str("</stream:error>");
        xml
    }
}
