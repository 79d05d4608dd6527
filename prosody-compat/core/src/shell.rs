//! What an admin types into `prosodyctl shell` in, read already; done or looked up, and what is said of it, out. Only for who may
//! change everything here: answers name rooms and people.
//!
//! Words and columns are upstream's where scripts read them; the last line says how many there are.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Instant;

use jitsi_xmpp::{BareJid, Element, Jid, Sensitive};

use crate::connection::Framing;
use crate::hosts::{HostDef, Serves};
use crate::module::Module;
use crate::muc;
use crate::output::ConnId;
use crate::room::Room;
use crate::room::rank::Affiliation;
use crate::server::Server;
use crate::session::{Session, SessionId};
use crate::stream::error::StreamError;
use crate::table::Table;
use crate::tenants;

/// A question, or a wish. Rooms and people are named in it, which never shows.
#[derive(Clone, PartialEq, Eq)]
pub enum Asked {
    /// `muc:list`: the rooms of a host.
    Rooms(String),
    /// `muc:room`: what a room is like.
    Room(String),
    /// `muc:occupants`: who is in it.
    Occupants(String),
    /// `muc:affiliations`, and of whom alone.
    Affiliations(String, Option<String>),
    /// `muc:room(…):set_affiliation`: a room, an account, and what it shall be there.
    Affiliate(String, String, String),
    /// `muc:create`.
    Create(String),
    /// `muc:room(…):destroy`.
    Destroy(String),
    /// `c2s:show`: sessions with this in their address.
    Sessions(Option<String>),
    /// `c2s:count`.
    Count,
    /// `c2s:close`: those of an account, or one.
    Close(String),
    /// `c2s:closeall`: all of a host, or all.
    CloseAll(Option<String>),
    /// `host:list`.
    Hosts,
    /// `module:list`: of one host, or of all.
    Modules(Option<String>),
    /// `module:load` and the like, on a host.
    Change(ModuleChange, String, String),
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rooms(_) => "Rooms",
            Self::Room(_) => "Room",
            Self::Occupants(_) => "Occupants",
            Self::Affiliations(..) => "Affiliations",
            Self::Affiliate(..) => "Affiliate",
            Self::Create(_) => "Create",
            Self::Destroy(_) => "Destroy",
            Self::Sessions(_) => "Sessions",
            Self::Count => "Count",
            Self::Close(_) => "Close",
            Self::CloseAll(_) => "CloseAll",
            Self::Hosts => "Hosts",
            Self::Modules(_) => "Modules",
            Self::Change(..) => "Change",
        })
    }
}

/// What is done to a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModuleChange {
    /// It is named on a host from now on.
    Load,
    /// It is not.
    Unload,
    /// It begins anew.
    Reload,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Whether it was done.
    pub done: bool,
    /// Lines, the last of which says what was done or why not.
    pub text: Sensitive<String>,
}

/// What is said, or why nothing was done.
type Outcome = Result<Vec<String>, String>;

impl Server {
    /// An admin asks, or wants something done. What is changed holds until the next restart.
    pub fn handle_shell(&mut self, now: Instant, asked: &Asked) -> Said {
        self.world.now = now;
        let outcome = self.do_as_asked(asked);
        self.settle();
        match outcome {
            Ok(lines) => Said { done: true, text: Sensitive::new(lines.join("\n")) },
            Err(why) => Said { done: false, text: Sensitive::new(why) },
        }
    }

