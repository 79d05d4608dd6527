//! A directory of the tests, which says what each needs, on a socket.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use super::ber::{Reader, Writer};
use super::*;

/// What a directory does with one message: its number and its tag in, what it says.
type Answers = fn(u32, u8, &[u8]) -> Vec<u8>;

/// Answers each message of each connection; what it heard.
fn serve(answers: Answers) -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ldap://{}", listener.local_addr().unwrap());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&heard);
    thread::spawn(move || {
        for socket in listener.incoming() {
            let (mut socket, all) = (socket.unwrap(), Arc::clone(&all));
            thread::spawn(move || {
                let mut bytes = Vec::new();
                let mut buffer = [0; 512];
                while let Ok(n @ 1..) = socket.read(&mut buffer) {
                    all.lock().unwrap().extend_from_slice(&buffer[..n]);
                    bytes.extend_from_slice(&buffer[..n]);
                    while let Ok(Some(len)) = ber::whole(&bytes) {
                        if len > bytes.len() {
                            break;
                        }
                        let one: Vec<u8> = bytes.drain(..len).collect();
                        let mut message = Reader(Reader(&one).tagged(0x30).unwrap());
                        let id = message.number(2).unwrap();
                        let (tag, inner) = message.next().unwrap();
                        let _ = socket.write_all(&answers(id, tag, inner));
                    }
                }
            });
        }
    });
    (url, heard)
}

fn say(id: u32, tag: u8, fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut out = Writer::default();
    out.inner(0x30, |m| {
        m.number(2, id).inner(tag, fill);
    });
    out.done()
}

fn result(id: u32, tag: u8, code: u32) -> Vec<u8> {
    say(id, tag, |r| {
        r.number(0x0a, code).bytes(4, b"").bytes(4, b"");
    })
}

fn entry(id: u32, name: &str) -> Vec<u8> {
    say(id, 0x64, |e| {
        e.bytes(4, name.as_bytes()).inner(0x30, |_| {});
    })
}

/// Anna is there, and her password is `geheim`.
fn town(id: u32, tag: u8, inner: &[u8]) -> Vec<u8> {
    let has = |words: &[u8]| inner.windows(words.len()).any(|w| w == words);
    match tag {
        0x60 if has(b"uid=anna,dc=town") || has(b"uid=bert,dc=town") => {
            result(id, 0x61, if has(b"\x80\x06geheim") { 0 } else { 49 })
        }
        0x60 => result(id, 0x61, if has(b"cn=reader") && has(b"\x80\x05lesen") { 0 } else { 49 }),
        0x63 if has(b"uid\x04\x04anna") => [
            say(id, 0x73, |r| {
                r.bytes(4, b"ldap://other.example");
            }),
            entry(id, "uid=anna,dc=town"),
            result(id, 0x65, 0),
        ]
        .concat(),
        // The group names its members by their entries; who looks has to have said who it is.
        0x63 if has(b"\x04\x11cn=chairs,dc=town\x0a\x01\x00") => {
            let member = has(b"member\x04\x10uid=anna,dc=town");
            let found = if member { entry(id, "cn=chairs,dc=town") } else { Vec::new() };
            [found, result(id, 0x65, 0)].concat()
        }
        0x63 if has(b"\x04\x0fcn=gone,dc=town\x0a\x01\x00") => result(id, 0x65, 32),
        0x63 if has(b"\x04\x0fcn=shut,dc=town\x0a\x01\x00") => result(id, 0x65, 50),
        // Her own entry says what she is.
        0x63 if has(b"\x04\x10uid=anna,dc=town\x0a\x01\x00") => {
            let found = if has(b"title\x04\x05chair") { entry(id, "uid=anna,dc=town") } else { Vec::new() };
            [found, result(id, 0x65, 0)].concat()
        }
        0x63 if has(b"uid\x04\x04bert") => [entry(id, "uid=bert,dc=town"), result(id, 0x65, 0)].concat(),
        0x63 if has(b"uid\x04\x04emil") => {
            [entry(id, "uid=anna,dc=town"), entry(id, "uid=emil,dc=town"), result(id, 0x65, 4)].concat()
        }
        0x63 => result(id, 0x65, 0),
        _ => Vec::new(),
    }
}

