//! What the test-call page measured, as JSON, in; a checked report of closed words and numbers, and what a helpdesk reads of it, out.
//!
//! Nothing that somebody could write a name into is kept: each text is one of ours, each number has a range.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::limits::FINDINGS;
use crate::words::Language;

/// How bad something is; the worst of a report is its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Good,
    Fair,
    Poor,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Fair => "fair",
            Self::Poor => "poor",
        }
    }
}

/// A line of the page's verdict, and the same for whoever runs the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// As `plausch/web/verdict.js` calls it.
    pub(crate) name: &'static str,
    level: Level,
    en: &'static str,
    de: &'static str,
}

/// How media travelled, from the person's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Path {
    kind: &'static (&'static str, &'static str, &'static str),
    transport: &'static (&'static str, &'static str),
    family: &'static str,
}

/// One test, without a word about who made it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    findings: Vec<&'static Finding>,
    path: Option<Path>,
    rtt_ms: Option<u16>,
    /// Shares of a thousand, from the person and to the person.
    lost: Option<(u16, u16)>,
}

impl Report {
    /// Reads what the page sent. `None` is nothing that our page says.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let json: Value = serde_json::from_str(text).ok()?;
        let found = json.get("found")?.as_array()?;
        if found.is_empty() || found.len() > FINDINGS {
            return None;
        }
        let named = |v: &Value| KNOWN.iter().find(|k| Some(k.name) == v.as_str());
        let findings = found.iter().map(named).collect::<Option<Vec<_>>>()?;
        let path = match json.get("path") {
            None | Some(Value::Null) => None,
            Some(path) => Some(Path::parse(path)?),
        };
        let rtt_ms = match json.get("rtt") {
            None | Some(Value::Null) => None,
            Some(n) => Some(number(n, 1.0)?),
        };
        let lost = match (json.get("lossUp"), json.get("lossDown")) {
            (Some(up), Some(down)) => Some((share(up)?, share(down)?)),
            _ => None,
        };
        Some(Self { findings, path, rtt_ms, lost })
    }

    pub(crate) fn level(&self) -> Level {
        self.findings.iter().map(|f| f.level).max().unwrap_or(Level::Good)
    }

    /// For programs. `age` in seconds: a clock is nobody's business here.
    pub(crate) fn json(&self, age: u64) -> Value {
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|f| json!({ "name": f.name, "level": f.level.name(), "en": f.en, "de": f.de }))
            .collect();
        let path =
            self.path.map(|p| json!({ "type": p.kind.0, "transport": p.transport.0, "family": p.family }));
        json!({
            "age_seconds": age,
            "verdict": self.level().name(),
            "findings": findings,
            "path": path,
            "rtt_ms": self.rtt_ms,
            "loss_up": self.lost.map(|l| f64::from(l.0) / 1000.0),
            "loss_down": self.lost.map(|l| f64::from(l.1) / 1000.0),
        })
    }
}

impl Path {
    fn parse(json: &Value) -> Option<Self> {
        let text = |key: &str| json.get(key).and_then(Value::as_str);
        let kind = KINDS.iter().find(|k| Some(k.0) == text("type"))?;
        let transport = TRANSPORTS.iter().find(|t| Some(t.0) == text("protocol"))?;
        let family = ["IPv4", "IPv6"].into_iter().find(|f| Some(*f) == text("family"))?;
        Some(Self { kind, transport, family })
    }
}

/// The lines that a helpdesk reads, from the answer of the admin's listener; `None` when it is another program's.
pub(crate) fn lines(answer: &Value, language: Language) -> Option<String> {
    let number = |key: &str| answer.get(key).and_then(Value::as_f64);
    let age = answer.get("age_seconds")?.as_u64()?;
    let verdict = match answer.get("verdict")?.as_str()? {
        "good" => language.of("all is well", "alles in Ordnung"),
        "fair" => language.of("works, with limits", "geht, mit Einschränkungen"),
        _ => language.of("something does not work", "etwas geht nicht"),
    };
    let ago = match language {
        Language::English => format!("{} min ago", age / 60),
        Language::German => format!("vor {} min", age / 60),
    };
    let mut text = format!("{}: {verdict} ({ago})\n", language.of("Test call", "Testanruf"));
    for finding in answer.get("findings")?.as_array()? {
        let sign = match finding.get("level")?.as_str()? {
            "good" => "✓",
            "fair" => "!",
            _ => "✗",
        };
        let said = finding.get(language.of("en", "de"))?.as_str()?;
        let _ = writeln!(text, "  {sign} {said}");
    }
    let none = || "–".to_owned();
    let percent = |key: &str| match (number(key), language) {
        (Some(n), Language::English) => format!("{:.1} %", n * 100.0),
        (Some(n), Language::German) => format!("{:.1} %", n * 100.0).replace('.', ","),
        (None, _) => none(),
    };
    let way = answer.get("path").filter(|p| p.is_object()).and_then(|path| {
        let of = |key: &str| path.get(key).and_then(Value::as_str);
        let kind = KINDS.iter().find(|k| Some(k.0) == of("type"))?;
        let transport = TRANSPORTS.iter().find(|t| Some(t.0) == of("transport"))?;
        Some(format!("{} ({}), {}, {}", language.of(kind.1, kind.2), kind.0, transport.1, of("family")?))
    });
    let rtt = number("rtt_ms").map_or_else(none, |n| format!("{n:.0} ms"));
    let rows = [
        (language.of("path", "Weg"), way.unwrap_or_else(none)),
        (language.of("round trip", "Umlaufzeit"), rtt),
        (language.of("loss from there", "Verlust von dort"), percent("loss_up")),
        (language.of("loss to there", "Verlust dorthin"), percent("loss_down")),
    ];
    for (name, value) in rows {
        let _ = writeln!(text, "  {name}: {value}");
    }
    Some(text)
}

