//! Upstream's `reservations` (xmpp-server §4.28): a request for a meeting that is not there yet waits until the admin's booking
//! system has answered over HTTP, and goes to the focus or back with its refusal. Off unless a booking system is named.
//!
//! Nobody gets past it: a room that has no reservation does not come into being, whoever asked the focus for it.

mod answers;

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Instant;

use budget::{Buckets, Network, Shares};
use jitsi_xmpp::xml::{XmlLimits, parse_with};
use jitsi_xmpp::{BareJid, Condition, Element, ErrorType, Sensitive, StanzaError, ns};

use self::answers::{Outcome, Refusal, UNREACHABLE, outcome};
use super::client_proxy;
use crate::counters::Counter;
use crate::limits::{Limits, reservations as limits};
use crate::module::{Attempt, Conference, Module, Verdict};
use crate::output::{Answer, Question, QuestionId};
use crate::room::{HEALTH_CHECK_PREFIX, Room};
use crate::session::SessionId;
use crate::timers::Timer;
use crate::world::{Asker, Effect, Sender, World};

pub(super) static MODULE: Module = Module {
    name: NAME,
    named: &["reservations"],
    enabled: |config| config.reservations.is_some(),
    conference: Some(conference),
    create: Some(create),
    created: Some(|room, world| opened(world, &room.jid)),
    destroyed: Some(destroyed),
    due: Some(due),
    answer: Some(answer),
    ..Module::NONE
};

const NAME: &str = "reservations";

/// What is known of all rooms that somebody asked for.
struct Reservations {
    by_room: HashMap<BareJid, Reservation>,
    /// Requests that wait, by where they came from.
    waiting: Shares<Network>,
    /// The same by session.
    each: Shares<SessionId>,
    /// Rooms that are not open, by who asked for them.
    unopened: Shares<Network>,
    rate: Buckets<Network>,
    /// Meetings that are over, of which the booking system does not know yet: where, and the booking's id.
    over: VecDeque<(BareJid, String)>,
    /// Questions that say so, under way.
    telling: HashSet<QuestionId>,
}

struct Reservation {
    /// Whose share it is, until the room is open.
    asker: Option<Network>,
    open: bool,
    state: State,
}

enum State {
    Asked {
        question: QuestionId,
        /// Whether it is about a booking that was there already.
        conflict: bool,
        waiting: Vec<Waiting>,
    },
    Allowed {
        /// The booking's.
        id: String,
        until: Instant,
    },
    Refused(Refusal),
}

/// A conference request.
struct Waiting {
    from: SessionId,
    network: Option<Network>,
    /// Its bytes: a tree would be many times larger.
    request: Box<str>,
}

impl Reservations {
    fn new(config: &Limits) -> Self {
        let most = config.max_questions.saturating_sub(limits::TELLING);
        Self {
            by_room: HashMap::new(),
            waiting: Shares::fair(limits::WAITING_PER_NETWORK, most),
            each: Shares::new(limits::WAITING_PER_SESSION, most),
            unopened: Shares::fair(limits::UNOPENED_PER_NETWORK, limits::UNOPENED),
            rate: Buckets::new(limits::PER_NETWORK, limits::ALL, limits::MOST_KEYS),
            over: VecDeque::new(),
            telling: HashSet::new(),
        }
    }

    fn of(world: &mut World) -> &mut Self {
        let World { slots, config, .. } = world;
        slots.entry_with(|| Self::new(&config.limits))
    }

    /// Whether one more request may wait, for a room that nobody has asked for if it is `new`.
    fn has_room(&mut self, sender: &Sender, new: bool, now: Instant) -> bool {
        self.each.has(&sender.id, 1)
            && sender.identity.peer.is_none_or(|network| {
                self.waiting.has(&network, 1)
                    && (!new || (self.unopened.has(&network, 1) && self.rate.take(network, now, 1)))
            })
    }

    fn wait(&mut self, w: &Waiting) {
        // There was room.
        let _ = self.each.take(w.from, 1);
        let _ = w.network.map(|network| self.waiting.take(network, 1));
    }

