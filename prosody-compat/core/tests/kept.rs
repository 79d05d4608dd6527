//! What the server keeps of what people say: counted by the allocator, byte by byte. A binary of its own, because a
//! process has one allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

use jitsi_xmpp::entropy::SeededEntropy;
use prosody_core::{Config, ConnId, Output, Server, SessionQuery, Transport};

struct Counting;

thread_local! {
    /// Bytes that are in use.
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

fn count(by: isize) {
    let _ = LIVE.try_with(|n| n.set(n.get() + by));
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.cast_signed() - layout.size().cast_signed());
        // SAFETY: the caller's promise.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A server whose clients read and forget.
struct Town {
    server: Server,
    now: Instant,
    conns: u64,
}

impl Town {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::for_domain("meet.jitsi").unwrap();
        change(&mut config);
        let now = Instant::now();
        let mut server = Server::new(config, Box::new(SeededEntropy::new(1)), now);
        server.handle_clock(now, Duration::from_secs(1_795_390_567));
        Self { server, now, conns: 0 }
    }

    fn open(&mut self, transport: Transport) -> ConnId {
        self.conns += 1;
        let conn = ConnId(self.conns);
        self.server.handle_open(self.now, conn, transport, SessionQuery::default());
        self.drain(conn);
        conn
    }

    fn focus(&mut self) -> ConnId {
        self.open(Transport::InProcess("focus@auth.meet.jitsi/focus".parse().unwrap()))
    }

    /// A client, bound.
    fn client(&mut self) -> ConnId {
        let conn = self.open(Transport::WebSocket);
        for frame in LOGIN {
            self.send(conn, frame);
        }
        conn
    }

    /// What comes back to the sender itself.
    fn send(&mut self, conn: ConnId, frame: &str) -> String {
        self.server.handle_frame(self.now, conn, frame.as_bytes());
        self.drain(conn)
    }

    fn drain(&mut self, conn: ConnId) -> String {
        let mut said = Vec::new();
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send { conn: to, frame } if to == conn => said.extend_from_slice(&frame.to_bytes()),
                _ => {}
            }
        }
        String::from_utf8(said).unwrap()
    }

    fn join(&mut self, conn: ConnId, nick: &str, said: &str) -> String {
        self.send(
            conn,
            &format!(
                r#"<presence to="{ROOM}/{nick}"><x xmlns="http://jabber.org/protocol/muc"/>{said}</presence>"#
            ),
        )
    }
}

