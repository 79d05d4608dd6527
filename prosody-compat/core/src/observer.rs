//! For black-box suites only (feature `test-observer`): a request over HTTP in; what is known of rooms and sessions, or a switch
//! that is set, out. Paths and shapes are those that upstream's suite reads.
//!
//! It tells everything and changes everything: it is in no program that is shipped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use jitsi_xmpp::{BareJid, Sensitive};
use prosody_token::{Claims, Features, User};
use serde_json::{Map, Value, json};

use crate::hosts::Hosts;
use crate::identity::Identity;
use crate::module::Module;
use crate::modules::test_observer::Seen;
use crate::modules::{HIDES_ALL, observed_devices, observed_lobby, observed_metadata, observed_translations};
use crate::muc;
use crate::policy::Policy;
use crate::room::Room;
use crate::room::rank::Affiliation;
use crate::server::Server;
use crate::session::{Session, SessionId};

/// A request below `/test-observer`.
#[derive(Debug, Clone, Default)]
pub struct Observe {
    /// `GET`
    pub method: String,
    /// `/rooms`
    pub path: String,
    /// What is asked for, decoded.
    pub query: BTreeMap<String, String>,
    /// JSON, or a key.
    pub body: String,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// HTTP's.
    pub status: u16,
    /// `application/json`
    pub kind: &'static str,
    /// May be empty.
    pub body: String,
}

/// What a suite has left here for the server to ask for, or to find again.
#[derive(Default)]
struct Left {
    /// The answer of the access manager that the suite plays: status, body and its kind.
    access: Option<Observed>,
    allowed: Option<bool>,
    /// Public keys by path.
    keys: BTreeMap<String, String>,
    traces: Vec<Value>,
}

impl Observed {
    fn json(value: &Value) -> Self {
        Self { status: 200, kind: JSON, body: value.to_string() }
    }

    fn done() -> Self {
        Self::json(&json!({ "ok": true }))
    }

    fn empty(status: u16) -> Self {
        Self { status, kind: JSON, body: String::new() }
    }

    fn refused(status: u16, why: &str) -> Self {
        Self { status, kind: JSON, body: json!({ "error": why }).to_string() }
    }
}

impl Server {
    /// Somebody who tests this server wants to know, or to change, something.
    pub fn handle_observe(&mut self, now: Instant, request: &Observe) -> Observed {
        self.world.now = now;
        let answer = self.observe(request).unwrap_or_else(|refused| refused);
        self.settle();
        answer
    }

    fn observe(&mut self, request: &Observe) -> Result<Observed, Observed> {
        let seen: &Seen = self.world.slots.entry();
        let list = |list: &std::cell::RefCell<Vec<Value>>| {
            let mut list = list.borrow_mut();
            if request.method == "DELETE" {
                list.clear();
                return Observed::empty(204);
            }
            Observed::json(&Value::Array(list.clone()))
        };
        Ok(match (request.method.as_str(), request.path.as_str()) {
            ("GET" | "DELETE", "/events") => list(&seen.events),
            ("GET" | "DELETE", "/jibri-iqs") => list(&seen.jibri),
            ("GET" | "DELETE", "/dial-iqs") => list(&seen.dial),
            ("GET", path) if path.starts_with("/rooms") => return self.show_room(request),
            ("GET", path) if path.starts_with("/session") => return self.show_session(request),
            ("POST", path) if path.starts_with("/rooms/") => return self.change_room(request),
            ("POST", "/sessions/context") => return self.change_session(request),
            ("POST", "/modules") => return self.change_modules(&body(request)?),
            ("POST", "/shell") => return self.shell(&request.body),
            ("POST", "/policy") => return self.change_policy(&body(request)?),
            _ => return self.left(request),
        })
    }

    fn show_room(&self, request: &Observe) -> Result<Observed, Observed> {
        let jid = asked(request)?;
        let room = self.room(jid)?;
        Ok(Observed::json(&match request.path.as_str() {
            "/rooms" => {
                let hides = |m: &&Module| m.named.contains(&HIDES_ALL);
                let hidden = self.hosts.rooms(room.host).is_some_and(|def| def.modules.iter().any(hides));
                json!({ "jid": jid, "hidden": hidden, "occupant_count": room.occupants().count() })
            }
            "/rooms/metadata" => json!({ "jid": jid, "metadata": observed_metadata(room) }),
            "/rooms/audio-translation-requests" => {
                let mut answer = json!({ "jid": jid });
                if let (Some(requests), Some(answer)) = (observed_translations(room), answer.as_object_mut())
                {
                    answer.insert("audioTranslationRequests".to_owned(), requests);
                }
                answer
            }
            "/rooms/participants" => observed_devices(room, &self.world),
            _ => return Err(Observed::empty(404)),
        }))
    }