    fn do_as_asked(&mut self, asked: &Asked) -> Outcome {
        match asked {
            Asked::Rooms(host) => self.list_rooms(host),
            Asked::Room(room) => self.found(room).map(|room| self.describe(room)),
            Asked::Occupants(room) => Ok(occupants(self.found(room)?)),
            Asked::Affiliations(room, whose) => self.affiliations(room, whose.as_deref()),
            Asked::Affiliate(room, account, affiliation) => self.affiliate(room, account, affiliation),
            Asked::Create(room) => self.create(room),
            Asked::Destroy(room) => {
                let room = self.found(room)?.jid.clone();
                muc::leave::destroy(&mut self.muc(), &room, Element::inherit("destroy"));
                Ok(vec!["OK: the room is gone".to_owned()])
            }
            Asked::Sessions(part) => Ok(self.list_sessions(part.as_deref())),
            Asked::Count => {
                let total = self.world.sessions.len();
                let waiting = self.world.sessions.hibernating();
                Ok(vec![format!("OK: Total: {total} sessions, {waiting} of them wait to be resumed")])
            }
            Asked::Close(address) => {
                let jid: Jid = address.parse().map_err(|_| no_address(address))?;
                self.close(|s| match jid.resource() {
                    Some(_) => *s.jid.as_jid() == jid,
                    None => s.bare.as_str() == jid.as_str(),
                })
            }
            Asked::CloseAll(host) => {
                self.close(|s| host.as_deref().is_none_or(|host| s.bare.domain() == host))
            }
            Asked::Hosts => Ok(self.list_hosts()),
            Asked::Modules(host) => self.list_modules(host.as_deref()),
            Asked::Change(change, module, host) => self.change_module(*change, module, host),
        }
    }

    /// The room of this address, as clients or as the server writes it.
    fn found(&self, address: &str) -> Result<&Room, String> {
        let jid = self.room_address(address)?;
        self.rooms.get(&jid).ok_or_else(|| format!("No such room: {address}"))
    }

    fn room_address(&self, address: &str) -> Result<BareJid, String> {
        let jid: Jid = address.parse().map_err(|_| no_address(address))?;
        if jid.node().is_none() || jid.resource().is_some() {
            return Err(no_address(address));
        }
        let stored = tenants::stored(&self.world.config, jid.clone()).unwrap_or(jid);
        Ok(stored.to_bare())
    }

    fn list_rooms(&self, host: &str) -> Outcome {
        let id = self.hosts.of(&self.world.config, host).filter(|id| self.hosts.rooms(*id).is_some());
        let id = id.ok_or_else(|| format!("No rooms are on this host: {host}"))?;
        let mut lines: Vec<String> = self
            .rooms
            .iter()
            .filter(|room| self.hosts.is_same(room.host, id))
            .map(|room| room.shown().to_owned())
            .collect();
        lines.sort_unstable();
        lines.push(count(lines.len(), "room"));
        Ok(lines)
    }

    fn describe(&self, room: &Room) -> Vec<String> {
        let on = |on: bool| if on { "yes" } else { "no" };
        let lobby = room.lobby.as_ref().map_or("none", |lobby| lobby.jid.as_str());
        vec![
            room.shown().to_owned(),
            format!("occupants: {}", room.len()),
            format!("members only: {}", on(room.config.members_only)),
            format!("password: {}", on(room.config.password.is_some())),
            format!("lobby: {lobby}"),
            "OK".to_owned(),
        ]
    }

    fn affiliations(&self, room: &str, whose: Option<&str>) -> Outcome {
        let room = self.found(room)?;
        if let Some(account) = whose {
            let account: BareJid = account.parse().map_err(|_| no_address(account))?;
            return Ok(vec![format!("OK: {}", room.affiliation(&self.world.config, &account).as_str())]);
        }
        let mut lines = Vec::new();
        for affiliation in [Affiliation::Owner, Affiliation::Admin, Affiliation::Member, Affiliation::Outcast]
        {
            let mut accounts = room.affiliations().with(affiliation);
            accounts.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
            lines.extend(accounts.iter().map(|a| format!("{} {}", affiliation.as_str(), a.as_str())));
        }
        lines.push(count(lines.len(), "affiliation"));
        Ok(lines)
    }

