//! A link against a scripted server on loopback: what it says, what it makes of the answers, and how it comes back.

use std::time::Duration;

use jitsi_xmpp::{Element, Sensitive, ns};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use xmpp_link::{Link, LinkConfig, LinkEvent, LinkFull, TlsMode, limits};

/// A server that says what it is told and waits for what it expects.
struct Script {
    listener: TcpListener,
}

struct Peer {
    socket: TcpStream,
    heard: String,
}

impl Script {
    async fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    fn config(&self) -> LinkConfig {
        LinkConfig {
            address: self.listener.local_addr().unwrap().to_string(),
            domain: "auth.meet.jitsi".into(),
            username: "jvb".into(),
            password: Sensitive::new("secret".into()),
            resource: "r".into(),
            tls: TlsMode::IfOffered,
            verify_certificate: true,
            resume_within: None,
        }
    }

    async fn peer(&self) -> Peer {
        let accepted = timeout(Duration::from_secs(10), self.listener.accept()).await;
        Peer { socket: accepted.expect("a connection").unwrap().0, heard: String::new() }
    }

    /// A connection up to the second features.
    async fn logged_in(&self) -> Peer {
        let mut peer = self.peer().await;
        peer.header(
            "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>",
        )
        .await;
        // \0jvb\0secret
        peer.expect("mechanism=\"PLAIN\">AGp2YgBzZWNyZXQ=</auth>").await;
        peer.say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").await;
        peer.header(
            "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='urn:xmpp:sm:3'><optional/></sm>\
             <session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>",
        )
        .await;
        peer
    }

    /// A connection with a new session.
    async fn bound(&self) -> Peer {
        let mut peer = self.logged_in().await;
        peer.bind().await;
        peer
    }
}

impl Peer {
    async fn expect(&mut self, what: &str) -> String {
        let mut chunk = [0; 4096];
        loop {
            if let Some(at) = self.heard.find(what) {
                let rest = self.heard.split_off(at + what.len());
                return std::mem::replace(&mut self.heard, rest);
            }
            let n = timeout(Duration::from_secs(5), self.socket.read(&mut chunk)).await;
            let n = n.unwrap_or_else(|_| panic!("waiting for {what}, heard {}", self.heard)).unwrap();
            assert!(n > 0, "closed before {what}, heard {}", self.heard);
            self.heard.push_str(std::str::from_utf8(&chunk[..n]).unwrap());
        }
    }

    async fn say(&mut self, what: &str) {
        self.socket.write_all(what.as_bytes()).await.unwrap();
    }

    async fn header(&mut self, features: &str) {
        self.expect("to='auth.meet.jitsi'>").await;
        self.say(&format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams' id='1' version='1.0'>\
             <stream:features>{features}</stream:features>"
        ))
        .await;
    }

    async fn bind(&mut self) {
        self.bind_and_see("<enable xmlns=\"urn:xmpp:sm:3\" resume=\"true\"/>").await;
    }

    async fn bind_and_see(&mut self, enable: &str) {
        let asked = self.expect("</iq>").await;
        assert!(asked.contains("<resource>r</resource>"), "{asked}");
        let id = asked.split("id=\"").nth(1).unwrap().split('"').next().unwrap();
        // A push before the bind result, as Jitsi's servers do.
        self.say(&format!(
            "<message from='meet.jitsi'><body>early</body></message>\
             <iq type='result' id='{id}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <jid>jvb@auth.meet.jitsi/r</jid></bind></iq>"
        ))
        .await;
        self.expect(enable).await;
        self.say("<enabled xmlns='urn:xmpp:sm:3' id='sm1' resume='true' max='60'/>").await;
        self.expect("<presence xmlns='jabber:client'/>").await;
    }
}

async fn next(link: &mut Link) -> LinkEvent {
    timeout(Duration::from_secs(15), link.recv()).await.expect("an event").expect("a link")
}

async fn up(link: &mut Link) -> bool {
    match next(link).await {
        LinkEvent::Up { resumed, jid } => {
            assert_eq!(jid.as_str(), "jvb@auth.meet.jitsi/r");
            resumed
        }
        other => panic!("{other:?}"),
    }
}

async fn down(link: &mut Link) -> String {
    match next(link).await {
        LinkEvent::Down { reason } => reason,
        other => panic!("{other:?}"),
    }
}

const MOMENT: Duration = Duration::from_secs(6);

