//! The bridge started from settings, on a link.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use service::StartError;
use videobridge_server::{BridgeHandle, Config, Raw};
use xmpp_link::Link;

use super::public::Public;
use super::{Process, Routes, part};
use crate::doctor::facts::Plan;
use crate::greeting;
use crate::options::named;

/// Starts the media threads and enters the bridges' room. `before`: the ways to the media threads of the process before.
pub(super) async fn start(
    p: &mut Process<'_>,
    link: Option<Link>,
    before: Vec<OwnedFd>,
) -> Result<(Routes, BridgeHandle), StartError> {
    let s = p.settings;
    let machine = if s.media.ip().is_unspecified() {
        videobridge_udp::interface_addresses().map_err(|e| part("the videobridge", e))?
    } else {
        Vec::new()
    };
    let mut public = Public::new(Plan::of(p.role, s), s.stun_servers.clone(), Arc::clone(&p.by_name));
    public.begin().await;
    let channel = channel(&s.web.public_url, s.http, s.client.prefer_sctp);
    let (domain, tls) = match channel {
        Channel::At { domain, tls } => (vec![domain], tls),
        Channel::Nowhere => (Vec::new(), false),
    };
    let raw = Raw {
        media: s.media,
        more: s.media_more.clone(),
        advertise: public.told().iter().map(|a| format!("{}#{}", a.ip(), a.port())).collect(),
        breweries: vec![format!("{}@{}", s.bridge.brewery, s.domains.internal_muc)],
        nick: s.bridge.name.clone(),
        region: s.bridge.region.clone(),
        relay_id: s.bridge.relay_id.clone(),
        web_socket_domains: domain,
        web_socket_tls: tls,
        tcp: s.media_tcp,
        inner: s.inner_addresses,
        threads: s.media_threads,
        spread_above: s.media_spread_above,
        gso: s.media_gso,
        last_n: s.last_n.clone(),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let config = Config::check(raw, &machine, cores).map_err(|e| part("the videobridge", e))?;
    let (handle, task) = videobridge_server::succeed(config, link, p.shutdown.watch(), before).await?;
    p.shutdown.spawn("videobridge", async move {
        // An error is a panic, which the runtime has reported.
        let _ = task.await;
    });
    public.follow(handle.clone(), &mut p.shutdown);
    let (health, numbers) = (handle.clone(), handle.clone());
    p.health.add("videobridge", move || health.health());
    p.metrics.add(move |out| numbers.expose(out));
    let (public, admin) = (handle.public_router(), handle.colibri_router());
    Ok((Routes { public, admin, keyed: axum::Router::new() }, handle))
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
