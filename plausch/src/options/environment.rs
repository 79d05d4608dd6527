//! The names and values of the environment in; what has no effect, and a refusal when that would leave a meeting open, out.
//!
//! Upstream's containers are configured by 503 variables. Each is an option of ours, or stands here: ignored for a reason,
//! not there yet, or restricting. Whoever wrote a restricting one relies on it, so without it there is no start.

#[cfg(test)]
mod need;
mod upstream;

use service::options::is_yes;
use service::{Origin, StartError};

use self::upstream::UPSTREAM;
use super::{Role, SETTINGS};
use crate::foreign::custom::Custom;

/// What a variable of upstream's comes to that is no option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The compose file reads it, this program need not.
    Compose,
    /// What it asks for is so in any case.
    Always,
    /// It means something only beside a part that is not there yet, which has a variable of its own.
    Later,
    /// Something that upstream offers and we do not yet.
    Missing,
    /// It means nothing here.
    Nothing,
}

/// Variables with one meaning.
struct Entry {
    meaning: Meaning,
    english: &'static str,
    german: &'static str,
    /// With spaces between.
    names: &'static str,
}

/// A variable that keeps somebody or something out.
struct Restriction {
    name: &'static str,
    /// When a value does.
    when: When,
    /// Which roles would be without it.
    roles: &'static [Role],
    english: &'static str,
    german: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Any value but upstream's spellings of no.
    On,
    /// Any value.
    Set,
    /// Any value but this one.
    Not(&'static str),
    /// A list that names more than these, which are honoured.
    Beyond(&'static [&'static str]),
}

impl When {
    fn holds(self, value: &str) -> bool {
        let value = value.trim_matches(['"', '\'']);
        let no = service::options::is_no(value);
        match self {
            Self::On => !value.is_empty() && !no,
            Self::Set => !value.is_empty(),
            Self::Not(usual) => !value.is_empty() && value != usual,
            Self::Beyond(_) => !self.beyond(value).is_empty(),
        }
    }

    /// What of a list is not known, with commas between.
    fn beyond(self, value: &str) -> String {
        let Self::Beyond(known) = self else { return String::new() };
        let value = value.trim_matches(['"', '\'']);
        let all = value.split(',').map(str::trim).filter(|one| !one.is_empty() && !known.contains(one));
        service::options::shown(&all.collect::<Vec<_>>().join(", "))
    }
}

const SIGNALLING: &[Role] = &[Role::AllInOne, Role::Xmpp, Role::Focus];
const XMPP: &[Role] = &[Role::AllInOne, Role::Xmpp];
const FOCUS: &[Role] = &[Role::AllInOne, Role::Focus];
const BRIDGE: &[Role] = &[Role::AllInOne, Role::Videobridge];

const fn restricts(
    name: &'static str,
    when: When,
    roles: &'static [Role],
    english: &'static str,
    german: &'static str,
) -> Restriction {
    Restriction { name, when, roles, english, german }
}

const fn modules(name: &'static str, when: When) -> Restriction {
    restricts(
        name,
        when,
        XMPP,
        "Lua modules cannot be loaded, and many of them keep people out",
        "Lua-Module können nicht geladen werden, und viele von ihnen halten Leute draußen",
    )
}

const fn lua(name: &'static str) -> Restriction {
    restricts(
        name,
        When::Set,
        XMPP,
        "Lua settings cannot be read, and they may keep people out",
        "Lua-Einstellungen können nicht gelesen werden, und sie können Leute draußen halten",
    )
}

const LOGIN: (&str, &str) = (
    "people log in with accounts of this server (internal) or a directory (ldap), or with tokens (jwt); another way in would be missing",
    "anmelden kann man sich mit Konten dieses Servers (internal) oder eines Verzeichnisses (ldap), oder mit Token (jwt); ein anderer Weg hinein fehlte",
);
const LOGINS: &[&str] = &["internal", "ldap", "jwt"];

