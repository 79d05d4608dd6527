//! Conference requests and who sent them in; who has logged in, and whether somebody may open a room, out.
//!
//! A browser proves once over XMPP, as an account of the login domain, who sits before it, and gets a session for it, which it shows
//! from its other connections. All of it is in memory alone, and nothing of it in the log.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jitsi_xmpp::conference_request::ConferenceRequest;
use jitsi_xmpp::{BareJid, Condition, Element, Entropy, Jid, Sensitive, StanzaError, ns};

use crate::config::LoginConfig;
use crate::handover::{Clock, HandoverError, at_most, wire, word};
use crate::limits;

/// All sessions.
#[derive(Debug, Default)]
pub(crate) struct Logins {
    by_id: HashMap<Id, Login>,
    /// Who showed a session last.
    holders: HashMap<Jid, Id>,
    /// How many sessions an account has.
    by_account: HashMap<BareJid, usize>,
    swept: Option<Instant>,
}

type Id = Box<str>;

#[derive(Debug)]
struct Login {
    machine: Sensitive<String>,
    identity: BareJid,
    holder: Option<Jid>,
    room: BareJid,
    last: Instant,
    /// Not, where the directory of accounts names those who do and this is none of them.
    moderates: bool,
}

/// What the answer to a request says of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) id: Sensitive<String>,
    pub(crate) identity: Sensitive<String>,
}

/// Why a request is refused. Blame: whoever asks. Consequence: the client logs in, or waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Over, or never there.
    Session,
    /// Another browser's.
    Machine,
    /// Nobody says which browser it is.
    NoMachine,
    /// Only who has logged in opens a room.
    Guest,
}

impl Refused {
    /// compat: clients forget their session when they are told so, and log in or wait when they are not authorized
    /// (test: compat_a_session_is_one_browser_s_and_what_is_wrong_with_it_is_said_as_upstream_says_it).
    pub(crate) fn error(self) -> StanzaError {
        let unacceptable = || StanzaError::new(Condition::NotAcceptable);
        match self {
            Self::Session => unacceptable()
                .with_text("invalid session")
                .with_extra(Element::new("session-invalid", ns::FOCUS)),
            Self::Machine => unacceptable().with_text("machine UID mismatch or empty"),
            Self::NoMachine => unacceptable().with_text("Missing mandatory attribute 'machine-uid'"),
            Self::Guest => StanzaError::new(Condition::NotAuthorized).with_text("not authorized user domain"),
        }
    }
}

impl Logins {
    pub(crate) fn written(&self, clock: Clock) -> Vec<wire::Login> {
        let of = |(id, l): (&Id, &Login)| wire::Login {
            id: id.to_string(),
            machine: l.machine.reveal().clone(),
            identity: l.identity.as_str().to_owned(),
            holder: l.holder.as_ref().map(|j| j.as_str().to_owned()),
            room: l.room.as_str().to_owned(),
            last: clock.write(l.last),
            moderates: l.moderates,
        };
        self.by_id.iter().map(of).collect()
    }

    pub(crate) fn read_written(&mut self, clock: Clock, from: Vec<wire::Login>) -> Result<(), HandoverError> {
        at_most(&from, limits::LOGINS, "logins")?;
        for l in from {
            let identity: BareJid = word(&l.identity, "login")?;
            let holder: Option<Jid> = l.holder.as_deref().map(|j| word(j, "login")).transpose()?;
            let login = Login {
                machine: Sensitive::new(l.machine),
                identity,
                holder: None,
                room: word(&l.room, "login")?,
                last: clock.read(l.last),
                moderates: l.moderates,
            };
            *self.by_account.entry(login.identity.clone()).or_insert(0) += 1;
            self.by_id.insert(l.id.as_str().into(), login);
            if let Some(holder) = holder {
                self.hold(&l.id, &holder);
            }
        }
        Ok(())
    }