fn message(id: &str) -> Element {
    Element::new("message", ns::CLIENT).with_attr("id", id)
}

#[tokio::test]
async fn a_session_comes_up_carries_stanzas_and_ends_cleanly() {
    let script = Script::new().await;
    let mut link = Link::connect(script.config());
    let mut peer = script.bound().await;
    assert!(!up(&mut link).await);
    assert!(matches!(next(&mut link).await, LinkEvent::Stanza(m) if m.name() == "message"), "the early push");
    link.send(&message("m1")).unwrap();
    peer.expect("<message xmlns=\"jabber:client\" id=\"m1\"/>").await;
    peer.say("<iq id='i1' type='get'><ping xmlns='urn:xmpp:ping'/></iq><r xmlns='urn:xmpp:sm:3'/>").await;
    assert!(matches!(next(&mut link).await, LinkEvent::Stanza(iq) if iq.attr("id") == Some("i1")));
    // The early push came before `enabled` and does not count.
    peer.expect("<a xmlns=\"urn:xmpp:sm:3\" h=\"1\"/>").await;
    link.send(&message("last")).unwrap();
    link.close().await;
    let rest = peer.expect("</stream:stream>").await;
    assert!(rest.contains("id=\"last\""), "what was queued is still sent: {rest}");
}

#[tokio::test]
async fn a_lost_connection_is_resumed_and_nothing_is_lost() {
    let script = Script::new().await;
    let mut link = Link::connect(script.config());
    let mut peer = script.bound().await;
    up(&mut link).await;
    next(&mut link).await;
    link.send(&message("m1")).unwrap();
    link.send(&message("m2")).unwrap();
    peer.expect("id=\"m2\"/>").await;
    peer.say("<message id='s1'/>").await;
    next(&mut link).await;
    drop(peer);
    down(&mut link).await;
    link.send(&message("m3")).unwrap();

    let mut peer = script.logged_in().await;
    peer.expect("<resume xmlns=\"urn:xmpp:sm:3\" h=\"1\" previd=\"sm1\"/>").await;
    // The presence and m1 have arrived, m2 has not.
    peer.say("<resumed xmlns='urn:xmpp:sm:3' h='2' previd='sm1'/>").await;
    assert!(up(&mut link).await);
    let sent = peer.expect("id=\"m3\"/>").await;
    assert_eq!(
        sent,
        "<message xmlns=\"jabber:client\" id=\"m2\"/><message xmlns=\"jabber:client\" id=\"m3\"/>"
    );
}

/// A server that keeps it for no longer than this must not find it too late.
#[tokio::test]
async fn a_session_to_be_kept_for_a_second_is_asked_for_and_back_within_it() {
    let script = Script::new().await;
    let within = Some(Duration::from_secs(1));
    let mut link = Link::connect(LinkConfig { resume_within: within, ..script.config() });
    let mut peer = script.logged_in().await;
    peer.bind_and_see("<enable xmlns=\"urn:xmpp:sm:3\" resume=\"true\" max=\"1\"/>").await;
    up(&mut link).await;
    next(&mut link).await;
    drop(peer);
    let lost = tokio::time::Instant::now();
    down(&mut link).await;
    let mut peer = script.logged_in().await;
    peer.expect("<resume xmlns=\"urn:xmpp:sm:3\" h=\"0\" previd=\"sm1\"/>").await;
    assert!(lost.elapsed() < Duration::from_millis(900), "{:?}", lost.elapsed());
}

#[tokio::test]
async fn a_session_that_is_handed_over_goes_on_in_another_link_and_nothing_is_lost() {
    let script = Script::new().await;
    let mut link = Link::connect(script.config());
    let mut peer = script.bound().await;
    up(&mut link).await;
    link.send(&message("m1")).unwrap();
    peer.expect("id=\"m1\"/>").await;
    peer.say("<message id='s1'/><r xmlns='urn:xmpp:sm:3'/>").await;
    peer.expect("<a xmlns=\"urn:xmpp:sm:3\" h=\"1\"/>").await;
    link.send(&message("m2")).unwrap();
    let (stanzas, session) = link.hand_over().await;
    let session = session.expect("the server resumes");
    let ids: Vec<_> = stanzas.iter().map(|s| s.attr("id")).collect();
    assert_eq!(ids, [None, Some("s1")], "what nobody has seen yet, the early push too");
    assert_eq!((session.received, session.acked, session.unacked.len()), (1, 0, 3));
    assert!(!format!("{session:?}").contains("sm1"), "{session:?}");
    let mut rest = String::new();
    peer.socket.read_to_string(&mut rest).await.unwrap();
    assert!(!rest.contains("</stream:stream>"), "the session does not end: {rest}");

    let mut link = Link::succeed(script.config(), Some(session), false);
    let mut peer = script.logged_in().await;
    peer.expect("<resume xmlns=\"urn:xmpp:sm:3\" h=\"1\" previd=\"sm1\"/>").await;
    peer.say("<resumed xmlns='urn:xmpp:sm:3' h='2' previd='sm1'/>").await;
    assert!(up(&mut link).await);
    link.send(&message("m3")).unwrap();
    let sent = peer.expect("id=\"m3\"/>").await;
    assert!(sent.contains("id=\"m2\"") && !sent.contains("id=\"m1\""), "{sent}");
}

