//! `muc#owner` queries: the configuration form out; a filled-in form, of which only the fields present count, or a
//! destruction in.

use jitsi_xmpp::{BareJid, Condition, Element, ErrorType, Sensitive, StanzaError, ns};

use super::presence::Change;
use super::turn::{Muc, Turn};
use super::{audience, breakout, leave};
use crate::outbox::Outgoing;
use crate::room::form::field;
use crate::room::rank::Affiliation;
use crate::stanza::payload;
use crate::world::Sender;

/// Whether somebody may see, or change, what owners can. compat: rules about changes come first (test:
/// compat_settings_of_a_room_need_a_token_where_the_rules_say_so).
pub(super) fn may(t: &Turn<'_>, sender: &Sender, kind: &str) -> Result<(), StanzaError> {
    if kind == "set" {
        t.modules.iter().filter_map(|m| m.owner).try_for_each(|may| may(t.world, sender))?;
    }
    match t.room.affiliation(&t.world.config, &sender.bare) {
        Affiliation::Owner => Ok(()),
        _ => Err(StanzaError::new(Condition::Forbidden).with_text("Only owners can configure rooms")),
    }
}

pub(super) fn handle(muc: &mut Muc<'_>, sender: &Sender, room_jid: &BareJid, e: &Element) {
    let (Some(mut t), Some((kind, query))) = (muc.turn(room_jid), payload(e)) else { return };
    if let Err(error) = may(&t, sender, kind) {
        t.world.refuse(sender, e, &error, Some(t.room.shown()));
        return;
    }
    if kind == "get" {
        let form = form(&t);
        t.world.answer(sender, e, Some(Element::new("query", ns::MUC_OWNER).with_child(form)));
        return;
    }
    // Of a room from where people watch the focus fills in the form, as of each that it makes.
    let by_role = t.room.watches().is_some() && sender.identity.admin;
    if t.room.is_lobby() || (t.room.watches().is_some() && !by_role) {
        // It is as its meeting wants it.
        let error = StanzaError::new(Condition::NotAllowed).with_type(ErrorType::Cancel);
        t.world.refuse(sender, e, &error, Some(t.room.shown()));
        return;
    }
    t.world.reaches_all(&mut t.room.pace, sender, 1);
    if let Some(d) = query.child("destroy", ns::MUC_OWNER) {
        let mut destroy = Element::inherit("destroy").with_opt_attr("jid", d.attr("jid"));
        if let Some(reason) = d.child_named("reason") {
            destroy.push(Element::inherit("reason").with_text(reason.text()));
        }
        leave::destroy(muc, room_jid, destroy);
        muc.world.answer(sender, e, None);
        return;
    }
    match query.child("x", ns::DATA_FORMS) {
        Some(form) if form.attr("type") == Some("cancel") => t.world.answer(sender, e, None),
        Some(form) if form.attr("type") == Some("submit") => match apply(&mut t, sender, form) {
            Ok(changed) => {
                t.world.answer(sender, e, None);
                if changed {
                    announce(&mut t);
                }
                audience::settings(t.room, t.world);
                breakout::follow(muc, room_jid);
                muc.sweep(room_jid);
            }
            Err(error) => t.world.refuse(sender, e, &error, Some(t.room.shown())),
        },
        _ => {
            let error = StanzaError::new(Condition::BadRequest).with_type(ErrorType::Modify);
            t.world.refuse(sender, e, &error, Some(t.room.shown()));
        }
    }
}