fn settings(url: &str) -> DirectorySettings {
    DirectorySettings {
        urls: vec![url.to_owned()],
        base: "dc=town".into(),
        filter: "uid=%u".into(),
        fastbind: false,
        moderators: None,
        recheck: None,
        bind: Some(("cn=reader".into(), "lesen".to_owned().into())),
        start_tls: false,
        check_peer: true,
        roots: None,
    }
}

async fn knows(directory: &Directory, user: &str, password: &str) -> Result<bool, String> {
    known(directory, user, password).await.map(|known| known != Known::No)
}

async fn known(directory: &Directory, user: &str, password: &str) -> Result<Known, String> {
    let known = directory.knows(Who { user, domain: "town.example" }, password);
    let known = time::timeout(Duration::from_secs(2), known).await;
    known.unwrap_or(Err(NoAnswer::Late)).map_err(|e| e.to_string())
}

#[tokio::test]
async fn only_who_has_this_name_and_this_password_is_known() {
    let (url, _) = serve(town);
    let directory = Directory::new(settings(&url)).unwrap();
    assert_eq!(knows(&directory, "anna", "geheim").await, Ok(true));
    assert_eq!(knows(&directory, "anna", "falsch").await, Ok(false));
    assert_eq!(knows(&directory, "karl", "geheim").await, Ok(false));
    assert_eq!(knows(&directory, "emil", "geheim").await, Ok(false), "two are not one");
    assert_eq!(knows(&directory, "*", "geheim").await, Ok(false));
    // RFC 4513 §5.1.2: whoever asks with an empty password is welcome as nobody. Another one: at the first goodbyes may be under way.
    let (url, heard) = serve(town);
    let directory = Directory::new(settings(&url)).unwrap();
    assert_eq!(knows(&directory, "anna", "").await, Ok(false));
    assert_eq!(knows(&directory, "", "geheim").await, Ok(false));
    assert!(heard.lock().unwrap().is_empty(), "nobody is asked");
}

#[tokio::test]
async fn a_group_or_one_s_own_entry_says_who_moderates() {
    let (url, _) = serve(town);
    let with = |moderators: &str| {
        let settings = DirectorySettings { moderators: Some(moderators.into()), ..settings(&url) };
        Directory::new(settings).unwrap()
    };
    let yes = |moderates| Ok(Known::Yes { moderates: Some(moderates) });
    let group = with("cn=chairs,dc=town");
    assert_eq!(known(&group, "anna", "geheim").await, yes(true));
    assert_eq!(known(&group, "bert", "geheim").await, yes(false));
    assert_eq!(known(&group, "anna", "falsch").await, Ok(Known::No));
    assert_eq!(known(&with("(title=chair)"), "anna", "geheim").await, yes(true));
    assert_eq!(known(&with("(title=clerk)"), "anna", "geheim").await, yes(false));
    assert_eq!(known(&with("cn=gone,dc=town"), "anna", "geheim").await, yes(false), "nobody is in it");
    assert!(known(&with("cn=shut,dc=town"), "anna", "geheim").await.unwrap_err().contains("50"));
    let nobody_says = Directory::new(settings(&url)).unwrap();
    assert_eq!(known(&nobody_says, "anna", "geheim").await, Ok(Known::Yes { moderates: None }));
}

#[tokio::test]
async fn where_entries_have_people_s_names_nobody_looks_for_them() {
    let (url, heard) = serve(town);
    let by = |filter: &str| DirectorySettings {
        filter: filter.into(),
        fastbind: true,
        bind: None,
        ..settings(&url)
    };
    let directory = Directory::new(by("uid=%u,dc=town")).unwrap();
    assert_eq!(knows(&directory, "anna", "geheim").await, Ok(true));
    assert_eq!(knows(&directory, "anna", "falsch").await, Ok(false));
    assert_eq!(knows(&directory, "karl", "geheim").await, Ok(false));
    assert_eq!(knows(&directory, "anna", "").await, Ok(false), "an empty password is nobody's");
    assert_eq!(knows(&directory, "x,uid=anna", "geheim").await, Ok(false));
    // What each search names as what it wants.
    assert!(!heard.lock().unwrap().windows(3).any(|w| w == b"1.1"), "nobody looks");
    assert!(Directory::new(by("uid=anna,dc=town")).is_err(), "everybody would be anna");
    let (url, _) = serve(|id, _, _| result(id, 0x61, 51));
    let busy = Directory::new(DirectorySettings { urls: vec![url], ..by("uid=%u,dc=town") }).unwrap();
    assert!(knows(&busy, "anna", "geheim").await.unwrap_err().contains("51"), "who is busy has not said no");
}

