//! Somebody in the meeting: logs in, joins, speaks and listens like a browser; how long it took and the gaps heard out.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use peer::{Client, OPEN};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

pub(crate) type Socket = WebSocketStream<TcpStream>;

/// The meeting that has to be left in peace.
pub(crate) const ROOM: &str = "gemeinderat";

/// What one person heard since [`Person::begin`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    /// Others with sound.
    pub(crate) voices: usize,
    /// The longest silence of one of them.
    pub(crate) worst: Duration,
    /// The longest time in which nobody at all was heard.
    pub(crate) silence: Duration,
    /// How much too late this program itself once was.
    pub(crate) lag: Duration,
}

#[derive(Default)]
struct State {
    connected: Option<Instant>,
    begun: bool,
    /// By SSRC: the last packet and the longest gap.
    voices: HashMap<u32, (Instant, Duration)>,
    /// The same of all together, whatever their SSRC is now.
    any: Option<(Instant, Duration)>,
    leaves: bool,
    lag: Duration,
}

/// One person, alive as long as this.
pub(crate) struct Person {
    begun: Instant,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Person {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Person {
    /// Begins to join [`ROOM`].
    pub(crate) fn join(number: u16, name: &str, http: SocketAddr) -> Self {
        Self::join_in(ROOM, number, name, http)
    }

    /// The same in another room.
    pub(crate) fn join_in(room: &str, number: u16, name: &str, http: SocketAddr) -> Self {
        Self::begins(room, number, name, http, true)
    }

    /// One of many, who says nothing.
    pub(crate) fn listen_in(room: &str, number: u16, name: &str, http: SocketAddr) -> Self {
        Self::begins(room, number, name, http, false)
    }

    fn begins(room: &str, number: u16, name: &str, http: SocketAddr, speaks: bool) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let client = Client::new(number, name, &format!("{room}@muc.meet.jitsi"));
        let (shared, begun) = (Arc::clone(&state), Instant::now());
        let room = room.to_owned();
        let task = tokio::spawn(async move {
            if let Err(e) = live(client, http, &room, &shared, speaks).await {
                eprintln!("somebody in the meeting: {e}");
            }
        });
        Self { begun, state, task }
    }

    /// Waits for sound and bridge channel; how long it took since [`Person::join`].
    pub(crate) async fn connected(&self, patience: Duration) -> Option<Duration> {
        while self.begun.elapsed() < patience {
            if let Some(at) = self.state.lock().unwrap().connected {
                return Some(at - self.begun);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        None
    }

    /// Hangs up as the app does, and waits until that is said.
    pub(crate) async fn leave(mut self) {
        self.state.lock().unwrap().leaves = true;
        let _ = (&mut self.task).await;
    }

    /// From now on gaps count.
    pub(crate) fn begin(&self) {
        let mut state = self.state.lock().unwrap();
        state.begun = true;
        state.lag = Duration::ZERO;
        state.voices.values_mut().for_each(|v| v.1 = Duration::ZERO);
        state.any = Some((Instant::now(), Duration::ZERO));
    }

    pub(crate) fn heard(&self) -> Heard {
        let state = self.state.lock().unwrap();
        // The two who were there from the beginning never stop; somebody new counts as long as it speaks.
        let worst = state.voices.values().map(|(last, worst)| (*worst).max(last.elapsed())).max();
        let silence = state.any.map_or(Duration::MAX, |(last, worst)| worst.max(last.elapsed()));
        Heard { voices: state.voices.len(), worst: worst.unwrap_or(Duration::MAX), silence, lag: state.lag }
    }
}

async fn live(
    mut client: Client,
    http: SocketAddr,
    room: &str,
    state: &Mutex<State>,
    speaks: bool,
) -> Result<(), String> {
    let udp = UdpSocket::bind("127.0.0.1:0").await.map_err(|e| e.to_string())?;
    client.local = udp.local_addr().ok();
    let [high, low] = client.number.to_be_bytes();
    let behind = format!("198.51.{}.{low}", 100 + high);
    let mut socket = connect_to(room, http, "127.0.0.1", &behind).await?;
    log_in(&mut client, &mut socket).await?;
    client.ask();
    let tick = if speaks { TICK } else { QUIET };
    let mut ticks = tokio::time::interval(tick);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut due = Instant::now() + tick;
    let mut datagram = vec![0; 2048];
    let mut leaves = false;
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let now = Instant::now();
                let mut state = state.lock().unwrap();
                state.lag = state.lag.max(now.saturating_duration_since(due));
                due = now + tick;
                leaves = state.leaves;
                if client.ask_at.is_some_and(|at| at <= now) {
                    client.ask();
                }
                client.tick(now);
                if client.connected() {
                    state.connected.get_or_insert(now);
                    if speaks {
                        client.send_media();
                    }
                }
            }
            frame = socket.next() => match frame {
                Some(Ok(Message::Text(text))) => client.receive(Instant::now(), &text),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err("the server hung up".to_owned()),
                Some(Ok(_)) => {}
            },
            Ok((len, _)) = udp.recv_from(&mut datagram) => {
                if let Some(media) = &mut client.media {
                    media.peer.receive(Instant::now(), &datagram[..len]);
                    listen(&mut state.lock().unwrap(), std::mem::take(&mut media.peer.rtp));
                }
            }
        }
        if leaves {
            client.leave();
            flush(&mut client, &mut socket).await?;
            return say(&mut socket, r#"<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>"#).await;
        }
        flush(&mut client, &mut socket).await?;
        if let Some(media) = &mut client.media {
            for datagram in std::mem::take(&mut media.peer.sent) {
                let _ = udp.send_to(&datagram, media.bridge).await;
            }
        }
    }
}

fn listen(state: &mut State, packets: Vec<Vec<u8>>) {
    let now = Instant::now();
    for packet in packets.iter().filter(|p| p.len() > 12 && p[1] & 0x7f == OPUS) {
        if let Some((last, worst)) = &mut state.any {
            *worst = (*worst).max(now - *last);
            *last = now;
        }
        let ssrc = u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]);
        let voice = state.voices.entry(ssrc).or_insert((now, Duration::ZERO));
        if state.begun {
            voice.1 = voice.1.max(now - voice.0);
        }
        voice.0 = now;
    }
}

