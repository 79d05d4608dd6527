use std::collections::{BTreeMap, BTreeSet};

use super::*;

mod odd;

fn ask(role: Role, env: &[(&str, &str)], german: bool) -> Result<Findings, StartError> {
    let env: BTreeMap<&str, &str> = env.iter().copied().collect();
    let accepted: Vec<String> =
        env.get("PLAUSCH_ACCEPT").map(|a| a.split(',').map(str::to_owned).collect()).unwrap_or_default();
    let value = |name: &str| env.get(name).map(|v| (*v).to_owned());
    check(role, env.keys().copied(), &value, &accepted, german)
}

/// How names begin that upstream does not have.
const OURS: &[&str] = &["PLAUSCH_", "RUST_LOG", "LOG_FORMAT"];

fn ours() -> BTreeSet<&'static str> {
    SETTINGS.iter().flat_map(|s| s.env).copied().collect()
}

#[test]
fn every_variable_of_upstream_s_has_exactly_one_meaning() {
    let mut seen = BTreeSet::new();
    let ours = ours();
    let named = ours.iter().filter(|n| !OURS.iter().any(|o| n.starts_with(o)));
    let ignored = UPSTREAM.iter().flat_map(|e| e.names.split_whitespace());
    // What is honoured in part is an option, too.
    let restricting = RESTRICTIONS.iter().map(|r| r.name).filter(|name| !ours.contains(name));
    for name in named.copied().chain(ignored).chain(restricting) {
        assert!(seen.insert(name), "{name} twice");
    }
    // 503 of today, and 14 that releases before had.
    assert_eq!(seen.len(), 503 + 14);
}

/// `ENABLE_AUTH=1 AUTH_TYPE=jwt …` started a server that let everybody in.
#[test]
fn a_server_that_should_ask_for_a_login_does_not_start_open() {
    for value in ["1", "true", "yes", "on", "no", "flase", "\"1\""] {
        let e = ask(Role::AllInOne, &[("ENABLE_AUTH", value), ("AUTH_TYPE", "matrix")], false).unwrap_err();
        let line = e.to_string();
        assert_eq!((e.reason(), e.exit_code()), ("restriction", 78));
        assert!(
            line.starts_with("AUTH_TYPE: ") && line.contains("PLAUSCH_ACCEPT") && !line.contains('\n'),
            "{line}"
        );
    }
    for value in ["0", "false", "", "'F'"] {
        assert!(
            ask(Role::AllInOne, &[("ENABLE_AUTH", value), ("AUTH_TYPE", "matrix")], false).is_ok(),
            "{value}"
        );
    }
    let matrix = [("ENABLE_AUTH", "1"), ("AUTH_TYPE", "matrix")];
    for role in [Role::Xmpp, Role::Focus] {
        assert!(ask(role, &matrix, false).is_err());
    }
    assert!(ask(Role::Videobridge, &matrix, false).is_ok(), "a bridge lets nobody in");
    for kind in ["internal", "ldap", "jwt"] {
        let own = [("ENABLE_AUTH", "1"), ("AUTH_TYPE", kind), ("PROSODY_GUEST_AUTH_TYPE", "jitsi-anonymous")];
        assert!(ask(Role::AllInOne, &own, false).is_ok(), "{kind} there is");
    }
    for (name, value) in [("PROSODY_AUTH_TYPE", "token"), ("PROSODY_GUEST_AUTH_TYPE", "token")] {
        let e = ask(Role::AllInOne, &[("ENABLE_AUTH", "1"), (name, value)], false).unwrap_err();
        assert!(e.to_string().starts_with(name), "{e}");
    }
    let e = ask(Role::AllInOne, &[("JICOFO_ENABLE_AUTH", "1")], false).unwrap_err();
    assert!(e.to_string().starts_with("JICOFO_ENABLE_AUTH"), "nobody could log in: {e}");
}