/// What is one thing more about tokens that only Lua could do.
const fn tokens(name: &'static str, usual: &'static str) -> Restriction {
    restricts(
        name,
        When::Not(usual),
        XMPP,
        "tokens are checked by this server's own rules, not by Lua modules",
        "Token prüft dieser Server nach eigenen Regeln, nicht mit Lua-Modulen",
    )
}

const RESTRICTIONS: &[Restriction] = &[
    restricts("AUTH_TYPE", When::Beyond(LOGINS), SIGNALLING, LOGIN.0, LOGIN.1),
    restricts("PROSODY_AUTH_TYPE", When::Beyond(LOGINS), XMPP, LOGIN.0, LOGIN.1),
    tokens("JWT_AUTH_TYPE", "token"),
    tokens("JWT_TOKEN_AUTH_MODULE", "token_verification"),
    directory("LDAP_AUTH_METHOD", When::Beyond(&["bind", "fastbind"])),
    directory("LDAP_VERSION", When::Not("3")),
    restricts(
        "PROSODY_GUEST_AUTH_TYPE",
        When::Not("jitsi-anonymous"),
        XMPP,
        "guests need no account here, and nothing else",
        "Gäste brauchen hier kein Konto, und auch nichts anderes",
    ),
    restricts(
        "JICOFO_ENABLE_AUTH",
        When::On,
        FOCUS,
        "only with ENABLE_AUTH does anybody log in, so that everybody could open a meeting",
        "nur mit ENABLE_AUTH meldet sich jemand an, so dass alle eine Besprechung öffnen könnten",
    ),
    restricts(
        "PROSODY_MODE",
        When::Not("client"),
        XMPP,
        "this server can only be the main one",
        "dieser Server kann nur der Hauptserver sein",
    ),
    modules("GLOBAL_MODULES", When::Set),
    modules("XMPP_MODULES", When::Beyond(prosody_server::config::MODULES)),
    modules("XMPP_MUC_MODULES", When::Beyond(prosody_server::config::MUC_MODULES)),
    modules("XMPP_INTERNAL_MUC_MODULES", When::Beyond(prosody_server::config::BESIDE_MODULES)),
    modules("XMPP_LOBBY_MUC_MODULES", When::Beyond(prosody_server::config::BESIDE_MODULES)),
    modules("XMPP_BREAKOUT_MUC_MODULES", When::Beyond(prosody_server::config::BESIDE_MODULES)),
    modules("XMPP_SPEAKERSTATS_MODULES", When::Set),
    lua("GLOBAL_CONFIG"),
    lua("XMPP_CONFIGURATION"),
    lua("XMPP_MUC_CONFIGURATION"),
    restricts(
        "JVB_DISABLE_XMPP",
        When::On,
        BRIDGE,
        "the bridge would be led over XMPP all the same",
        "die Bridge würde trotzdem über XMPP geführt",
    ),
];

/// What of a directory is done in one way alone.
const fn directory(name: &'static str, when: When) -> Restriction {
    restricts(
        name,
        when,
        XMPP,
        "a directory is asked by a bind, after a search or without one, in version 3 of LDAP",
        "ein Verzeichnis wird mit Bind gefragt, nach einer Suche oder ohne, in Version 3 von LDAP",
    )
}

/// What the environment holds that has no effect.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Names that mean nothing here.
    pub(crate) ignored: Vec<&'static str>,
    /// What is not there yet.
    pub(crate) missing: Vec<Missing>,
    /// What files of a Jitsi's admin say, and which of it may be without effect.
    pub(crate) custom: (Custom, Vec<String>),
}

/// A variable that is set and asks for something that is not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) name: &'static str,
    pub(crate) english: &'static str,
    pub(crate) german: &'static str,
}

impl Findings {
    /// Says what was found: one line for all that means nothing, one for each that is missing.
    pub(crate) fn log(&self) {
        if !self.ignored.is_empty() {
            tracing::info!("without effect here, see docs/admin/environment.md: {}", self.ignored.join(", "));
        }
        for Missing { name, english, .. } in &self.missing {
            tracing::warn!("{name} has no effect: {english}");
        }
        self.custom.0.log(&self.custom.1);
    }
}

