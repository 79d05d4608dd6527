//! The WebSocket bridge channel: admission, greeting, replacement, end.

use jitsi_xmpp::Sensitive;
use jitsi_xmpp::ids::EndpointId;
use videobridge_core::{Command, Discard, Event, SocketId, WebSocketConfig, limits, shard_of_conference};

use crate::world::{World, endpoint, new_endpoint, request};

/// A world with one endpoint; the conference id and password out of its URL.
fn world() -> (World, String, String) {
    let mut world = World::with(|config| {
        config.index = 5;
        config.announced_version = Some("2.3-plausch".to_owned());
        config.web_sockets = Some(WebSocketConfig {
            domains: vec!["meet.example".to_owned()],
            server_id: "jvb1".to_owned(),
            tls: true,
        });
    });
    let answer = world.modify(request(true, vec![new_endpoint("aaaa0001")])).unwrap();
    let ice = answer.endpoints[0].transport.as_ref().unwrap().ice.clone().unwrap();
    let url = ice.web_sockets[0].url.as_ref().unwrap().reveal().clone();
    let rest = url.strip_prefix("wss://meet.example/colibri-ws/jvb1/").unwrap();
    let (conference, rest) = rest.split_once('/').unwrap();
    let password = rest.strip_prefix("aaaa0001?pwd=").unwrap();
    assert_eq!(shard_of_conference(conference), Some(5));
    (world, conference.to_owned(), password.to_owned())
}

fn open(world: &mut World, socket: u64, conference: &str, endpoint: &str, password: &str) {
    world.command(Command::WebSocketOpen {
        socket: SocketId(socket),
        conference: conference.to_owned(),
        endpoint: EndpointId::new(endpoint),
        password: Sensitive::new(password.to_owned()),
    });
}

#[test]
fn only_the_password_of_the_endpoint_opens_it_and_the_greeting_comes_first() {
    let (mut world, conference, password) = world();
    for (c, e, p) in [
        (conference.as_str(), "aaaa0001", "wrong"),
        (&conference, "aaaa0001", ""),
        (&conference, "nobody", &password),
        ("other", "aaaa0001", &password),
    ] {
        open(&mut world, 1, c, e, p);
        assert!(matches!(world.events.pop_back(), Some(Event::WebSocketRefused { socket: SocketId(1) })));
    }
    world.events.clear();
    open(&mut world, 2, &conference, "aaaa0001", &password);
    assert!(matches!(world.events.pop_front(), Some(Event::WebSocketAccepted { socket: SocketId(2) })));
    let texts = world.texts_of(SocketId(2));
    assert_eq!(texts.first().unwrap(), r#"{"colibriClass":"ServerHello","version":"2.3-plausch"}"#);
}

#[test]
fn a_new_socket_replaces_the_old_and_expiry_closes_it() {
    let (mut world, conference, password) = world();
    open(&mut world, 1, &conference, "aaaa0001", &password);
    world.events.clear();
    open(&mut world, 2, &conference, "aaaa0001", &password);
    let closed = |world: &World, s| {
        world.events.iter().find_map(|e| match e {
            Event::CloseWebSocket { socket, code, reason } if *socket == SocketId(s) => {
                Some((*code, *reason))
            }
            _ => None,
        })
    };
    assert_eq!(closed(&world, 1), Some((1000, "replaced")));
    // The old one says nothing any more.
    world.events.clear();
    world.command(Command::WebSocketText {
        socket: SocketId(1),
        text: r#"{"colibriClass":"ClientHello"}"#.to_owned(),
    });
    world.command(Command::WebSocketClosed { socket: SocketId(1) });
    assert!(world.events.is_empty());
    world.command(Command::WebSocketText {
        socket: SocketId(2),
        text: r#"{"colibriClass":"ClientHello"}"#.to_owned(),
    });
    assert_eq!(world.texts_of(SocketId(2)).len(), 1);

    let mut gone = endpoint("aaaa0001");
    gone.expire = true;
    world.modify(request(false, vec![gone])).unwrap();
    assert_eq!(closed(&world, 2), Some((1001, "endpoint closed")));
    assert!(world.shard.is_empty());
}

#[test]
fn messages_have_a_largest_size() {
    let (mut world, conference, password) = world();
    open(&mut world, 1, &conference, "aaaa0001", &password);
    world.events.clear();
    let hello = |len: usize| {
        let hello = r#"{"colibriClass":"ClientHello"}"#;
        format!("{hello}{}", " ".repeat(len - hello.len()))
    };
    world.command(Command::WebSocketText { socket: SocketId(1), text: hello(limits::MAX_CHANNEL_MESSAGE) });
    assert_eq!(world.texts_of(SocketId(1)).len(), 1);
    world.command(Command::WebSocketText {
        socket: SocketId(1),
        text: hello(limits::MAX_CHANNEL_MESSAGE + 1),
    });
    assert_eq!(world.texts_of(SocketId(1)).len(), 1);
    assert_eq!(world.shard.counters().dropped(Discard::MessageLimit), 1);
}

#[test]
fn what_a_client_may_send_to_others_at_once_ends_at_its_limit() {
    let (mut world, conference, password) = world();
    open(&mut world, 1, &conference, "aaaa0001", &password);
    let message = |len: usize| {
        let head = r#"{"colibriClass":"EndpointMessage","to":"nobody","msgPayload":""#;
        format!("{head}{}\"}}", "x".repeat(len - head.len() - 2))
    };
    let mut say = |len: usize| {
        world.command(Command::WebSocketText { socket: SocketId(1), text: message(len) });
        world.shard.counters().dropped(Discard::MessageLimit)
    };
    let size = 8 * 1024;
    for n in 0..limits::CHANNEL_RELAYED_BYTES.burst() as usize / size {
        assert_eq!(say(size), 0, "{n}");
    }
    assert_eq!(say(100), 1, "one beyond");
}
