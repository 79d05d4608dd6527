//! Configurations of a running Jitsi, and the pages about moving from it, in: what the built program makes of them, started and asked.

mod trees;

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use self::trees::{Generation, HOST};
use crate::commands::folder;
use crate::running::{Running, free, get, plausch};
use crate::tls::page;

fn run(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

fn ports() -> [u16; 3] {
    let [http, https, media, _] = free();
    [http.port(), https.port(), media.port()]
}

/// The lines of a page that are commands of ours.
fn commands(page: &str) -> Vec<Vec<String>> {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        inside = if inside { line != "```" } else { line == "```sh" };
        if inside && let Some(args) = line.strip_prefix("plausch ") {
            lines.push(args.split_whitespace().map(str::to_owned).collect());
        }
    }
    lines
}

/// Follows a page's commands in a folder: each is run as it stands, but for the machine's own places; those that start a server are asked
/// for a page.
fn follow(page_text: &str, at: &Path, etc: &Path) -> usize {
    let mut started = 0;
    let mut all = commands(page_text);
    // What the pages say in a sentence: how the machine is, and a start without the package.
    for more in ["doctor --config plausch-migrated/plausch.toml", "--config plausch-migrated/plausch.toml"] {
        all.push(more.split(' ').map(str::to_owned).collect());
    }
    for args in all {
        let debian = at.join("debian").exists();
        let args: Vec<String> =
            args.into_iter().map(|a| if a == "/etc" { etc.display().to_string() } else { a }).collect();
        if args.iter().any(|a| a == etc.to_str().unwrap()) {
            fs::write(at.join("debian"), "").unwrap();
        }
        let mut command = plausch();
        command.current_dir(at).args(&args);
        match args.first().map(String::as_str) {
            Some("doctor") => {
                // Ports below 1024 or taken ones are the machine's own.
                let (code, said) = run(&mut command);
                assert!(matches!(code, Some(0..=2)) && said.contains("options"), "{args:?}: {said}");
                assert!(!said.contains("✘ options") && !said.contains("✘ restrictions"), "{args:?}: {said}");
            }
            Some("migrate") => {
                let (code, said) = run(&mut command);
                assert!(matches!(code, Some(0 | 1)), "{args:?}: {said}");
                assert!(!said.contains("geheim") && !said.contains("0123456789abcdef"), "a secret: {said}");
            }
            Some("--config") => {
                let [http, https, admin, xmpp] = free();
                command.args([
                    "--admin",
                    &admin.to_string(),
                    "--xmpp",
                    &xmpp.to_string(),
                    "--state",
                    at.join("state").to_str().unwrap(),
                ]);
                let text = fs::read_to_string(at.join(&args[1])).unwrap();
                let read: toml::Table = text.parse().unwrap();
                let port = |table: &str| {
                    read[table]["listen"].as_str().unwrap().parse::<SocketAddr>().unwrap().port()
                };
                let (http, https) = if debian {
                    // 80, 443 and 10000 belong to whoever has this machine.
                    let [media, ..] = free();
                    command.args([
                        "--http",
                        &http.to_string(),
                        "--https",
                        &https.to_string(),
                        "--media",
                        &media.to_string(),
                    ]);
                    (http, https)
                } else {
                    command.args(["--web", "none"]);
                    (
                        SocketAddr::from(([127, 0, 0, 1], port("http"))),
                        SocketAddr::from(([127, 0, 0, 1], port("https"))),
                    )
                };
                let running = Running::healthy(&mut command, admin);
                let redirect = get(http, "/").unwrap();
                assert!(redirect.contains("https://"), "{redirect}");
                let config = page(https, "/config.js");
                let mark = if debian { "startAudioMuted: 3" } else { "config.town = 'michladle'" };
                assert!(config.starts_with("HTTP/1.1 200") && config.contains(mark), "{config}");
                if debian {
                    assert!(page(https, "/rathaus").contains("<title>Town</title>"));
                    assert!(page(https, "/interface_config.js").contains("Town"));
                }
                running.signal("-TERM");
                assert_eq!(running.ended().status.code(), Some(0));
                started += 1;
            }
            other => panic!("a command that nobody tries: {other:?}"),
        }
    }
    started
}

/// Both pages, both ways, in the folder of somebody who moves.
#[test]
fn the_pages_about_moving_followed_word_by_word_end_in_a_server_that_answers() {
    for (page, generation) in [
        (include_str!("../../../docs/admin/umzug.md"), Generation::Rootless),
        (include_str!("../../../docs/admin/moving.md"), Generation::Older),
    ] {
        let at = folder("moving");
        trees::docker(&at, generation, ports(), "");
        let etc = trees::debian(&at.join("machine"));
        assert_eq!(follow(page, &at, &etc), 2, "from containers and from packages");
        fs::remove_dir_all(&at).unwrap();
    }
}

