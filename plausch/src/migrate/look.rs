//! A folder or an `.env` file of a Jitsi in; what is there that a server of ours would need or miss, out. Reads, and changes nothing.

use std::path::{Path, PathBuf};

use service::{StartError, SystemEntropy};

use super::Found;
use super::site;
use super::tree::Tree;
use crate::accounts::prosody::{self, Host};
use crate::commands::env_file;
use crate::doctor::checks::Finding;
use crate::doctor::env_file::{Odd, config_folder};
use crate::foreign::custom::{self, Custom, Program};
use crate::options::Role;
use crate::words::{Words, words};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) variables: Vec<(String, String)>,
    pub(super) odd: Odd,
    pub(super) certificate: Option<(PathBuf, PathBuf)>,
    /// The folder with the admin's additions to config.js.
    pub(super) custom_web: Option<PathBuf>,
    /// What files of Jicofo's, the bridge's and Prosody's say.
    pub(super) custom: Custom,
    /// Files that are not read.
    pub(super) unread: Vec<PathBuf>,
    /// People with a password of their own.
    pub(super) accounts: Vec<Host>,
    /// Where they can be taken from.
    pub(super) data: PathBuf,
    pub(super) debian: Option<Debian>,
    /// What is to be said already.
    pub(super) found: Found,
}

/// Debian's packages.
#[derive(Debug, Default, Clone)]
pub(super) struct Debian {
    pub(super) host: String,
    pub(super) config_js: PathBuf,
    /// Where the web app lies, when that is not the usual place.
    pub(super) web: Option<PathBuf>,
    /// Whether Prosody's file says that the host is open.
    pub(super) open: bool,
}

/// Looks at an `.env` file, the folder of one, or Debian's `/etc`.
pub(super) fn at(path: &Path) -> Result<Seen, StartError> {
    if path.is_file() {
        return docker(path);
    }
    if path.join(".env").is_file() {
        return docker(&path.join(".env"));
    }
    let beside = |folder: &str| path.join("..").join(folder);
    let tree = Tree::of(&[path.to_owned(), beside("var/lib/prosody"), beside("usr/share/jitsi-meet")]);
    let mut hosts =
        tree.entries(&path.join("jitsi/meet")).into_iter().filter_map(|f| Some((host_of(&f)?, f)));
    match hosts.next() {
        Some((host, config_js)) => {
            let mut seen = debian(&tree, path, host, config_js);
            seen.unread.extend(hosts.map(|(_, file)| file));
            seen.unread.extend(tree.refused());
            Ok(seen)
        }
        None => Err(StartError::Unreadable {
            path: path.to_owned(),
            reason: "neither an .env file, nor a folder with one, nor an /etc with jitsi/meet/NAME-config.js"
                .into(),
        }),
    }
}

fn docker(env: &Path) -> Result<Seen, StartError> {
    let read = env_file(env)?;
    let value = |name: &str| read.value(name);
    let config = config_folder(env, value("CONFIG").unwrap_or("~/.jitsi-meet-cfg"));
    let tree = Tree::of(std::slice::from_ref(&config));
    let mut seen = Seen { odd: read.odd.clone(), ..Seen::default() };
    let name = value("LETSENCRYPT_DOMAIN").unwrap_or_default().split(',').next().unwrap_or_default();
    // The folder of today's images, then that of older ones.
    let issued = ["storage/web", "web"].map(|at| config.join(at).join(super::ISSUED).join(name));
    let mut pairs = vec![(config.join("web/keys/cert.crt"), config.join("web/keys/cert.key"))];
    pairs.extend(issued.iter().map(|at| (at.join("fullchain.pem"), at.join("key.pem"))));
    seen.certificate =
        pairs.into_iter().find_map(|(chain, key)| Some((tree.file(&chain)?, tree.file(&key)?)));
    let web = config.join("web");
    let additions = ["custom-config.js", "custom-interface_config.js"];
    seen.custom_web = additions.iter().any(|f| tree.file(&web.join(f)).is_some()).then_some(web);
    let lookup = |name: &str| value(name).map(str::to_owned);
    let main = value("XMPP_DOMAIN").unwrap_or("meet.jitsi");
    seen.read(&tree, &config.join("jvb/custom-jvb.conf"), |path, custom| {
        custom::java(Program::Bridge, Role::AllInOne, path, &lookup, custom)
    });
    seen.read(&tree, &config.join("jvb/custom-sip-communicator.properties"), |path, custom| {
        custom::properties(Program::Bridge, Role::AllInOne, path, custom)
    });
    seen.read(&tree, &config.join("jicofo/custom-jicofo.conf"), |path, custom| {
        custom::java(Program::Focus, Role::AllInOne, path, &lookup, custom)
    });
    for file in tree.entries(&config.join("prosody/config/conf.d")) {
        if custom::is_admins_lua(&file) {
            seen.read(&tree, &file, |path, custom| custom::prosody_file(path, main, custom));
        }
    }
    // Both are parts of a server block, so that they are read as if they were in one.
    let mut sites = vec![web_file(&config, "nginx/custom-meet.conf")];
    sites.extend(tree.entries(&config.join("web/nginx-custom")));
    for file in sites {
        if let Some(text) = tree.text(&file).filter(|t| !t.trim().is_empty()) {
            site::nginx(&format!("server {{ {text}\n}}"), &file.display().to_string(), &mut seen.found);
        }
    }
    let plugins = tree.entries(&config.join("prosody/prosody-plugins-custom"));
    seen.unread.extend(plugins.into_iter().filter(|f| f.is_file()));
    for data in ["storage/prosody/data", "prosody/config/data"] {
        // Today's images copy the older folder once, so that both hold the same people.
        if seen.accounts.is_empty() {
            seen.data = config.join(data);
            seen.accounts = prosody::look(&tree, &seen.data, &mut SystemEntropy, prosody::is_people_s);
        }
    }
    seen.unread.extend(tree.refused());
    seen.variables = read.variables;
    Ok(seen)
}

