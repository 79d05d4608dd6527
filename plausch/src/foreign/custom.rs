//! Folders with files that a Jitsi's admin wrote, and a role, in; what they ask for, in words of the environment, what would keep people
//! out and does not here, and what has no effect, out. Reads, and changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use service::{Origin, StartError};

use super::{hocon, keys, limits, lua, prosody};
use crate::options::Role;
use crate::words::{Words, words};

/// Whose keys a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Bridge,
    Focus,
}

/// What such files come to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Custom {
    /// As if the environment said so, over what that says.
    pub(crate) said: Vec<Said>,
    /// What may keep people out, and would not.
    pub(crate) restrictions: Vec<Restriction>,
    /// Places of what has no effect.
    pub(crate) useless: Vec<String>,
    /// Files that were read.
    pub(crate) files: Vec<PathBuf>,
}

/// A value for a variable of the environment.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) name: &'static str,
    /// May be a secret.
    pub(crate) value: String,
    /// Key and file.
    pub(crate) place: String,
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} from {}", self.name, self.place)
    }
}

/// Something that may keep people out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Restriction {
    /// As the admin names it in `start.accept`.
    pub(crate) name: String,
    pub(crate) place: String,
    pub(crate) why: Words,
}

impl Custom {
    /// Later files and lines have the last word.
    pub(crate) fn say(&mut self, name: &'static str, value: String, place: String) {
        self.said.retain(|s| s.name != name);
        self.said.push(Said { name, value, place });
    }

    /// One more of a list.
    pub(super) fn add(&mut self, name: &'static str, value: &str, place: String) {
        match self.said.iter_mut().find(|s| s.name == name) {
            Some(said) if said.value.split(',').any(|v| v == value) => {}
            Some(said) => said.value = format!("{},{value}", said.value),
            None => self.said.push(Said { name, value: value.to_owned(), place }),
        }
    }

    pub(super) fn restrict(&mut self, name: String, place: String, why: Words) {
        self.restrictions.push(Restriction { name, place, why });
    }

    /// Where the value of this variable stands, if it is from a file.
    pub(crate) fn place(&self, name: &str) -> Option<String> {
        self.said.iter().find(|s| s.name == name).map(|s| s.place.clone())
    }

    /// The same error, with the place in the file for the variable that stands for it.
    pub(crate) fn located(&self, e: StartError) -> StartError {
        match e {
            StartError::BadValue { option, origin: Origin::Env(name), reason } => {
                let origin = self.place(&name).map_or(Origin::Env(name), Origin::Place);
                StartError::BadValue { option, origin, reason }
            }
            e => e,
        }
    }

    /// The first that is not accepted, as the end of a start.
    pub(crate) fn refusal(&self, accepted: &[String], german: bool) -> Option<StartError> {
        let r = self.restrictions.iter().find(|r| !accepted.contains(&r.name))?;
        let name = &r.name;
        let way = words!(
            "remove it there, or name `{name}` in PLAUSCH_ACCEPT if meetings may go without (docs/admin/environment.md)",
            "dort entfernen, oder `{name}` in PLAUSCH_ACCEPT nennen, wenn es ohne gehen darf (docs/admin/environment.md)"
        );
        let pick = |w: &Words| if german { w.de.clone() } else { w.en.clone() };
        let text = format!("{}; {}", pick(&r.why), pick(&way));
        Some(StartError::Restriction { name: r.place.clone(), text })
    }

    /// Says what is heeded and what is not: at a start.
    pub(crate) fn log(&self, accepted: &[String]) {
        for s in &self.said {
            tracing::info!("{} is heeded, as {}", s.place, s.name);
        }
        for place in &self.useless {
            tracing::warn!("{place} has no effect");
        }
        for r in self.restrictions.iter().filter(|r| accepted.contains(&r.name)) {
            tracing::warn!("{} has no effect, and that is accepted: {}", r.place, r.why.en);
        }
    }
}

