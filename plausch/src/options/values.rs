//! Values of single options as written in; checked ones, or the error that names the option, out.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderValue;
use jitsi_xmpp::{Entropy as _, Sensitive};
use prosody_server::config::BesideModules;
use service::listen::Address;
use service::logging::{check_filter, may_speak_below_info};
use service::options::shown;
use service::{Effective, StartError, SystemEntropy};
use videobridge_server::{LastN, LastNBySize, TcpPorts};

use super::{DEBIAN_WEB, without_ipv6};
use crate::wiring::limits::{MEDIA_ADDRESSES, STUN_SERVERS};

pub(super) fn xmpp_server(e: &Effective, server: &str, port: u16) -> Result<String, StartError> {
    // compat: upstream's bridge takes a list; ours has one server, and half a list would be silence
    // (test: a_value_without_meaning_names_its_option_and_its_origin).
    let plain = |c: char| c.is_ascii_graphic() && !",/".contains(c);
    if server.is_empty() || server.len() > NAME || !server.chars().all(plain) {
        return Err(e.bad("xmpp.server", "must be one `host` or `host:port`"));
    }
    Ok(if has_port(server) { server.to_owned() } else { format!("{server}:{port}") })
}

pub(super) fn header(e: &Effective, key: &str) -> Result<Option<HeaderValue>, StartError> {
    let text = e.text(key);
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > HEADER {
        return Err(e.bad(key, format!("must be at most {HEADER} bytes")));
    }
    text.parse().map(Some).map_err(|_| e.bad(key, "must be text that fits into an HTTP header"))
}

/// Where media arrives: one address or several, with one port.
pub(super) fn media_addresses(e: &Effective) -> Result<(SocketAddr, Vec<IpAddr>), StartError> {
    let key = "media.listen";
    let Some((first, others)) = e.text(key).split_once(',') else {
        return Ok((without_ipv6(e, key, e.parse::<Address>(key)?.0)?, Vec::new()));
    };
    let parse = |text: &str| {
        let address = text.trim().parse::<Address>().map_err(|reason| e.bad(key, reason))?;
        without_ipv6(e, key, address.0)
    };
    let first = parse(first)?;
    let mut more = Vec::new();
    for text in others.split(',') {
        let next = parse(text)?;
        if next.port() != first.port() {
            return Err(e.bad(key, "must have one port for all its addresses"));
        }
        if next.ip() == first.ip() || more.contains(&next.ip()) {
            return Err(e.bad(key, format!("names {} twice", next.ip())));
        }
        more.push(next.ip());
    }
    if [&[first.ip()], &more[..]].concat().iter().any(IpAddr::is_unspecified) {
        return Err(e.bad(key, "must name no further address beside `0.0.0.0` or `[::]`, which is all of them; `[::]` has both families"));
    }
    if more.len() >= MEDIA_ADDRESSES {
        return Err(e.bad(key, format!("must be at most {MEDIA_ADDRESSES} addresses; `[::]` is all of them")));
    }
    Ok((first, more))
}

/// Ports for TCP connections with media, unless that is switched off.
pub(super) fn media_tcp(e: &Effective, media_port: u16) -> Result<Option<TcpPorts>, StartError> {
    let port = |key: &str, otherwise: u16| match e.parse_optional(key)? {
        Some(0) => Err(e.bad(key, "must be a port, 1 to 65535")),
        port => Ok(port.unwrap_or(otherwise)),
    };
    let own = port("media.tcp_port", media_port)?;
    let public = port("media.tcp_public_port", own)?;
    Ok((!e.is_on("media.disable_tcp")).then_some(TcpPorts { own, public }))
}

/// How many pictures anybody gets at most.
pub(super) fn last_n(e: &Effective) -> Result<LastN, StartError> {
    let (always, by_size) = ("media.last_n", "media.last_n_by_size");
    let n: i64 = e.parse(always)?;
    let always = match (n, u32::try_from(n)) {
        (-1, _) => None,
        (_, Ok(n)) => Some(n),
        _ => return Err(e.bad(always, "must be a number of pictures, or -1")),
    };
    let by_size = LastNBySize::read(e.text(by_size))
        .ok_or_else(|| e.bad(by_size, "must be sizes and numbers of pictures, such as `20=20, 30=15`"))?;
    Ok(LastN { always, by_size, reduces_load: e.is_on("media.reduces_load") })
}

/// How long meetings go on in the old process after an upgrade.
pub(super) fn meetings_go_on(e: &Effective) -> Result<Duration, StartError> {
    let key = "start.meetings_go_on";
    match e.parse::<u64>(key)? {
        hours @ 1..=MOST_HOURS => Ok(Duration::from_secs(hours * 3_600)),
        _ => Err(e.bad(key, format!("must be 1 to {MOST_HOURS} hours"))),
    }
}

/// A week: who wants longer has forgotten that the old program has the old faults.
const MOST_HOURS: u64 = 7 * 24;