#[test]
fn whatever_keeps_people_out_and_is_missing_stops_the_start() {
    for r in RESTRICTIONS {
        let (stops, goes): (Vec<String>, Vec<String>) = match r.when {
            When::On => {
                (vec!["1".into(), "true".into(), "nonsense".into()], vec!["0".into(), "false".into()])
            }
            When::Set => (vec!["x".into(), "0".into()], vec![]),
            When::Not(usual) => (vec!["x".into(), format!("{usual}s")], vec![usual.into()]),
            When::Beyond(known) => {
                let all = known.join(",");
                (vec!["x".into(), format!("{all},x")], vec![known[0].into(), format!("{all},")])
            }
        };
        let goes: Vec<String> = goes.into_iter().chain([String::new()]).collect();
        // How people log in matters where they do, and what tokens are like where they have some.
        let login = ("ENABLE_AUTH", if r.name == "JICOFO_ENABLE_AUTH" { "" } else { "1" });
        let kind = r.name.split('_').next().unwrap();
        let tokens = (
            "AUTH_TYPE",
            match kind {
                "JWT" => "jwt",
                "LDAP" => "ldap",
                _ => "",
            },
        );
        for role in r.roles {
            let asked = |v: &String| ask(*role, &[tokens, login, (r.name, v)], false).is_ok();
            assert!(!stops.iter().any(asked), "{}", r.name);
            assert!(goes.iter().all(asked), "{}", r.name);
            let accepted = [tokens, login, (r.name, &stops[0]), ("PLAUSCH_ACCEPT", r.name)];
            assert!(ask(*role, &accepted, false).is_ok(), "{}", r.name);
        }
    }
}

#[test]
fn the_refusal_is_in_the_admin_s_language() {
    let german = ask(Role::Xmpp, &[("XMPP_MUC_MODULES", "x")], true).unwrap_err().to_string();
    assert!(german.contains("entfernen") && german.contains("XMPP_MUC_MODULES"), "{german}");
    let locale = |l: &'static str| is_german(&|n: &str| (n == "LANG").then(|| l.to_owned()));
    assert!(locale("de_DE.UTF-8") && !locale("C.UTF-8") && !is_german(&|_| None));
    let both = |n: &str| match n {
        "LC_ALL" => Some("en_US".to_owned()),
        _ => Some("de_DE".to_owned()),
    };
    assert!(!is_german(&both));
}

#[test]
fn a_slip_in_a_name_of_ours_stops_the_start() {
    let e = ask(Role::AllInOne, &[("PLAUSCH_HTPP", "127.0.0.1:1")], false).unwrap_err().to_string();
    assert!(e.contains("PLAUSCH_HTPP") && e.contains("PLAUSCH_HTTP"), "{e}");
    let e = ask(Role::AllInOne, &[("PLAUSCH_ACCEPT", "AUTH_TPYE")], false).unwrap_err().to_string();
    assert!(e.contains("AUTH_TPYE") && e.contains("AUTH_TYPE"), "{e}");
    assert!(
        ask(Role::AllInOne, &[("PLAUSCH_BIN", "x"), ("PLAUSCH_CONFIG", "x"), ("PATH", "x")], false).is_ok()
    );
}

#[test]
fn what_has_no_effect_is_found() {
    let found = ask(
        Role::AllInOne,
        &[("TZ", "Europe/Berlin"), ("JIBRI_SIP_BREWERY_MUC", "x"), ("ENABLE_LOBBY", "")],
        false,
    )
    .unwrap();
    assert_eq!(found.ignored, ["TZ"]);
    assert_eq!(found.missing.len(), 1);
    assert_eq!(found.missing[0].name, "JIBRI_SIP_BREWERY_MUC");
}

#[test]
fn what_the_compose_file_is_said_to_read_stands_in_it() {
    let compose = include_str!("../../../../docker/compose.yml");
    let names =
        UPSTREAM.iter().filter(|e| e.meaning == Meaning::Compose).flat_map(|e| e.names.split_whitespace());
    for name in names {
        assert!(compose.contains(&format!("${{{name}:")), "{name}");
    }
}