/// All that is to be said about an environment.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Names of ours that are none, with the closest there is.
    pub(crate) unknown: Vec<(String, Option<String>)>,
    pub(crate) restrictions: Vec<Restricted>,
    pub(crate) findings: Findings,
}

/// A restricting variable that is set so that it restricts.
#[derive(Debug)]
pub(crate) struct Restricted {
    pub(crate) name: &'static str,
    pub(crate) english: &'static str,
    pub(crate) german: &'static str,
    /// What of a list is not there, with commas between.
    pub(crate) beyond: String,
    /// Whether the admin said that it may be missing.
    pub(crate) accepted: bool,
}

impl Restricted {
    /// The same in both languages, with what of a list is meant.
    pub(crate) fn reasons(&self) -> (String, String) {
        let (en, de) = (self.english, self.german);
        match self.beyond.as_str() {
            "" => (en.to_owned(), de.to_owned()),
            beyond => (format!("`{beyond}`: {en}"), format!("`{beyond}`: {de}")),
        }
    }
}

/// Looks at all names. `accepted`: restricting ones that the admin knows to be without effect.
pub(crate) fn survey<'a>(
    role: Role,
    names: impl Iterator<Item = &'a str>,
    value: &dyn Fn(&str) -> Option<String>,
    accepted: &[String],
) -> Survey {
    let mut survey = Survey::default();
    for name in names.filter(|n| n.starts_with("PLAUSCH_")) {
        let known = || SETTINGS.iter().flat_map(|s| s.env).copied().chain(["PLAUSCH_CONFIG"]);
        let file = || SETTINGS.iter().flat_map(service::options::secret::variables).any(|k| k == name);
        if !known().any(|k| k == name) && !DEVELOPMENT.contains(&name) && !file() {
            let hint = service::options::closest(name, known().filter(|k| k.starts_with("PLAUSCH_")));
            survey.unknown.push((name.to_owned(), hint));
        }
    }
    let set = |name: &str| value(name).filter(|v| !v.is_empty());
    let login = set("ENABLE_AUTH").is_some_and(|v| When::On.holds(&v));
    let kind = set("PROSODY_AUTH_TYPE").or_else(|| set("AUTH_TYPE"));
    let by = |wanted: &str| login && kind.as_deref() == Some(wanted);
    // What says how people log in means nothing where nobody does.
    let applies = |r: &Restriction| match r.name {
        "AUTH_TYPE" | "PROSODY_AUTH_TYPE" | "PROSODY_GUEST_AUTH_TYPE" => login,
        "JICOFO_ENABLE_AUTH" => !login,
        name if name.starts_with("JWT_") => by("jwt"),
        name if name.starts_with("LDAP_") => by("ldap"),
        _ => true,
    };
    for r in RESTRICTIONS.iter().filter(|r| r.roles.contains(&role) && applies(r)) {
        if let Some(value) = set(r.name).filter(|v| r.when.holds(v)) {
            let accepted = accepted.iter().any(|a| a == r.name);
            survey.restrictions.push(Restricted {
                name: r.name,
                english: r.english,
                german: r.german,
                beyond: r.when.beyond(&value),
                accepted,
            });
        }
    }
    for Entry { meaning, english, german, names } in UPSTREAM {
        for name in names.split_whitespace().filter(|n| set(n).is_some()) {
            match meaning {
                Meaning::Compose => {}
                Meaning::Always | Meaning::Later | Meaning::Nothing => survey.findings.ignored.push(name),
                Meaning::Missing => survey.findings.missing.push(Missing { name, english, german }),
            }
        }
    }
    survey
}

/// All names that mean something here, or are known not to.
#[cfg(test)]
pub(crate) fn known_names() -> Vec<&'static str> {
    let ours = SETTINGS.iter().flat_map(|s| s.env).copied();
    let upstream = UPSTREAM.iter().flat_map(|e| e.names.split_whitespace());
    ours.chain(upstream).chain(RESTRICTIONS.iter().map(|r| r.name)).collect()
}