    /// Looks at a request. `from`: who sent it, if that is known; `open`: the room is there, or is let in with another.
    pub(crate) fn admit(
        &mut self,
        now: Instant,
        config: &LoginConfig,
        request: &ConferenceRequest,
        from: Option<&Jid>,
        open: bool,
        entropy: &mut dyn Entropy,
    ) -> Result<Option<Shown>, Refused> {
        self.sweep(now, config.lifetime);
        let machine = request.machine_uid.as_ref().filter(|m| !m.reveal().is_empty());
        if let Some(id) = request.session_id.as_ref().filter(|id| !id.reveal().is_empty()) {
            let login = self.by_id.get_mut(id.reveal().as_str()).ok_or(Refused::Session)?;
            if machine != Some(&login.machine) {
                return Err(Refused::Machine);
            }
            login.last = now;
            login.room.clone_from(&request.room);
            let own = from.is_some_and(|f| f.to_bare() == login.identity);
            if let Some(moderates) = request.moderates.filter(|_| own) {
                login.moderates = moderates;
            }
            let identity = named(&login.identity);
            if let Some(from) = from {
                self.hold(id.reveal(), from);
            }
            return Ok(Some(Shown { id: id.clone(), identity }));
        }
        match from.filter(|f| f.domain() == config.domain && f.node().is_some()) {
            Some(from) => {
                let machine = machine.ok_or(Refused::NoMachine)?;
                if machine.reveal().len() > limits::TEXT {
                    return Err(Refused::Machine);
                }
                let identity = from.to_bare();
                self.make_room(&identity);
                let id = entropy.uuid();
                let shown = Shown { id: Sensitive::new(id.clone()), identity: named(&identity) };
                let login = Login {
                    machine: machine.clone(),
                    identity,
                    holder: None,
                    room: request.room.clone(),
                    last: now,
                    moderates: request.moderates.unwrap_or(true),
                };
                *self.by_account.entry(login.identity.clone()).or_insert(0) += 1;
                self.by_id.insert(id.as_str().into(), login);
                self.hold(&id, from);
                Ok(Some(shown))
            }
            None if open => Ok(None),
            None => Err(Refused::Guest),
        }
    }

    /// Whether this occupant has logged in.
    pub(crate) fn holds(&self, jid: &Jid) -> bool {
        self.holders.contains_key(jid)
    }

    /// Whether it owns the room that it is in by that.
    pub(crate) fn moderates(&self, jid: &Jid) -> bool {
        self.holders.get(jid).and_then(|id| self.by_id.get(id)).is_some_and(|login| login.moderates)
    }

    /// Somebody logs out.
    pub(crate) fn end(&mut self, id: &str) -> Result<(), Refused> {
        let login = self.by_id.remove(id).ok_or(Refused::Session)?;
        if let Some(count) = self.by_account.get_mut(&login.identity) {
            *count -= 1;
            if *count == 0 {
                self.by_account.remove(&login.identity);
            }
        }
        if let Some(holder) = login.holder {
            self.let_go(&holder, id);
        }
        Ok(())
    }

    /// A meeting is over: without automatic login nobody shows its sessions again.
    pub(crate) fn over(&mut self, room: &BareJid) {
        self.end_those(|l| l.room == *room);
    }

    fn sweep(&mut self, now: Instant, lifetime: Duration) {
        if self.swept.is_none_or(|at| now.saturating_duration_since(at) >= limits::LOGIN_SWEEP) {
            self.swept = Some(now);
            self.end_those(|l| now.saturating_duration_since(l.last) >= lifetime);
        }
    }

    /// Who logs in again and again pushes out its own sessions, and then whoever has been away for longest.
    fn make_room(&mut self, identity: &BareJid) {
        let own = |l: &Login| l.identity == *identity;
        let many = self.by_account.get(identity).is_some_and(|n| *n >= limits::LOGINS_PER_ACCOUNT);
        if !many && self.by_id.len() < limits::LOGINS {
            return;
        }
        let those = self.by_id.iter().filter(|(_, l)| !many || own(l));
        if let Some(oldest) = those.min_by_key(|(_, l)| l.last).map(|(id, _)| id.clone()) {
            let _ = self.end(&oldest);
        }
    }

    fn end_those(&mut self, which: impl Fn(&Login) -> bool) {
        let ids: Vec<Id> = self.by_id.iter().filter(|(_, l)| which(l)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            let _ = self.end(&id);
        }
    }

    /// Somebody shows a session; whoever did before does not have it any more.
    fn hold(&mut self, id: &str, jid: &Jid) {
        let Some(login) = self.by_id.get_mut(id) else { return };
        let before = login.holder.replace(jid.clone());
        if let Some(before) = before {
            self.let_go(&before, id);
        }
        self.holders.insert(jid.clone(), id.into());
    }

    fn let_go(&mut self, jid: &Jid, id: &str) {
        if self.holders.get(jid).is_some_and(|held| **held == *id) {
            self.holders.remove(jid);
        }
    }

    #[cfg(test)]
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.by_id.len(), self.holders.len())
    }
}

fn named(identity: &BareJid) -> Sensitive<String> {
    Sensitive::new(identity.as_str().to_owned())
}
