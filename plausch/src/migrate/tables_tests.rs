//! Configurations as Debian's package and docker-jitsi-meet leave them in; tables, and what is said of the rest, compared.

use std::fs;
use std::path::PathBuf;

use super::super::prosody;
use crate::migrate::{Migrate, To};
use crate::words::Language;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let root = std::env::temp_dir().join(format!("plausch-tables-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for (file, text) in files {
            let file = root.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        Self(root)
    }

    /// The exit code, and the tables.
    fn migrate(&self) -> (u8, Option<toml::Table>) {
        let out = self.0.join("out.toml");
        let _ = fs::remove_file(&out);
        let from = self.0.join("prosody.cfg.lua");
        assert!(prosody::is_one(&from));
        let code =
            prosody::run(&Migrate { from, to: To::File(out.clone()), language: Language::English }).unwrap();
        (code, fs::read_to_string(out).ok().map(|t| t.parse().unwrap()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const MAIN: &str = r#"-- Prosody's own
admins = { }
modules_enabled = { "roster"; "saslauth"; "tls"; "disco"; "ping"; "posix"; }
modules_disabled = { "s2s" }
authentication = "internal_hashed"
Include "conf.d/*.cfg.lua"
"#;

const DEBIAN: &str = r#"plugin_paths = { "/usr/share/jitsi-meet/prosody-plugins/" }
muc_mapper_domain_base = "meet.example";
cross_domain_bosh = false;
consider_bosh_secure = true;
unlimited_jids = { "focus@auth.meet.example", "jvb@auth.meet.example" }
VirtualHost "auth.meet.example"
    modules_enabled = { "limits_exception"; "smacks"; }
    smacks_hibernation_time = 15;
VirtualHost "meet.example"
    authentication = "jitsi-anonymous"
    ssl = { key = "/etc/prosody/certs/meet.example.key"; certificate = "/etc/prosody/certs/meet.example.crt"; }
    modules_enabled = { "bosh"; "websocket"; "smacks"; "external_services"; "features_identity"; "conference_duration"; "muc_lobby_rooms"; "muc_breakout_rooms"; }
    c2s_require_encryption = false
    lobby_muc = "lobby.meet.example"
    breakout_rooms_muc = "breakout.meet.example"
    main_muc = "conference.meet.example"
    muc_lobby_whitelist = { "recorder.meet.example" }
VirtualHost "guest.meet.example"
    authentication = "anonymous"
Component "conference.meet.example" "muc"
    restrict_room_creation = true
    storage = "memory"
    modules_enabled = { "muc_hide_all"; "muc_meeting_id"; "muc_domain_mapper"; "muc_rate_limit"; "muc_password_whitelist"; "muc_max_occupants"; }
    muc_password_whitelist = { "focus@auth.meet.example" }
    muc_max_occupants = 30
    muc_room_locking = false
Component "breakout.meet.example" "muc"
    modules_enabled = { "muc_hide_all"; "muc_meeting_id"; "muc_rate_limit"; }
Component "internal.auth.meet.example" "muc"
    modules_enabled = { "muc_hide_all"; "ping"; }
Component "lobby.meet.example" "muc"
    modules_enabled = { "muc_hide_all"; "muc_rate_limit"; }
Component "focus.meet.example" "client_proxy"
    target_address = "focus@auth.meet.example"
Component "speakerstats.meet.example" "speakerstats_component"
    muc_component = "conference.meet.example"
Component "metadata.meet.example" "room_metadata_component"
    muc_component = "conference.meet.example"
    breakout_rooms_component = "breakout.meet.example"
"#;

fn debian(change: impl FnOnce(String) -> String) -> Folder {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let text = change(DEBIAN.to_owned());
    Folder::new(&format!("debian-{n}"), &[("prosody.cfg.lua", MAIN), ("conf.d/meet.example.cfg.lua", &text)])
}

fn domains(tables: &toml::Table, kind: &str) -> Vec<String> {
    let all = tables["xmpp"][kind].as_array().unwrap().iter();
    all.map(|t| t["domain"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn debian_s_files_become_tables_that_a_start_takes() {
    let (code, tables) = debian(|t| t).migrate();
    let tables = tables.expect("tables");
    assert_eq!(code, 0);
    assert_eq!(domains(&tables, "users"), ["meet.example", "auth.meet.example", "guest.meet.example"]);
    let rooms = ["conference", "breakout", "internal.auth", "lobby"].map(|d| format!("{d}.meet.example"));
    assert_eq!(domains(&tables, "rooms"), rooms);
    let components = ["focus", "speakerstats", "metadata"].map(|d| format!("{d}.meet.example"));
    assert_eq!(domains(&tables, "components"), components);
    let users = tables["xmpp"]["users"].as_array().unwrap();
    assert_eq!(users[0]["login"].as_str(), Some("anonymous"));
    assert_eq!((users[1]["login"].as_str(), users[1]["public"].as_bool()), (Some("accounts"), Some(false)));
    assert_eq!(users[1]["resume_seconds"].as_integer(), Some(15));
    let meetings = &tables["xmpp"]["rooms"][0];
    assert_eq!(meetings["lobby"].as_str(), Some("lobby.meet.example"));
    assert_eq!(meetings["policy"]["max_participants"].as_integer(), Some(30));
    assert_eq!(meetings["policy"]["lobby_exempt"][0].as_str(), Some("recorder.meet.example"));
    let inner = &tables["xmpp"]["rooms"][2];
    assert_eq!(inner["policy"]["admitted"][0].as_str(), Some("auth.meet.example"));
}

#[test]
fn what_restricts_and_is_not_understood_leaves_no_tables() {
    for (from, to) in [
        ("authentication = \"jitsi-anonymous\"", "authentication = \"ldap\""),
        ("authentication = \"jitsi-anonymous\"", "authentication = os.getenv(\"AUTH\")"),
        ("\"muc_hide_all\"; \"ping\";", "\"muc_hide_all\"; \"muc_quota\";"),
        ("\"bosh\";", "\"bosh\"; \"token_verification_x\";"),
        ("muc_room_locking = false", "muc_room_default_members_only = true"),
        ("muc_room_locking = false", "muc_only_staff = true"),
        ("main_muc =", "if true then main_muc = \"x\" end main_muc ="),
        ("\"speakerstats_component\"", "\"gatekeeper\""),
        ("cross_domain_bosh = false;", "Include \"/etc/passwd\""),
        ("cross_domain_bosh = false;", "Include \"nowhere.cfg.lua\""),
        ("cross_domain_bosh = false;", "cross_domain_bosh = {"),
    ] {
        let folder = debian(|t| {
            assert!(t.contains(from), "{from}");
            t.replacen(from, to, 1)
        });
        assert_eq!(folder.migrate(), (2, None), "{to}");
    }
}

#[test]
fn what_is_different_and_keeps_nobody_out_is_named_and_the_tables_are_there() {
    for more in [
        "external_services = { { type = \"turn\", host = \"turn.example\" } }",
        "some_colour = \"blue\"",
        "Component \"upload.meet.example\" \"http_file_share\"",
        "Component \"old.meet.example\"\n component_colour = \"x\"",
    ] {
        let (code, tables) = debian(|t| format!("{t}{more}\n")).migrate();
        assert!(code == 1 && tables.is_some(), "{more}: {code}");
    }
}

#[test]
fn docker_s_hosts_and_tokens_become_tables() {
    let docker = r#"admins = { "focus@auth.meet.jitsi", "jvb@auth.meet.jitsi" }
muc_mapper_domain_base = "meet.jitsi";
muc_mapper_domain_prefix = "muc";
http_default_host = "meet.jitsi"
asap_accepted_issuers = { "town" }
asap_accepted_audiences = { "*" }
VirtualHost "meet.jitsi"
    authentication = "token"
    app_id = "town"
    app_secret = "a \"secret\" of the tests with 32 bytes"
    allow_empty_token = false
    enable_domain_verification = true
    modules_enabled = { "bosh"; "features_identity"; "websocket"; "smacks"; "conference_duration"; "muc_lobby_rooms"; "muc_breakout_rooms"; "presence_identity"; }
    main_muc = "muc.meet.jitsi"
    lobby_muc = "lobby.meet.jitsi"
    breakout_rooms_muc = "breakout.meet.jitsi"
VirtualHost "auth.meet.jitsi"
    modules_enabled = { "limits_exception"; "smacks"; }
    authentication = "internal_hashed"
VirtualHost "hidden.meet.jitsi"
    modules_enabled = { "smacks"; }
    authentication = "internal_hashed"
Component "internal-muc.meet.jitsi" "muc"
    modules_enabled = { "muc_hide_all"; "muc_filter_access"; }
    muc_filter_whitelist = "auth.meet.jitsi"
    restrict_room_creation = true
Component "muc.meet.jitsi" "muc"
    modules_enabled = { "muc_hide_all"; "muc_meeting_id"; "token_verification"; "muc_resource_validate"; "muc_rate_limit"; "muc_wait_for_host"; }
    anonymous_strict = true
    muc_rate_joins = 3
    wait_for_host_disable_auto_owners = true
Component "focus.meet.jitsi" "client_proxy"
    target_address = "focus@auth.meet.jitsi"
Component "polls.meet.jitsi" "polls_component"
Component "lobby.meet.jitsi" "muc"
    modules_enabled = { "muc_hide_all"; }
Component "breakout.meet.jitsi" "muc"
    modules_enabled = { "muc_hide_all"; "muc_meeting_id"; }
"#;
    let folder = Folder::new(
        "docker",
        &[("prosody.cfg.lua", "Include \"conf.d/*.cfg.lua\"\n"), ("conf.d/jitsi-meet.cfg.lua", docker)],
    );
    let (code, tables) = folder.migrate();
    let tables = tables.expect("tables");
    assert_eq!(code, 0);
    let main = &tables["xmpp"]["users"][0];
    assert_eq!((main["domain"].as_str(), main["login"].as_str()), (Some("meet.jitsi"), Some("token")));
    assert_eq!(main["token"]["app_secret"].as_str(), Some("a \"secret\" of the tests with 32 bytes"));
    assert_eq!(main["token"]["verify_domain"].as_bool(), Some(true));
    assert_eq!(main["token"]["issuers"][0].as_str(), Some("town"));
    let meetings = &tables["xmpp"]["rooms"][0];
    assert_eq!(meetings["domain"].as_str(), Some("muc.meet.jitsi"));
    let policy = &meetings["policy"];
    assert_eq!((policy["strict_nicks"].as_bool(), policy["hosts_own"].as_bool()), (Some(true), Some(false)));
    assert_eq!(policy["joins_per_second"].as_integer(), Some(3));
    let rooms = tables["xmpp"]["rooms"].as_array().unwrap();
    let inner = rooms.iter().find(|r| r["domain"].as_str() == Some("internal-muc.meet.jitsi")).unwrap();
    assert_eq!(inner["policy"]["admitted"][0].as_str(), Some("auth.meet.jitsi"));
    // A rule that nobody keeps.
    let unkept = docker.replace("\"muc_rate_limit\"; ", "");
    let folder = Folder::new("docker-unkept", &[("prosody.cfg.lua", &unkept)]);
    assert_eq!(folder.migrate(), (2, None));
}

#[test]
fn so_many_files_are_read_and_more_are_an_error() {
    let folder = debian(|t| t);
    // The main file and the town's are two of them.
    for n in 2..prosody::FILES {
        fs::write(folder.0.join(format!("conf.d/more-{n}.cfg.lua")), "-- nothing\n").unwrap();
    }
    assert_eq!(folder.migrate().0, 0);
    fs::write(folder.0.join("conf.d/one-more.cfg.lua"), "-- nothing\n").unwrap();
    assert_eq!(folder.migrate(), (2, None));
}
