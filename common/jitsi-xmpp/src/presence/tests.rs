use super::*;
use crate::ids::MediaType;
use crate::jingle::VideoType;
use crate::ns;
use crate::xml::{self, Element};

fn presence(children: &str) -> Element {
    xml::parse(format!("<presence xmlns='jabber:client'>{children}</presence>").as_bytes()).unwrap()
}

#[test]
fn muc_user_round_trip() {
    let text = "<x xmlns=\"http://jabber.org/protocol/muc#user\"><item affiliation=\"owner\" role=\"moderator\" jid=\"a1@meet.example/k3Jd9\"/><status code=\"100\"/><status code=\"110\"/></x>";
    let x = MucUser::from_element(&xml::parse(text.as_bytes()).unwrap()).unwrap();
    assert!(x.has_status(110) && !x.has_status(307));
    assert_eq!(x.item().unwrap().role, Some(Role::Moderator));
    assert_eq!(x.to_element().to_xml(), text);
    let kicked = "<x xmlns=\"http://jabber.org/protocol/muc#user\"><item affiliation=\"none\" role=\"none\"><actor nick=\"b5\"/><reason>bye</reason></item><status code=\"307\"/></x>";
    assert_eq!(
        MucUser::from_element(&xml::parse(kicked.as_bytes()).unwrap()).unwrap().to_element().to_xml(),
        kicked
    );
}

#[test]
fn source_info_is_read_leniently() {
    let p = presence(
        r#"<SourceInfo>{"a1-a0":{"muted":true},"a1-v0":{"muted":false},"a1-v1":{"muted":false,"videoType":"desktop"},"a1-v2":{"videoType":"hologram"},"a1-x0":{"muted":false,"mediaType":"audio"},"a1-v3":7}</SourceInfo>"#,
    );
    let s = SourceInfo::from_presence(&p).unwrap();
    assert_eq!(s.0.len(), 5);
    assert_eq!(s.get("a1-v1").unwrap().video_type, Some(VideoType::Desktop));
    let odd = s.get("a1-v2").unwrap();
    assert!(odd.muted && odd.video_type.is_none());
    assert_eq!(s.get("a1-x0").unwrap().media_type, Some(MediaType::Audio));
    assert!(s.is_sending(MediaType::Video) && s.is_sending(MediaType::Audio));
    let again = Element::new("presence", ns::CLIENT).with_child(s.to_element());
    assert_eq!(SourceInfo::from_presence(&again), Some(s));
    assert_eq!(
        SourceInfo::from_presence(&presence("<SourceInfo>{}</SourceInfo>")),
        Some(SourceInfo::default())
    );
    assert_eq!(SourceInfo::from_presence(&presence("<SourceInfo>[</SourceInfo>")), None);
    assert_eq!(SourceInfo::from_presence(&presence("")), None);
}

#[test]
fn codec_list_always_has_vp8() {
    let p = presence("<jitsi_participant_codecList>AV1, vp9,av1</jitsi_participant_codecList>");
    assert_eq!(codec_list(&p).unwrap(), ["av1", "vp9", "vp8"]);
    let legacy = presence("<jitsi_participant_codecType>h264</jitsi_participant_codecType>");
    assert_eq!(codec_list(&legacy).unwrap(), ["h264", "vp8"]);
    assert_eq!(codec_list(&presence("")), None);
}

#[test]
fn small_nodes() {
    let p = presence(
        "<features><feature var='https://jitsi.org/meet/e2ee'/></features><jitsi_participant_region>eu</jitsi_participant_region><stats-id>Anna-x7Q</stats-id><nick xmlns='http://jabber.org/protocol/nick'>Anna</nick><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://jitsi.org/jitsi-meet' ver='v='/>",
    );
    assert_eq!(features(&p), ["https://jitsi.org/meet/e2ee"]);
    assert_eq!(region(&p).as_deref(), Some("eu"));
    assert_eq!(stats_id(&p).unwrap().reveal(), "Anna-x7Q");
    assert_eq!(display_name(&p).unwrap().reveal(), "Anna");
    assert_eq!(Caps::from_presence(&p).unwrap().disco_node(), "https://jitsi.org/jitsi-meet#v=");
    let written = Element::new("presence", ns::CLIENT).with_child(features_element(["x"]));
    assert_eq!(features(&written), ["x"]);
}

#[test]
fn conference_properties_round_trip() {
    let mut p = ConferenceProperties::default();
    assert!(p.set("bridge-count", "1"));
    assert!(!p.set("bridge-count", "1"));
    assert!(p.set("bridge-count", "2"));
    assert_eq!(
        p.to_element().to_xml(),
        "<conference-properties xmlns=\"http://jitsi.org/protocol/focus\"><property key=\"bridge-count\" value=\"2\"/></conference-properties>"
    );
    assert_eq!(ConferenceProperties::from_element(&p.to_element()), Ok(p));
}