fn web_file(config: &Path, name: &str) -> PathBuf {
    config.join("web").join(name)
}

fn debian(tree: &Tree, etc: &Path, host: String, config_js: PathBuf) -> Seen {
    let mut seen = Seen::default();
    let site_file = etc.join(format!("nginx/sites-available/{host}.conf"));
    let site = match tree.text(&site_file) {
        Some(text) => site::nginx(&text, &site_file.display().to_string(), &mut seen.found),
        None => site::Site::default(),
    };
    let apache = etc.join(format!("apache2/sites-available/{host}.conf"));
    seen.unread.extend(tree.file(&apache));
    let others: Vec<&str> =
        site.names.iter().map(String::as_str).filter(|n| *n != host && *n != "_").collect();
    if !others.is_empty() {
        let others = crate::words::listed(&others);
        seen.found.push((
            "names",
            Finding::yellow(
                words!("the web server also answers to {others}", "der Webserver antwortet auch auf {others}"),
                words!(
                    "people of these names get the same pages; name them in https.acme.domains, or have a certificate for all",
                    "unter diesen Namen gibt es dieselben Seiten; in https.acme.domains nennen, oder ein Zertifikat für alle haben"
                ),
            ),
        ));
    }
    // Names in the files are those of the machine; a copy of its folders lies somewhere else.
    let here = |written: &str| match written.strip_prefix("/etc/") {
        Some(rest) => etc.join(rest),
        None => PathBuf::from(written),
    };
    let meet = etc.join("jitsi/meet");
    let named = site.certificates.iter().map(|(chain, key)| (here(chain), here(key)));
    let usual = (meet.join(format!("{host}.crt")), meet.join(format!("{host}.key")));
    // As it is named there: what certbot renews is a link, and leads to another file each time.
    seen.certificate =
        named.chain([usual]).find(|(chain, key)| tree.file(chain).is_some() && tree.file(key).is_some());
    let nothing = |_: &str| None;
    for (file, program) in
        [("jitsi/videobridge/jvb.conf", Program::Bridge), ("jitsi/jicofo/jicofo.conf", Program::Focus)]
    {
        seen.read(tree, &etc.join(file), |path, custom| {
            custom::java(program, Role::AllInOne, path, &nothing, custom)
        });
    }
    for (file, program) in [
        ("jitsi/videobridge/sip-communicator.properties", Program::Bridge),
        ("jitsi/jicofo/sip-communicator.properties", Program::Focus),
    ] {
        seen.read(tree, &etc.join(file), |path, custom| {
            custom::properties(program, Role::AllInOne, path, custom)
        });
    }
    let lua = ["conf.avail", "conf.d"].map(|at| etc.join(format!("prosody/{at}/{host}.cfg.lua")));
    let mut open = false;
    if let Some(file) = lua.iter().find(|f| tree.file(f).is_some()) {
        open = tree.text(file).is_some_and(|text| custom::says_open(&text, &host));
        seen.read(tree, file, |path, custom| custom::prosody_file(path, &host, custom));
    }
    for file in tree.entries(&etc.join("prosody/conf.d")) {
        let own = file.file_name().is_some_and(|n| {
            *n == *format!("{host}.cfg.lua") || n == "jaas.cfg.lua" || n == "localhost.cfg.lua"
        });
        if !own && file.extension().is_some_and(|e| e == "lua") {
            seen.read(tree, &file, |path, custom| custom::prosody_file(path, &host, custom));
        }
    }
    seen.unread.extend(tree.file(&etc.join("prosody/prosody.cfg.lua")));
    turn(tree, &etc.join("turnserver.conf"), &host, &mut seen);
    seen.data = etc.join("../var/lib/prosody");
    seen.accounts = prosody::look(tree, &seen.data, &mut SystemEntropy, prosody::is_people_s);
    let web = etc.join("../usr/share/jitsi-meet");
    let web = tree.file(&web.join("index.html")).and_then(|f| f.parent().map(Path::to_owned));
    if let Some(text) = tree.text(&config_js)
        && let Some(says) = site::third_parties(&text, &host)
    {
        seen.found.push((
            "config.js",
            Finding::yellow(
                says,
                words!(
                    "the file is taken as it is; remove there whom browsers shall not be sent to",
                    "die Datei wird übernommen, wie sie ist; dort entfernen, wohin Browser nicht geschickt werden sollen"
                ),
            ),
        ));
    }
    seen.debian = Some(Debian { host, config_js, web, open });
    seen
}

