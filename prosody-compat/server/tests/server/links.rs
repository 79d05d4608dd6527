//! The roles' own client, over TCP and in process.

use std::time::Duration;

use jitsi_xmpp::{Element, Jid, Sensitive, iq, ns};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use xmpp_link::{Link, LinkConfig, LinkEvent, TlsMode};

use crate::harness::{ROOM, TestServer, Ws};

fn bridge(server: &TestServer) -> LinkConfig {
    LinkConfig {
        address: server.tcp().to_string(),
        domain: "auth.meet.jitsi".into(),
        username: "jvb".into(),
        password: Sensitive::new("bridge-secret".into()),
        resource: "one".into(),
        tls: TlsMode::Required,
        verify_certificate: false,
        resume_within: None,
    }
}

async fn next(link: &mut Link) -> LinkEvent {
    timeout(Duration::from_secs(10), link.recv()).await.expect("an event").expect("a link")
}

async fn stanza(link: &mut Link, wanted: impl Fn(&Element) -> bool) -> Element {
    loop {
        match next(link).await {
            LinkEvent::Stanza(stanza) if wanted(&stanza) => return stanza,
            LinkEvent::Down { reason } => panic!("down: {reason}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_bridge_logs_in_over_tls_and_meets_others_in_the_brewery() {
    let server = TestServer::start().await;
    let mut one = Link::connect(bridge(&server));
    let LinkEvent::Up { jid, resumed: false } = next(&mut one).await else { panic!("up") };
    assert_eq!(jid.as_str(), "jvb@auth.meet.jitsi/one");
    let join = |nick: &str| {
        Element::new("presence", ns::CLIENT)
            .with_attr("to", format!("jvbbrewery@internal-muc.meet.jitsi/{nick}"))
            .with_child(Element::new("x", ns::MUC))
    };
    one.send(&join("one")).unwrap();
    stanza(&mut one, |s| s.to_xml().contains("code=\"110\"")).await;
    let focus: Jid = "focus@auth.meet.jitsi/focus".parse().unwrap();
    let (mut focus, end) = Link::in_process(focus.to_full().unwrap(), 100);
    server.handle.attach_in_process(end).await.unwrap();
    focus.send(&join("focus")).unwrap();
    stanza(&mut focus, |s| s.attr("from") == Some("jvbbrewery@internal-muc.meet.jitsi/one")).await;
    let to: Jid = "jvbbrewery@internal-muc.meet.jitsi/one".parse().unwrap();
    focus.send(&iq::request("get", &to, "c1", Element::new("conference-modify", ns::COLIBRI2))).unwrap();
    let asked = stanza(&mut one, |s| s.name() == "iq" && s.attr("type") == Some("get")).await;
    one.send(&iq::result(&asked, None)).unwrap();
    stanza(&mut focus, |s| s.attr("id") == Some("c1") && s.attr("type") == Some("result")).await;
    one.close().await;
    stanza(&mut focus, |s| s.attr("type") == Some("unavailable")).await;
}

#[tokio::test]
async fn a_goodbye_over_tcp_is_heard_although_answers_are_still_under_way() {
    let server = TestServer::start().await;
    let to: Jid = "auth.meet.jitsi".parse().unwrap();
    for _ in 0..20 {
        let mut link = Link::connect(bridge(&server));
        assert!(matches!(next(&mut link).await, LinkEvent::Up { .. }));
        for id in 0..50 {
            let ping = iq::request("get", &to, &format!("p{id}"), Element::new("ping", ns::PING));
            link.send(&ping).unwrap();
        }
        link.close().await;
    }
    server.until("nobody waits to be resumed", |s| s.now.sessions == 0 && s.now.hibernating == 0).await;
}

#[tokio::test]
async fn no_login_without_encryption_and_none_with_a_wrong_password() {
    let server = TestServer::start().await;
    let mut plain = Link::connect(LinkConfig { tls: TlsMode::Off, ..bridge(&server) });
    assert!(matches!(next(&mut plain).await, LinkEvent::Down { .. }));
    let wrong = LinkConfig { password: Sensitive::new("guess".into()), ..bridge(&server) };
    let mut wrong = Link::connect(wrong);
    let LinkEvent::Down { reason } = next(&mut wrong).await else { panic!("down") };
    assert!(reason.contains("not-authorized"), "{reason}");
}

#[tokio::test]
async fn a_link_comes_back_when_its_connection_is_cut() {
    let server = TestServer::start().await;
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = proxy.local_addr().unwrap().to_string();
    let tcp = server.tcp();
    let (cut, mut cut_now) = tokio::sync::mpsc::channel::<()>(1);
    tokio::spawn(async move {
        loop {
            let (mut near, _) = proxy.accept().await.unwrap();
            let mut far = TcpStream::connect(tcp).await.unwrap();
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                _ = cut_now.recv() => {}
            }
        }
    });
    let mut link = Link::connect(LinkConfig { address, ..bridge(&server) });
    assert!(matches!(next(&mut link).await, LinkEvent::Up { resumed: false, .. }));
    cut.send(()).await.unwrap();
    loop {
        if matches!(next(&mut link).await, LinkEvent::Down { .. }) {
            break;
        }
    }
    let to: Jid = "auth.meet.jitsi".parse().unwrap();
    link.send(&iq::request("get", &to, "while-down", Element::new("ping", ns::PING))).unwrap();
    assert!(matches!(next(&mut link).await, LinkEvent::Up { resumed: true, .. }));
    stanza(&mut link, |s| s.attr("id") == Some("while-down") && s.attr("type") == Some("result")).await;
}

#[tokio::test]
async fn a_conference_request_reaches_the_focus_and_its_answer_the_client() {
    let server = TestServer::start().await;
    server.focus(ROOM).await;
    let mut anna = Ws::session(&server).await;
    anna.send(&format!(
        "<iq xmlns=\"jabber:client\" to=\"focus.meet.jitsi\" type=\"set\" id=\"c\">\
         <conference xmlns=\"http://jitsi.org/protocol/focus\" room=\"{ROOM}\"/></iq>"
    ))
    .await;
    let answer = anna.expect("id=\"c\"").await;
    assert!(answer.contains("ready=\"true\"") && answer.contains("from=\"focus.meet.jitsi\""), "{answer}");
}

/// Before TLS nothing but STARTTLS is offered, and what was sent in the clear after it is not taken over.
#[tokio::test]
async fn starttls_drops_what_came_in_the_clear() {
    let server = TestServer::start().await;
    let mut socket = TcpStream::connect(server.tcp()).await.unwrap();
    let header = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='auth.meet.jitsi' \
                  xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";
    socket.write_all(header.as_bytes()).await.unwrap();
    let mut heard = String::new();
    let mut chunk = [0; 4096];
    while !heard.contains("</stream:features>") {
        let n = timeout(Duration::from_secs(5), socket.read(&mut chunk)).await.unwrap().unwrap();
        heard.push_str(std::str::from_utf8(&chunk[..n]).unwrap());
    }
    assert!(heard.contains("starttls") && !heard.contains("<mechanism"), "{heard}");
    let injected = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\
        <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp2YgBicmlkZ2Utc2VjcmV0</auth>";
    socket.write_all(injected.as_bytes()).await.unwrap();
    let mut rest = Vec::new();
    let _ = timeout(Duration::from_millis(500), socket.read_to_end(&mut rest)).await;
    drop(socket);
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.contains("<proceed") && !rest.contains("<success") && !rest.contains("<failure"), "{rest}");
    server.until("the failed handshake counted", |s| s.shell.tls_failed == 1 && s.now.connections == 0).await;
}
