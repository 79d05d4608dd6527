//! Our requests that wait for an answer: whom we asked and who waits in; the id to send, and the answer of the one
//! who was asked, out.
//!
//! An answer is believed when it comes from the address that was asked and carries an id that only that address has
//! seen: ids are random. Each peer and each room has a share of the places, so that silent clients cost nobody else
//! an answer.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use budget::Shares;
use jitsi_xmpp::{BareJid, Condition, Element, Entropy, FullJid, Jid, StanzaError};

use crate::limits;
use crate::timers::{Timer, Timers};
use crate::turn::Waiting;

/// How a request ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// `type='result'`, the whole stanza.
    Result(Element),
    /// `type='error'`, read.
    Error(StanzaError),
    /// No answer before the deadline.
    Timeout,
}

#[derive(Debug)]
struct Request {
    asked: Jid,
    armed: Option<Instant>,
    then: Waiting,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Iqs {
    /// Who we are on the link.
    own: Option<FullJid>,
    waiting: HashMap<String, Request>,
    peers: Shares<Jid>,
    rooms: Shares<BareJid>,
    /// Those that were answered or given up lately, by their ids.
    past: VecDeque<u64>,
}

impl Default for Iqs {
    fn default() -> Self {
        Self {
            own: None,
            waiting: HashMap::new(),
            peers: Shares::new(limits::IQS_PER_PEER, limits::IQS),
            rooms: Shares::new(limits::IQS_PER_ROOM, limits::IQS),
            past: VecDeque::new(),
        }
    }
}

impl Iqs {
    /// Everything that waits is forgotten; from now on we are `own`.
    pub(crate) fn restart(&mut self, timers: &mut Timers, own: Option<FullJid>) {
        for (id, mut request) in self.waiting.drain() {
            timers.arm(&mut request.armed, None, || Timer::Iq(id.clone()));
        }
        *self = Self { own, ..Self::default() };
    }

    /// A place for a request to `asked`; the id to send it with. `None`: the peer, its room or all of us have too
    /// many requests under way. That is nobody's fault but ours, so it is not an [`Answer`].
    pub(crate) fn register(
        &mut self,
        now: Instant,
        timers: &mut Timers,
        entropy: &mut dyn Entropy,
        asked: &Jid,
        then: Waiting,
    ) -> Option<String> {
        self.take_share(asked, &then)?;
        let id = new_id(entropy);
        let mut request = Request { asked: asked.clone(), armed: None, then };
        timers.arm(&mut request.armed, Some(now + limits::IQ_TIMEOUT), || Timer::Iq(id.clone()));
        self.waiting.insert(id.clone(), request);
        Some(id)
    }

    /// Matches a received IQ of type result or error.
    pub(crate) fn take(&mut self, timers: &mut Timers, iq: &Element) -> Option<(Waiting, Answer)> {
        let kind = iq.attr("type")?;
        if iq.name() != "iq" || !matches!(kind, "result" | "error") {
            return None;
        }
        let id = iq.attr("id")?;
        if !self.is_from(iq.attr("from"), &self.waiting.get(id)?.asked) {
            return None;
        }
        let then = self.remove(timers, id)?;
        let answer = if kind == "result" {
            Answer::Result(iq.clone())
        } else {
            Answer::Error(
                StanzaError::from_stanza(iq)
                    .unwrap_or_else(|| StanzaError::new(Condition::UndefinedCondition)),
            )
        };
        Some((then, answer))
    }

    /// The request whose deadline has passed.
    pub(crate) fn expired(&mut self, timers: &mut Timers, id: &str) -> Option<Waiting> {
        self.remove(timers, id)
    }

    /// Whether this was asked lately, and nobody waits for it any more.
    pub(crate) fn is_past(&self, id: &str) -> bool {
        self.past.contains(&short(id))
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Without a sender it is our own server that speaks for our own account (RFC 6120 §8.1.2.1): that counts for
    /// what the account or its server was asked, and for nothing else.
    fn is_from(&self, from: Option<&str>, asked: &Jid) -> bool {
        match from {
            Some(from) => from.parse::<Jid>().is_ok_and(|f| f == *asked),
            None => self.own.as_ref().is_some_and(|own| {
                asked == own.as_jid()
                    || asked.as_str() == own.as_jid().bare_str()
                    || asked.as_str() == own.domain()
            }),
        }
    }

    fn remove(&mut self, timers: &mut Timers, id: &str) -> Option<Waiting> {
        let mut request = self.waiting.remove(id)?;
        if self.past.len() >= limits::IQS_REMEMBERED {
            self.past.pop_front();
        }
        self.past.push_back(short(id));
        timers.arm(&mut request.armed, None, || Timer::Iq(id.to_owned()));
        if let Some(room) = counted(&request.asked, &request.then) {
            self.rooms.give_back(room, 1);
            self.peers.give_back(&request.asked, 1);
        }
        Some(request.then)
    }

    fn take_share(&mut self, asked: &Jid, then: &Waiting) -> Option<()> {
        let Some(room) = counted(asked, then) else { return Some(()) };
        self.rooms.take(room.clone(), 1).ok()?;
        // A bridge is asked for all rooms; only occupants have a share of their own.
        if asked.bare_str() == room.as_str() && self.peers.take(asked.clone(), 1).is_err() {
            self.rooms.give_back(room, 1);
            return None;
        }
        Some(())
    }
}

/// Whose share a request takes. Own questions are few and always have a place; so has a room's own address, which is
/// the server.
fn counted<'a>(asked: &Jid, then: &'a Waiting) -> Option<&'a BareJid> {
    match then {
        Waiting::Conference { room, .. } if asked.resource().is_some() => Some(room),
        _ => None,
    }
}

