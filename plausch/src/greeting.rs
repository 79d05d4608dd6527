//! Settings in, what is printed at the start out: where to go, what is there, and the effective configuration.

use std::fmt::Write;

use service::Effective;

use crate::options::{Role, Settings};

/// The text for standard output.
pub(crate) fn text(role: Role, s: &Settings, effective: &Effective) -> String {
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
            line("media", format!("udp {}", s.media), "audio and video");
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
            line("media", format!("udp {}", s.media), "audio and video");
            line("clients", url, "/colibri-ws/…");
        }
    }
    line(
        "admin",
        format!("http://{}", s.admin.listen),
        "/about/health, /metrics, /colibri/stats, /colibri/v2/conferences",
    );
    let _ = write!(
        out,
        "\neffective configuration (change with flags, environment or --config FILE; see --help)\n{}\n",
        effective.print()
    );
    out
}

/// The address as a browser should be given it. Browsers give camera and microphone only to secure origins: `localhost` is one, a bare loopback address in some browsers is not.
pub(crate) fn browsable(address: std::net::SocketAddr) -> String {
    if address.ip().is_loopback() || address.ip().is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}
