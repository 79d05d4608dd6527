//! Everything but the rooms: what a handler needs to look things up, and where it leaves its effects.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use budget::Bucket;
use bytes::Bytes;
use jitsi_xmpp::{BareJid, Element, Entropy, FullJid, Jid, StanzaError, iq};
use prosody_token::Features;

use crate::auth::guesses::Guesses;
use crate::clock::WallClock;
use crate::config::Config;
use crate::connection::{Conn, Exchange, Stage};
use crate::counters::{Counter, Counters};
use crate::hosts::Hosts;
use crate::identity::{HostId, Identity};
use crate::kept::{Kept, Share, TooMuch};
use crate::keys::KeyRings;
use crate::limits::pace;
use crate::outbox::{Outbox, Outgoing};
use crate::output::{AccountQuestion, Answer, ConnId, Frame, Output, Question, QuestionId};
use crate::room::Room;
use crate::room::breakouts::Breakouts;
use crate::session::{IdMap, SessionId, Sessions};
use crate::slots::Slots;
use crate::stream::sm::Ask;
use crate::timers::{Timer, Timers};

/// Something that a rule wants done and cannot do itself, because it would need the engine or another room. Carried
/// out after the stanza or timer at hand, in order.
pub(crate) enum Effect {
    /// The room ends; everybody is told why.
    Destroy {
        /// Which.
        room: BareJid,
        /// Shown to people.
        reason: &'static str,
    },
    /// Joins that wait in this room for this reason are asked again.
    Release {
        /// Where.
        room: BareJid,
        /// What they waited for; see `room::waiting`.
        reason: &'static str,
    },
    /// An account becomes an owner; everybody is told.
    Own {
        /// Of which room.
        room: BareJid,
        /// Who.
        account: BareJid,
    },
    /// An occupant goes, from the meeting and its lobby, with this in what everybody is told.
    TurnOut {
        /// From where.
        room: BareJid,
        /// Who.
        nick: Box<str>,
        /// Why, for clients.
        said: Element,
    },
    /// The room where strangers wait for this meeting, which has said so, comes into being.
    OpenLobby {
        /// The meeting.
        room: BareJid,
    },
    /// It ends.
    CloseLobby {
        /// The lobby itself.
        lobby: BareJid,
        /// Where those who wait go to.
        next: Option<String>,
        /// Why, as clients show it.
        reason: &'static str,
    },
    /// Something is done in another room, if it is there.
    Elsewhere {
        /// Where.
        room: BareJid,
        /// What.
        act: Act,
    },
    /// Somebody who watches said something to all: those who meet hear it first.
    Heard {
        /// From where.
        audience: BareJid,
        /// Who.
        by: Sender,
        /// What, as it was sent.
        said: Box<Element>,
    },
    /// The same, to one who meets.
    Whispered {
        /// From where.
        audience: BareJid,
        /// Who.
        by: Sender,
        /// To whom.
        nick: Box<str>,
        /// What, as it was sent.
        said: Box<Element>,
    },
    /// Something about a meeting and all its breakout rooms.
    Breakouts {
        /// The meeting.
        meeting: BareJid,
        /// What it is time for.
        what: Breakout,
    },
    /// Somebody who waits was let in, or turned away: the meeting is told.
    Answered {
        /// The meeting.
        room: BareJid,
        /// Who decided.
        by: SessionId,
        /// What about whom.
        whom: Knocked,
    },
}

/// What is done in a room that is not at hand.
pub(crate) type Act = Box<dyn FnOnce(&mut Room, &mut World) + Send>;

/// What is due about the breakout rooms of a meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breakout {
    /// Everybody is told who is where.
    Tell,
    /// Somebody left: perhaps nobody is anywhere any more.
    Left,
    /// Nobody has come back.
    Over,
}

