//! A meeting that is watched, on the built program over real WebSockets: told to watch, watching, invited, coming in; with its own
//! focus, and with one that speaks as Jitsi's does.

mod stock;

use crate::running::Whole;
use crate::tab::{ANONYMOUS, Tab};

async fn open(whole: &Whole, domain: &str, query: &str) -> Tab {
    Tab::log_in(whole.http, domain, &format!("room=rat{query}"), ANONYMOUS).await.unwrap()
}

async fn ask(tab: &mut Tab) -> String {
    tab.say(r#"<iq xmlns="jabber:client" type="set" id="c" to="focus.meet.jitsi"><conference xmlns="http://jitsi.org/protocol/focus" room="rat@muc.meet.jitsi" machine-uid="4f"><property name="visitors-version" value="1"/></conference></iq>"#).await;
    tab.until("<conference ").await
}

/// Somebody asks to watch, and a moderator has not said yet that the meeting is live.
#[test]
fn who_asks_to_watch_waits_until_the_meeting_is_live() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let whole = Whole::start(|c| {
        c.envs([("ENABLE_VISITORS", "1"), ("PLAUSCH_VISITORS_ONLY_LIVE", "1")]);
    });
    runtime.block_on(async {
        let mut anna = open(&whole, "meet.jitsi", "").await;
        ask(&mut anna).await;
        join(&mut anna, "rat@muc.meet.jitsi").await;
        anna.until("role=\"moderator\"").await;
        let watch = r#"<iq xmlns="jabber:client" type="set" id="w" to="focus.meet.jitsi"><conference xmlns="http://jitsi.org/protocol/focus" room="rat@muc.meet.jitsi" machine-uid="5f"><property name="visitors-version" value="1"/><property name="visitor" value="true"/></conference></iq>"#;
        let mut vera = open(&whole, "meet.jitsi", "").await;
        vera.say(watch).await;
        let told = vera.until("<conference ").await;
        assert!(told.contains(r#"ready="false""#) && told.contains(r#"name="live" value="false""#), "{told}");
        anna.say(r#"<message xmlns="jabber:client" to="metadata.meet.jitsi"><room_metadata xmlns="http://jitsi.org/jitmeet" room="rat@muc.meet.jitsi">{"key":"visitors","data":{"live":true}}</room_metadata></message>"#).await;
        anna.until("\"live\":true").await;
        loop {
            vera.say(watch).await;
            let told = vera.until("<conference ").await;
            if told.contains(r#"ready="true""#) {
                assert!(told.contains(r#"vnode="v0""#), "{told}");
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
}

async fn join(tab: &mut Tab, room: &str) -> String {
    let nick = tab.nick();
    tab.say(&format!(r#"<presence xmlns="jabber:client" to="{room}/{nick}"><x xmlns="http://jabber.org/protocol/muc"/><nick xmlns="http://jabber.org/protocol/nick">N</nick></presence>"#)).await;
    tab.until("code=\"110\"").await
}

#[test]
fn people_watch_are_invited_and_come_in() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let whole = Whole::start(|c| {
        c.envs([("ENABLE_VISITORS", "1"), ("VISITORS_MAX_PARTICIPANTS", "2")]);
    });
    runtime.block_on(async {
        let mut anna = open(&whole, "meet.jitsi", "").await;
        assert!(!ask(&mut anna).await.contains("vnode"));
        join(&mut anna, "rat@muc.meet.jitsi").await;
        let mut ben = open(&whole, "meet.jitsi", "").await;
        assert!(!ask(&mut ben).await.contains("vnode"));
        join(&mut ben, "rat@muc.meet.jitsi").await;

        let mut vera = open(&whole, "meet.jitsi", "").await;
        let told = ask(&mut vera).await;
        assert!(told.contains(r#"vnode="v0""#) && told.contains(r#"ready="true""#), "{told}");
        let mut vera = open(&whole, "v0.meet.jitsi", "&vnode=v0").await;
        assert!(join(&mut vera, "rat@muc.v0.meet.jitsi").await.contains(r#"role="visitor""#));
        vera.until("session-initiate").await;
        anna.until(r#"key="visitor-count" value="1""#).await;

        anna.say(r#"<message xmlns="jabber:client" type="groupchat" to="rat@muc.meet.jitsi"><body>welcome</body></message>"#).await;
        let heard = vera.until("welcome").await;
        assert!(heard.contains(&format!("rat@muc.v0.meet.jitsi/{}", anna.nick())), "{heard}");
        vera.say(r#"<message xmlns="jabber:client" type="groupchat" to="rat@muc.v0.meet.jitsi"><body>thank you</body></message>"#).await;
        assert!(ben.until("thank you").await.contains(r#"from="rat@muc.meet.jitsi""#));

        let hand = "<jitsi_participant_raisedHand>1</jitsi_participant_raisedHand>";
        let nick = vera.nick();
        vera.say(&format!(r#"<presence xmlns="jabber:client" to="rat@muc.v0.meet.jitsi/{nick}">{hand}</presence>"#)).await;
        let allowed = vera.until("promotion-response").await;
        assert!(allowed.contains(r#"allow="true""#), "{allowed}");
        let username = allowed.split("username=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        drop(vera);
        let query = format!("&customusername={username}");
        let mut vera = open(&whole, "meet.jitsi", &query).await;
        assert!(vera.jid.starts_with(&username), "{}", vera.jid);
        join(&mut vera, "rat@muc.meet.jitsi").await;
        ben.until(&format!("/{}\"", vera.nick())).await;
        vera.until("session-initiate").await;
    });
    let metrics = crate::running::get(whole.admin, "/metrics").unwrap();
    assert!(metrics.contains("jitsi_jicofo_visitors_current"), "{metrics}");
}