#[tokio::test]
async fn a_directory_that_refuses_us_says_nothing_of_a_person() {
    let (url, _) = serve(town);
    let bind = Some(("cn=reader".into(), "falsch".to_owned().into()));
    let directory = Directory::new(DirectorySettings { bind, ..settings(&url) }).unwrap();
    assert!(knows(&directory, "anna", "geheim").await.unwrap_err().contains("49"));
    let (url, _) = serve(|id, tag, _| {
        result(id, if tag == 0x60 { 0x61 } else { 0x65 }, if tag == 0x60 { 0 } else { 51 })
    });
    let busy = Directory::new(settings(&url)).unwrap();
    assert!(knows(&busy, "anna", "geheim").await.unwrap_err().contains("51"));
}

/// One that says well to everything, or too much.
#[tokio::test]
async fn a_lying_directory_lets_nobody_in_and_fills_no_memory() {
    for lies in [
        |id: u32, _: u8, _: &[u8]| result(id + 1, 0x61, 0),
        |_: u32, _: u8, _: &[u8]| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        |_: u32, _: u8, _: &[u8]| vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        |id: u32, tag: u8, _: &[u8]| {
            if tag == 0x60 { result(id, 0x61, 0) } else { entry(id, &"x".repeat(40_000)).repeat(4) }
        },
        |id: u32, _: u8, _: &[u8]| result(id, 0x61, 0),
    ] as [Answers; 5]
    {
        let (url, _) = serve(lies);
        let directory = Directory::new(settings(&url)).unwrap();
        assert_ne!(knows(&directory, "anna", "geheim").await, Ok(true));
    }
}

/// Answers that are as long as they may be all together, and one byte longer.
#[tokio::test]
async fn answers_at_the_limit_are_read_and_longer_ones_are_not() {
    for (more, known) in [(0, Ok(true)), (1, Err(()))] {
        let (url, _) = match more {
            0 => serve(|id, tag, inner| filled(id, tag, inner, 0)),
            _ => serve(|id, tag, inner| filled(id, tag, inner, 1)),
        };
        let directory = Directory::new(DirectorySettings { bind: None, ..settings(&url) }).unwrap();
        assert_eq!(knows(&directory, "anna", "geheim").await.map_err(drop), known, "{more}");
    }
}

/// The town, whose answers to a search and a bind are as long as they may be, and `more` bytes.
fn filled(id: u32, tag: u8, inner: &[u8], more: usize) -> Vec<u8> {
    if tag != 0x63 {
        return town(id, tag, inner);
    }
    let of = |padding: usize| {
        say(id, 0x64, |e| {
            e.bytes(4, b"uid=anna,dc=town").inner(0x30, |a| {
                a.bytes(4, &vec![b'x'; padding]);
            });
        })
    };
    let rest = 2 * result(id, 0x65, 0).len();
    // What is around the padding has the same size for all that are this long.
    let around = of(limits::DIRECTORY_BYTES - 1_000).len() - (limits::DIRECTORY_BYTES - 1_000);
    let entry = of(limits::DIRECTORY_BYTES - rest - around + more);
    assert_eq!(entry.len() + rest, limits::DIRECTORY_BYTES + more);
    [entry, result(id, 0x65, 0)].concat()
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_agree_on_tls_is_waited_for_so_long_and_no_longer() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ldaps://{}", listener.local_addr().unwrap());
    let directory = Directory::new(DirectorySettings { check_peer: false, ..settings(&url) }).unwrap();
    let start = time::Instant::now();
    let known = directory.knows(Who { user: "anna", domain: "" }, "geheim").await;
    assert!(matches!(known, Err(NoAnswer::Late)));
    assert_eq!(start.elapsed(), limits::DIRECTORY_CONNECT);
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_is_not_there_and_not_when_it_says_no() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (url, _) = serve(town);
    let mut both = settings(&format!("ldap://{gone}"));
    both.urls.push(url);
    assert_eq!(knows(&Directory::new(both).unwrap(), "anna", "geheim").await, Ok(true));
    let alone = Directory::new(settings(&format!("ldap://{gone}"))).unwrap();
    assert!(knows(&alone, "anna", "geheim").await.is_err());
}