/// Somebody who waited in a lobby.
pub(crate) enum Knocked {
    /// Is let in, and still there.
    Granted(Jid),
    /// Has been there, under this address and with this name.
    Denied {
        /// The occupant's in the lobby.
        occupant: String,
        /// Its display name.
        name: Option<String>,
    },
}

/// Who wants to know the answer of a question to outside.
pub(crate) struct Asker {
    /// What it is about; need not be there.
    pub(crate) room: BareJid,
    /// The module's name.
    pub(crate) module: &'static str,
    /// How often it is asked again when nobody could be reached, or when the one who was says that the fault is its own.
    pub(crate) repeat: u32,
}

/// The one who sent the stanza at hand.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) id: SessionId,
    pub(crate) jid: FullJid,
    pub(crate) bare: BareJid,
    pub(crate) identity: Arc<Identity>,
}

pub(crate) struct World {
    pub(crate) config: Config,
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) now: Instant,
    pub(crate) clock: WallClock,
    pub(crate) kept: Kept,
    pub(crate) conns: IdMap<ConnId, Conn>,
    pub(crate) sessions: Sessions,
    pub(crate) out: Outbox,
    pub(crate) counters: Counters,
    pub(crate) entropy: Box<dyn Entropy>,
    pub(crate) timers: Timers,
    pub(crate) guesses: Guesses,
    /// Keys of tokens that are signed by others.
    pub(crate) keys: KeyRings,
    /// How many rooms there are.
    pub(crate) rooms: usize,
    /// Meetings that have a lobby now.
    pub(crate) lobbies: HashSet<BareJid>,
    /// The breakout rooms of meetings.
    pub(crate) breakouts: Breakouts,
    /// What modules remember beyond rooms.
    pub(crate) slots: Slots,
    /// What rules want done after the input at hand.
    pub(crate) effects: VecDeque<Effect>,
    /// Questions to outside that are not answered yet.
    pub(crate) questions: BTreeMap<QuestionId, (Asker, Question)>,
    pub(crate) next_question: u64,
    /// Sessions to be asked for an acknowledgement, once the current input is handled.
    pub(crate) asks: Vec<SessionId>,
    /// Sessions that must end, once the current input is handled.
    pub(crate) doomed: Vec<SessionId>,
    /// Sessions that were in no room when that was last looked at.
    pub(crate) idle: Vec<SessionId>,
}

impl World {
    /// Does something in another room, once the stanza or timer at hand is done with.
    pub(crate) fn elsewhere(
        &mut self,
        room: &BareJid,
        act: impl FnOnce(&mut Room, &mut Self) + Send + 'static,
    ) {
        self.effects.push_back(Effect::Elsewhere { room: room.clone(), act: Box::new(act) });
    }

    /// Sends a stanza to one session; kept for it while it waits to be resumed.
    pub(crate) fn deliver(&mut self, to: SessionId, stanza: &Outgoing) {
        let Some(s) = self.sessions.get_mut(to) else { return };
        self.counters.add(Counter::StanzasOut);
        let mut weigh = false;
        if let Some(sm) = &mut s.sm {
            self.counters.add(Counter::Queued);
            if sm.push(stanza, &self.config.limits) {
                self.counters.add(Counter::UnackedOverflow);
                if s.conn.is_none() {
                    self.doomed.push(to);
                }
            }
            if s.conn.is_some() && sm.becomes_due() {
                self.asks.push(to);
            }
            weigh = sm.has_new_weight();
        }
        if let Some(conn) = s.conn {
            self.out.deliver(conn, &s.to, stanza);
        }
        if weigh {
            self.weigh(to);
        }
    }

    /// What a session has unacknowledged weighs more or less: its address may have too much.
    #[cold]
    pub(crate) fn weigh(&mut self, id: SessionId) {
        for lost in self.sessions.weigh(id) {
            self.counters.add(Counter::UnackedOverflow);
            if self.sessions.get(lost).is_some_and(|s| s.conn.is_none()) {
                self.doomed.push(lost);
            }
        }
    }

