//! All conferences: one handles an input and is settled; those that are over are ended and forgotten. A panic in one
//! costs that one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use jitsi_xmpp::{BareJid, Element, ns};

use crate::conference::{Conference, Leave, NICK, Phase};
use crate::iqs::Answer;
use crate::request::{Requester, not_ready};
use crate::timers::Timer;
use crate::turn::Turn;
use crate::{Focus, Output};

impl Focus {
    /// Lets a conference handle something and settles it; what is over is noted for [`Focus::after`].
    pub(crate) fn with_room<R>(
        &mut self,
        now: Instant,
        room: &BareJid,
        handle: impl FnOnce(&mut Conference, &mut Turn<'_>) -> R,
    ) -> Option<R> {
        let meeting = self.engine.meeting_of(room);
        let room = meeting.as_ref().unwrap_or(room);
        let conference = self.rooms.get_mut(room)?;
        let mut turn = self.engine.turn(now)?;
        let result = catch_unwind(AssertUnwindSafe(|| {
            let result = handle(conference, &mut turn);
            conference.settle(&mut turn);
            result
        }));
        let Ok(result) = result else {
            tracing::error!(conference = conference.id.0, "a bug in its conference: it ends");
            self.engine.counters.panics += 1;
            self.give_up(now, room);
            return None;
        };
        if conference.members.len() >= MEETING
            && let Some(asker) = conference.opened_by.take()
        {
            self.budgets.close(&asker);
        }
        if !conference.breakout_noted
            && let Some(main) = &conference.breakout_of
        {
            conference.breakout_noted = true;
            *self.breakouts.entry(main.clone()).or_insert(0) += 1;
        }
        if conference.phase == Phase::Ended || conference.is_deserted() {
            self.over.push(room.clone());
        }
        Some(result)
    }

    /// Does something that is of no conference yet. `None`: a bug.
    pub(crate) fn contained<R>(&mut self, what: impl FnOnce(&mut Self) -> R) -> Option<R> {
        let done = catch_unwind(AssertUnwindSafe(|| what(self))).ok();
        if done.is_none() {
            tracing::error!("a bug in the answer to a request");
            self.engine.counters.panics += 1;
        }
        done
    }

    /// Ends a conference whose state cannot be relied on any more. Its clients see the focus leave and reload.
    fn give_up(&mut self, now: Instant, room: &BareJid) {
        let Some(mut conference) = self.rooms.remove(room) else { return };
        let Some(mut turn) = self.engine.turn(now) else { return self.forget(&mut conference) };
        // Whatever of it still works: requests answered, the bridge told, deadlines taken out, the room left.
        let ended = catch_unwind(AssertUnwindSafe(|| {
            conference.phase = Phase::Running;
            conference.end(&mut turn, Leave::Politely);
        }));
        if ended.is_err()
            && let Ok(me) = room.with_resource(NICK)
        {
            let leave = Element::new("presence", ns::CLIENT).with_attr("to", me.as_str());
            self.engine.out.push_back(Output::Send(leave.with_attr("type", "unavailable")));
        }
        self.forget(&mut conference);
    }

    /// What follows every input: rooms that are over. A main room is kept while one of its breakout rooms lives;
    /// ending one may so end the other.
    pub(crate) fn after(&mut self, now: Instant) {
        self.watch_soon(now);
        self.relieve_soon(now);
        while let Some(room) = self.over.pop() {
            let Some(conference) = self.rooms.get(&room) else { continue };
            if conference.phase == Phase::Ended {
                if let Some(mut conference) = self.rooms.remove(&room) {
                    self.forget(&mut conference);
                }
            } else if conference.is_deserted() && !self.breakouts.contains_key(&room) {
                self.with_room(now, &room, |c, turn| c.end(turn, Leave::Politely));
            }
        }
    }

    /// Gives back what a conference has taken from the others.
    fn forget(&mut self, conference: &mut Conference) {
        if self.engine.config.login.as_ref().is_some_and(|login| !login.automatic) {
            self.engine.logins.over(&conference.room);
        }
        if let Some(asker) = conference.opened_by.take() {
            self.budgets.close(&asker);
        }
        if conference.breakout_noted
            && let Some(main) = &conference.breakout_of
            && let Some(n) = self.breakouts.get_mut(main)
        {
            *n -= 1;
            if *n == 0 {
                self.breakouts.remove(main);
                self.over.push(main.clone());
            }
        }
    }

    /// Those whose time has come.
    pub(crate) fn timers_due(&mut self, now: Instant) {
        for timer in self.engine.timers.take_due(now) {
            match timer {
                Timer::Iq(id) => {
                    if let Some(waiting) = self.engine.iqs.expired(&mut self.engine.timers, &id) {
                        self.answered(now, waiting, &Answer::Timeout);
                    }
                }
                Timer::Room(room) => {
                    self.with_room(now, &room, |c, turn| c.handle_timeout(turn));
                }
                Timer::Member(room, id) => {
                    self.with_room(now, &room, |c, turn| c.member_due(turn, &id));
                }
            }
        }
    }

    pub(crate) fn end_all(&mut self, now: Instant, how: Leave) {
        for (_, mut conference) in std::mem::take(&mut self.rooms) {
            if how == Leave::Silently {
                self.engine.orphan(&conference);
            }
            match self.engine.turn(now) {
                Some(mut turn) => conference.end(&mut turn, how),
                // The link's time is over: HTTP requests are answered, nobody else can be.
                None => {
                    for requester in std::mem::take(&mut conference.waiting) {
                        if let Requester::Http { request, room, .. } = requester {
                            self.engine.reply_http(request, not_ready(&room));
                        }
                    }
                    conference.disarm(&mut self.engine.timers);
                }
            }
            self.forget(&mut conference);
        }
        self.over.clear();
    }
}

#[cfg(test)]
impl Focus {
    /// Makes the room's conference panic at its next input.
    pub(crate) fn spring_a_trap(&mut self, room: &BareJid) {
        if let Some(conference) = self.rooms.get_mut(room) {
            conference.spring_a_trap();
        }
    }
}

/// So many make a meeting; a room of fewer counts as that of the one who opened it.
const MEETING: usize = 2;
