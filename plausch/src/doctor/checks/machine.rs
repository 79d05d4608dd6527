//! The machine: ports, buffers, files, clock, disk, memory and container, judged.

use std::net::IpAddr;

use videobridge_udp::limits::SOCKET_BUFFER;

use super::super::facts::{Clock, Facts, PortState, is_public};
use super::Finding;
use crate::front::limits;
use crate::options::named;
use crate::words::words;

pub(super) fn ports(facts: &Facts) -> Vec<Finding> {
    let running = facts.server.as_ref().is_some_and(|s| s.ours);
    let mut found = Vec::new();
    for port in &facts.ports {
        let (option, address, protocol) = (port.option, port.address, port.protocol);
        let names = named(option);
        match &port.state {
            PortState::Free => {}
            PortState::Taken if running => {}
            PortState::Taken => found.push(Finding::red(
                words!("{address} ({protocol}) is taken by another program", "{address} ({protocol}) hat ein anderes Programm"),
                words!(
                    "end that one (`ss -lnp` shows it), or choose another address with {names}",
                    "jenes beenden (`ss -lnp` zeigt es), oder mit {names} eine andere Adresse wählen"
                ),
            )),
            PortState::Forbidden => found.push(Finding::yellow(
                words!("{address} ({protocol}) may not be opened by this user", "{address} ({protocol}) darf dieser Benutzer nicht öffnen"),
                words!(
                    "start it as a service (AmbientCapabilities=CAP_NET_BIND_SERVICE), or set sysctl net.ipv4.ip_unprivileged_port_start=80",
                    "als Dienst starten (AmbientCapabilities=CAP_NET_BIND_SERVICE), oder sysctl net.ipv4.ip_unprivileged_port_start=80 setzen"
                ),
            )),
            PortState::Refused(why) => found.push(Finding::red(
                words!("{address} ({protocol}) cannot be listened on: {why}", "auf {address} ({protocol}) kann nicht gelauscht werden: {why}"),
                words!("choose an address of this machine with {names}", "mit {names} eine Adresse dieses Rechners wählen"),
            )),
        }
    }
    if found.is_empty() && !facts.ports.is_empty() {
        let all: Vec<String> = facts.ports.iter().map(|p| format!("{} {}", p.protocol, p.address)).collect();
        let all = all.join(", ");
        let says = if running {
            words!("held by Plausch or free: {all}", "von Plausch belegt oder frei: {all}")
        } else {
            words!("free: {all}", "frei: {all}")
        };
        found.push(Finding::green(says));
    }
    found
}

pub(super) fn buffers(facts: &Facts) -> Vec<Finding> {
    if !facts.plan.as_ref().is_ok_and(super::super::facts::Plan::has_media) {
        return Vec::new();
    }
    let Some((receive, send)) = facts.buffers else { return Vec::new() };
    let wanted = SOCKET_BUFFER as u64;
    if receive >= wanted && send >= wanted {
        return vec![Finding::green(words!("large enough for bursts", "groß genug für Stöße"))];
    }
    vec![Finding::yellow(
        words!(
            "net.core.rmem_max={receive}, wmem_max={send}: bursts of video are lost",
            "net.core.rmem_max={receive}, wmem_max={send}: Stöße von Video gehen verloren"
        ),
        words!(
            "sysctl -w net.core.rmem_max={wanted} net.core.wmem_max={wanted}, and the same in /etc/sysctl.d (on the host, if this is a container)",
            "sysctl -w net.core.rmem_max={wanted} net.core.wmem_max={wanted}, und dasselbe in /etc/sysctl.d (bei Containern auf dem Host)"
        ),
    )]
}

