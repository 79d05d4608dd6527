//! One table of settings, and values from defaults, TOML files, the environment and flags in; one checked set out.
//!
//! The table is the single place where an option exists: the flag, the environment variables, the TOML key, the help
//! text, the sample file and the printed effective configuration all come from it.

pub mod secret;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::DeserializeOwned;

use crate::StartError;
use crate::limits::MAX_CONFIG_FILE;

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The dotted TOML key, `table.name`. Its last part alone, or `flag`, names the command line option.
    pub key: &'static str,
    /// The flag without dashes; empty when there is none.
    pub flag: &'static str,
    /// Environment variables, the first that is set and not empty wins. Upstream's docker names where they exist.
    pub env: &'static [&'static str],
    /// The value when nobody sets one, as it would be written in the environment.
    pub default: &'static str,
    /// What values look like.
    pub kind: Kind,
    /// One sentence.
    pub help: &'static str,
}

/// What a setting's value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text, also addresses and paths.
    Text,
    /// A whole number.
    Number,
    /// Yes or no, with upstream's reading of words.
    Bool,
    /// Several texts; commas in the environment, an array in TOML.
    List,
    /// A text that is never printed.
    Secret,
    /// Tables of several values, `[[table.name]]`; in the file alone, and never printed.
    Tables,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The table.
    Default,
    /// The configuration file.
    File,
    /// This environment variable.
    Env(String),
    /// A place in a file of another program's, which is heeded.
    Place(String),
    /// The environment, which has a name that nobody knows.
    Environment,
    /// The command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the defaults"),
            Self::File => f.write_str("the configuration file"),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Place(place) => f.write_str(place),
            Self::Environment => f.write_str("the environment"),
            Self::Flag => f.write_str("the command line"),
        }
    }
}

/// A configuration file that has been read.
#[derive(Debug)]
pub struct ConfigFile {
    /// Its name in errors.
    pub path: PathBuf,
    /// What is in it.
    pub text: String,
}

impl ConfigFile {
    /// Reads a file of a sensible size.
    pub fn read(path: &Path) -> Result<Self, StartError> {
        let unreadable = |reason: String| StartError::Unreadable { path: path.to_owned(), reason };
        let size = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?.len();
        if size > MAX_CONFIG_FILE {
            return Err(unreadable(format!("larger than {MAX_CONFIG_FILE} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
        Ok(Self { path: path.to_owned(), text })
    }

    /// What a package or an image brings as its defaults: `../lib/plausch/defaults.toml`, seen from the program's folder.
    /// A program that was built and lies anywhere else has none.
    pub fn packaged() -> Result<Option<Self>, StartError> {
        let path = std::env::current_exe().ok().and_then(|p| Some(p.parent()?.parent()?.join(PACKAGED)));
        match path.filter(|p| p.exists()) {
            Some(path) => Self::read(&path).map(Some),
            None => Ok(None),
        }
    }
}

const PACKAGED: &str = "lib/plausch/defaults.toml";

/// What the layers are read from.
pub struct Sources<'a> {
    /// Defaults in place of the table's: a container's, a package's.
    pub defaults: Option<&'a ConfigFile>,
    /// The configuration file, when one is named.
    pub file: Option<&'a ConfigFile>,
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Values by key from the command line.
    pub flags: BTreeMap<&'static str, String>,
}

impl fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("file", &self.file.map(|f| &f.path)).finish_non_exhaustive()
    }
}

/// All values after the layers, by key.
#[derive(Debug, Clone)]
pub struct Effective {
    table: &'static [Setting],
    values: BTreeMap<&'static str, (Value, Origin)>,
}

#[derive(Clone, PartialEq)]
enum Value {
    One(String),
    Many(Vec<String>),
    Tables(Vec<toml::Table>),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secret; `Effective::print` knows which.
        f.write_str("…")
    }
}

