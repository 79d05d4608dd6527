//! Where people reach this bridge from outside: what the admin named, where the public name leads, and what STUN servers see, in;
//! the addresses that clients are told out, at the start and whenever they change.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use service::Shutdown;
use tokio::time::{MissedTickBehavior, interval, interval_at};
use videobridge_server::BridgeHandle;

use super::limits::{NAME_EVERY, STUN_EVERY};
use super::stun;
use crate::doctor::checks::addresses;
use crate::doctor::facts::{Plan, PublicUrl};
use crate::doctor::gather;
use crate::options::named;

/// Where the public name leads, for the TURN server: clients try the bridge there as well.
pub(super) type ByName = Arc<Mutex<Vec<SocketAddr>>>;

/// What is known.
#[derive(Debug)]
pub(super) struct Public {
    plan: Plan,
    stun_servers: Vec<String>,
    by_name: Vec<SocketAddr>,
    /// What STUN servers see, one of each family.
    seen: Vec<IpAddr>,
    /// Whether they last said nothing, which was said.
    silent: bool,
    shared: ByName,
}

impl Public {
    pub(super) fn new(plan: Plan, stun_servers: Vec<String>, shared: ByName) -> Self {
        Self { plan, stun_servers, by_name: Vec::new(), seen: Vec::new(), silent: false, shared }
    }

    /// What clients are told beside the addresses that media is received on.
    pub(super) fn told(&self) -> Vec<SocketAddr> {
        let port = self.plan.media.port();
        let seen = self.seen.iter().map(|ip| SocketAddr::new(*ip, port));
        let mut told: Vec<SocketAddr> = Vec::new();
        for address in self.plan.advertise.iter().chain(&self.by_name).copied().chain(seen) {
            // Of one that is named with another port, that is the right one.
            if told.iter().all(|t| t.ip() != address.ip() || self.plan.advertise.contains(&address)) {
                told.push(address);
            }
        }
        told
    }

    /// Looks the name up for the first time. Without an answer the start goes on.
    pub(super) async fn begin(&mut self) {
        let Some((machine, found)) = self.look_up().await else { return };
        let told = self.leads(&machine, &found);
        // A name that leads to an inner address of ours is meant for the inner network. A STUN server may know better.
        if !told && self.stun_servers.is_empty() && !found.iter().any(|ip| machine.contains(ip)) {
            let line = "this machine has inner addresses only, and http.public_url leads to no other: from outside nobody has sound or picture; \
                        set media.advertise to the public address";
            tracing::warn!("{}", named(line));
        }
    }

    /// Goes on looking until the end, and tells the bridge.
    pub(super) fn follow(mut self, bridge: BridgeHandle, shutdown: &mut Shutdown) {
        if self.stun_servers.is_empty() && !(self.plan.from_dns && self.plan.advertise.is_empty()) {
            return;
        }
        let mut end = shutdown.watch();
        shutdown.spawn("public addresses", async move {
            tokio::select! {
                () = self.keep(&bridge) => {}
                _ = end.wait_for(|e| *e) => {}
            }
        });
    }

    async fn keep(&mut self, bridge: &BridgeHandle) {
        let mut name = interval_at(tokio::time::Instant::now() + NAME_EVERY, NAME_EVERY);
        let mut ask = interval(STUN_EVERY);
        name.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = name.tick() => match self.look_up().await {
                    Some((machine, found)) => _ = self.leads(&machine, &found),
                    // The machine has a public address of its own by now.
                    None => _ = self.tell(Vec::new()),
                },
                _ = ask.tick(), if !self.stun_servers.is_empty() => self.ask().await,
            }
            bridge.set_public(self.told());
        }
    }

    /// The machine's addresses and where the name leads, which is nowhere when nobody says so; `None` when it is of no interest.
    async fn look_up(&self) -> Option<(Vec<IpAddr>, Vec<IpAddr>)> {
        let machine = videobridge_udp::interface_addresses().unwrap_or_default();
        if !addresses::asks_dns(&self.plan, &machine) {
            return None;
        }
        let name = self.plan.public.as_ref().and_then(PublicUrl::name)?.to_owned();
        let found = tokio::task::spawn_blocking(move || gather::look_up(&name)).await;
        Some((machine, found.ok().and_then(Result::ok).unwrap_or_default()))
    }

    /// The name leads there. Whether clients are told of any of it.
    fn leads(&mut self, machine: &[IpAddr], found: &[IpAddr]) -> bool {
        // A name that is not found for a while was not changed.
        if found.is_empty() {
            return !self.by_name.is_empty();
        }
        let mut told = addresses::told_by_dns(&self.plan, machine, found);
        // Servers of names shuffle.
        told.sort_unstable();
        self.tell(told)
    }

    /// Clients are told these because of the name, and no others. Whether there are any.
    fn tell(&mut self, told: Vec<SocketAddr>) -> bool {
        if told == self.by_name {
            return !told.is_empty();
        }
        for address in told.iter().filter(|a| !self.by_name.contains(a)) {
            let because = named("where http.public_url leads; see media.from_dns");
            tracing::info!("clients are told {address} for media, {because}");
        }
        for address in self.by_name.iter().filter(|a| !told.contains(a)) {
            let why = named("http.public_url does not lead there any more");
            tracing::info!("clients are not told {address} for media from now on: {why}");
        }
        self.by_name = told.clone();
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = told;
        !self.by_name.is_empty()
    }

    async fn ask(&mut self) {
        let mut answers = Vec::new();
        for from in stun::ways(self.plan.media.ip()) {
            for server in &self.stun_servers {
                if let Some(ip) = ask(server, from).await {
                    answers.push(ip);
                    break;
                }
            }
        }
        let machine = videobridge_udp::interface_addresses().unwrap_or_default();
        self.saw(&answers, &machine);
    }

    /// What the servers said, at most one address of each family.
    fn saw(&mut self, answers: &[IpAddr], machine: &[IpAddr]) {
        let silent = answers.is_empty();
        if silent && !self.silent {
            let line = "no server in media.stun_servers says under which address it sees this machine";
            tracing::warn!("{}", named(line));
        }
        self.silent = silent;
        for answer in answers {
            let known = self.seen.iter().position(|s| s.is_ipv4() == answer.is_ipv4());
            if self.seen.contains(answer) {
                continue;
            }
            if let Some(old) = known {
                self.seen.remove(old);
            }
            // Without NAT it is one that clients are told anyway.
            if !machine.contains(answer) {
                self.seen.push(*answer);
                let because = named("as a STUN server sees this machine; see media.stun_servers");
                tracing::info!("clients are told {answer} for media, {because}");
                let others: Vec<String> = self.elsewhere(*answer).iter().map(ToString::to_string).collect();
                if !others.is_empty() {
                    let others = others.join(", ");
                    let todo = named("correct media.advertise, or the DNS record of http.public_url");
                    tracing::warn!(
                        "a STUN server sees this machine as {answer}, and clients are told {others} as well: if that is an old address, {todo}"
                    );
                }
            }
        }
    }

    /// What clients are told of this one's family and is another, when it is not among them.
    fn elsewhere(&self, seen: IpAddr) -> Vec<IpAddr> {
        let known = self.plan.advertise.iter().chain(&self.by_name).map(SocketAddr::ip);
        let known: Vec<IpAddr> = known.filter(|ip| ip.is_ipv4() == seen.is_ipv4()).collect();
        if known.contains(&seen) { Vec::new() } else { known }
    }
}

