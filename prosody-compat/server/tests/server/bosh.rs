//! BOSH clients that behave, and a recorded one.

use std::time::Duration;

use jitsi_xmpp::Element;
use jitsi_xmpp::xml::parse;

use crate::harness::{ROOM, TestServer, Ws};

const NS: &str = "xmlns='http://jabber.org/protocol/httpbind'";

/// A client with one request at a time; what comes is collected.
struct Client<'a> {
    server: &'a TestServer,
    sid: String,
    rid: u64,
}

impl<'a> Client<'a> {
    async fn create(server: &'a TestServer) -> (Self, Element) {
        let create = format!("<body {NS} to='meet.jitsi' rid='1000' wait='60' hold='1' ver='1.6'/>");
        let answer = post(server, "/http-bind?room=town", &create).await;
        let sid = answer.attr("sid").expect("a session").to_owned();
        (Self { server, sid, rid: 1000 }, answer)
    }

    async fn post(&mut self, attrs: &str, content: &str) -> Element {
        self.rid += 1;
        let body = format!("<body {NS} rid='{}' sid='{}' {attrs}>{content}</body>", self.rid, self.sid);
        post(self.server, "/http-bind", &body).await
    }

    /// Asks until something with `what` comes.
    async fn expect(&mut self, content: &str, what: &str) -> String {
        let mut answer = self.post("", content).await;
        for _ in 0..20 {
            let text = answer.to_xml();
            if text.contains(what) {
                return text;
            }
            assert_ne!(answer.attr("type"), Some("terminate"), "{text}");
            answer = self.post("", "").await;
        }
        panic!("no {what}");
    }

    async fn session(server: &'a TestServer) -> (Self, String) {
        let (mut client, _) = Self::create(server).await;
        client
            .expect("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>", "<success ")
            .await;
        let restarted = client.post("xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart='true'", "").await;
        assert!(restarted.to_xml().contains("urn:ietf:params:xml:ns:xmpp-bind"), "{}", restarted.to_xml());
        let bind = "<iq type='set' id='b' xmlns='jabber:client'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
        let bound = client.expect(bind, "<jid>").await;
        let jid = bound.split("<jid>").nth(1).unwrap().split('<').next().unwrap().to_owned();
        (client, jid)
    }
}

async fn post(server: &TestServer, path: &str, body: &str) -> Element {
    let (status, head, answer) =
        server.http(&format!("POST {path} HTTP/1.1\r\nContent-Type: text/plain"), body).await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/xml; charset=utf-8"), "{head}");
    parse(answer.as_bytes()).unwrap_or_else(|e| panic!("{e}: {answer}"))
}