impl Effective {
    /// Lays the sources over each other: the table's defaults, the package's, file, environment, flags.
    pub fn load(table: &'static [Setting], sources: &Sources<'_>) -> Result<Self, StartError> {
        let mut it = Self { table, values: BTreeMap::new() };
        for s in table {
            it.set(s, s.default, Origin::Default)?;
        }
        if let Some(file) = sources.defaults {
            it.lay_file(file, &Origin::Default)?;
        }
        if let Some(file) = sources.file {
            it.lay_file(file, &Origin::File)?;
        }
        for s in table {
            if let Some((name, value)) = from_environment(s, sources.env)? {
                it.set(s, &value, Origin::Env(name))?;
            }
            if let Some(value) = sources.flags.get(s.key) {
                it.set(s, value, Origin::Flag)?;
            }
        }
        Ok(it)
    }

    fn lay_file(&mut self, file: &ConfigFile, origin: &Origin) -> Result<(), StartError> {
        let parsed: toml::Table = file.text.parse().map_err(|e: toml::de::Error| StartError::NotToml {
            path: file.path.clone(),
            reason: where_and_why(&file.text, &e),
        })?;
        let mut flat = Vec::new();
        flatten("", &parsed, &mut flat);
        for (key, value) in flat {
            let Some(setting) = self.table.iter().find(|s| s.key == key) else {
                let hint = closest(&key, self.table.iter().map(|s| s.key));
                return Err(StartError::UnknownOption { name: key, origin: origin.clone(), hint });
            };
            let value = from_toml(setting, value).map_err(|reason| bad(setting, origin.clone(), reason))?;
            self.values.insert(setting.key, (value, origin.clone()));
        }
        Ok(())
    }

    fn set(&mut self, s: &'static Setting, text: &str, origin: Origin) -> Result<(), StartError> {
        let value = from_text(s.kind, text).map_err(|reason| bad(s, origin.clone(), reason))?;
        self.values.insert(s.key, (value, origin));
        Ok(())
    }

    fn one(&self, key: &str) -> &str {
        match self.values.get(key) {
            Some((Value::One(v), _)) => v,
            _ => "",
        }
    }

    /// A text; empty when unset.
    pub fn text(&self, key: &str) -> &str {
        debug_assert!(self.values.contains_key(key), "no such setting: {key}");
        self.one(key)
    }

    /// A yes or no.
    pub fn is_on(&self, key: &str) -> bool {
        debug_assert!(self.values.contains_key(key), "no such setting: {key}");
        self.one(key) == "true"
    }

    /// Several texts.
    pub fn list(&self, key: &str) -> &[String] {
        debug_assert!(self.values.contains_key(key), "no such setting: {key}");
        match self.values.get(key) {
            Some((Value::Many(v), _)) => v,
            _ => &[],
        }
    }

    /// Tables, each read as one `T`. The error names which one and what is wrong in it, never a value: it may be a secret.
    pub fn tables<T: DeserializeOwned>(&self, key: &str) -> Result<Vec<T>, StartError> {
        let Some((Value::Tables(all), _)) = self.values.get(key) else { return Ok(Vec::new()) };
        let one = |(i, table): (usize, &toml::Table)| {
            let error = |e: toml::de::Error| {
                self.bad(key, format!("table {}: {}", i + 1, without_values(e.message())))
            };
            table.clone().try_into().map_err(error)
        };
        all.iter().enumerate().map(one).collect()
    }

    /// A value of any type that can be read from text; the error names the option and where it was set.
    pub fn parse<T: FromStr>(&self, key: &str) -> Result<T, StartError>
    where
        T::Err: fmt::Display,
    {
        self.text(key).parse().map_err(|e: T::Err| self.bad(key, e.to_string()))
    }

    /// Like [`Self::parse`], and an empty value is `None`.
    pub fn parse_optional<T: FromStr>(&self, key: &str) -> Result<Option<T>, StartError>
    where
        T::Err: fmt::Display,
    {
        if self.text(key).is_empty() { Ok(None) } else { self.parse(key).map(Some) }
    }

