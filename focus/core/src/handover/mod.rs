//! Restart: what this focus knows in, bytes for a successor out; and such bytes in, a focus that goes on where the other stopped
//! out. The rooms, the people in them, their Jingle sessions and their endpoints on bridges stay as they are; requests that were
//! under way are made again. Who writes the bytes where is the shell's business; they hold names and credentials.

pub(crate) mod parts;
pub(crate) mod wire;

use std::time::{Duration, Instant};

use jitsi_xmpp::ids::MeetingId;
use jitsi_xmpp::{BareJid, Entropy};

use crate::conference::{Conference, Leave, Phase};
use crate::{Config, Focus, limits};
use wire::{FORMAT, Heading, Ms, VERSION, Whole};

/// Why nothing is taken over. Blame: whoever wrote it, mostly a focus of another version. Consequence: the focus begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandoverError {
    /// Not written by a focus, or torn.
    #[error("cannot be read")]
    Broken,
    /// Of another version.
    #[error("is of version {0}, and this focus reads version {VERSION}")]
    Version(u32),
    /// Something in it cannot be.
    #[error("has a `{0}` that cannot be")]
    Odd(&'static str),
    /// Beyond a limit.
    #[error("has too many {0}")]
    TooMany(&'static str),
}

/// The moment of writing, or of reading.
#[derive(Clone, Copy)]
pub(crate) struct Clock(pub(crate) Instant);

impl Clock {
    pub(crate) fn write(self, at: Instant) -> Ms {
        let ms = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        match at.checked_duration_since(self.0) {
            Some(left) => ms(left),
            None => -ms(self.0.duration_since(at)),
        }
    }

    /// Times beyond a year are none of ours.
    pub(crate) fn read(self, at: Ms) -> Instant {
        let span = Duration::from_millis(at.unsigned_abs()).min(limits::PIN_LONGEST);
        let there = if at < 0 { self.0.checked_sub(span) } else { self.0.checked_add(span) };
        there.unwrap_or(self.0)
    }
}

/// Reads a word that was checked when it came in, and is again.
pub(crate) fn word<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T, HandoverError> {
    text.parse().map_err(|_| HandoverError::Odd(what))
}

pub(crate) fn words<T: std::str::FromStr, C: FromIterator<T>>(
    all: &[String],
    what: &'static str,
) -> Result<C, HandoverError> {
    all.iter().map(|text| word(text, what)).collect()
}

pub(crate) fn at_most<T>(all: &[T], most: usize, what: &'static str) -> Result<(), HandoverError> {
    if all.len() > most { Err(HandoverError::TooMany(what)) } else { Ok(()) }
}

impl Focus {
    /// What cannot be handed over ends: whoever waits for a room to be joined asks again, a second later.
    pub fn prepare_handover(&mut self, now: Instant) {
        self.stopping = true;
        self.nobody_waits(now);
    }

    /// The link has been gone for long: nothing moves on until it is back. Time stands still for the conferences, so that nobody is
    /// taken for one who does not answer. Whether their rooms are still there, only the server can say.
    pub(crate) fn sleep(&mut self, now: Instant) {
        self.nobody_waits(now);
        self.asleep = self.hand_over(now);
        self.engine.link_expired();
        self.end_all(now, Leave::Silently);
    }

    /// The session goes on after a long time, and with it the conferences.
    pub(crate) fn awake(&mut self, now: Instant, left: &[u8]) {
        let entropy = self.engine.take_entropy();
        match Self::take_over(now, self.engine.config.clone(), entropy, left) {
            Ok(mut awake) => {
                awake.engine.counters = self.engine.counters.clone();
                awake.engine.out = std::mem::take(&mut self.engine.out);
                awake.budgets = std::mem::take(&mut self.budgets);
                awake.next_conference += self.next_conference;
                *self = awake;
            }
            // We have written it ourselves.
            Err(e) => tracing::error!("what this focus knew before its link was lost {e}"),
        }
    }

    fn nobody_waits(&mut self, now: Instant) {
        let rooms: Vec<BareJid> = self.rooms.keys().cloned().collect();
        for room in rooms {
            self.with_room(now, &room, Conference::prepare_handover);
        }
        self.after(now);
    }

    /// All that a successor has to know. `None`: there was no link yet.
    pub fn hand_over(&self, now: Instant) -> Option<Vec<u8>> {
        let clock = Clock(now);
        let e = &self.engine;
        let Some(me) = e.address() else { return self.asleep.clone() };
        let running = self.rooms.values().filter(|c| c.phase == Phase::Running);
        let text = |jid: &Option<jitsi_xmpp::Jid>| jid.as_ref().map(|j| j.as_str().to_owned());
        let whole = Whole {
            format: FORMAT.to_owned(),
            version: VERSION,
            jid: me.as_str().to_owned(),
            draining: self.draining,
            room_metadata: text(&e.components.room_metadata),
            av_moderation: text(&e.components.av_moderation),
            visitors: text(&e.components.visitors),
            breakout_rooms: e.components.breakout_rooms.clone(),
            places: e.joined_places(),
            bridges: e.brewery.written(clock),
            recorders: e.recorders.written(),
            gateways: e.gateways.written(),
            pins: e.pins.written(clock),
            logins: e.logins.written(clock),
            orphans: e.orphans.iter().map(|(b, m)| (b.as_str().to_owned(), m.as_str().to_owned())).collect(),
            conferences: running.map(|c| c.written(clock)).collect(),
        };
        serde_json::to_vec(&whole).ok()
    }

    /// A focus that goes on where another one stopped, as soon as its link is resumed.
    pub fn take_over(
        now: Instant,
        config: Config,
        entropy: Box<dyn Entropy>,
        bytes: &[u8],
    ) -> Result<Self, HandoverError> {
        let heading: Heading = serde_json::from_slice(bytes).map_err(|_| HandoverError::Broken)?;
        if heading.format != FORMAT {
            return Err(HandoverError::Broken);
        }
        if heading.version != VERSION {
            return Err(HandoverError::Version(heading.version));
        }
        let whole: Whole = serde_json::from_slice(bytes).map_err(|_| HandoverError::Broken)?;
        at_most(&whole.conferences, limits::CONFERENCES, "conferences")?;
        let clock = Clock(now);
        let mut focus = Self::new(config, entropy);
        focus.draining = whole.draining;
        let e = &mut focus.engine;
        e.succeed(now, word(&whole.jid, "jid")?, &whole.places);
        let jid = |text: &Option<String>| text.as_deref().map(|t| word(t, "component")).transpose();
        e.components.room_metadata = jid(&whole.room_metadata)?;
        e.components.av_moderation = jid(&whole.av_moderation)?;
        e.components.visitors = jid(&whole.visitors)?;
        e.components.breakout_rooms = whole.breakout_rooms;
        e.brewery.read_written(clock, &whole.bridges)?;
        e.recorders.read_written(&whole.recorders)?;
        e.gateways.read_written(whole.gateways)?;
        e.pins.read_written(clock, whole.pins)?;
        e.logins.read_written(clock, whole.logins)?;
        at_most(&whole.orphans, limits::ORPHANS, "orphans")?;
        for (bridge, meeting) in &whole.orphans {
            e.orphans.push((word(bridge, "orphan")?, MeetingId::new(meeting)));
        }
        for conference in whole.conferences {
            focus.next_conference += 1;
            let id = crate::turn::ConferenceId(focus.next_conference);
            let Some(mut turn) = focus.engine.turn(now) else { return Err(HandoverError::Odd("jid")) };
            let conference = Conference::read_written(&mut turn, clock, id, conference)?;
            focus.inherited.push(conference.room.clone());
            focus.rooms.insert(conference.room.clone(), conference);
        }
        Ok(focus)
    }

    /// The link is resumed: what was under way when the other stopped is done again.
    pub(crate) fn go_on(&mut self, now: Instant) {
        let rooms = std::mem::take(&mut self.inherited);
        if rooms.is_empty() {
            return;
        }
        tracing::info!(conferences = rooms.len(), "conferences of the focus before go on");
        for room in &rooms {
            self.with_room(now, room, Conference::go_on);
        }
    }
}
