//! Upstream's `muc_auth_ban` (xmpp-server §4.3): who comes with a token of certain tenants in; whether a service of the admin's, the
//! access manager, has shut it out, out. Off unless it is named.
//!
//! A login waits for the answer, and nobody else's does. compat: when there is none, or none that is understood, people come in
//! (test: compat_an_access_manager_that_does_not_say_no_lets_people_in).

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};
use budget::{Network, Shares};
use jitsi_xmpp::Sensitive;
use prosody_token::Claims;
use serde_json::Value;

use crate::config::AccessManager;
use crate::counters::Counter;
use crate::limits::access as limits;
use crate::module::Module;
use crate::output::{Answer, ConnId, Output, Question, QuestionId};
use crate::world::World;

pub(super) static MODULE: Module = Module { name: NAME, named: &[NAME], ..Module::NONE };

pub(crate) const NAME: &str = "muc_auth_ban";

/// What a login with a token has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Go on.
    Granted,
    /// Fail.
    Banned,
    /// Wait for this answer.
    Asked(QuestionId),
    /// Try again later: its address has asked too much.
    TooMany,
}

/// A token by what nobody can log in with.
type Mark = [u8; 32];

/// Who was shut out, oldest first.
#[derive(Default)]
struct Banned(VecDeque<(Mark, Instant)>);

/// Questions that are open.
struct Open {
    by_id: BTreeMap<QuestionId, Asked>,
    by_address: Shares<Network>,
}

struct Asked {
    conn: ConnId,
    peer: Option<Network>,
    mark: Mark,
}

impl Default for Open {
    fn default() -> Self {
        Self { by_id: BTreeMap::new(), by_address: Shares::fair(limits::PER_ADDRESS, limits::IN_ALL) }
    }
}

fn mark(token: &Sensitive<String>) -> Mark {
    let mut mark = Mark::default();
    mark.copy_from_slice(digest(&SHA256, token.reveal().as_bytes()).as_ref());
    mark
}

/// Somebody has logged in on this connection with a token that says this.
pub(crate) fn ask(world: &mut World, manager: &AccessManager, conn: ConnId, claims: &Claims) -> Access {
    let Some(query) = world.conns.get(&conn).map(|c| &c.query) else { return Access::Granted };
    let Some(token) = query.token.clone() else { return Access::Granted };
    let (mark, peer, now) = (mark(&token), query.peer, world.now);
    // The page's address is what a client says; the token's tenant is not.
    let of = |tenant: &Sensitive<String>| tenant.reveal().starts_with(&manager.tenants);
    let meant = manager.tenants.is_empty() || query.prefix.as_ref().is_some_and(of) || of(&claims.subject);
    let banned = &mut world.slots.entry::<Banned>().0;
    banned.retain(|(_, at)| now.saturating_duration_since(*at) < limits::BANNED);
    if banned.iter().any(|(known, _)| *known == mark) {
        return Access::Banned;
    }
    if !meant {
        return Access::Granted;
    }
    let open = world.slots.entry::<Open>();
    if peer.is_some_and(|peer| open.by_address.take(peer, 1).is_err()) {
        return Access::TooMany;
    }
    world.next_question += 1;
    let id = QuestionId(world.next_question);
    open.by_id.insert(id, Asked { conn, peer, mark });
    let question = Question {
        method: "GET",
        url: manager.url.clone(),
        headers: vec![("authorization", Sensitive::new(format!("Bearer {}", token.reveal())))],
        body: Sensitive::default(),
        deadline: limits::DEADLINE,
    };
    world.out.push_back(Output::Ask { id, question: Box::new(question) });
    Access::Asked(id)
}

/// The answer to a question of ours: whose login goes on, and whether it is shut out. `None`: it is another module's.
pub(crate) fn hear(world: &mut World, id: QuestionId, answer: &Answer) -> Option<(ConnId, bool)> {
    let open = world.slots.entry::<Open>();
    let Asked { conn, peer, mark } = open.by_id.remove(&id)?;
    if let Some(peer) = peer {
        open.by_address.give_back(&peer, 1);
    }
    let said = match answer {
        Answer::Response { status: 200, body } => serde_json::from_slice::<Value>(body.reveal()).ok(),
        _ => None,
    };
    let banned = said.as_ref().is_some_and(|said| said.get("access") == Some(&Value::Bool(false)));
    if said.is_none() {
        world.counters.add(Counter::AccessUnanswered);
    }
    if banned {
        let (now, all) = (world.now, &mut world.slots.entry::<Banned>().0);
        all.push_back((mark, now));
        if all.len() > limits::REMEMBERED {
            all.pop_front();
        }
    }
    Some((conn, banned))
}
