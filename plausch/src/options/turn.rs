//! The options of TURN and STUN servers in; the services that clients are told of (xmpp-server §2.13), and what a server of our own
//! is started with, out.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jitsi_xmpp::{Entropy as _, Sensitive};
use prosody_core::{Credentials, ExternalService};
use service::entropy::SystemEntropy;
use service::{Effective, StartError};

use super::values::NAME;
use super::{Https, addresses, listen_if_any};

/// A TURN server of our own.
#[derive(Debug, Clone)]
pub(crate) struct OwnTurn {
    pub(crate) listen: SocketAddr,
    /// Bridges outside this process that it may lead to.
    pub(crate) peers: Vec<SocketAddr>,
    pub(crate) secret: Sensitive<String>,
}

/// Each host with each transport, as upstream's template writes them; our own first.
pub(super) fn services(
    e: &Effective,
    public_url: Option<&str>,
    https: Option<&Https>,
) -> Result<(Vec<ExternalService>, Option<OwnTurn>), StartError> {
    let secret = |key: &str| Sensitive::new(e.text(key).to_owned());
    let given = |key: &str| !e.text(key).is_empty();
    let credentials = match (given("turn.secret"), given("turn.username"), given("turn.password")) {
        (true, _, _) => Credentials::Secret(secret("turn.secret")),
        (false, true, true) => {
            Credentials::Static { username: secret("turn.username"), password: secret("turn.password") }
        }
        (false, false, false) => Credentials::None,
        (false, true, false) => return Err(e.bad("turn.username", "needs turn.password beside it")),
        (false, false, true) => return Err(e.bad("turn.password", "needs turn.username beside it")),
    };
    let ttl = Duration::from_secs(e.parse::<u32>("turn.ttl")?.into());
    let service = |kind: &str, host: &str, port: u16, transport: &str, credentials: &Credentials| {
        let (kind, host, transport) = (kind.to_owned(), host.to_owned(), transport.to_owned());
        ExternalService { kind, host, port, transport, credentials: credentials.clone(), ttl }
    };
    let mut all = Vec::new();
    let own = own(e)?;
    if let Some(own) = &own {
        let credentials = Credentials::Own(own.secret.clone());
        let at = reached(e, own, public_url)?;
        let udp = own.listen.port();
        all.push(service("stun", &at.host, udp, "udp", &Credentials::None));
        all.push(service("turn", &at.host, udp, "udp", &credentials));
        if let Some(https) = https {
            let port = at.tls.unwrap_or_else(|| https.listen.port());
            all.push(service("turns", &at.host, port, "tcp", &credentials));
        }
    }
    let mut add =
        |kind: &str, key: &str, hosts: &[String], port: u16, transport: &str, credentials: &Credentials| {
            for host in hosts {
                let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
                if (host.len() > NAME || !host.bytes().all(plain)) && host.parse::<IpAddr>().is_err() {
                    return Err(e.bad(key, "must be host names or addresses"));
                }
                all.push(service(kind, host, port, transport, credentials));
            }
            Ok(())
        };
    let stun: Vec<String> =
        Some(e.text("turn.stun_host")).filter(|h| !h.is_empty()).map(str::to_owned).into_iter().collect();
    add("stun", "turn.stun_host", &stun, e.parse("turn.stun_port")?, "udp", &Credentials::None)?;
    for transport in e.list("turn.transports") {
        if !matches!(transport.as_str(), "tcp" | "udp") {
            return Err(e.bad("turn.transports", "must be `tcp`, `udp` or both"));
        }
        add("turn", "turn.hosts", e.list("turn.hosts"), e.parse("turn.port")?, transport, &credentials)?;
    }
    add("turns", "turn.tls_hosts", e.list("turn.tls_hosts"), e.parse("turn.tls_port")?, "tcp", &credentials)?;
    Ok((all, own))
}

fn own(e: &Effective) -> Result<Option<OwnTurn>, StartError> {
    // Also without a server: a wrong address is a mistake.
    let peers = addresses(e, "turn.peers", MEDIA_PORT)?;
    let Some(listen) = listen_if_any(e, "turn.listen")? else { return Ok(None) };
    let secret = match e.text("turn.secret") {
        "" => SystemEntropy.hex(32),
        given => given.to_owned(),
    };
    Ok(Some(OwnTurn { listen, peers, secret: Sensitive::new(secret) }))
}

/// How clients reach our own.
struct Reached {
    host: String,
    /// The port of TLS, where a public URL says it.
    tls: Option<u16>,
}

fn reached(e: &Effective, own: &OwnTurn, public_url: Option<&str>) -> Result<Reached, StartError> {
    if let Some(url) = public_url.and_then(|url| url.parse::<http::Uri>().ok())
        && let Some(host) = url.host()
    {
        let tls = (url.scheme_str() == Some("https")).then(|| url.port_u16().unwrap_or(443));
        return Ok(Reached { host: host.to_owned(), tls });
    }
    match own.listen.ip() {
        ip if ip.is_unspecified() => {
            Err(e.bad("turn.listen", "needs http.public_url, the name that clients are told"))
        }
        IpAddr::V6(ip) => Ok(Reached { host: format!("[{ip}]"), tls: None }),
        IpAddr::V4(ip) => Ok(Reached { host: ip.to_string(), tls: None }),
    }
}

/// Of bridges whose address is named without one.
const MEDIA_PORT: u16 = 10_000;