pub(super) fn open_files(facts: &Facts) -> Vec<Finding> {
    let Some(most) = facts.open_files else { return Vec::new() };
    let wanted = limits::CONNECTIONS as u64 * 4 / 3;
    if most >= wanted {
        return vec![Finding::green(words!("up to {most}", "bis zu {most}"))];
    }
    vec![Finding::yellow(
        words!(
            "only {most} open files are allowed: fewer people find room",
            "nur {most} offene Dateien sind erlaubt: weniger Leute haben Platz"
        ),
        words!(
            "LimitNOFILE=65536 in the unit, `--ulimit nofile=65536` for a container",
            "LimitNOFILE=65536 in der Unit, `--ulimit nofile=65536` für einen Container"
        ),
    )]
}

pub(super) fn clock(facts: &Facts) -> Vec<Finding> {
    let todo = || {
        words!(
            "install chrony or switch systemd-timesyncd on (`timedatectl set-ntp true`): certificates and TURN credentials need the time",
            "chrony installieren oder systemd-timesyncd einschalten (`timedatectl set-ntp true`): Zertifikate und TURN-Zugangsdaten brauchen die Zeit"
        )
    };
    match facts.clock {
        Clock::Synchronized => vec![Finding::green(words!("synchronized", "gestellt"))],
        Clock::Service => vec![Finding::green(words!("a service keeps it right", "ein Dienst stellt sie"))],
        // The host keeps it, and nothing of that is seen in here.
        Clock::Unknown if facts.container.is_some() => Vec::new(),
        Clock::Unknown => vec![Finding::yellow(
            words!("nothing is seen that keeps the clock right", "nichts ist zu sehen, was die Uhr stellt"),
            todo(),
        )],
    }
}

pub(super) fn disk(facts: &Facts) -> Vec<Finding> {
    let Some(folder) = &facts.state else { return Vec::new() };
    let path = folder.path.display();
    if !folder.there {
        return vec![Finding::yellow(
            words!("there is no {path}", "{path} gibt es nicht"),
            words!(
                "make it for the user that Plausch runs as: install -d -m 700 -o plausch {path}",
                "für den Benutzer anlegen, als der Plausch läuft: install -d -m 700 -o plausch {path}"
            ),
        )];
    }
    let Some(free) = folder.free else { return Vec::new() };
    let megabytes = free / 1_000_000;
    let says = words!("{megabytes} MB free in {path}", "{megabytes} MB frei in {path}");
    let todo = || {
        words!(
            "make room: certificates could not be written",
            "Platz schaffen: Zertifikate ließen sich nicht schreiben"
        )
    };
    vec![match megabytes {
        0..10 => Finding::red(says, todo()),
        10..200 => Finding::yellow(says, todo()),
        _ => Finding::green(says),
    }]
}

pub(super) fn memory(facts: &Facts) -> Vec<Finding> {
    let Some(bytes) = facts.memory else { return Vec::new() };
    let megabytes = bytes / 1_000_000;
    let says = words!("{megabytes} MB", "{megabytes} MB");
    let todo = || {
        words!(
            "1 GB is enough for one meeting of twenty; give it more for a town",
            "1 GB reicht für eine Besprechung von zwanzig; für eine Stadt mehr geben"
        )
    };
    vec![match megabytes {
        0..250 => Finding::red(says, todo()),
        250..900 => Finding::yellow(says, todo()),
        _ => Finding::green(says),
    }]
}

