//! The table of modules in `docs/differences.md` in, what of it is not so out.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// What docker-jitsi-meet and Debian's packages load, by themselves or by a variable (xmpp-server §1.1, §1.3).
const UPSTREAM: &str = "admin_shell audio_translation_component auth_anonymous auth_cyrus auth_hybrid_matrix_token \
    auth_internal_hashed auth_jitsi-anonymous auth_jitsi-shared-secret auth_matrix_user_verification auth_token \
    av_moderation_component bosh certs_s2soutinjection client_proxy conference_duration disco end_conference \
    external_services features_identity filesharing_component filter_messages firewall fmuc http_health \
    http_openmetrics jibri_session jitsi_permissions jitsi_session limits limits_exception measure_stanza_counts muc \
    muc_breakout_rooms muc_domain_mapper muc_filter_access muc_hide_all muc_lobby_rooms muc_max_occupants \
    muc_meeting_id muc_password_whitelist muc_rate_limit muc_resource_validate muc_wait_for_host persistent_lobby \
    ping polls polls_component posix private rate_limit reservations room_destroy room_metadata_component roster \
    s2s_bidi s2s_whitelist s2sout_override saslauth secure_interfaces smacks speakerstats_component tls \
    token_affiliation token_verification turncredentials version visitors visitors_component websocket";

/// The table: names and what it says of them.
fn rows() -> BTreeMap<&'static str, &'static str> {
    let page = include_str!("../../../../docs/differences.md");
    let table = page.split_once("# Prosody's modules, one by one").expect("the heading").1;
    let mut all = BTreeMap::new();
    for row in table.lines().filter(|l| l.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for name in cells[1].split('`').skip(1).step_by(2) {
            assert_eq!(all.insert(name, cells[2]), None, "{name} is there twice");
            let clear = ["done", "always"].contains(&cells[2]);
            assert!(clear || !cells[3].is_empty(), "{name}: a word of why");
        }
    }
    all
}

#[test]
fn the_page_says_of_each_module_of_upstream_what_is_so() {
    let rows = rows();
    let here: BTreeSet<_> = [on_users(), on_rooms(), components()].concat().into_iter().collect();
    for (name, says) in &rows {
        let expected = match (here.contains(name), ALWAYS.contains(name)) {
            (_, true) => &["always"][..],
            (true, false) => &["done"],
            (false, false) => &["otherwise", "not"],
        };
        // In builds for suites alone.
        if *name != "test_observer" {
            assert!(expected.contains(says), "{name}: the page says `{says}`, and it is {expected:?}");
        }
    }
    let missing: Vec<_> = here.iter().filter(|name| !rows.contains_key(*name)).collect();
    let paste: String = missing.iter().map(|name| format!("\n| `{name}` | done | |")).collect();
    assert!(missing.is_empty(), "rows to paste into docs/differences.md:{paste}");
    let unsaid: Vec<_> = UPSTREAM.split_whitespace().filter(|name| !rows.contains_key(name)).collect();
    assert!(unsaid.is_empty(), "of these the page says nothing: {unsaid:?}");
}
