//! What somebody types behind `prosodyctl shell` in, as words or as calls; what it means here, or why it means nothing, out.
//!
//! ```text
//! muc list muc.meet.jitsi
//! muc:list("muc.meet.jitsi")
//! muc:room("rathaus@muc.meet.jitsi"):set_affiliation("anna@meet.jitsi", "owner")
//! ```

use prosody_server::{Asked, ModuleChange};

use crate::words::{Words, words};

/// What it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verb {
    /// For the XMPP server.
    Xmpp(Asked),
    /// Which program this is.
    Version,
    /// Since when it runs.
    Uptime,
    /// It ends.
    Shutdown,
    /// The configuration is read again.
    Reload,
}

/// Calls as words; what are words already stays.
pub(crate) fn words_of(typed: &[&str]) -> Vec<String> {
    let line = match typed {
        [one] if one.contains(['(', ':', ' ']) => one,
        // Upstream's tool puts what it was given behind each other, too.
        all if all.iter().any(|w| w.contains('(')) => return calls(&all.join(" ")),
        all => return all.iter().map(|w| (*w).to_owned()).collect(),
    };
    match line.contains(['(', ':']) {
        true => calls(line),
        false => line.split_whitespace().map(str::to_owned).collect(),
    }
}

/// `a:b("c", "d"):e()` as `a b c d e`.
fn calls(line: &str) -> Vec<String> {
    let mut all = Vec::new();
    let (mut word, mut quote, mut inside) = (String::new(), None, false);
    let mut end = |word: &mut String| {
        if !word.is_empty() {
            all.push(std::mem::take(word));
        }
    };
    for c in line.trim().chars() {
        match (c, quote) {
            (c, Some(q)) if c == q => {
                quote = None;
                end(&mut word);
            }
            (c, Some(_)) => word.push(c),
            ('"' | '\'', None) => quote = Some(c),
            ('(', None) => {
                inside = true;
                end(&mut word);
            }
            (')', None) => {
                inside = false;
                end(&mut word);
            }
            (':', None) if !inside => end(&mut word),
            (',', None) => end(&mut word),
            (c, None) if c.is_whitespace() => end(&mut word),
            (c, None) => word.push(c),
        }
    }
    end(&mut word);
    all
}

/// Reads it.
pub(crate) fn read(words: &[&str]) -> Result<Verb, Words> {
    let own = |word: &str| word.to_owned();
    let some = |word: &str| Some(word.to_owned());
    let asked = match *words {
        ["muc", "list", host] => Asked::Rooms(own(host)),
        ["muc", "room", room] => Asked::Room(own(room)),
        ["muc", "create", room] => Asked::Create(own(room)),
        ["muc", "occupants", room] | ["muc", "room", room, "occupants"] => Asked::Occupants(own(room)),
        ["muc", "affiliations", room] | ["muc", "room", room, "affiliations"] => {
            Asked::Affiliations(own(room), None)
        }
        ["muc", "room", room, "get_affiliation", account] => Asked::Affiliations(own(room), some(account)),
        ["muc", "room", room, "set_affiliation", account, affiliation]
        // Upstream's call has the actor first, `true` for the server.
        | ["muc", "room", room, "set_affiliation", "true", account, affiliation]
        // As Prosody 13 has it; there may be a reason behind it, which nobody is told.
        | ["muc", "affiliation", room, account, affiliation]
        | ["muc", "affiliation", room, account, affiliation, _] => {
            Asked::Affiliate(own(room), own(account), own(affiliation))
        }
        ["muc", "affiliation", room, account] => Asked::Affiliations(own(room), some(account)),
        ["muc", "room", room, "destroy"] => Asked::Destroy(own(room)),
        ["c2s", "show"] => Asked::Sessions(None),
        ["c2s", "show", part] => Asked::Sessions(some(part)),
        ["c2s", "count"] => Asked::Count,
        ["c2s", "close", address] => Asked::Close(own(address)),
        ["c2s", "closeall"] => Asked::CloseAll(None),
        ["c2s", "closeall", host] => Asked::CloseAll(some(host)),
        ["host", "list"] => Asked::Hosts,
        ["module", "list"] => Asked::Modules(None),
        ["module", "list", host] => Asked::Modules(some(host)),
        ["module", verb @ ("load" | "unload" | "reload"), module, host] => {
            let change = match verb {
                "load" => ModuleChange::Load,
                "unload" => ModuleChange::Unload,
                _ => ModuleChange::Reload,
            };
            Asked::Change(change, own(module), own(host))
        }
        ["server", "version"] => return Ok(Verb::Version),
        ["server", "uptime"] => return Ok(Verb::Uptime),
        ["server", "shutdown", ..] => return Ok(Verb::Shutdown),
        ["config", "reload"] => return Ok(Verb::Reload),
        _ => return Err(refused(words)),
    };
    Ok(Verb::Xmpp(asked))
}