/// A number of this many parts, as far as 16 bits go: more is as bad as that.
fn number(json: &Value, parts: f64) -> Option<u16> {
    let n = json.as_f64().filter(|n| *n >= 0.0)? * parts;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was cut to the range")]
    Some(n.round().min(f64::from(u16::MAX)) as u16)
}

fn share(json: &Value) -> Option<u16> {
    number(json, 1000.0).map(|n| n.min(1000))
}

/// Candidate types as browsers call them, in words.
const KINDS: &[(&str, &str, &str)] = &[
    ("host", "direct", "direkt"),
    ("srflx", "through a router", "durch einen Router"),
    ("prflx", "through a router", "durch einen Router"),
    ("relay", "through a TURN server", "über einen TURN-Server"),
];

/// From the person to the bridge, or to the TURN server.
const TRANSPORTS: &[(&str, &str)] = &[("udp", "UDP"), ("tcp", "TCP"), ("tls", "TLS")];

const fn good(name: &'static str, en: &'static str, de: &'static str) -> Finding {
    Finding { name, level: Level::Good, en, de }
}
const fn fair(name: &'static str, en: &'static str, de: &'static str) -> Finding {
    Finding { name, level: Level::Fair, en, de }
}
const fn poor(name: &'static str, en: &'static str, de: &'static str) -> Finding {
    Finding { name, level: Level::Poor, en, de }
}

