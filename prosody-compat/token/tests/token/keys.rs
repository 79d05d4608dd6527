//! Keys of a key server and of a document, in virtual time.

use std::time::{Duration, Instant};

use budget::Network;
use proptest::collection::vec;
use proptest::prelude::*;
use prosody_token::limits::*;
use prosody_token::{Answer, Fetch, KeyId, Keys, Need, Output, Refusal, Settings, Settled};
use serde_json::{Value, json};

use crate::support::*;

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Need(u32, u8),
    Answer(usize, u8),
    Pass(u32),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever waits hears of it, whatever is answered, in whatever order, or not at all.
    #[test]
    fn nobody_waits_for_ever(
        key_server: bool,
        steps in vec(
            prop_oneof![
                (0..3_u32, 0..6_u8).prop_map(|(peer, kid)| Step::Need(peer, kid)),
                (0..8_usize, 0..6_u8).prop_map(|(at, how)| Step::Answer(at, how)),
                (0..40_000_u32).prop_map(Step::Pass),
            ],
            0..60,
        ),
    ) {
        let mut run = Run::new(key_server, true);
        let mut open: Vec<Fetch> = Vec::new();
        let mut waiting: Vec<u8> = Vec::new();
        for step in steps {
            match step {
                Step::Need(peer, kid) => {
                    if run.need_from(peer, &kid.to_string()) == Need::Wait {
                        waiting.push(kid);
                    }
                }
                Step::Answer(at, how) if at < open.len() => {
                    let fetch = open.remove(at);
                    let answer = match how {
                        0 => Answer::Unreachable,
                        1 => response(404, ""),
                        2 => response(503, ""),
                        3 => found(theirs()),
                        4 => document(&[("0", ours()), ("1", ours())], Some("max-age=100")),
                        _ => document(&[("1", theirs())], None),
                    };
                    run.answer(&fetch, answer);
                }
                Step::Answer(..) => {}
                Step::Pass(millis) => run.pass(Duration::from_millis(millis.into())),
            }
            open.extend(run.fetches());
            told(&mut run, &mut waiting);
            prop_assert!(run.keys.poll_timeout().is_none_or(|at| at > run.now));
        }
        // Nobody answers any more.
        for _ in 0..120 {
            run.pass(Duration::from_secs(1));
            run.fetches();
            told(&mut run, &mut waiting);
        }
        prop_assert!(waiting.is_empty(), "{waiting:?}");
    }
}

/// Those who wait for what is settled ask again.
fn told(run: &mut Run, waiting: &mut Vec<u8>) {
    for settled in run.settled() {
        let (ask, wait): (Vec<u8>, Vec<u8>) = std::mem::take(waiting)
            .into_iter()
            .partition(|kid| settled == Settled::All || settled == Settled::Key(KeyId::of(&kid.to_string())));
        *waiting = wait;
        for kid in ask {
            // What is asked for anew is waited for anew.
            if run.need(&kid.to_string()) == Need::Wait {
                waiting.push(kid);
            }
        }
    }
}

const DOCUMENT: &str = "https://keys.example/document";
const REFUSED: Need = Need::Refused(Refusal::NoKey);

/// The engine and its clock.
struct Run {
    keys: Keys,
    now: Instant,
    settled: Vec<Settled>,
}

impl Run {
    fn new(key_server: bool, document: bool) -> Self {
        let rules = rules(Settings {
            key_server: key_server.then(|| "https://keys.example/asap/".into()),
            keys_url: document.then(|| DOCUMENT.into()),
            app_secret: None,
            ..settings()
        });
        let now = Instant::now();
        Self { keys: Keys::new(rules.servers().unwrap(), now), now, settled: Vec::new() }
    }

    fn need(&mut self, kid: &str) -> Need {
        self.need_from(1, kid)
    }

    fn need_from(&mut self, peer: u32, kid: &str) -> Need {
        let peer = Network::of(std::net::Ipv4Addr::from_bits(0x0a00_0000 + peer).into());
        self.keys.need(self.now, Some(peer), &KeyId::of(kid))
    }

    /// Questions since the last time.
    fn fetches(&mut self) -> Vec<Fetch> {
        let mut fetches = Vec::new();
        while let Some(output) = self.keys.poll_output() {
            match output {
                Output::Fetch(fetch) => fetches.push(fetch),
                Output::Settled(settled) => self.settled.push(settled),
            }
        }
        fetches
    }