fn refused(words: &[&str]) -> Words {
    match *words {
        ["host", "activate" | "deactivate", ..] => words!(
            "hosts are those of the configuration: write or remove it there, then `prosodyctl reload`",
            "Hosts sind die der Konfiguration: dort eintragen oder streichen, dann `prosodyctl reload`"
        ),
        ["module", "load" | "unload", _] => {
            words!("name the host, too: module load NAME HOST", "auch den Host nennen: module load NAME HOST")
        }
        ["muc", "role", ..] => words!(
            "a role is what an affiliation makes of somebody: muc affiliation ROOM ACCOUNT owner|member|none; c2s close ADDRESS ends a session, of which muc occupants ROOM shows the address",
            "eine Rolle ist, was eine Zugehörigkeit aus jemandem macht: muc affiliation RAUM KONTO owner|member|none; c2s close ADRESSE beendet eine Sitzung, deren Adresse muc occupants RAUM zeigt"
        ),
        ["muc", "occupants" | "affiliations", _, _] => words!(
            "all are shown: leave the last word out, and look for it in what is shown",
            "es werden alle gezeigt: das letzte Wort weglassen und in der Ausgabe danach suchen"
        ),
        ["muc", "size", ..] | ["muc", "room", _, "get_size" | "size"] => words!(
            "muc occupants ROOM counts who is in it, and muc list HOST the rooms",
            "muc occupants RAUM zählt, wer darin ist, und muc list HOST die Räume"
        ),
        ["muc", "create", _, ..] => words!(
            "a room begins as all do: muc create ROOM; owners change its settings in the app",
            "ein Raum beginnt wie alle: muc create RAUM; seine Einstellungen ändern Besitzende in der App"
        ),
        ["muc", "room", _, _, ..] => words!(
            "of a room there are occupants, affiliations, get_affiliation, set_affiliation and destroy; password, subject and the like are for its moderators in the app, and muc room ROOM shows what it is like",
            "von einem Raum gibt es occupants, affiliations, get_affiliation, set_affiliation und destroy; Passwort, Thema und dergleichen stellen seine Moderierenden in der App ein, und muc room RAUM zeigt, wie er ist"
        ),
        ["s2s", ..] => {
            words!("no other servers are spoken to here", "mit anderen Servern wird hier nicht gesprochen")
        }
        _ => words!("this is not there here; there is\n{HELP}", "das gibt es hier nicht; es gibt\n{HELP}"),
    }
}

pub(crate) const HELP: &str = "\
prosodyctl shell muc list HOST
prosodyctl shell muc create|room|occupants|affiliations ROOM
prosodyctl shell muc room ROOM set_affiliation ACCOUNT owner|admin|member|none|outcast
prosodyctl shell muc affiliation ROOM ACCOUNT [owner|admin|member|none|outcast]
prosodyctl shell muc room ROOM get_affiliation ACCOUNT
prosodyctl shell muc room ROOM destroy
prosodyctl shell c2s show [PART]
prosodyctl shell c2s count
prosodyctl shell c2s close ACCOUNT
prosodyctl shell c2s closeall [HOST]
prosodyctl shell host list
prosodyctl shell module list [HOST]
prosodyctl shell module load|unload|reload NAME HOST
prosodyctl shell server version|uptime|shutdown
prosodyctl shell config reload";

#[cfg(test)]
mod tests {
    use super::*;