/// Looks into folders. `asked`: the admin named them, so that they have to be there. `main`: the host at which people are.
pub(crate) fn look(
    role: Role,
    folders: &[String],
    asked: bool,
    main: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Custom, StartError> {
    let mut custom = Custom::default();
    for folder in folders {
        let folder = Path::new(folder);
        if !folder.is_dir() {
            if asked {
                return Err(StartError::Unreadable {
                    path: folder.to_owned(),
                    reason: "no such folder".into(),
                });
            }
            continue;
        }
        if matches!(role, Role::AllInOne | Role::Videobridge) {
            for file in ["custom-jvb.conf", "jvb/custom-jvb.conf", "videobridge/jvb.conf"] {
                java(Program::Bridge, role, &folder.join(file), variable, &mut custom)?;
            }
            for file in [
                "custom-sip-communicator.properties",
                "jvb/custom-sip-communicator.properties",
                "videobridge/sip-communicator.properties",
            ] {
                properties(Program::Bridge, role, &folder.join(file), &mut custom)?;
            }
        }
        if matches!(role, Role::AllInOne | Role::Focus) {
            for file in ["custom-jicofo.conf", "jicofo/custom-jicofo.conf", "jicofo/jicofo.conf"] {
                java(Program::Focus, role, &folder.join(file), variable, &mut custom)?;
            }
            properties(
                Program::Focus,
                role,
                &folder.join("jicofo/sip-communicator.properties"),
                &mut custom,
            )?;
        }
        if matches!(role, Role::AllInOne | Role::Xmpp) {
            for sub in ["conf.d", "prosody/config/conf.d"] {
                for file in lua_files(&folder.join(sub), ".cfg.lua")? {
                    if is_admins_lua(&file) {
                        prosody_file(&file, main, &mut custom)?;
                    }
                }
            }
            for sub in [".", "prosody/prosody-plugins-custom"] {
                if sub != "." || folder.file_name().is_some_and(|n| n == "prosody-plugins-custom") {
                    let plugins = lua_files(&folder.join(sub), ".lua")?;
                    custom.useless.extend(plugins.iter().map(|f| f.display().to_string()));
                }
            }
        }
    }
    Ok(custom)
}

/// Whether a file in `conf.d` is the admin's.
pub(crate) fn is_admins_lua(file: &Path) -> bool {
    // compat: older images of upstream's write these themselves, from the environment, at each start
    // (test: compat_files_that_upstream_s_images_make_are_not_the_admin_s).
    let made = ["jitsi-meet.cfg.lua", "brewery.cfg.lua", "visitors.cfg.lua"];
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".cfg.lua") && !made.contains(&name.as_ref())
}

/// Whether a file of Prosody's says that everybody gets in at this host.
pub(crate) fn says_open(text: &str, host: &str) -> bool {
    lua::parse(text).is_ok_and(|d| prosody::is_open(&d, host))
}

/// A file of Prosody's, for whoever wants to know what it comes to.
pub(crate) fn prosody_file(path: &Path, main: &str, custom: &mut Custom) -> Result<(), StartError> {
    let Some(text) = text(path)? else { return Ok(()) };
    let document = lua::parse(&text).map_err(|e| unreadable(path, e.to_string()))?;
    custom.files.push(path.to_owned());
    prosody::judge(&document, main, &name(path), custom);
    Ok(())
}

/// A file of Jicofo's or the bridge's.
pub(crate) fn java(
    program: Program,
    role: Role,
    path: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
    custom: &mut Custom,
) -> Result<(), StartError> {
    let Some(text) = text(path)? else { return Ok(()) };
    let document = hocon::parse(&text, variable).map_err(|e| unreadable(path, e.to_string()))?;
    // compat: older images write this one from the environment; what it includes is the admin's
    // (test: compat_files_that_upstream_s_images_make_are_not_the_admin_s).
    if document.includes.iter().any(|i| i.contains("custom-jicofo.conf") || i.contains("custom-jvb.conf")) {
        return Ok(());
    }
    custom.files.push(path.to_owned());
    keys::judge(program, role, &document, &name(path), custom);
    Ok(())
}

/// `key=value` lines of older releases.
pub(crate) fn properties(
    program: Program,
    role: Role,
    path: &Path,
    custom: &mut Custom,
) -> Result<(), StartError> {
    let Some(text) = text(path)? else { return Ok(()) };
    custom.files.push(path.to_owned());
    let mut document = hocon::Document::default();
    for (n, line) in text.lines().enumerate().take(limits::VALUES) {
        let line = line.trim();
        if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with(['#', '!'])) {
            let path = key.trim().split('.').map(str::to_owned).collect();
            document.entries.push(hocon::Entry {
                path,
                value: hocon::Value::Text(value.trim().to_owned()),
                line: n + 1,
            });
        }
    }
    keys::judge(program, role, &document, &name(path), custom);
    Ok(())
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

fn unreadable(path: &Path, reason: String) -> StartError {
    StartError::Unreadable { path: path.to_owned(), reason }
}

/// `None` when there is none. One that is there and cannot be read may keep people out.
fn text(path: &Path) -> Result<Option<String>, StartError> {
    match fs::metadata(path) {
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(e) => Err(unreadable(path, e.to_string())),
        Ok(m) if !m.is_file() => Err(unreadable(path, "no file".into())),
        Ok(m) if m.len() > limits::FILE as u64 => {
            Err(unreadable(path, format!("larger than {} bytes", limits::FILE)))
        }
        Ok(_) => fs::read_to_string(path).map(Some).map_err(|e| unreadable(path, e.to_string())),
    }
}

fn lua_files(folder: &Path, end: &str) -> Result<Vec<PathBuf>, StartError> {
    let read = match fs::read_dir(folder) {
        Ok(read) => read,
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(e) => return Err(unreadable(folder, e.to_string())),
    };
    let mut all: Vec<PathBuf> = read
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.to_string_lossy().ends_with(end))
        .take(limits::FILES + 1)
        .collect();
    if all.len() > limits::FILES {
        return Err(unreadable(folder, format!("more than {} files", limits::FILES)));
    }
    all.sort();
    Ok(all)
}

#[cfg(test)]
#[path = "custom_tests.rs"]
mod tests;
