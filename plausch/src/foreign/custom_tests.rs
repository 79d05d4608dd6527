//! Files as admins of a Jitsi write them in; what becomes of each key, and what stops a start, compared.

use super::*;

struct Tree(PathBuf);

impl Tree {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let root = std::env::temp_dir().join(format!("plausch-custom-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        for (file, text) in files {
            let file = root.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        Self(root)
    }

    fn look(&self, role: Role) -> Result<Custom, StartError> {
        look(role, &[self.0.display().to_string()], true, "meet.example", &|_| None)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn said(custom: &Custom) -> Vec<(&str, &str)> {
    let mut all: Vec<_> = custom.said.iter().map(|s| (s.name, s.value.as_str())).collect();
    all.sort_unstable();
    all
}

fn closed(custom: &Custom) -> Vec<&str> {
    custom.restrictions.iter().map(|r| r.name.as_str()).collect()
}

/// Upstream's own example stopped the start.
#[test]
fn compat_limits_by_the_size_of_a_conference_are_heeded() {
    let text = "videobridge {\n  cc.jvb-last-n = 25\n  load-management {\n    reducer-enabled = true\n    conference-last-n-limits {\n      20 = 20,\n      30 = 15,\n      50 = 10\n    }\n  }\n}\n";
    let tree = Tree::new("sizes", &[("custom-jvb.conf", text)]);
    let bridge = tree.look(Role::Videobridge).unwrap();
    assert_eq!(
        said(&bridge),
        [
            ("PLAUSCH_LAST_N", "25"),
            ("PLAUSCH_LAST_N_BY_SIZE", "20=20,30=15,50=10"),
            ("PLAUSCH_REDUCES_LOAD", "true")
        ]
    );
    assert!(closed(&bridge).is_empty() && bridge.useless.is_empty(), "{bridge:?}");
}

#[test]
fn keys_of_custom_files_become_variables_restrict_or_are_named() {
    let tree = Tree::new(
        "keys",
        &[
            (
                "custom-jvb.conf",
                "videobridge { ice.udp.port = 10001, stats.interval = 1 s, cc.onstage-ideal-height-px = 1080 }\n\
                 ice4j.harvest.mapping.static-mappings = [ { public-address = 203.0.113.7, public-port = 443 }, { public-address = \"2001:db8::7\" } ]\n\
                 videobridge.http-servers.private { host = 0.0.0.0, port = 8081 }\n",
            ),
            (
                "custom-jicofo.conf",
                "jicofo.conference { enable-auto-owner = no, max-audio-senders = 30 }\njicofo.sneaky.allow-list = [a]\n",
            ),
        ],
    );
    let bridge = tree.look(Role::Videobridge).unwrap();
    assert_eq!(
        said(&bridge),
        [
            ("JVB_ADVERTISE_IPS", "203.0.113.7#443,2001:db8::7"),
            ("JVB_PORT", "10001"),
            ("PLAUSCH_ADMIN", "0.0.0.0:8081")
        ]
    );
    assert!(closed(&bridge).is_empty(), "{bridge:?}");
    assert!(bridge.useless.len() == 1 && bridge.useless[0].contains("onstage-ideal-height-px"), "{bridge:?}");
    let focus = tree.look(Role::Focus).unwrap();
    assert_eq!(said(&focus), [("ENABLE_AUTO_OWNER", "false"), ("JICOFO_CONF_MAX_AUDIO_SENDERS", "30")]);
    assert_eq!(closed(&focus), ["jicofo.sneaky.allow-list"]);
    let whole = tree.look(Role::AllInOne).unwrap();
    assert!(whole.place("PLAUSCH_ADMIN").is_none() && whole.files.len() == 2, "{whole:?}");
    assert_eq!(tree.look(Role::Xmpp).unwrap(), Custom::default());
    let refusal = |accepted: &[String]| focus.refusal(accepted, true).map(|e| e.to_string());
    let line = refusal(&[]).unwrap();
    assert!(
        line.contains("custom-jicofo.conf") && line.contains("PLAUSCH_ACCEPT") && !line.contains('\n'),
        "{line}"
    );
    assert_eq!(refusal(&["jicofo.sneaky.allow-list".into()]), None);
}

/// A key that keeps something out must stop a start, whatever its value is.
#[test]
fn what_restricts_is_never_lost() {
    for (key, name) in [
        ("ice4j.harvest.allowed-addresses = [10.0.0.1, 10.0.0.2]", "ice4j.harvest.allowed-addresses"),
        ("ice4j.harvest.blocked-interfaces = [docker0]", "ice4j.harvest.blocked-interfaces"),
        ("videobridge.rest.drain.enabled = false", "videobridge.rest.drain.enabled"),
        ("videobridge.rest.health.enabled = maybe", "videobridge.rest.health.enabled"),
        ("videobridge.initial-drain-mode = yes", "videobridge.initial-drain-mode"),
        ("videobridge.new-thing.require-token = x", "videobridge.new-thing.require-token"),
    ] {
        let tree = Tree::new("restricts", &[("custom-jvb.conf", key)]);
        assert_eq!(closed(&tree.look(Role::Videobridge).unwrap()), [name], "{key}");
    }
    for key in
        ["ice4j.harvest.blocked-interfaces = []", "videobridge.rest.health.enabled = true", "a.b = null"]
    {
        let tree = Tree::new("restricts", &[("custom-jvb.conf", key)]);
        let custom = tree.look(Role::Videobridge).unwrap();
        assert!(custom.restrictions.is_empty() && custom.useless.is_empty(), "{key}: {custom:?}");
    }
    let tree = Tree::new("include", &[("custom-jvb.conf", "include \"other.conf\"")]);
    assert_eq!(tree.look(Role::AllInOne).unwrap().restrictions.len(), 1);
    for text in ["videobridge {", "a = ${MISSING}"] {
        let tree = Tree::new("broken", &[("custom-jvb.conf", text)]);
        let line = tree.look(Role::AllInOne).unwrap_err().to_string();
        assert!(line.contains("custom-jvb.conf") && line.contains("line 1"), "{line}");
    }
    let tree = Tree::new("missing", &[]);
    assert!(look(Role::Xmpp, &[tree.0.join("not").display().to_string()], true, "m", &|_| None).is_err());
    assert!(look(Role::Xmpp, &[tree.0.join("not").display().to_string()], false, "m", &|_| None).is_ok());
}

#[test]
fn compat_debian_s_files_are_heeded() {
    let tree = Tree::new(
        "debian",
        &[
            (
                "videobridge/jvb.conf",
                "videobridge {\n  http-servers { public { port = 9090 } }\n  websockets { enabled = true, domain = \"meet.example:443\", tls = true }\n}\n\
                 videobridge.apis.xmpp-client.configs.shard { HOSTNAME = localhost, DOMAIN = auth.meet.example, USERNAME = jvb, PASSWORD = geheim,\n\
                   MUC_JIDS = \"jvbbrewery@internal.auth.meet.example\", MUC_NICKNAME = bridge-1, DISABLE_CERTIFICATE_VERIFICATION = true }\n",
            ),
            (
                "videobridge/sip-communicator.properties",
                "# NAT\norg.ice4j.ice.harvest.NAT_HARVESTER_LOCAL_ADDRESS=10.0.0.2\norg.ice4j.ice.harvest.NAT_HARVESTER_PUBLIC_ADDRESS=203.0.113.7\n",
            ),
            (
                "jicofo/jicofo.conf",
                "jicofo {\n  xmpp: { client: { client-proxy: \"focus.meet.example\", xmpp-domain: \"meet.example\", domain: \"auth.meet.example\", username: \"focus\", password: \"geheim2\" }\n\
                   trusted-domains: [ \"recorder.meet.example\" ] }\n  bridge: { brewery-jid: \"JvbBrewery@internal.auth.meet.example\" }\n}\n",
            ),
        ],
    );
    let custom = tree.look(Role::AllInOne).unwrap();
    assert_eq!(
        said(&custom),
        [
            ("JICOFO_AUTH_PASSWORD", "geheim2"),
            ("JICOFO_TRUSTED_DOMAINS", "recorder.meet.example"),
            ("JVB_ADVERTISE_IPS", "203.0.113.7"),
            ("JVB_AUTH_PASSWORD", "geheim"),
            ("JVB_AUTH_USER", "jvb"),
            ("JVB_BREWERY_MUC", "jvbbrewery"),
            ("JVB_MUC_NICKNAME", "bridge-1"),
            ("XMPP_AUTH_DOMAIN", "auth.meet.example"),
            ("XMPP_DOMAIN", "meet.example"),
            ("XMPP_INTERNAL_MUC_DOMAIN", "internal.auth.meet.example"),
        ]
    );
    assert!(custom.restrictions.is_empty() && custom.useless.is_empty(), "{custom:?}");
    assert!(!format!("{custom:?}").contains("geheim"), "secrets show");
    let stun = |server: &str| {
        let text = format!("ice4j.harvest.mapping.stun.addresses = [ \"{server}\" ]");
        Tree::new("stun", &[("custom-jvb.conf", &text)]).look(Role::Videobridge).unwrap()
    };
    assert_eq!(said(&stun("stun.town.example:3478")), [("JVB_STUN_SERVERS", "stun.town.example:3478")]);
    let theirs = stun("meet-jit-si-turnrelay.jitsi.net:443");
    assert!(said(&theirs).is_empty() && theirs.useless.len() == 1, "nobody chose that: {theirs:?}");
    // Prosody's file of the same packages: open, with what its template has.
    let lua = Tree::new(
        "debian-lua",
        &[(
            "conf.d/x.cfg.lua",
            "external_service_secret = \"s3\"\nexternal_services = {\n { type = \"stun\", host = \"meet.example\", port = 3478 },\n \
             { type = \"turn\", host = \"meet.example\", port = 3478, transport = \"udp\", secret = true, ttl = 86400 },\n \
             { type = \"turns\", host = \"meet.example\", port = 5349, transport = \"tcp\", secret = true } }\n\
             VirtualHost \"meet.example\"\n authentication = \"jitsi-anonymous\"\n c2s_require_encryption = false\n modules_enabled = { \"bosh\"; \"muc_lobby_rooms\"; \"muc_size\" }\n\
             VirtualHost \"auth.meet.example\"\n authentication = \"internal_hashed\"\n\
             Component \"conference.meet.example\" \"muc\"\n restrict_room_creation = true\n modules_enabled = { \"muc_hide_all\"; \"polls\" }\n muc_password_whitelist = { \"focus@auth.meet.example\" }\n",
        )],
    );
    let custom = lua.look(Role::Xmpp).unwrap();
    assert!(custom.restrictions.is_empty() && custom.useless.is_empty(), "{custom:?}");
    for (name, value) in [
        ("STUN_HOST", "meet.example"),
        ("TURN_CREDENTIALS", "s3"),
        ("TURNS_PORT", "5349"),
        ("TURN_TRANSPORT", "udp"),
        ("TURN_TTL", "86400"),
        ("XMPP_MODULES", "muc_size"),
    ] {
        assert!(said(&custom).contains(&(name, value)), "{name}: {custom:?}");
    }
}

#[test]
fn lua_that_keeps_people_out_or_has_to_be_run_stops_a_start() {
    for (text, name) in [
        ("VirtualHost \"meet.example\"\n authentication = \"token\"", "authentication"),
        ("VirtualHost \"meet.example\"\n authentication = \"internal_hashed\"", "authentication"),
        ("VirtualHost \"guest.meet.example\"", "guest.meet.example"),
        (
            "Component \"conference.meet.example\" \"muc\"\n modules_enabled = { \"muc_wait_for_host\" }",
            "muc_wait_for_host",
        ),
        ("modules_enabled = { \"token_verification\" }", "token_verification"),
        ("muc_room_default_members_only = true", "muc_room_default_members_only"),
        ("allowed_tenants = { \"a\" }", "allowed_tenants"),
    ] {
        let tree = Tree::new("lua", &[("conf.d/own.cfg.lua", text)]);
        let custom = tree.look(Role::Xmpp).unwrap();
        assert_eq!(closed(&custom), [name], "{text}");
        assert_eq!(tree.look(Role::Videobridge).unwrap(), Custom::default());
    }
    for text in ["x = os.getenv(\"X\")", "if true then y = 1 end", "Include \"other.cfg.lua\""] {
        let tree = Tree::new("lua", &[("conf.d/own.cfg.lua", text)]);
        let custom = tree.look(Role::AllInOne).unwrap();
        assert!(
            custom.restrictions.len() == 1 && custom.restrictions[0].name.ends_with("own.cfg.lua"),
            "{text}"
        );
    }
    let older = "turncredentials_secret = \"s\"\nturncredentials = { { type = \"turns\", host = \"t.example\", port = \"443\", transport = \"tcp\" } }";
    let tree = Tree::new("lua", &[("conf.d/own.cfg.lua", older)]);
    let custom = tree.look(Role::Xmpp).unwrap();
    assert_eq!(
        said(&custom),
        [("TURNS_HOST", "t.example"), ("TURNS_PORT", "443"), ("TURN_CREDENTIALS", "s")]
    );
    assert!(custom.restrictions.is_empty(), "{custom:?}");
    let tree = Tree::new(
        "lua",
        &[(
            "conf.d/own.cfg.lua",
            "c2s_require_encryption = false\nmuc_max_occupants = 50\nwelcome = \"x\"\n",
        )],
    );
    let custom = tree.look(Role::Xmpp).unwrap();
    assert_eq!(said(&custom), [("MAX_PARTICIPANTS", "50"), ("PROSODY_C2S_REQUIRE_ENCRYPTION", "0")]);
    assert!(custom.useless.len() == 1 && custom.useless[0].contains("welcome"), "{custom:?}");
}

#[test]
fn compat_files_that_upstream_s_images_make_are_not_the_admin_s() {
    let tree = Tree::new(
        "made",
        &[
            ("conf.d/jitsi-meet.cfg.lua", "VirtualHost \"meet.example\"\nauthentication = os.getenv(\"X\")"),
            ("jicofo/jicofo.conf", "jicofo.authentication.enabled = true\ninclude \"custom-jicofo.conf\""),
        ],
    );
    assert_eq!(tree.look(Role::AllInOne).unwrap(), Custom::default());
}

#[test]
fn files_and_their_number_end_at_their_limits() {
    let line = "# x\n";
    for (bytes, taken) in [(limits::FILE, true), (limits::FILE + 4, false)] {
        let tree = Tree::new("large", &[("custom-jvb.conf", &line.repeat(bytes / 4))]);
        assert_eq!(tree.look(Role::Videobridge).is_ok(), taken);
    }
    let tree = Tree::new("many", &[]);
    fs::create_dir_all(tree.0.join("conf.d")).unwrap();
    for n in 0..limits::FILES {
        fs::write(tree.0.join(format!("conf.d/{n}.cfg.lua")), "").unwrap();
    }
    assert!(tree.look(Role::Xmpp).is_ok());
    fs::write(tree.0.join("conf.d/more.cfg.lua"), "").unwrap();
    assert!(tree.look(Role::Xmpp).is_err());
}

#[test]
fn every_variable_that_a_key_stands_for_is_known() {
    let known = crate::options::environment::known_names();
    for name in keys::tests::variables() {
        assert!(known.contains(&name), "{name}");
    }
}
