//! A folder or an `.env` file of a Jitsi in; what is there that a server of ours would need or miss, out. Reads, and changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use service::StartError;

use crate::commands::{env_file, limits};

/// What was found.
#[derive(Debug, Default, Clone)]
pub(super) struct Seen {
    pub(super) variables: Vec<(String, String)>,
    pub(super) odd_lines: Vec<usize>,
    pub(super) certificate: Option<(PathBuf, PathBuf)>,
    /// The folder with the admin's additions to config.js.
    pub(super) custom: Option<PathBuf>,
    /// Files that are not read: Lua, HOCON, properties, nginx, Prosody's modules.
    pub(super) unread: Vec<PathBuf>,
    /// People with a password of their own: host and how many.
    pub(super) accounts: Vec<(String, usize)>,
    pub(super) debian: Option<Debian>,
}

/// Debian's packages.
#[derive(Debug, Default, Clone)]
pub(super) struct Debian {
    pub(super) host: String,
    pub(super) config_js: PathBuf,
    /// Prosody's configuration of this host, and Jicofo's.
    pub(super) prosody: String,
    pub(super) jicofo: String,
}

/// Looks at an `.env` file, the folder of one, or Debian's `/etc`.
pub(super) fn at(path: &Path) -> Result<Seen, StartError> {
    if path.is_file() {
        return docker(path);
    }
    if path.join(".env").is_file() {
        return docker(&path.join(".env"));
    }
    match entries(&path.join("jitsi/meet")).into_iter().find_map(|f| Some((host_of(&f)?, f))) {
        Some((host, config_js)) => Ok(debian(path, host, config_js)),
        None => Err(StartError::Unreadable {
            path: path.to_owned(),
            reason: "neither an .env file, nor a folder with one, nor an /etc with jitsi/meet/NAME-config.js"
                .into(),
        }),
    }
}

fn docker(env: &Path) -> Result<Seen, StartError> {
    let (variables, odd_lines) = env_file(env)?;
    let variables = variables.into_variables();
    let value = |name: &str| {
        variables.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    };
    let beside = env.parent().unwrap_or_else(|| Path::new("."));
    let config = match value("CONFIG").unwrap_or("~/.jitsi-meet-cfg") {
        own if own.starts_with("~/") => {
            PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(own.trim_start_matches("~/"))
        }
        other => beside.join(other),
    };
    let mut seen = Seen { odd_lines, ..Seen::default() };
    let name = value("LETSENCRYPT_DOMAIN").unwrap_or_default().split(',').next().unwrap_or_default();
    let issued = config.join("storage/web").join(super::ISSUED).join(name);
    let pairs = [
        (config.join("web/keys/cert.crt"), config.join("web/keys/cert.key")),
        (issued.join("fullchain.pem"), issued.join("key.pem")),
    ];
    seen.certificate = pairs.into_iter().find(|(chain, key)| chain.is_file() && key.is_file());
    let web = config.join("web");
    let additions = ["custom-config.js", "custom-interface_config.js"];
    seen.custom = additions.iter().any(|f| web.join(f).is_file()).then_some(web);
    for file in [
        "web/nginx/custom-meet.conf",
        "jicofo/custom-jicofo.conf",
        "jvb/custom-jvb.conf",
        "jvb/custom-sip-communicator.properties",
    ] {
        let file = config.join(file);
        // Empty ones are made by the images.
        if fs::metadata(&file).is_ok_and(|m| m.is_file() && m.len() > 0) {
            seen.unread.push(file);
        }
    }
    for folder in ["web/nginx-custom", "prosody/config/conf.d", "prosody/prosody-plugins-custom"] {
        seen.unread.extend(entries(&config.join(folder)).into_iter().filter(|f| f.is_file()));
    }
    for data in ["storage/prosody/data", "prosody/config/data"] {
        seen.accounts.extend(accounts(&config.join(data)));
    }
    seen.variables = variables;
    Ok(seen)
}

fn debian(etc: &Path, host: String, config_js: PathBuf) -> Seen {
    let mut seen = Seen::default();
    let nginx = text(&etc.join(format!("nginx/sites-available/{host}.conf")));
    let named = |directive: &str| {
        let line = nginx.lines().map(str::trim).find_map(|l| l.strip_prefix(directive)?.strip_suffix(';'));
        line.map(|l| PathBuf::from(l.trim()))
    };
    let meet = etc.join("jitsi/meet");
    let usual = (meet.join(format!("{host}.crt")), meet.join(format!("{host}.key")));
    seen.certificate = named("ssl_certificate ")
        .zip(named("ssl_certificate_key "))
        .into_iter()
        .chain([usual])
        .find(|(chain, key)| chain.is_file() && key.is_file());
    for file in [
        "jitsi/videobridge/jvb.conf",
        "jitsi/videobridge/sip-communicator.properties",
        "jitsi/jicofo/sip-communicator.properties",
        "turnserver.conf",
    ] {
        let file = etc.join(file);
        if file.is_file() {
            seen.unread.push(file);
        }
    }
    seen.accounts = accounts(&etc.join("../var/lib/prosody"));
    let prosody = text(&etc.join(format!("prosody/conf.avail/{host}.cfg.lua")));
    let jicofo = text(&etc.join("jitsi/jicofo/jicofo.conf"));
    seen.debian = Some(Debian { host, config_js, prosody, jicofo });
    seen
}

/// `meet.example` of `meet.example-config.js`.
fn host_of(file: &Path) -> Option<String> {
    Some(file.file_name()?.to_str()?.strip_suffix("-config.js")?.to_owned())
}

/// Prosody's folders: every other byte than letters and digits is `%xx` in their names.
fn accounts(data: &Path) -> Vec<(String, usize)> {
    let mut all = Vec::new();
    for host in entries(data) {
        let people =
            entries(&host.join("accounts")).into_iter().filter(|f| f.extension().is_some_and(|e| e == "dat"));
        let name =
            host.file_name().unwrap_or_default().to_string_lossy().replace("%2e", ".").replace("%2d", "-");
        let count = people.count();
        // Service accounts are made by the roles themselves.
        if count > 0
            && !name.starts_with("auth.")
            && !name.starts_with("hidden.")
            && !name.starts_with("recorder.")
        {
            all.push((name, count));
        }
    }
    all
}

/// What is in a folder, in order; nothing when it is none.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(folder)
        .map(|read| read.flatten().map(|e| e.path()).take(limits::ENTRIES).collect())
        .unwrap_or_default();
    all.sort();
    all
}

/// A file of a sensible size; empty when it cannot be read.
fn text(path: &Path) -> String {
    let fits = fs::metadata(path).is_ok_and(|m| m.len() <= limits::ENV_FILE);
    if fits { fs::read_to_string(path).unwrap_or_default() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_beyond_the_limit_is_read_as_far_as_that() {
        let folder = std::env::temp_dir().join(format!("plausch-entries-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for n in 0..limits::ENTRIES {
            fs::write(folder.join(n.to_string()), "").unwrap();
        }
        assert_eq!(entries(&folder).len(), limits::ENTRIES);
        fs::write(folder.join("one more"), "").unwrap();
        assert_eq!(entries(&folder).len(), limits::ENTRIES);
        fs::remove_dir_all(folder).unwrap();
    }
}