/// Whether the fields change anything. Fields that are not there keep their value, unknown ones are ignored.
fn apply(t: &mut Turn<'_>, sender: &Sender, form: &Element) -> Result<bool, StanzaError> {
    let bad =
        |text: &str| StanzaError::new(Condition::BadRequest).with_type(ErrorType::Modify).with_text(text);
    let fields: Vec<(&str, String)> = form
        .children()
        .filter(|f| f.name() == "field")
        .filter_map(|f| Some((f.attr("var")?, f.child_named("value").map(Element::text).unwrap_or_default())))
        .collect();
    if fields.iter().any(|(var, v)| *var == "FORM_TYPE" && v != ROOM_CONFIG) {
        return Err(bad("Form is not of type room configuration"));
    }
    // Clients know each other by their addresses: nobody is to think that they are hidden.
    if fields.iter().any(|(var, v)| *var == WHOIS && v != "anyone") {
        let error = StanzaError::new(Condition::NotAcceptable).with_type(ErrorType::Modify);
        return Err(error.with_text("Everybody sees the others' addresses"));
    }
    // Checked before anything is changed, so that a refused form changes nothing.
    let limits = &t.world.config.limits;
    for (var, value) in &fields {
        let most = match *var {
            SECRET => limits.max_password_bytes,
            NAME | DESCRIPTION => limits.max_subject_bytes,
            _ => continue,
        };
        if value.len() > most {
            return Err(StanzaError::new(Condition::PolicyViolation).with_type(ErrorType::Modify));
        }
    }
    let on = |v: &str| matches!(v, "1" | "true");
    let (mut changed, mut members_only) = (false, None);
    let is_breakout = t.room.is_breakout();
    for (var, value) in fields {
        let c = &mut t.room.config;
        changed |= match var {
            SECRET => replace(&mut c.password, (!value.is_empty()).then(|| Sensitive::new(value))),
            // Of a breakout room the meeting decides it.
            MEMBERS_ONLY if is_breakout => false,
            MEMBERS_ONLY => replace(&mut c.members_only, *members_only.insert(on(&value))),
            NAME => replace(&mut c.name, Sensitive::new(value)),
            DESCRIPTION => replace(&mut c.description, Sensitive::new(value)),
            CHANGE_SUBJECT => replace(&mut c.anybody_changes_subject, on(&value)),
            MEMBER_INVITES => replace(&mut c.members_invite, on(&value)),
            _ => t.modules.iter().find_map(|m| m.config?(t.room, sender, var, &value)).unwrap_or(false),
        };
    }
    if let Some(on) = members_only {
        for rule in t.modules.iter().filter_map(|m| m.members_only) {
            changed |= rule(t.room, t.world, sender, on);
        }
    }
    Ok(changed)
}

fn replace<T: PartialEq>(old: &mut T, new: T) -> bool {
    let differs = *old != new;
    *old = new;
    differs
}

/// Tells everybody that the configuration changed, after those who lost their right to be here are gone.
fn announce(t: &mut Turn<'_>) {
    if t.room.config.members_only {
        let strangers: Vec<Box<str>> = t
            .room
            .occupants()
            .filter(|o| t.room.affiliation(&t.world.config, &o.bare) == Affiliation::None)
            .map(|o| o.nick.clone())
            .collect();
        for nick in strangers {
            leave::remove(t, &nick, None, None, &Change { codes: vec![322], ..Change::default() });
        }
    }
    let x = Element::new("x", ns::MUC_USER).with_child(Element::inherit("status").with_attr("code", "104"));
    let message = Element::new("message", ns::CLIENT)
        .with_attr("type", "groupchat")
        .with_attr("from", t.room.shown())
        .with_child(x);
    t.room.broadcast(t.world, &Outgoing::new(message));
}

fn form(t: &Turn<'_>) -> Element {
    let room = &*t.room;
    let c = &room.config;
    let flag = |on: bool| if on { "1" } else { "0" };
    let anyone = Element::inherit("value").with_text("anyone");
    let anyone = Element::inherit("option").with_attr("label", "anyone").with_child(anyone);
    let whois = field("list-single", WHOIS, "anyone").with_child(anyone);
    let secret = c.password.as_ref().map_or("", |p| p.reveal().as_str());
    let mut form = Element::new("x", ns::DATA_FORMS)
        .with_attr("type", "form")
        .with_child(Element::inherit("title").with_text(format!("Configuration for {}", room.shown())))
        .with_child(field("hidden", "FORM_TYPE", ROOM_CONFIG))
        .with_child(field("text-single", NAME, c.name.reveal()))
        .with_child(field("text-single", DESCRIPTION, c.description.reveal()))
        .with_child(field("text-private", SECRET, secret))
        .with_child(field("boolean", MEMBERS_ONLY, flag(c.members_only)))
        .with_child(field("boolean", MEMBER_INVITES, flag(c.members_invite)))
        .with_child(field("boolean", CHANGE_SUBJECT, flag(c.anybody_changes_subject)))
        .with_child(field("boolean", "muc#roomconfig_moderatedroom", "0"))
        .with_child(whois);
    for m in t.modules {
        if let Some(fields) = m.form {
            fields(room, &mut form);
        }
    }
    form
}

const ROOM_CONFIG: &str = "http://jabber.org/protocol/muc#roomconfig";
const NAME: &str = "muc#roomconfig_roomname";
const DESCRIPTION: &str = "muc#roomconfig_roomdesc";
const SECRET: &str = "muc#roomconfig_roomsecret";
const MEMBERS_ONLY: &str = "muc#roomconfig_membersonly";
const MEMBER_INVITES: &str = "{http://prosody.im/protocol/muc}roomconfig_allowmemberinvites";
const CHANGE_SUBJECT: &str = "muc#roomconfig_changesubject";
const WHOIS: &str = "muc#roomconfig_whois";
