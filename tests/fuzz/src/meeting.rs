//! A meeting of two with somebody hostile in it: frames of that one in; a panic when the two notice.

use scenarios::world::{Client, World};

/// Between frames; no XML has it, no UTF-8 either. Two in a row: a second passes.
const FRAME: u8 = 0xff;

/// Whatever an occupant sends, over a real server to a real focus and bridge: the others stay in the room and in their
/// sessions, hear no lies about each other, go on talking, and somebody new comes in.
///
/// `$ME`, `$ANNA`, `$BEN` and `$SID` stand for the endpoint ids and for the session of the hostile one.
pub fn z19_meeting(data: &[u8]) {
    let mut w = World::new();
    for name in ["Anna", "Ben", "Carl"] {
        let n = w.client(name);
        w.clients[n].with_media = false;
        w.enter(n);
    }
    w.seconds(1);
    let (conn, evil) = w.take_over();
    assert!(evil.sid.is_some() && w.clients.iter().all(|c| c.in_room && c.sid.is_some()));
    w.clients.iter_mut().for_each(|c| drop(c.take_actions()));
    let words = [
        ("$ME", evil.nick.clone()),
        ("$ANNA", w.clients[0].nick.clone()),
        ("$BEN", w.clients[1].nick.clone()),
        ("$SID", evil.sid.clone().unwrap_or_default()),
    ];
    for frame in data.split(|b| *b == FRAME).take(32) {
        if frame.is_empty() {
            w.seconds(1);
        } else if !w.closed.contains_key(&conn) {
            w.raw(conn, &spoken(frame, &words));
        }
    }
    if !w.closed.contains_key(&conn) {
        w.lose(conn);
    }
    w.seconds(1);
    w.act(0, |c| c.say_in_chat("noch da"));
    assert!(w.clients[1].chat.last().is_some_and(|t| t == "noch da"), "chat goes on");
    for n in [0, 1] {
        unharmed(&mut w.clients[n], n == 0, &words[2 - n].1);
    }
    let dora = w.client("Dora");
    w.clients[dora].with_media = false;
    w.enter(dora);
    w.seconds(2);
    assert!(w.clients[dora].in_room && w.clients[dora].sid.is_some(), "somebody new comes in");
    // The hostile one may wait to resume, but not for ever.
    let left = |w: &World| w.clients.iter().all(|c| c.in_room && c.occupants.len() == 3);
    let mut waited = 0;
    while !left(&w) {
        assert!(waited < 120, "{:?}", w.clients[0].occupants.keys());
        w.seconds(5);
        waited += 5;
    }
}

fn unharmed(c: &mut Client, moderator: bool, other: &str) {
    assert!(c.stream.conn.is_some() && c.in_room, "out of the room");
    assert!(c.occupants.contains_key("focus") && c.occupants.contains_key(other), "alone");
    assert!(!c.gone.iter().any(|(_, nick)| nick == other || nick == "focus"), "somebody seemed to leave");
    assert!(c.muted_by.is_empty() && c.terminate_reasons.is_empty(), "muted or ended");
    assert_eq!((c.moderator, c.sessions), (moderator, 1));
    // The hostile one's own sources may come and go.
    let actions = c.take_actions();
    assert!(actions.iter().all(|a| a == "source-add" || a == "source-remove"), "{actions:?}");
}

fn spoken(frame: &[u8], words: &[(&str, String)]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(frame) else { return frame.to_vec() };
    words.iter().fold(text.to_owned(), |text, (word, meant)| text.replace(word, meant)).into_bytes()
}