    fn change_room(&mut self, request: &Observe) -> Result<Observed, Observed> {
        let body = body(request)?;
        let jid = text(&body, "jid")?.to_owned();
        self.room(&jid)?;
        let address: BareJid = jid.parse().map_err(|_| Observed::empty(404))?;
        let mut muc = self.muc();
        let Some(mut t) = muc.turn(&address) else { return Err(Observed::empty(404)) };
        match request.path.as_str() {
            "/rooms/hide-display-name" => {
                Arc::make_mut(&mut t.room.policy).hide_names = flag(&body, "hidden")?;
            }
            "/rooms/max-occupants" => {
                let most = body.get("max_occupants").and_then(Value::as_u64);
                let most = most.ok_or_else(|| Observed::refused(400, "missing jid or max_occupants"))?;
                Arc::make_mut(&mut t.room.policy).max_participants = usize::try_from(most).ok();
            }
            "/rooms/breakout-rooms-active" => {
                t.world.breakouts.pretend(&address, flag(&body, "active")?);
            }
            "/rooms/lobby" => {
                let lobby = observed_lobby(t.room, t.world, flag(&body, "enabled")?);
                return Ok(Observed::json(&match lobby {
                    Some(lobby) => json!({ "ok": true, "lobbyroom": lobby.as_str() }),
                    None => json!({ "ok": true }),
                }));
            }
            "/rooms/affiliation" => {
                let account = text(&body, "occupant_jid")?.parse();
                let account = account.map_err(|_| Observed::refused(400, "no address"))?;
                let affiliation = Affiliation::parse(text(&body, "affiliation")?);
                let affiliation = affiliation.ok_or_else(|| Observed::refused(400, "no affiliation"))?;
                muc::give(&mut t, &account, affiliation)
                    .map_err(|_| Observed::refused(500, "too many affiliations"))?;
            }
            _ => return Err(Observed::empty(404)),
        }
        Ok(Observed::done())
    }

    fn show_session(&self, request: &Observe) -> Result<Observed, Observed> {
        let (_, session) = self.session(asked(request)?)?;
        let granted = session.granted.as_ref().or_else(|| session.identity.features());
        Ok(Observed::json(&match request.path.as_str() {
            "/sessions/features" => json!({ "features": granted }),
            "/session-info" => self.told_of(session),
            _ => return Err(Observed::empty(404)),
        }))
    }

