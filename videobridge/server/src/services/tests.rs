//! Services on loopback: what they hear, what they may say, and what it costs others when they are gone, slow or silent.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use jitsi_xmpp::Sensitive;
use jitsi_xmpp::colibri2::{Connect, Ping};
use jitsi_xmpp::ids::{EndpointId, SourceName, Ssrc};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use videobridge_core::{Command, Event, ExportKey, ExportedAudio};

use super::{ServiceCounters, Services};
use crate::control::ShardPort;
use crate::limits;

const WAIT: Duration = Duration::from_secs(10);
const SERVICE: ExportKey = ExportKey(7);

struct Bridge {
    services: Services,
    counters: Arc<ServiceCounters>,
    said: mpsc::Receiver<Command>,
    _poll: mio::Poll,
}

impl Bridge {
    fn new() -> Self {
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let (port, _, said) = ShardPort::open(waker);
        let counters = Arc::new(ServiceCounters::default());
        let services = Services::new(Handle::current(), port, Arc::clone(&counters));
        Self { services, counters, said, _poll: poll }
    }

    fn wants(&mut self, connect: Connect) {
        let wanted = Event::ServiceWanted { service: SERVICE, connect: Box::new(connect) };
        assert!(self.services.handle_event(wanted).is_none());
    }

    fn hears(&mut self, sequence: u16, payload: &[u8]) {
        let audio = ExportedAudio {
            owner: EndpointId::new("a1b2c3d4"),
            source: SourceName::new("a1b2c3d4-a0"),
            ssrc: Ssrc(1001),
            sequence,
            timestamp: u32::from(sequence) * 960,
            level: None,
            diarize: false,
            payload: payload.into(),
        };
        let heard = Event::ServiceAudio { service: SERVICE, audio: Box::new(audio) };
        assert!(self.services.handle_event(heard).is_none());
    }

    fn lets_go(&mut self) {
        self.services.handle_event(Event::ServiceLetGo { service: SERVICE });
    }

    async fn until(&self, what: &str, holds: impl Fn(&ServiceCounters) -> bool) {
        let all = async {
            while !holds(&self.counters) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(WAIT, all).await.unwrap_or_else(|_| panic!("{what}: {:?}", self.counters));
    }
}

/// A service that takes one connection after the other.
struct Service(TcpListener);

impl Service {
    async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn url(&self) -> String {
        format!("ws://{}/hear?room=1", self.0.local_addr().unwrap())
    }