#[tokio::test]
async fn who_keeps_what_it_does_has_received_only_what_is_kept() {
    let script = Script::new().await;
    let mut link = Link::succeed(script.config(), None, true);
    let mut peer = script.bound().await;
    up(&mut link).await;
    next(&mut link).await;
    peer.say("<message id='s1'/><r xmlns='urn:xmpp:sm:3'/>").await;
    peer.expect("<a xmlns=\"urn:xmpp:sm:3\" h=\"0\"/>").await;
    link.send(&message("m1")).unwrap();
    link.checkpoint().unwrap();
    link.send(&message("m2")).unwrap();
    assert!(matches!(next(&mut link).await, LinkEvent::Stanza(s) if s.attr("id") == Some("s1")));
    let LinkEvent::Checkpoint(session) = next(&mut link).await else { panic!("a checkpoint") };
    // The presence and the first message; the second comes after the mark.
    assert_eq!((session.received, session.unacked.len()), (1, 2));
    link.is_kept(session.received);
    peer.expect("<a xmlns=\"urn:xmpp:sm:3\" h=\"1\"/>").await;
    drop(peer);
    down(&mut link).await;

    // Somebody else goes on after its death; the server has seen what came after the mark as well.
    drop(link);
    let mut link = Link::succeed(script.config(), Some(session), true);
    let mut peer = script.logged_in().await;
    peer.expect("h=\"1\" previd=\"sm1\"/>").await;
    peer.say(
        "<resumed xmlns='urn:xmpp:sm:3' h='3' previd='sm1'/><message id='s2'/><r xmlns='urn:xmpp:sm:3'/>",
    )
    .await;
    assert!(up(&mut link).await);
    link.send(&message("m4")).unwrap();
    peer.expect("<a xmlns=\"urn:xmpp:sm:3\" h=\"1\"/>").await;
    let sent = peer.expect("id=\"m4\"/>").await;
    assert!(!sent.contains("id=\"m1\""), "{sent}");
}

#[tokio::test]
async fn a_session_that_waits_is_hurried_for() {
    let script = Script::new().await;
    let mut link = Link::connect(script.config());
    let peer = script.bound().await;
    up(&mut link).await;
    next(&mut link).await;
    drop(peer);
    let began = tokio::time::Instant::now();
    for n in 1..=4 {
        drop(script.peer().await);
        let most = limits::BACKOFF_RESUMABLE * n + Duration::from_millis(500);
        assert!(began.elapsed() < most, "attempt {n} after {:?}", began.elapsed());
    }
}

/// Counters that cannot be, from whoever wrote them: the session begins anew, and not ever again.
#[tokio::test]
async fn a_server_that_ends_the_stream_over_an_inherited_session_gets_a_new_one() {
    let script = Script::new().await;
    let session = xmpp_link::Resumption {
        jid: "jvb@auth.meet.jitsi/r".parse().unwrap(),
        id: "sm1".into(),
        received: 99,
        acked: 0,
        unacked: Vec::new(),
    };
    let mut link = Link::succeed(script.config(), Some(session), false);
    let mut peer = script.logged_in().await;
    peer.expect("h=\"99\" previd=\"sm1\"/>").await;
    peer.say("<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>").await;
    down(&mut link).await;
    let _peer = script.bound().await;
    assert!(!up(&mut link).await);
}

