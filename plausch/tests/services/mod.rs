//! Recorders and gateways beside the built program: stand-ins that speak as Jibri and Jigasi do log in over TCP with their accounts, are
//! found in their breweries, and do what a moderator wants.

use std::net::SocketAddr;
use std::time::Duration;

use jitsi_xmpp::xml::parse;
use jitsi_xmpp::{Element, Sensitive, iq};
use xmpp_link::{Link, LinkConfig, LinkEvent, TlsMode};

use crate::running::Whole;
use crate::tab::{ANONYMOUS, Tab};

const ROOM: &str = "rat@muc.meet.jitsi";

/// A program with an account of its own.
struct Program(Link);

impl Program {
    async fn log_in(xmpp: SocketAddr, domain: &str, user: &str, password: &str) -> Self {
        let mut it = Self(Link::connect(LinkConfig {
            address: xmpp.to_string(),
            domain: domain.to_owned(),
            username: user.to_owned(),
            password: Sensitive::new(password.to_owned()),
            resource: user.to_owned(),
            tls: TlsMode::IfOffered,
            verify_certificate: false,
            resume_within: None,
        }));
        while !matches!(it.next().await, LinkEvent::Up { .. }) {}
        it
    }

    async fn next(&mut self) -> LinkEvent {
        let next = tokio::time::timeout(Duration::from_secs(20), self.0.recv()).await;
        next.expect("nothing was said").expect("the server is gone")
    }

    fn say(&self, xml: &str) {
        self.0.send(&parse(xml.as_bytes()).unwrap()).unwrap();
    }

    fn enter(&self, occupant: &str, said: &str) {
        self.say(&format!(
            "<presence xmlns='jabber:client' to='{occupant}'><x xmlns='http://jabber.org/protocol/muc'/>{said}</presence>"
        ));
    }

    /// The next stanza with these words.
    async fn until(&mut self, words: &str) -> Element {
        loop {
            if let LinkEvent::Stanza(stanza) = self.next().await
                && stanza.to_xml().contains(words)
            {
                return stanza;
            }
        }
    }

    fn answer(&self, request: &Element, payload: &str) {
        self.0.send(&iq::result(request, Some(parse(payload.as_bytes()).unwrap()))).unwrap();
    }
}

