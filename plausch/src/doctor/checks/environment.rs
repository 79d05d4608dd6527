//! Configuration file and environment: what is not understood, without effect, wired wrong by upstream or dangerous, out.

use service::Kind;
use service::options::{is_no, is_yes, secret};

use super::super::facts::Facts;
use super::Finding;
use crate::options::SETTINGS;
use crate::options::environment::{self, Missing, Survey};
use crate::words::{Words, listed, words};

pub(super) fn options(facts: &Facts) -> Vec<Finding> {
    match &facts.plan {
        Ok(_) => {
            let from = match &facts.file {
                Some(path) => {
                    let path = path.display();
                    words!(
                        "the options are understood, those of {path} too",
                        "die Optionen sind verständlich, auch die aus {path}"
                    )
                }
                None => words!(
                    "the options are understood; there is no configuration file",
                    "die Optionen sind verständlich; eine Konfigurationsdatei gibt es nicht"
                ),
            };
            vec![Finding::green(from)]
        }
        Err(line) => vec![Finding::red(
            words!("a start would end with: {line}", "ein Start würde so enden: {line}"),
            words!(
                "mend this one first; what depends on it is not judged below",
                "zuerst das beheben; was davon abhängt, ist unten nicht beurteilt"
            ),
        )],
    }
}

fn survey(facts: &Facts) -> Survey {
    let value = |name: &str| facts.variables.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    environment::survey(facts.role, facts.variables.iter().map(|(n, _)| n.as_str()), &value, &facts.accepted)
}

