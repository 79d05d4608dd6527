//! The TURN server started from settings, leading to the bridge of the same process.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError};

use service::StartError;
use service::entropy::SystemEntropy;
use turn_server::{Config, Peers, Secret, TurnHandle};

use super::{Process, part};
use crate::front::limits;

/// `None`: it is not wanted.
pub(super) fn start(p: &mut Process<'_>, before: Option<OwnedFd>) -> Result<Option<TurnHandle>, StartError> {
    let Some(own) = &p.settings.turn else { return Ok(None) };
    let machine = || videobridge_udp::interface_addresses();
    let at = own.listen;
    let listen = all(at, &machine().map_err(|e| part(PART, e))?);
    let secret = own.secret.clone();
    let (media, more, mut named) =
        (p.settings.media, p.settings.media_more.clone(), p.settings.advertise.clone());
    named.extend(&own.peers);
    let by_name = Arc::clone(&p.by_name);
    let config = Config {
        listen,
        listen_now: Box::new(move || match at.ip().is_unspecified() {
            true => machine().map_or_else(|_| Vec::new(), |m| all(at, &m)),
            false => Vec::new(),
        }),
        secret: Box::new(move || Secret::new(secret.clone(), &mut SystemEntropy)),
        // The bridge follows the addresses of the machine, and so does this.
        peers: Box::new(move || {
            let mut bridge =
                if media.ip().is_unspecified() { all(media, &machine().ok()?) } else { vec![media] };
            bridge.extend(more.iter().map(|ip| SocketAddr::new(*ip, media.port())));
            let by_name = by_name.lock().unwrap_or_else(PoisonError::into_inner);
            let named: Vec<SocketAddr> = named.iter().chain(by_name.iter()).copied().collect();
            Some(Peers::new(&bridge, &named))
        }),
        allocations: limits::open_files() / 8,
        before,
    };
    let (handle, task) = turn_server::start(config, p.shutdown.watch())?;
    p.shutdown.spawn("TURN", async move {
        // An error is a panic, which the runtime has reported.
        let _ = task.await;
    });
    let (health, numbers) = (handle.clone(), handle.clone());
    p.health.add("turn", move || health.health());
    p.metrics.add(move |out| numbers.expose(out));
    Ok(Some(handle))
}

/// A wildcard as the machine's addresses of its family, `[::]` as those of both: answers leave from where requests arrived.
fn all(address: SocketAddr, machine: &[std::net::IpAddr]) -> Vec<SocketAddr> {
    if !address.ip().is_unspecified() {
        return vec![address];
    }
    let of_family = machine.iter().filter(|ip| address.is_ipv6() || ip.is_ipv4());
    of_family.map(|ip| SocketAddr::new(*ip, address.port())).collect()
}

const PART: &str = "the TURN server";
