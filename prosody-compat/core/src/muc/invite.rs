//! Invitations through a room (xmpp-server §3.9): a message with one or several `<invite/>` in; to each who is invited a message
//! out. Where only members come in, whoever is invited becomes one: so somebody who knocks is let in.

use jitsi_xmpp::{Condition, Element, ErrorType, Jid, StanzaError, ns};

use super::affiliations;
use super::turn::Turn;
use crate::outbox::Outgoing;
use crate::room::beside::Kind;
use crate::room::rank::Affiliation;
use crate::session::SessionId;
use crate::tenants;
use crate::world::{Effect, Knocked, Sender, World};

fn invites(e: &Element) -> impl Iterator<Item = &Element> {
    let x = e.children().filter(|c| c.is("x", ns::MUC_USER));
    x.flat_map(|x| x.children()).filter(|c| c.name() == "invite" && c.attr("to").is_some())
}

/// Whether a message invites somebody.
pub(super) fn is_one(e: &Element) -> bool {
    invites(e).next().is_some()
}

pub(super) fn handle(t: &mut Turn<'_>, sender: &Sender, e: &Element) -> Result<(), StanzaError> {
    let count = invites(e).count();
    if count > t.world.config.limits.max_invites {
        return Err(StanzaError::new(Condition::PolicyViolation)
            .with_type(ErrorType::Modify)
            .with_text("too many invitations at once"));
    }
    if !may_invite(t, sender) {
        return Err(StanzaError::new(Condition::Forbidden));
    }
    t.world.reaches_all(&mut t.room.pace, sender, u32::try_from(count).unwrap_or(u32::MAX));
    // Read before anything is done, so that a refused message invites nobody.
    let malformed = |_| StanzaError::new(Condition::JidMalformed).with_type(ErrorType::Cancel);
    let invited: Vec<(Jid, String)> = invites(e)
        .map(|invite| {
            let jid = invite.attr("to").unwrap_or_default().parse::<Jid>().map_err(|_| malformed(()))?;
            let jid = tenants::stored(&t.world.config, jid).map_err(|_| malformed(()))?;
            Ok((jid, invite.child_named("reason").map(Element::text).unwrap_or_default()))
        })
        .collect::<Result<_, StanzaError>>()?;
    for (jid, reason) in invited {
        invite(t, sender, &jid, &reason, e.attr("id"));
    }
    Ok(())
}

fn may_invite(t: &Turn<'_>, sender: &Sender) -> bool {
    let config = &t.room.config;
    let least = match (config.members_only, config.members_invite) {
        (false, _) => Affiliation::None,
        (true, true) => Affiliation::Member,
        (true, false) => Affiliation::Admin,
    };
    t.room.occupant_of(sender.id).is_some()
        && t.room.affiliation(&t.world.config, &sender.bare) >= least
        // In a lobby nobody is anybody's host.
        && t.room.kind == Kind::Meeting
}

fn invite(t: &mut Turn<'_>, sender: &Sender, jid: &Jid, reason: &str, id: Option<&str>) {
    let bare = jid.to_bare();
    if t.room.config.members_only && t.room.affiliation(&t.world.config, &bare) <= Affiliation::None {
        let why = format!("Invited by {}", sender.jid.as_str());
        // When no more can be kept the invitation goes out all the same, as upstream's; who follows it knocks again.
        let _ = affiliations::give(t, None, &bare, Affiliation::Member, Some(why));
    }
    let whom = Knocked::Granted(jid.clone());
    t.world.effects.push_back(Effect::Answered { room: t.room.jid.clone(), by: sender.id, whom });
    let (room, inviter) = (t.room.shown(), sender.jid.as_str());
    let mut text = format!("{inviter} invited you to the room {room}");
    if !reason.is_empty() {
        text.push_str(&format!(" ({reason})"));
    }
    let invite = Element::inherit("invite")
        .with_attr("from", inviter)
        .with_child(Element::inherit("reason").with_text(reason));
    let message = Element::new("message", ns::CLIENT)
        .with_attr("from", room)
        .with_opt_attr("id", id)
        .with_child(Element::new("x", ns::MUC_USER).with_child(invite))
        .with_child(Element::new("x", CONFERENCE).with_attr("jid", room).with_text(reason))
        .with_child(Element::inherit("body").with_text(text));
    let message = Outgoing::new(message);
    for id in reached(t.world, sender, jid) {
        t.world.deliver(id, &message);
    }
}

/// The session that is meant, or those of the account that said that they are there.
fn reached(world: &World, sender: &Sender, jid: &Jid) -> Vec<SessionId> {
    let services = |host| world.hosts.users(host).is_some_and(|users| users.services);
    let host = world.hosts.of(&world.config, jid.domain());
    // As the router: the roles' accounts are not to be reached by the public.
    if host.is_some_and(services) && !services(sender.identity.host) {
        return Vec::new();
    }
    if jid.resource().is_some() {
        return world.sessions.by_jid(jid.as_str()).into_iter().collect();
    }
    let all = world.sessions.of_account(jid.bare_str());
    all.filter(|(_, s)| s.available == Some(true)).map(|(id, _)| id).collect()
}

/// XEP-0249.
const CONFERENCE: &str = "jabber:x:conference";
