//! What was found in; which options and what lines become of it, compared.

use prosody_core::AccountRecord;

use super::*;
use crate::accounts::prosody::Host;
use crate::foreign::custom::{Custom, Restriction, Said};

fn seen(env: &[(&str, &str)]) -> Seen {
    Seen {
        variables: env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        ..Seen::default()
    }
}

fn judged(seen: &Seen) -> (Option<toml::Table>, Found) {
    let (values, mut found) = judge(seen);
    let text = plan(seen, &values, &mut found);
    (text.map(|t| t.parse().unwrap()), found)
}

fn worst(found: &Found) -> Level {
    found.iter().map(|(_, f)| f.level).max().unwrap()
}

#[test]
fn an_env_file_becomes_a_file_with_its_ports_names_and_secrets() {
    let (read, found) = judged(&seen(&[
        ("PUBLIC_URL", "https://meet.example"),
        ("HTTP_PORT", "80"),
        ("HTTPS_PORT", "443"),
        ("JVB_PORT", "10001"),
        ("JVB_AUTH_PASSWORD", "ge\"heim"),
        ("TZ", "UTC"),
    ]));
    let read = read.unwrap();
    assert_eq!(read["http"]["listen"].as_str(), Some("0.0.0.0:80"));
    assert_eq!(read["http"]["public_url"].as_str(), Some("https://meet.example"));
    assert_eq!(read["https"]["listen"].as_str(), Some("0.0.0.0:443"));
    assert_eq!(read["media"]["listen"].as_str(), Some("0.0.0.0:10001"));
    assert_eq!(read["bridge"]["password"].as_str(), Some("ge\"heim"));
    assert_eq!(worst(&found), Level::Yellow, "no certificate");
    let mut issued = seen(&[("PUBLIC_URL", "https://meet.example"), ("ENABLE_LETSENCRYPT", "1")]);
    issued.certificate = Some(("/c/storage/web/acme-certs/m/fullchain.pem".into(), "/c/key.pem".into()));
    let (read, found) = judged(&issued);
    let read = read.unwrap();
    assert!(read["https"]["acme"]["enabled"].as_bool() == Some(true), "{found:?}");
    assert_eq!(worst(&found), Level::Green);
    assert!(read["https"].get("certificate").is_none(), "nobody renews that one");
    let (read, _) = judged(&seen(&[("DISABLE_HTTPS", "1")]));
    let read = read.unwrap();
    assert!(read.get("https").is_none_or(|https| https.get("listen").is_none()), "{read:?}");
}

/// Without them everybody could open a meeting.
#[test]
fn nothing_that_keeps_people_out_is_lost_on_the_way() {
    for env in [("JICOFO_ENABLE_AUTH", "1"), ("XMPP_MUC_MODULES", "x"), ("PLAUSCH_HTPP", "1")] {
        assert_eq!(worst(&judged(&seen(&[env])).1), Level::Red, "{env:?}");
    }
    let jwt = judged(&seen(&[("ENABLE_AUTH", "1"), ("AUTH_TYPE", "matrix")]));
    assert_eq!(worst(&jwt.1), Level::Red);
    let (read, found) = judged(&seen(&[("ENABLE_AUTH", "1"), ("ENABLE_GUESTS", "1")]));
    let login = read.unwrap()["login"].clone();
    assert!(
        login["required"].as_bool() == Some(true) && login["guests"].as_bool() == Some(true),
        "{found:?}"
    );
    let mut custom = seen(&[]);
    custom.custom.restrictions.push(Restriction {
        name: "authentication".into(),
        place: "x".into(),
        why: words!("a", "b"),
    });
    assert_eq!(worst(&judged(&custom).1), Level::Red);
    let debian = |open: bool| {
        let mut seen = seen(&[]);
        seen.debian = Some(look::Debian {
            host: "meet.example".into(),
            config_js: "/dev/null".into(),
            open,
            ..look::Debian::default()
        });
        seen
    };
    let (read, found) = judged(&debian(true));
    assert_eq!(worst(&found), Level::Yellow, "{found:?}");
    assert_eq!(read.unwrap()["xmpp"]["muc_domain"].as_str(), Some("conference.meet.example"));
    assert_eq!(worst(&judged(&debian(false)).1), Level::Red);
    let mut login = debian(true);
    login.custom = Custom {
        said: vec![Said {
            name: "JICOFO_ENABLE_AUTH",
            value: "true".into(),
            place: "jicofo.authentication.enabled in x".into(),
        }],
        ..Custom::default()
    };
    let (_, found) = judged(&login);
    assert_eq!(worst(&found), Level::Red, "what a file says counts as what the environment says: {found:?}");
}

#[test]
fn what_is_not_read_and_has_no_place_is_said_and_nonsense_gives_no_file() {
    let mut there = seen(&[]);
    there.unread.push("/c/x/own.lua".into());
    let keys = AccountRecord::with_password("x", &mut service::SystemEntropy, 1);
    let accounts = vec![("anna@meet.jitsi".parse().unwrap(), keys)];
    there.accounts.push(Host { name: "meet.jitsi".into(), accounts, plain: 0, odd: vec!["x.dat".into()] });
    there.data = "/old/data".into();
    let said: Vec<String> = judged(&there).1.into_iter().map(|(_, f)| f.says.de).collect();
    assert!(
        said.iter().any(|s| s.contains("own.lua"))
            && said.iter().any(|s| s.contains("1 Konten") && s.contains("1 weitere")),
        "{said:?}"
    );
    let (text, found) = judged(&seen(&[("JVB_PORT", "many")]));
    assert!(text.is_none() && worst(&found) == Level::Red);
}