/// Servers that are asked for our public address, each with its port; none when that is switched off.
pub(super) fn stun_servers(e: &Effective) -> Result<Vec<String>, StartError> {
    let key = "media.stun_servers";
    let all = e.list(key);
    let plain = |s: &String| {
        has_port(s)
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
            && !s.ends_with(":0")
    };
    if !all.iter().all(plain) {
        return Err(e.bad(key, "must be `host:port` each, without `stun:`"));
    }
    if all.len() > STUN_SERVERS {
        return Err(e.bad(key, format!("must be at most {STUN_SERVERS}: the first that answers counts")));
    }
    Ok(if e.is_on("media.disable_stun") { Vec::new() } else { all.to_vec() })
}

pub(super) fn p2p_stun_servers(e: &Effective) -> Result<Vec<String>, StartError> {
    let key = "client.p2p_stun_servers";
    let all = e.list(key);
    let plain = |s: &String| {
        !s.starts_with("stun:") && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
    };
    if !all.iter().all(plain) {
        return Err(e.bad(key, "must be `host:port` each, without `stun:`"));
    }
    Ok(all.to_vec())
}

pub(super) fn admin_hosts(e: &Effective) -> Result<Vec<String>, StartError> {
    let key = "admin.hosts";
    let plain =
        |h: &String| !h.is_empty() && h.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if !e.list(key).iter().all(plain) {
        return Err(e.bad(key, "must be host names without a port"));
    }
    Ok(e.list(key).iter().map(|h| h.to_ascii_lowercase()).collect())
}

/// Named modules that there are. Others end the start, unless the admin said that they may be missing.
pub(super) fn modules(e: &Effective) -> Result<Vec<String>, StartError> {
    let mut named = named(e, "xmpp.modules", "XMPP_MODULES", prosody_server::config::MODULES)?;
    // compat: docker-jitsi-meet has it where recorders are and people log in with tokens (test:
    // compat_a_recorder_learns_who_began_where_people_have_tokens).
    let tokens = e.is_on("login.required") && e.text("login.type") == "jwt";
    let told = e.is_on("services.recording") && e.is_on("services.recording_metadata");
    if tokens && told && !named.iter().any(|m| m == RECORDING_METADATA) {
        named.push(RECORDING_METADATA.to_owned());
    }
    Ok(named)
}

/// Upstream's module for it.
const RECORDING_METADATA: &str = "jibri_session";

/// The same of the meetings.
pub(super) fn muc_modules(e: &Effective) -> Result<Vec<String>, StartError> {
    let key = "rooms.modules";
    let named = named(e, key, "XMPP_MUC_MODULES", prosody_server::config::MUC_MODULES)?;
    let tokens = e.is_on("login.required") && e.text("login.type") == "jwt";
    if !tokens && named.iter().any(|m| m == prosody_server::config::WAIT_FOR_HOST) {
        let why = "names `muc_wait_for_host`: hosts have tokens, by login.type `jwt`; with accounts guests wait \
                   anyway, by login.guests";
        return Err(e.bad(key, why));
    }
    if !tokens && named.iter().any(|m| m == prosody_server::config::OWNER_PARTY) {
        let why = "names `token_owner_party`: owners have tokens, by login.type `jwt`; nobody could begin a meeting";
        return Err(e.bad(key, why));
    }
    Ok(named)
}

/// The same of rooms beside them.
pub(super) fn beside_modules(e: &Effective) -> Result<BesideModules, StartError> {
    let of = |key, variable| named(e, key, variable, prosody_server::config::BESIDE_MODULES);
    Ok(BesideModules {
        lobby: of("rooms.lobby_modules", "XMPP_LOBBY_MUC_MODULES")?,
        breakout: of("rooms.breakout_modules", "XMPP_BREAKOUT_MUC_MODULES")?,
        internal: of("rooms.internal_modules", "XMPP_INTERNAL_MUC_MODULES")?,
    })
}

fn named(e: &Effective, key: &str, variable: &str, all: &[&str]) -> Result<Vec<String>, StartError> {
    let (known, unknown): (Vec<String>, Vec<String>) =
        e.list(key).iter().cloned().partition(|m| all.contains(&m.as_str()));
    match unknown.first() {
        Some(name) if !e.list("start.accept").iter().any(|a| a == variable) => {
            let there = all.join(", ");
            let name = shown(name);
            Err(e.bad(key, format!("there is no `{name}`; there are {there}")))
        }
        _ => Ok(known),
    }
}

/// The booking system, if there is one. Whoever wants one and cannot be heard by it gets no start.
pub(super) fn reservations(e: &Effective) -> Result<Option<String>, StartError> {
    if !e.is_on("rooms.reservations") {
        return Ok(None);
    }
    let url = e.text("rooms.reservations_url");
    match prosody_server::config::booking_system(url) {
        Ok(_) => Ok(Some(url.to_owned())),
        Err(reason) if url.is_empty() => Err(
            e.bad("rooms.reservations", format!("needs rooms.reservations_url: the booking system {reason}"))
        ),
        Err(reason) => Err(e.bad("rooms.reservations_url", format!("the booking system {reason}"))),
    }
}

