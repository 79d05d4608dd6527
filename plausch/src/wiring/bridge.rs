//! The bridge started from settings, on a link.

use service::StartError;
use videobridge_server::{Config, Raw};
use xmpp_link::Link;

use super::{Process, Routes, part};
use crate::greeting;

/// Starts the media threads and enters the bridges' room.
pub(super) async fn start(p: &mut Process<'_>, link: Option<Link>) -> Result<Routes, StartError> {
    let s = p.settings;
    let machine = if s.media.ip().is_unspecified() {
        videobridge_udp::interface_addresses().map_err(|e| part("the videobridge", e))?
    } else {
        Vec::new()
    };
    let (domain, tls) = match &s.web.public_url {
        Some(url) => (url.split("://").nth(1).unwrap_or_default().to_owned(), url.starts_with("https")),
        None => (greeting::browsable(s.http), false),
    };
    let raw = Raw {
        media: s.media,
        advertise: s.advertise.iter().map(|a| format!("{}#{}", a.ip(), a.port())).collect(),
        breweries: vec![format!("{}@{}", s.bridge.brewery, s.domains.internal_muc)],
        nick: s.bridge.name.clone(),
        region: s.bridge.region.clone(),
        web_socket_domains: vec![domain],
        web_socket_tls: tls,
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
    Ok(Routes { public: handle.public_router(), admin: handle.colibri_router() })
}