    /// The error for a value that was read but means nothing.
    pub fn bad(&self, key: &str, reason: impl Into<String>) -> StartError {
        let origin = self.origin(key).clone();
        StartError::BadValue { option: key.to_owned(), origin, reason: reason.into() }
    }

    /// The error for a value that names a file which cannot be read.
    pub fn unreadable(&self, key: &str, path: &Path, reason: impl fmt::Display) -> StartError {
        self.bad(key, format!("cannot read {}: {reason}", shown(&path.to_string_lossy())))
    }

    /// Where a value came from.
    pub fn origin(&self, key: &str) -> &Origin {
        self.values.get(key).map_or(&Origin::Default, |(_, o)| o)
    }

    /// Takes these in place of the default of a list; what somebody has set stays.
    pub fn assume(&mut self, key: &'static str, items: Vec<String>) {
        if *self.origin(key) == Origin::Default {
            self.values.insert(key, (Value::Many(items), Origin::Default));
        }
    }

    /// Names places for variables whose values came from a file.
    pub fn locate(&mut self, place: &dyn Fn(&str) -> Option<String>) {
        for (_, origin) in self.values.values_mut() {
            if let Origin::Env(name) = origin
                && let Some(place) = place(name)
            {
                *origin = Origin::Place(place);
            }
        }
    }

    /// The options whose values differ, in the order of the table. What is in files that they name is not looked at.
    pub fn changed(&self, before: &Self) -> Vec<&'static str> {
        let value = |(value, _): &(Value, Origin)| value.clone();
        let differs = |key: &&str| self.values.get(*key).map(value) != before.values.get(*key).map(value);
        self.table.iter().map(|s| s.key).filter(differs).collect()
    }

    /// The same, with the former values of these.
    #[must_use]
    pub fn with_former(&self, former: &Self, keys: &[&'static str]) -> Self {
        let mut it = self.clone();
        for key in keys {
            if let Some(value) = former.values.get(key) {
                it.values.insert(key, value.clone());
            }
        }
        it
    }

    /// The values that somebody set, one per line, with where they came from; secrets masked.
    pub fn print(&self) -> String {
        let mut out = String::new();
        for s in self.table {
            let Some((value, origin)) = self.values.get(s.key) else { continue };
            if *origin == Origin::Default {
                continue;
            }
            let shown = match (s.kind, value) {
                (Kind::Secret, Value::One(v)) if v.is_empty() => "(not set)".to_owned(),
                (Kind::Secret, _) => "••••••••".to_owned(),
                (Kind::Text, Value::One(v)) => format!("{v:?}"),
                (_, Value::One(v)) => v.clone(),
                (_, Value::Many(v)) => format!("{v:?}"),
                (_, Value::Tables(v)) => format!("({} tables)", v.len()),
            };
            let _ = writeln!(out, "  {:<28} = {shown}   # {origin}", s.key);
        }
        out
    }
}

impl Effective {
    /// The values that somebody set, as a configuration file. Secrets stand in it as they are.
    pub fn to_toml(&self) -> String {
        let (mut out, mut tables) = (String::new(), String::new());
        let mut last = "";
        for s in self.table {
            let Some((value, origin)) = self.values.get(s.key) else { continue };
            if *origin == Origin::Default {
                continue;
            }
            let (group, name) = s.key.split_once('.').unwrap_or(("", s.key));
            if let Value::Tables(all) = value {
                for table in all {
                    let _ = write!(tables, "\n[[{}]]\n{table}", s.key);
                }
                continue;
            }
            if group != last {
                let _ = write!(out, "\n[{group}]\n");
                last = group;
            }
            let shown = match (s.kind, value) {
                (Kind::Text | Kind::Secret, Value::One(v)) => toml::Value::from(v.as_str()).to_string(),
                (_, Value::One(v)) => v.clone(),
                (_, Value::Many(v)) => toml::Value::from(v.clone()).to_string(),
                (_, Value::Tables(_)) => continue,
            };
            let _ = writeln!(out, "{name} = {shown}");
        }
        out + &tables
    }
}