    fn fetch(&mut self) -> Fetch {
        let fetches = self.fetches();
        assert_eq!(fetches.len(), 1, "{fetches:?}");
        fetches.into_iter().next().unwrap()
    }

    fn answer(&mut self, fetch: &Fetch, answer: Answer) {
        self.keys.handle_answer(self.now, fetch.id, answer);
    }

    /// Time passes; the engine is driven as a shell does.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.keys.poll_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.keys.handle_timeout(self.now);
            if self.keys.poll_timeout().is_some_and(|next| next <= self.now) {
                panic!("a timeout that changes nothing");
            }
        }
        self.now = until;
    }

    fn settled(&mut self) -> Vec<Settled> {
        std::mem::take(&mut self.settled)
    }
}

fn response(status: u16, body: impl Into<Vec<u8>>) -> Answer {
    Answer::Response { status, cache_control: None, body: body.into() }
}

fn found(pair: &Pair) -> Answer {
    response(200, pair.public_pem.clone())
}

fn document(keys: &[(&str, &Pair)], cache_control: Option<&str>) -> Answer {
    let keys: Vec<Value> = keys.iter().map(|(kid, pair)| pair.jwk(kid)).collect();
    Answer::Response {
        status: 200,
        cache_control: cache_control.map(str::to_owned),
        body: json!({ "keys": keys }).to_string().into(),
    }
}

fn file(kid: &str) -> String {
    format!("https://keys.example/asap/{}", KeyId::of(kid).file_name())
}

// --- key server

#[test]
fn a_key_is_asked_for_once_and_kept() {
    let mut run = Run::new(true, false);
    assert_eq!(run.fetches(), []);
    assert_eq!(run.need("a"), Need::Wait);
    assert_eq!(run.need_from(2, "a"), Need::Wait, "one question for all");
    let fetch = run.fetch();
    assert_eq!((fetch.url.as_str(), fetch.timeout, fetch.most_bytes), (&*file("a"), TRY_TIMEOUT, PEM_BYTES));
    run.answer(&fetch, found(ours()));
    assert_eq!(run.need("a"), Need::Have(ours().key()));
    assert_eq!(run.fetches(), []);
    assert_eq!(run.settled(), [Settled::Key(KeyId::of("a"))]);
    run.answer(&fetch, found(theirs()));
    assert_eq!(run.need("a"), Need::Have(ours().key()), "an answer to nothing is not heard");
}

#[test]
fn who_is_not_there_is_asked_three_times_within_half_a_minute() {
    let mut run = Run::new(true, false);
    let began = run.now;
    assert_eq!(run.need("a"), Need::Wait);
    for left in (0..TRIES).rev() {
        let fetch = run.fetch();
        run.pass(TRY_TIMEOUT);
        run.answer(&fetch, Answer::Unreachable);
        assert_eq!(run.need("a"), if left == 0 { REFUSED } else { Need::Wait });
        assert_eq!(run.fetches(), []);
        if left > 0 {
            run.pass(TRY_PAUSE - Duration::from_millis(1));
            assert_eq!(run.fetches(), []);
            run.pass(Duration::from_millis(1));
        }
    }
    assert_eq!(run.now - began, Duration::from_secs(30));
    assert_eq!(run.settled(), [Settled::Key(KeyId::of("a"))]);
}

#[test]
fn an_answer_that_the_shell_loses_counts_as_none() {
    let mut run = Run::new(true, false);
    assert_eq!(run.need("a"), Need::Wait);
    let first = run.fetch();
    run.pass(Duration::from_secs(60));
    assert_eq!(run.fetches().len(), 2);
    assert_eq!(run.settled(), [Settled::Key(KeyId::of("a"))]);
    run.answer(&first, found(ours()));
    assert_ne!(run.need("a"), Need::Have(ours().key()), "too late");
}

#[test]
fn a_server_in_trouble_is_asked_again_and_one_that_says_no_is_not() {
    for (status, again) in
        [(500, true), (503, true), (429, true), (404, false), (403, false), (301, false), (204, false)]
    {
        let mut run = Run::new(true, false);
        assert_eq!(run.need("a"), Need::Wait);
        let fetch = run.fetch();
        run.answer(&fetch, response(status, ours().public_pem.clone()));
        assert_eq!(run.need("a"), if again { Need::Wait } else { REFUSED }, "{status}");
    }
    for body in ["", "<html>", ours().private_pem.reveal(), &"x".repeat(PEM_BYTES + 1)] {
        let mut run = Run::new(true, false);
        assert_eq!(run.need("a"), Need::Wait);
        let fetch = run.fetch();
        run.answer(&fetch, response(200, body));
        assert_eq!(run.need("a"), REFUSED);
    }
}