fn short(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// An id that nobody can guess: 96 bits.
pub(crate) fn new_id(entropy: &mut dyn Entropy) -> String {
    entropy.hex(12)
}

#[cfg(test)]
mod tests {
    use jitsi_xmpp::entropy::SeededEntropy;
    use jitsi_xmpp::ids::EndpointId;
    use jitsi_xmpp::xml::parse;

    use super::*;
    use crate::conference::Wait;
    use crate::turn::ConferenceId;

    struct Table {
        iqs: Iqs,
        timers: Timers,
        entropy: SeededEntropy,
        now: Instant,
    }

    fn table() -> Table {
        let mut t = Table {
            iqs: Iqs::default(),
            timers: Timers::default(),
            entropy: SeededEntropy::new(1),
            now: Instant::now(),
        };
        t.iqs.restart(&mut t.timers, Some("focus@auth.x/focus".parse().unwrap()));
        t
    }

    impl Table {
        fn ask(&mut self, to: &str, then: Waiting) -> Option<String> {
            self.iqs.register(self.now, &mut self.timers, &mut self.entropy, &to.parse().unwrap(), then)
        }

        fn answer(&mut self, id: &str, from: &str) -> bool {
            let iq = format!("<iq xmlns='jabber:client' type='result' id='{id}' {from}/>");
            self.iqs.take(&mut self.timers, &parse(iq.as_bytes()).unwrap()).is_some()
        }
    }

    fn member(room: &str) -> Waiting {
        let what = Wait::Features { member: EndpointId::new("a"), seq: 1 };
        Waiting::Conference { id: ConferenceId(1), room: room.parse().unwrap(), what }
    }

    #[test]
    fn no_sender_is_our_own_server_and_nobody_else() {
        for (to, ok) in [
            ("auth.x", true),
            ("focus@auth.x", true),
            ("focus@auth.x/focus", true),
            ("x", false),
            ("r@muc.x", false),
            ("r@muc.x/a", false),
        ] {
            let mut t = table();
            let id = t.ask(to, Waiting::Discovery).unwrap();
            assert_eq!(t.answer(&id, ""), ok, "{to}");
        }
    }

    #[test]
    fn a_peer_gets_its_share_and_not_one_more() {
        let mut t = table();
        let ids: Vec<_> =
            (0..limits::IQS_PER_PEER).map(|_| t.ask("r@muc.x/a", member("r@muc.x")).unwrap()).collect();
        assert_eq!(t.ask("r@muc.x/a", member("r@muc.x")), None);
        assert!(t.ask("r@muc.x/b", member("r@muc.x")).is_some(), "somebody else has a share too");
        assert!(t.answer(&ids[0], "from='r@muc.x/a'"));
        assert!(t.ask("r@muc.x/a", member("r@muc.x")).is_some(), "an answer gives the place back");
    }

    #[test]
    fn a_room_gets_its_share_and_not_one_more_and_the_total_holds() {
        let mut t = table();
        let fill = |t: &mut Table, room: &str, n: usize| {
            (0..n).filter(|_| t.ask("brewery@x/jvb", member(room)).is_some()).count()
        };
        assert_eq!(fill(&mut t, "r0@muc.x", limits::IQS_PER_ROOM + 1), limits::IQS_PER_ROOM);
        for n in 1..limits::IQS / limits::IQS_PER_ROOM {
            assert_eq!(fill(&mut t, &format!("r{n}@muc.x"), limits::IQS_PER_ROOM), limits::IQS_PER_ROOM);
        }
        assert_eq!(t.iqs.len(), limits::IQS);
        assert_eq!(fill(&mut t, "last@muc.x", 1), 0);
        assert!(t.ask("x", Waiting::Discovery).is_some(), "our own questions have a place");
        let later = t.now + limits::IQ_TIMEOUT;
        for timer in t.timers.take_due(later) {
            let Timer::Iq(id) = timer else { panic!("{timer:?}") };
            assert!(t.iqs.expired(&mut t.timers, &id).is_some());
        }
        assert_eq!((t.iqs.len(), t.timers.next()), (0, None));
        assert_eq!(fill(&mut t, "last@muc.x", 1), 1);
    }
}
