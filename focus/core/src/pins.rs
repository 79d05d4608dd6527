//! Rooms that are bound to a version of the bridges for a while (focus §3.14): an admin's orders in, the version for a conference that
//! begins out.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jitsi_xmpp::BareJid;

use crate::handover::{Clock, HandoverError, at_most, wire, word};
use crate::{Focus, limits};

/// A room that is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The room.
    pub room: BareJid,
    /// `version`, or `version-release`, as bridges say it.
    pub version: String,
    /// How much longer.
    pub left: Duration,
}

/// Why a room is not bound. Blame: the admin who asks. Consequence: the request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// More than [`limits::PINS`].
    #[error("so many rooms are pinned already that there is no place for another")]
    TooMany,
    /// No version, or one that is too long.
    #[error("a version has 1 to 256 bytes")]
    Version,
    /// No time, or more than [`limits::PIN_LONGEST`].
    #[error("a room is pinned for a minute up to a year")]
    Time,
}

#[derive(Debug, Default)]
pub(crate) struct Pins(HashMap<BareJid, (String, Instant)>);

impl Pins {
    pub(crate) fn written(&self, clock: Clock) -> Vec<(String, String, wire::Ms)> {
        let of = |(room, (version, until)): (&BareJid, &(String, Instant))| {
            (room.as_str().to_owned(), version.clone(), clock.write(*until))
        };
        self.0.iter().map(of).collect()
    }

    pub(crate) fn read_written(
        &mut self,
        clock: Clock,
        from: Vec<(String, String, wire::Ms)>,
    ) -> Result<(), HandoverError> {
        at_most(&from, limits::PINS, "pins")?;
        for (room, version, until) in from {
            self.0.insert(word(&room, "room")?, (version, clock.read(until)));
        }
        Ok(())
    }

    pub(crate) fn version(&self, now: Instant, room: &BareJid) -> Option<String> {
        self.0.get(room).filter(|(_, until)| *until > now).map(|(version, _)| version.clone())
    }
}

impl Focus {
    /// Conferences that begin in this room use bridges of this version alone. One that runs already goes on as it is.
    pub fn pin(
        &mut self,
        now: Instant,
        room: BareJid,
        version: String,
        time: Duration,
    ) -> Result<(), PinError> {
        if version.is_empty() || version.len() > limits::TEXT {
            return Err(PinError::Version);
        }
        if time.is_zero() || time > limits::PIN_LONGEST {
            return Err(PinError::Time);
        }
        let pins = &mut self.engine.pins.0;
        pins.retain(|_, (_, until)| *until > now);
        if pins.len() >= limits::PINS && !pins.contains_key(&room) {
            return Err(PinError::TooMany);
        }
        pins.insert(room, (version, now + time));
        Ok(())
    }

    /// The room is free again. `false`: it was not bound.
    pub fn unpin(&mut self, room: &BareJid) -> bool {
        self.engine.pins.0.remove(room).is_some()
    }

    /// All that are bound.
    pub fn pins(&self, now: Instant) -> Vec<Pin> {
        let of = |(room, (version, until)): (&BareJid, &(String, Instant))| {
            let left = until.checked_duration_since(now).filter(|left| !left.is_zero())?;
            Some(Pin { room: room.clone(), version: version.clone(), left })
        };
        let mut all: Vec<Pin> = self.engine.pins.0.iter().filter_map(of).collect();
        all.sort_by(|a, b| a.room.cmp(&b.room));
        all
    }
}