#[test]
fn what_is_not_there_is_not_asked_for_again_for_a_while() {
    let mut run = Run::new(true, false);
    assert_eq!(run.need("a"), Need::Wait);
    let fetch = run.fetch();
    run.answer(&fetch, response(404, ""));
    run.pass(ABSENT_FOR - Duration::from_millis(1));
    assert_eq!(run.need("a"), REFUSED);
    run.pass(Duration::from_millis(1));
    assert_eq!(run.need("a"), Need::Wait);
}

#[test]
fn made_up_names_push_out_no_key_and_flood_nobody() {
    let mut run = Run::new(true, false);
    assert_eq!(run.need_from(1, "good"), Need::Wait);
    let fetch = run.fetch();
    run.answer(&fetch, found(ours()));
    let mut asked = 0;
    for n in 0..10_000_u32 {
        run.pass(Duration::from_millis(1));
        // From ever new addresses.
        run.need_from(100 + n, &format!("made-up-{n}"));
        for fetch in run.fetches() {
            asked += 1;
            run.answer(&fetch, response(404, ""));
        }
    }
    let most = UNKNOWN_KEYS_TOTAL.burst() + 10 * 5;
    assert!(asked <= most, "{asked} questions in ten seconds");
    assert_eq!(run.need_from(9_999, "good"), Need::Have(ours().key()));
}

#[test]
fn one_address_has_a_budget_of_unknown_keys_that_others_do_not_feel() {
    let mut run = Run::new(true, false);
    let most = UNKNOWN_KEYS.burst();
    let asked = (0..most + 5).filter(|n| run.need_from(1, &format!("k{n}")) == Need::Wait).count();
    assert_eq!(asked, most as usize);
    assert_eq!(run.need_from(1, "more"), REFUSED);
    assert_eq!(run.need_from(2, "more"), Need::Wait);
    assert_eq!(run.need_from(1, "more"), Need::Wait, "what is being asked for costs nothing");
    assert_eq!(run.keys.need(run.now, None, &KeyId::of("role")), Need::Wait);
}

#[test]
fn so_many_questions_are_open_and_not_one_more() {
    let mut run = Run::new(true, false);
    for n in 0..OPEN_QUESTIONS as u32 {
        assert_eq!(run.need_from(n, &format!("k{n}")), Need::Wait);
    }
    assert_eq!(run.need_from(1_000, "one more"), REFUSED);
    assert_eq!(run.fetches().len(), OPEN_QUESTIONS);
}

#[test]
fn so_many_keys_are_kept_and_the_one_used_longest_ago_makes_room() {
    let mut run = Run::new(true, false);
    for n in 0..=SERVED_KEYS {
        run.pass(Duration::from_secs(1));
        assert_eq!(run.need_from(n as u32, &format!("k{n}")), Need::Wait);
        let fetch = run.fetch();
        run.answer(&fetch, found(ours()));
        assert_eq!(run.need("k0"), Need::Have(ours().key()), "in use");
    }
    let kept =
        (0..=SERVED_KEYS).filter(|n| matches!(run.need_from(5_000, &format!("k{n}")), Need::Have(_))).count();
    assert_eq!(kept, SERVED_KEYS);
    assert_eq!(run.need("k1"), Need::Wait, "the oldest");
}

#[test]
fn a_key_in_use_is_asked_for_again_after_hours_and_goes_when_it_is_withdrawn() {
    let mut run = Run::new(true, false);
    assert_eq!(run.need("a"), Need::Wait);
    let fetch = run.fetch();
    run.answer(&fetch, found(ours()));
    run.pass(SERVED_REFRESH - Duration::from_secs(1));
    assert_eq!(run.need("a"), Need::Have(ours().key()));
    assert_eq!(run.fetches(), []);
    run.pass(Duration::from_secs(1));
    assert_eq!(run.fetches(), [], "nobody uses it");
    assert_eq!(run.need("a"), Need::Have(ours().key()), "it is taken meanwhile");
    // Nobody there: it goes on with what it has.
    for _ in 0..TRIES {
        let fetch = run.fetch();
        run.answer(&fetch, Answer::Unreachable);
        run.pass(TRY_PAUSE);
    }
    assert_eq!(run.need("a"), Need::Have(ours().key()));
    assert_eq!(run.fetches(), [], "not at once");
    run.pass(ABSENT_FOR);
    assert_eq!(run.need("a"), Need::Have(ours().key()));
    let fetch = run.fetch();
    run.answer(&fetch, found(theirs()));
    assert_eq!(run.need("a"), Need::Have(theirs().key()), "a new one under the old name");
    run.pass(SERVED_REFRESH);
    run.need("a");
    let fetch = run.fetch();
    run.answer(&fetch, response(404, ""));
    assert_eq!(run.need("a"), REFUSED);
}