async fn guest(http: SocketAddr) -> Tab {
    let mut tab = Tab::log_in(http, "meet.jitsi", "room=rat", ANONYMOUS).await.unwrap();
    tab.say(&format!(r#"<iq xmlns="jabber:client" type="set" id="c" to="focus.meet.jitsi"><conference xmlns="http://jitsi.org/protocol/focus" room="{ROOM}" machine-uid="4f"/></iq>"#)).await;
    tab.until("<conference ").await;
    let nick = tab.nick();
    tab.say(&format!(r#"<presence xmlns="jabber:client" to="{ROOM}/{nick}"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#)).await;
    tab.until("code=\"110\"").await;
    tab
}

async fn ask(tab: &mut Tab, id: &str, payload: &str) {
    tab.say(&format!(r#"<iq xmlns="jabber:client" type="set" id="{id}" to="{ROOM}/focus">{payload}</iq>"#))
        .await;
}

/// The server with recorders, gateways and transcribers, and two who meet; the first of them moderates.
async fn meeting(whole: &Whole) -> (Tab, Tab) {
    let mut anna = guest(whole.http).await;
    anna.until("role=\"moderator\"").await;
    let mut ben = guest(whole.http).await;
    for tab in [&mut anna, &mut ben] {
        tab.until("session-initiate").await;
    }
    (anna, ben)
}

fn start() -> Whole {
    Whole::start(|c| {
        c.envs([
            ("ENABLE_RECORDING", "1"),
            ("ENABLE_TRANSCRIPTIONS", "1"),
            ("JIGASI_SIP_URI", "sip:town@example.org"),
        ]);
        c.envs([
            ("JIBRI_XMPP_PASSWORD", "eins"),
            ("JIBRI_RECORDER_PASSWORD", "zwei"),
            ("JIGASI_XMPP_PASSWORD", "drei"),
        ]);
    })
}

#[test]
fn a_recorder_is_found_records_a_meeting_is_in_it_unseen_and_ends_when_it_is_told() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let whole = start();
    runtime.block_on(async {
        let (mut anna, mut ben) = meeting(&whole).await;
        let order = r#"<jibri xmlns="http://jitsi.org/protocol/jibri" action="start" recording_mode="file"/>"#;
        ask(&mut anna, "r0", order).await;
        assert!(anna.until("id=\"r0\"").await.contains("service-unavailable"), "no recorder is there");

        let mut jibri = Program::log_in(whole.xmpp, "auth.meet.jitsi", "jibri", "eins").await;
        let idle = "<jibri-status xmlns='http://jitsi.org/protocol/jibri'><busy-status status='idle'/>\
                    <health-status xmlns='http://jitsi.org/protocol/health' status='healthy'/></jibri-status>";
        jibri.enter("jibribrewery@internal-muc.meet.jitsi/jibri-1", idle);
        jibri.until("110").await;
        ask(&mut ben, "r1", order).await;
        assert!(ben.until("id=\"r1\"").await.contains("not-allowed"), "he does not moderate");
        ask(&mut anna, "r2", order).await;
        let asked = jibri.until("action=\"start\"").await;
        let wish = asked.first_child().unwrap();
        assert_eq!(wish.attr("room"), Some(ROOM));
        let session = wish.attr("session_id").unwrap().to_owned();
        jibri.answer(&asked, "<jibri xmlns='http://jitsi.org/protocol/jibri' status='pending'/>");
        assert!(anna.until("id=\"r2\"").await.contains(&session));

        // Its browser is in the meeting with another account, which clients do not show.
        let mut browser = Program::log_in(whole.xmpp, "hidden.meet.jitsi", "recorder", "zwei").await;
        let features = "<features><feature var='http://jitsi.org/protocol/jibri'/></features>";
        browser.enter(&format!("{ROOM}/recorder"), features);
        let question = browser.until("disco#info").await;
        browser.answer(&question, "<query xmlns='http://jabber.org/protocol/disco#info'><feature var='urn:xmpp:jingle:apps:rtp:video'/></query>");
        browser.until("session-initiate").await;
        assert!(ben.until(&format!("{ROOM}/recorder")).await.contains("@hidden.meet.jitsi"));

        let from = asked.attr("from").unwrap();
        jibri.say(&format!("<iq xmlns='jabber:client' type='set' id='on' to='{from}'><jibri xmlns='http://jitsi.org/protocol/jibri' session_id='{session}' status='on'/></iq>"));
        jibri.until("id=\"on\"").await;
        for tab in [&mut anna, &mut ben] {
            let shown = tab.until("jibri-recording-status").await;
            assert!(shown.contains("status=\"on\"") && shown.contains(&format!("{ROOM}/focus")), "{shown}");
        }
        ask(&mut anna, "r3", r#"<jibri xmlns="http://jitsi.org/protocol/jibri" action="stop"/>"#).await;
        assert_eq!(jibri.until("action=\"stop\"").await.first_child().unwrap().attr("session_id"), Some(&*session));
        ben.until("status=\"off\"").await;
    });
    let stats = crate::running::get(whole.admin, "/focus/stats").unwrap();
    assert!(stats.contains(r#""jibri_detector":{"available":1,"count":1}"#), "{stats}");
}

#[test]
fn a_gateway_is_found_and_calls_for_a_moderator_alone() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let whole = start();
    runtime.block_on(async {
        let mut jigasi = Program::log_in(whole.xmpp, "auth.meet.jitsi", "jigasi", "drei").await;
        let stats = "<stats xmlns='http://jitsi.org/protocol/colibri'><stat name='supports_sip' value='true'/><stat name='participants' value='0'/></stats>";
        jigasi.enter("jigasibrewery@internal-muc.meet.jitsi/jigasi-1", stats);
        jigasi.until("110").await;
        let (mut anna, mut ben) = meeting(&whole).await;
        let dial = format!(r#"<dial xmlns="urn:xmpp:rayo:1" to="+49891234" from="us"><header name="JvbRoomName" value="{ROOM}"/></dial>"#);
        ask(&mut ben, "d1", &dial).await;
        assert!(ben.until("id=\"d1\"").await.contains("type=\"error\""), "he does not moderate");
        ask(&mut anna, "d2", &dial).await;
        let asked = jigasi.until("urn:xmpp:rayo:1").await;
        assert_eq!(asked.first_child().unwrap().attr("to"), Some("+49891234"));
        jigasi.answer(&asked, "<ref xmlns='urn:xmpp:rayo:1' uri='xmpp:call@jigasi'/>");
        assert!(anna.until("id=\"d2\"").await.contains("xmpp:call@jigasi"));
    });
}