    /// A session speaks to others: one that does so without pause is read later. Roles speak for many and are not held up.
    pub(crate) fn speaks(&mut self, sender: &Sender, amount: u32) {
        if sender.identity.admin {
            return;
        }
        let Some(s) = self.sessions.get_mut(sender.id) else { return };
        let wait = s.pace.reserve(&pace::RELAY, self.now, amount);
        self.pause(sender.id, wait);
    }

    /// What a session says reaches everybody in a room. Who says more than one does waits for what the others say who do so.
    pub(crate) fn reaches_all(&mut self, room: &mut Bucket, sender: &Sender, amount: u32) {
        if !self.is_own(sender, amount) {
            let wait = room.reserve_within(&pace::ROOM, self.now, amount, pace::LONGEST_WAIT);
            self.pause(sender.id, wait);
        }
    }

    /// The same, of somebody's session.
    pub(crate) fn reaches(&mut self, sender: &Sender, to: SessionId) {
        if self.is_own(sender, 1) {
            return;
        }
        let Some(s) = self.sessions.get_mut(to).filter(|s| !s.identity.admin) else { return };
        let wait = s.heard.reserve_within(&pace::HEARD, self.now, 1, pace::LONGEST_WAIT);
        self.pause(sender.id, wait);
    }

    /// Whether so much is what everybody may say without a look at others.
    fn is_own(&mut self, sender: &Sender, amount: u32) -> bool {
        let now = self.now;
        sender.identity.admin
            || self.sessions.get_mut(sender.id).is_none_or(|s| s.own.take(&pace::OWN, now, amount))
    }

    /// Something that this one leaves in a room. Roles are not bound.
    pub(crate) fn keeps(&mut self, sender: &Sender, bytes: usize) -> Result<Share, TooMuch> {
        let network = sender.identity.peer.filter(|_| !sender.identity.admin);
        self.kept.take(network, bytes).inspect_err(|_| self.counters.add(Counter::KeptTooMuch))
    }

    fn pause(&mut self, id: SessionId, wait: Duration) {
        if let (Some(conn), false) = (self.sessions.get(id).and_then(|s| s.conn), wait.is_zero()) {
            self.counters.add(Counter::Paused);
            self.out.push_back(Output::Pause { conn, wait });
        }
    }

    /// Asks a session for an acknowledgement, if it is time.
    pub(crate) fn ask(&mut self, id: SessionId) {
        let Some(s) = self.sessions.get_mut(id) else { return };
        let Some(sm) = &mut s.sm else { return };
        let Some(conn) = s.conn else {
            sm.forget_question();
            return;
        };
        match sm.ask(self.now, &self.config.limits) {
            Ask::No => {}
            Ask::Now => self.send_raw(conn, REQUEST),
            Ask::At(at) => self.timers.set(at, Timer::Ask(id)),
        }
    }

    /// Sends one stanza to one session.
    pub(crate) fn send(&mut self, to: SessionId, stanza: Element) {
        self.deliver(to, &Outgoing::new(stanza));
    }

    /// Sends bytes to a connection that are no counted stanza.
    pub(crate) fn send_raw(&mut self, conn: ConnId, bytes: impl Into<Bytes>) {
        self.out.push_back(Output::Send { conn, frame: Frame::whole(bytes) });
    }

    /// Answers `stanza` with an error; never answers an error or a result. `by` names the room or host.
    pub(crate) fn refuse(
        &mut self,
        sender: &Sender,
        stanza: &Element,
        error: &StanzaError,
        by: Option<&str>,
    ) {
        let kind = stanza.attr("type");
        if kind == Some("error") || (stanza.name() == "iq" && kind == Some("result")) {
            return;
        }
        self.counters.add(Counter::StanzaErrors);
        let mut reply = iq::error(stanza, error);
        if let (Some(by), Some(e)) = (by, reply.children_mut().next()) {
            e.set_attr("by", by);
        }
        self.send(sender.id, reply);
    }