/// coturn's secret, where Prosody's file names none.
fn turn(tree: &Tree, file: &Path, host: &str, seen: &mut Seen) {
    let Some(text) = tree.text(file) else { return };
    let value = |key: &str| {
        let lines = text.lines().map(str::trim).filter(|l| !l.starts_with('#'));
        lines
            .filter_map(|l| l.split_once('='))
            .find(|(k, _)| k.trim() == key)
            .map(|(_, v)| v.trim().to_owned())
    };
    let place = file.display().to_string();
    let Some(secret) = value("static-auth-secret") else {
        seen.unread.push(file.to_owned());
        return;
    };
    match seen.custom.said.iter().find(|s| s.name == "TURN_CREDENTIALS") {
        Some(known) if known.value == secret => {}
        Some(_) => seen.found.push((
            "turn",
            Finding::yellow(
                words!(
                    "{place} has another secret than Prosody's file",
                    "{place} hat ein anderes Geheimnis als die Datei von Prosody"
                ),
                words!(
                    "coturn refuses everybody until both have the same",
                    "coturn lehnt alle ab, bis beide dasselbe haben"
                ),
            ),
        )),
        None => {
            let realm = value("realm").unwrap_or_else(|| host.to_owned());
            let port = |key: &str, usual: &str| value(key).unwrap_or_else(|| usual.to_owned());
            for (name, value) in [
                ("TURN_CREDENTIALS", secret),
                ("TURN_HOST", realm.clone()),
                ("TURN_PORT", port("listening-port", "3478")),
                ("TURN_TRANSPORT", "udp".to_owned()),
                ("TURNS_HOST", realm),
                ("TURNS_PORT", port("tls-listening-port", "5349")),
            ] {
                seen.custom.say(name, value, place.clone());
            }
        }
    }
}

impl Seen {
    /// A file that may be missing, and whose faults are findings.
    fn read(
        &mut self,
        tree: &Tree,
        file: &Path,
        read: impl FnOnce(&Path, &mut Custom) -> Result<(), StartError>,
    ) {
        let Some(real) = tree.file(file) else { return };
        if let Err(e) = read(&real, &mut self.custom) {
            let line = e.to_string();
            self.found.push((
                "custom",
                Finding::red(
                    Words::same(line),
                    words!(
                        "what stands in it may keep people out: correct it, and ask again",
                        "was darin steht, hält vielleicht Leute draußen: berichtigen und noch einmal fragen"
                    ),
                ),
            ));
        }
    }
}

/// `meet.example` of `meet.example-config.js`.
fn host_of(file: &Path) -> Option<String> {
    let host = file.file_name()?.to_str()?.strip_suffix("-config.js")?;
    let plain = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    plain.then(|| host.to_owned())
}
