//! The options of TURN and STUN servers in; the services that clients are told of out (xmpp-server §2.13).

use std::net::IpAddr;
use std::time::Duration;

use jitsi_xmpp::Sensitive;
use prosody_core::{Credentials, ExternalService};
use service::{Effective, StartError};

/// Each host with each transport, as upstream's template writes them.
pub(super) fn services(e: &Effective) -> Result<Vec<ExternalService>, StartError> {
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
    let mut all = Vec::new();
    let mut add =
        |kind: &str, key: &str, hosts: &[String], port: u16, transport: &str, credentials: &Credentials| {
            for host in hosts {
                let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
                if !host.bytes().all(plain) && host.parse::<IpAddr>().is_err() {
                    return Err(e.bad(key, "must be host names or addresses"));
                }
                all.push(ExternalService {
                    kind: kind.to_owned(),
                    host: host.clone(),
                    port,
                    transport: transport.to_owned(),
                    credentials: credentials.clone(),
                    ttl,
                });
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
    Ok(all)
}
