//! Upstream's `muc_message_moderation` (xmpp-server §4.43): moderators take messages of others away (XEP-0425), authors take
//! theirs away (XEP-0424) or put other words there (XEP-0308, and as clients say it); what latecomers get is kept in step.
//!
//! Who the author is is the account that wrote, not the nick, which may be somebody else's by now.

use jitsi_xmpp::{Condition, Element, ErrorType, StanzaError, ns};
use serde_json::Value;

use crate::module::{Module, Relay};
use crate::outbox::Outgoing;
use crate::room::{Room, form};
use crate::world::{Sender, World};

pub(super) static MODULE: Module = Module {
    name: "message_moderation",
    named: &["muc_message_moderation"],
    last: Some(check),
    form: Some(|_, form| form.push(field())),
    disco: Some(|_, form| form.push(field())),
    ..Module::NONE
};

const FASTEN: &str = "urn:xmpp:fasten:0";
const MODERATE: &str = "urn:xmpp:message-moderate:1";
const RETRACT: &str = "urn:xmpp:message-retract:1";
const CORRECT: &str = "urn:xmpp:message-correct:0";

/// Clients offer what they find here.
fn field() -> Element {
    form::field("boolean", "muc#roominfo_messageModerationEnabled", "1")
}

fn check(room: &mut Room, world: &mut World, sender: &Sender, e: &mut Element) -> Result<Relay, StanzaError> {
    if e.attr("type") != Some("groupchat") {
        return Ok(Relay::Pass);
    }
    if let Some((id, reason)) = moderation(e) {
        return moderate(room, world, sender, id, reason);
    }
    if let Some((id, body)) = correction(e) {
        if let Some(entry) = room.history.find(id) {
            if !entry.is_of(&sender.bare) {
                return Err(forbidden("Only the author can correct a message"));
            }
            if entry.is_moderated() {
                return Err(StanzaError::new(Condition::NotAllowed)
                    .with_type(ErrorType::Cancel)
                    .with_text("Message has been moderated"));
            }
            let most = (&world.config.limits).into();
            room.history.rewrite(id, most, |old| put(old, &body));
        }
        not_kept(e);
    } else if let Some(id) = e.child("retract", RETRACT).and_then(|r| r.attr("id")) {
        if let Some(entry) = room.history.find(id) {
            if !entry.is_of(&sender.bare) {
                return Err(forbidden("Only the author can retract a message"));
            }
            room.history.remove(id);
        }
        not_kept(e);
    } else if let Some((id, body)) = edit(e)
        && let Some(entry) = room.history.find(&id)
    {
        if !entry.is_of(&sender.bare) || entry.is_moderated() {
            return Ok(Relay::Drop);
        }
        let most = (&world.config.limits).into();
        room.history.rewrite(&id, most, |old| put(old, &body));
    }
    Ok(Relay::Pass)
}

fn forbidden(text: &str) -> StanzaError {
    StanzaError::new(Condition::Forbidden).with_text(text)
}

/// Which message is to go, and why.
fn moderation(e: &Element) -> Option<(&str, Option<String>)> {
    let apply_to = e.child("apply-to", FASTEN)?;
    let moderated = apply_to.child("moderated", MODERATE)?;
    moderated.child("retract", RETRACT)?;
    let reason = moderated.child_named("reason").map(Element::text).filter(|r| !r.is_empty());
    Some((apply_to.attr("id")?, reason))
}

/// Which message gets other words.
fn correction(e: &Element) -> Option<(&str, String)> {
    Some((e.child("replace", CORRECT)?.attr("id")?, e.child_named("body")?.text()))
}

/// The same as clients say it.
fn edit(e: &Element) -> Option<(String, String)> {
    let json = jitsi_xmpp::json::parse(&e.child("json-message", ns::JITMEET)?.text())?;
    let text = |key| json.get(key).and_then(Value::as_str);
    (text("type")? == "editChat").then_some(())?;
    Some((text("messageId")?.to_owned(), text("message")?.to_owned()))
}

/// It is in what is kept already.
fn not_kept(e: &mut Element) {
    e.retain_children(|c| !c.is("store", ns::HINTS));
    e.push(Element::new("no-store", ns::HINTS));
}

/// Other words in the place of a message's.
fn put(message: &mut Element, body: &str) {
    message.retain_children(|c| c.name() != "body" && !c.is("replace", CORRECT));
    message.push(Element::inherit("body").with_text(body));
}

fn moderate(
    room: &mut Room,
    world: &mut World,
    sender: &Sender,
    id: &str,
    reason: Option<String>,
) -> Result<Relay, StanzaError> {
    let own = room.occupant_of(sender.id).filter(|o| o.role.is_moderator());
    let Some(own) = own else { return Err(forbidden("Only moderators can moderate messages")) };
    let by = room.occupant_jid(&own.nick);
    let reason = reason.map(|text| Element::inherit("reason").with_text(text));
    let moderated = || Element::new("moderated", MODERATE).with_attr("by", by.as_str());
    let stamp = world.clock.stamp(world.now);
    let most = (&world.config.limits).into();
    room.history.moderate(id, most, |old| {
        old.retain_children(|c| {
            c.name() != "body" && !c.is("replace", CORRECT) && !c.is("moderated", MODERATE)
        });
        let retracted = Element::new("retracted", RETRACT).with_attr("stamp", stamp);
        old.push(moderated().with_child(retracted).with_children(reason.clone()));
    });
    let moderated = moderated().with_child(Element::new("retract", RETRACT)).with_children(reason.clone());
    let told = Element::new("message", ns::CLIENT)
        .with_attr("type", "groupchat")
        .with_attr("from", room.shown())
        .with_attr("id", world.entropy.hex(12))
        .with_child(Element::new("apply-to", FASTEN).with_attr("id", id).with_child(moderated))
        .with_child(Element::new("no-store", ns::HINTS));
    room.broadcast(world, &Outgoing::new(told));
    // The room has said it.
    Ok(Relay::Drop)
}