pub(crate) fn names(facts: &Facts) -> Vec<Finding> {
    let mut found: Vec<Finding> = survey(facts)
        .unknown
        .into_iter()
        .map(|(name, hint)| {
            let todo = match hint {
                Some(hint) => words!("did you mean {hint}?", "war {hint} gemeint?"),
                None => words!(
                    "remove it; `plausch sample-config` lists all",
                    "entfernen; `plausch sample-config` zeigt alle"
                ),
            };
            Finding::red(words!("nobody knows {name}", "{name} kennt niemand"), todo)
        })
        .collect();
    if !facts.odd.lines.is_empty() {
        let lines: Vec<String> = facts.odd.lines.iter().map(usize::to_string).collect();
        let lines = listed(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        found.push(Finding::yellow(
            words!(
                "lines of the .env file that mean nothing: {lines}",
                "Zeilen der .env-Datei, die nichts bedeuten: {lines}"
            ),
            words!("write NAME=value", "NAME=Wert schreiben"),
        ));
    }
    for name in &facts.odd.references {
        found.push(Finding::yellow(
            words!(
                "{name}: docker compose puts another variable, or nothing, in place of what begins with `$`; here it stands as written",
                "{name}: docker compose setzt eine andere Variable, oder nichts, an die Stelle dessen, was mit `$` beginnt; hier gilt es, wie es dasteht"
            ),
            words!(
                "if the `$` belongs to the value, write {name}='…'; otherwise write the value itself",
                "gehört das `$` zum Wert, {name}='…' schreiben, sonst den Wert selbst"
            ),
        ));
    }
    if found.is_empty() {
        found.push(Finding::green(words!(
            "no name of ours is misspelt",
            "kein Name von uns ist verschrieben"
        )));
    }
    found
}

pub(crate) fn restrictions(facts: &Facts) -> Vec<Finding> {
    let survey = survey(facts);
    let mut found = Vec::new();
    for r in &survey.restrictions {
        let name = r.name;
        let (en, de) = r.reasons();
        let says = words!("{name}: {en}", "{name}: {de}");
        if r.accepted {
            found.push(Finding::yellow(
                says,
                words!(
                    "accepted with PLAUSCH_ACCEPT; meetings go without it",
                    "mit PLAUSCH_ACCEPT hingenommen; Besprechungen gehen ohne"
                ),
            ));
        } else {
            found.push(Finding::red(
                says,
                words!(
                    "remove it, or name it in PLAUSCH_ACCEPT (start.accept) if meetings may go without",
                    "entfernen, oder in PLAUSCH_ACCEPT (start.accept) nennen, wenn es ohne gehen darf"
                ),
            ));
        }
    }
    if found.is_empty() {
        found.push(Finding::green(words!(
            "nothing that keeps people out is lost",
            "nichts, was Leute draußen hält, geht verloren"
        )));
    }
    found
}

/// `custom-jvb.conf` and the like (docs/admin/environment.md).
pub(crate) fn custom(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    for r in &facts.custom.restrictions {
        let (place, en, de, name) = (&r.place, &r.why.en, &r.why.de, &r.name);
        let says = words!("{place}: {en}", "{place}: {de}");
        found.push(if facts.accepted.contains(name) {
            Finding::yellow(
                says,
                words!(
                    "accepted with PLAUSCH_ACCEPT; meetings go without it",
                    "mit PLAUSCH_ACCEPT hingenommen; Besprechungen gehen ohne"
                ),
            )
        } else {
            Finding::red(
                says,
                words!(
                    "remove it there, or name `{name}` in PLAUSCH_ACCEPT (start.accept) if meetings may go without",
                    "dort entfernen, oder `{name}` in PLAUSCH_ACCEPT (start.accept) nennen, wenn es ohne gehen darf"
                ),
            )
        });
    }
    for place in &facts.custom.useless {
        found.push(Finding::yellow(
            words!("{place} has no effect", "{place} hat keine Wirkung"),
            words!(
                "nothing to do, unless you need it (docs/not-yet.md)",
                "nichts zu tun, außer es wird gebraucht (docs/not-yet.md)"
            ),
        ));
    }
    for s in &facts.custom.said {
        let (place, name) = (&s.place, s.name);
        found.push(Finding::green(words!("{place} is heeded, as {name}", "{place} gilt, wie {name}")));
    }
    if found.is_empty() {
        found.push(Finding::green(words!("there are none", "es gibt keine")));
    }
    found
}

pub(crate) fn ignored(facts: &Facts) -> Vec<Finding> {
    let survey = survey(facts);
    let mut found: Vec<Finding> = survey
        .findings
        .missing
        .iter()
        .map(|Missing { name, english, german }| {
            Finding::yellow(
                words!("{name} has no effect: {english}", "{name} hat keine Wirkung: {german}"),
                words!(
                    "nothing to do, unless you need it (docs/not-yet.md)",
                    "nichts zu tun, außer es wird gebraucht (docs/not-yet.md)"
                ),
            )
        })
        .collect();
    if !survey.findings.ignored.is_empty() {
        let names = listed(&survey.findings.ignored);
        found.push(Finding::green(words!(
            "mean nothing here, and nothing is lost: {names}",
            "bedeuten hier nichts, und nichts fehlt: {names}"
        )));
    }
    found
}

/// Words that look like a yes or a no and are something else to upstream, which takes every other text for yes.
pub(crate) fn values(facts: &Facts) -> Vec<Finding> {
    let switch = |name: &str| {
        let ours = SETTINGS.iter().any(|s| s.kind == Kind::Bool && s.env.contains(&name));
        let looks = |prefix: &str| {
            name.strip_prefix("JICOFO_")
                .or_else(|| name.strip_prefix("JVB_"))
                .or_else(|| name.strip_prefix("PROSODY_"))
                .unwrap_or(name)
                .starts_with(prefix)
        };
        (ours, ours || looks("ENABLE_") || looks("DISABLE_"))
    };
    let mut found = Vec::new();
    for (name, value) in facts.variables.iter().filter(|(_, v)| !v.is_empty()) {
        let (ours, is_switch) = switch(name);
        if !is_switch || is_no(value) || is_yes(value) {
            continue;
        }
        let says = words!(
            "{name} is neither yes nor no; docker-jitsi-meet takes every such word for yes, `no` and `off` too",
            "{name} ist weder Ja noch Nein; docker-jitsi-meet nimmt jedes solche Wort für Ja, auch `no` und `off`"
        );
        let todo = words!("write {name}=1 or {name}=0", "{name}=1 oder {name}=0 schreiben");
        found.push(if ours { Finding::red(says, todo) } else { Finding::yellow(says, todo) });
    }
    // Shell scripts of upstream's compare these with the number one.
    for name in ["ENABLE_LETSENCRYPT", "DISABLE_HTTPS", "LETSENCRYPT_USE_STAGING"] {
        let value = facts.variables.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        if value.is_some_and(|v| is_yes(v) && v.trim_matches(['"', '\'']) != "1") {
            found.push(Finding::yellow(
                words!(
                    "{name} works in docker-jitsi-meet as 1 only",
                    "{name} wirkt in docker-jitsi-meet nur als 1"
                ),
                words!(
                    "write {name}=1, so that both read the same",
                    "{name}=1 schreiben, damit beide dasselbe lesen"
                ),
            ));
        }
    }
    let is = |name: &str, wrong: fn(&str) -> bool| {
        facts.variables.iter().any(|(n, v)| n == name && !v.is_empty() && wrong(v))
    };
    if is("JWT_APP_SECRET", is_no) {
        found.push(Finding::yellow(
            words!(
                "JWT_APP_SECRET looks like a no: docker-jitsi-meet then has no secret",
                "JWT_APP_SECRET sieht wie ein Nein aus: docker-jitsi-meet hat dann kein Geheimnis"
            ),
            words!("choose another secret", "ein anderes Geheimnis wählen"),
        ));
    }
    for s in SETTINGS.iter().filter(|s| s.kind == Kind::List) {
        for name in s.env.iter().filter(|n| is(n, |v| v.contains(", ") || v.contains(" ,"))) {
            found.push(Finding::yellow(
                words!(
                    "{name} has spaces between its items, which docker-jitsi-meet takes for parts of them",
                    "{name} hat Leerzeichen zwischen seinen Teilen, die docker-jitsi-meet für Teile davon hält"
                ),
                words!("write commas alone", "nur Kommas schreiben"),
            ));
        }
    }
    if found.is_empty() {
        found.push(Finding::green(words!("yes and no are clear", "Ja und Nein sind klar")));
    }
    found
}

/// Names that docker-jitsi-meet's compose file passes to a container that does not read them, or not at all: names, and what
/// comes of it (deployment §7.3).
const WIRING: &[(&str, &str, &str)] = &[
    (
        "ENABLE_VLA BWE_ESTIMATOR_ENGINE",
        "reaches the web container only, never focus or bridge",
        "kommt nur beim Web-Container an, nie bei Fokus oder Bridge",
    ),
    ("AUTOSCALER_URL", "is not passed to the bridge", "wird der Bridge nicht übergeben"),
    (
        "VISITORS_XMPP_PORT",
        "is not passed to the focus, which counts up from 52220",
        "wird dem Fokus nicht übergeben, der ab 52220 zählt",
    ),
    (
        "JIBRI_SIP_BREWERY_MUC",
        "is passed to Prosody, but Jicofo would read it",
        "wird Prosody übergeben, lesen würde es Jicofo",
    ),
    (
        "JIGASI_TRUSTED_DOMAINS",
        "is passed to Jicofo, but Jigasi would read it",
        "wird Jicofo übergeben, lesen würde es Jigasi",
    ),
    (
        "ENABLE_SUBDOMAINS",
        "is not passed to Prosody: off, it changes the web container alone",
        "wird Prosody nicht übergeben: aus ändert es nur den Web-Container",
    ),
    (
        "ENABLE_S2S",
        "is passed, but PROSODY_ENABLE_S2S is read",
        "wird übergeben, gelesen wird aber PROSODY_ENABLE_S2S",
    ),
    (
        "CODEC_ORDER_P2P CODEC_ORDER_P2P_MOBILE",
        "is replaced by the order for the bridge",
        "wird durch die Reihenfolge für die Bridge ersetzt",
    ),
    (
        "ENABLE_LOCAL_RECORDING_SELF_START",
        "does the opposite of its name",
        "bewirkt das Gegenteil seines Namens",
    ),
    ("JICOFO_ENABLE_MID", "is not passed and forced to no", "wird nicht übergeben und auf Nein gezwungen"),
    ("WHITEBOARD_ENABLED", "is read by nobody; the URLs decide", "liest niemand; die URLs entscheiden"),
    (
        "ENABLE_VIRTUAL_BACKGROUND_V2 JICOFO_LOG_FILE JICOFO_VISITORS_REQUIRE_MUC_CONFIG JWT_ACCEPTED_ALLOWNER_ISSUERS \
         PROSODY_LIMIT_MESSAGES_CHECK_TOKEN PROSODY_REGION_NAME RELEASE_NUMBER SHARD ROOM_PASSWORD_DIGITS WEB_CONFIG_PREFIX \
         JAAS_APP_ID JIGASI_INSTANCE_ID XMPP_ENV_NAME",
        "is passed to no container; it needs an override file",
        "wird keinem Container übergeben; es braucht eine Override-Datei",
    ),
];

pub(crate) fn wiring(facts: &Facts) -> Vec<Finding> {
    let set = |name: &str| facts.variables.iter().any(|(n, v)| n == name && !v.is_empty());
    let mut found = Vec::new();
    for (names, en, de) in WIRING {
        for name in names.split_whitespace().filter(|n| set(n)) {
            found.push(Finding::yellow(
                words!(
                    "{name}: with docker-jitsi-meet's compose file it {en}",
                    "{name}: mit der Compose-Datei von docker-jitsi-meet gilt: es {de}"
                ),
                words!("do not rely on it", "sich nicht darauf verlassen"),
            ));
        }
    }
    for (name, _) in facts.variables.iter().filter(|(_, v)| !v.is_empty()) {
        if name.starts_with("VIDEOQUALITY_BITRATE_") {
            found.push(Finding::yellow(
                words!(
                    "{name} is written where no client reads it",
                    "{name} wird dorthin geschrieben, wo kein Client es liest"
                ),
                words!("set the bitrates in custom-config.js", "die Bitraten in custom-config.js setzen"),
            ));
        } else if SETTINGS.iter().flat_map(secret::variables).any(|n| n == *name) {
            found.push(Finding::yellow(
                words!(
                    "{name}: docker-jitsi-meet's compose file hands it to no container",
                    "{name}: die Compose-Datei von docker-jitsi-meet reicht es an keinen Container weiter"
                ),
                words!(
                    "with that file, add it in an override file",
                    "mit jener Datei in einer Override-Datei ergänzen"
                ),
            ));
        }
    }
    if facts.variables.iter().any(|(n, v)| n == "PROSODY_MODE" && !["", "client"].contains(&v.as_str())) {
        found.push(Finding::yellow(
            words!(
                "PROSODY_MODE: docker-jitsi-meet's compose file does not tell such a Prosody XMPP_SERVER, JVB_XMPP_… and JVB_BREWERY_MUC",
                "PROSODY_MODE: die Compose-Datei von docker-jitsi-meet sagt einem solchen Prosody XMPP_SERVER, JVB_XMPP_… und JVB_BREWERY_MUC nicht"
            ),
            words!("add them in an override file", "in einer Override-Datei ergänzen"),
        ));
    }
    if set("JVB_DISABLE_XMPP") && !set("JVB_AUTH_PASSWORD") {
        found.push(Finding::yellow(
            words!(
                "JVB_DISABLE_XMPP is set, so that docker-jitsi-meet starts without JVB_AUTH_PASSWORD, whatever its value",
                "JVB_DISABLE_XMPP ist gesetzt, und docker-jitsi-meet startet dann ohne JVB_AUTH_PASSWORD, gleich mit welchem Wert"
            ),
            words!("set JVB_AUTH_PASSWORD (bridge.password)", "JVB_AUTH_PASSWORD (bridge.password) setzen"),
        ));
    }
    if set("ENABLE_SCTP") && facts.variables.iter().any(|(n, v)| n == "ENABLE_SCTP" && is_no(v)) {
        found.push(Finding::yellow(
            words!(
                "ENABLE_SCTP=0 is gone from newer releases; data channels are on",
                "ENABLE_SCTP=0 gibt es in neueren Versionen nicht mehr; Datenkanäle sind an"
            ),
            Words::same("JVB_PREFER_SCTP=0 (client.prefer_sctp)"),
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::tests::healthy;
    use super::super::Level::{self, Green, Red, Yellow};
    use super::super::tests::judged;
    use super::*;

    fn says(judge: fn(&Facts) -> Vec<Finding>, env: &[(&str, &str)], level: Level, word: &str) {
        let mut facts = healthy();
        facts.variables = env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let (got, said) = judged(judge, &facts);
        assert_eq!(got, level, "{env:?}: {said}");
        assert!(said.contains(word), "{said}");
    }

    #[test]
    fn options_that_end_a_start_are_red_with_its_line() {
        let mut facts = healthy();
        facts.plan = Err("option `http.listen` from the command line: nonsense".into());
        let (level, said) = judged(options, &facts);
        assert!(level == Red && said.contains("http.listen"), "{said}");
        facts = healthy();
        facts.file = None;
        assert_eq!(judged(options, &facts).0, Green);
    }

    #[test]
    fn all_unknown_names_are_said_with_the_closest() {
        says(names, &[("PLAUSCH_HTPP", "1"), ("PLAUSCH_WUB", "x"), ("TZ", "x")], Red, "PLAUSCH_HTTP?");
        says(
            names,
            &[("PLAUSCH_HTPP", "1"), ("PLAUSCH_NOTHING_LIKE_IT", "x")],
            Red,
            "PLAUSCH_NOTHING_LIKE_IT",
        );
        says(names, &[("PLAUSCH_HTTP", "8000"), ("OTHER", "x")], Green, "");
        let mut facts = healthy();
        facts.odd.lines = vec![3, 7];
        let (level, said) = judged(names, &facts);
        assert!(level == Yellow && said.contains("3, 7"), "{said}");
        let mut facts = healthy();
        facts.odd.references = vec!["JVB_AUTH_PASSWORD".into()];
        let (level, said) = judged(names, &facts);
        assert!(level == Yellow && said.contains("JVB_AUTH_PASSWORD='…'"), "{said}");
    }

    #[test]
    fn what_keeps_people_out_is_red_and_yellow_when_accepted() {
        says(restrictions, &[("PROSODY_MODE", "x"), ("XMPP_MUC_MODULES", "x")], Red, "XMPP_MUC_MODULES");
        says(restrictions, &[("ENABLE_AUTH", "1"), ("AUTH_TYPE", "matrix")], Red, "AUTH_TYPE");
        says(restrictions, &[("ENABLE_AUTH", "0"), ("AUTH_TYPE", "matrix")], Green, "");
        let mut facts = healthy();
        facts.variables = vec![("XMPP_MUC_MODULES".into(), "x".into())];
        facts.accepted = vec!["XMPP_MUC_MODULES".into()];
        assert_eq!(judged(restrictions, &facts).0, Yellow);
    }

    #[test]
    fn what_does_nothing_is_yellow_when_it_is_missing_and_green_when_nothing_is_lost() {
        says(
            ignored,
            &[("JIBRI_SIP_BREWERY_MUC", "x"), ("TZ", "Europe/Berlin")],
            Yellow,
            "JIBRI_SIP_BREWERY_MUC",
        );
        says(ignored, &[("TZ", "Europe/Berlin")], Green, "TZ");
    }

    #[test]
    fn no_means_yes_to_upstream_and_is_said() {
        says(values, &[("ENABLE_P2P", "no")], Red, "ENABLE_P2P=0");
        says(values, &[("ENABLE_FILE_SHARING", "off")], Yellow, "ENABLE_FILE_SHARING=0");
        says(values, &[("ENABLE_RECORDING", "nein")], Red, "ENABLE_RECORDING");
        says(values, &[("ENABLE_LETSENCRYPT", "true")], Yellow, "ENABLE_LETSENCRYPT=1");
        says(values, &[("JWT_APP_SECRET", "false")], Yellow, "JWT_APP_SECRET");
        says(values, &[("JVB_ADVERTISE_IPS", "192.0.2.1, 192.0.2.2")], Yellow, "JVB_ADVERTISE_IPS");
        says(
            values,
            &[("ENABLE_P2P", "0"), ("ENABLE_LETSENCRYPT", "1"), ("DISABLE_POLLS", "true"), ("TZ", "no")],
            Green,
            "",
        );
    }

    #[test]
    fn upstream_s_wiring_faults_are_said_when_somebody_relies_on_them() {
        for (names, ..) in WIRING {
            for name in names.split_whitespace() {
                says(wiring, &[(name, "1")], Yellow, name);
            }
        }
        says(wiring, &[("JVB_DISABLE_XMPP", "0")], Yellow, "JVB_AUTH_PASSWORD");
        says(wiring, &[("VIDEOQUALITY_BITRATE_VP8_LOW", "1")], Yellow, "VIDEOQUALITY_BITRATE_VP8_LOW");
        says(wiring, &[("PROSODY_MODE", "visitors")], Yellow, "JVB_BREWERY_MUC");
        says(wiring, &[("TURN_CREDENTIALS_FILE", "/x")], Yellow, "TURN_CREDENTIALS_FILE");
        says(
            wiring,
            &[("JVB_DISABLE_XMPP", "0"), ("JVB_AUTH_PASSWORD", "x"), ("ENABLE_SCTP", "1")],
            Green,
            "",
        );
        says(wiring, &[("ENABLE_SCTP", "0")], Yellow, "JVB_PREFER_SCTP");
    }
}
