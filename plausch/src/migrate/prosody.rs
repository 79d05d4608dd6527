//! A `prosody.cfg.lua` of Debian's packages or of docker-jitsi-meet, with what it includes, in; the same as tables of hosts, and what
//! has no place there, out. It is read as data: nothing of it is executed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use service::StartError;

use super::Found;
use super::tables::{self, Tables};
use super::tree::Tree;
use super::{Migrate, To};
use crate::commands::Given;
use crate::doctor::checks::{Finding, Level};
use crate::doctor::report;
use crate::foreign::lua::{self, Place, Value};
use crate::options::{Role, Settings};
use crate::setup::write as files;
use crate::wiring;
use crate::words::{Words, words};

/// Whether this is such a file.
pub(super) fn is_one(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|e| e == "lua")
}

/// Options of a host, by name, each with its place in messages.
pub(super) type Options = BTreeMap<String, (Value, String)>;

/// `VirtualHost` or `Component`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Host {
    pub(super) domain: String,
    /// Of a component.
    pub(super) kind: Option<String>,
    pub(super) options: Options,
}

/// All that the files say.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) top: Options,
    pub(super) hosts: Vec<Host>,
}

/// 0: all of it is in the tables. 1: something is different. 2: something that keeps people out is not understood, and there are no
/// tables.
pub(super) fn run(asked: &Migrate) -> Result<u8, StartError> {
    let mut found = Found::new();
    let said = read(&asked.from, &mut found);
    let text = tables::of(&said, &mut found).and_then(|tables| checked(&tables, &mut found));
    let worst = found.iter().map(|(_, f)| f.level).max().unwrap_or(Level::Green);
    let failed = |path: &Path, e: std::io::Error| StartError::Part {
        part: "the migration",
        reason: format!("{}: {e}", path.display()),
    };
    match (text.filter(|_| worst < Level::Red), &asked.to) {
        (Some(text), To::File(path)) => {
            files::secret_file(path, &text).map_err(|e| failed(path, e))?;
            let path = path.display();
            found.push(("written", Finding::green(Words::same(path.to_string()))));
        }
        (Some(text), To::Folder(_)) => service::output::say(text),
        (None, _) => {}
    }
    let all: Vec<_> = found.iter().map(|(name, f)| (*name, f)).collect();
    // The tables alone are on standard output, for a file.
    service::output::complain(report::lines(&all, asked.language, false).trim_end().to_owned());
    Ok(match worst {
        Level::Green => 0,
        Level::Yellow => 1,
        Level::Red => 2,
    })
}

/// The tables as a file, if a start would take them.
fn checked(tables: &Tables, found: &mut Found) -> Option<String> {
    let text = tables.text();
    let file = service::options::ConfigFile { path: "plausch.toml".into(), text: text.clone() };
    let given = Given::of_file(Role::AllInOne, file);
    let start =
        given.effective.and_then(|e| Settings::look(&e)).and_then(|s| wiring::xmpp_config(&s).map(drop));
    match start {
        Ok(()) => Some(text),
        Err(e) => {
            found.push(super::no_start(&e));
            None
        }
    }
}

/// Reads a file and what it includes from its own folder.
fn read(main: &Path, found: &mut Found) -> Said {
    let folder = main.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
    let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
    let tree = Tree::of(std::slice::from_ref(&folder));
    let mut said = Said::default();
    let mut files = vec![main.to_owned()];
    let mut seen = Vec::new();
    while let Some(file) = files.pop() {
        if seen.contains(&file) {
            continue;
        }
        if seen.len() >= FILES {
            found.push(("files", not_understood(&format!("{} + {FILES}", file.display()))));
            break;
        }
        seen.push(file.clone());
        let name = file.strip_prefix(&folder).unwrap_or(&file).display().to_string();
        let Some(text) = tree.text(&file) else {
            found.push(("files", unread(&name)));
            continue;
        };
        let mut includes = one(&text, &name, &folder, &tree, &mut said, found);
        includes.reverse();
        files.extend(includes);
    }
    said
}

/// Adds what a file says; which files it includes.
fn one(
    text: &str,
    name: &str,
    folder: &Path,
    tree: &Tree,
    said: &mut Said,
    found: &mut Found,
) -> Vec<PathBuf> {
    let document = match lua::parse(text) {
        Ok(document) => document,
        Err(e) => {
            let place = format!("{name}, {e}");
            found.push(("files", not_understood(&place)));
            return Vec::new();
        }
    };
    for line in &document.more {
        let place = format!("{name}, line {line}");
        found.push((
            "files",
            Finding::red(
                words!(
                    "{place}: this is more than data; what it says is known only to who executes it, and nothing is",
                    "{place}: das sind nicht nur Daten; was es heißt, weiß nur, wer es ausführt, und das tut niemand"
                ),
                words!("write the value there, or remove the line", "den Wert hinschreiben oder die Zeile entfernen"),
            ),
        ));
    }
    for place in document.places {
        let (domain, kind) = match place {
            Place::Top => continue,
            Place::Host(domain) => (domain, None),
            Place::Component(domain, kind) => (domain, Some(kind)),
        };
        if !said.hosts.iter().any(|h| h.domain == domain) {
            said.hosts.push(Host { domain, kind, options: Options::new() });
        }
    }
    for a in document.assignments {
        let options = match &a.place {
            Place::Top => Some(&mut said.top),
            Place::Host(domain) | Place::Component(domain, _) => {
                said.hosts.iter_mut().find(|h| h.domain == *domain).map(|h| &mut h.options)
            }
        };
        if let Some(options) = options {
            let place = format!("{} in {name}, line {}", a.name, a.line);
            options.insert(a.name, (a.value, place));
        }
    }
    let mut all = Vec::new();
    for include in document.includes {
        match included(&include, folder, tree) {
            Some(files) => all.extend(files),
            None => found.push(("files", unread(&include))),
        }
    }
    all
}

/// Files that are meant: one, or those of a folder with this ending. `None`: it is another kind of pattern.
fn included(pattern: &str, folder: &Path, tree: &Tree) -> Option<Vec<PathBuf>> {
    let path = folder.join(pattern);
    let name = path.file_name()?.to_str()?;
    if path.parent()?.to_string_lossy().contains('*') {
        return None;
    }
    match name.split_once('*') {
        None => Some(vec![path]),
        Some((begins, ends)) if !ends.contains('*') => {
            let fits = |f: &PathBuf| {
                let name = f.file_name().and_then(|n| n.to_str()).unwrap_or_default();
                name.len() >= begins.len() + ends.len() && name.starts_with(begins) && name.ends_with(ends)
            };
            Some(tree.entries(path.parent()?).into_iter().filter(fits).collect())
        }
        Some(_) => None,
    }
}

fn unread(file: &str) -> Finding {
    Finding::red(
        words!(
            "{file} is not read: it is not there, no text, or outside of the folder; what stands in it may keep people out",
            "{file} wird nicht gelesen: nicht da, kein Text oder außerhalb des Ordners; was darin steht, hält vielleicht Leute draußen"
        ),
        words!(
            "remove the line that includes it, or put it there",
            "die Zeile entfernen, die sie einbindet, oder sie dorthin legen"
        ),
    )
}

fn not_understood(place: &str) -> Finding {
    Finding::red(
        words!("{place}: it is not understood", "{place}: nicht zu verstehen"),
        words!("correct it, and ask again", "berichtigen und noch einmal fragen"),
    )
}

/// Files that are read at most, of 256 KiB each. Reason: a town has one for each host.
pub(super) const FILES: usize = 100;