/// The token of the file, which is made (readable by its owner alone) when it is not there.
pub(super) fn admin_token(e: &Effective) -> Result<Option<Sensitive<String>>, StartError> {
    let path = PathBuf::from(e.text("admin.token_file"));
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let unreadable = |x: std::io::Error| e.unreadable("admin.token_file", &path, x);
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    match made {
        Ok(mut file) => {
            let token = SystemEntropy.hex(32);
            file.write_all(format!("{token}\n").as_bytes()).map_err(unreadable)?;
            Ok(Some(Sensitive::new(token)))
        }
        Err(x) if x.kind() == std::io::ErrorKind::AlreadyExists => token_of(e),
        Err(x) => Err(unreadable(x)),
    }
}

/// The token of the file, which has to be there; `None` when no file is named.
pub(crate) fn token_of(e: &Effective) -> Result<Option<Sensitive<String>>, StartError> {
    let path = PathBuf::from(e.text("admin.token_file"));
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).map_err(|x| e.unreadable("admin.token_file", &path, x))?;
    let token = text.trim().to_owned();
    if token.len() < 16 || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(e.bad("admin.token_file", "its file must hold 16 or more letters and digits in one line"));
    }
    Ok(Some(Sensitive::new(token)))
}

/// Levels, and targets of ours with levels. A word that is neither would switch off more than anybody meant.
pub(super) fn log_filter(e: &Effective) -> Result<(), StartError> {
    let key = "log.filter";
    let text = e.text(key);
    check_filter(text).map_err(|r| e.bad(key, r))?;
    let level = |l: &str| l.parse::<tracing::level_filters::LevelFilter>().is_ok();
    for part in text.split(',').map(str::trim).filter(|p| !p.is_empty() && !p.contains('=')) {
        if !level(part) && !may_speak_below_info(part) {
            let reason = format!("`{}` is no level: off, error, warn, info, debug or trace", shown(part));
            return Err(e.bad(key, reason));
        }
    }
    Ok(())
}

/// The name of an account as it stands in addresses.
pub(super) fn account(e: &Effective, key: &str) -> Result<String, StartError> {
    let text = e.text(key);
    let prepared = jitsi_xmpp::BareJid::from_parts(text, "a");
    prepared.map(|_| text.to_owned()).map_err(|_| e.bad(key, "must be the first part of an XMPP address"))
}

/// A word that others are told: nothing when it is empty.
pub(super) fn label(e: &Effective, key: &str) -> Result<Option<String>, StartError> {
    let text = e.text(key);
    if text.len() > NAME || text.chars().any(char::is_control) {
        return Err(e.bad(key, format!("must be one line of at most {NAME} bytes")));
    }
    Ok(Some(text.to_owned()).filter(|t| !t.is_empty()))
}

/// Bytes of a name that others are told: as long as host names and parts of addresses may be.
pub(super) const NAME: usize = 255;
/// Bytes of a header that goes out with every page. Web servers and browsers take 8 KiB of all headers.
const HEADER: usize = 4096;

pub(super) fn has_port(server: &str) -> bool {
    server.rsplit_once(':').is_some_and(|(host, port)| {
        port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']'))
    })
}

pub(super) fn web_folder(e: &Effective) -> Result<Option<PathBuf>, StartError> {
    let (folder, chosen) = match e.text("http.web") {
        "none" => return Ok(None),
        "" => (Path::new(DEBIAN_WEB), false),
        named => (Path::new(named), true),
    };
    match std::fs::metadata(folder.join("index.html")) {
        Ok(m) if m.is_file() => {
            folder.canonicalize().map(Some).map_err(|x| e.unreadable("http.web", folder, x))
        }
        _ if !chosen => Ok(None),
        Ok(_) => Err(e.bad("http.web", "its index.html is not a file")),
        Err(x) => Err(e.unreadable("http.web", &folder.join("index.html"), x)),
    }
}

pub(super) fn file(e: &Effective, key: &str) -> Result<Option<PathBuf>, StartError> {
    let path = PathBuf::from(e.text(key));
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    // Read once now, so that a wrong path ends the start and not a visitor's page.
    match std::fs::read_to_string(&path) {
        Ok(_) => Ok(Some(path)),
        Err(x) => Err(e.unreadable(key, &path, x)),
    }
}

pub(super) fn folder(e: &Effective, key: &str) -> Result<Option<PathBuf>, StartError> {
    let path = PathBuf::from(e.text(key));
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    match std::fs::read_dir(&path) {
        Ok(_) => Ok(Some(path)),
        Err(x) => Err(e.unreadable(key, &path, x)),
    }
}