    fn affiliate(&mut self, room: &str, account: &str, affiliation: &str) -> Outcome {
        let jid = self.found(room)?.jid.clone();
        let account: BareJid = account.parse().map_err(|_| no_address(account))?;
        let affiliation = Affiliation::parse(affiliation).ok_or_else(|| {
            "There is no such affiliation; there are owner, admin, member, none, outcast".to_owned()
        })?;
        if self.world.is_admin(&account) && affiliation != Affiliation::Owner {
            return Err("Accounts of services own every room".to_owned());
        }
        let mut muc = self.muc();
        let mut t = muc.turn(&jid).ok_or_else(|| format!("No such room: {room}"))?;
        muc::give(&mut t, &account, affiliation)
            .map_err(|_| "The room keeps no more affiliations".to_owned())?;
        muc.sweep(&jid);
        Ok(vec!["OK: Affiliation updated".to_owned()])
    }

    /// A room without anybody, which ends when somebody has come and gone.
    fn create(&mut self, address: &str) -> Outcome {
        let jid = self.room_address(address)?;
        if self.rooms.get(&jid).is_some() {
            return Err("The room exists already".to_owned());
        }
        let config = &self.world.config;
        let host = self.hosts.of(config, jid.domain()).filter(|id| self.hosts.is_current(*id));
        let def = host.and_then(|id| Some((id, self.hosts.rooms(id)?)));
        let (host, def) = def.ok_or_else(|| format!("No rooms are on this host: {}", jid.domain()))?;
        if def.is_lobby || def.is_breakouts || def.watches.is_some() {
            return Err("Such rooms come with their meeting".to_owned());
        }
        if self.world.rooms >= config.limits.max_rooms {
            return Err("There are as many rooms as there may be".to_owned());
        }
        let policy = def.policy_of(config, &jid).clone();
        let room = Room::new(config, jid.clone(), host, policy);
        let mut muc = self.muc();
        muc.rooms.insert(muc.world, room);
        muc.created(&jid);
        Ok(vec!["OK: the room is there".to_owned()])
    }

    fn list_sessions(&self, part: Option<&str>) -> Vec<String> {
        let wanted = |s: &&Session| part.is_none_or(|part| s.jid.as_str().contains(part));
        let mut lines: Vec<String> =
            self.world.sessions.iter().map(|(_, s)| s).filter(wanted).map(|s| self.session_line(s)).collect();
        lines.sort_unstable();
        lines.push(count(lines.len(), "session"));
        lines
    }

    fn session_line(&self, s: &Session) -> String {
        let conn = s.conn.and_then(|conn| self.world.conns.get(&conn));
        let role = match (s.identity.admin, s.identity.anonymous) {
            (true, _) => "admin",
            (false, true) => "guest",
            (false, false) => "member",
        };
        let (way, secure) = match conn {
            None => ("waits to be resumed", ""),
            Some(c) => {
                let way = match c.framing {
                    Framing::WebSocket => "websocket",
                    Framing::Bosh => "bosh",
                    Framing::Tcp => "tcp",
                    Framing::InProcess => "in this process",
                };
                (way, if c.encrypted { " secure" } else { " insecure" })
            }
        };
        let smacks = if s.sm.is_some() { " smacks" } else { "" };
        format!("{} {role} {way}{secure}{smacks}", s.jid.as_str())
    }

    /// Ends sessions for good. A role of this process stays: it would be there again at once.
    fn close(&mut self, whose: impl Fn(&Session) -> bool) -> Outcome {
        let those: Vec<(SessionId, Option<ConnId>)> =
            self.world.sessions.iter().filter(|(_, s)| whose(s)).map(|(id, s)| (id, s.conn)).collect();
        let mut closed = 0_usize;
        for (id, conn) in those {
            let inside =
                |c: ConnId| self.world.conns.get(&c).is_some_and(|c| c.framing == Framing::InProcess);
            match conn {
                Some(conn) if inside(conn) => continue,
                Some(conn) => self.fail(conn, StreamError::ClosedByAdmin),
                None => self.end_session(id),
            }
            closed += 1;
        }
        Ok(vec![format!("OK: Total: {closed} sessions closed")])
    }