pub(super) fn container(facts: &Facts) -> Vec<Finding> {
    let (Some(kind), Ok(plan)) = (&facts.container, &facts.plan) else { return Vec::new() };
    let machine_is_public = facts.machine.iter().any(|ip: &IpAddr| is_public(*ip));
    let named =
        facts.name.as_ref().is_some_and(|n| n.as_ref().is_ok_and(|all| all.iter().any(|ip| is_public(*ip))))
            && plan.from_dns;
    if !plan.has_media() || machine_is_public || !plan.advertise.is_empty() || named {
        return vec![Finding::green(words!("in a container ({kind})", "in einem Container ({kind})"))];
    }
    vec![Finding::yellow(
        words!(
            "in a container ({kind}) whose addresses nobody else reaches, and clients are told no other",
            "in einem Container ({kind}), dessen Adressen sonst niemand erreicht, und Clients erfahren keine andere"
        ),
        words!(
            "set JVB_ADVERTISE_IPS (media.advertise, --advertise) to the host's address, and publish the media port as UDP under the same number",
            "JVB_ADVERTISE_IPS (media.advertise, --advertise) auf die Adresse des Hosts setzen, und den Medien-Port als UDP unter derselben Nummer veröffentlichen"
        ),
    )]
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::tests::healthy;
    use super::super::super::facts::{Folder, Server};
    use super::super::Level::{self, Green, Red, Yellow};
    use super::super::tests::judged;
    use super::*;

    fn says(judge: fn(&Facts) -> Vec<Finding>, change: impl FnOnce(&mut Facts), level: Level, word: &str) {
        let mut facts = healthy();
        change(&mut facts);
        let (got, said) = judged(judge, &facts);
        assert_eq!(got, level, "{said}");
        assert!(said.contains(word), "{said}");
    }

    #[test]
    fn a_port_of_another_program_is_red_and_our_own_is_not() {
        says(ports, |f| f.ports[0].state = PortState::Taken, Red, "http.listen (PLAUSCH_HTTP, --http)");
        let ours = Server { ours: true, status: 200, said: "OK".into(), version: None, draining: false };
        says(
            ports,
            |f| {
                f.ports[0].state = PortState::Taken;
                f.server = Some(ours.clone());
            },
            Green,
            "held",
        );
        says(
            ports,
            |f| {
                f.ports[0].state = PortState::Taken;
                f.server = Some(Server { ours: false, ..ours });
            },
            Red,
            "taken",
        );
        says(ports, |f| f.ports[1].state = PortState::Forbidden, Yellow, "CAP_NET_BIND_SERVICE");
        says(
            ports,
            |f| f.ports[1].state = PortState::Refused("no such address".into()),
            Red,
            "no such address",
        );
    }

    #[test]
    fn small_buffers_and_few_files_are_yellow() {
        let wanted = SOCKET_BUFFER as u64;
        says(buffers, |f| f.buffers = Some((wanted, wanted)), Green, "");
        says(buffers, |f| f.buffers = Some((wanted - 1, wanted)), Yellow, "net.core.rmem_max=");
        says(open_files, |f| f.open_files = Some(1024), Yellow, "LimitNOFILE");
    }

    #[test]
    fn a_clock_that_nobody_keeps_is_yellow_outside_a_container() {
        says(clock, |f| f.clock = Clock::Service, Green, "");
        says(clock, |f| f.clock = Clock::Unknown, Yellow, "chrony");
        says(
            clock,
            |f| {
                f.clock = Clock::Unknown;
                f.container = Some("docker".into());
            },
            Green,
            "",
        );
    }

    #[test]
    fn a_full_disk_is_red_and_a_missing_folder_yellow() {
        let folder = |there, free| {
            move |f: &mut Facts| {
                f.state = Some(Folder { path: "/var/lib/plausch".into(), there, free: Some(free) })
            }
        };
        says(disk, folder(true, 9_999_999), Red, "9 MB");
        says(disk, folder(true, 199_000_000), Yellow, "199 MB");
        says(disk, folder(true, 200_000_000), Green, "200 MB");
        says(disk, folder(false, 0), Yellow, "install -d");
    }

    #[test]
    fn little_memory_is_said() {
        says(memory, |f| f.memory = Some(200_000_000), Red, "200 MB");
        says(memory, |f| f.memory = Some(512_000_000), Yellow, "512 MB");
        says(memory, |f| f.memory = Some(1_000_000_000), Green, "");
    }

    #[test]
    fn a_container_that_tells_nobody_its_host_is_yellow() {
        let inside = |f: &mut Facts| {
            f.container = Some("docker".into());
            f.machine = vec![[172, 18, 0, 2].into()];
        };
        says(
            container,
            |f| {
                inside(f);
                f.name = None;
            },
            Yellow,
            "JVB_ADVERTISE_IPS",
        );
        says(container, inside, Green, "docker");
        says(container, |f| f.container = Some("lxc".into()), Green, "lxc");
    }
}
