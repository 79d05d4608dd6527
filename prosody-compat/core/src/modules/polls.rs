//! Upstream's `polls_component` (xmpp-server §4.25, client §8.10): questions and votes of occupants in; the same, with
//! who it was, to everybody out, and all of it to whoever comes later.
//!
//! Who asks and who votes is who the session is, whatever the message says; an account has one vote.

use std::collections::BTreeMap;

use jitsi_xmpp::{BareJid, Condition, ErrorType, StanzaError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{metadata, push};
use crate::kept::Share;
use crate::module::{Command, Component, Module};
use crate::outbox::Outgoing;
use crate::room::Room;
use crate::world::{Sender, World};

pub(super) static MODULE: Module = Module {
    name: NAME,
    named: &["polls_component", "polls"],
    component: Some(Component { identity: Some("polls"), in_breakouts: true }),
    command: Some(command),
    joined: Some(joined),
    ..Module::NONE
};

const NAME: &str = "polls";

/// A command, read strictly: a key that comes twice is refused.
#[derive(Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
enum Said {
    #[serde(rename_all = "camelCase")]
    NewPoll { r#type: Kind, poll_id: String, question: String, answers: Vec<Choice> },
    #[serde(rename_all = "camelCase")]
    AnswerPoll { r#type: Kind, poll_id: String, answers: Vec<bool> },
}

/// The one `type` that is meant for us.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Polls,
}

#[derive(Deserialize)]
struct Choice {
    name: String,
}

/// Somebody as clients show it.
#[derive(Clone)]
struct Person {
    nick: String,
    name: Option<String>,
}

struct Vote {
    by: Person,
    answers: Vec<bool>,
    /// What it counts for the address of who gave it. Held, not looked at.
    _share: Share,
}

struct Poll {
    id: String,
    by: Person,
    question: String,
    answers: Vec<String>,
    votes: BTreeMap<BareJid, Vote>,
    /// As that of a vote.
    _share: Share,
}

/// What a vote takes, and a poll beyond its text: who it was, and its places in memory.
const PLACE_BYTES: usize = 300;

/// The room's polls, in their order.
#[derive(Default)]
struct Polls {
    all: Vec<Poll>,
    votes: usize,
    /// All of it as a newcomer gets it; `None` after a change.
    told: Option<Outgoing>,
    /// The same as from where it is watched.
    told_there: Option<Outgoing>,
}

fn command(room: &mut Room, world: &mut World, c: &Command<'_>) -> Result<(), StanzaError> {
    let json = c.message.child_named("json-message").filter(|_| c.message.child_named("body").is_none());
    let Some(json) = json.map(|j| j.text()) else {
        return Err(StanzaError::new(Condition::ServiceUnavailable));
    };
    if json.len() >= world.config.limits.max_poll_bytes {
        return Err(StanzaError::new(Condition::PolicyViolation).with_type(ErrorType::Modify));
    }
    let bad = || StanzaError::new(Condition::BadRequest).with_type(ErrorType::Modify);
    let said: Said = serde_json::from_str(&json).map_err(|_| bad())?;
    if let Some(meeting) = room.watches().cloned() {
        return vote_from_audience(room, world, c, said, &meeting);
    }
    let by = Person { nick: c.nick.to_owned(), name: room.occupant(c.nick).and_then(|o| o.display_name()) };
    let told = match said {
        Said::NewPoll { r#type: Kind::Polls, poll_id, question, answers } if !answers.is_empty() => {
            let answers = answers.into_iter().map(|o| o.name).collect();
            let share = world.keeps(c.sender, PLACE_BYTES + json.len())?;
            let poll = Poll { id: poll_id, by, question, answers, votes: BTreeMap::new(), _share: share };
            create(room, world, c.sender, poll)?
        }
        Said::AnswerPoll { r#type: Kind::Polls, poll_id, answers } => {
            match answer(room, world, c.sender, &poll_id, answers, by)? {
                Some(told) => told,
                None => return Ok(()),
            }
        }
        Said::NewPoll { .. } => return Err(bad()),
    };
    tell(room, world, told);
    Ok(())
}

/// Everybody hears it, also who watches.
fn tell(room: &Room, world: &mut World, told: Value) {
    let from = world.component(room.host, NAME);
    push::to_all(room, world, &from, &told);
    if let Some(audience) = &room.audience {
        world.elsewhere(&audience.jid, move |audience, world| {
            let from = world.component(audience.host, NAME);
            push::to_all(audience, world, &from, &told);
        });
    }
}

/// Who watches votes with those who meet, and asks nothing.
fn vote_from_audience(
    audience: &Room,
    world: &mut World,
    c: &Command<'_>,
    said: Said,
    meeting: &BareJid,
) -> Result<(), StanzaError> {
    let Said::AnswerPoll { r#type: Kind::Polls, poll_id, answers } = said else {
        // compat: upstream's text (test: compat_who_watches_votes_and_asks_nothing).
        let text = "Poll cannot be created by visitor node";
        return Err(StanzaError::new(Condition::NotAllowed).with_text(text));
    };
    let name = audience.occupant(c.nick).and_then(|o| o.display_name());
    let by = Person { nick: c.nick.to_owned(), name };
    let (sender, message) = (c.sender.clone(), c.message.clone());
    world.elsewhere(meeting, move |meeting, world| {
        match answer(meeting, world, &sender, &poll_id, answers, by) {
            Ok(Some(told)) => tell(meeting, world, told),
            Ok(None) => {}
            Err(error) => world.refuse(&sender, &message, &error, None),
        }
    });
    Ok(())
}

fn create(room: &mut Room, world: &World, sender: &Sender, poll: Poll) -> Result<Value, StanzaError> {
    let refuse = |text| Err(StanzaError::new(Condition::NotAllowed).with_text(text));
    let most = world.config.limits.max_polls;
    let restricted = metadata::permits(room, "pollCreationRestricted");
    let may = world.may(sender.id, "create-polls", room.is_moderator(sender.id));
    let polls = room.slots.entry::<Polls>();
    if polls.all.len() >= most {
        return Err(StanzaError::new(Condition::ResourceConstraint).with_type(ErrorType::Wait));
    }
    if polls.all.iter().any(|p| p.id == poll.id) {
        return refuse("Poll already exists");
    }
    if restricted && !may {
        return refuse("Creation of polls not allowed for user");
    }
    let answers: Vec<Value> = poll.answers.iter().map(|name| json!({"name": name})).collect();
    let told = json!({
        "type": "polls", "command": "new-poll", "pollId": poll.id, "question": poll.question,
        "answers": answers, "senderId": poll.by.nick,
    });
    (polls.told, polls.told_there) = (None, None);
    polls.all.push(poll);
    Ok(told)
}

/// `None`: it is the vote that this one has given already.
fn answer(
    room: &mut Room,
    world: &mut World,
    sender: &Sender,
    id: &str,
    answers: Vec<bool>,
    by: Person,
) -> Result<Option<Value>, StanzaError> {
    let most = world.config.limits.max_votes;
    let nothing_here = || StanzaError::new(Condition::ServiceUnavailable);
    let polls = room.slots.get_mut::<Polls>().ok_or_else(nothing_here)?;
    let poll = polls.all.iter_mut().find(|p| p.id == id).ok_or_else(nothing_here)?;
    if answers.len() != poll.answers.len() {
        return Err(StanzaError::new(Condition::BadRequest).with_type(ErrorType::Modify));
    }
    match poll.votes.get(&sender.bare) {
        Some(vote) if vote.answers == answers => return Ok(None),
        Some(_) => {}
        None if polls.votes >= most => {
            return Err(StanzaError::new(Condition::ResourceConstraint).with_type(ErrorType::Wait));
        }
        None => {}
    }
    let share = world.keeps(sender, PLACE_BYTES + answers.len())?;
    if !poll.votes.contains_key(&sender.bare) {
        polls.votes += 1;
    }
    let mut told = json!({
        "type": "polls", "command": "answer-poll", "pollId": poll.id, "answers": answers, "senderId": by.nick,
    });
    if let Some(name) = &by.name {
        push::add(&mut told, "senderName", name.clone());
    }
    poll.votes.insert(sender.bare.clone(), Vote { by, answers, _share: share });
    (polls.told, polls.told_there) = (None, None);
    Ok(Some(told))
}

/// A newcomer gets all polls with all votes.
fn joined(room: &mut Room, world: &mut World, sender: &Sender, _: &str) {
    let from = world.component(room.host, NAME);
    if let Some(meeting) = room.watches() {
        let viewer = sender.id;
        return world.elsewhere(meeting, move |meeting, world| {
            let Some(polls) = meeting.slots.get_mut::<Polls>().filter(|p| !p.all.is_empty()) else { return };
            if polls.told_there.is_none() {
                polls.told_there = Some(all(polls, &from));
            }
            if let Some(told) = &polls.told_there {
                world.deliver(viewer, told);
            }
        });
    }
    let Some(polls) = room.slots.get_mut::<Polls>().filter(|p| !p.all.is_empty()) else { return };
    if polls.told.is_none() {
        polls.told = Some(all(polls, &from));
    }
    if let Some(told) = &polls.told {
        world.deliver(sender.id, told);
    }
}

/// All polls as a newcomer gets them.
fn all(polls: &Polls, from: &str) -> Outgoing {
    let all: Vec<Value> = polls.all.iter().map(shown).collect();
    push::message(from, &json!({"type": "polls", "command": "old-polls", "polls": all}))
}

fn shown(poll: &Poll) -> Value {
    let voters = |at: usize| -> Vec<Value> {
        let voted = poll.votes.values().filter(|v| v.answers.get(at) == Some(&true));
        voted.map(|v| json!({"id": v.by.nick, "name": v.by.name})).collect()
    };
    let answers: Vec<Value> = poll
        .answers
        .iter()
        .enumerate()
        .map(|(at, name)| match voters(at) {
            none if none.is_empty() => json!({"name": name}),
            voters => json!({"name": name, "voters": voters}),
        })
        .collect();
    json!({
        "pollId": poll.id, "senderId": poll.by.nick, "senderName": poll.by.name,
        "question": poll.question, "answers": answers,
    })
}