/// What an admin of docker-jitsi-meet wrote restricts in the container with everything, too.
#[test]
fn the_compose_file_lays_jitsi_s_own_files_where_the_image_looks() {
    let compose = include_str!("../../../../docker/compose.yml");
    let defaults = include_str!("../../../../docker/defaults/plausch.toml");
    let looks: toml::Table = defaults.parse().unwrap();
    let at = looks["start"]["jitsi_config"].as_array().unwrap();
    assert!(at.iter().any(|folder| folder.as_str() == Some("/jitsi")), "{at:?}");
    let root = std::env::temp_dir().join(format!("plausch-laid-{}", std::process::id()));
    for (folder, file, text) in [
        ("jvb", "custom-jvb.conf", "videobridge.ice.udp.port = 10001"),
        ("jicofo", "custom-jicofo.conf", "jicofo.conference.enable-auto-owner = no"),
        ("prosody/config/conf.d", "own.cfg.lua", "muc_max_occupants = 50"),
        ("prosody/prosody-plugins-custom", "mod_x.lua", "x"),
    ] {
        let line = format!("- ${{CONFIG:-./config}}/{folder}:/jitsi/{folder}:ro");
        assert!(compose.contains(&line), "{line}");
        std::fs::create_dir_all(root.join(folder)).unwrap();
        std::fs::write(root.join(folder).join(file), text).unwrap();
    }
    let folders = [root.display().to_string()];
    let custom =
        crate::foreign::custom::look(Role::AllInOne, &folders, true, "meet.jitsi", &|_| None).unwrap();
    let said: Vec<&str> = custom.said.iter().map(|s| s.name).collect();
    assert_eq!(said, ["JVB_PORT", "ENABLE_AUTO_OWNER", "MAX_PARTICIPANTS"]);
    assert!(custom.useless.len() == 1 && custom.useless[0].ends_with("mod_x.lua"), "{custom:?}");
    std::fs::remove_dir_all(root).unwrap();
}

/// Containers of one compose file share an environment.
#[test]
fn compat_variables_of_one_container_are_nothing_to_the_others() {
    let given = [
        ("HOSTNAME", "b1"),
        ("PROSODY_HTTP_PORT", "5281"),
        ("XMPP_SERVER", "xmpp.meet.jitsi"),
        ("JVB_XMPP_SERVER", "xmpp.bridges"),
        ("JVB_XMPP_PORT", ""),
    ];
    let load = |role, more: &[(&str, &str)]| {
        let all = [&given, more].concat();
        let env = |n: &str| all.iter().find(|(k, _)| *k == n).map(|(_, v)| (*v).to_owned());
        let env = seen_by(role, &env);
        let sources = service::Sources { defaults: None, file: None, env: &env, flags: BTreeMap::new() };
        let e = service::Effective::load(SETTINGS, &sources).unwrap();
        ["bridge.name", "http.port", "xmpp.server", "xmpp.port", "xmpp.auth_domain"]
            .map(|key| e.text(key).to_owned())
    };
    assert_eq!(load(Role::AllInOne, &[]), ["jvb", "", "xmpp.meet.jitsi", "5222", ""]);
    assert_eq!(load(Role::Xmpp, &[]), ["jvb", "5281", "xmpp.meet.jitsi", "5222", ""]);
    assert_eq!(load(Role::Focus, &[("ENABLE_JVB_XMPP_SERVER", "1")])[2], "xmpp.meet.jitsi");
    assert_eq!(load(Role::Videobridge, &[]), ["b1", "", "xmpp.meet.jitsi", "5222", ""]);
    assert_eq!(load(Role::Videobridge, &[("JVB_MUC_NICKNAME", "b2")])[0], "b2");
    assert_eq!(
        load(Role::Videobridge, &[("ENABLE_JVB_XMPP_SERVER", "1")]),
        ["b1", "", "xmpp.bridges", "6222", "auth.jvb.meet.jitsi"]
    );
}

/// What becomes of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Honoured,
    Always,
    Later,
    Not,
}

/// The outcome, and the reason in both languages unless it is honoured.
fn outcome(name: &str) -> (Outcome, &'static str, &'static str) {
    if ours().contains(name) {
        return (Outcome::Honoured, "", "");
    }
    if let Some(r) = RESTRICTIONS.iter().find(|r| r.name == name) {
        let later = name == "PROSODY_MODE";
        return (if later { Outcome::Later } else { Outcome::Not }, r.english, r.german);
    }
    let entry = UPSTREAM.iter().find(|e| e.names.split_whitespace().any(|n| n == name));
    let entry = entry.unwrap_or_else(|| panic!("{name}"));
    let outcome = match entry.meaning {
        Meaning::Compose => return (Outcome::Honoured, "", ""),
        Meaning::Always => Outcome::Always,
        Meaning::Later | Meaning::Missing => Outcome::Later,
        Meaning::Nothing => Outcome::Not,
    };
    (outcome, entry.english, entry.german)
}

const NEEDED: [(&str, &str, usize, usize); 3] = [
    ("must", need::MUST, 23, 23),
    ("must*", need::MUST_FOR_PARTS, 12, 12),
    ("common", need::COMMON, 136, 120),
];

