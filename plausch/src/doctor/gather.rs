//! The machine in, facts out. Everything that touches the system is here, and nothing of it changes anything.

use std::fs::read_to_string;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::SystemTime;

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;
use rustls::pki_types::ServerName;
use rustls::server::ParsedCertificate;
use service::Effective;
use service::certificate::{self, Validity};

use super::env_file::Odd;
use super::facts::{Certificate, Clock, Facts, Folder, Plan, Port, PortState, PublicUrl, Server};
use crate::acme::{Acme, former};
use crate::commands::limits::NAME_LOOKUP;
use crate::commands::{Given, ask};
use crate::options::families::machine_has_ipv6;
use crate::options::{self, CertificateOrigin, Https, Role, Settings};
use crate::wiring;

/// Looks around. `odd`: of the `.env` file.
pub(crate) fn facts(given: &Given, odd: Odd) -> Facts {
    let mut settings = given
        .effective
        .as_ref()
        .map_err(options::line)
        .and_then(|e| Settings::look(e).map_err(|e| options::line(&e)));
    if let Ok(settings) = &mut settings {
        settings.on_a_machine(machine_has_ipv6());
    }
    let mut plan = settings.as_ref().map(|s| Plan::of(given.role, s)).map_err(Clone::clone);
    if let (Ok(settings), Role::AllInOne | Role::Xmpp) = (&settings, given.role)
        && let Err(e) = wiring::xmpp_config(settings)
    {
        plan = Err(options::line(&e));
    }
    let name = plan.as_ref().ok().and_then(|p| p.public.as_ref()?.name().map(look_up));
    let text = |key| given.effective.as_ref().map_or("", |e: &Effective| e.text(key));
    let certificate = settings
        .as_ref()
        .ok()
        .and_then(|s| read(s.https.as_ref()?, plan.as_ref().ok().and_then(|p| p.public.as_ref())));
    if let (Ok(plan), Some(_)) = (&mut plan, &certificate) {
        plan.own_certificate = false;
    }
    Facts {
        role: given.role,
        file: given.file.clone(),
        ports: plan.as_ref().map_or_else(|_| Vec::new(), ports),
        server: plan.as_ref().ok().and_then(|p| server(p.admin)),
        state: state(text("admin.token_file")),
        plan,
        variables: given.variables.clone(),
        accepted: given.effective.as_ref().map_or_else(|_| Vec::new(), |e| e.list("start.accept").to_vec()),
        custom: given.custom.clone(),
        odd,
        now: SystemTime::now(),
        machine: videobridge_udp::interface_addresses().unwrap_or_default(),
        name,
        buffers: buffers(),
        open_files: getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(_, hard)| hard),
        clock: clock(),
        certificate,
        container: container(),
        memory: memory(),
    }
}

/// Asks the system's resolver, which may ask a server that the admin has named there.
pub(crate) fn look_up(name: &str) -> Result<Vec<IpAddr>, String> {
    use std::net::ToSocketAddrs as _;
    let name = name.to_owned();
    patiently(move || {
        let all = (name.as_str(), 0).to_socket_addrs().map_err(|e| e.to_string())?;
        let mut ips: Vec<IpAddr> = Vec::new();
        for ip in all.map(|a| a.ip()) {
            if !ips.contains(&ip) {
                ips.push(ip);
            }
        }
        Ok(ips)
    })
}

/// Resolvers have deadlines of their own, which are longer.
fn patiently(
    look_up: impl FnOnce() -> Result<Vec<IpAddr>, String> + Send + 'static,
) -> Result<Vec<IpAddr>, String> {
    let (done, wait) = sync_channel(1);
    let spawned = std::thread::Builder::new().name("name".into()).spawn(move || {
        let _ = done.send(look_up());
    });
    spawned.map_err(|e| e.to_string())?;
    wait.recv_timeout(NAME_LOOKUP).unwrap_or_else(|_| Err("no answer in time".into()))
}

fn ports(plan: &Plan) -> Vec<Port> {
    let mut all = vec![("http.listen", plan.http, "tcp"), ("admin.listen", plan.admin, "tcp")];
    all.extend(plan.https.map(|a| ("https.listen", a, "tcp")));
    if matches!(plan.role, Role::AllInOne | Role::Xmpp) {
        all.push(("xmpp.listen", plan.xmpp, "tcp"));
    }
    if plan.has_media() {
        let port = plan.media.port();
        all.extend(
            plan.media_addresses().iter().map(|ip| ("media.listen", SocketAddr::new(*ip, port), "udp")),
        );
        let tcp = plan.media_tcp.map(|ports| ports.own);
        all.extend(tcp.into_iter().flat_map(|port| {
            let on = |ip: &IpAddr| ("media.tcp_port", SocketAddr::new(*ip, port), "tcp");
            plan.media_addresses().iter().map(on).collect::<Vec<_>>()
        }));
    }
    all.into_iter()
        .map(|(option, address, protocol)| {
            let tried = match protocol {
                "udp" => UdpSocket::bind(address).map(drop),
                _ => TcpListener::bind(address).map(drop),
            };
            let state = match tried.map_err(|e| (e.kind(), e.to_string())) {
                Ok(()) => PortState::Free,
                Err((ErrorKind::AddrInUse, _)) => PortState::Taken,
                Err((ErrorKind::PermissionDenied, _)) => PortState::Forbidden,
                Err((_, why)) => PortState::Refused(why),
            };
            Port { option, address, protocol, state }
        })
        .collect()
}