#[test]
fn a_migration_from_containers_carries_what_is_there_in_both_generations() {
    for generation in [Generation::Rootless, Generation::Older] {
        let at = folder("moving-docker");
        let [http, https, media] = ports();
        trees::docker(&at, generation, [http, https, media], "");
        let (code, said) = run(plausch().current_dir(&at).args(["migrate", ".env", "--to", "new"]));
        assert_eq!(code, Some(1), "{said}");
        for word in [
            "static-mappings in ",
            "JICOFO_CONF_MAX_VIDEO_SENDERS",
            "1 accounts of people on meet.jitsi can go on with their passwords (1 have SCRAM keys",
            "plausch user import new/config/accounts",
            "location = /imprint",
            "cert.crt goes on",
        ] {
            assert!(said.contains(word), "{word}: {said}");
        }
        let read: toml::Table = fs::read_to_string(at.join("new/plausch.toml")).unwrap().parse().unwrap();
        assert_eq!(read["focus"]["max_video_senders"].as_str(), Some("25"));
        assert_eq!(read["media"]["advertise"][0].as_str(), Some("127.0.0.1"));
        assert_eq!(read["https"]["listen"].as_str(), Some(format!("0.0.0.0:{https}").as_str()));
        let config = at.join("new/config").canonicalize().unwrap();
        assert_eq!(read["https"]["certificate"].as_str(), config.join("fullchain.pem").to_str());
        let env = fs::read_to_string(at.join("new/.env")).unwrap();
        for line in [
            "PUBLIC_URL=https://meet.localhost",
            "JVB_ADVERTISE_IPS=127.0.0.1",
            "PLAUSCH_CERTIFICATE=/config/fullchain.pem",
            &format!("HTTPS_PORT={https}"),
        ] {
            assert!(env.lines().any(|l| l == line), "{line}: {env}");
        }
        let compose = fs::read_to_string(at.join("new/compose.yml")).unwrap();
        assert!(compose.contains("./config:/config:ro") && !compose.contains("CONFIG"), "{compose}");
        for (report, word) in [("report.txt", "goes on"), ("bericht.txt", "gilt weiter")] {
            assert!(fs::read_to_string(at.join("new").join(report)).unwrap().contains(word));
        }
        let anna = "config/accounts/meet.jitsi/anna.account";
        for file in ["plausch.toml", ".env", "config/privkey.pem", "config/fullchain.pem", "report.txt", anna]
        {
            let mode = fs::metadata(at.join("new").join(file)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{file}");
        }
        // Nothing else has changed, and asked again, the file before is kept.
        let (_, said) = run(plausch().current_dir(&at).args(["migrate", ".env", "--to", "new"]));
        assert!(said.contains("plausch.toml.old1"), "{said}");
        fs::remove_dir_all(&at).unwrap();
    }
}

#[test]
fn a_migration_from_packages_carries_names_secrets_and_files() {
    let at = folder("moving-debian");
    let etc = trees::debian(&at);
    let migrate = || run(plausch().current_dir(&at).args(["migrate", etc.to_str().unwrap(), "--lang", "de"]));
    let (code, said) = migrate();
    assert_eq!(code, Some(1), "{said}");
    for word in [
        "location /pad/",
        "1 Konten von Leuten auf meet.localhost",
        "stun.example",
        "Weboberfläche wird weiter benutzt",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!said.contains("nobody.example") && !said.contains("geheim"), "{said}");
    let out = at.join("plausch-migrated");
    let read: toml::Table = fs::read_to_string(out.join("plausch.toml")).unwrap().parse().unwrap();
    for (table, key, value) in [
        ("xmpp", "domain", HOST),
        ("xmpp", "auth_domain", "auth.meet.localhost"),
        ("xmpp", "muc_domain", "conference.meet.localhost"),
        ("xmpp", "internal_muc_domain", "internal.auth.meet.localhost"),
        ("focus", "password", "f0geheim"),
        ("bridge", "password", "b3geheim"),
        ("turn", "secret", "t7geheim"),
        ("http", "public_url", "https://meet.localhost"),
    ] {
        assert_eq!(read[table][key].as_str(), Some(value), "{key}");
    }
    assert_eq!(read["turn"]["tls_port"].as_integer(), Some(5349));
    let env = fs::read_to_string(out.join(".env")).unwrap();
    for line in [
        "XMPP_DOMAIN=meet.localhost",
        "XMPP_MUC_DOMAIN=conference.meet.localhost",
        "TURN_CREDENTIALS=t7geheim",
        "HTTPS_PORT=443",
        "PLAUSCH_CONFIG_JS=/config/config.js",
    ] {
        assert!(env.lines().any(|l| l == line), "{line}: {env}");
    }
    // What keeps people out stops it, and nothing is written.
    fs::remove_dir_all(&out).unwrap();
    let lua = etc.join(format!("prosody/conf.avail/{HOST}.cfg.lua"));
    let open = fs::read_to_string(&lua).unwrap();
    for (from, to, word) in [
        ("\"jitsi-anonymous\"", "\"token\"", "authentication"),
        ("\"polls\";", "\"polls\"; \"muc_wait_for_host\";", "muc_wait_for_host"),
        ("storage = \"memory\"", "storage = os.getenv(\"X\")", "ausführt"),
        ("VirtualHost \"auth", "VirtualHost \"guest.x\"\nVirtualHost \"auth", "guest.x"),
    ] {
        fs::write(&lua, open.replacen(from, to, 1)).unwrap();
        let (code, said) = migrate();
        assert!(code == Some(2) && said.contains(word) && !out.exists(), "{to}: {said}");
    }
    fs::remove_dir_all(&at).unwrap();
}

/// A tree that was made to have others' files copied, or to make the reader work for ever.
#[test]
fn a_hostile_tree_gets_nothing_copied_and_costs_little() {
    let at = folder("moving-hostile");
    trees::docker(&at, Generation::Rootless, ports(), "");
    let outside = at.join("outside");
    fs::create_dir_all(&outside).unwrap();
    let (chain, key) = trees::certificate();
    trees::write(&outside, &[("cert.crt", chain), ("cert.key", key), ("secret.js", "topsecret".into())]);
    let link = |to: &str, from: &str| {
        let from = at.join("cfg").join(from);
        let _ = fs::remove_file(&from);
        let _ = fs::remove_dir_all(&from);
        std::os::unix::fs::symlink(outside.join(to), from).unwrap();
    };
    link("cert.crt", "web/keys/cert.crt");
    link("cert.key", "web/keys/cert.key");
    link("secret.js", "web/custom-config.js");
    link("secret.js", "jvb/custom-jvb.conf");
    link(".", "web/nginx-custom");
    fs::create_dir_all(at.join("cfg/prosody")).unwrap();
    std::os::unix::fs::symlink("loop", at.join("cfg/prosody/loop")).unwrap();
    let (code, said) = run(plausch().current_dir(&at).args(["migrate", ".env"]));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no certificate found") && said.contains("cert.crt is not read"), "{said}");
    let mut all = String::new();
    for file in ["plausch.toml", ".env", "report.txt"] {
        all += &fs::read_to_string(at.join("plausch-migrated").join(file)).unwrap();
    }
    assert!(!all.contains("topsecret") && !at.join("plausch-migrated/config/web").exists(), "{all}");
    // Deep, long, and no text.
    for text in
        ["a { ".repeat(100_000), "x".repeat(10_000_000), "\u{0}\u{1}".repeat(1_000), "a = \"".to_owned()]
    {
        let conf = at.join("cfg/jicofo/custom-jicofo.conf");
        fs::File::create(&conf).unwrap().write_all(text.as_bytes()).unwrap();
        let (code, said) = run(plausch().current_dir(&at).args(["migrate", ".env", "--to", "again"]));
        let named = said.contains("custom-jicofo.conf");
        assert!(matches!(code, Some(1 | 2)) && named && said.len() < 20_000, "{said}");
    }
    fs::remove_dir_all(&at).unwrap();
}

/// A role that starts reads what is mounted.
#[test]
fn a_start_heeds_custom_files_and_ends_at_what_keeps_people_out() {
    let at = folder("moving-custom");
    let config = at.join("config");
    trees::write(
        &config,
        &[(
            "custom-jvb.conf",
            "videobridge.ice.udp.port = 1\nvideobridge.relay.region = north\nvideobridge.odd = 1\n".into(),
        )],
    );
    let [http, admin, xmpp, media] = free();
    let start = |env: &[(&str, &str)]| {
        let mut c = plausch();
        c.env("PLAUSCH_JITSI_CONFIG", &config).envs(env.iter().copied());
        for (flag, address) in [("--http", http), ("--admin", admin), ("--xmpp", xmpp), ("--media", media)] {
            c.args([flag, &address.to_string()]);
        }
        c.args(["--web", "none"]);
        c
    };
    let port = media.port().to_string();
    fs::write(
        config.join("custom-jvb.conf"),
        format!("videobridge.ice.udp.port = {port}\nvideobridge.relay.region = north\nvideobridge.odd = 1\n"),
    )
    .unwrap();
    let running = Running::healthy(&mut start(&[("JVB_OCTO_REGION", "south"), ("JVB_PORT", "1")]), admin);
    running.signal("-TERM");
    let Output { stdout, stderr, .. } = running.ended();
    let said = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    assert!(said.contains("north") && !said.contains("south"), "the file has the last word: {said}");
    assert!(said.lines().any(|l| l.contains("WARN") && l.contains("videobridge.odd")), "{said}");
    for (file, text, word) in [
        ("custom-jicofo.conf", "jicofo.authentication.enabled = true", "JICOFO_ENABLE_AUTH"),
        ("custom-jicofo.conf", "jicofo {", "custom-jicofo.conf"),
        (
            "custom-jvb.conf",
            "ice4j.harvest.blocked-interfaces = [ eth1 ]",
            "ice4j.harvest.blocked-interfaces",
        ),
        ("custom-jvb.conf", "videobridge.ice.udp.port = many", "custom-jvb.conf"),
        (
            "conf.d/own.cfg.lua",
            "VirtualHost \"meet.jitsi\"\nauthentication = \"internal_hashed\"",
            "authentication",
        ),
        ("conf.d/own.cfg.lua", "modules_enabled = { \"muc_wait_for_host\" }", "muc_wait_for_host"),
        ("conf.d/own.cfg.lua", "if os then x = 1 end", "own.cfg.lua"),
    ] {
        let _ = fs::remove_dir_all(&config);
        trees::write(&config, &[(file, text.into())]);
        let (code, said) = run(&mut start(&[]));
        assert!(code == Some(78) && said.lines().count() == 1 && said.contains(word), "{text}: {said}");
        let (code, said) = run(plausch().env("PLAUSCH_JITSI_CONFIG", &config).args(["doctor"]));
        assert!(code == Some(2) && said.contains(word), "{text}: {said}");
    }
    let _ = fs::remove_dir_all(&config);
    trees::write(&config, &[("conf.d/own.cfg.lua", "modules_enabled = { \"muc_wait_for_host\" }".into())]);
    let running = Running::healthy(&mut start(&[("PLAUSCH_ACCEPT", "muc_wait_for_host")]), admin);
    running.signal("-TERM");
    assert_eq!(running.ended().status.code(), Some(0));
    fs::remove_dir_all(&at).unwrap();
}

/// Both pages about Prosody's own file, each command as it stands there.
#[test]
fn prosody_s_hosts_become_tables_that_a_server_starts_with() {
    for page in
        [include_str!("../../../docs/admin/migrate.md"), include_str!("../../../docs/admin/uebernahme.md")]
    {
        let at = folder("moving-prosody");
        let etc = at.join("etc");
        trees::write(
            &etc,
            &[
                ("prosody/prosody.cfg.lua", "admins = { }\nInclude \"conf.d/*.cfg.lua\"\n".to_owned()),
                ("prosody/conf.d/town.cfg.lua", TOWN.to_owned()),
            ],
        );
        let block = page.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
        let mut typed = 0;
        for line in block.lines() {
            let words: Vec<String> = line
                .split_whitespace()
                .skip(1)
                .map(|w| w.replace("/etc/prosody", &etc.join("prosody").display().to_string()))
                .collect();
            let mut command = plausch();
            command.current_dir(&at).args(&words);
            if words[0] == "migrate" {
                let (code, said) = run(&mut command);
                // TURN servers are no part of the tables.
                assert_eq!(code, Some(1), "{said}");
                let printed = words.len() == 2;
                assert_eq!(said.contains("[[xmpp.components]]"), printed, "{said}");
                assert!(said.contains("turn.hosts") && !said.contains("t7geheim"), "{said}");
            } else {
                let [http, admin, xmpp, media] = free();
                for (flag, address) in
                    [("--http", http), ("--admin", admin), ("--xmpp", xmpp), ("--media", media)]
                {
                    command.args([flag, &address.to_string()]);
                }
                command.args(["--web", "none"]);
                let running = Running::healthy(&mut command, admin);
                assert!(get(http, "/config.js").unwrap().contains("conference."));
                running.signal("-TERM");
                assert_eq!(running.ended().status.code(), Some(0));
            }
            typed += 1;
        }
        assert_eq!(typed, 3);
        fs::remove_dir_all(&at).unwrap();
    }
}

const TOWN: &str = r#"external_service_secret = "t7geheim"
VirtualHost "meet.example"
  authentication = "jitsi-anonymous"
  modules_enabled = { "bosh"; "websocket"; "smacks"; "muc_lobby_rooms"; }
  lobby_muc = "lobby.meet.example"
VirtualHost "auth.meet.example"
  authentication = "internal_hashed"
Component "conference.meet.example" "muc"
  modules_enabled = { "muc_hide_all"; "muc_meeting_id"; "muc_domain_mapper"; "muc_max_occupants"; }
  muc_max_occupants = "40"
Component "lobby.meet.example" "muc"
  modules_enabled = { "muc_hide_all"; }
Component "internal.auth.meet.example" "muc"
Component "focus.meet.example" "client_proxy"
  target_address = "focus@auth.meet.example"
"#;
