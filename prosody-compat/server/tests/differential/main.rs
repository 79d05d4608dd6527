//! The same script is played to Debian's Prosody and to our server, and everybody must hear the same: only what is Prosody's
//! own, without Jitsi's modules. Where we differ on purpose stands in `known.rs`, each with its line in
//! `docs/differences.md`.
//!
//! `ONLY=rooms` plays one script, `SHOW=1` prints what was heard.

mod canonical;
mod known;
mod prosody;
mod script;
mod stage;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prosody_core::{Login, Mechanism, Policy, RoomsHost, Table, UsersHost};
use prosody_server::{Config, Raw};
use rustls::RootCertStore;
use service::certificate::CertificateFiles;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::known::{KNOWN, Side, Why};
use crate::prosody::Prosody;
use crate::stage::{ACCOUNTS, Heard, Server, Stage};

const SCRIPTS: &[(&str, &str)] = &[
    ("login", include_str!("scripts/login.txt")),
    ("rooms", include_str!("scripts/rooms.txt")),
    ("errors", include_str!("scripts/errors.txt")),
    ("affiliations", include_str!("scripts/affiliations.txt")),
    ("owner", include_str!("scripts/owner.txt")),
    ("iq", include_str!("scripts/iq.txt")),
    ("management", include_str!("scripts/management.txt")),
];

#[tokio::test]
async fn the_standard_parts_answer_as_debians_prosody_does() {
    let place = Place::new();
    let trust = place.trust();
    let prosody = Prosody::start(&place.folder, PASSWORD).await;
    let theirs =
        Server { http: prosody.http, tcp: prosody.tcp, trust: Arc::clone(&trust), password: PASSWORD };
    let (_stop, ours) = ours(&place, trust).await;
    let only = std::env::var("ONLY").ok();
    let (mut used, mut report, mut compared) = (BTreeSet::new(), String::new(), 0);
    for (name, text) in SCRIPTS.iter().filter(|(name, _)| only.as_deref().is_none_or(|o| o == *name)) {
        let steps = script::parse(text);
        let said = ids(text);
        let (mut their_stage, mut our_stage) = (Stage::new(&theirs), Stage::new(&ours));
        for step in &steps {
            let heard = [
                told(&their_stage.play(step).await, &their_stage.names(), &said, Side::Theirs, &mut used),
                told(&our_stage.play(step).await, &our_stage.names(), &said, Side::Ours, &mut used),
            ];
            compared += heard[0].values().map(Vec::len).sum::<usize>();
            if std::env::var_os("SHOW").is_some() {
                println!("## {name}: {}\n{heard:#?}", step.text);
            }
            let everybody: BTreeSet<&str> = heard.iter().flat_map(|h| h.keys().copied()).collect();
            for who in everybody {
                let [theirs, ours] = [0, 1].map(|side| heard[side].get(who).cloned().unwrap_or_default());
                if theirs != ours {
                    let lines = changed(&theirs.concat(), &ours.concat());
                    let _ = writeln!(report, "\n## {name}, at `{}`: {who} heard\n{lines}", step.text);
                }
            }
        }
    }
    assert!(report.is_empty(), "{report}");
    println!("{compared} elements alike, {} of {} known differences met", used.len(), KNOWN.len());
    assert!(compared > 300 || only.is_some(), "only {compared} elements were compared");
    let unused: Vec<&str> = KNOWN
        .iter()
        .enumerate()
        .filter(|(i, k)| !used.contains(i) && !matches!(k.why, Why::Versions))
        .map(|(_, k)| k.what)
        .collect();
    assert!(unused.is_empty() || only.is_some(), "no difference any more: {unused:?}");
}

#[test]
fn each_known_difference_has_a_reason_that_is_told() {
    let page = include_str!("../../../../docs/differences.md");
    for known in KNOWN {
        match known.why {
            Why::Row(row) => {
                assert!(page.contains(&format!("\n| {row} |")), "{}: no line `{row}`", known.what)
            }
            Why::Module(module) => {
                let mut table = Table::docker("meet.jitsi");
                table.rooms[0].modules.push(module.to_owned());
                assert_eq!(table.check(), Ok(()), "{}", known.what);
            }
            Why::Versions | Why::Either => {}
        }
    }
}