    fn list_hosts(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.hosts.current().map(|(_, def)| host_line(def)).collect();
        lines.sort_unstable();
        lines.push(count(lines.len(), "host"));
        lines
    }

    fn list_modules(&self, host: Option<&str>) -> Outcome {
        let mut lines = Vec::new();
        for (_, def) in self.hosts.current().filter(|(_, def)| host.is_none_or(|host| def.domain == host)) {
            lines.push(format!("{}:", def.domain));
            let names: BTreeSet<&str> = match &def.serves {
                Serves::Users(users) => named(&self.world.config.hosts, &def.domain, &users.modules),
                Serves::Rooms(rooms) => named(&self.world.config.hosts, &def.domain, &rooms.modules),
                Serves::Component(c) => c.module.named.first().copied().into_iter().collect(),
            };
            lines.extend(names.iter().map(|name| format!("    {name}")));
        }
        match (lines.is_empty(), host) {
            (true, Some(host)) => Err(format!("No such host: {host}")),
            _ => {
                lines.push("OK".to_owned());
                Ok(lines)
            }
        }
    }

    fn change_module(&mut self, change: ModuleChange, module: &str, host: &str) -> Outcome {
        let mut config = self.world.config.clone();
        let table = &mut config.hosts;
        let users = table.users.iter_mut().map(|h| (&h.domain, &mut h.modules));
        let rooms = table.rooms.iter_mut().map(|h| (&h.domain, &mut h.modules));
        let Some((_, modules)) = users.chain(rooms).find(|(domain, _)| *domain == host) else {
            return Err(format!("No modules are named on this host: {host}"));
        };
        let there = modules.iter().any(|m| m == module);
        let done = match (change, there) {
            (ModuleChange::Load, true) => return Err(format!("The module is loaded already: {module}")),
            (ModuleChange::Load, false) => {
                modules.push(module.to_owned());
                "loaded"
            }
            (ModuleChange::Unload | ModuleChange::Reload, false) => {
                return Err(format!("The module is not loaded: {module}"));
            }
            (ModuleChange::Unload, true) => {
                modules.retain(|m| m != module);
                "unloaded"
            }
            (ModuleChange::Reload, true) => "reloaded",
        };
        config.hosts.check().map_err(|e| e.to_string())?;
        self.serve(config);
        Ok(vec![format!("OK: {module} is {done} on {host}, for rooms and logins from now on")])
    }
}

fn host_line(def: &HostDef) -> String {
    match &def.serves {
        Serves::Users(_) => def.domain.clone(),
        Serves::Rooms(_) => format!("{} (muc)", def.domain),
        Serves::Component(c) => {
            format!("{} ({})", def.domain, c.module.named.first().copied().unwrap_or_default())
        }
    }
}

/// What a host names, and what comes with what it has.
fn named<'a>(table: &'a Table, domain: &str, modules: &[&'static Module]) -> BTreeSet<&'a str> {
    let users = table.users.iter().map(|h| (&h.domain, &h.modules));
    let rooms = table.rooms.iter().map(|h| (&h.domain, &h.modules));
    let own = users.chain(rooms).filter(|(d, _)| *d == domain).flat_map(|(_, modules)| modules);
    let come = modules.iter().filter(|m| m.component.is_none()).filter_map(|m| m.named.first().copied());
    own.map(String::as_str).chain(come).collect()
}

fn occupants(room: &Room) -> Vec<String> {
    let mut lines: Vec<String> =
        room.occupants().map(|o| format!("{} {}", room.occupant_jid(&o.nick), o.role.as_str())).collect();
    lines.push(count(lines.len(), "occupant"));
    lines
}

fn count(n: usize, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("OK: {n} {what}{s}")
}

fn no_address(text: &str) -> String {
    format!("This is no address of that kind: {text}")
}