#[tokio::test]
async fn a_client_joins_talks_and_leaves_with_a_beacon() {
    let server = TestServer::start().await;
    server.focus(ROOM).await;
    let mut anna = Ws::session(&server).await;
    anna.join().await;
    let (mut ben, jid) = Client::session(&server).await;
    let nick = &jid[..8];
    let join = format!(
        "<presence xmlns='jabber:client' to='{ROOM}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    );
    ben.expect(&join, "code=\"110\"").await;
    anna.expect(&format!("from=\"{ROOM}/{nick}\"")).await;
    // Several stanzas in one body.
    let two = ["one", "two"].map(|t| {
        format!("<message xmlns='jabber:client' to='{ROOM}' type='groupchat'><body>{t}</body></message>")
    });
    ben.expect(&two.concat(), "<body>one</body>").await;
    anna.expect("<body>one</body>").await;
    anna.expect("<body>two</body>").await;
    server.until("one BOSH session", |s| s.bosh_sessions == 1).await;
    let ended = ben.post("type='terminate'", "<presence type='unavailable' xmlns='jabber:client'/>").await;
    assert_eq!(ended.attr("type"), Some("terminate"));
    anna.expect("type=\"unavailable\"").await;
    server.until("none left", |s| s.bosh_sessions == 0 && s.now.sessions == 2).await;
}

#[tokio::test]
async fn creation_says_the_terms_and_refusals_their_condition() {
    let server = TestServer::start().await;
    let (_, created) = Client::create(&server).await;
    for (name, value) in [
        ("wait", "60"),
        ("hold", "1"),
        ("requests", "2"),
        ("inactivity", "60"),
        ("polling", "5"),
        ("ver", "1.6"),
        ("secure", "true"),
        ("from", "meet.jitsi"),
        ("xmpp:version", "1.0"),
    ] {
        assert_eq!(created.attr(name), Some(value), "{name}");
    }
    assert_eq!(created.attr("authid"), created.attr("sid"));
    assert!(created.to_xml().contains("ANONYMOUS"));
    let refused = [
        (format!("<body {NS} rid='1' wait='60' to='other.host'/>"), "improper-addressing"),
        (format!("<body {NS} rid='1' wait='60'/>"), "improper-addressing"),
        (format!("<body {NS} rid='1' to='meet.jitsi'/>"), "bad-request"),
        (format!("<body {NS} rid='1' sid='nobody'/>"), "item-not-found"),
        ("no xml".to_owned(), "bad-request"),
    ];
    for (body, condition) in refused {
        let answer = post(&server, "/town/http-bind", &body).await;
        assert_eq!(
            (answer.attr("type"), answer.attr("condition")),
            (Some("terminate"), Some(condition)),
            "{body}"
        );
    }
    assert_eq!(server.http("GET /http-bind HTTP/1.1", "").await.0, 200);
    let (status, head, _) = server.http("OPTIONS /http-bind HTTP/1.1\r\nOrigin: https://meet", "").await;
    assert_eq!(status, 200);
    for field in [
        "access-control-allow-origin: https://meet",
        "access-control-allow-methods: get, options, post",
        "access-control-allow-headers: content-type",
        "access-control-max-age: 7200",
    ] {
        assert!(head.contains(field), "{field} in {head}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_counted() {
    let server = TestServer::start().await;
    let body = |bytes: usize| {
        let frame = format!("<body {NS} rid='1' sid='nobody'></body>");
        frame.replace("></", &format!("><a>{}</a></", "x".repeat(bytes - frame.len() - 7)))
    };
    let most = prosody_core::bosh::limits::BODY_BYTES;
    assert_eq!(post(&server, "/http-bind", &body(250_000)).await.attr("condition"), Some("item-not-found"));
    let (status, _, _) = server.http("POST /http-bind HTTP/1.1", &body(most + 1)).await;
    assert_eq!(status, 413);
    assert_eq!(server.handle.stats().shell.bosh_too_large, 1);
}

/// The requests a current client sent to upstream's server, sent to ours in the same order and pace.
#[tokio::test]
async fn compat_a_recorded_client_gets_through() {
    let server = TestServer::start().await;
    server.focus("riglzz92n@muc.meet.jitsi").await;
    let mut sid = String::new();
    let mut answers = Vec::new();
    for line in include_str!("../fixtures/bosh-anonymous-join.jsonl").lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        if line["dir"] != "c2s" || line["method"] != "POST" {
            continue;
        }
        let recorded = line["data"].as_str().unwrap().replace("abf3295f-f933-4912-8a6a-18602d081ade", &sid);
        let path = line["http"].as_str().unwrap().split_once("8443").unwrap().1.to_owned();
        let (head, http) = (format!("POST {path} HTTP/1.1"), server.http);
        if sid.is_empty() {
            let created = post(&server, &path, &recorded).await;
            sid = created.attr("sid").unwrap().to_owned();
            answers.push(created.to_xml());
            continue;
        }
        let one = TestServer { http, handle: server.handle.clone(), stop: server.stop.clone() };
        let request = tokio::spawn(async move { one.http(&head, &recorded).await });
        // A client waits for the login's answers, and for little after that.
        if answers.len() < 4 {
            answers.push(request.await.unwrap().2);
        } else {
            let collected = tokio::spawn(async move { request.await.unwrap() });
            tokio::time::sleep(Duration::from_millis(100)).await;
            tokio::spawn(collected);
        }
    }
    for (i, part) in ["<mechanism>ANONYMOUS", "<success", "<bind ", "<jid>"].into_iter().enumerate() {
        assert!(answers[i].contains(part), "{part} in {}", answers[i]);
    }
    // It said goodbye at the end.
    server.until("gone", |s| s.bosh_sessions == 0 && s.now.sessions == 1 && s.now.occupants == 1).await;
    let shell = server.handle.stats().shell;
    assert_eq!((shell.bosh_opened, shell.bosh_rid, shell.bosh_bad_request), (1, 0, 0));
}