/// Bytes in use after 500 people have said this of themselves.
fn after_five_hundred(said: &str) -> isize {
    let before = LIVE.get();
    let mut town = Town::new(|_| {});
    let focus = town.focus();
    town.join(focus, "focus", "");
    for n in 0..500 {
        let client = town.client();
        let back = town.join(client, &format!("n{n:07}"), said);
        assert!(back.contains("code=\"110\""), "{back}");
        // Said again, as when somebody mutes: what was said before is not kept.
        town.send(client, &format!(r#"<presence to="{ROOM}/n{n:07}">{said}</presence>"#));
    }
    assert_eq!(town.server.stats().occupants, 501);
    LIVE.get() - before
}

#[test]
fn presences_of_five_hundred_cost_their_bytes_and_not_their_trees() {
    let nothing = after_five_hundred("");
    let each = nothing / 500;
    assert!(each < 4 * 1024, "a session in a room: {each} bytes");
    let usual = concat!(
        "<stats-id>Murphy-RwH</stats-id><c hash=\"sha-1\" node=\"https://jitsi.org/jitsi-meet\" \
         ver=\"+mpajJhafj8jFogLBKsPbQfMgzU=\" xmlns=\"http://jabber.org/protocol/caps\"/>",
        "<jitsi_participant_codecList>av1,vp9,vp8,h264</jitsi_participant_codecList>",
        "<nick xmlns=\"http://jabber.org/protocol/nick\">Anna Beispiel</nick>",
        "<SourceInfo>{&quot;d0ec9fb6-a0&quot;:{&quot;muted&quot;:true},&quot;d0ec9fb6-v0&quot;:{&quot;muted&quot;:false}}</SourceInfo>",
    );
    let elements = "<a/>".repeat(200);
    let attributes = "<a b=\"c\" d=\"e\" f=\"g\" h=\"i\"/>".repeat(200);
    let text = format!("<a>{}</a>", "x".repeat(20_000));
    for said in [usual, &elements, &attributes, &text] {
        let cost = (after_five_hundred(said) - nothing) / 500;
        let most = said.len().cast_signed() * 13 / 10;
        assert!(cost <= most, "{} bytes said cost {cost}", said.len());
    }
}

#[test]
fn joins_that_wait_cost_their_bytes_and_not_their_trees() {
    let waiting = |said: &str| {
        let before = LIVE.get();
        let mut town = Town::new(|_| {});
        let jvb = town.open(Transport::InProcess("jvb@auth.meet.jitsi/x".parse().unwrap()));
        town.join(jvb, "opener", "");
        for n in 0..100 {
            let client = town.client();
            assert_eq!(town.join(client, &format!("n{n:07}"), said), "");
        }
        LIVE.get() - before
    };
    let nothing = waiting("");
    let said = "<a/>".repeat(200);
    let cost = (waiting(&said) - nothing) / 100;
    assert!(cost <= said.len().cast_signed() * 13 / 10, "{} bytes that wait cost {cost}", said.len());
}

#[test]
fn metadata_of_a_room_costs_its_bytes_and_not_its_tree() {
    let with = |data: &str| {
        let before = LIVE.get();
        let mut town = Town::new(|c| c.hosts.rooms[0].policy.all_owners = true);
        let focus = town.focus();
        town.join(focus, "focus", "");
        let client = town.client();
        town.join(client, "anna0000", "");
        let told = town.send(
            client,
            &format!(
                r#"<message to="metadata.meet.jitsi"><room_metadata xmlns="http://jitsi.org/jitmeet" room="{ROOM}">{{"key":"k","data":{data}}}</room_metadata></message>"#
            ),
        );
        assert!(told.contains("room_metadata") && !told.contains("error"), "{told}");
        drop(told);
        LIVE.get() - before
    };
    let nothing = with("[]");
    let data = format!("[{}]", vec!["[1,{}]"; 4_000].join(","));
    let cost = with(&data) - nothing;
    assert!(cost <= data.len().cast_signed() * 13 / 10, "{} bytes of metadata cost {cost}", data.len());
}

#[test]
fn requests_that_wait_for_the_focus_do_not_keep_what_was_in_them() {
    let mut town = Town::new(|_| {});
    let _focus = town.focus();
    let client = town.client();
    let bare = LIVE.get();
    let stuffing = "<a/>".repeat(9_000);
    for n in 0..10 {
        town.send(client, &format!(r#"<iq type="set" id="{n}" to="focus.meet.jitsi"><conference xmlns="http://jitsi.org/protocol/focus" room="{ROOM}">{stuffing}</conference></iq>"#));
    }
    let kept = LIVE.get() - bare;
    assert!(kept < 64 * 1024, "ten requests keep {kept} bytes");
}

#[test]
fn ids_of_questions_are_kept_only_when_they_are_short() {
    let mut town = Town::new(|_| {});
    let focus = town.focus();
    town.join(focus, "focus", "");
    let client = town.client();
    town.join(client, "anna0000", "");
    let bare = LIVE.get();
    for n in 0..20 {
        let id = format!("{n:02}{}", "x".repeat(100_000));
        let back = town
            .send(client, &format!(r#"<iq type="get" id="{id}" to="{ROOM}/focus"><query xmlns="a"/></iq>"#));
        assert!(back.contains("<policy-violation "), "somebody waits for an answer");
    }
    let kept = LIVE.get() - bare;
    assert!(kept < 64 * 1024, "twenty questions keep {kept} bytes");
}

const ROOM: &str = "rathaus@muc.meet.jitsi";
const LOGIN: &[&str] = &[
    r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="meet.jitsi" version="1.0"/>"#,
    r#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="ANONYMOUS"/>"#,
    r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="meet.jitsi" version="1.0"/>"#,
    r#"<iq xmlns="jabber:client" type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#,
];
