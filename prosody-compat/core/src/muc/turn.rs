//! What the engine works with: everything, or one room of it.

use jitsi_xmpp::BareJid;

use super::audience;
use crate::hosts::Hosts;
use crate::identity::HostId;
use crate::module::Module;
use crate::room::Room;
use crate::room::beside::Kind;
use crate::rooms::Rooms;
use crate::timers::Timer;
use crate::world::{Sender, World};

/// All rooms and all else, while one input is handled.
pub(crate) struct Muc<'a> {
    pub(crate) hosts: &'a Hosts,
    pub(crate) rooms: &'a mut Rooms,
    pub(crate) world: &'a mut World,
}

/// One room with its modules, and all else but rooms.
pub(crate) struct Turn<'a> {
    /// In the order in which they are asked.
    pub(crate) modules: &'a [&'static Module],
    pub(crate) room: &'a mut Room,
    pub(crate) world: &'a mut World,
}

impl Muc<'_> {
    /// The room, if it exists.
    pub(crate) fn turn(&mut self, jid: &BareJid) -> Option<Turn<'_>> {
        let room = self.rooms.get_mut(jid)?;
        let modules = &self.hosts.rooms(room.host)?.modules;
        Some(Turn { modules, room, world: self.world })
    }

    /// An empty room in place of one that is not there. Where rooms tell strangers nothing, these are answered the same about
    /// a room that is not there as about one that is, or they would learn of it. `None`: the asker may know.
    pub(super) fn pretended(&self, sender: &Sender, host: HostId, jid: &BareJid) -> Option<Room> {
        let def = self.hosts.rooms(host)?;
        let hidden = !sender.identity.admin && def.modules.iter().any(|m| m.look.is_some());
        let config = &self.world.config;
        hidden.then(|| Room::new(config, jid.clone(), host, def.policy_of(config, jid).clone()))
    }

    /// A room that is not one of ours.
    pub(super) fn turn_of<'a>(&'a mut self, room: &'a mut Room) -> Option<Turn<'a>> {
        Some(Turn { modules: &self.hosts.rooms(room.host)?.modules, room, world: self.world })
    }

    /// A room ends with its last occupant, unless others wait to come in.
    pub(crate) fn sweep(&mut self, jid: &BareJid) {
        let Some(room) = self.rooms.get(jid).filter(|r| r.len() == 0 && r.held.is_empty()) else { return };
        match &room.kind {
            // It waits for people who are in parts of it, or before its door.
            Kind::Meeting if self.world.breakouts.of(jid).is_some() || self.is_waited_for(room) => {}
            Kind::Meeting | Kind::AudienceOf(_) | Kind::BreakoutOf { .. } => {
                self.take(jid);
            }
            // It ends with its meeting, which may have waited for those who were in.
            Kind::LobbyOf(meeting) => {
                let meeting = meeting.clone();
                self.sweep(&meeting);
            }
        }
    }

    fn is_waited_for(&self, meeting: &Room) -> bool {
        let lobby = meeting.lobby.as_ref().filter(|lobby| lobby.keeps);
        lobby.and_then(|lobby| self.rooms.get(&lobby.jid)).is_some_and(|room| room.len() > 0)
    }

    /// Tells the modules of a room that it is there now.
    pub(crate) fn created(&mut self, jid: &BareJid) {
        let Some(t) = self.turn(jid) else { return };
        for m in t.modules {
            if let Some(created) = m.created {
                created(t.room, t.world);
            }
        }
    }

    /// Takes a room out, and tells its modules.
    pub(super) fn take(&mut self, jid: &BareJid) -> Option<Room> {
        let room = self.rooms.take(self.world, jid)?;
        audience::over(self.rooms, self.world, &room);
        for m in self.hosts.rooms(room.host).iter().flat_map(|def| def.modules.iter()) {
            if let Some(destroyed) = m.destroyed {
                destroyed(&room, self.world);
            }
            if m.timer.is_some() {
                self.world.timers.cancel(Timer::Room(jid.clone(), m.name));
            }
        }
        Some(room)
    }
}