/// Nobody counted: a variable could lose its effect and no test would say so.
#[test]
fn most_of_what_is_needed_is_honoured_and_the_rest_has_a_reason() {
    let mut seen = BTreeSet::new();
    for (class, names, all, least) in NEEDED {
        let names: Vec<&str> = names.split_whitespace().collect();
        assert_eq!(names.len(), all, "{class}");
        assert!(names.iter().all(|n| seen.insert(*n)), "{class}");
        let good = names.iter().filter(|n| outcome(n).0 != Outcome::Not).count();
        assert!(good >= least, "{class}: {good}");
    }
    let page = include_str!("../../../../docs/admin/environment.md");
    let counts = counts();
    for line in &counts {
        assert!(page.lines().any(|l| l == line), "write the count anew:\n{}", counts.join("\n"));
    }
}

/// The lines of the admin's page, in both languages.
fn counts() -> [String; 2] {
    let count = |english: bool| {
        let classes = NEEDED.map(|(class, names, all, _)| {
            let of = |o| names.split_whitespace().filter(|n| outcome(n).0 == o).count();
            let (yes, always, later) = (of(Outcome::Honoured), of(Outcome::Always), of(Outcome::Later));
            let sum = yes + always + later;
            if english {
                format!("{class} {sum}/{all} ({yes} honoured, {always} always so, {later} for parts that are not there yet)")
            } else {
                format!("{class} {sum}/{all} ({yes} beachtet, {always} immer so, {later} für Teile, die noch fehlen)")
            }
        });
        classes.join("; ")
    };
    [format!("**Count.** {}.", count(true)), format!("**Zählung.** {}.", count(false))]
}

#[test]
fn the_admin_s_page_is_the_table() {
    let page = include_str!("../../../../docs/admin/environment.md");
    let tables = tables();
    let all: usize = tables.iter().map(|(_, rows)| rows.len()).sum();
    let mut anew = String::new();
    for (heading, rows) in tables {
        let section = page.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_default();
        let section = section.split("\n## ").next().unwrap_or_default();
        let found: Vec<&str> = section.lines().filter(|l| l.starts_with("| `")).collect();
        if found != rows {
            anew += &format!("## {heading}\n{}\n", rows.join("\n"));
        }
    }
    assert!(anew.is_empty(), "write these tables anew:\n{anew}");
    assert_eq!(page.lines().filter(|l| l.starts_with("| `")).count(), all, "rows that are in no table");
}

/// Headings, and the rows below them.
fn tables() -> Vec<(&'static str, Vec<String>)> {
    let when = |w: When| match w {
        When::On => "yes".to_owned(),
        When::Set => "anything".to_owned(),
        When::Not(usual) => format!("anything but `{usual}`"),
        When::Beyond(known) => format!("more than `{}`", known.join(",")),
    };
    let stop = RESTRICTIONS
        .iter()
        .map(|r| format!("| `{}` | {} | {} | {} |", r.name, when(r.when), r.english, r.german));
    let honoured = SETTINGS.iter().flat_map(|s| {
        let upstream = s.env.iter().filter(|n| !OURS.iter().any(|o| n.starts_with(o)));
        upstream.map(|n| format!("| `{n}` | `{}` |", s.key))
    });
    let list =
        |names: &str| names.split_whitespace().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
    let rest = |meanings: &[Meaning]| {
        let entries = UPSTREAM.iter().filter(|e| meanings.contains(&e.meaning));
        entries.map(|e| format!("| {} | {} | {} |", list(e.names), e.english, e.german)).collect()
    };
    let not = NEEDED.iter().flat_map(|(class, names, ..)| {
        names.split_whitespace().filter_map(move |n| match outcome(n) {
            (Outcome::Honoured | Outcome::Always, ..) => None,
            (_, english, german) => Some(format!("| `{n}` | {class} | {english} | {german} |")),
        })
    });
    vec![
        ("Stops the start when set like this", stop.collect()),
        ("Honoured", honoured.collect()),
        ("Read by `docker/compose.yml`", rest(&[Meaning::Compose])),
        ("So in any case", rest(&[Meaning::Always])),
        ("Not there yet", rest(&[Meaning::Missing, Meaning::Later])),
        ("Ignored", rest(&[Meaning::Nothing])),
        ("Needed by many, and without effect", not.collect()),
    ]
}
