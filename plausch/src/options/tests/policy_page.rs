//! The worked examples of `docs/admin/policy.md` and `regeln.md`: each starts as it stands, and means what the page says.

use std::ffi::OsString;

use prosody_core::{Policy, RoomsHost};

use super::*;

/// An example's number, and its block.
fn examples(page: &str) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for part in page.split("\n### ").skip(1) {
        let number = part.split('.').next().unwrap().parse().unwrap();
        if let Some((_, rest)) = part.split_once("\n```") {
            let (language, rest) = rest.split_once('\n').unwrap();
            let (block, _) = rest.split_once("```").unwrap();
            found.push((number, format!("{language}\n{block}")));
        }
    }
    found
}

/// The table of hosts that an example comes to.
fn hosts(example: &str) -> prosody_core::Table {
    let (language, block) = example.split_once('\n').unwrap();
    let (file, env): (Option<&str>, Vec<(OsString, OsString)>) = if language == "toml" {
        (Some(block), Vec::new())
    } else {
        let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.into(), value.into()));
        (None, block.lines().map(|l| pair(l).unwrap()).collect())
    };
    let started = crate::check(std::iter::empty(), file, env.into_iter());
    let crate::Checked::Start(effective) = started.unwrap_or_else(|e| panic!("{block}\n{}", line(&e))) else {
        panic!("{block}: nothing is started")
    };
    let settings = Settings::look(&effective).unwrap();
    prosody_server::Config::from_raw(crate::wiring::xmpp_options(&settings)).unwrap().core.hosts
}

fn meetings(table: &prosody_core::Table) -> (&RoomsHost, Vec<&str>) {
    let rooms = &table.rooms[0];
    let users = table.users[0].modules.iter();
    (rooms, rooms.modules.iter().chain(users).map(String::as_str).collect())
}

#[test]
fn each_of_the_ten_towns_starts_as_it_stands_and_means_what_is_said() {
    let page = include_str!("../../../../docs/admin/policy.md");
    let all = examples(page);
    assert_eq!(all.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    for (number, example) in all {
        let table = hosts(&example);
        let (rooms, modules) = meetings(&table);
        let login = format!("{:?}", table.users[0].login);
        let guests =
            table.users.iter().skip(1).any(|h| h.public && matches!(h.login, prosody_core::Login::Anonymous));
        let policy = &rooms.policy;
        let of = |tenant: &str| -> &Policy { &rooms.tenants[tenant] };
        match number {
            1 => assert!(login == "Anonymous" && !policy.all_owners && rooms.tenants.is_empty()),
            2 => assert!(policy.all_owners && modules.contains(&"muc_allowners")),
            3 => assert!(login == "Accounts" && guests),
            4 => assert!(login.starts_with("Directory") && !guests, "{login}"),
            5 => assert!(login.starts_with("Token") && !guests && modules.contains(&"token_affiliation")),
            6 => assert!(login.starts_with("Token") && guests && modules.contains(&"muc_wait_for_host")),
            7 => {
                let school = of("school");
                assert_eq!((school.max_participants, school.max_messages), (Some(35), Some(1000)));
                assert!(!school.default_permissions.iter().any(|p| p == "livestreaming"));
                assert_eq!((policy.max_participants, policy.max_messages), (None, None));
            }
            8 => {
                assert!(login.starts_with("Token") && policy.all_owners);
                assert_eq!(policy.moderated_rooms, ["councilmeeting"]);
                assert_eq!(policy.moderated_tenants, ["council"]);
            }
            9 => assert!(modules.contains(&"reservations")),
            _ => {
                assert_eq!((of("smalltown").max_participants, policy.max_participants), (Some(20), None));
                assert!(of("thirdtown").all_owners && !of("smalltown").all_owners && !policy.all_owners);
            }
        }
    }
}

#[test]
fn the_german_page_has_the_same_examples() {
    let english = examples(include_str!("../../../../docs/admin/policy.md"));
    let german = examples(include_str!("../../../../docs/admin/regeln.md"));
    assert!(german.len() >= 7);
    for example in german {
        assert!(english.contains(&example), "{example:?}");
    }
}
