//! A session's stanza in; stamped, checked, and handed to the room, component, host or session it is for.

use std::sync::Arc;

use jitsi_xmpp::{Condition, Element, ErrorType, Jid, StanzaError, ns};

use crate::component;
use crate::hosts::Serves;
use crate::identity::HostId;
use crate::limits::{Limits, pace};
use crate::muc;
use crate::outbox::Outgoing;
use crate::server::Server;
use crate::session::SessionId;
use crate::tenants;
use crate::vhost;
use crate::world::Sender;

impl Server {
    /// A stanza of a bound session.
    pub(crate) fn stanza(&mut self, id: SessionId, mut e: Element) {
        let Some(sender) = self.world.sender(id) else { return };
        // Whatever the client says about itself is replaced; everything after this relies on it.
        e.set_attr("from", sender.jid.as_str());
        if let Err(error) = check_iq(&e).and_then(|()| check_id(&e, &self.world.config.limits)) {
            self.world.refuse(&sender, &e, &error, None);
            return;
        }
        let Some(to) = e.attr("to") else {
            self.without_address(&sender, e);
            return;
        };
        let to = to.parse::<Jid>().map_err(drop);
        let Ok(to) = to.and_then(|jid| tenants::stored(&self.world.config, jid).map_err(drop)) else {
            e.remove_attr("to");
            let error =
                StanzaError::new(Condition::JidMalformed).with_text("The destination address is invalid");
            self.world.refuse(&sender, &e, &error, None);
            return;
        };
        let hosts = Arc::clone(&self.hosts);
        let found = hosts.of(&self.world.config, to.domain()).and_then(|id| Some((id, hosts.get(id)?)));
        let Some((host, def)) = found else {
            let error = StanzaError::new(Condition::NotAllowed)
                .with_text("Communication with remote domains is not enabled");
            self.world.refuse(&sender, &e, &error, None);
            return;
        };
        let services = matches!(&def.serves, Serves::Users(users) if users.services);
        if services && !hosts.users(sender.identity.host).is_some_and(|users| users.services) {
            // Whether there is anybody is nobody's business either.
            let error = StanzaError::new(Condition::ServiceUnavailable);
            self.world.refuse(&sender, &e, &error, None);
            return;
        }
        if !matches!(&def.serves, Serves::Users(_)) || to.node().is_some() {
            let joins = e.name() == "presence" && e.child("x", ns::MUC).is_some();
            self.world.speaks(&sender, if joins { pace::JOIN } else { 1 });
        }
        match &def.serves {
            Serves::Rooms(rooms) => muc::handle(&mut self.muc(), &sender, host, rooms, &to, e),
            Serves::Component(c) => component::handle(&mut self.muc(), &sender, host, c, &to, e),
            Serves::Users(_) if to.node().is_none() => self.host_stanza(&sender, host, to.domain(), &e),
            Serves::Users(_) => self.account_stanza(&sender, &to, e),
        }
    }

    fn host_stanza(&mut self, sender: &Sender, host: HostId, domain: &str, e: &Element) {
        vhost::handle(&self.hosts, &self.rooms, &mut self.world, sender, host, domain, e);
    }

    /// Without an address: presence is about the session itself, everything else is for the own account.
    fn without_address(&mut self, sender: &Sender, e: Element) {
        match e.name() {
            "presence" => {
                let gone = match e.attr("type") {
                    None => false,
                    Some("unavailable") => true,
                    Some(_) => return,
                };
                if let Some(s) = self.world.sessions.get_mut(sender.id) {
                    s.available = Some(!gone);
                }
                if gone {
                    muc::leave::everywhere(&mut self.muc(), sender, &e);
                }
                self.world.send(sender.id, e);
            }
            "iq" => {
                self.host_stanza(sender, sender.identity.host, sender.bare.domain(), &e);
            }
            _ => {
                let own = sender.bare.as_jid().clone();
                self.account_stanza(sender, &own, e);
            }
        }
    }

    /// To somebody's account or session.
    fn account_stanza(&mut self, sender: &Sender, to: &Jid, e: Element) {
        if e.name() == "message" && e.attr("to").is_some() {
            let hosts = Arc::clone(&self.hosts);
            let modules =
                hosts.users(sender.identity.host).into_iter().flat_map(|users| users.modules.iter());
            if let Some(Err(error)) =
                modules.filter_map(|m| m.direct).map(|rule| rule(sender)).find(Result::is_err)
            {
                return self.world.refuse(sender, &e, &error, None);
            }
        }
        let own = to.bare_str() == sender.bare.as_str();
        if to.resource().is_none() && e.name() == "iq" && own {
            return self.host_stanza(sender, sender.identity.host, to.domain(), &e);
        }
        if let Some(target) = to.resource().and_then(|_| self.world.sessions.by_jid(to.as_str())) {
            return self.world.deliver(target, &Outgoing::new(e));
        }
        match (e.name(), e.attr("type")) {
            ("message", None | Some("chat" | "normal")) => self.message_to(to, sender, e, true),
            ("message", Some("headline")) if to.resource().is_none() && !own => {
                self.message_to(to, sender, e, false);
            }
            ("message", Some("error" | "headline")) | ("presence", _) => {}
            _ => self.world.refuse(sender, &e, &StanzaError::new(Condition::ServiceUnavailable), None),
        }
    }

    /// To all sessions of an account that said that they are there. compat: a client's message without an address, such as a
    /// poll where there are none, is answered, because browsers never say so (test:
    /// compat_a_message_without_an_address_is_for_the_own_account).
    fn message_to(&mut self, to: &Jid, sender: &Sender, e: Element, answered: bool) {
        let there = self.world.sessions.of_account(to.bare_str()).filter(|(_, s)| s.available == Some(true));
        let there: Vec<SessionId> = there.map(|(id, _)| id).collect();
        if there.is_empty() && answered {
            self.world.refuse(sender, &e, &StanzaError::new(Condition::ServiceUnavailable), None);
            return;
        }
        let out = Outgoing::new(e);
        for id in there {
            self.world.deliver(id, &out);
        }
    }
}

/// Ids are kept, of those who ask by those who are asked.
fn check_id(e: &Element, limits: &Limits) -> Result<(), StanzaError> {
    if e.attr("id").is_none_or(|id| id.len() <= limits.max_id_bytes) {
        return Ok(());
    }
    Err(StanzaError::new(Condition::PolicyViolation).with_type(ErrorType::Modify).with_text("id too long"))
}

/// RFC 6120 §8.2.3, with upstream's texts.
fn check_iq(e: &Element) -> Result<(), StanzaError> {
    if e.name() != "iq" {
        return Ok(());
    }
    let bad =
        |text| Err(StanzaError::new(Condition::BadRequest).with_type(ErrorType::Modify).with_text(text));
    if e.attr("id").is_none_or(str::is_empty) {
        return bad("Missing required 'id' attribute");
    }
    match e.attr("type") {
        Some("get" | "set") if e.children().count() != 1 => bad("Incorrect number of children for IQ stanza"),
        Some("get" | "set" | "result" | "error") => Ok(()),
        _ => bad("Invalid IQ type"),
    }
}
