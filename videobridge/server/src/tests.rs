//! A whole bridge on loopback: real sockets, real HTTP, an in-process XMPP link.

mod parts;
mod ways;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use jitsi_xmpp::colibri2::{ConferenceModified, ConferenceModify};
use jitsi_xmpp::xml::parse;
use jitsi_xmpp::{Condition, Element, StanzaError, ns};
use serde_json::{Value, json};
use service::{Metrics, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::{Error, Message};
use xmpp_link::{Link, ServerEnd};

use crate::addresses::Machine;
use crate::{BridgeHandle, Config, Raw, TcpPorts, limits, start, start_on};

const ROOM: &str = "jvbbrewery@internal-muc.meet.jitsi";
const WAIT: Duration = Duration::from_secs(10);

struct Bridge {
    handle: BridgeHandle,
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
    http: SocketAddr,
}

impl Bridge {
    async fn start(threads: usize, link: Option<Link>) -> Self {
        Self::start_at("127.0.0.1:0", &[], threads, link).await
    }

    async fn start_at(media: &str, more: &[&str], threads: usize, link: Option<Link>) -> Self {
        Self::start_with(media, more, (threads, 0), link).await
    }

    /// `spread_above`: from so many people on newcomers may be on another thread.
    async fn start_with(
        media: &str,
        more: &[&str],
        (threads, spread_above): (usize, usize),
        link: Option<Link>,
    ) -> Self {
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = http.local_addr().unwrap();
        let raw = Raw {
            media: media.parse().unwrap(),
            more: more.iter().map(|ip| ip.parse().unwrap()).collect(),
            advertise: Vec::new(),
            tcp: Some(TcpPorts { own: 0, public: 0 }),
            inner: true,
            breweries: vec![ROOM.into()],
            nick: "jvb-1".into(),
            region: Some("de-west".into()),
            relay_id: Some("jvb-1".into()),
            web_socket_domains: vec![address.to_string()],
            web_socket_tls: false,
            threads,
            spread_above,
            gso: true,
            last_n: crate::LastN::default(),
        };
        let stop = watch::Sender::new(false);
        let config = Config::check(raw, &[], 2).unwrap();
        let (handle, task) = start(config, link, stop.subscribe()).await.unwrap();
        let router = handle.public_router().merge(handle.admin_router());
        let router = router.merge(handle.shutdown_router()).merge(handle.muc_client_router());
        tokio::spawn(async move { axum::serve(http, router).await });
        Self { handle, task, stop, http: address }
    }

    /// As the focus does.
    async fn ask(&self, modify: ConferenceModify) -> ConferenceModified {
        self.handle.control.colibri(modify, None).await.expect("a result")
    }

    async fn request(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.announced(method, path, body.len(), body).await
    }

    /// The same with the length that the head names.
    async fn announced(&self, method: &str, path: &str, len: usize, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.http).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n{body}",
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(WAIT, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    async fn json(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, text) = self.request(method, path, &body.to_string()).await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Everything ends when told, and in time.
    async fn end(self) {
        self.stop.send_replace(true);
        timeout(WAIT, self.task).await.expect("all threads end").unwrap();
    }
}

fn create(meeting: &str, endpoint: &str) -> Value {
    json!({
        "meeting-id": meeting,
        "name": "room@muc.meet.jitsi",
        "create": true,
        "endpoints": [{
            "id": endpoint,
            "create": true,
            "capabilities": ["source-names", "ssrc-rewriting"],
            "transport": {"ice-controlling": true, "sctp": {}},
        }],
    })
}

fn ice(answer: &Value) -> &Value {
    &answer["endpoints"][0]["transport"]["transport"]
}

/// Half of what a focus does to connect two bridges: `first` is the side that begins. Our side of it.
async fn relay(at: &Bridge, meeting: &str, first: bool) -> Value {
    let role = if first { "client" } else { "server" };
    let transport = json!({"ice-controlling": first, "use-unique-port": first, "sctp": {"role": role}});
    let relay = json!({"id": "other", "mesh-id": "0", "create": true, "transport": transport});
    let request = json!({
        "meeting-id": meeting,
        "name": "room@muc.meet.jitsi",
        "create": true,
        "relays": [relay],
    });
    let answer = at.json("POST", "/colibri/v2/conferences", &request).await;
    answer["relays"][0]["transport"]["transport"].clone()
}

/// A Binding request as a browser sends it: authenticated with the bridge's password. `n` makes it another one.
fn binding_request(n: u8, ufrag: &str, password: &str) -> Vec<u8> {
    let mut m = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    m.extend([n; 12]);
    let mut attribute = |kind: u16, value: &[u8]| {
        m.extend(kind.to_be_bytes());
        m.extend((value.len() as u16).to_be_bytes());
        m.extend(value);
        m.resize(m.len().next_multiple_of(4), 0);
    };
    attribute(0x0006, format!("{ufrag}:peer").as_bytes());
    attribute(0x0024, &[110, 0, 0, 1]);
    attribute(0x8029, &[1; 8]);
    // The length covers the integrity attribute that follows.
    let len = (m.len() - 20 + 24) as u16;
    m[2..4].copy_from_slice(&len.to_be_bytes());
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    let tag = hmac::sign(&key, &m);
    m.extend([0, 8, 0, 20]);
    m.extend(tag.as_ref());
    m
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_packets_reach_the_right_thread_wherever_the_kernel_puts_them() {
    for threads in [1, 3] {
        let bridge = Bridge::start(threads, None).await;
        let mut answers = 0;
        // As many conferences as threads, each with its own shard.
        for n in 0..threads {
            let answer =
                bridge.json("POST", "/colibri/v2/conferences", &create(&format!("m{n}"), "abcd")).await;
            let ice = ice(&answer);
            let candidate = &ice["candidates"][0];
            let port: u16 = candidate["port"].to_string().trim_matches('"').parse().unwrap();
            assert_eq!(candidate["ip"], "127.0.0.1");
            assert_ne!(port, 0, "the port the system chose is advertised");
            // The peer's credentials, so that requests are answered.
            let peer = json!({"endpoints": [{"id": "abcd", "transport": {"transport": {
                "xmlns": ns::JINGLE_ICE_UDP, "ufrag": "peer", "pwd": "peerpeerpeerpeerpeerpeer",
            }}}]});
            bridge.json("PATCH", &format!("/colibri/v2/conferences/m{n}"), &peer).await;
            let (ufrag, pwd) = (ice["ufrag"].as_str().unwrap(), ice["pwd"].as_str().unwrap());
            let sockets: Vec<_> = (0..8).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
            for (n, socket) in (1..).zip(&sockets) {
                socket.set_read_timeout(Some(WAIT)).unwrap();
                socket.send_to(&binding_request(n, ufrag, pwd), ("127.0.0.1", port)).unwrap();
            }
            answers += tokio::task::spawn_blocking(move || {
                let is_answer = |socket: &UdpSocket| {
                    let mut buf = [0; 1500];
                    // The bridge's own checks arrive, too.
                    (0..20).any(|_| socket.recv(&mut buf).is_ok_and(|len| len > 20 && buf[..2] == [1, 1]))
                };
                sockets.iter().filter(|s| is_answer(s)).count()
            })
            .await
            .unwrap();
        }
        assert_eq!(answers, 8 * threads);
        let (status, stats) = bridge.request("GET", "/colibri/stats", "").await;
        let stats: Value = serde_json::from_str(&stats).unwrap();
        assert_eq!((status, &stats["conferences"]), (200, &json!(threads)));
        let metrics = Metrics::new();
        let handle = bridge.handle.clone();
        metrics.add(move |out| handle.expose(out));
        let text = metrics.encode();
        assert!(text.contains(&format!("jitsi_jvb_conferences {threads}\n")), "{text}");
        if threads == 1 {
            assert!(text.contains("plausch_bridge_thread_total{event=\"handed_over\"} 0\n"), "{text}");
        }
        assert!(text.contains("plausch_bridge_thread_total{event=\"panics\"} 0\n"), "{text}");
        bridge.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_is_renewed_for_those_who_come_and_stays_for_those_who_are_there() {
    let bridge = Bridge::start(2, None).await;
    let fingerprint =
        |answer: &Value| ice(answer)["fingerprints"][0]["fingerprint"].as_str().unwrap().to_owned();
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..4 {
        let answer = bridge.json("POST", "/colibri/v2/conferences", &create(&format!("m{n}"), "abcd")).await;
        seen.insert(fingerprint(&answer));
    }
    assert_eq!(seen.len(), 1, "one for all threads");
    let (control, until) = (Arc::clone(&bridge.handle.control), bridge.stop.subscribe());
    tokio::spawn(crate::renew_certificate(control, Duration::from_millis(50), until));
    let mut n = 4;
    let renewed = timeout(WAIT, async {
        while seen.len() < 2 {
            n += 1;
            let answer =
                bridge.json("POST", "/colibri/v2/conferences", &create(&format!("m{n}"), "abcd")).await;
            seen.insert(fingerprint(&answer));
        }
    });
    renewed.await.expect("a new certificate");
    bridge.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rest_interface_answers_as_upstream() {
    let bridge = Bridge::start(1, None).await;
    let (status, body) = bridge.request("GET", "/about/health", "").await;
    assert_eq!((status, body.as_str()), (200, ""));
    assert_eq!(bridge.handle.health(), State::Healthy);
    let (_, version) = bridge.request("GET", "/about/version", "").await;
    assert!(version.contains(r#""name":"JVB""#), "{version}");

    let conferences = "/colibri/v2/conferences";
    let answer = bridge.json("POST", conferences, &create("m", "abcd")).await;
    assert_eq!(answer["sources"].as_array().unwrap().len(), 2, "feedback sources");
    // Any colibri error becomes 400; unknown conferences 404 by path.
    assert_eq!(bridge.request("POST", conferences, &create("m", "abcd").to_string()).await.0, 400);
    assert_eq!(bridge.request("POST", conferences, r#"{"meeting-id":"other"}"#).await.0, 400);
    assert_eq!(bridge.request("POST", conferences, "no json").await.0, 400);
    assert_eq!(bridge.request("PATCH", "/colibri/v2/conferences/other", "{}").await.0, 404);
    assert_eq!(bridge.request("GET", conferences, "").await.0, 501);
    let expire = json!({"endpoints": [{"id": "abcd", "expire": true}]});
    bridge.json("PATCH", "/colibri/v2/conferences/m", &expire).await;
    assert_eq!(
        bridge.request("PATCH", "/colibri/v2/conferences/m", "{}").await.0,
        404,
        "it went with its last"
    );

    for (path, on) in [("enable", true), ("disable", false)] {
        assert_eq!(bridge.request("POST", &format!("/colibri/drain/{path}"), "").await.0, 200);
        let (_, drain) = bridge.request("GET", "/colibri/drain", "").await;
        assert_eq!(serde_json::from_str::<Value>(&drain).unwrap(), json!({ "drain": on }));
    }
    bridge.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_bridges_have_several_conferences_together_each_over_a_port_of_its_own() {
    let bridges = [Bridge::start(1, None).await, Bridge::start(2, None).await];
    let meetings: Vec<String> = (0..5).map(|n| format!("m{n}")).collect();
    for meeting in &meetings {
        let mut ours = relay(&bridges[0], meeting, true).await;
        let mut theirs = relay(&bridges[1], meeting, false).await;
        ours["fingerprints"][0]["setup"] = json!("passive");
        theirs["fingerprints"][0]["setup"] = json!("active");
        for (at, other) in [(0, &theirs), (1, &ours)] {
            let update = json!({"relays": [{"id": "other", "transport": {"transport": other}}]});
            bridges[at].json("PATCH", &format!("/colibri/v2/conferences/{meeting}"), &update).await;
        }
    }
    for bridge in &bridges {
        for meeting in &meetings {
            let connected = async {
                loop {
                    let state = bridge.json("GET", &format!("/debug/{meeting}"), &json!(null)).await;
                    let relay = &state["relays"][0];
                    if relay["channel"] == "data" && relay["ice"] == "connected" {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            timeout(WAIT, connected).await.unwrap_or_else(|_| panic!("{meeting} is not connected"));
        }
        let stats = bridge.json("GET", "/colibri/stats", &json!(null)).await;
        assert_eq!((&stats["total_relays"], &stats["octo_conferences"]), (&json!(5), &json!(5)));
        assert_eq!(stats["relay_id"], "jvb-1");
    }
    // And each goes with its conference.
    for meeting in &meetings {
        let expire = json!({"relays": [{"id": "other", "expire": true}]});
        bridges[0].json("PATCH", &format!("/colibri/v2/conferences/{meeting}"), &expire).await;
    }
    let stats = bridges[0].json("GET", "/colibri/stats", &json!(null)).await;
    assert_eq!(stats["conferences"], 0, "nobody is in them");
    for bridge in bridges {
        bridge.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_bridges_without_sctp_talk_over_a_web_socket_that_one_of_them_opens() {
    let bridges = [Bridge::start(1, None).await, Bridge::start(2, None).await];
    let meeting = "m";
    let create = |controlling: bool| {
        let transport = json!({"ice-controlling": controlling, "use-unique-port": controlling});
        let relay =
            json!({"id": "other", "create": true, "mesh-id": "0", "medias": [], "transport": transport});
        json!({"meeting-id": meeting, "name": "room@muc.meet.jitsi", "create": true, "relays": [relay]})
    };
    let answer = bridges[0].json("POST", "/colibri/v2/conferences", &create(true)).await;
    let mut ours = answer["relays"][0]["transport"]["transport"].clone();
    let answer = bridges[1].json("POST", "/colibri/v2/conferences", &create(false)).await;
    let mut theirs = answer["relays"][0]["transport"]["transport"].clone();
    let url = theirs["web-sockets"][0].as_str().unwrap().to_owned();
    assert!(url.contains("/colibri-relay-ws/jvb-1/") && url.contains("/other?pwd="), "{url}");
    ours["fingerprints"][0]["setup"] = json!("passive");
    theirs["fingerprints"][0]["setup"] = json!("active");
    // Only one is told where the other is, and opens it.
    ours["web-sockets"] = json!([]);
    let path = format!("/colibri/v2/conferences/{meeting}");
    for (at, other) in [(0, &theirs), (1, &ours)] {
        let update = json!({"relays": [{"id": "other", "transport": {"transport": other}}]});
        bridges[at].json("PATCH", &path, &update).await;
    }
    let channels = async |expected: &str| {
        for bridge in &bridges {
            let reached = async {
                loop {
                    let state = bridge.json("GET", &format!("/debug/{meeting}"), &json!(null)).await;
                    if state["relays"][0]["channel"] == expected {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            timeout(WAIT, reached).await.unwrap_or_else(|_| panic!("not {expected}"));
        }
    };
    channels("websocket").await;
    let stats = bridges[1].json("GET", "/colibri/stats", &json!(null)).await;
    assert!(stats["total_colibri_web_socket_messages_received"].as_u64().unwrap() > 0, "greeted: {stats}");
    // The password is of this relay.
    let stream = TcpStream::connect(bridges[1].http).await.unwrap();
    match timeout(WAIT, client_async(url.replace("?pwd=", "?pwd=x"), stream)).await.unwrap() {
        Err(Error::Http(response)) => assert_eq!(response.status(), 403),
        other => panic!("{other:?}"),
    }
    // A relay that goes at one end is said to be closed, and not opened again.
    let expire = json!({"relays": [{"id": "other", "expire": true}]});
    bridges[1].json("PATCH", &path, &expire).await;
    let lost = async {
        loop {
            let state = bridges[0].json("GET", &format!("/debug/{meeting}"), &json!(null)).await;
            if state["relays"][0]["channel"] == "none" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(WAIT, lost).await.expect("the other end hears of it");
    for bridge in bridges {
        bridge.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_that_is_asked_to_leave_takes_no_new_conferences_and_says_so() {
    let bridge = Bridge::start(1, None).await;
    let conferences = "/colibri/v2/conferences";
    bridge.json("POST", conferences, &create("m", "abcd")).await;
    for wrong in ["", "{}", r#"{"graceful-shutdown":"true"}"#, "[true]"] {
        assert_eq!(bridge.request("POST", "/colibri/shutdown", wrong).await.0, 400, "{wrong}");
    }
    assert_eq!(bridge.json("GET", "/debug", &json!(null)).await["shutdown_state"], "RUNNING");
    for (graceful, state) in [(true, "GRACEFUL_SHUTDOWN"), (false, "SHUTTING_DOWN")] {
        let wish = json!({ "graceful-shutdown": graceful }).to_string();
        assert_eq!(bridge.request("POST", "/colibri/shutdown", &wish).await.0, 200);
        assert_eq!(bridge.json("GET", "/debug", &json!(null)).await["shutdown_state"], state);
        let stats = bridge.json("GET", "/colibri/stats", &json!(null)).await;
        assert_eq!((&stats["graceful_shutdown"], &stats["shutting_down"]), (&json!(true), &json!(!graceful)));
        let another = create(state, "abcd").to_string();
        assert_eq!(bridge.request("POST", conferences, &another).await.0, 400, "no new ones");
        let mut more = create("m", state.get(..8).unwrap());
        more.as_object_mut().unwrap().remove("create");
        bridge.json("PATCH", "/colibri/v2/conferences/m", &more).await;
    }
    bridge.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compat_the_state_of_the_bridge_has_upstream_s_addresses() {
    let bridge = Bridge::start(2, None).await;
    bridge.json("POST", "/colibri/v2/conferences", &create("m", "abcd0123")).await;
    let all = bridge.json("GET", "/debug", &json!(null)).await;
    assert_eq!((&all["shutdown_state"], &all["drain"]), (&json!("RUNNING"), &json!(false)));
    assert!(all["load_management"]["stress"].is_f64() && all["time"].is_string());
    let (id, short) = all["conferences"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(short["endpoint_count"], 1);
    let one = bridge.json("GET", &format!("/debug/{id}"), &json!(null)).await;
    let endpoint = bridge.json("GET", &format!("/debug/{id}/abcd0123"), &json!(null)).await;
    assert_eq!((&one["meeting_id"], &one["endpoints"]["abcd0123"]), (&json!("m"), &endpoint));
    let feed = bridge.json("GET", "/stats", &json!(null)).await;
    assert_eq!(feed["conferences"][id]["endpoints"]["abcd0123"]["ice"], endpoint["ice"]);
    assert!(
        !(all.to_string() + &feed.to_string()).contains("room@muc"),
        "the room has a name, and it is not told"
    );
    for nothing in ["/debug/x".to_owned(), format!("/debug/{id}/x")] {
        assert_eq!(bridge.request("GET", &nothing, "").await.0, 404);
    }
    assert_eq!(bridge.request("GET", "/colibri/debug", "").await.0, 301);
    bridge.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn web_socket_is_a_bridge_channel_for_those_who_know_the_password() {
    let bridge = Bridge::start(2, None).await;
    let answer = bridge.json("POST", "/colibri/v2/conferences", &create("m", "abcd")).await;
    let url = ice(&answer)["web-sockets"][0].as_str().unwrap().to_owned();
    assert!(url.starts_with(&format!("ws://{}/colibri-ws/jvb-1/", bridge.http)), "{url}");

    let open = async |url: &str| {
        let stream = TcpStream::connect(bridge.http).await.unwrap();
        timeout(WAIT, client_async(url, stream)).await.unwrap()
    };
    let refused = async |url: String| match open(&url).await {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(url.replace("pwd=", "pwd=x")).await, 403);
    assert_eq!(refused(url.replace("pwd=", "password=")).await, 403);
    assert_eq!(refused(url.replace("/abcd", "/unknown")).await, 403);
    assert_eq!(refused(url.replace("/jvb-1/", "/jvb-2/")).await, 404);
    assert_eq!(
        bridge
            .request(
                "GET",
                url.split_once("/colibri-ws").map(|(_, p)| format!("/colibri-ws{p}")).unwrap().as_str(),
                ""
            )
            .await
            .0,
        400
    );

    let (mut first, _) = open(&url).await.unwrap();
    let Some(Ok(Message::Text(hello))) = timeout(WAIT, first.next()).await.unwrap() else {
        panic!("no greeting")
    };
    assert!(hello.contains(r#""colibriClass":"ServerHello""#), "{hello}");
    first.send(Message::text(r#"{"colibriClass":"ClientHello"}"#)).await.unwrap();
    // A second one replaces the first.
    let (mut second, _) = open(&url).await.unwrap();
    let close = async |socket: &mut tokio_tungstenite::WebSocketStream<TcpStream>| loop {
        match timeout(WAIT, socket.next()).await.unwrap() {
            Some(Ok(Message::Close(Some(frame)))) => break (u16::from(frame.code), frame.reason.to_string()),
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(close(&mut first).await, (1000, "replaced".to_owned()));
    let expire = json!({"endpoints": [{"id": "abcd", "expire": true}]});
    bridge.json("PATCH", "/colibri/v2/conferences/m", &expire).await;
    assert_eq!(close(&mut second).await.0, 1001);
    bridge.end().await;
}

/// The XMPP server's end of the link.
struct Server(ServerEnd);

impl Server {
    async fn receive(&mut self) -> Element {
        let bytes = timeout(WAIT, self.0.from_client.recv()).await.unwrap().unwrap();
        parse(&bytes).unwrap()
    }

    async fn receive_iq(&mut self) -> Element {
        loop {
            let stanza = self.receive().await;
            if stanza.name() == "iq" {
                return stanza;
            }
        }
    }

    async fn send(&self, stanza: Element) {
        self.0.to_client.send(Bytes::from(stanza.to_xml())).await.unwrap();
    }

    async fn request(&self, id: &str, from: &str, payload: Element) {
        let iq = Element::new("iq", ns::CLIENT)
            .with_attr("type", "set")
            .with_attr("id", id)
            .with_attr("from", from)
            .with_attr("to", format!("{ROOM}/jvb-1"));
        self.send(iq.with_child(payload)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_focus_finds_the_bridge_in_the_brewery_and_is_answered_in_order() {
    let (link, end) = Link::in_process("jvb@auth.meet.jitsi/x".parse().unwrap(), 64);
    let bridge = Bridge::start(3, Some(link)).await;
    let mut server = Server(end);
    let join = loop {
        let presence = server.receive().await;
        if presence.attr("to").is_some() {
            break presence;
        }
    };
    assert_eq!(join.attr("to"), Some(format!("{ROOM}/jvb-1").as_str()));
    assert!(join.child("x", ns::MUC).is_some());
    let stats = jitsi_xmpp::bridge_stats::BridgeStats::from_presence(&join).expect("stats from the first on");
    assert!(stats.flag("healthy") && !stats.flag("drain"));
    assert_eq!((stats.get("region"), stats.get("version")), (Some("de-west"), Some(crate::VERSION)));

    let focus = format!("{ROOM}/focus");
    for n in 0..20 {
        let text = create(&format!("m{n}"), "abcd").to_string();
        let modify = ConferenceModify::from_json(&text).unwrap();
        server.request(&format!("id-{n}"), &focus, modify.to_element()).await;
    }
    for n in 0..20 {
        let reply = server.receive_iq().await;
        assert_eq!((reply.attr("type"), reply.attr("to")), (Some("result"), Some(focus.as_str())));
        assert_eq!(reply.attr("id"), Some(format!("id-{n}").as_str()), "in the order of the requests");
    }
    let unknown = ConferenceModify::new(jitsi_xmpp::ids::MeetingId::new("other"));
    server.request("q", &focus, unknown.to_element()).await;
    let error = StanzaError::from_stanza(&server.receive_iq().await).unwrap();
    assert_eq!(error.condition, Condition::ItemNotFound);
    assert!(error.extra.iter().any(|e| e.attr("reason") == Some("conference_not_found")));
    server.request("q", "eve@meet.jitsi/x", unknown.to_element()).await;
    let error = StanzaError::from_stanza(&server.receive_iq().await).unwrap();
    assert_eq!(error.condition, Condition::Forbidden);
    bridge.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_of_the_machine_that_come_and_go_are_noticed() {
    let ip = |n: u8| IpAddr::from([127, 0, 0, n]);
    let machine = Arc::new(Mutex::new(vec![ip(1)]));
    let raw = Raw {
        media: "0.0.0.0:0".parse().unwrap(),
        more: Vec::new(),
        advertise: Vec::new(),
        tcp: None,
        inner: true,
        breweries: Vec::new(),
        nick: "jvb".into(),
        region: None,
        relay_id: None,
        web_socket_domains: Vec::new(),
        web_socket_tls: false,
        threads: 2,
        spread_above: 0,
        gso: true,
        last_n: crate::LastN::default(),
    };
    let stop = watch::Sender::new(false);
    let told = Arc::clone(&machine);
    let watched = Machine {
        addresses: Box::new(move || Some(told.lock().unwrap().clone())),
        every: Duration::from_millis(20),
    };
    let config = Config::check(raw, &[ip(1)], 2).unwrap();
    let (handle, task) = start_on(config, None, stop.subscribe(), watched, Vec::new()).await.unwrap();
    let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bridge = Bridge { http: http.local_addr().unwrap(), handle, task, stop };
    let router = bridge.handle.admin_router();
    tokio::spawn(async move { axum::serve(http, router).await });
    let mut meeting = 0;
    // Soon a new session is told these addresses, and a request to number `n` of them is answered.
    let mut session = async |expected: &[&str], n: usize| {
        let end = Instant::now() + WAIT;
        loop {
            meeting += 1;
            let name = format!("m{meeting}");
            let answer = bridge.json("POST", "/colibri/v2/conferences", &create(&name, "abcd")).await;
            let ice = ice(&answer).clone();
            let of = |c: &Value| c["ip"].as_str().unwrap().to_owned();
            let told: Vec<_> = ice["candidates"].as_array().into_iter().flatten().map(of).collect();
            if told != expected {
                assert!(Instant::now() < end, "{told:?}, not {expected:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
            let peer = json!({"endpoints": [{"id": "abcd", "transport": {"transport": {
                "xmlns": ns::JINGLE_ICE_UDP, "ufrag": "peer", "pwd": "peerpeerpeerpeerpeerpeer",
            }}}]});
            bridge.json("PATCH", &format!("/colibri/v2/conferences/{name}"), &peer).await;
            let port: u16 = ice["candidates"][0]["port"].to_string().trim_matches('"').parse().unwrap();
            let request = binding_request(1, ice["ufrag"].as_str().unwrap(), ice["pwd"].as_str().unwrap());
            let to = told[n].clone();
            let answered = tokio::task::spawn_blocking(move || {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.set_read_timeout(Some(WAIT)).unwrap();
                socket.send_to(&request, (to.as_str(), port)).unwrap();
                // The answer leaves from where the request arrived, or a client's NAT does not let it in.
                socket
                    .recv_from(&mut [0; 1500])
                    .is_ok_and(|(_, from)| from == format!("{to}:{port}").parse().unwrap())
            });
            assert!(answered.await.unwrap(), "no answer from {}", told[n]);
            return;
        }
    };
    session(&["127.0.0.1"], 0).await;
    machine.lock().unwrap().push(ip(2));
    session(&["127.0.0.1", "127.0.0.2"], 1).await;
    machine.lock().unwrap().remove(0);
    // The first one is closed.
    session(&["127.0.0.2"], 0).await;
    assert_eq!(bridge.handle.health(), State::Healthy);
    machine.lock().unwrap().clear();
    let end = Instant::now() + WAIT;
    while bridge.handle.health() == State::Healthy {
        assert!(Instant::now() < end, "healthy without an address");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(matches!(bridge.handle.health(), State::Hard(why) if why.contains("no network address")));
    machine.lock().unwrap().push(ip(3));
    session(&["127.0.0.3"], 0).await;
    assert_eq!(bridge.handle.health(), State::Healthy);
    // The provider gave the router another address; and an interface comes after that.
    bridge.handle.set_public(vec!["203.0.113.7:20000".parse().unwrap()]);
    session(&["127.0.0.3", "203.0.113.7"], 0).await;
    machine.lock().unwrap().push(ip(4));
    session(&["127.0.0.3", "203.0.113.7", "127.0.0.4"], 2).await;
    bridge.handle.set_public(Vec::new());
    session(&["127.0.0.3", "127.0.0.4"], 1).await;
    bridge.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_a_start_error_even_with_several_threads() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    for threads in [1, 2] {
        let raw = Raw {
            media: taken.local_addr().unwrap(),
            more: Vec::new(),
            tcp: None,
            advertise: Vec::new(),
            inner: true,
            breweries: Vec::new(),
            nick: "jvb".into(),
            region: None,
            relay_id: None,
            web_socket_domains: Vec::new(),
            web_socket_tls: false,
            threads,
            spread_above: 0,
            gso: true,
            last_n: crate::LastN::default(),
        };
        let stop = watch::Sender::new(false);
        let error = start(Config::check(raw, &[], 2).unwrap(), None, stop.subscribe()).await.unwrap_err();
        assert_eq!(error.reason(), "address_in_use");
        assert!(error.to_string().contains("media.listen"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compat_mucs_connected_are_the_configured_ones() {
    let (link, _nobody_answers) = Link::in_process("jvb@auth.meet.jitsi/x".parse().unwrap(), 64);
    let bridge = Bridge::start(1, Some(link)).await;
    let metrics = Metrics::new();
    let handle = bridge.handle.clone();
    metrics.add(move |out| handle.expose(out));
    let text = metrics.encode();
    assert!(text.contains("jitsi_jvb_mucs_connected 1\n"), "nobody let us in: {text}");
    assert!(text.contains("jitsi_jvb_mucs_joined 0\n"), "{text}");
    bridge.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn xmpp_servers_are_added_and_taken_away_while_the_bridge_runs() {
    let (link, _end) = Link::in_process("jvb@auth.meet.jitsi/x".parse().unwrap(), 64);
    let bridge = Bridge::start(1, Some(link)).await;
    let list = async || bridge.json("GET", "/colibri/muc-client/list", &json!(null)).await;
    assert_eq!(list().await, json!(["shard0"]));
    // Nobody is there yet; it is tried as long as it is wanted.
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut other = json!({
        "id": "shard-2", "hostname": "127.0.0.1", "port": nobody.local_addr().unwrap().port(), "username": "jvb", "password": "x",
        "muc_jids": "jvbbrewery@internal.other.example", "muc_nickname": "jvb-1", "domain": "auth.other.example",
        "disable_certificate_verification": true,
    });
    let post = async |what: &str, body: &Value| {
        bridge.request("POST", &format!("/colibri/muc-client/{what}"), &body.to_string()).await.0
    };
    for _ in 0..2 {
        assert_eq!(post("add", &other).await, 200, "the same once more is the same");
    }
    assert_eq!(list().await, json!(["shard-2", "shard0"]));
    let (mut tcp, _) = timeout(WAIT, nobody.accept()).await.unwrap().unwrap();
    let mut hello = [0; 256];
    let n = timeout(WAIT, tcp.read(&mut hello)).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&hello[..n]).contains("auth.other.example"));
    drop(tcp);
    timeout(WAIT, nobody.accept()).await.expect("lost, it is tried again").unwrap();
    let stats = bridge.json("GET", "/colibri/stats", &json!(null)).await;
    let counts = ["muc_clients_configured", "mucs_configured"].map(|key| stats[key].clone());
    assert_eq!(counts, [json!(2), json!(2)]);
    other["password"] = "y".into();
    assert_eq!(post("add", &other).await, 400, "another one with the same id");
    assert_eq!(post("add", &json!({ "id": "shard-3" })).await, 400);
    assert_eq!(post("remove", &json!({})).await, 400);
    for _ in 0..2 {
        assert_eq!(post("remove", &json!({ "id": "shard-2" })).await, 200, "gone is gone");
    }
    assert_eq!(list().await, json!(["shard0"]));
    // Also the one that it began with can go, and the bridge goes on.
    assert_eq!(post("remove", &json!({ "id": "shard0" })).await, 200);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let stats = bridge.json("GET", "/colibri/stats", &json!(null)).await;
    assert_eq!((&stats["muc_clients_configured"], &stats["shutting_down"]), (&json!(0), &json!(false)));
    bridge.json("POST", "/colibri/v2/conferences", &create("m", "abcd")).await;
    for n in 0..limits::LINKS {
        other["id"] = format!("many-{n}").into();
        assert_eq!(post("add", &other).await, 200);
    }
    other["id"] = "one-more".into();
    assert_eq!(post("add", &other).await, 400, "one beyond");
    bridge.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compat_features_for_debugging_have_upstream_s_addresses_and_are_off() {
    let bridge = Bridge::start(1, None).await;
    assert_eq!(bridge.json("GET", "/debug/features/jvb/pool-stats", &json!(null)).await, json!(false));
    assert_eq!(bridge.json("GET", "/debug/stats/jvb/pool-stats", &json!(null)).await, json!({}));
    for (method, path, status) in [
        ("POST", "/debug/features/jvb/pool-stats/false", 200),
        ("POST", "/debug/features/jvb/pool-stats/true", 501),
        ("GET", "/debug/features/jvb/node-stats/true", 501),
        ("GET", "/debug/features/jvb/mind-reading", 404),
        ("POST", "/debug/features/jvb/pool-stats/maybe", 404),
        ("GET", "/debug/stats/jvb/mind-reading", 404),
        ("POST", "/debug/features/endpoint/m/abcd/pcap-dump/true", 403),
        ("POST", "/debug/features/relay/m/jvb-2/sctp-pcap-dump/true", 403),
    ] {
        assert_eq!(bridge.request(method, path, "").await.0, status, "{path}");
    }
    bridge.end().await;
}

/// Whether a text frame of this size is taken: then the client is answered, else it is gone.
async fn takes(bridge: &Bridge, url: &str, len: usize) -> bool {
    let stream = TcpStream::connect(bridge.http).await.unwrap();
    let (mut socket, _) = timeout(WAIT, client_async(url, stream)).await.unwrap().unwrap();
    let hello = r#"{"colibriClass":"ClientHello"}"#;
    timeout(WAIT, socket.next()).await.unwrap().unwrap().unwrap();
    let padded = format!("{hello}{}", " ".repeat(len - hello.len()));
    if socket.send(Message::text(padded)).await.is_err() {
        return false;
    }
    loop {
        match timeout(WAIT, socket.next()).await.unwrap() {
            Some(Ok(Message::Text(text))) if text.contains("ServerHello") => return true,
            Some(Ok(Message::Close(_)) | Err(_)) | None => return false,
            Some(Ok(_)) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_and_bodies_have_a_largest_size() {
    let bridge = Bridge::start(1, None).await;
    let answer = bridge.json("POST", "/colibri/v2/conferences", &create("m", "abcd")).await;
    let url = ice(&answer)["web-sockets"][0].as_str().unwrap().to_owned();
    assert!(takes(&bridge, &url, limits::SOCKET_MESSAGE).await, "at the limit");
    assert!(!takes(&bridge, &url, limits::SOCKET_MESSAGE + 1).await, "one beyond");

    let body = create("m2", "abcd").to_string();
    let padded = |len: usize| format!("{body}{}", " ".repeat(len - body.len()));
    let path = "/colibri/v2/conferences";
    assert_eq!(bridge.request("POST", path, &padded(limits::REST_BODY)).await.0, 200, "at the limit");
    // It is refused before it comes; sent all the same, it could overtake the answer.
    assert_eq!(bridge.announced("POST", path, limits::REST_BODY + 1, "").await.0, 413, "one beyond");
    bridge.end().await;
}