/// A WebSocket to the front, from this address, as a web server that speaks for somebody.
pub(crate) async fn connect(http: SocketAddr, from: &str, behind: &str) -> Result<Socket, String> {
    connect_to(ROOM, http, from, behind).await
}

/// The same on the way to another room.
pub(crate) async fn connect_to(
    room: &str,
    http: SocketAddr,
    from: &str,
    behind: &str,
) -> Result<Socket, String> {
    let tcp = tcp(http, from).await.map_err(|e| format!("connect: {e}"))?;
    let mut request =
        format!("ws://{http}/xmpp-websocket?room={room}").into_client_request().map_err(|e| e.to_string())?;
    for (name, value) in [("sec-websocket-protocol", "xmpp"), ("x-forwarded-for", behind)] {
        request.headers_mut().insert(name, value.parse().expect("a header"));
    }
    let (socket, _) =
        tokio_tungstenite::client_async(request, tcp).await.map_err(|e| format!("upgrade: {e}"))?;
    Ok(socket)
}

pub(crate) async fn tcp(to: SocketAddr, from: &str) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from.parse().expect("an address"), 0))?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// As the web app logs in without an account.
pub(crate) async fn log_in(client: &mut Client, socket: &mut Socket) -> Result<(), String> {
    let open = OPEN.replace("DOMAIN", "meet.jitsi");
    client.stream.conn = Some(());
    say(socket, &open).await?;
    until(client, socket, |c| c.stream.said("features")).await?;
    client.stream.control.clear();
    say(socket, r#"<auth mechanism="ANONYMOUS" xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>"#).await?;
    until(client, socket, |c| c.stream.said("success")).await?;
    say(socket, &open).await?;
    until(client, socket, |c| c.stream.said("features")).await?;
    say(socket, r#"<iq id="_bind_auth_2" type="set" xmlns="jabber:client"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#).await?;
    until(client, socket, |c| c.replies.contains_key("_bind_auth_2")).await?;
    let bound = client.replies.remove("_bind_auth_2").expect("it is there");
    let jid = bound.first_child().and_then(|b| b.child_named("jid")).ok_or("not bound")?.text();
    client.nick = jid.get(..8).ok_or("a short address")?.to_owned();
    client.stream.jid = jid;
    say(socket, r#"<enable resume="true" xmlns="urn:xmpp:sm:3"/>"#).await?;
    until(client, socket, |c| c.stream.said("enabled")).await
}

async fn until(
    client: &mut Client,
    socket: &mut Socket,
    done: impl Fn(&Client) -> bool,
) -> Result<(), String> {
    while !done(client) {
        match tokio::time::timeout(Duration::from_secs(10), socket.next()).await {
            Ok(Some(Ok(Message::Text(text)))) => client.receive(Instant::now(), &text),
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
            other => return Err(format!("no login: {other:?}")),
        }
        flush(client, socket).await?;
    }
    Ok(())
}

pub(crate) async fn flush(client: &mut Client, socket: &mut Socket) -> Result<(), String> {
    while let Some(frame) = client.stream.out.pop_front() {
        say(socket, &frame).await?;
    }
    Ok(())
}

pub(crate) async fn say(socket: &mut Socket, frame: &str) -> Result<(), String> {
    socket.send(Message::text(frame)).await.map_err(|e| e.to_string())
}

/// One packet of speech in this time.
const TICK: Duration = Duration::from_millis(20);
/// Who sends nothing has less to look after.
const QUIET: Duration = Duration::from_millis(100);
/// Payload type of speech.
const OPUS: u8 = 111;
