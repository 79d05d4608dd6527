use std::collections::{BTreeMap, BTreeSet};

use service::Sources;

use super::*;

fn load(env: &[(&str, &str)]) -> Result<Settings, StartError> {
    let env = |n: &str| env.iter().find(|(k, _)| *k == n).map(|(_, v)| (*v).to_owned());
    Settings::check(&Effective::load(SETTINGS, &Sources { file: None, env: &env, flags: BTreeMap::new() })?)
}

#[test]
fn every_key_flag_and_variable_exists_once() {
    let mut seen = BTreeSet::new();
    for s in SETTINGS {
        assert!(seen.insert(s.key.to_owned()), "{}", s.key);
        assert!(s.flag.is_empty() || seen.insert(format!("--{}", s.flag)), "{}", s.flag);
        for e in s.env {
            assert!(seen.insert(format!("${e}")), "{e}");
        }
        assert!(s.help.ends_with('.') && s.key.contains('.'), "{}", s.key);
    }
}

#[test]
fn without_configuration_everything_listens_on_loopback_and_names_are_docker_s() {
    let s = load(&[]).unwrap();
    for a in [s.http, s.admin, s.media, s.xmpp] {
        assert!(a.ip().is_loopback(), "{a}");
    }
    assert_eq!((s.http.port(), s.media.port(), s.admin.port(), s.xmpp.port()), (8000, 10000, 8888, 5222));
    assert_eq!(s.domains.auth, "auth.meet.jitsi");
    assert_eq!(s.domains.muc, "muc.meet.jitsi");
    assert_eq!(s.domains.internal_muc, "internal-muc.meet.jitsi");
    assert!(s.focus_password.is_none() && s.bridge.password.is_none());
    assert!(s.client.p2p_stun_servers.is_empty());
}

#[test]
fn other_domains_follow_the_main_one_unless_named() {
    let s = load(&[("XMPP_DOMAIN", "Rathaus.example"), ("XMPP_MUC_DOMAIN", "conference.rathaus.example")])
        .unwrap();
    assert_eq!(s.domains.main, "rathaus.example");
    assert_eq!(s.domains.auth, "auth.rathaus.example");
    assert_eq!(s.domains.muc, "conference.rathaus.example");
}

#[test]
fn compat_docker_addresses() {
    let s = load(&[
        ("JVB_PORT", "20000"),
        ("JVB_ADVERTISE_IPS", "192.0.2.1,2001:db8::1#443"),
        ("PUBLIC_URL", "meet.example"),
        ("XMPP_SERVER", "xmpp.meet.jitsi"),
        ("XMPP_PORT", "5223"),
    ])
    .unwrap();
    assert_eq!(s.media.port(), 20000);
    assert_eq!(s.advertise, ["192.0.2.1:20000".parse().unwrap(), "[2001:db8::1]:443".parse().unwrap()]);
    assert_eq!(s.web.public_url.as_deref(), Some("https://meet.example"));
    assert_eq!(s.xmpp_server, "xmpp.meet.jitsi:5223");
    assert_eq!(load(&[("XMPP_SERVER", "xmpp.meet.jitsi:6222")]).unwrap().xmpp_server, "xmpp.meet.jitsi:6222");
}

#[test]
fn a_value_without_meaning_names_its_option_and_its_origin() {
    for (name, value, option) in [
        ("PLAUSCH_HTTP", "8000", "http.listen"),
        ("PLAUSCH_MEDIA", "localhost", "media.listen"),
        ("XMPP_DOMAIN", "meet jitsi", "xmpp.domain"),
        ("PUBLIC_URL", "https://meet.example/path", "http.public_url"),
        ("PUBLIC_URL", "javascript://x", "http.public_url"),
        ("JVB_ADVERTISE_IPS", "meet.example", "media.advertise"),
        ("RUST_LOG", "loud=very", "log.filter"),
        ("JVB_MUC_NICKNAME", "a/b", "bridge.name"),
    ] {
        let e = load(&[(name, value)]).unwrap_err().to_string();
        assert!(e.contains(option) && e.contains(name) && !e.contains('\n'), "{e}");
    }
    let e = load(&[("PLAUSCH_WEB", "/nonexistent")]).unwrap_err();
    assert_eq!(e.reason(), "unreadable");
    assert_eq!(load(&[("PLAUSCH_CUSTOM_CONFIG_JS", "/nonexistent")]).unwrap_err().reason(), "unreadable");
}

#[test]
fn the_admin_s_page_is_the_table() {
    let page = include_str!("../../../docs/admin/configuration.md");
    let rows: Vec<&str> = page.lines().filter(|l| l.starts_with("| `")).collect();
    let table: Vec<String> = SETTINGS.iter().map(row).collect();
    assert_eq!(rows, table, "write the table anew:\n{}", table.join("\n"));
}

fn row(s: &Setting) -> String {
    let code = |t: &str| if t.is_empty() { String::new() } else { format!("`{t}`") };
    let flag = if s.flag.is_empty() { String::new() } else { format!("`--{}`", s.flag) };
    let env: Vec<String> = s.env.iter().map(|e| code(e)).collect();
    format!("| `{}` | {flag} | {} | {} | {} |", s.key, env.join(", "), code(s.default), s.help)
}