/// The same for a start, which the first fault ends. `german`: the language of refusals.
pub(crate) fn check<'a>(
    role: Role,
    names: impl Iterator<Item = &'a str>,
    value: &dyn Fn(&str) -> Option<String>,
    accepted: &[String],
    german: bool,
) -> Result<Findings, StartError> {
    let survey = survey(role, names, value, accepted);
    if let Some((name, hint)) = survey.unknown.into_iter().next() {
        return Err(StartError::UnknownOption { name, origin: Origin::Environment, hint });
    }
    let known = |name: &str| RESTRICTIONS.iter().any(|r| r.name == name);
    // Keys and files of Jitsi's own are no variables; that one is not there any more is no fault.
    let variable = |name: &str| !name.contains(|c: char| c.is_ascii_lowercase());
    if let Some(name) = accepted.iter().find(|name| variable(name) && !known(name)) {
        let hint = service::options::closest(name, RESTRICTIONS.iter().map(|r| r.name));
        return Err(StartError::UnknownOption {
            name: service::options::shown(name),
            origin: Origin::Env("PLAUSCH_ACCEPT".into()),
            hint,
        });
    }
    if let Some(r) = survey.restrictions.iter().find(|r| !r.accepted) {
        let (english, german_reason) = r.reasons();
        let (reason, way) = if german { (german_reason, WAY_GERMAN) } else { (english, WAY_ENGLISH) };
        return Err(StartError::Restriction { name: r.name.to_owned(), text: format!("{reason}; {way}") });
    }
    Ok(survey.findings)
}

/// The environment as a role sees it. Containers of one compose file share an environment, and some variables in it are for one
/// of them alone.
pub(crate) fn seen_by(role: Role, env: &dyn Fn(&str) -> Option<String>) -> impl Fn(&str) -> Option<String> {
    let set = |name: &str| env(name).filter(|v| !v.is_empty());
    let own_server = role == Role::Videobridge && set("ENABLE_JVB_XMPP_SERVER").is_some_and(|v| is_yes(&v));
    move |name| match name {
        "HOSTNAME" => set(name).filter(|_| role == Role::Videobridge),
        "PROSODY_HTTP_PORT" => set(name).filter(|_| role == Role::Xmpp),
        _ => match BRIDGES_OWN.iter().find(|(n, _)| *n == name) {
            Some((_, usual)) => own_server.then(|| set(name).unwrap_or_else(|| (*usual).to_owned())),
            None => env(name),
        },
    }
}

/// What bridges with an XMPP server of their own have in place of the shared variables, and upstream's defaults.
const BRIDGES_OWN: [(&str, &str); 4] = [
    ("JVB_XMPP_SERVER", "xmpp.jvb.meet.jitsi"),
    ("JVB_XMPP_PORT", "6222"),
    ("JVB_XMPP_AUTH_DOMAIN", "auth.jvb.meet.jitsi"),
    ("JVB_XMPP_INTERNAL_MUC_DOMAIN", "muc.jvb.meet.jitsi"),
];

/// Whether the locale is a German one, by the order of POSIX.
pub(crate) fn is_german(value: &dyn Fn(&str) -> Option<String>) -> bool {
    ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .find_map(|n| value(n).filter(|v| !v.is_empty()))
        .is_some_and(|v| v.starts_with("de"))
}

const WAY_ENGLISH: &str =
    "remove it, or name it in PLAUSCH_ACCEPT if meetings may go without (docs/admin/environment.md)";
const WAY_GERMAN: &str =
    "entfernen, oder in PLAUSCH_ACCEPT nennen, wenn es ohne gehen darf (docs/admin/environment.md)";

/// Names of the project's own tools, which start this program with their environment.
const DEVELOPMENT: &[&str] = &["PLAUSCH_BIN", "PLAUSCH_BLESS", "PLAUSCH_TEST_NAMESPACE"];

#[cfg(test)]
mod tests;
