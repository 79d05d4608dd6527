//! Upstream's `muc_end_meeting` (xmpp-server §4.36): a program ends a meeting, for good or so that people come again. Off unless it
//! is named.

use jitsi_xmpp::Element;

use super::end_conference;
use crate::module::{Does, Module, Route, Whom};
use crate::muc::{Muc, leave};
use crate::output::HttpReply;
use crate::request::{self, HttpMethod, HttpRequest};

pub(super) static MODULE: Module = Module {
    name: "muc_end_meeting",
    named: &["muc_end_meeting"],
    http: &[Route {
        method: HttpMethod::Post,
        path: "/end-meeting",
        whom: Whom::Programs(401),
        does: Does::Changes(end),
    }],
    ..Module::NONE
};

fn end(muc: &mut Muc<'_>, request: &HttpRequest) -> HttpReply {
    let Some(conference) = request.decoded("conference") else { return HttpReply::refused(400) };
    let found = request::room_at(&muc.world.config, &conference).and_then(|jid| muc.rooms.get(&jid));
    let Some(room) = found else { return HttpReply::refused(404) };
    let (jid, mut destroy) = (room.jid.clone(), Element::inherit("destroy"));
    let mut why = end_conference::REASON;
    if request.parameter("silent-reconnect") == Some("true") {
        // compat: clients come again at once when the meeting goes on at its own address (test: compat_a_program_ends_a_meeting).
        destroy.set_attr("jid", room.shown());
        why = SILENTLY;
    }
    destroy.push(Element::inherit("reason").with_text(why));
    leave::destroy(muc, &jid, destroy);
    HttpReply::done()
}

const SILENTLY: &str = "The meeting has been terminated silently";