    /// What upstream keeps of its URL and its token.
    fn told_of(&self, session: &Session) -> Value {
        let query = session.conn.and_then(|c| self.world.conns.get(&c)).map(|c| &c.query);
        let secret = |s: &Option<Sensitive<String>>| s.as_ref().map(|s| s.reveal().clone());
        let identity = &session.identity;
        let claims = identity.token.as_deref();
        let asked = identity.room.is_some()
            || query.is_some_and(|q| q.token.is_some() || q.previd.is_some() || q.custom_username.is_some());
        let all = [
            ("previd", query.and_then(|q| secret(&q.previd)).map(Value::from)),
            ("customusername", query.and_then(|q| secret(&q.custom_username)).map(Value::from)),
            ("jitsi_web_query_room", secret(&identity.room).map(Value::from)),
            // With a query, upstream keeps an empty one.
            (
                "jitsi_web_query_prefix",
                secret(&identity.tenant).or_else(|| asked.then(String::new)).map(Value::from),
            ),
            ("auth_token", query.and_then(|q| secret(&q.token)).map(Value::from)),
            ("user_region", identity.region.clone().map(Value::from)),
            ("jitsi_meet_room", claims.and_then(|c| secret(&c.room)).map(Value::from)),
            ("jitsi_meet_context_user", claims.and_then(|c| c.user.as_ref()).map(User::to_json)),
            ("jitsi_meet_context_group", claims.and_then(|c| secret(&c.group)).map(Value::from)),
            ("jitsi_meet_context_features", claims.and_then(|c| c.features.as_ref()).map(|f| json!(f))),
        ];
        Value::Object(all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
    }

    /// As if its token had said so.
    fn change_session(&mut self, request: &Observe) -> Result<Observed, Observed> {
        let body = body(request)?;
        let (id, session) = self.session(text(&body, "jid")?)?;
        let says = |v: &Value| v.as_bool() == Some(true) || v.as_str() == Some("true");
        let features = body.get("features").and_then(Value::as_object).cloned().unwrap_or_default();
        let features: Features = features.into_iter().map(|(name, v)| (name, says(&v))).collect();
        let before = &session.identity;
        // Of a session without a token nothing but this is known: it comes into every room, as it did before.
        let mut claims = before.token.as_deref().cloned().unwrap_or_else(|| Claims {
            room: Some(Sensitive::new("*".to_owned())),
            subject: Sensitive::new("*".to_owned()),
            issuer: None,
            tenant: None,
            user: None,
            group: None,
            features: None,
            room_context: Default::default(),
        });
        if let Some(user) = body.get("user_id").and_then(Value::as_str) {
            claims.user = Some(User::with_id(user));
        }
        claims.features = Some(features);
        let identity = Identity {
            host: before.host,
            anonymous: before.anonymous,
            admin: before.admin,
            unseen: before.unseen,
            room: before.room.clone(),
            tenant: before.tenant.clone(),
            region: before.region.clone(),
            peer: before.peer,
            token: Some(Arc::new(claims)),
            moderates: before.moderates,
            secret: before.secret.clone(),
        };
        if let Some(session) = self.world.sessions.get_mut(id) {
            session.identity = Arc::new(identity);
        }
        Ok(Observed::done())
    }

    /// `module:load`, `module:unload` and `module:reload` of upstream's shell.
    fn change_modules(&mut self, body: &Map<String, Value>) -> Result<Observed, Observed> {
        let (host, module, action) = (text(body, "host")?, text(body, "module")?, text(body, "action")?);
        let before = self.world.config.hosts.clone();
        let table = &mut self.world.config.hosts;
        let users = table.users.iter_mut().map(|h| (&h.domain, &mut h.modules));
        let rooms = table.rooms.iter_mut().map(|h| (&h.domain, &mut h.modules));
        let Some((_, modules)) = users.chain(rooms).find(|(domain, _)| *domain == host) else {
            return Err(Observed::refused(404, "no such host"));
        };
        let there = modules.iter().any(|m| m == module);
        match (action, there) {
            ("load", false) => modules.push(module.to_owned()),
            ("unload", true) => modules.retain(|m| m != module),
            // What it has been told is not kept anywhere else.
            ("reload", true) => return Ok(Observed::done()),
            _ => return Err(Observed::refused(409, "the module is loaded, or is not")),
        }
        if let Err(error) = self.world.config.hosts.check() {
            self.world.config.hosts = before;
            return Err(Observed::refused(400, &error.to_string()));
        }
        self.hosts = Arc::new(Hosts::new(&self.world.config));
        self.world.hosts = Arc::clone(&self.hosts);
        Ok(Observed::done())
    }

    /// What a suite types into upstream's shell, a command a line: `module:load("muc_hide_all", "conference.localhost")`. What
    /// comes back is for people.
    fn shell(&mut self, typed: &str) -> Result<Observed, Observed> {
        let mut said = String::new();
        for line in typed.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let wrong =
                || Observed::refused(400, "only module:load, unload and reload with a module and a host");
            let command = line.strip_prefix("module:").and_then(|c| c.strip_suffix(')')).ok_or_else(wrong)?;
            let (action, given) = command.split_once('(').ok_or_else(wrong)?;
            let quoted = |t: &str| t.trim().strip_prefix('"')?.strip_suffix('"').map(str::to_owned);
            let (module, host) = given.split_once(',').ok_or_else(wrong)?;
            let (Some(module), Some(host)) = (quoted(module), quoted(host)) else { return Err(wrong()) };
            let asked = [("host", host.as_str()), ("module", module.as_str()), ("action", action)];
            let asked = asked.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value)));
            self.change_modules(&asked.collect())?;
            said.push_str(&format!("OK: {action} {module} on {host}\n"));
        }
        Ok(Observed { status: 200, kind: "text/plain", body: said })
    }

    /// What a suite changes in upstream's configuration before it has that read again; also for rooms that are there.
    fn change_policy(&mut self, body: &Map<String, Value>) -> Result<Observed, Observed> {
        let host = text(body, "host")?;
        let strict = flag(body, "strict_nicks")?;
        let change = |policy: &mut Policy| policy.strict_nicks = strict;
        let Some(row) = self.world.config.hosts.rooms.iter_mut().find(|r| r.domain == host) else {
            return Err(Observed::refused(404, "no such host"));
        };
        change(&mut row.policy);
        self.hosts = Arc::new(Hosts::new(&self.world.config));
        self.world.hosts = Arc::clone(&self.hosts);
        let there: Vec<BareJid> =
            self.rooms.iter().filter(|r| r.jid.domain() == host).map(|r| r.jid.clone()).collect();
        for room in there {
            if let Some(room) = self.rooms.get_mut(&room) {
                change(Arc::make_mut(&mut room.policy));
            }
        }
        Ok(Observed::done())
    }

    /// What the suite plays for the server: an access manager, key servers, a collector of traces.
    fn left(&mut self, request: &Observe) -> Result<Observed, Observed> {
        let left = self.world.slots.entry::<Left>();
        Ok(match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/access-manager") => match &left.access {
                Some(answer) => answer.clone(),
                None => Observed::json(&json!({ "access": left.allowed.unwrap_or(true) })),
            },
            ("POST", "/access-manager") => {
                let body = body(request)?;
                if let Some(access) = body.get("access").and_then(Value::as_bool) {
                    left.allowed = Some(access);
                }
                let status = body.get("status").and_then(Value::as_u64).and_then(|s| u16::try_from(s).ok());
                left.access = match (status, body.get("non_json")) {
                    (Some(status), _) if status != 200 => Some(Observed::empty(status)),
                    (_, Some(Value::Bool(true))) => {
                        Some(Observed { status: 200, kind: "text/plain", body: "not-valid-json".to_owned() })
                    }
                    _ => None,
                };
                Observed::empty(204)
            }
            ("GET", "/otlp-traces") => Observed::json(&Value::Array(left.traces.clone())),
            ("DELETE", "/otlp-traces") => {
                left.traces.clear();
                Observed::empty(204)
            }
            ("POST", "/otlp-traces") => {
                if left.traces.len() < MOST {
                    left.traces.push(Value::Object(body(request)?));
                }
                Observed::json(&json!({}))
            }
            ("PUT", path) if is_key(path) && left.keys.len() < MOST => {
                left.keys.insert(path.to_owned(), request.body.clone());
                Observed::empty(204)
            }
            ("GET", path) if is_key(path) => match left.keys.get(path) {
                Some(key) => Observed { status: 200, kind: "application/x-pem-file", body: key.clone() },
                None => return Err(Observed::empty(404)),
            },
            _ => return Err(Observed::empty(404)),
        })
    }

    fn room(&self, jid: &str) -> Result<&Room, Observed> {
        let found = jid.parse::<BareJid>().ok().and_then(|jid| self.rooms.get(&jid));
        found.ok_or_else(|| Observed::refused(404, "room not found"))
    }

    fn session(&self, jid: &str) -> Result<(SessionId, &Session), Observed> {
        let id = self.world.sessions.by_jid(jid);
        let found = id.and_then(|id| Some((id, self.world.sessions.get(id)?)));
        found.ok_or_else(|| Observed::refused(404, "session not found"))
    }
}

fn is_key(path: &str) -> bool {
    ["/asap-keys/", "/system-asap-keys/"].iter().any(|folder| path.starts_with(folder))
}

fn asked(request: &Observe) -> Result<&str, Observed> {
    request.query.get("jid").map(String::as_str).ok_or_else(|| Observed::refused(400, "missing jid param"))
}

fn body(request: &Observe) -> Result<Map<String, Value>, Observed> {
    serde_json::from_str(&request.body).map_err(|_| Observed::refused(400, "no JSON object"))
}

fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<&'a str, Observed> {
    let value = body.get(name).and_then(Value::as_str);
    value.ok_or_else(|| Observed::refused(400, &format!("missing {name}")))
}

fn flag(body: &Map<String, Value>, name: &str) -> Result<bool, Observed> {
    let value = body.get(name).and_then(Value::as_bool);
    value.ok_or_else(|| Observed::refused(400, &format!("missing {name}")))
}

const JSON: &str = "application/json";

/// What a suite leaves of each kind. Reason: it leaves two keys and a few traces.
const MOST: usize = 1_000;