/// What was heard, as texts that can be compared; those who heard nothing are not named.
fn told<'a>(
    turn: &stage::Turn<'a>,
    names: &[(String, String)],
    said: &[String],
    side: Side,
    used: &mut BTreeSet<usize>,
) -> BTreeMap<&'a str, Vec<String>> {
    let mut all = BTreeMap::new();
    for (who, heard) in turn {
        let mut texts = Vec::new();
        for one in heard {
            match one {
                Heard::Closed => texts.push("(closed)\n".to_owned()),
                Heard::Element(e) => {
                    if let Some(e) = known::apply(e.clone(), side, used) {
                        texts.push(canonical::canonical(&e, names, said));
                    }
                }
            }
        }
        in_any_order(&mut texts);
        if !texts.is_empty() {
            all.insert(*who, texts);
        }
    }
    all
}

/// Who is there already is told in no particular order (XEP-0045 §7.2.2): neighbouring presences of others are sorted.
fn in_any_order(texts: &mut [String]) {
    let others = |t: &String| t.starts_with("<presence ") && !t.contains("code=110");
    for run in texts.chunk_by_mut(|a, b| others(a) && others(b)) {
        run.sort();
    }
}

/// Both texts line by line: `-` only Prosody said, `+` only we.
fn changed(theirs: &str, ours: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (theirs.lines().collect(), ours.lines().collect());
    // How long the longest common rest is, from each pair of places.
    let mut common = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] =
                if a[i] == b[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, String::new());
    while i < a.len() || j < b.len() {
        let (mark, line) = if i < a.len() && j < b.len() && a[i] == b[j] {
            (i, j) = (i + 1, j + 1);
            (' ', a[i - 1])
        } else if j == b.len() || (i < a.len() && common[i + 1][j] >= common[i][j + 1]) {
            i += 1;
            ('-', a[i - 1])
        } else {
            j += 1;
            ('+', b[j - 1])
        };
        let _ = writeln!(out, "{mark} {line}");
    }
    out
}

/// The ids that the script chose.
fn ids(text: &str) -> Vec<String> {
    text.split("id='").skip(1).filter_map(|rest| Some(rest.split_once('\'')?.0.to_owned())).collect()
}

/// A folder with a certificate that both servers have; removed with the test.
struct Place {
    folder: PathBuf,
    certificate: rcgen::CertifiedKey<rcgen::KeyPair>,
}

impl Place {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("plausch-differential-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let certificate = rcgen::generate_simple_self_signed([ACCOUNTS.to_owned()]).unwrap();
        std::fs::write(folder.join(format!("{ACCOUNTS}.crt")), certificate.cert.pem()).unwrap();
        std::fs::write(folder.join(format!("{ACCOUNTS}.key")), certificate.signing_key.serialize_pem())
            .unwrap();
        Self { folder, certificate }
    }

    fn trust(&self) -> Arc<rustls::ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let trust =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Arc::new(trust.unwrap().with_root_certificates(roots).with_no_client_auth())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Our server with the same hosts. It stops with the sender.
async fn ours(place: &Place, trust: Arc<rustls::ClientConfig>) -> (watch::Sender<bool>, Server) {
    let raw = Raw {
        listen: Some("127.0.0.1:0".parse().unwrap()),
        focus_password: Some(PASSWORD.to_owned()),
        ..Raw::default()
    };
    let mut config = Config::from_raw(raw).unwrap();
    config.core.hosts = hosts();
    let file = |end: &str| Path::new(&place.folder).join(format!("{ACCOUNTS}.{end}"));
    config.certificate = Some(CertificateFiles { chain: file("crt"), key: file("key") });
    let (stop, stopped) = watch::channel(false);
    let handle = prosody_server::start(config, stopped).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = listener.local_addr().unwrap();
    let router = handle.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (stop, Server { http, tcp: handle.tcp_address().unwrap(), trust, password: PASSWORD })
}

/// As `prosody.cfg.lua` has it.
fn hosts() -> Table {
    let users = |domain: &str, login, mechanisms, public| UsersHost {
        domain: domain.to_owned(),
        login,
        mechanisms,
        modules: Vec::new(),
        resume: std::time::Duration::from_secs(60),
        public,
    };
    Table {
        users: vec![
            users("meet.jitsi", Login::Anonymous, Vec::new(), true),
            users(
                ACCOUNTS,
                Login::Accounts,
                vec![Mechanism::named("SCRAM-SHA-1").unwrap(), Mechanism::Plain],
                false,
            ),
        ],
        rooms: vec![RoomsHost {
            domain: "muc.meet.jitsi".to_owned(),
            modules: Vec::new(),
            lobby: None,
            breakouts: None,
            audience: None,
            policy: Policy::default(),
            tenants: BTreeMap::new(),
        }],
        components: Vec::new(),
    }
}

const PASSWORD: &str = "geheim";
