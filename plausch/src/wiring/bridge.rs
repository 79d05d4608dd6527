//! The bridge started from settings, on a link.

use std::net::{IpAddr, SocketAddr};

use service::StartError;
use videobridge_server::{BridgeHandle, Config, Raw};
use xmpp_link::Link;

use super::{Process, Routes, part};
use crate::doctor::checks::addresses;
use crate::doctor::facts::{Plan, PublicUrl};
use crate::doctor::gather;
use crate::greeting;
use crate::options::named;

/// Starts the media threads and enters the bridges' room.
pub(super) async fn start(
    p: &mut Process<'_>,
    link: Option<Link>,
) -> Result<(Routes, BridgeHandle), StartError> {
    let s = p.settings;
    let machine = if s.media.ip().is_unspecified() {
        videobridge_udp::interface_addresses().map_err(|e| part("the videobridge", e))?
    } else {
        Vec::new()
    };
    let mut advertise = s.advertise.clone();
    let plan = Plan::of(p.role, s);
    if addresses::asks_dns(&plan, &machine)
        && let Some(name) = plan.public.as_ref().and_then(PublicUrl::name).map(str::to_owned)
    {
        advertise = by_name(&plan, &machine, name).await;
    }
    let channel = channel(&s.web.public_url, s.http, s.client.prefer_sctp);
    let (domain, tls) = match channel {
        Channel::At { domain, tls } => (vec![domain], tls),
        Channel::Nowhere => (Vec::new(), false),
    };
    let raw = Raw {
        media: s.media,
        advertise: advertise.iter().map(|a| format!("{}#{}", a.ip(), a.port())).collect(),
        breweries: vec![format!("{}@{}", s.bridge.brewery, s.domains.internal_muc)],
        nick: s.bridge.name.clone(),
        region: s.bridge.region.clone(),
        web_socket_domains: domain,
        web_socket_tls: tls,
        inner: s.inner_addresses,
        threads: s.media_threads,
        gso: s.media_gso,
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let config = Config::check(raw, &machine, cores).map_err(|e| part("the videobridge", e))?;
    let (handle, task) = videobridge_server::start(config, link, p.shutdown.watch()).await?;
    p.shutdown.spawn("videobridge", async move {
        // An error is a panic, which the runtime has reported.
        let _ = task.await;
    });
    let (health, numbers) = (handle.clone(), handle.clone());
    p.health.add("videobridge", move || health.health());
    p.metrics.add(move |out| numbers.expose(out));
    Ok((Routes { public: handle.public_router(), admin: handle.colibri_router() }, handle))
}

/// What the public name says about where people reach this machine. Without an answer the start goes on.
async fn by_name(plan: &Plan, machine: &[IpAddr], name: String) -> Vec<SocketAddr> {
    let looked = tokio::task::spawn_blocking(move || gather::look_up(&name)).await;
    let found = looked.ok().and_then(Result::ok).unwrap_or_default();
    let told = addresses::told_by_dns(plan, machine, &found);
    // A name that leads to an inner address of ours is meant for the inner network.
    if told.is_empty() && !found.iter().any(|ip| machine.contains(ip)) {
        let line = "this machine has inner addresses only, and http.public_url leads to no other: from outside nobody has sound or picture; \
                    set media.advertise to the public address";
        tracing::warn!("{}", named(line));
    }
    for address in &told {
        let because = named("where http.public_url leads; see media.from_dns");
        tracing::info!("clients are told {address} for media, {because}");
    }
    told
}

/// Where clients reach the bridge channel as WebSocket.
#[derive(Debug, PartialEq, Eq)]
enum Channel {
    At { domain: String, tls: bool },
    Nowhere,
}

/// An address of the machine itself is told to nobody: behind a web server it would be the client's own machine. Only an
/// admin who turned the data channel off for a try on one machine gets it.
fn channel(public_url: &Option<String>, http: SocketAddr, prefer_sctp: bool) -> Channel {
    let at = |domain: String, tls| Channel::At { domain, tls };
    match public_url.as_deref().and_then(|url| url.split_once("://")) {
        Some((scheme, domain)) => at(domain.to_owned(), scheme == "https"),
        None if !http.ip().is_loopback() && !http.ip().is_unspecified() => at(http.to_string(), false),
        None if !prefer_sctp => {
            let because = named("http.public_url is not set");
            tracing::warn!("the bridge channel as WebSocket is reachable from this machine alone: {because}");
            at(greeting::browsable(http), false)
        }
        None => Channel::Nowhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients behind a web server were told `ws://localhost`.
    #[test]
    fn nobody_is_told_an_address_of_the_machine_itself() {
        let at = |domain: &str, tls| Channel::At { domain: domain.into(), tls };
        for http in ["127.0.0.1:8000", "[::1]:8000", "0.0.0.0:8000", "[::]:8000"] {
            let http = http.parse().unwrap();
            assert_eq!(channel(&None, http, true), Channel::Nowhere);
            assert_eq!(channel(&None, http, false), at("localhost:8000", false));
            let url = Some("https://meet.example".to_owned());
            assert_eq!(channel(&url, http, true), at("meet.example", true));
        }
        let here = "192.0.2.7:8000".parse().unwrap();
        assert_eq!(channel(&None, here, true), at("192.0.2.7:8000", false));
        assert_eq!(channel(&Some("http://localhost:8000".into()), here, true), at("localhost:8000", false));
    }
}
