//! Where the server is and what its hosts are called.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rustls::ClientConfig;

use super::tls;

/// A server to load.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    /// `None`: not encrypted.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// `host:port`, for the Host header.
    pub(super) host: String,
    /// `/xmpp-websocket`
    pub(super) path: String,
    /// `meet.jitsi`
    pub(super) domain: String,
    /// `muc.meet.jitsi`
    pub(super) muc: String,
    /// `auth.meet.jitsi`
    pub(super) auth_domain: String,
    /// `focus.meet.jitsi`
    pub(super) focus_domain: String,
}

impl Target {
    /// Reads the URL and resolves its host.
    pub(super) fn new(
        url: &str,
        domain: &str,
        muc: Option<&str>,
        auth_domain: Option<&str>,
        focus_domain: Option<&str>,
    ) -> Result<Self> {
        let (tls, rest) = match (url.strip_prefix("ws://"), url.strip_prefix("wss://")) {
            (Some(rest), _) => (None, rest),
            (_, Some(rest)) => (Some(tls::anybody()?), rest),
            (None, None) => bail!("`{url}` does not begin with ws:// or wss://"),
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, "xmpp-websocket"));
        let with_port = if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
            host.to_owned()
        } else {
            format!("{host}:{}", if tls.is_some() { 443 } else { 80 })
        };
        let address = with_port
            .to_socket_addrs()
            .ok()
            .and_then(|mut all| all.next())
            .with_context(|| format!("`{host}` in `{url}` is no known host"))?;
        let below = |name: Option<&str>, prefix: &str| {
            name.map_or_else(|| format!("{prefix}.{domain}"), str::to_owned)
        };
        Ok(Self {
            address,
            tls,
            host: host.to_owned(),
            path: format!("/{path}"),
            domain: domain.to_owned(),
            muc: below(muc, "muc"),
            auth_domain: below(auth_domain, "auth"),
            focus_domain: below(focus_domain, "focus"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_and_hosts_named_as_in_upstreams_containers() {
        let t =
            Target::new("ws://127.0.0.1:8000/a/xmpp-websocket?x=1", "meet.jitsi", None, None, None).unwrap();
        assert_eq!(t.address, "127.0.0.1:8000".parse().unwrap());
        assert_eq!((t.path.as_str(), t.muc.as_str()), ("/a/xmpp-websocket?x=1", "muc.meet.jitsi"));
        let t = Target::new("ws://127.0.0.1", "d", Some("rooms.d"), None, None).unwrap();
        assert_eq!((t.address.port(), t.path.as_str(), t.muc.as_str()), (80, "/xmpp-websocket", "rooms.d"));
        assert!(Target::new("http://x/", "d", None, None, None).unwrap_err().to_string().contains("ws://"));
        assert!(
            Target::new("ws://:5/", "d", None, None, None).unwrap_err().to_string().contains("no known host")
        );
    }
}