/// A commented configuration file with every option at its default.
pub fn sample(table: &[Setting]) -> String {
    let mut out = String::from("# Every option with its default. Lines that begin with # change nothing.\n");
    let mut last = "";
    for s in table {
        let (group, name) = s.key.split_once('.').unwrap_or(("", s.key));
        if group != last {
            let _ = write!(out, "\n[{group}]\n");
            last = group;
        }
        let shown = match s.kind {
            Kind::Tables => {
                let _ = writeln!(out, "# {}\n# [[{}]]", s.help, s.key);
                continue;
            }
            Kind::Text | Kind::Secret => format!("{:?}", s.default),
            Kind::List => format!("{:?}", split(s.default)),
            Kind::Number | Kind::Bool => s.default.to_owned(),
        };
        let names: Vec<String> = s.env.iter().map(|n| (*n).to_owned()).chain(secret::variables(s)).collect();
        let env =
            if names.is_empty() { String::new() } else { format!(" Environment: {}.", names.join(", ")) };
        let _ = writeln!(out, "# {}{env}\n# {name} = {shown}", s.help);
    }
    out
}

/// A text of somebody else's within a line: as it is, unless that would break or flood the line.
pub fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        out.push('…');
    }
    out
}

/// Not a bound: how much of such a text is still read.
const SHOWN: usize = 120;

/// Where a file is no TOML and why, in one line. What is written there is not repeated: it may be a secret.
fn where_and_why(text: &str, e: &toml::de::Error) -> String {
    let why = e.message().split_whitespace().collect::<Vec<_>>().join(" ");
    let before = e.span().and_then(|span| text.get(..span.start));
    match before
        .map(|b| (b.matches('\n').count() + 1, b.rsplit('\n').next().unwrap_or_default().chars().count() + 1))
    {
        Some((line, column)) => format!("line {line}, column {column}: {why}"),
        None => why,
    }
}

