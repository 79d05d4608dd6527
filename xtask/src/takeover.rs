//! Our package in; a machine with packages shaped as Jitsi's on which it took their place, and gave it back, out.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::browser;
use crate::machine::{ADDRESS, HOST, Machine};
use crate::public;
use crate::run::step;

/// As an admin of a machine with Jitsi Meet sees it.
pub(crate) fn story(machine: &Machine, package: &str) -> Result<()> {
    install_theirs(machine)?;
    let before = state(machine)?;
    ensure!(
        before
            == "prosody enabled active\njicofo disabled inactive\njitsi-videobridge2 enabled active\nnginx enabled active\n",
        "{before}"
    );
    let site = machine.at("etc/nginx/sites-enabled/other.conf");

    // Something is in the way each time, and then Jitsi stays as it is.
    let lua = machine.at(&format!("etc/prosody/conf.avail/{HOST}.cfg.lua"));
    let open = fs::read_to_string(&lua)?;
    fs::write(&lua, open.replace("jitsi-anonymous", "internal_hashed"))?;
    machine.does(&["dpkg", "--install", package])?;
    ensure!(state(machine)? == before, "a login would be lost: nothing happens");
    let ours = ["etc/plausch/plausch.toml", "etc/plausch/tls", "var/lib/plausch-jitsi"];
    ensure!(ours.iter().all(|f| !machine.at(f).exists()), "and nothing is written");
    fs::write(&lua, open)?;
    fs::write(&site, "")?;
    ensure!(machine.inside(&[TAKE_OVER]).status()?.code() == Some(3), "others would lose their web server");
    ensure!(state(machine)? == before);
    fs::remove_file(&site)?;

    machine.does(&[TAKE_OVER])?;
    let taken = "prosody disabled inactive\njicofo disabled inactive\njitsi-videobridge2 disabled inactive\nnginx disabled inactive\n";
    ensure!(state(machine)? == taken, "{}", state(machine)?);
    machine.does(&["plausch", "healthcheck"])?;
    let config = fs::read_to_string(machine.at("etc/plausch/plausch.toml"))?;
    ensure!(config.contains(&format!("public_url = \"https://{HOST}\"")), "{config}");
    let theirs_is = fingerprint(Command::new("cat").arg(machine.at(&format!("etc/jitsi/meet/{HOST}.crt"))))?;
    ensure!(fingerprint(&mut served(machine))? == theirs_is, "Jitsi's certificate is served");
    ensure!(machine.inside(&[TAKE_OVER]).status()?.code() == Some(3), "once is enough");
    // With Debian's names of domains.
    with_the_test_page(machine)?;
    machine.does(&["systemctl", "restart", "plausch"])?;
    public::meet(machine)?;

    machine.does(&["dpkg", "--remove", "plausch"])?;
    ensure!(state(machine)? == before, "what ran runs again, and nothing else: {}", state(machine)?);

    // With the configuration of before: an installation is what takes over, too, and a purge leaves nothing.
    machine.does(&["dpkg", "--purge", "plausch"])?;
    machine.does(&["dpkg", "--install", package])?;
    ensure!(state(machine)? == taken, "{}", state(machine)?);
    machine.does(&["dpkg", "--purge", "plausch"])?;
    ensure!(state(machine)? == before, "{}", state(machine)?);
    ensure!(ours.iter().all(|f| !machine.at(f).exists()), "a purge takes all");
    remove_theirs(machine)
}

/// Packages as Jitsi's. All but one of their services run; the other one was switched off by the admin.
pub(crate) fn install_theirs(machine: &Machine) -> Result<()> {
    for (name, files) in theirs() {
        machine.does(&["dpkg", "--install", &machine.take(&deb(name, &files)?)?])?;
    }
    machine.does(&["systemctl", "daemon-reload"])?;
    machine.does(&["systemctl", "enable", "--quiet", "--now", "prosody", "jitsi-videobridge2", "nginx"])
}

pub(crate) fn remove_theirs(machine: &Machine) -> Result<()> {
    let _ = fs::remove_dir_all(machine.at(DROP_IN));
    for (name, _) in theirs() {
        machine.does(&["dpkg", "--purge", name])?;
    }
    Ok(())
}

/// The client in Jitsi's folder is none, so that the test page has to do.
pub(crate) fn with_the_test_page(machine: &Machine) -> Result<()> {
    let own = machine.at(DROP_IN);
    fs::create_dir_all(&own)?;
    fs::write(own.join("page.conf"), "[Service]\nEnvironment=PLAUSCH_WEB=none\n")?;
    machine.does(&["systemctl", "daemon-reload"])
}

const DROP_IN: &str = "etc/systemd/system/plausch.service.d";
const TAKE_OVER: &str = "/usr/lib/plausch/take-over";

/// A line for each of their services.
pub(crate) fn state(machine: &Machine) -> Result<String> {
    let mut all = String::new();
    for unit in ["prosody", "jicofo", "jitsi-videobridge2", "nginx"] {
        let enabled = machine.says(&["systemctl", "is-enabled", unit])?;
        let active = machine.says(&["systemctl", "is-active", unit])?;
        all += &format!("{unit} {} {}\n", enabled.trim(), active.trim());
    }
    Ok(all)
}

type Files = Vec<(String, String)>;

