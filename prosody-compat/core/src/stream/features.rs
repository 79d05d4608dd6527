//! What a stream offers at each step: the connection in, `<stream:features/>` out.

use crate::config::Config;
use crate::connection::{Conn, Framing};
use crate::hosts::Users;

/// Before the login: mechanisms, or the demand to encrypt first.
pub(super) fn before_login(config: &Config, conn: &Conn, users: &Users) -> String {
    let mut inner = String::new();
    if conn.secure(config.require_encryption) {
        inner.push_str(r#"<mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl">"#);
        for m in users.offered(conn.encrypted) {
            inner.push_str("<mechanism>");
            inner.push_str(m.as_str());
            inner.push_str("</mechanism>");
        }
        inner.push_str("</mechanisms>");
        if offers_tls(config, conn) {
            inner.push_str(r#"<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>"#);
        }
    } else {
        inner.push_str(r#"<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"><required/></starttls>"#);
    }
    wrap(config, conn, &inner)
}

/// After the login: bind and resumption. No `<session/>`: it would cost clients a round trip.
pub(super) fn after_login(config: &Config, conn: &Conn) -> String {
    let inner = r#"<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><required/></bind><sm xmlns="urn:xmpp:sm:3"><optional/></sm>"#;
    wrap(config, conn, inner)
}

/// Whether this connection may still be encrypted.
pub(super) fn offers_tls(config: &Config, conn: &Conn) -> bool {
    config.offer_tls && conn.framing == Framing::Tcp && !conn.encrypted
}

fn wrap(config: &Config, conn: &Conn, inner: &str) -> String {
    let limits = if conn.framing == Framing::Bosh {
        String::new()
    } else {
        format!(
            r#"<limits xmlns="urn:xmpp:stream-limits:0"><max-bytes>{}</max-bytes><idle-seconds>{}</idle-seconds></limits>"#,
            config.limits.max_stanza_bytes,
            config.limits.idle.as_secs()
        )
    };
    // compat: a frame must be complete in itself, so `xmlns:stream` is declared here
    // (test: compat_websocket_frames_are_what_the_client_library_wants).
    format!(
        r#"<stream:features xmlns:stream="http://etherx.jabber.org/streams" xmlns="jabber:client">{inner}{limits}</stream:features>"#
    )
}