/// Others took what was said before TLS for said after it.
#[tokio::test]
async fn nothing_is_said_before_tls_begins_and_nothing_that_came_before_counts() {
    let (url, heard) = serve(|id, tag, _| match tag {
        0x77 => [result(id, 0x78, 0), result(1, 0x61, 0)].concat(),
        _ => Vec::new(),
    });
    let directory = Directory::new(DirectorySettings { start_tls: true, ..settings(&url) }).unwrap();
    assert!(knows(&directory, "anna", "geheim").await.is_err());
    let (refuses, heard_too) = serve(|id, _, _| result(id, 0x78, 2));
    let directory = Directory::new(DirectorySettings { start_tls: true, ..settings(&refuses) }).unwrap();
    assert!(knows(&directory, "anna", "geheim").await.unwrap_err().contains('2'));
    for heard in [heard, heard_too] {
        let heard = heard.lock().unwrap();
        let said = |words: &[u8]| heard.windows(words.len()).any(|w| w == words);
        assert!(!said(b"geheim") && !said(b"lesen") && !said(b"anna"));
    }
}

#[test]
fn what_no_directory_can_be_asked_by_stops_the_start() {
    let error = |change: &dyn Fn(&mut DirectorySettings)| {
        let mut s = settings("ldap://directory.example");
        change(&mut s);
        Directory::new(s).unwrap_err()
    };
    for url in ["", "directory.example", "http://a", "ldap://", "ldap://a@b", "ldap://a/dc=x", "ldapi:///x"] {
        assert_eq!(error(&|s| s.urls = vec![url.to_owned()]), DirectoryError::Url, "{url}");
    }
    assert_eq!(error(&|s| s.urls.clear()), DirectoryError::Url);
    assert_eq!(error(&|s| (s.urls[0], s.start_tls) = ("ldaps://a".into(), true)), DirectoryError::StartTls);
    assert_eq!(error(&|s| s.filter = "uid=*".into()), FilterError::Everybody.into());
    assert_eq!(error(&|s| s.moderators = Some("chairs".into())), GroupError::Name.into());
    assert_eq!(
        error(&|s| (s.moderators, s.fastbind) = (Some("cn=chairs,dc=town".into()), true)),
        GroupError::Fastbind.into()
    );
    assert_eq!(
        error(&|s| (s.recheck, s.fastbind) = (Some(Duration::from_secs(1)), true)),
        DirectoryError::Recheck
    );
    assert_eq!(error(&|s| s.bind = Some(("cn=x".into(), Sensitive::default()))), DirectoryError::Password);
    assert_eq!(
        error(&|s| (s.start_tls, s.roots) = (true, Some("/nonexistent".into()))),
        DirectoryError::Roots
    );
    let of = |url: &str| Directory::new(settings(url)).unwrap();
    assert!(of("ldap://directory.example").is_plain());
    assert!(!of("ldap://127.0.0.1:389").is_plain() && !of("ldap://[::1]/").is_plain());
    assert!(!format!("{:?}", of("ldap://a")).contains("lesen"));
}

#[tokio::test(start_paused = true)]
async fn so_many_ask_at_a_time_and_who_gets_no_answer_may_come_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ldap://{}", listener.local_addr().unwrap());
    let (hears, asked) = crate::accounts::queue();
    let (inputs, mut received) = mpsc::channel(64);
    let directory = Arc::new(Directory::new(settings(&url)).unwrap());
    tokio::spawn(look(directory, "town.example".into(), asked, inputs));
    for n in 0..=limits::DIRECTORY_CONNECTIONS as u64 {
        let question = prosody_core::AccountQuestion {
            jid: "anna@town.example".parse().unwrap(),
            proof: Proof::Password("geheim".to_owned().into()),
        };
        let look = Look { conn: prosody_core::ConnId(n), id: prosody_core::QuestionId(n), question };
        hears.send(look).await.unwrap();
    }
    // Nobody says anything: all places are taken, and the last login waits for one.
    let start = time::Instant::now();
    let mut answers = Vec::new();
    while answers.len() <= limits::DIRECTORY_CONNECTIONS {
        match received.recv().await.unwrap() {
            Input::Account { answer, .. } => answers.push((answer, start.elapsed())),
            other => panic!("{other:?}"),
        }
    }
    assert!(answers.iter().all(|(a, _)| *a == AccountAnswer::Unavailable));
    let first = answers[0].1;
    let late = answers.iter().filter(|(_, at)| *at >= 2 * first).count();
    assert_eq!(late, 1, "{answers:?}");
}