    fn waits_no_more(&mut self, w: &Waiting) {
        self.each.give_back(&w.from, 1);
        if let Some(network) = &w.network {
            self.waiting.give_back(network, 1);
        }
    }

    /// A meeting waits to be told of; with too many, the oldest is not told.
    fn is_over(&mut self, room: BareJid, id: String) {
        if self.over.len() >= limits::OVER {
            self.over.pop_front();
        }
        self.over.push_back((room, id));
    }

    /// The room opens, or is forgotten.
    fn give_back(&mut self, asker: Option<Network>) {
        if let Some(network) = asker {
            self.unopened.give_back(&network, 1);
        }
    }
}

/// Somebody asks the focus for a meeting that is not there.
fn conference(world: &mut World, sender: &Sender, room: &BareJid, request: &Element) -> Conference {
    let now = world.now;
    let refusal = match Reservations::of(world).by_room.get(room).map(|r| &r.state) {
        Some(State::Allowed { until, .. }) if *until > now => return Conference::Pass,
        Some(State::Allowed { .. }) => expired(),
        Some(State::Refused(refusal)) => refusal.clone(),
        Some(State::Asked { .. }) | None => {
            if !wait(world, sender, room, request) {
                client_proxy::not_ready(world, sender, request);
            }
            return Conference::Taken;
        }
    };
    refuse(world, sender, request, &refusal);
    Conference::Taken
}

/// Keeps the request, and asks the booking system if nobody has yet. `false`: there is no room for it now.
fn wait(world: &mut World, sender: &Sender, room: &BareJid, request: &Element) -> bool {
    let now = world.now;
    let waiting =
        Waiting { from: sender.id, network: sender.identity.peer, request: request.to_xml().into() };
    if waiting.request.len() > limits::REQUEST_BYTES {
        let error = StanzaError::new(Condition::PolicyViolation).with_type(ErrorType::Modify);
        world.refuse(sender, request, &error, None);
        return true;
    }
    let all = Reservations::of(world);
    let new = !all.by_room.contains_key(room);
    if !all.has_room(sender, new, now) {
        return false;
    }
    if new {
        let Some(question) = book(world, room, &sender.bare) else { return false };
        let state = State::Asked { question, conflict: false, waiting: Vec::new() };
        let asker = sender.identity.peer;
        let all = Reservations::of(world);
        let _ = asker.map(|network| all.unopened.take(network, 1));
        all.by_room.insert(room.clone(), Reservation { asker, open: false, state });
    }
    let all = Reservations::of(world);
    all.wait(&waiting);
    if let Some(State::Asked { waiting: line, .. }) = all.by_room.get_mut(room).map(|r| &mut r.state) {
        line.push(waiting);
    }
    true
}

/// May the room come into being? Also when the focus was asked over HTTP, where nobody knows who asks.
fn create(world: &World, room: &BareJid, _: &Attempt) -> Verdict {
    let reserved = world.slots.get::<Reservations>().and_then(|all| all.by_room.get(room));
    let reserved =
        matches!(reserved.map(|r| &r.state), Some(State::Allowed { until, .. }) if *until > world.now);
    let health_check = room.node().is_some_and(|n| n.starts_with(HEALTH_CHECK_PREFIX));
    if reserved || health_check {
        return Verdict::Pass;
    }
    Verdict::refuse(StanzaError::new(Condition::NotAllowed).with_text("The room is not reserved"))
}

/// The room is there: it counts as nobody's any more, and ends with its reservation.
fn opened(world: &mut World, room: &BareJid) {
    let all = Reservations::of(world);
    let Some(r) = all.by_room.get_mut(room) else { return };
    r.open = true;
    let asker = r.asker.take();
    let until = match r.state {
        State::Allowed { until, .. } => Some(until),
        _ => None,
    };
    all.give_back(asker);
    if let Some(until) = until {
        world.timers.set(until, alarm(room));
    }
}