/// Packages with the names and files of theirs, as far as we look at them; their services only wait.
fn theirs() -> Vec<(&'static str, Files)> {
    let service = |name: &str| {
        let unit = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n";
        (format!("lib/systemd/system/{name}.service"), unit.to_owned())
    };
    let prosody = format!(
        "plugin_paths = {{ \"/usr/share/jitsi-meet/prosody-plugins/\" }}\nVirtualHost \"{HOST}\"\n    \
        authentication = \"jitsi-anonymous\"\n    modules_enabled = {{ \"bosh\"; \"websocket\"; \"smacks\"; }}\n\
        Component \"conference.{HOST}\" \"muc\"\n    modules_enabled = {{ \"muc_hide_all\"; \"polls\"; }}\n\
        VirtualHost \"auth.{HOST}\"\n    authentication = \"internal_hashed\"\n"
    );
    let site = format!(
        "server {{\n    server_name {HOST};\n    ssl_certificate /etc/jitsi/meet/{HOST}.crt;\n    ssl_certificate_key /etc/jitsi/meet/{HOST}.key;\n}}\n"
    );
    // Tenants come by server-side includes, as in theirs.
    let config_js = format!(
        "var subdir = '<!--# echo var=\"subdir\" default=\"\" -->';\nvar config = {{\n    hosts: {{ domain: '{HOST}', muc: 'conference.{HOST}' }},\n    \
        bosh: 'https://{HOST}/' + subdir + 'http-bind',\n    websocket: 'wss://{HOST}/' + subdir + 'xmpp-websocket',\n}};\n"
    );
    let (chain, key) = certificate();
    let f = |name: String, text: &str| (name, text.to_owned());
    vec![
        ("prosody", vec![service("prosody")]),
        ("nginx", vec![service("nginx")]),
        ("jicofo", vec![service("jicofo"), f("etc/jitsi/jicofo/jicofo.conf".into(), "jicofo {\n}\n")]),
        (
            "jitsi-videobridge2",
            vec![
                service("jitsi-videobridge2"),
                f("etc/jitsi/videobridge/jvb.conf".into(), "videobridge {\n}\n"),
            ],
        ),
        ("jitsi-meet-web", vec![f("usr/share/jitsi-meet/index.html".into(), "<title>Jitsi Meet</title>")]),
        (
            "jitsi-meet-web-config",
            vec![
                f(format!("etc/jitsi/meet/{HOST}-config.js"), &config_js),
                (format!("etc/jitsi/meet/{HOST}.crt"), chain),
                (format!("etc/jitsi/meet/{HOST}.key"), key),
                (format!("etc/nginx/sites-available/{HOST}.conf"), site.clone()),
                (format!("etc/nginx/sites-enabled/{HOST}.conf"), site),
            ],
        ),
        ("jitsi-meet-prosody", vec![(format!("etc/prosody/conf.avail/{HOST}.cfg.lua"), prosody)]),
        ("jitsi-meet", vec![]),
    ]
}

/// One for the host, and its key.
fn certificate() -> (String, String) {
    let said = |words: &[&str], input: &str| {
        let mut openssl = Command::new("openssl");
        openssl.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = openssl.spawn()?;
        child.stdin.take().context("a pipe")?.write_all(input.as_bytes())?;
        anyhow::Ok(String::from_utf8(child.wait_with_output()?.stdout)?)
    };
    let key = said(&["ecparam", "-name", "prime256v1", "-genkey", "-noout"], "").unwrap_or_default();
    let name = format!("subjectAltName=DNS:{HOST}");
    let words = ["req", "-x509", "-key", "/dev/stdin", "-days", "30", "-subj", "/CN=x", "-addext", &name];
    (said(&words, &key).unwrap_or_default(), key)
}

/// What the machine shows to who comes with TLS.
fn served(machine: &Machine) -> Command {
    let mut openssl = machine.beside("openssl");
    openssl.args(["s_client", "-servername", HOST, "-connect", &format!("{ADDRESS}:443")]);
    openssl
}

/// Of the first certificate that a command prints.
fn fingerprint(prints: &mut Command) -> Result<String> {
    let mut child = prints.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut openssl = Command::new("openssl");
    openssl.args(["x509", "-noout", "-fingerprint"]).stdin(child.stdout.take().context("a pipe")?);
    let out = openssl.output()?;
    child.wait()?;
    ensure!(out.status.success(), "no certificate: {}", String::from_utf8_lossy(&out.stderr));
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

fn deb(name: &str, files: &Files) -> Result<PathBuf> {
    let tree = browser::target().join("package-of-theirs");
    let _ = fs::remove_dir_all(&tree);
    fs::create_dir_all(tree.join("DEBIAN"))?;
    for (path, text) in files {
        let to = tree.join(path);
        fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
        fs::write(&to, text)?;
        // As theirs: for root alone.
        let mode = if path.ends_with(".key") { 0o600 } else { 0o644 };
        fs::set_permissions(&to, Permissions::from_mode(mode))?;
    }
    let control = format!(
        "Package: {name}\nVersion: 2.0\nArchitecture: all\nMaintainer: a test <test@invalid>\nDescription: shaped as {name}\n"
    );
    fs::write(tree.join("DEBIAN/control"), control)?;
    let file = browser::target().join(format!("{name}_2.0_all.deb"));
    build(&tree, &file)?;
    Ok(file)
}

fn build(tree: &Path, file: &Path) -> Result<()> {
    let mut build = Command::new("dpkg-deb");
    build.args(["--root-owner-group", "-Znone", "--build"]).arg(tree).arg(file).stdout(std::io::stderr());
    step("package shaped as theirs", build)
}