    /// The next connection, and the path and token that it came with.
    #[allow(clippy::result_large_err)] // what a WebSocket server's callback gives back is the library's
    async fn accept(&self) -> (WebSocketStream<TcpStream>, String) {
        let (tcp, _) = timeout(WAIT, self.0.accept()).await.unwrap().unwrap();
        let mut asked = String::new();
        let look = |request: &Request, response: Response| {
            let token = request.headers().get("authorization").map(|v| v.to_str().unwrap());
            asked = format!("{} {}", request.uri(), token.unwrap_or("nobody"));
            Ok(response)
        };
        let socket = tokio_tungstenite::accept_hdr_async(tcp, look).await.unwrap();
        (socket, asked)
    }
}

async fn next(socket: &mut WebSocketStream<TcpStream>) -> Value {
    match timeout(WAIT, socket.next()).await.unwrap() {
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn say(socket: &mut WebSocketStream<TcpStream>, said: &Value) {
    socket.send(Message::text(said.to_string())).await.unwrap();
}

#[tokio::test]
async fn a_service_hears_what_is_said_and_its_words_come_back() {
    let (mut bridge, service) = (Bridge::new(), Service::start().await);
    let token = ("Authorization".to_owned(), Sensitive::new("Bearer x".to_owned()));
    bridge.wants(Connect { headers: vec![token], ..Connect::new(&service.url()) });
    let (mut socket, asked) = service.accept().await;
    assert_eq!(asked, "/hear?room=1 Bearer x");
    // Until the connection is complete what is said is not for it.
    while bridge.counters.packets_sent.get() == 0 {
        bridge.hears(1, b"opus");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (start, media) = (next(&mut socket).await, next(&mut socket).await);
    assert_eq!((&start["event"], &start["start"]["tag"]), (&json!("start"), &json!("a1b2c3d4-a0")));
    assert_eq!((&media["event"], &media["media"]["payload"]), (&json!("media"), &json!("b3B1cw==")));
    // Whatever else waited.
    tokio::time::sleep(Duration::from_millis(20)).await;

    say(&mut socket, &json!({ "event": "ping", "id": 5 })).await;
    let mut answer = next(&mut socket).await;
    while answer["event"] == "media" {
        answer = next(&mut socket).await;
    }
    assert_eq!(answer, json!({ "event": "pong", "id": 5 }));
    let result = json!({ "event": "transcription-result", "transcript": [{ "text": "Guten Tag" }] });
    say(&mut socket, &result).await;
    match timeout(WAIT, bridge.said.recv()).await.unwrap() {
        Some(Command::Transcription { service, result: told }) => {
            assert_eq!((service, Value::from(told)), (SERVICE, result));
        }
        other => panic!("{other:?}"),
    }
    for other in ["no JSON", r#"{"event":"media"}"#, r#"{"event":"info"}"#, r#"{"event":"news"}"#] {
        socket.send(Message::text(other)).await.unwrap();
    }
    bridge.until("what is not played is counted", |c| c.other.get() == 1).await;
    let counts = [&bridge.counters.unreadable, &bridge.counters.media, &bridge.counters.info];
    assert_eq!(counts.map(super::counters::Counter::get), [1; 3]);

    bridge.lets_go();
    assert_eq!(next(&mut socket).await, json!({ "event": "session-end" }));
    assert!(matches!(timeout(WAIT, socket.next()).await.unwrap(), Some(Ok(Message::Close(_))) | None));
    assert_eq!(bridge.counters.failures.get(), 0);
}

#[tokio::test]
async fn sources_that_change_are_told_also_to_one_that_comes_back() {
    let (mut bridge, service) = (Bridge::new(), Service::start().await);
    bridge.wants(Connect::new(&service.url()));
    let (mut socket, _) = service.accept().await;
    let names = |all: &[&str]| all.iter().map(SourceName::new).collect::<Vec<_>>();
    bridge.services.handle_event(Event::ServiceSources {
        service: SERVICE,
        exports: names(&["a1b2c3d4-a0"]),
        requests: names(&["a1b2c3d4-a0.en"]),
    });
    let told = json!({ "event": "sources", "exports": ["a1b2c3d4-a0"], "requests": ["a1b2c3d4-a0.en"] });
    assert_eq!(next(&mut socket).await, told);
    drop(socket);
    let (mut socket, _) = service.accept().await;
    assert_eq!(next(&mut socket).await, told);
    assert_eq!(bridge.counters.failures.get(), 1);
    bridge.lets_go();
}

#[tokio::test]
async fn a_service_that_is_not_there_is_tried_again_and_misses_what_is_said_meanwhile() {
    let mut bridge = Bridge::new();
    let gone = Service::start().await;
    let (url, address) = (gone.url(), gone.0.local_addr().unwrap());
    drop(gone);
    bridge.wants(Connect::new(&url));
    bridge.until("the first attempt", |c| c.failures.get() == 1).await;
    for sequence in 0..10 {
        bridge.hears(sequence, b"opus");
    }
    bridge.until("what is said is lost", |c| c.dropped.get() == 10).await;
    let service = Service(TcpListener::bind(address).await.unwrap());
    let (mut socket, _) = service.accept().await;
    while bridge.counters.packets_sent.get() == 0 {
        bridge.hears(10, b"opus");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(next(&mut socket).await["event"], "start");
    assert_eq!(next(&mut socket).await["media"]["chunk"], "10", "nothing old");
    // Nobody wants one that cannot be reached: its task ends.
    drop((socket, service));
    bridge.lets_go();
}

#[tokio::test]
async fn a_service_that_reads_nothing_loses_what_its_queue_has_no_room_for_and_nobody_waits() {
    let (mut bridge, service) = (Bridge::new(), Service::start().await);
    bridge.wants(Connect::new(&service.url()));
    let (_socket, _) = service.accept().await;
    while bridge.counters.packets_sent.get() == 0 {
        bridge.hears(0, b"opus");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let lost = bridge.counters.dropped.get();
    // At once: the task has no turn in between.
    for n in 0..limits::SERVICE_ORDERS {
        bridge.hears(n as u16, &[7; 1200]);
    }
    assert_eq!(bridge.counters.dropped.get(), lost, "at the limit");
    bridge.hears(0, &[7; 1200]);
    assert_eq!(bridge.counters.dropped.get(), lost + 1, "one beyond");
    // And when its socket is full as well, for good.
    let mut calls = 0;
    let most = Duration::from_millis(500);
    while bridge.counters.dropped.get() < lost + 100 {
        calls += 1;
        assert!(calls < 100_000, "{:?}", bridge.counters);
        let before = std::time::Instant::now();
        bridge.hears(calls as u16, &[7; 1200]);
        assert!(before.elapsed() < most, "a media thread never waits");
        if calls % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test]
async fn a_service_that_does_not_answer_pings_is_left_and_tried_again() {
    let (mut bridge, service) = (Bridge::new(), Service::start().await);
    let ping = Some(Ping { interval: Some(100), timeout: Some(200) });
    bridge.wants(Connect { ping, ..Connect::new(&service.url()) });
    let (mut socket, _) = service.accept().await;
    for id in 1..4 {
        assert_eq!(next(&mut socket).await, json!({ "event": "ping", "id": id }));
        say(&mut socket, &json!({ "event": "pong", "id": id })).await;
    }
    bridge.until("no answer", |c| c.failures.get() == 1).await;
    drop(socket);
    service.accept().await;
    bridge.lets_go();
}

#[tokio::test]
async fn what_a_service_says_has_a_largest_size() {
    let (mut bridge, service) = (Bridge::new(), Service::start().await);
    bridge.wants(Connect::new(&service.url()));
    let (mut socket, _) = service.accept().await;
    let padded = |len: usize| {
        let said = r#"{"event":"news"}"#;
        Message::text(format!("{said}{}", " ".repeat(len - said.len())))
    };
    socket.send(padded(limits::SERVICE_MESSAGE)).await.unwrap();
    bridge.until("at the limit", |c| c.other.get() == 1).await;
    socket.send(padded(limits::SERVICE_MESSAGE + 1)).await.unwrap();
    bridge.until("one beyond", |c| c.failures.get() == 1).await;
    assert_eq!(bridge.counters.other.get(), 1);
}