/// What a start would serve, unless it would have to make one of its own.
fn read(https: &Https, public: Option<&PublicUrl>) -> Option<Certificate> {
    let left = |name: &str| Some(former::find(&https.former, name, SystemTime::now())?.0);
    let key = match &https.certificate {
        CertificateOrigin::Files(files) => certificate::read(files).ok()?,
        CertificateOrigin::Acme(wish) => match Acme::new(wish.clone()).kept() {
            Some((kept, _)) => kept,
            None => left(wish.names.first()?)?,
        },
        CertificateOrigin::Own => left(&public?.host)?,
    };
    let first = key.cert.first()?;
    let names_us = public.filter(|p| !p.is_local()).map(|p| {
        let parsed = ParsedCertificate::try_from(first);
        let name = ServerName::try_from(p.host.as_str());
        matches!((parsed, name), (Ok(c), Ok(n)) if rustls::client::verify_server_name(&c, &n).is_ok())
    });
    let (from, until) = Validity::of(first).map(|v| (v.from, v.until)).unzip();
    Some(Certificate { names_us, from, until })
}

fn server(admin: SocketAddr) -> Option<Server> {
    let health = ask::get(admin, "/about/health").ok()?;
    let ours = ask::get(admin, "/metrics").is_ok_and(|a| a.body.contains("plausch_"));
    let version = ask::get(admin, "/about/version").ok().filter(|a| a.status == 200);
    let version = version.and_then(|a| Some(a.json()?.get("version")?.as_str()?.to_owned()));
    let drain = ask::get(admin, "/drain").ok().and_then(|a| a.json()?.get("drain")?.as_bool());
    Some(Server { ours, status: health.status, said: health.body, version, draining: drain == Some(true) })
}

/// Where the token lies, or else where packages and images keep their state.
fn state(token_file: &str) -> Option<Folder> {
    let named = Path::new(token_file).parent().filter(|p| p.is_absolute());
    let usual = Path::new(STATE);
    let path = named.or_else(|| usual.is_dir().then_some(usual))?;
    let there = path.is_dir();
    let free = statvfs(path).ok().map(|s| s.blocks_available() * s.fragment_size());
    Some(Folder { path: path.to_owned(), there, free })
}

fn number(path: &str) -> Option<u64> {
    read_to_string(path).ok()?.trim().parse().ok()
}

/// Containers do not see these: they are the host's.
fn buffers() -> Option<(u64, u64)> {
    Some((number("/proc/sys/net/core/rmem_max")?, number("/proc/sys/net/core/wmem_max")?))
}

/// What the usual services leave behind. The kernel itself would have to be asked by a call that is unsafe.
fn clock() -> Clock {
    let there = |path: &str| Path::new(path).exists();
    if there("/run/systemd/timesync/synchronized") {
        return Clock::Synchronized;
    }
    let services = [
        "/run/chrony/chronyd.pid",
        "/run/chrony/chronyd.sock",
        "/run/chronyd.pid",
        "/run/ntpd.pid",
        "/run/openntpd.pid",
    ];
    if services.into_iter().any(there) { Clock::Service } else { Clock::Unknown }
}

fn container() -> Option<String> {
    for (file, kind) in [("/.dockerenv", "docker"), ("/run/.containerenv", "podman")] {
        if Path::new(file).exists() {
            return Some(kind.to_owned());
        }
    }
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        return Some("kubernetes".to_owned());
    }
    let said = read_to_string("/run/systemd/container").ok()?;
    Some(said.trim().to_owned()).filter(|s| !s.is_empty())
}

fn memory() -> Option<u64> {
    let info = read_to_string("/proc/meminfo").ok()?;
    let total = info.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let total = total.split_whitespace().next()?.parse::<u64>().ok()? * 1024;
    // `max` is no number: there is no limit.
    Some(number("/sys/fs/cgroup/memory.max").map_or(total, |limit| limit.min(total)))
}

/// The configuration file that packages use, when it is there.
pub(crate) fn usual_file() -> Option<PathBuf> {
    let path = PathBuf::from(crate::commands::CONFIG);
    path.is_file().then_some(path)
}

/// Where packages and images keep what has to survive the server.
pub(crate) const STATE: &str = "/var/lib/plausch";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_that_never_answers_is_waited_for_so_long_and_not_longer() {
        let began = std::time::Instant::now();
        let ip = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(patiently(move || Ok(vec![ip])), Ok(vec![ip]));
        assert!(began.elapsed() < NAME_LOOKUP / 2);
        let (_open, never) = sync_channel::<()>(1);
        let late = patiently(move || {
            let _ = never.recv_timeout(10 * NAME_LOOKUP);
            Ok(Vec::new())
        });
        assert!(late.unwrap_err().contains("in time"));
        assert!((NAME_LOOKUP..2 * NAME_LOOKUP).contains(&began.elapsed()));
    }
}