/// The variable that is set, and its value; that of a secret may lie in a file, which `NAME_FILE` names.
fn from_environment(
    s: &Setting,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<(String, String)>, StartError> {
    let set = |name: &str| env(name).filter(|v| !v.is_empty());
    let found = s.env.iter().find_map(|n| set(n).map(|v| ((*n).to_owned(), v)));
    if let Some((name, value)) = &found {
        // What is no text comes as this character, and must not count as not set.
        if value.contains(char::REPLACEMENT_CHARACTER) {
            return Err(bad(s, Origin::Env(name.clone()), "must be text in UTF-8"));
        }
    }
    let file = secret::variables(s).find_map(|n| set(&n).map(|v| (n, v)));
    match (found, file) {
        (Some((name, _)), Some((file, _))) => {
            let reason = format!("{file} is set, too: remove one of the two");
            Err(bad(s, Origin::Env(name), reason))
        }
        (None, Some((file, path))) => match secret::read(Path::new(&path)) {
            Ok(value) => Ok(Some((file, value))),
            Err(why) => Err(bad(s, Origin::Env(file), format!("its file {} {why}", shown(&path)))),
        },
        (found, None) => Ok(found),
    }
}

/// What serde says about a value that does not fit, without the value: `invalid type: integer …, expected a string`.
fn without_values(message: &str) -> String {
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match message.split_once(", expected") {
        Some((head, tail)) if head.starts_with("invalid") => {
            let kind = head.split(['"', '`']).next().unwrap_or_default().trim_end();
            format!("{kind} …, expected{tail}")
        }
        _ => message,
    }
}

fn flatten(prefix: &str, table: &toml::Table, out: &mut Vec<(String, toml::Value)>) {
    for (k, v) in table {
        let key = if prefix.is_empty() { k.clone() } else { format!("{prefix}.{k}") };
        match v {
            toml::Value::Table(t) => flatten(&key, t, out),
            v => out.push((key, v.clone())),
        }
    }
}

fn from_toml(s: &Setting, value: toml::Value) -> Result<Value, String> {
    let wanted = |what: &str| Err(format!("must be {what}"));
    match (s.kind, value) {
        (Kind::Text | Kind::Secret, toml::Value::String(v)) => Ok(Value::One(v)),
        (Kind::Text | Kind::Secret, _) => wanted("a text in quotes"),
        (Kind::Number, toml::Value::Integer(n)) => Ok(Value::One(n.to_string())),
        (Kind::Number, _) => wanted("a whole number"),
        (Kind::Bool, toml::Value::Boolean(b)) => Ok(Value::One(b.to_string())),
        (Kind::Bool, _) => wanted("true or false"),
        (Kind::List, toml::Value::Array(all)) => all
            .into_iter()
            .map(|v| v.as_str().map(str::to_owned).ok_or_else(|| "must be a list of texts".to_owned()))
            .collect::<Result<_, _>>()
            .map(Value::Many),
        (Kind::List, _) => wanted("a list of texts"),
        (Kind::Tables, toml::Value::Array(all)) => all
            .into_iter()
            .map(|v| match v {
                toml::Value::Table(t) => Ok(t),
                _ => Err("must be tables in double brackets".to_owned()),
            })
            .collect::<Result<_, _>>()
            .map(Value::Tables),
        (Kind::Tables, _) => wanted("tables in double brackets"),
    }
}

fn from_text(kind: Kind, text: &str) -> Result<Value, String> {
    Ok(match kind {
        Kind::Text | Kind::Secret => Value::One(text.to_owned()),
        Kind::Number => {
            Value::One(text.trim().parse::<i64>().map_err(|_| "must be a whole number")?.to_string())
        }
        Kind::Bool => Value::One(truth(text)?.to_string()),
        Kind::List => Value::Many(split(text)),
        Kind::Tables if text.is_empty() => Value::Tables(Vec::new()),
        Kind::Tables => return Err("stands in the configuration file alone".to_owned()),
    })
}

/// Whether upstream's templates read this as no.
pub fn is_no(text: &str) -> bool {
    matches!(text.trim_matches(['"', '\'']), "" | "0" | "f" | "F" | "false" | "False" | "FALSE")
}

/// Whether everybody reads this as yes.
pub fn is_yes(text: &str) -> bool {
    let text = text.trim_matches(['"', '\'']).to_ascii_lowercase();
    matches!(text.as_str(), "1" | "t" | "true" | "y" | "yes" | "on" | "enable" | "enabled")
}

// compat: upstream takes every other text for true, `no` and `off` included. Who writes that means something else, so it is
// no value at all here (test: compat_environment_values_read_as_upstream_reads_them).
fn truth(text: &str) -> Result<bool, String> {
    match (is_no(text), is_yes(text)) {
        (true, _) => Ok(false),
        (false, true) => Ok(true),
        (false, false) => Err("must be true or false (1 or 0)".into()),
    }
}

// compat: upstream splits at commas, drops empty items and does not trim
// (test: compat_environment_values_read_as_upstream_reads_them).
fn split(text: &str) -> Vec<String> {
    text.split(',').filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

fn bad(s: &Setting, origin: Origin, reason: impl Into<String>) -> StartError {
    StartError::BadValue { option: s.key.to_owned(), origin, reason: reason.into() }
}

/// The candidate that differs least from `name`, if it is close enough to be a slip of the finger.
pub fn closest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    candidates
        .map(|c| (distance(name, c), c))
        .min()
        .filter(|(d, c)| *d <= 2 + c.len() / 6)
        .map(|(_, c)| c.to_owned())
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(&b) {
            let best = (diagonal + usize::from(x != *y)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests;