/// Asks one server, by its name, over the family of `from`.
async fn ask(server: &str, from: IpAddr) -> Option<IpAddr> {
    let (host, port) = server.rsplit_once(':')?;
    let (host, port) = (host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?);
    let found = match host.parse() {
        Ok(ip) => vec![ip],
        Err(_) => tokio::task::spawn_blocking(move || gather::look_up(&host)).await.ok()?.ok()?,
    };
    let ip = found.into_iter().find(|ip| ip.is_ipv4() == from.is_ipv4())?;
    stun::ask(SocketAddr::new(ip, port), from).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::facts::tests::healthy;

    fn public(advertise: &[&str]) -> Public {
        let advertise = advertise.iter().map(|a| a.parse().unwrap()).collect();
        let plan = Plan { advertise, ..healthy().plan.unwrap() };
        Public::new(plan, vec!["stun.example:3478".into()], ByName::default())
    }

    fn ips(all: &[&str]) -> Vec<IpAddr> {
        all.iter().map(|a| a.parse().unwrap()).collect()
    }

    fn told(p: &Public) -> Vec<String> {
        p.told().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_name_that_leads_elsewhere_now_is_told_to_clients_and_the_turn_server() {
        let (mut p, inner) = (public(&[]), ips(&["192.168.1.5"]));
        assert!(p.leads(&inner, &ips(&["203.0.113.20", "203.0.113.9"])));
        assert_eq!(told(&p), ["203.0.113.9:10000", "203.0.113.20:10000"]);
        assert!(p.leads(&inner, &ips(&["203.0.113.9", "203.0.113.20"])), "shuffled");
        assert!(p.leads(&inner, &ips(&["203.0.113.21"])));
        assert_eq!(told(&p), ["203.0.113.21:10000"]);
        assert_eq!(*p.shared.lock().unwrap(), p.told());
        // The system's resolver has no answer for a while.
        p.leads(&inner, &[]);
        assert_eq!(told(&p), ["203.0.113.21:10000"]);
        // It is the machine's own now: it moved.
        assert!(!p.leads(&ips(&["203.0.113.22"]), &ips(&["203.0.113.22"])));
        assert_eq!(told(&p), [""; 0]);
    }

    #[test]
    fn what_a_stun_server_sees_is_told_until_it_sees_another_and_is_no_peer_of_relays() {
        let (mut p, inner) = (public(&[]), ips(&["192.168.1.5"]));
        p.saw(&ips(&["203.0.113.20", "2001:db8::7"]), &inner);
        assert_eq!(told(&p), ["203.0.113.20:10000", "[2001:db8::7]:10000"]);
        p.saw(&[], &inner);
        assert_eq!(told(&p).len(), 2, "no answer is no news");
        p.saw(&ips(&["203.0.113.21"]), &inner);
        assert_eq!(told(&p), ["[2001:db8::7]:10000", "203.0.113.21:10000"]);
        // Whoever can forge an answer would have a way to any host's port.
        assert!(p.shared.lock().unwrap().is_empty());
        p.saw(&ips(&["203.0.113.22"]), &ips(&["203.0.113.22"]));
        assert_eq!(told(&p), ["[2001:db8::7]:10000"], "its own address is told anyway");
    }

    #[test]
    fn an_address_that_was_named_with_a_port_keeps_it() {
        let mut p = public(&["203.0.113.20:443", "203.0.113.20:444"]);
        p.saw(&ips(&["203.0.113.20"]), &[]);
        assert_eq!(told(&p), ["203.0.113.20:443", "203.0.113.20:444"]);
        assert_eq!(p.elsewhere("203.0.113.20".parse().unwrap()), ips(&[]));
        assert_eq!(p.elsewhere("203.0.113.21".parse().unwrap()), ips(&["203.0.113.20", "203.0.113.20"]));
        assert_eq!(p.elsewhere("2001:db8::7".parse().unwrap()), ips(&[]));
    }
}
