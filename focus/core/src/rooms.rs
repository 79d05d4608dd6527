//! All conferences: one handles an input and is settled; those that are over are ended and forgotten.

use std::time::Instant;

use jitsi_xmpp::BareJid;
use jitsi_xmpp::iq::Answer;

use crate::conference::{Conference, Leave, Phase};
use crate::request::Requester;
use crate::turn::Turn;
use crate::{Focus, HttpReply};

impl Focus {
    /// Lets a conference handle something, settles it, and forgets it when it is over.
    pub(crate) fn with_room<R>(
        &mut self,
        now: Instant,
        room: &BareJid,
        handle: impl FnOnce(&mut Conference, &mut Turn<'_>) -> R,
    ) -> Option<R> {
        let conference = self.rooms.get_mut(room)?;
        let mut turn = self.engine.turn(now)?;
        let result = handle(conference, &mut turn);
        conference.settle(&mut turn);
        Some(result)
    }

    /// What follows every input: requests that found no place, rooms that are over.
    pub(crate) fn after(&mut self, now: Instant) {
        for waiting in std::mem::take(&mut self.engine.refused) {
            self.answered(now, waiting, &Answer::Timeout);
        }
        self.end_deserted(now);
    }

    /// A main room is kept while one of its breakout rooms lives; ending one may so end the other.
    fn end_deserted(&mut self, now: Instant) {
        loop {
            self.rooms.retain(|_, c| c.phase != Phase::Ended);
            let mains: Vec<BareJid> = self.rooms.values().filter_map(|c| c.breakout_of.clone()).collect();
            let over = |c: &&Conference| c.deserted && c.members.is_empty() && !mains.contains(&c.room);
            let rooms: Vec<BareJid> = self.rooms.values().filter(over).map(|c| c.room.clone()).collect();
            if rooms.is_empty() {
                return;
            }
            for room in rooms {
                self.with_room(now, &room, |c, turn| c.end(turn, Leave::Politely));
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
                        if let Requester::Http { request, room } = requester {
                            self.engine.reply_http(request, HttpReply::not_ready(&room));
                        }
                    }
                }
            }
        }
    }
}
