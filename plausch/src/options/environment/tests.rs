use std::collections::{BTreeMap, BTreeSet};

use super::*;

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
    let ignored = UPSTREAM.iter().flat_map(|(_, names)| names.split_whitespace());
    // What is honoured in part is an option, too.
    let restricting = RESTRICTIONS.iter().filter(|r| !matches!(r.when, When::Beyond(_))).map(|r| r.name);
    for name in named.copied().chain(ignored).chain(restricting) {
        assert!(seen.insert(name), "{name} twice");
    }
    // 503 of today, and 11 that releases before had.
    assert_eq!(seen.len(), 503 + 11);
}

/// `ENABLE_AUTH=1 AUTH_TYPE=jwt …` started a server that let everybody in.
#[test]
fn a_server_that_should_ask_for_a_login_does_not_start_open() {
    for value in ["1", "true", "yes", "on", "no", "flase", "\"1\""] {
        let e = ask(Role::AllInOne, &[("ENABLE_AUTH", value), ("AUTH_TYPE", "jwt")], false).unwrap_err();
        let line = e.to_string();
        assert_eq!((e.reason(), e.exit_code()), ("restriction", 78));
        assert!(
            line.starts_with("ENABLE_AUTH: ") && line.contains("PLAUSCH_ACCEPT") && !line.contains('\n'),
            "{line}"
        );
    }
    for value in ["0", "false", "", "'F'"] {
        assert!(
            ask(Role::AllInOne, &[("ENABLE_AUTH", value), ("AUTH_TYPE", "jwt")], false).is_ok(),
            "{value}"
        );
    }
    for role in [Role::Xmpp, Role::Focus] {
        assert!(ask(role, &[("ENABLE_AUTH", "1")], false).is_err());
    }
    assert!(ask(Role::Videobridge, &[("ENABLE_AUTH", "1")], false).is_ok(), "a bridge lets nobody in");
}

#[test]
fn whatever_keeps_people_out_and_is_missing_stops_the_start() {
    for r in RESTRICTIONS {
        let (stops, goes): (&[&str], &[&str]) = match r.when {
            When::On => (&["1", "true", "nonsense"], &["0", "false", ""]),
            When::Off => (&["0", "false", "nonsense"], &["1", "true", ""]),
            When::Set => (&["x", "0"], &[""]),
            When::Not("client") => (&["visitors", "nonsense"], &["client", ""]),
            When::Not(_) => unreachable!(),
            When::Beyond(_) => (&["x", "muc_size,x"], &["muc_size", "muc_census, muc_size,", ""]),
        };
        for role in r.roles {
            assert!(stops.iter().all(|v| ask(*role, &[(r.name, v)], false).is_err()), "{}", r.name);
            assert!(goes.iter().all(|v| ask(*role, &[(r.name, v)], false).is_ok()), "{}", r.name);
            let accepted = [(r.name, stops[0]), ("PLAUSCH_ACCEPT", r.name)];
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
    let e = ask(Role::AllInOne, &[("PLAUSCH_ACCEPT", "ENABLE_AUHT")], false).unwrap_err().to_string();
    assert!(e.contains("ENABLE_AUHT") && e.contains("ENABLE_AUTH"), "{e}");
    assert!(
        ask(Role::AllInOne, &[("PLAUSCH_BIN", "x"), ("PLAUSCH_CONFIG", "x"), ("PATH", "x")], false).is_ok()
    );
}

#[test]
fn what_has_no_effect_is_found() {
    let found = ask(
        Role::AllInOne,
        &[("TZ", "Europe/Berlin"), ("ENABLE_RECORDING", "1"), ("ENABLE_LOBBY", "")],
        false,
    )
    .unwrap();
    assert_eq!(found.ignored, ["TZ"]);
    assert_eq!(found.missing.len(), 1);
    assert_eq!(found.missing[0].0, "ENABLE_RECORDING");
}

#[test]
fn the_admin_s_page_is_the_table() {
    let page = include_str!("../../../../docs/admin/environment.md");
    let rows: Vec<&str> = page.lines().filter(|l| l.starts_with("| `")).collect();
    let table: Vec<String> = table();
    assert_eq!(rows, table, "write the tables anew:\n{}", table.join("\n"));
}

fn table() -> Vec<String> {
    let when = |w: When| match w {
        When::On => "yes".to_owned(),
        When::Off => "no".to_owned(),
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
    let rest = |missing: bool| {
        UPSTREAM.iter().filter_map(move |(m, names)| match m {
            Meaning::Missing(what) if missing => Some(format!("| {} | {what} |", list(names))),
            Meaning::Ignored(why) if !missing => Some(format!("| {} | {why} |", list(names))),
            _ => None,
        })
    };
    stop.chain(honoured).chain(rest(true)).chain(rest(false)).collect()
}
