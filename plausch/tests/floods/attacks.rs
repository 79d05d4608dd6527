//! What strangers do, each as often as it can until told to stop: an address in, blows out, which are counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::{FutureExt as _, StreamExt as _};
use peer::turn::{ALLOCATE, BIND, Signer, mask, message, read, transport};
use peer::{Client, OPEN};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UdpSocket;
use tokio_tungstenite::tungstenite::Message;

use crate::person::{self, Socket, connect, flush, log_in, say, tcp};

/// Where strangers come from: the web server beside Plausch, which is trusted to speak for others.
pub(crate) const STRANGER: &str = "127.0.0.1";
/// For whom that web server speaks.
const FOR: &str = "203.0.113.7";
/// No stranger strikes more often than this on one connection: the machine's other half is for the meeting.
pub(crate) const BREATH: Duration = Duration::from_micros(50);

/// What is attacked, and until when.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    pub(crate) media: SocketAddr,
    pub(crate) turn: SocketAddr,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) blows: Arc<AtomicU64>,
}

impl Target {
    pub(crate) fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// One more, and how many there were before.
    pub(crate) fn strike(&self) -> u64 {
        self.blows.fetch_add(1, Ordering::Relaxed)
    }
}

/// `n` strangers at once.
pub(crate) async fn crowd<F>(target: Target, n: usize, one: impl Fn(usize, Target) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut strangers = tokio::task::JoinSet::new();
    (0..n).for_each(|k| drop(strangers.spawn(one(k, target.clone()))));
    while let Some(end) = strangers.join_next().await {
        end.expect("a stranger's own mistake");
    }
}

/// A pause that does not outlast the flood.
pub(crate) async fn pause(target: &Target, time: Duration) {
    let end = Instant::now() + time;
    while target.goes_on() && Instant::now() < end {
        tokio::time::sleep(time.min(Duration::from_millis(20))).await;
    }
}

// ---- HTTP

/// `from`: the web server beside Plausch, which names the stranger; or somebody on the machine whom nobody trusts or names.
pub(crate) async fn conference_requests(target: Target, n: usize, from: &'static str) {
    crowd(target, n, move |_, t| async move {
        while t.goes_on() {
            let Ok(mut c) = tcp(t.http, from).await else { pause(&t, Duration::from_millis(5)).await; continue };
            let mut answer = [0; 4096];
            while t.goes_on() {
                let body = format!(r#"{{"room":"leer{:x}@muc.meet.jitsi"}}"#, t.strike());
                let head = format!(
                    "POST /conference-request/v1 HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {FOR}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                if c.write_all(format!("{head}{body}").as_bytes()).await.is_err() {
                    break;
                }
                // Whatever the answer is.
                let read = tokio::time::timeout(Duration::from_secs(2), c.read(&mut answer)).await;
                if !matches!(read, Ok(Ok(1..))) {
                    break;
                }
            }
        }
    })
    .await
}

pub(crate) async fn trickled_bodies(target: Target, n: usize) {
    crowd(target, n, |k, t| async move {
        let path = ["/http-bind", "/conference-request/v1"][k % 2];
        while t.goes_on() {
            let Ok(mut c) = tcp(t.http, STRANGER).await else { pause(&t, Duration::from_millis(5)).await; continue };
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {FOR}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
            );
            let _ = c.write_all(head.as_bytes()).await;
            while t.goes_on() && c.write_all(b"1\r\n \r\n").await.is_ok() {
                t.strike();
                tokio::time::sleep(BREATH).await;
            }
        }
    })
    .await
}

pub(crate) async fn idle_connections(target: Target, n: usize) {
    crowd(target, n, |k, t| async move {
        while t.goes_on() {
            let mut buffer = [0; 512];
            let Ok(mut c) = tcp(t.http, STRANGER).await else { pause(&t, Duration::from_millis(50)).await; continue };
            t.strike();
            if k % 2 == 0 {
                // A WebSocket on which nobody logs in.
                let head = format!("GET /xmpp-websocket HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {FOR}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: xmpp\r\n\r\n");
                let _ = c.write_all(head.as_bytes()).await;
            }
            while t.goes_on() {
                let read = tokio::time::timeout(Duration::from_millis(50), c.read(&mut buffer)).await;
                if let Ok(Ok(0) | Err(_)) = read {
                    break;
                }
            }
        }
    })
    .await
}

// ---- logins