/// What a directory that is asked again leads to: who is in, and who has to go, in order.
async fn ended(url: &str, base: &str, in_use: &[&str]) -> Vec<String> {
    let every = Duration::from_secs(1);
    let settings = DirectorySettings { recheck: Some(every), base: base.into(), ..settings(url) };
    let (_hears, asked) = crate::accounts::queue();
    let (inputs, mut received) = mpsc::channel(64);
    let directory = Arc::new(Directory::new(settings).unwrap());
    tokio::spawn(look(directory, "town.example".into(), asked, inputs));
    let (mut ended, mut rounds) = (Vec::new(), 0);
    while let Some(input) = received.recv().await {
        match input {
            Input::AccountsInUse { .. } if rounds == 2 => break,
            Input::AccountsInUse { reply } => {
                rounds += 1;
                reply.send(in_use.iter().map(|jid| jid.parse().unwrap()).collect()).unwrap();
            }
            Input::AccountEnded { jid, why: prosody_core::AccountEnd::Deleted } => {
                ended.push(jid.as_str().to_owned())
            }
            other => panic!("{other:?}"),
        }
    }
    ended
}

#[tokio::test]
async fn who_is_not_found_any_more_goes_and_nobody_goes_while_the_directory_does_not_say() {
    let those = ["anna@town.example", "emil@town.example", "karl@town.example", "karl@other.example"];
    let (url, heard) = serve(town);
    assert_eq!(ended(&url, "dc=town", &those).await, ["karl@town.example"; 2], "emil is two");
    assert!(!heard.lock().unwrap().windows(8).any(|w| w == b"\x80\x06geheim"), "nobody's password is tried");
    // It refuses who looks; it says that nothing is there at all; it is busy; it is away.
    let refuses = serve(|id, tag, _| result(id, if tag == 0x60 { 0x61 } else { 0x65 }, 49)).0;
    let empty =
        serve(|id, tag, inner| if tag == 0x63 { result(id, 0x65, 32) } else { town(id, tag, inner) }).0;
    let busy =
        serve(|id, tag, inner| if tag == 0x63 { result(id, 0x65, 51) } else { town(id, tag, inner) }).0;
    let away = format!("ldap://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    for url in [refuses, empty, busy, away] {
        assert_eq!(ended(&url, "dc=town", &those[..3]).await, [""; 0], "{url}");
    }
}

/// Not all at once, and none twice.
#[tokio::test(start_paused = true)]
async fn those_who_are_in_are_asked_about_one_after_the_other_over_the_time_there_is() {
    let (hears, asked) = crate::accounts::queue();
    let (inputs, mut received) = mpsc::channel(64);
    let away = format!("ldap://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let settings = DirectorySettings { recheck: Some(Duration::from_secs(600)), ..settings(&away) };
    tokio::spawn(look(Arc::new(Directory::new(settings).unwrap()), "town.example".into(), asked, inputs));
    let start = time::Instant::now();
    let mut rounds = Vec::new();
    while rounds.len() < 3 {
        match received.recv().await.unwrap() {
            Input::AccountsInUse { reply } => {
                rounds.push(start.elapsed().as_secs());
                reply.send(["a@town.example", "b@town.example"].map(|j| j.parse().unwrap()).into()).unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
    // With what the questions themselves take.
    assert!(
        rounds[0] == 0 && (600..=612).contains(&rounds[1]) && (1_200..=1_224).contains(&rounds[2]),
        "{rounds:?}"
    );
    // Another configuration: who logs in now is heard elsewhere, and this one asks no more.
    drop(hears);
    assert!(received.recv().await.is_none());
}