fn destroyed(room: &Room, world: &mut World) {
    let all = Reservations::of(world);
    let Some(r) = all.by_room.remove(&room.jid) else { return };
    all.give_back(r.asker);
    if let State::Allowed { id, .. } = r.state {
        all.is_over(room.jid.clone(), id);
    }
    world.timers.cancel(alarm(&room.jid));
    tell(world);
}

/// A reservation is over or was not used, or a refusal has been kept for long enough.
fn due(world: &mut World, room: &BareJid) {
    let all = Reservations::of(world);
    match all.by_room.get(room) {
        // Forgotten with the room.
        Some(r) if r.open => world.effects.push_back(Effect::Destroy { room: room.clone(), reason: OVER }),
        Some(Reservation { state: State::Asked { .. }, .. }) | None => {}
        Some(_) => {
            let asker = all.by_room.remove(room).and_then(|r| r.asker);
            all.give_back(asker);
        }
    }
}

/// The booking system has answered, or has not.
fn answer(world: &mut World, room: &BareJid, id: QuestionId, answer: &Answer) {
    let all = Reservations::of(world);
    if all.telling.remove(&id) {
        return tell(world);
    }
    let asked = all.by_room.get(room).is_some_and(|r| r.state.asks(id));
    let Some(Reservation { asker, state: State::Asked { conflict, waiting, .. }, .. }) =
        asked.then(|| all.by_room.remove(room)).flatten()
    else {
        return;
    };
    let outcome = match outcome(answer, room, conflict) {
        Outcome::Known(booking) => match ask(world, room, "GET", &path(&booking), String::new()) {
            Some(question) => {
                let state = State::Asked { question, conflict: true, waiting };
                let again = Reservation { asker, open: false, state };
                Reservations::of(world).by_room.insert(room.clone(), again);
                return;
            }
            // Too many questions are open: this one is as good as lost.
            None => Err(Refusal::new(500, UNREACHABLE)),
        },
        Outcome::Refused(refusal) => Err(refusal),
        Outcome::Reserved { id, until } => {
            let left = until.saturating_sub(world.clock.unix(world.now));
            if left.is_zero() { Err(expired()) } else { Ok((id, world.now + left.min(limits::LONGEST))) }
        }
    };
    settle(world, room, asker, outcome, waiting);
    // There may be a place for another question now.
    tell(world);
}

/// What came of it is kept, and told to all who wait.
fn settle(
    world: &mut World,
    room: &BareJid,
    asker: Option<Network>,
    outcome: Result<(String, Instant), Refusal>,
    waiting: Vec<Waiting>,
) {
    let (state, keep, refusal) = match outcome {
        Ok((id, until)) => (
            State::Allowed { id, until },
            limits::UNUSED.min(until.saturating_duration_since(world.now)),
            None,
        ),
        Err(refusal) => {
            world.counters.add(Counter::ReservationsRefused);
            (State::Refused(refusal.clone()), limits::REFUSED, Some(refusal))
        }
    };
    world.timers.set(world.now + keep, alarm(room));
    let all = Reservations::of(world);
    all.by_room.insert(room.clone(), Reservation { asker, open: false, state });
    for w in &waiting {
        all.waits_no_more(w);
    }
    for w in waiting {
        // Who has gone meanwhile hears nothing.
        let (Some(sender), Some(request)) = (world.sender(w.from), w.request()) else { continue };
        match &refusal {
            None => client_proxy::ask(world, &sender, request),
            Some(refusal) => refuse(world, &sender, &request, refusal),
        }
    }
}

/// compat: clients show number and text, and do not ask again (test:
/// compat_a_refused_reservation_is_an_error_with_number_and_text).
fn refuse(world: &mut World, sender: &Sender, request: &Element, refusal: &Refusal) {
    let why = Element::new("reservation-error", ns::FOCUS).with_attr("error-code", refusal.code.to_string());
    let error =
        StanzaError::new(Condition::ServiceUnavailable).with_text(refusal.text.as_str()).with_extra(why);
    world.refuse(sender, request, &error, None);
}

