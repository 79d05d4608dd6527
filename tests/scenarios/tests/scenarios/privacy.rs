//! What a whole meeting writes into the log, at the finest level: nothing about people.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;

use tracing_subscriber::fmt::format::FmtSpan;

use crate::meeting::three_meet;
use crate::world::{ROOM, World};

const PASSWORD: &str = "Ratsgeheimnis77";

thread_local! {
    /// What this test has logged so far, while it records.
    static LOG: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.with_borrow_mut(|log| log.iter_mut().for_each(|l| l.extend_from_slice(bytes)));
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything that happens in `run`, as it would be written at the finest level. Everything of our own crates, and
/// of others what their warnings say.
///
/// One subscriber for all threads: with one per thread, a place in the code that another test reaches first could be
/// taken for switched off.
fn record(run: impl FnOnce()) -> String {
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(
                "warn,focus_core=trace,prosody_core=trace,videobridge_core=trace,videobridge_rtp=trace,\
                 videobridge_srtp=trace,jitsi_xmpp=trace,scenarios=trace",
            )
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(|| Log)
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
    LOG.set(Some(Vec::new()));
    run();
    String::from_utf8(LOG.take().unwrap()).unwrap()
}

#[test]
fn the_log_of_a_whole_meeting_tells_nothing_about_people() {
    let mut personal: Vec<String> = Vec::new();
    let log = record(|| {
        let mut w = World::new();
        three_meet(&mut w);
        // A locked room, somebody with a wrong password, one who vanishes, a bridge that dies, hostile stanzas.
        let lock = format!(
            r#"<query xmlns="http://jabber.org/protocol/muc#owner"><x xmlns="jabber:x:data" type="submit"><field var="FORM_TYPE"><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var="muc#roomconfig_roomsecret"><value>{PASSWORD}</value></field><field var="muc#roomconfig_passwordprotectedroom"><value>1</value></field></x></query>"#
        );
        assert_eq!(w.request(0, "set", ROOM, &lock).attr("type"), Some("result"));
        let n = w.client("Dagmar Datenschutz");
        w.clients[n].password = Some("falschgeraten".to_owned());
        w.enter(n);
        assert!(!w.clients[n].in_room);
        w.act(n, |c| {
            c.password = Some(PASSWORD.to_owned());
            c.join();
        });
        w.connect();
        let foreign = r#"<content name="audio"><description xmlns="urn:xmpp:jingle:apps:rtp:1" media="audio"><source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" name="somebody-a1" ssrc="5"/></description></content>"#;
        assert_eq!(w.jingle(1, "source-add", foreign).attr("type"), Some("error"));
        w.kill_bridge(0);
        w.seconds(5);
        w.restart_bridge(0);
        w.connect();
        w.pull_cable(2);
        w.seconds(130);
        w.clients[2].out_of_room();
        for c in &w.clients {
            personal.extend(c.name.split(' ').map(str::to_owned));
            personal.push(c.stream.jid.clone());
            personal.push(c.stream.jid.split('@').next().unwrap().to_owned());
            personal.push(c.nick.clone());
        }
        w.end();
    });
    let addresses = ["192.0.2.", "198.51.100."];
    let secrets = [PASSWORD, "falschgeraten", "focus-pass-geheim", "jvb-pass-geheim", "password-of-"];
    let texts = ["Guten Morgen", "haushaltsausschuss-4711", "somebody-a1"];
    assert!(log.contains("conference started") && log.contains("conference ended"), "{log}");
    assert!(log.contains("sources refused"), "the finest level is recorded: {log}");
    let all = personal.iter().map(String::as_str).chain(addresses).chain(secrets).chain(texts);
    for text in all.filter(|t| !t.is_empty()) {
        let line = log.lines().find(|l| l.to_lowercase().contains(&text.to_lowercase()));
        assert!(line.is_none(), "{text:?} is in the log: {line:?}");
    }
}

/// The types that travel between the parts do not show people even when somebody prints them for debugging.
#[test]
fn printing_the_parts_shows_nothing_about_people() {
    let mut w = World::new();
    three_meet(&mut w);
    let printed = format!("{:?} {:?} {:?}", w.focus, w.bridges[0].shard, w.server.stats());
    for c in &w.clients {
        for text in [c.nick.as_str(), &c.stream.jid, ROOM, "192.0.2."] {
            assert!(!printed.contains(text), "{text} in {printed}");
        }
    }
    w.end();
}
