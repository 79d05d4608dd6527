//! The commands beside the server, against a running one or none: what they print, and what they exit with.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::running::{Whole, free, get, plausch};

/// A folder of a test's own.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("plausch-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn run(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

/// A server whose commands find it.
struct Found {
    whole: Whole,
    folder: PathBuf,
}

impl Found {
    fn new(name: &str) -> Self {
        let folder = folder(name);
        let token = folder.join("token");
        let whole = Whole::start(|c| {
            c.args(["--admin-token-file", token.to_str().unwrap()]);
        });
        Self { whole, folder }
    }

    fn command(&self, name: &str, more: &[&str]) -> (Option<i32>, String) {
        let mut c = plausch();
        c.args([name, "--admin", &self.whole.admin.to_string()]);
        c.args(["--admin-token-file", self.folder.join("token").to_str().unwrap()]).args(more);
        run(&mut c)
    }

    /// Asks for a meeting, as a client does; whether it may begin.
    fn meeting(&self, room: &str) -> bool {
        let body = format!("{{\"room\":\"{room}@muc.meet.jitsi\",\"properties\":{{}}}}");
        let answer = post(self.whole.http, "/conference-request/v1", &body);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer.contains("\"ready\":true")
    }
}

pub(crate) fn post(to: SocketAddr, path: &str, body: &str) -> String {
    let mut c = TcpStream::connect(to).unwrap();
    write!(
        c,
        "POST {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut text = String::new();
    c.read_to_string(&mut text).unwrap();
    text
}

/// With one bridge, a drain of the bridge alone let every new meeting in.
#[test]
fn a_drain_takes_no_new_meetings_and_ends_none() {
    let server = Found::new("drain");
    let (code, said) = server.command("drain", &["--wait", "30m"]);
    assert_eq!(code, Some(0), "nothing runs: {said}");
    assert!(said.contains("0 meetings") && said.contains("can be stopped"), "{said}");
    assert!(!server.meeting("rathaus"), "new ones are put off");
    assert!(
        get(server.whole.admin, "/colibri/drain").unwrap().contains("{\"drain\":true}"),
        "the bridge drains too"
    );
    assert!(get(server.whole.admin, "/about/health").unwrap().ends_with("OK"), "nobody restarts it for that");

    assert_eq!(server.command("drain", &["--cancel"]).0, Some(0));
    assert!(server.meeting("rathaus"));
    let (code, said) = server.command("drain", &["--wait", "1s", "--lang", "de"]);
    assert_eq!(code, Some(1), "it runs still: {said}");
    assert!(said.contains("1 Besprechungen") && said.contains("die Zeit ist um"), "{said}");
    assert!(server.meeting("rathaus"), "who comes late to a meeting that runs gets in");
    assert!(!server.meeting("schule"));
    let (code, said) = server.command("drain", &[]);
    assert_eq!(code, Some(0), "only begun: {said}");
}

#[test]
fn a_drain_that_cannot_be_is_one_line() {
    let server = Found::new("no-drain");
    let none = |c: &mut Command| run(c);
    let admin = server.whole.admin.to_string();
    let (code, said) = none(plausch().args(["drain", "--admin", &admin]));
    assert!(code == Some(78) && said.contains("--admin-token-file") && said.lines().count() == 1, "{said}");
    fs::write(server.folder.join("token"), "not the token of this server\n".replace(' ', "")).unwrap();
    let (code, said) = server.command("drain", &[]);
    assert!(code == Some(69) && said.contains("token"), "{said}");
    let [nobody, ..] = free();
    let (code, said) = none(plausch().args([
        "drain",
        "--admin",
        &nobody.to_string(),
        "--admin-token-file",
        server.folder.join("token").to_str().unwrap(),
    ]));
    assert!(code == Some(69) && said.contains("admin.listen") && said.lines().count() == 1, "{said}");
}

#[test]
fn a_health_check_is_0_for_a_server_that_is_well_and_1_for_none() {
    let server = Found::new("health");
    assert_eq!(server.command("healthcheck", &[]), (Some(0), "OK\n".to_owned()));
    let [nobody, ..] = free();
    assert_eq!(run(plausch().args(["healthcheck", "--admin", &nobody.to_string()])).0, Some(1));
}

#[test]
fn a_doctor_looks_at_a_running_server_and_at_a_planned_one() {
    let server = Found::new("doctor");
    let http = server.whole.http.to_string();
    let (code, said) = server.command("doctor", &["--http", &http]);
    assert!(code == Some(0) || code == Some(1), "small buffers at most: {said}");
    assert!(said.contains("✔ server") && said.contains("✔ ports") && !said.contains('✘'), "{said}");

    let [http, admin, xmpp, media] = free().map(|a| a.to_string());
    let env = server.folder.join(".env");
    fs::write(
        &env,
        format!(
            "# a town's\nPLAUSCH_HTTP={http}\nPLAUSCH_ADMIN={admin}\nPLAUSCH_XMPP={xmpp}\nPLAUSCH_MEDIA={media}\nPUBLIC_URL=http://192.0.2.7\n\
             ENABLE_AUTH=1\nAUTH_TYPE=matrix\nPLAUSCH_HTPP=1\nENABLE_FILE_SHARING=off\nJIBRI_SIP_BREWERY_MUC=x\nnonsense\n"
        ),
    )
    .unwrap();
    let env = env.to_str().unwrap();
    let (code, said) = run(plausch().args(["doctor", "--lang", "de", "--env-file", env]));
    assert_eq!(code, Some(2), "{said}");
    for word in [
        "AUTH_TYPE",
        "PLAUSCH_HTPP",
        "ENABLE_FILE_SHARING=0",
        "JIBRI_SIP_BREWERY_MUC",
        "nichts bedeuten: 12",
        "PLAUSCH_MEDIA=0.0.0.0",
        "https://192.0.2.7",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let odd = server.folder.join("odd.env");
    fs::write(&odd, b"JVB_AUTH_USER=b\xfcro\nTURN_PASSWORD=\"x\nPUBLIC_URL=${X}\nENABLE_P2P=off\n").unwrap();
    let (code, said) = run(plausch().args(["doctor", "--env-file", odd.to_str().unwrap()]));
    assert!(code == Some(2) && said.contains("ENABLE_P2P=0") && said.contains("mean nothing: 2"), "{said}");
    let (code, json) = run(plausch().args(["doctor", "--json", "--env-file", env]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, json["worst"].as_str()), (Some(2), Some("red")));
    assert!(
        json["findings"].as_array().unwrap().iter().all(|f| f["check"] != "server" || f["level"] == "green")
    );
}

/// A doctor said yes to an `.env` with which the start said no: it did not look into the folder that `CONFIG` names.
#[test]
fn a_doctor_looks_where_the_env_file_leads() {
    let folder = folder("doctor-config");
    for (file, text) in [
        ("cfg/jvb/custom-jvb.conf", "videobridge { ice.udp.port = 10003, cc.odd = 1 }"),
        ("cfg/jicofo/custom-jicofo.conf", "jicofo.sneaky.allow-list = [a]"),
        ("cfg/prosody/config/conf.d/own.cfg.lua", "VirtualHost \"meet.jitsi\"\n authentication = \"token\""),
    ] {
        let file = folder.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let [http, admin, xmpp, media] = free().map(|a| a.to_string());
    let [https, ..] = free().map(|a| a.to_string());
    let env = folder.join(".env");
    let look = |config: &str, more: &str| {
        let ports = format!(
            "PLAUSCH_HTTP={http}\nPLAUSCH_HTTPS={https}\nPLAUSCH_ADMIN={admin}\nPLAUSCH_XMPP={xmpp}\nPLAUSCH_MEDIA={media}\n"
        );
        fs::write(&env, format!("{ports}{config}PUBLIC_URL=https://meet.localhost\n{more}")).unwrap();
        run(plausch().args(["doctor", "--env-file", env.to_str().unwrap()]))
    };
    let (code, said) = look("CONFIG=./cfg\n", "JVB_AUTH_PASSWORD=a$b\n");
    assert_eq!(code, Some(2), "{said}");
    for word in [
        "jicofo.sneaky.allow-list",
        "own.cfg.lua",
        "heeded, as JVB_PORT",
        "videobridge.cc.odd",
        "JVB_AUTH_PASSWORD='…'",
        "makes its own certificate",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!look("", "").1.contains("allow-list"), "another folder is nobody's");
    fs::rename(folder.join("cfg"), folder.join("config")).unwrap();
    let (_, said) = look("", "");
    assert!(said.contains("jicofo.sneaky.allow-list"), "where compose looks without CONFIG: {said}");

    let keys = folder.join("config/web/keys");
    fs::create_dir_all(&keys).unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["meet.localhost".to_owned()]).unwrap();
    fs::write(keys.join("cert.crt"), made.cert.pem()).unwrap();
    fs::write(keys.join("cert.key"), made.signing_key.serialize_pem()).unwrap();
    let (_, said) = look("", "");
    assert!(!said.contains("makes its own certificate"), "{said}");
}

/// What contradicts itself was found out by those who heard nothing.
#[test]
fn a_start_says_what_contradicts_itself() {
    let mut whole = Whole::start(|c| {
        c.args(["--public-url", "http://meet.example"]);
    });
    whole.running.signal("-TERM");
    let mut log = String::new();
    let mut stderr = whole.running.0.stderr.take().unwrap();
    stderr.read_to_string(&mut log).unwrap();
    for word in ["PUBLIC_URL=https://meet.example", "PLAUSCH_MEDIA=0.0.0.0"] {
        assert!(log.lines().any(|l| l.contains("WARN") && l.contains(word)), "{log}");
    }
    let out = plausch().args(["--advertise", "0.0.0.0"]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.code() == Some(78) && said.contains("media.advertise"), "{said}");
}

/// What the pages say to type beside `plausch`, taken from them and typed.
#[test]
fn commands_of_other_programs_on_the_pages_do_what_is_said() {
    let page = |name: &str| fs::read_to_string(format!("{}/../{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let line = |page: &str, begins: &str| {
        page.lines().find(|l| l.starts_with(begins)).unwrap_or_else(|| panic!("{begins}")).to_owned()
    };
    let shell = |command: &str, at: &std::path::Path| {
        let out = Command::new("sh").args(["-ec", command]).current_dir(at).output().unwrap();
        assert!(out.status.success(), "{command}: {out:?}");
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let server = Found::new("typed");
    let typed = line(&page("docs/admin/monitoring.md"), "curl -X POST")
        .replace("/var/lib/plausch/token", server.folder.join("token").to_str().unwrap())
        .replace("127.0.0.1:8888", &server.whole.admin.to_string());
    assert!(typed.contains(&server.whole.admin.to_string()));
    shell(&format!("{typed} --silent --show-error --fail"), &server.folder);
    assert!(get(server.whole.admin, "/drain").unwrap().contains("\"drain\":true"));

    let web = server.folder.join("web/libs");
    fs::create_dir_all(&web).unwrap();
    for (name, text) in [("app.js", "x".repeat(10_000)), ("page.html", "y".repeat(10_000))] {
        fs::write(web.join(name), text).unwrap();
    }
    shell(&line(&page("jitsi-web-patches/get-web.md"), "find web"), &server.folder);
    let there = |name: &str| web.join(name).exists();
    assert!(there("app.js") && there("app.js.gz") && !there("page.html.gz"));
    let [http, admin, xmpp, media] = free();
    let mut c = plausch();
    for (flag, address) in [("--http", http), ("--admin", admin), ("--xmpp", xmpp), ("--media", media)] {
        c.args([flag, &address.to_string()]);
    }
    fs::write(server.folder.join("web/index.html"), "<html></html>").unwrap();
    c.args(["--web", server.folder.join("web").to_str().unwrap()]);
    let _front = crate::running::Running::healthy(&mut c, admin);
    let fetch = format!("curl -s -o got -D - -H 'Accept-Encoding: gzip' http://{http}/libs/app.js");
    let head = shell(&fetch, &server.folder).to_ascii_lowercase();
    assert!(head.contains("content-encoding: gzip"), "{head}");
    let neighbour = fs::read(web.join("app.js.gz")).unwrap();
    assert_eq!(fs::read(server.folder.join("got")).unwrap(), neighbour, "the neighbour is what is served");
}

fn answer(command: &mut Command, input: &str) -> (Option<i32>, String) {
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    (
        out.status.code(),
        String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr),
    )
}

/// `localhost.localdomain` and the like: a name that no resolver is asked for is one of this machine's own.
const NAME: &str = "meet.localhost";

#[test]
fn a_setup_asks_two_questions_and_writes_what_a_start_takes() {
    let folder = folder("setup");
    let out = folder.join("etc/plausch.toml");
    let setup = |more: &[&str]| {
        let mut c = plausch();
        c.args(["setup", "--out", out.to_str().unwrap(), "--state", folder.to_str().unwrap()]).args(more);
        c
    };
    // Ports 80 and 443 may be taken where this runs, so that the question whether to go on comes or not.
    let (code, said) = answer(&mut setup(&[]), &format!("my town\nhttps://{NAME}/\n\ny\n"));
    assert!(matches!(code, Some(0 | 1)), "{said}");
    for word in [
        "must be a name",
        "written",
        "ufw allow 10000/udp",
        "firewall-cmd",
        "phone without Wi-Fi",
        "https://meet.localhost/_plausch/test",
        "██",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let text = fs::read_to_string(&out).unwrap();
    assert!(text.contains("https://meet.localhost") && text.contains("token_file"), "{text}");

    // A start takes it; only the ports are others.
    let [http, admin, xmpp, media] = free().map(|a| a.to_string());
    let [https, ..] = free().map(|a| a.to_string());
    let at = admin.parse().unwrap();
    let mut start = plausch();
    start.args(["--config", out.to_str().unwrap(), "--http", &http, "--https", &https, "--admin", &admin]);
    start.args(["--xmpp", &xmpp, "--media", &media, "--web", "none"]);
    let running = crate::running::Running::healthy(&mut start, at);
    running.signal("-TERM");
    assert_eq!(running.ended().status.code(), Some(0));

    let before = fs::read_to_string(&out).unwrap();
    let (code, said) =
        answer(&mut setup(&["--host", NAME, "--email", "it@town.example", "--lang", "de"]), "j\nn\nn\n");
    assert!(code == Some(2) || said.contains("geschrieben"), "{said}");
    assert!(
        said.contains("Let's Encrypt") && said.contains("Ersetzen") | said.contains("trotzdem"),
        "{said}"
    );
    let (code, said) = run(&mut setup(&["--host", NAME, "--yes", "--lang", "de"]));
    assert!(matches!(code, Some(0 | 1)) && said.contains("aufgehoben"), "{said}");
    assert!(folder.join("etc/plausch.toml.old1").exists());
    assert_eq!(before, fs::read_to_string(&out).unwrap(), "the same answers, the same file");
}

#[test]
fn a_setup_that_knows_too_little_is_one_line_and_writes_nothing() {
    let folder = folder("no-setup");
    let out = folder.join("plausch.toml");
    for (args, word) in [
        (&["--yes"][..], "--host"),
        (&["--yes", "--host", "127.0.0.1"], "--host"),
        (&["--yes", "--host", NAME, "--email", "nonsense"], "--email"),
        (&["--host", NAME], "--yes"),
    ] {
        let mut c = plausch();
        c.args(["setup", "--out", out.to_str().unwrap(), "--state", folder.to_str().unwrap()]).args(args);
        let o = c.output().unwrap();
        let said = String::from_utf8_lossy(&o.stderr);
        assert!(o.status.code() == Some(78) && said.lines().count() == 1 && said.contains(word), "{said}");
        assert!(!out.exists());
    }
}

#[test]
fn a_migration_reads_an_env_file_and_its_folders_and_executes_nothing() {
    let folder = folder("migrate");
    let config = folder.join("cfg");
    for (file, text) in [
        ("cfg/web/custom-config.js", "config.x = 1;"),
        ("cfg/jvb/custom-jvb.conf", "videobridge.odd = 1"),
        ("cfg/storage/prosody/data/meet%2ejitsi/accounts/anna.dat", "return {}"),
        ("cfg/storage/prosody/data/auth%2emeet%2ejitsi/accounts/focus.dat", "return {}"),
    ] {
        let file = folder.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let env = folder.join(".env");
    let out = folder.join("plausch.toml");
    let write = |more: &str| {
        fs::write(
            &env,
            format!(
                "CONFIG={}\nPUBLIC_URL=https://meet.localhost\nJVB_AUTH_PASSWORD=geheim\nTZ=UTC\n{more}",
                config.display()
            ),
        )
        .unwrap();
    };
    let migrate = |from: &std::path::Path| {
        run(plausch().args([
            "migrate",
            from.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
            "--lang",
            "de",
        ]))
    };
    write("ENABLE_AUTH=1\nAUTH_TYPE=matrix\n");
    let (code, said) = migrate(&env);
    assert!(code == Some(2) && said.contains("AUTH_TYPE") && !out.exists(), "{said}");

    write("");
    let (code, said) = migrate(&folder);
    assert_eq!(code, Some(1), "{said}");
    for word in
        ["custom-jvb.conf", "1 weitere sind nicht zu verstehen", "kein Zertifikat", "plausch doctor --config"]
    {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!said.contains("geheim") && !said.contains("auth.meet.jitsi"), "{said}");
    let text = fs::read_to_string(&out).unwrap();
    for word in ["custom = ", "geheim", "https://meet.localhost", "0.0.0.0:8443"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert_eq!(migrate(std::path::Path::new("/nonexistent")).0, Some(78));

    let [http, admin, xmpp, media] = free().map(|a| a.to_string());
    let [https, ..] = free().map(|a| a.to_string());
    let at = admin.parse().unwrap();
    let mut start = plausch();
    start.args(["--config", out.to_str().unwrap(), "--http", &http, "--https", &https, "--admin", &admin]);
    start.args(["--xmpp", &xmpp, "--media", &media, "--web", "none"]);
    let _running = crate::running::Running::healthy(&mut start, at);
}