/// Asks for a booking of the room, from now on.
fn book(world: &mut World, room: &BareJid, owner: &BareJid) -> Option<QuestionId> {
    let now = world.clock.stamp(world.now);
    let form = [
        ("name", room.node().unwrap_or_default()),
        // As Java's SimpleDateFormat, which upstream's interface was made for.
        ("start_time", &now.replace('Z', ".000Z")),
        ("mail_owner", owner.as_str()),
    ];
    let form: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    ask(world, room, "POST", "", form.join("&"))
}

/// Tells the booking system which meetings are over, some at a time.
fn tell(world: &mut World) {
    loop {
        let all = Reservations::of(world);
        if all.telling.len() >= limits::TELLING {
            return;
        }
        let Some((room, id)) = all.over.pop_front() else { return };
        let Some(question) = ask(world, &room, "DELETE", &path(&id), String::new()) else {
            return Reservations::of(world).over.push_front((room, id));
        };
        Reservations::of(world).telling.insert(question);
    }
}

fn ask(
    world: &mut World,
    room: &BareJid,
    method: &'static str,
    path: &str,
    form: String,
) -> Option<QuestionId> {
    let base = world.config.reservations.as_ref()?.reveal();
    let url = Sensitive::new(format!("{base}/conference{path}"));
    let mut headers = vec![("user-agent", Sensitive::new("Plausch".to_owned()))];
    if !form.is_empty() {
        headers.push(("content-type", Sensitive::new("application/x-www-form-urlencoded".to_owned())));
    }
    let question = Question {
        method,
        url,
        headers,
        body: Sensitive::new(form.into_bytes()),
        deadline: world.config.limits.question_deadline,
    };
    world.ask_outside(Asker { room: room.clone(), module: NAME, repeat: limits::REPEAT }, question)
}

fn alarm(room: &BareJid) -> Timer {
    Timer::Aside(room.clone(), NAME)
}

fn expired() -> Refusal {
    Refusal::new(419, "Reservation expired")
}

impl State {
    fn asks(&self, id: QuestionId) -> bool {
        matches!(self, Self::Asked { question, .. } if *question == id)
    }
}

impl Waiting {
    /// `None`: never, as the bytes are an element's.
    fn request(&self) -> Option<Element> {
        let bytes = self.request.as_bytes();
        let most = XmlLimits { max_bytes: bytes.len(), max_elements: bytes.len(), ..XmlLimits::default() };
        parse_with(bytes, ns::CLIENT, &most).ok()
    }
}

fn path(id: &str) -> String {
    format!("/{}", encoded(id))
}

/// As a part of an address or a form (RFC 3986 §2.3).
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

/// compat: upstream's words (test: compat_a_room_ends_with_its_reservation_and_the_booking_system_hears_of_it).
const OVER: &str = "Scheduled conference duration exceeded.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_ends_wait_to_be_told_and_the_oldest_gives_way_to_one_more() {
        let mut all = Reservations::new(&Limits::default());
        for n in 0..=limits::OVER {
            all.is_over("r@muc.x".parse().unwrap(), n.to_string());
        }
        assert_eq!(all.over.len(), limits::OVER);
        assert_eq!(all.over.front().map(|(_, id)| id.as_str()), Some("1"));
    }

    #[test]
    fn so_many_addresses_are_told_apart() {
        let mut now = Instant::now();
        let mut all = Reservations::new(&Limits::default());
        for n in 0..=limits::MOST_KEYS {
            let network = Network::of(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n as u32).into());
            assert!(all.rate.take(network, now, 1), "{n}");
            // Within the rate of all, and before anybody's budget is full again.
            now += std::time::Duration::from_millis(4);
        }
        assert!(all.rate.len() <= limits::MOST_KEYS, "{}", all.rate.len());
    }

    #[test]
    fn what_stands_in_an_address_or_form_is_encoded() {
        assert_eq!(encoded("[town]räte.~-_/ 1&?"), "%5Btown%5Dr%C3%A4te.~-_%2F%201%26%3F");
    }
}