// --- document

#[test]
fn a_document_is_read_at_the_start_and_tokens_wait_for_it() {
    let mut run = Run::new(false, true);
    assert_eq!(run.need("a"), Need::Wait);
    let fetch = run.fetch();
    assert_eq!(
        (fetch.url.as_str(), fetch.timeout, fetch.most_bytes),
        (DOCUMENT, DOCUMENT_TIMEOUT, DOCUMENT_BYTES)
    );
    run.answer(&fetch, document(&[("a", ours()), ("b", theirs())], None));
    assert_eq!(run.need("a"), Need::Have(ours().key()));
    assert_eq!(run.need("b"), Need::Have(theirs().key()));
    assert_eq!(run.need("c"), REFUSED);
    assert_eq!(run.fetches(), []);
    assert_eq!(run.settled(), [Settled::All]);
}

#[test]
fn pem_by_name_is_read_as_well() {
    let mut run = Run::new(false, true);
    let fetch = run.fetch();
    let key = rcgen::KeyPair::from_pem(ours().private_pem.reveal()).unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["a.example".into()]).unwrap().self_signed(&key).unwrap();
    let body = json!({ "a": certificate.pem(), "b": theirs().public_pem, "c": "no key", "d": 5 });
    run.answer(&fetch, response(200, body.to_string()));
    assert_eq!(run.need("a"), Need::Have(ours().key()));
    assert_eq!(run.need("b"), Need::Have(theirs().key()));
    assert_eq!(run.need("c"), REFUSED);
}

#[test]
fn keys_for_something_else_in_a_document_are_none() {
    let mut run = Run::new(false, true);
    let fetch = run.fetch();
    let changed = |kid: &str, changes: Value| {
        let mut jwk = ours().jwk(kid);
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                jwk.as_object_mut().unwrap().remove(name);
            } else {
                jwk[name] = value.clone();
            }
        }
        jwk
    };
    let mut zero_first = vec![0];
    zero_first.extend(ours().components().0);
    let keys = json!({ "keys": [
        changed("good", json!({})),
        changed("sig", json!({ "use": "sig", "alg": "RS256", "x5c": ["AAAA"] })),
        changed("zero", json!({ "n": b64(zero_first), "e": "AAEAAQ" })),
        changed("padded", json!({ "e": "AQAB====" })),
        changed("enc", json!({ "use": "enc" })),
        changed("oaep", json!({ "alg": "RSA-OAEP" })),
        changed("rs512", json!({ "alg": "RS512" })),
        changed("ec", json!({ "kty": "EC" })),
        changed("oct", json!({ "kty": "oct", "k": "AAAA" })),
        changed("no-kty", json!({ "kty": null })),
        changed("no-n", json!({ "n": null })),
        changed("no-e", json!({ "e": null })),
        changed("odd-n", json!({ "n": 5 })),
        changed("no-base64", json!({ "n": "+++" })),
        changed("tiny", json!({ "n": "gAE" })),
        changed("", json!({ "kid": 5 })),
        "text",
    ] });
    run.answer(&fetch, response(200, keys.to_string()));
    for good in ["good", "sig", "zero", "padded"] {
        assert_eq!(run.need(good), Need::Have(ours().key()), "{good}");
    }
    for bad in
        ["enc", "oaep", "rs512", "ec", "oct", "no-kty", "no-n", "no-e", "odd-n", "no-base64", "tiny", "", "5"]
    {
        assert_eq!(run.need(bad), REFUSED, "{bad}");
    }
}