/// What the page can find; its own test (`plausch/web/tests/verdict.test.mjs`) holds both together.
const KNOWN: &[Finding] = &[
    good("camWorks", "the camera works", "die Kamera geht"),
    good("micWorks", "the microphone works", "das Mikrofon geht"),
    good("serverReached", "the server answers", "der Server antwortet"),
    good("mediaDirect", "picture and sound reach the server", "Bild und Ton erreichen den Server"),
    good("videoBack", "the picture came back", "das Bild kam zurück"),
    good("audioBack", "the sound came back", "der Ton kam zurück"),
    good("network_good", "the network is fast enough", "das Netz ist schnell genug"),
    fair(
        "micSilent",
        "the microphone hears nothing: muted on the device, or the wrong one is chosen",
        "das Mikrofon hört nichts: am Gerät stumm, oder das falsche ist gewählt",
    ),
    fair(
        "throughRelay",
        "picture and sound go through a TURN server: UDP to the bridge is blocked where the person is. It works, with more delay",
        "Bild und Ton gehen über einen TURN-Server: UDP zur Bridge ist dort gesperrt. Es geht, mit mehr Verzögerung",
    ),
    fair(
        "network_fair",
        "the network has gaps: Wi-Fi or uplink of the person; when all say so, the server's",
        "das Netz hat Lücken: WLAN oder Anschluss der Person; sagen es alle, der des Servers",
    ),
    poor(
        "camFailed",
        "the camera does not work: not permitted in the browser, not plugged in, or in use by another program",
        "die Kamera geht nicht: im Browser nicht erlaubt, nicht angesteckt oder von einem anderen Programm benutzt",
    ),
    poor(
        "micFailed",
        "the microphone does not work: not permitted in the browser, not plugged in, or in use by another program",
        "das Mikrofon geht nicht: im Browser nicht erlaubt, nicht angesteckt oder von einem anderen Programm benutzt",
    ),
    poor(
        "needsHttps",
        "the page was opened without https, so that the browser gives neither camera nor microphone",
        "die Seite wurde ohne https geöffnet, also gibt der Browser weder Kamera noch Mikrofon",
    ),
    poor(
        "serverBusy",
        "the server could not open a meeting: /about/health says what is missing",
        "der Server konnte keine Besprechung öffnen: /about/health sagt, was fehlt",
    ),
    poor(
        "serverUnreached",
        "the WebSocket did not get through: a proxy or filter where the person is, or a web server in front that does not pass it on",
        "der WebSocket kam nicht durch: ein Proxy oder Filter dort, oder ein Webserver davor, der ihn nicht weitergibt",
    ),
    poor(
        "udpBlocked",
        "no UDP between this person and the bridge: another network helps them. When others have it too, it is the server: port of media.listen in the firewall, --advertise (`plausch doctor`)",
        "kein UDP zwischen dieser Person und der Bridge: ein anderes Netz hilft ihr. Haben es auch andere, liegt es am Server: Port von media.listen in der Firewall, --advertise (`plausch doctor`)",
    ),
    poor("videoLost", "the picture did not come back", "das Bild kam nicht zurück"),
    poor("audioLost", "the sound did not come back", "der Ton kam nicht zurück"),
    poor(
        "network_poor",
        "the network is too slow or loses too much: Wi-Fi or uplink of the person; when all say so, the server's",
        "das Netz ist zu langsam oder verliert zu viel: WLAN oder Anschluss der Person; sagen es alle, der des Servers",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn report(found: &[&str]) -> Option<Report> {
        Report::parse(&json!({ "found": found }).to_string())
    }

    #[test]
    fn the_worst_finding_is_the_verdict() {
        assert_eq!(report(&["camWorks", "mediaDirect"]).unwrap().level(), Level::Good);
        assert_eq!(report(&["camWorks", "throughRelay"]).unwrap().level(), Level::Fair);
        assert_eq!(report(&["udpBlocked", "micSilent", "camWorks"]).unwrap().level(), Level::Poor);
    }

    #[test]
    fn what_the_page_does_not_say_is_nothing_and_no_text_of_a_stranger_is_kept() {
        assert!(report(&["Anna Musterfrau"]).is_none());
        assert!(report(&[]).is_none());
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"found":"camWorks"}"#,
            r#"{"found":[7]}"#,
            r#"{"found":["camWorks"],"rtt":"x"}"#,
            r#"{"found":["camWorks"],"rtt":-1}"#,
            r#"{"found":["camWorks"],"lossUp":null,"lossDown":0}"#,
            r#"{"found":["camWorks"],"path":{"type":"host","protocol":"udp","family":"192.0.2.7"}}"#,
            r#"{"found":["camWorks"],"path":{"type":"here","protocol":"udp","family":"IPv4"}}"#,
            r#"{"found":["camWorks"],"path":[]}"#,
        ] {
            assert!(Report::parse(bad).is_none(), "{bad}");
        }
        let more =
            r#"{"found":["camWorks"],"name":"Anna Musterfrau","room":"rathaus","address":"192.0.2.7"}"#;
        let kept = Report::parse(more).unwrap();
        let said = format!("{kept:?}{}", kept.json(0));
        assert!(!said.contains("Anna") && !said.contains("rathaus") && !said.contains("192.0.2.7"), "{said}");
    }

    #[test]
    fn a_report_has_so_many_findings() {
        assert!(report(&["camWorks"; FINDINGS]).is_some());
        assert!(report(&["camWorks"; FINDINGS + 1]).is_none());
    }

    #[test]
    fn odd_numbers_are_cut_to_their_range() {
        let kept =
            Report::parse(r#"{"found":["camWorks"],"rtt":1e300,"lossUp":7,"lossDown":0.0126}"#).unwrap();
        assert_eq!((kept.rtt_ms, kept.lost), (Some(u16::MAX), Some((1000, 13))));
    }

    #[test]
    fn the_helpdesk_reads_it_in_its_language() {
        let sent = json!({
            "found": ["serverReached", "throughRelay", "network_fair"], "rtt": 180, "lossUp": 0.021, "lossDown": 0,
            "path": { "type": "relay", "protocol": "tls", "family": "IPv4" },
        });
        let answer = Report::parse(&sent.to_string()).unwrap().json(245);
        let german = lines(&answer, Language::German).unwrap();
        assert!(german.starts_with("Testanruf: geht, mit Einschränkungen (vor 4 min)\n"), "{german}");
        for part in [
            "✓ der Server antwortet",
            "! das Netz hat Lücken",
            "Weg: über einen TURN-Server (relay), TLS, IPv4",
            "Umlaufzeit: 180 ms",
            "Verlust von dort: 2,1 %",
            "Verlust dorthin: 0,0 %",
        ] {
            assert!(german.contains(part), "{part}: {german}");
        }
        let english = lines(&answer, Language::English).unwrap();
        assert!(english.contains("(4 min ago)") && english.contains("loss from there: 2.1 %"), "{english}");
        assert!(english.contains("path: through a TURN server (relay), TLS, IPv4"), "{english}");
        let bare = lines(&report(&["serverUnreached"]).unwrap().json(0), Language::English).unwrap();
        assert!(bare.contains("path: –") && bare.contains("round trip: –"), "{bare}");
        assert!(lines(&json!({ "status": "ok" }), Language::English).is_none());
    }
}