pub(crate) async fn failed_logins(target: Target, n: usize) {
    crowd(target, n, |_, t| async move {
        let open = OPEN.replace("DOMAIN", "auth.meet.jitsi");
        while t.goes_on() {
            let Ok(mut s) = connect(t.http, STRANGER, FOR).await else { pause(&t, Duration::from_millis(5)).await; continue };
            let _ = say(&mut s, &open).await;
            // `\0focus\0geraten`
            let auth = r#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">AGZvY3VzAGdlcmF0ZW4=</auth>"#;
            while t.goes_on() && say(&mut s, auth).await.is_ok() {
                t.strike();
                if !hears(&mut s).await {
                    break;
                }
            }
        }
    })
    .await
}

pub(crate) async fn logins(target: Target, n: usize) {
    crowd(target, n, |k, t| async move {
        while t.goes_on() {
            let Ok(mut s) = connect(t.http, STRANGER, FOR).await else {
                pause(&t, Duration::from_millis(5)).await;
                continue;
            };
            let mut client: Client = Client::new(100 + k as u16, "X", "x@muc.meet.jitsi");
            let _ = log_in(&mut client, &mut s).await;
            t.strike();
            // Gone without a goodbye: the server keeps the session for a while.
        }
    })
    .await
}

/// Whether the server still says something.
async fn hears(socket: &mut Socket) -> bool {
    matches!(
        tokio::time::timeout(Duration::from_secs(1), socket.next()).await,
        Ok(Some(Ok(Message::Text(_))))
    )
}

// ---- in the XMPP server

/// One stanza: the stranger who sends it, how many it has sent.
type Blow = fn(&mut Client, u64) -> String;

/// Strangers in a meeting of their own; each sends stanzas.
pub(crate) async fn in_a_room(target: Target, n: usize, blow: Blow) {
    crowd(target, n, move |k, t| async move {
        while t.goes_on() {
            if enter(&t, k, blow).await.is_err() {
                pause(&t, Duration::from_millis(20)).await;
            }
        }
    })
    .await
}

async fn enter(t: &Target, k: usize, blow: Blow) -> Result<(), String> {
    let mut s = connect(t.http, STRANGER, FOR).await?;
    let mut client: Client = Client::new(100 + k as u16, "Stoerer", "stoerung@muc.meet.jitsi");
    go_in(t, &mut client, &mut s).await?;
    while t.goes_on() {
        let frame = blow(&mut client, t.strike());
        client.stream.send(frame);
        flush(&mut client, &mut s).await?;
        // A flood that reads nothing would be ended as a slow reader.
        while let Some(frame) = s.next().now_or_never() {
            match frame {
                Some(Ok(Message::Text(text))) => client.receive(Instant::now(), &text),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return Err("thrown out".to_owned()),
            }
        }
        client.replies.clear();
        client.chat.clear();
        tokio::time::sleep(BREATH).await;
    }
    Ok(())
}

/// Logs in and enters the room, or goes on without it when that takes long.
async fn go_in(t: &Target, client: &mut Client, s: &mut Socket) -> Result<(), String> {
    client.with_media = false;
    log_in(client, s).await?;
    client.ask();
    let end = Instant::now() + Duration::from_secs(3);
    while t.goes_on() && !client.in_room && Instant::now() < end {
        flush(client, s).await?;
        listen(client, s, Duration::from_millis(20)).await?;
        if client.ask_at.is_some_and(|at| at <= Instant::now()) {
            client.ask();
        }
    }
    Ok(())
}

async fn listen(client: &mut Client, s: &mut Socket, time: Duration) -> Result<(), String> {
    match tokio::time::timeout(time, s.next()).await {
        Ok(Some(Ok(Message::Text(text)))) => client.receive(Instant::now(), &text),
        Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) | Err(_) => {}
        Ok(_) => return Err("thrown out".to_owned()),
    }
    flush(client, s).await
}

/// Pairs in rooms of their own: one talks as much as it may, and neither reads a word.
pub(crate) async fn deaf_pairs(target: Target, n: usize) {
    crowd(target, n, move |k, t| async move {
        while t.goes_on() {
            if deaf(&t, k).await.is_err() {
                pause(&t, Duration::from_millis(20)).await;
            }
        }
    })
    .await
}