    fn of(typed: &[&str]) -> Result<Verb, Words> {
        let words = words_of(typed);
        read(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[test]
    fn calls_and_words_mean_the_same() {
        let room = || "rathaus@muc.meet.jitsi".to_owned();
        for typed in [
            &["muc", "list", "muc.meet.jitsi"][..],
            &["muc:list(\"muc.meet.jitsi\")"],
            &["muc:list('muc.meet.jitsi')"],
            &["muc:list( \"muc.meet.jitsi\" )"],
            &["muc list muc.meet.jitsi"],
        ] {
            assert_eq!(of(typed), Ok(Verb::Xmpp(Asked::Rooms("muc.meet.jitsi".into()))), "{typed:?}");
        }
        let set = Verb::Xmpp(Asked::Affiliate(room(), "anna@meet.jitsi".into(), "owner".into()));
        for call in [
            "muc:room(\"rathaus@muc.meet.jitsi\"):set_affiliation(\"anna@meet.jitsi\", \"owner\")",
            "muc:room(\"rathaus@muc.meet.jitsi\"):set_affiliation(true, \"anna@meet.jitsi\",\"owner\")",
            "muc:affiliation(\"rathaus@muc.meet.jitsi\", \"anna@meet.jitsi\", \"owner\")",
            "muc:affiliation(\"rathaus@muc.meet.jitsi\", \"anna@meet.jitsi\", \"owner\", \"she chairs it\")",
        ] {
            assert_eq!(of(&[call]), Ok(set.clone()));
        }
        let get = Verb::Xmpp(Asked::Affiliations(room(), Some("anna@meet.jitsi".into())));
        assert_eq!(of(&["muc:affiliation(\"rathaus@muc.meet.jitsi\", \"anna@meet.jitsi\")"]), Ok(get));
        assert_eq!(of(&["muc:room(\"rathaus@muc.meet.jitsi\")"]), Ok(Verb::Xmpp(Asked::Room(room()))));
        assert_eq!(
            of(&["c2s:close(\"anna@meet.jitsi/x:y z\")"]),
            Ok(Verb::Xmpp(Asked::Close("anna@meet.jitsi/x:y z".into())))
        );
        for (call, verb) in [
            ("server:version()", Verb::Version),
            ("server:uptime()", Verb::Uptime),
            ("server:shutdown()", Verb::Shutdown),
            ("config:reload()", Verb::Reload),
            ("c2s:count()", Verb::Xmpp(Asked::Count)),
            ("host:list()", Verb::Xmpp(Asked::Hosts)),
            ("module:list()", Verb::Xmpp(Asked::Modules(None))),
        ] {
            assert_eq!(of(&[call]), Ok(verb), "{call}");
        }
        assert_eq!(
            of(&["module", "unload", "muc_allowners", "muc.meet.jitsi"]),
            Ok(Verb::Xmpp(Asked::Change(
                ModuleChange::Unload,
                "muc_allowners".into(),
                "muc.meet.jitsi".into()
            )))
        );
    }

    #[test]
    fn what_means_nothing_says_what_does() {
        for (typed, says) in [
            (&["muc", "lst"][..], "prosodyctl shell muc list"),
            (&["host:activate(\"x.example\")"], "reload"),
            (&["module", "load", "muc_quota"], "HOST"),
            (&["s2s:show()"], "other servers"),
            (&["muc:room(\"a@b\"):set_affiliation(\"x\")"], "set_affiliation"),
            (&["muc:role(\"a@b\", \"anna\", \"none\")"], "c2s close"),
            (&["muc:occupants(\"a@b\", \"moderator\")"], "leave the last word out"),
            (&["muc:affiliations(\"a@b\", \"owner\")"], "leave the last word out"),
            (&["muc:size(\"a@b\")"], "muc occupants ROOM"),
            (&["muc:create(\"a@b\", { persistent = true })"], "muc create ROOM"),
            (&["muc:room(\"a@b\"):set_password(\"x\")"], "in the app"),
            (&["\"unfinished"], "prosodyctl shell"),
            (&[], "prosodyctl shell"),
        ] {
            assert!(of(typed).unwrap_err().en.contains(says), "{typed:?}");
        }
    }
}