#[tokio::test]
async fn a_session_the_server_has_forgotten_is_replaced_by_a_new_one() {
    let script = Script::new().await;
    let mut link = Link::connect(script.config());
    let peer = script.bound().await;
    up(&mut link).await;
    next(&mut link).await;
    drop(peer);
    down(&mut link).await;
    link.send(&message("stale")).unwrap();

    let mut peer = script.logged_in().await;
    peer.expect("previd=\"sm1\"/>").await;
    peer.say(
        "<failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
    )
    .await;
    peer.bind().await;
    assert!(!up(&mut link).await);
    next(&mut link).await;
    link.send(&message("fresh")).unwrap();
    let sent = peer.expect("id=\"fresh\"/>").await;
    assert!(!sent.contains("stale"), "{sent}");
}

#[tokio::test]
async fn refusals_say_why_and_are_tried_again() {
    let script = Script::new().await;
    let mut link = Link::connect(script.config());
    let mut peer = script.peer().await;
    peer.header(
        "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>",
    )
    .await;
    peer.expect("</auth>").await;
    peer.say("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>").await;
    assert_eq!(down(&mut link).await, "authentication failed: not-authorized");

    let mut peer = script.peer().await;
    peer.header(
        "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>X-ELSE</mechanism></mechanisms>",
    )
    .await;
    assert_eq!(down(&mut link).await, "no usable SASL mechanism offered");

    let mut peer = script.peer().await;
    peer.expect("to='auth.meet.jitsi'>").await;
    peer.say("<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams'>").await;
    peer.say("<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>")
        .await;
    assert_eq!(down(&mut link).await, "stream error host-unknown");
}