#[test]
fn a_document_that_is_none_changes_nothing_and_is_read_again_soon() {
    let mut run = Run::new(false, true);
    let fetch = run.fetch();
    run.answer(&fetch, document(&[("a", ours())], None));
    let jwk = ours().jwk("b").to_string();
    let twice = format!(r#"{{"keys":[{jwk}],"keys":[]}}"#);
    let long = format!(r#"{{"keys":[{jwk}],"pad":"{}"}}"#, "x".repeat(DOCUMENT_BYTES));
    for bad in [
        Answer::Unreachable,
        response(404, "{}"),
        response(500, ""),
        response(304, ""),
        response(200, ""),
        response(200, "<html>"),
        response(200, "{}"),
        response(200, r#"{"keys":[]}"#),
        response(200, r#"{"error":"no"}"#),
        response(200, "[]"),
        response(200, twice),
        response(200, long),
        response(200, vec![0xff]),
    ] {
        run.pass(DOCUMENT_REFRESH.max(DOCUMENT_RETRY));
        let fetches = run.fetches();
        let fetch = fetches.last().unwrap();
        run.answer(fetch, bad.clone());
        assert_eq!(run.need("a"), Need::Have(ours().key()), "{bad:?}");
        assert_eq!(run.need("b"), REFUSED, "{bad:?}");
        run.pass(DOCUMENT_RETRY - Duration::from_millis(1));
        assert_eq!(run.fetches(), []);
        run.pass(Duration::from_millis(1));
        let fetch = run.fetch();
        run.answer(&fetch, document(&[("a", ours())], None));
    }
}

#[test]
fn a_document_at_the_limit_is_read() {
    let mut run = Run::new(false, true);
    let fetch = run.fetch();
    let with = |pad: usize| json!({ "keys": [ours().jwk("a")], "pad": "x".repeat(pad) }).to_string();
    let body = with(DOCUMENT_BYTES - with(0).len());
    assert_eq!(body.len(), DOCUMENT_BYTES);
    run.answer(&fetch, response(200, body));
    assert_eq!(run.need("a"), Need::Have(ours().key()));
}

#[test]
fn so_many_keys_of_a_document_are_kept() {
    let mut run = Run::new(false, true);
    let fetch = run.fetch();
    let names: Vec<String> = (0..=DOCUMENT_KEYS).map(|n| format!("k{n}")).collect();
    let keys: Vec<(&str, &Pair)> = names.iter().map(|n| (n.as_str(), ours())).collect();
    run.answer(&fetch, document(&keys, None));
    let have = |run: &mut Run| names.iter().filter(|n| matches!(run.need(n), Need::Have(_))).count();
    assert_eq!(have(&mut run), DOCUMENT_KEYS);
    // Those that vanish make room.
    run.pass(DOCUMENT_REFRESH);
    let fetch = run.fetch();
    run.answer(&fetch, document(&[("new", theirs())], None));
    assert_eq!(have(&mut run), DOCUMENT_KEYS - 1);
    assert_eq!(run.need("new"), Need::Have(theirs().key()));
}

#[test]
fn a_document_says_when_it_is_read_again() {
    for (said, after) in [
        (Some("public, max-age=3600"), Duration::from_secs(3600) - DOCUMENT_MARGIN),
        (Some("max-age=0"), DOCUMENT_RETRY),
        (Some("max-age=4294967295"), DOCUMENT_LONGEST),
        (None, DOCUMENT_REFRESH),
    ] {
        let mut run = Run::new(false, true);
        let fetch = run.fetch();
        run.answer(&fetch, document(&[("a", ours())], said));
        assert_eq!(run.keys.poll_timeout(), Some(run.now + after), "{said:?}");
        run.pass(after - Duration::from_millis(1));
        assert_eq!(run.fetches(), []);
        run.pass(Duration::from_millis(1));
        assert_eq!(run.fetches().len(), 1);
    }
}

#[test]
fn a_key_that_vanishes_is_taken_for_a_while_and_one_that_comes_back_for_good() {
    let mut run = Run::new(false, true);
    let fetch = run.fetch();
    run.answer(&fetch, document(&[("old", ours()), ("other", ours())], Some("max-age=660")));
    for keys in [vec![("new", theirs())], vec![("new", theirs()), ("other", ours())]] {
        run.pass(Duration::from_secs(600));
        let fetch = run.fetch();
        run.answer(&fetch, document(&keys, None));
        assert_eq!(run.need("old"), Need::Have(ours().key()));
        run.pass(DOCUMENT_REFRESH.min(Duration::from_secs(0)));
        if keys.len() == 1 {
            // The next reading is asked for by a name that nobody knows.
            run.pass(DOCUMENT_EARLY);
            assert_eq!(run.need("unknown"), Need::Wait);
            let fetch = run.fetch();
            run.answer(&fetch, document(&keys, Some("max-age=660")));
        }
    }
    // 660 s have passed since it vanished.
    run.pass(VANISHED_FOR - Duration::from_secs(661));
    assert_eq!(run.need("old"), Need::Have(ours().key()));
    run.pass(Duration::from_secs(1));
    assert_eq!(run.need("other"), Need::Have(ours().key()), "it came back");
    assert_ne!(run.need("old"), Need::Have(ours().key()));
}

#[test]
fn a_name_that_is_not_in_the_document_has_it_read_once_a_minute_and_no_more() {
    let mut run = Run::new(false, true);
    let fetch = run.fetch();
    run.answer(&fetch, document(&[("a", ours())], None));
    assert_eq!(run.need("b"), REFUSED);
    run.pass(DOCUMENT_EARLY - Duration::from_millis(1));
    assert_eq!(run.need("b"), REFUSED);
    run.pass(Duration::from_millis(1));
    let mut asked = 0;
    for n in 0..1_000 {
        if run.need(&format!("made-up-{n}")) == Need::Wait && n == 500 {
            let fetch = run.fetch();
            asked += 1;
            run.answer(&fetch, document(&[("a", ours()), ("b", theirs())], None));
        }
    }
    assert_eq!((asked, run.fetches().len()), (1, 0));
    assert_eq!(run.need("b"), Need::Have(theirs().key()), "the issuer has made a new one");
}

#[test]
fn a_document_that_nobody_answers_for_is_given_up() {
    let mut run = Run::new(false, true);
    let first = run.fetch();
    assert_eq!(run.need("a"), Need::Wait);
    run.pass(DOCUMENT_TIMEOUT + Duration::from_secs(1));
    assert_eq!(run.fetches(), []);
    assert_eq!(run.settled(), [Settled::All]);
    assert_eq!(run.need("a"), REFUSED);
    run.answer(&first, document(&[("a", ours())], None));
    assert_eq!(run.need("a"), REFUSED, "too late");
    run.pass(DOCUMENT_RETRY);
    let fetch = run.fetch();
    run.answer(&fetch, document(&[("a", ours())], None));
    assert_eq!(run.need("a"), Need::Have(ours().key()));
}

#[test]
fn what_is_not_in_the_document_is_asked_for_at_the_key_server() {
    let mut run = Run::new(true, true);
    let fetch = run.fetch();
    assert_eq!(fetch.url, DOCUMENT);
    assert_eq!(run.need("b"), Need::Wait);
    run.answer(&fetch, document(&[("a", ours())], None));
    assert_eq!(run.need("a"), Need::Have(ours().key()));
    assert_eq!(run.need("b"), Need::Wait);
    let fetch = run.fetch();
    assert_eq!(fetch.url, file("b"));
    run.answer(&fetch, found(theirs()));
    assert_eq!(run.need("b"), Need::Have(theirs().key()));
    // A document that nobody answers for keeps nobody out whose key is served.
    run.pass(DOCUMENT_REFRESH);
    let fetch = run.fetch();
    assert_eq!(fetch.url, DOCUMENT);
    assert_eq!(run.need("b"), Need::Have(theirs().key()));
    run.answer(&fetch, Answer::Unreachable);
    assert_eq!(run.need("c"), Need::Wait);
    assert!(run.fetches().iter().any(|f| f.url == file("c")));
}

#[test]
fn with_both_servers_dead_a_wait_began_anew_for_ever() {
    let mut run = Run::new(true, true);
    let fetch = run.fetch();
    run.answer(&fetch, document(&[("a", ours())], None));
    run.fetches();
    // The document may be read again before the key server is given up.
    run.pass(DOCUMENT_EARLY - Duration::from_secs(30));
    assert_eq!(run.need("b"), Need::Wait);
    let began = run.now;
    let mut waiting = vec![b'b'];
    while !waiting.is_empty() {
        assert!(run.now - began < Duration::from_secs(70), "still waiting");
        run.pass(Duration::from_secs(1));
        run.fetches();
        for settled in run.settled() {
            if (settled == Settled::All || settled == Settled::Key(KeyId::of("b")))
                && run.need("b") == REFUSED
            {
                waiting.clear();
            }
        }
    }
}
