//! Settings in, what is printed at the start out: where to go, also from a phone, what is there, and the settings that somebody changed.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use service::Effective;

use crate::options::{Role, Settings};

/// The text for standard output. `machine`: the addresses of this machine.
pub(crate) fn text(role: Role, s: &Settings, effective: &Effective, machine: &[IpAddr]) -> String {
    let mut out = format!("Plausch {}\n\n", env!("CARGO_PKG_VERSION"));
    let mut line = |what: &str, at: String, note: &str| {
        let _ = writeln!(out, "  {what:<12} {at:<40} {note}");
    };
    let own = match &s.https {
        Some(https) => format!("https://{}", browsable(https.listen)),
        None => format!("http://{}", browsable(s.http)),
    };
    let url = s.web.public_url.clone().unwrap_or(own);
    match role {
        Role::AllInOne => {
            let what = match &s.web.folder {
                Some(folder) => format!("the Jitsi Meet web app of {}", folder.display()),
                None => "the test-call page; name the web app's folder with --web DIR".to_owned(),
            };
            line("open", format!("{url}/"), &what);
            for (at, camera) in phones(s, machine) {
                line(
                    "phone",
                    at,
                    if camera {
                        "the same from other devices"
                    } else {
                        "from other devices; no camera and microphone there without https"
                    },
                );
            }
            line("media", format!("udp {}", media(s)), "audio and video");
            if let Some(turn) = &s.turn {
                let tls = if s.https.is_some() { ", and over TLS on the port of https" } else { "" };
                line(
                    "turn",
                    format!("udp {}", turn.listen),
                    &format!("for people whose network blocks UDP{tls}"),
                );
            }
            line("xmpp", format!("tcp {}", s.xmpp), "focus and bridges outside, if their passwords are set");
        }
        Role::Xmpp => {
            line("xmpp", format!("tcp {}", s.xmpp), "focus and bridges");
            line("clients", url, "/xmpp-websocket, /http-bind");
        }
        Role::Focus => {
            line("xmpp", s.xmpp_server.clone(), "the XMPP server this focus connects to");
            line("clients", url, "/conference-request/v1");
        }
        Role::Videobridge => {
            line("xmpp", s.xmpp_server.clone(), "the XMPP server this bridge connects to");
            line("media", format!("udp {}", media(s)), "audio and video");
            line("clients", url, "/colibri-ws/…");
        }
    }
    line(
        "admin",
        format!("http://{}", s.admin.listen),
        "/about/health, /metrics, /colibri/stats, /colibri/v2/conferences",
    );
    let changed = effective.print();
    if changed.is_empty() {
        out.push_str(
            "\nall settings have their defaults (flags, environment or --config FILE; see --help)\n\n",
        );
    } else {
        let _ = write!(out, "\nchanged settings (all: `plausch sample-config`)\n{changed}\n");
    }
    out
}

/// Where media is received, with the port once.
fn media(s: &Settings) -> String {
    let more: Vec<String> = s.media_more.iter().map(|ip| format!(", {ip}")).collect();
    format!("{}{}", s.media, more.concat())
}

/// Addresses that other devices can open, and whether their browsers give camera and microphone there. With a public URL that one is
/// enough.
fn phones(s: &Settings, machine: &[IpAddr]) -> Vec<(String, bool)> {
    if s.web.public_url.is_some() {
        return Vec::new();
    }
    let (at, scheme) = s.https.as_ref().map_or((s.http, "http"), |h| (h.listen, "https"));
    let all: Vec<IpAddr> = match at.ip() {
        ip if ip.is_loopback() => Vec::new(),
        ip if ip.is_unspecified() => machine
            .iter()
            .copied()
            .filter(|m| !m.is_loopback() && (ip.is_ipv6() || m.is_ipv4()))
            .take(PHONES)
            .collect(),
        // It is the address to open anyway.
        _ => Vec::new(),
    };
    let https = s.https.is_some();
    all.into_iter().map(|ip| (format!("{scheme}://{}/", SocketAddr::new(ip, at.port())), https)).collect()
}

/// Not a bound: machines with many addresses have many nobody asked for.
const PHONES: usize = 4;

/// The address as a browser should be given it. Browsers give camera and microphone only to secure origins: `localhost` is one, a bare loopback address in some browsers is not.
pub(crate) fn browsable(address: SocketAddr) -> String {
    if address.ip().is_loopback() || address.ip().is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use service::Sources;

    use super::*;
    use crate::options::SETTINGS;

    fn greeting(flags: &[(&'static str, &str)]) -> String {
        let flags = flags.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
        let e = Effective::load(SETTINGS, &Sources { defaults: None, file: None, env: &|_| None, flags })
            .unwrap();
        let machine = ["127.0.0.1", "192.168.1.5", "2001:db8::5"].map(|ip| ip.parse().unwrap());
        text(Role::AllInOne, &Settings::check(&e).unwrap(), &e, &machine)
    }

    #[test]
    fn the_greeting_names_what_a_phone_can_open() {
        for (flags, there, not) in [
            (&[("https.listen", "0.0.0.0:8443")][..], "https://192.168.1.5:8443/", "2001:db8"),
            (&[("https.listen", "[::]:8443")], "https://[2001:db8::5]:8443/", "127.0.0.1:8443"),
            (&[("http.listen", "0.0.0.0:8000")], "http://192.168.1.5:8000/", "2001:db8"),
            (&[("http.listen", "0.0.0.0:8000")], "no camera", "2001:db8"),
            (&[], "http://localhost:8000/", "192.168"),
            (
                &[("http.listen", "0.0.0.0:8000"), ("http.public_url", "https://meet.example")],
                "https://meet.example/",
                "192.168",
            ),
        ] {
            let said = greeting(flags);
            assert!(said.contains(there) && !said.contains(not), "{flags:?}: {said}");
        }
    }

    #[test]
    fn only_what_somebody_changed_is_printed() {
        let said = greeting(&[]);
        assert!(said.contains("defaults") && !said.contains("xmpp.domain"), "{said}");
        let said = greeting(&[("focus.password", "geheim"), ("xmpp.domain", "meet.town")]);
        assert!(said.contains("meet.town") && said.contains("the command line"), "{said}");
        assert!(
            said.contains("focus.password") && !said.contains("geheim") && !said.contains("bridge.password"),
            "{said}"
        );
    }
}