#[tokio::test]
async fn a_required_encryption_that_is_not_offered_ends_the_attempt() {
    let script = Script::new().await;
    let mut link = Link::connect(LinkConfig { tls: TlsMode::Required, ..script.config() });
    let mut peer = script.peer().await;
    peer.header(
        "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>",
    )
    .await;
    assert_eq!(down(&mut link).await, "server does not offer STARTTLS");
    assert!(!peer.heard.contains("AGp2"), "no password in the clear");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_down_and_waited_for() {
    let script = Script::new().await;
    let config = script.config();
    drop(script);
    let mut link = Link::connect(config.clone());
    assert!(down(&mut link).await.starts_with("network: "));
    let listener = TcpListener::bind(&config.address).await.unwrap();
    Script { listener }.bound().await;
    assert!(!up(&mut link).await);
}

#[tokio::test]
async fn an_oversized_stanza_costs_the_connection_and_a_broken_one_only_itself() {
    let script = Script::new().await;
    let mut link = Link::connect(script.config());
    let mut peer = script.bound().await;
    up(&mut link).await;
    next(&mut link).await;
    peer.say("<message id='a'><x:y/></message><message id='b'/>").await;
    assert!(matches!(next(&mut link).await, LinkEvent::Stanza(m) if m.attr("id") == Some("b")));
    let most = limits::RECEIVED.max_bytes;
    let mut large = String::from("<message id='c'><body>");
    large.push_str(&"x".repeat(most - large.len() - "</body></message>".len()));
    large.push_str("</body></message>");
    assert_eq!(large.len(), most);
    peer.say(&large).await;
    assert!(matches!(next(&mut link).await, LinkEvent::Stanza(m) if m.attr("id") == Some("c")));
    let _ = peer.socket.write_all(large.replace("id='c'", "id='cd'").as_bytes()).await;
    assert_eq!(down(&mut link).await, "broken stream: element too large");
}

#[tokio::test]
async fn a_stanza_nested_as_deep_as_its_sender_likes_costs_only_what_is_in_it() {
    let script = Script::new().await;
    let mut link = Link::connect(script.config());
    let mut peer = script.bound().await;
    up(&mut link).await;
    assert!(matches!(next(&mut link).await, LinkEvent::Stanza(_)), "the early one");
    let deep = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
    let most = limits::RECEIVED.max_depth - 1;
    let presence = |kind: &str, inner: &str| format!("<presence from='r@m/evil'{kind}>{inner}</presence>");
    peer.say(&presence("", &deep(most))).await;
    let LinkEvent::Stanza(whole) = next(&mut link).await else { panic!("no stanza") };
    assert!(whole.first_child().is_some());
    // Deeper, wider, with more attributes: nobody hears of it, but the leave is one, and the request is answered.
    for inner in [deep(most + 1), deep(5_000), "<a/>".repeat(60_000), format!("<a{}/>", many_attributes())] {
        peer.say(&presence("", &inner)).await;
        peer.say(&presence(" type='unavailable'", &inner)).await;
        let LinkEvent::Stanza(leave) = next(&mut link).await else { panic!("no leave") };
        assert_eq!((leave.attr("type"), leave.attr("from")), (Some("unavailable"), Some("r@m/evil")));
        assert!(leave.first_child().is_none());
        peer.say(&format!("<iq type='set' id='q' from='r@m/evil'>{inner}</iq>")).await;
        let LinkEvent::Stanza(request) = next(&mut link).await else { panic!("no request") };
        assert_eq!((request.name(), request.attr("id")), ("iq", Some("q")));
    }
}

fn many_attributes() -> String {
    (0..70).map(|n| format!(" a{n}=''")).collect()
}

#[tokio::test]
async fn answers_come_before_a_flood_of_chat_which_does_not_stop_the_reading() {
    let script = Script::new().await;
    let mut link = Link::connect(script.config());
    let mut peer = script.bound().await;
    assert!(!up(&mut link).await);
    let chat = "<message type='groupchat' from='r@m/evil' to='f'><body>x</body></message>";
    for _ in 0..100 {
        timeout(Duration::from_secs(10), peer.say(&chat.repeat(1_000))).await.expect("is read");
    }
    peer.say("<iq type='result' id='c1' from='b@m/jvb' to='f'/><r xmlns='urn:xmpp:sm:3'/>").await;
    // All of it has been read, and counts as handled.
    peer.expect(" h=\"100001\"/>").await;
    for place in 0..=limits::EVENTS {
        if let LinkEvent::Stanza(stanza) = next(&mut link).await
            && stanza.attr("id") == Some("c1")
        {
            assert_eq!(place, limits::EVENTS, "only what was handed over already is before it");
            return;
        }
    }
    panic!("the answer waits behind the chat");
}

#[tokio::test]
async fn so_many_stanzas_wait_to_be_sent_and_not_one_more() {
    let script = Script::new().await;
    let link = Link::connect(script.config());
    // Nobody is there yet who takes any.
    for n in 0..limits::OUTGOING_STANZAS {
        assert_eq!(link.send(&message("a")), Ok(()), "{n}");
    }
    assert_eq!(link.send(&message("a")), Err(LinkFull::Full));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_accepts_and_says_nothing_is_waited_for_so_long_and_not_longer() {
    let script = Script::new().await;
    let start = tokio::time::Instant::now();
    let mut link = Link::connect(script.config());
    let Some(LinkEvent::Down { reason }) = link.recv().await else { panic!("it never came up") };
    assert!((limits::HANDSHAKE..limits::HANDSHAKE + MOMENT).contains(&start.elapsed()), "{reason}");
}

#[tokio::test]
async fn a_server_from_which_nothing_comes_between_two_pings_is_gone() {
    for answers in [0, 1] {
        let script = Script::new().await;
        let mut link = Link::connect(script.config());
        let mut peer = script.bound().await;
        assert!(!up(&mut link).await);
        assert!(matches!(next(&mut link).await, LinkEvent::Stanza(_)), "the early one");
        tokio::time::pause();
        let start = tokio::time::Instant::now();
        for _ in 0..answers {
            tokio::time::advance(limits::PING_EVERY).await;
            peer.expect("urn:xmpp:ping").await;
            // Any byte will do.
            peer.say("<message id='sign'/>").await;
            assert!(matches!(link.recv().await, Some(LinkEvent::Stanza(_))));
        }
        let Some(LinkEvent::Down { .. }) = link.recv().await else { panic!("it is gone") };
        let most = limits::PING_EVERY * (2 + answers);
        assert!((most - MOMENT..=most + MOMENT).contains(&start.elapsed()), "{:?}", start.elapsed());
        tokio::time::resume();
    }
}

#[tokio::test]
async fn what_was_received_before_the_connection_broke_is_delivered() {
    let script = Script::new().await;
    let mut link = Link::connect(script.config());
    let mut peer = script.bound().await;
    assert!(!up(&mut link).await);
    for n in 0..3_000 {
        peer.say(&format!("<presence from='r@m/{n}' to='f'/>")).await;
    }
    peer.say("<r xmlns='urn:xmpp:sm:3'/>").await;
    peer.expect(" h=\"3000\"/>").await;
    drop(peer);
    let mut got = 0;
    loop {
        match next(&mut link).await {
            LinkEvent::Stanza(stanza) => got += usize::from(stanza.name() == "presence"),
            LinkEvent::Down { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(got, 3_000);
}