    /// Answers an IQ with a result.
    pub(crate) fn answer(&mut self, sender: &Sender, request: &Element, payload: Option<Element>) {
        self.send(sender.id, iq::result(request, payload));
    }

    /// Forgets a connection and all that is due for it.
    pub(crate) fn forget_conn(&mut self, conn: ConnId) -> Option<Conn> {
        let mut c = self.conns.remove(&conn)?;
        for timer in [Timer::Login(conn), Timer::Turn(conn), Timer::Idle(conn)] {
            self.timers.cancel(timer);
        }
        if let Stage::Login { exchange, .. } = &mut c.stage
            && let Exchange::Waiting(w) = std::mem::take(exchange)
        {
            self.guesses.unused(w.attempt);
        }
        Some(c)
    }

    /// Asks outside; the answer comes to the asker's `answer` hook. `None`: too many are open.
    pub(crate) fn ask_outside(&mut self, asker: Asker, question: Question) -> Option<QuestionId> {
        if self.questions.len() >= self.config.limits.max_questions {
            return None;
        }
        self.next_question += 1;
        let id = QuestionId(self.next_question);
        self.out.push_back(Output::Ask { id, question: Box::new(question.clone()) });
        self.questions.insert(id, (asker, question));
        Some(id)
    }

    /// Has the shell look at an account; the answer goes to the login on this connection.
    pub(crate) fn ask_account(&mut self, conn: ConnId, question: AccountQuestion) -> QuestionId {
        self.next_question += 1;
        let id = QuestionId(self.next_question);
        self.out.push_back(Output::Account { conn, id, question: Box::new(question) });
        id
    }

    /// Whether this is no answer yet: it is asked once more, a little later.
    pub(crate) fn is_repeated(&mut self, id: QuestionId, answer: &Answer) -> bool {
        let failed = match answer {
            Answer::Response { status, .. } => *status >= 500,
            Answer::Unreachable => true,
            Answer::Late => false,
        };
        let Some((asker, _)) = self.questions.get_mut(&id).filter(|(a, _)| failed && a.repeat > 0) else {
            return false;
        };
        asker.repeat -= 1;
        self.timers.set(self.now + self.config.limits.question_pause, Timer::Question(id));
        true
    }

    /// It is time to ask again.
    pub(crate) fn repeat(&mut self, id: QuestionId) {
        if let Some((_, question)) = self.questions.get(&id) {
            self.out.push_back(Output::Ask { id, question: Box::new(question.clone()) });
        }
    }

    /// The sender as the rules need it.
    pub(crate) fn sender(&self, id: SessionId) -> Option<Sender> {
        let s = self.sessions.get(id)?;
        Some(Sender { id, jid: s.jid.clone(), bare: s.bare.clone(), identity: s.identity.clone() })
    }

    /// What a session may do, as far as that is known: since it moderates, or as its token says.
    pub(crate) fn features(&self, id: SessionId) -> Option<&Features> {
        let s = self.sessions.get(id)?;
        s.granted.as_ref().or_else(|| s.identity.features())
    }

    /// Whether a feature is allowed; where nothing is known, to those for whom `otherwise` holds (xmpp-server §4.11).
    pub(crate) fn may(&self, id: SessionId, feature: &str, otherwise: bool) -> bool {
        self.features(id).map_or(otherwise, |f| f.get(feature).copied().unwrap_or(false))
    }

    /// The domain of a module about the rooms of a host, from which it speaks.
    pub(crate) fn component(&self, rooms: HostId, module: &str) -> Arc<str> {
        self.hosts.component(rooms, module)
    }

    /// Whether this account owns every room.
    pub(crate) fn is_admin(&self, bare: &BareJid) -> bool {
        self.config.admins.contains(bare)
    }
}

/// XEP-0198: please acknowledge.
pub(crate) const REQUEST: &str = r#"<r xmlns="urn:xmpp:sm:3"/>"#;