async fn deaf(t: &Target, k: usize) -> Result<(), String> {
    let mut s = connect(t.http, STRANGER, FOR).await?;
    let mut client: Client = Client::new(100, "Stoerer", &format!("taub{}@muc.meet.jitsi", k / 2));
    go_in(t, &mut client, &mut s).await?;
    let (room, text) = (client.room.clone(), "x".repeat(60_000));
    while t.goes_on() {
        if k.is_multiple_of(2) {
            t.strike();
            let chat = format!(
                r#"<message to="{room}" type="groupchat" xmlns="jabber:client"><body>{text}</body></message>"#
            );
            // Whoever is read later waits here.
            let said = tokio::time::timeout(Duration::from_millis(200), say(&mut s, &chat)).await;
            if let Ok(Err(e)) = said {
                return Err(e);
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

pub(crate) fn large_presence(client: &mut Client, n: u64) -> String {
    let (room, nick, many) = (&client.room, &client.nick, "<a/>".repeat(9_000));
    format!(
        r#"<presence to="{room}/{nick}" xmlns="jabber:client"><nick xmlns="n">{n}</nick>{many}</presence>"#
    )
}

pub(crate) fn chat(client: &mut Client, n: u64) -> String {
    let room = &client.room;
    format!(r#"<message to="{room}" type="groupchat" xmlns="jabber:client"><body>{n}</body></message>"#)
}

/// What moderators and those who wait say to components, rooms and their doors: votes, settings, moderation, new rooms, other nicks,
/// knocks.
pub(crate) fn commands(client: &mut Client, n: u64) -> String {
    let (room, nick) = (&client.room, &client.nick);
    let to = |component: &str, said: &str| {
        format!(r#"<message to="{component}.meet.jitsi" type="chat" xmlns="jabber:client">{said}</message>"#)
    };
    let jitmeet = format!(r#"xmlns="http://jitsi.org/jitmeet" room="{room}""#);
    match n % 8 {
        0 => format!(r#"<presence to="{room}/n{n}" xmlns="jabber:client"/>"#),
        1 => to(
            "polls",
            &format!(
                r#"<json-message {jitmeet}>{{"type":"polls","command":"new-poll","pollId":"{n}","question":"?","answers":[{{"name":"a"}}]}}</json-message>"#
            ),
        ),
        2 => to(
            "metadata",
            &format!(r#"<room_metadata {jitmeet}>{{"key":"k{n}","data":{{"n":{n}}}}}</room_metadata>"#),
        ),
        3 => to(
            "avmoderation",
            &format!(r#"<av_moderation {jitmeet} enable="{}" mediaType="audio"/>"#, n % 16 < 8),
        ),
        4 => {
            to("breakout", &format!(r#"<breakout_rooms type="features/breakout-rooms/add" subject="{n}"/>"#))
        }
        5 => to("speakerstats", &format!(r#"<speakerstats {jitmeet} silence="false"/>"#)),
        6 => format!(
            r#"<iq id="l{n}" to="{room}" type="set" xmlns="jabber:client"><query xmlns="http://jabber.org/protocol/muc#owner"><x xmlns="jabber:x:data" type="submit"><field var="muc#roomconfig_membersonly"><value>{}</value></field></x></query></iq>"#,
            u8::from(n % 16 < 8)
        ),
        _ => {
            let lobby = room.replace("@muc.", "@lobby.");
            format!(
                r#"<presence to="{lobby}/{nick}" xmlns="jabber:client"><x xmlns="http://jabber.org/protocol/muc"/><nick xmlns="http://jabber.org/protocol/nick">{n}</nick></presence>"#
            )
        }
    }
}

pub(crate) fn iq_to_focus(client: &mut Client, n: u64) -> String {
    let room = &client.room;
    match n % 3 {
        0 => format!(
            r#"<iq id="f{n}" to="focus.meet.jitsi" type="set" xmlns="jabber:client"><conference room="neu{n}@muc.meet.jitsi" xmlns="http://jitsi.org/protocol/focus"/></iq>"#
        ),
        1 => format!(
            r#"<iq id="f{n}" to="{room}/focus" type="set" xmlns="jabber:client"><mute xmlns="http://jitsi.org/jitmeet/audio" jid="{room}/{}">true</mute></iq>"#,
            client.nick
        ),
        _ => format!(
            r#"<iq id="f{n}" to="{room}/focus" type="get" xmlns="jabber:client"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>"#
        ),
    }
}

pub(crate) fn forged_answer(client: &mut Client, n: u64) -> String {
    let room = &client.room;
    let kind = ["result", "error"][n as usize % 2];
    let to =
        ["focus.meet.jitsi".to_owned(), format!("{room}/focus"), "focus@auth.meet.jitsi/focus".to_owned()];
    let to = &to[n as usize % 3];
    format!(r#"<iq id="{}" to="{to}" type="{kind}" xmlns="jabber:client"/>"#, n / 6)
}

pub(crate) async fn room_passwords(target: Target, n: usize) {
    crowd(target, n, move |k, t| async move {
        while t.goes_on() {
            let Ok(mut s) = connect(t.http, STRANGER, FOR).await else {
                pause(&t, Duration::from_millis(5)).await;
                continue;
            };
            let mut client: Client =
                Client::new(100 + k as u16, "Rater", &format!("{}@muc.meet.jitsi", person::ROOM));
            if log_in(&mut client, &mut s).await.is_err() {
                pause(&t, Duration::from_millis(20)).await;
                continue;
            }
            // The meeting is open, so this is a flood of joins and goodbyes with passwords.
            while t.goes_on() {
                client.password = Some(format!("geheim{}", t.strike()));
                client.nick = format!("r{k}x{}", t.blows.load(Ordering::Relaxed) % 7);
                client.join();
                client.leave();
                if flush(&mut client, &mut s).await.is_err() {
                    break;
                }
                if listen(&mut client, &mut s, BREATH).await.is_err() {
                    break;
                }
                client.refusals.clear();
            }
        }
    })
    .await
}

// ---- at the bridge

/// Datagrams of somebody who is in no meeting: STUN, DTLS and media by their first bytes.
pub(crate) async fn datagrams(target: Target) {
    let udp = UdpSocket::bind(("127.0.0.2", 0)).await.expect("a socket");
    while target.goes_on() {
        let blows = target.strike();
        let mut data = [0u8; 200];
        for (i, b) in data.iter_mut().enumerate() {
            *b = (blows as usize * 31 + i * 7) as u8;
        }
        match blows % 3 {
            // A binding request with an unknown ufrag.
            0 => data[..20].copy_from_slice(&[
                0, 1, 0, 180, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
            ]),
            // A handshake message.
            1 => data[..13].copy_from_slice(&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 187]),
            _ => data[0] = 0x80,
        }
        let _ = udp.send_to(&data, target.media).await;
        if blows.is_multiple_of(16) {
            tokio::time::sleep(BREATH).await;
        }
    }
}

/// What the strangers below would have been told by the XMPP server.
pub(crate) const TURN_SECRET: &str = "north";

/// Requests with and without credentials, right and wrong, and data for relays that are not there.
pub(crate) async fn turn_requests(target: Target) {
    let udp = UdpSocket::bind(("127.0.0.2", 0)).await.expect("a socket");
    while target.goes_on() {
        let blows = target.strike();
        let mut id = [0; 12];
        id[..8].copy_from_slice(&blows.to_be_bytes());
        let forged = Signer { username: "9999999999:x", password: "guess", nonce: b"AAAAAAAAAAAAAAAA" };
        let blow = match blows % 5 {
            0 => message(1, id, &[]),
            1 => message(ALLOCATE, id, &[transport()]),
            2 => forged.sign(ALLOCATE, id, &[transport()]),
            3 => [&[0x40, 0, 0, 200][..], &[7; 200]].concat(),
            _ => message(0x16, id, &[(0x12, mask(target.media, &id)), (0x13, vec![7; 200])]),
        };
        let _ = udp.send_to(&blow, target.turn).await;
        if blows.is_multiple_of(16) {
            tokio::time::sleep(BREATH).await;
        }
    }
}

/// One person with credentials and as many relays as it gets, all of which send the bridge what is no media.
pub(crate) async fn turn_relays(target: Target) {
    let hour = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs() + 3_600;
    let username = format!("{hour}:x");
    let password = turn_server::password(TURN_SECRET.as_bytes(), &username);
    let mut relays = Vec::new();
    for n in 0..40u8 {
        let udp = UdpSocket::bind(("127.0.0.2", 0)).await.expect("a socket");
        let ask = async |m: Vec<u8>| {
            let _ = udp.send_to(&m, target.turn).await;
            let mut answer = [0; 512];
            let answered = tokio::time::timeout(Duration::from_secs(1), udp.recv(&mut answer)).await;
            answered.ok().and_then(Result::ok).map(|len| read(&answer[..len]))
        };
        let Some(challenge) = ask(message(ALLOCATE, [n; 12], &[transport()])).await else { continue };
        let nonce = challenge.attribute(0x15).expect("a nonce");
        let signer = Signer { username: &username, password: &password, nonce };
        let made = ask(signer.sign(ALLOCATE, [n; 12], &[transport()])).await.is_some_and(|a| a.code == 0);
        assert_eq!(made, n < 32, "so many relays has one person, and not one more");
        let channel = vec![0x40, 0, 0, 0];
        let bind = signer.sign(BIND, [n; 12], &[(0x0c, channel), (0x12, mask(target.media, &[n; 12]))]);
        if made && ask(bind).await.is_some_and(|a| a.code == 0) {
            relays.push(udp);
        }
    }
    let blow = [&[0x40, 0, 4, 0][..], &[0x80; 1_024]].concat();
    while target.goes_on() {
        for relay in &relays {
            let blows = target.strike();
            let _ = relay.send_to(&blow, target.turn).await;
            if blows.is_multiple_of(16) {
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

/// What somebody with media of its own does to the bridge, as often as it is called.
type MediaBlow = fn(&mut Client, u64);

/// Two strangers in a meeting of their own with media.
pub(crate) async fn with_media(target: Target, blow: MediaBlow) {
    crowd(target, 2, move |k, t| async move {
        if let Err(e) = meet(&t, k, blow).await {
            eprintln!("a stranger with media: {e}");
        }
    })
    .await
}

async fn meet(t: &Target, k: usize, blow: MediaBlow) -> Result<(), String> {
    let udp = UdpSocket::bind(("127.0.0.2", 0)).await.map_err(|e| e.to_string())?;
    let mut s = connect(t.http, STRANGER, FOR).await?;
    let mut client: Client = Client::new(100 + k as u16, "Stoerer", "stoerung@muc.meet.jitsi");
    client.local = udp.local_addr().ok();
    log_in(&mut client, &mut s).await?;
    client.ask();
    let mut datagram = [0; 2048];
    let (mut next, mut struck) = (Instant::now(), 0);
    while t.goes_on() {
        let now = Instant::now();
        if client.ask_at.is_some_and(|at| at <= now) {
            client.ask();
        }
        if now >= next {
            next = now + Duration::from_millis(20);
            client.tick(now);
            if client.connected() {
                client.send_media();
            }
        }
        if client.connected() {
            // Some 1 Mbit/s of feedback, or as many messages.
            blow(&mut client, struck);
            struck += 1;
            t.strike();
        }
        listen(&mut client, &mut s, Duration::from_micros(100)).await?;
        while let Some(Ok((len, _))) = udp.recv_from(&mut datagram).now_or_never() {
            if let Some(media) = &mut client.media {
                media.peer.receive(now, &datagram[..len]);
                media.peer.rtp.clear();
                media.peer.rtcp.clear();
            }
        }
        if let Some(media) = &mut client.media {
            media.peer.texts.clear();
            for data in std::mem::take(&mut media.peer.sent) {
                let _ = udp.send_to(&data, media.bridge).await;
            }
        }
    }
    Ok(())
}

/// A 40-byte packet that claims 65,535 statuses in run-length chunks.
pub(crate) fn transport_cc(client: &mut Client, n: u64) {
    let Some(media) = &mut client.media else { return };
    let mut packet = vec![0x8f, 205, 0, 9];
    packet.extend([0, 0, 0, 1, 0, 0, 0, 2]);
    packet.extend((n as u16).to_be_bytes());
    packet.extend(65_535u16.to_be_bytes());
    packet.extend([0, 0, 1, n as u8]);
    // Runs of 8,191 packets that were not received.
    packet.extend([0x1f, 0xff].repeat(10));
    media.peer.send_rtcp(&packet);
}

pub(crate) fn nacks(client: &mut Client, n: u64) {
    let Some((_, (_, ssrc))) = client.mapped("AudioSourcesMap").pop_first() else {
        // The map was forgotten with the texts: any SSRC that a bridge gives.
        return nack(client, n as u32);
    };
    nack(client, ssrc);
}

fn nack(client: &mut Client, ssrc: u32) {
    let Some(media) = &mut client.media else { return };
    let mut packet = vec![0x81, 205, 0, 62, 0, 0, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    for base in 0..60u16 {
        packet.extend((base * 17).to_be_bytes());
        packet.extend([0xff, 0xff]);
    }
    media.peer.send_rtcp(&packet);
}

pub(crate) fn channel_messages(client: &mut Client, n: u64) {
    let Some(media) = &mut client.media else { return };
    let text = match n % 2 {
        0 => format!(r#"{{"colibriClass":"EndpointMessage","to":"","msgPayload":{{"n":{n}}}}}"#),
        _ => {
            let names: Vec<String> = (0..40).map(|i| format!(r#""x{n}y{i}-v0""#)).collect();
            let names = names.join(",");
            format!(
                r#"{{"colibriClass":"ReceiverVideoConstraints","lastN":{},"selectedSources":[{names}],"onStageSources":[{names}],"defaultConstraints":{{"maxHeight":{}}},"constraints":{{}}}}"#,
                n % 25,
                n % 720
            )
        }
    };
    media.peer.say(Instant::now(), &text);
}
