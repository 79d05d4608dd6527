//! What happens to rooms without a stanza to them: effects that rules left, timers, answers from outside.

use jitsi_xmpp::{BareJid, Element};

use super::turn::Muc;
use super::{audience, breakout, give, join, leave, lobby};
use crate::counters::Counter;
use crate::module::Module;
use crate::output::{Answer, QuestionId};
use crate::room::rank::Affiliation;
use crate::world::Effect;

/// Carries out what rules left to be done, which may leave more.
pub(crate) fn carry_out(muc: &mut Muc<'_>) {
    while let Some(effect) = muc.world.effects.pop_front() {
        match effect {
            Effect::Destroy { room, reason } => {
                let why = Element::inherit("reason").with_text(reason);
                leave::destroy(muc, &room, Element::inherit("destroy").with_child(why));
            }
            Effect::TurnOut { room, nick, said } => leave::turn_out(muc, &room, &nick, said),
            Effect::Own { room, account } => {
                if let Some(mut t) = muc.turn(&room) {
                    // A room with too many affiliations has owners.
                    let _ = give(&mut t, &account, Affiliation::Owner);
                }
            }
            Effect::Release { room, reason } => join::release(muc, &room, reason),
            Effect::OpenLobby { room } => {
                lobby::open(muc, &room);
                breakout::follow(muc, &room);
            }
            Effect::Breakouts { meeting, what } => breakout::carry_out(muc, &meeting, what),
            Effect::CloseLobby { lobby, next, reason } => lobby::close(muc, &lobby, next, reason),
            Effect::Elsewhere { room, act } => {
                if let Some(room) = muc.rooms.get_mut(&room) {
                    act(room, muc.world);
                }
            }
            Effect::Heard { audience, by, said } => audience::heard(muc, &audience, &by, *said),
            Effect::Whispered { audience, by, nick, said } => {
                audience::whispered(muc, &audience, &by, &nick, *said);
            }
            Effect::Answered { room, by, whom } => lobby::answered(muc, &room, by, &whom),
        }
    }
}

/// The time that a module wanted to be woken at.
pub(crate) fn wake(muc: &mut Muc<'_>, room: &BareJid, module: &str) {
    let Some(t) = muc.turn(room) else { return };
    if let Some(timer) = t.modules.iter().find(|m| m.name == module).and_then(|m| m.timer) {
        timer(t.room, t.world);
    }
    muc.sweep(room);
}

/// The time that a module wanted to think of a room at, whether it is there or not.
pub(crate) fn remind(muc: &mut Muc<'_>, room: &BareJid, module: &str) {
    if let Some(due) = named(muc, module).and_then(|m| m.due) {
        due(muc.world, room);
    }
}

/// The answer to a question that a module asked.
pub(crate) fn answer(muc: &mut Muc<'_>, id: QuestionId, answer: &Answer) {
    if muc.world.is_repeated(id, answer) {
        return;
    }
    let Some((asker, _)) = muc.world.questions.remove(&id) else { return };
    if !matches!(answer, Answer::Response { .. }) {
        muc.world.counters.add(Counter::QuestionsUnanswered);
    }
    if let Some(hear) = named(muc, asker.module).and_then(|m| m.answer) {
        hear(muc.world, &asker.room, id, answer);
    }
}

fn named(muc: &Muc<'_>, module: &str) -> Option<&'static Module> {
    muc.hosts.modules().find(|m| m.name == module)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::{Duration, Instant};

    use jitsi_xmpp::entropy::SeededEntropy;
    use jitsi_xmpp::{BareJid, Condition, FullJid, Sensitive, StanzaError};

    use crate::hosts::Hosts;
    use crate::module::{Module, Reason, Verdict};
    use crate::modules::ROOMS;
    use crate::output::{Answer, ConnId, Output, Question, QuestionId, SessionQuery, Transport};
    use crate::world::{Asker, Effect};
    use crate::{Config, Server};

    /// Asks somebody outside about everybody who comes into a room.
    static DOORMAN: Module = Module {
        name: "doorman",
        join: Some(|room, world, _| match world.slots.entry::<Known>().0.get(&room.jid) {
            Some(true) => Verdict::Pass,
            Some(false) => Verdict::refuse(StanzaError::new(Condition::Forbidden)),
            None => {
                let asker = Asker { room: room.jid.clone(), module: "doorman", repeat: 0 };
                let question = Question {
                    method: "GET",
                    url: Sensitive::new("http://doorman/".into()),
                    headers: Vec::new(),
                    body: Sensitive::default(),
                    deadline: Duration::from_secs(20),
                };
                match world.ask_outside(asker, question) {
                    Some(_) => Verdict::Hold(&OUTSIDE),
                    None => Verdict::refuse((OUTSIDE.refusal)()),
                }
            }
        }),
        answer: Some(|world, room, _, answer| {
            let good = matches!(answer, Answer::Response { status: 200, .. });
            world.slots.entry::<Known>().0.insert(room.clone(), good);
            world.effects.push_back(Effect::Release { room: room.clone(), reason: OUTSIDE.name });
        }),
        ..Module::NONE
    };
    /// Rooms, and whether people may come into them.
    #[derive(Default)]
    struct Known(HashMap<BareJid, bool>);

    static OUTSIDE: Reason =
        Reason { name: "doorman", refusal: || StanzaError::new(Condition::ServiceUnavailable), freed: None };

    struct Door {
        server: Server,
        now: Instant,
    }

    impl Door {
        fn new(change: impl FnOnce(&mut Config)) -> Self {
            let mut config = Config::for_domain("meet.jitsi").unwrap();
            change(&mut config);
            let hosts = Hosts::with_rules(&config, &[ROOMS[0], &DOORMAN]);
            let now = Instant::now();
            Self { server: Server::with_hosts(config, hosts, Box::new(SeededEntropy::new(1)), now), now }
        }

        /// Joins a room of its own; what came of it, and what was asked.
        fn join(&mut self, n: u64) -> (Vec<String>, Vec<QuestionId>) {
            let jid: FullJid = "focus@auth.meet.jitsi/focus".parse().unwrap();
            if n == 1 {
                let transport = Transport::InProcess(jid);
                self.server.handle_open(self.now, ConnId(1), transport, SessionQuery::default());
            }
            let join = format!(
                r#"<presence to="r{n}@muc.meet.jitsi/focus"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#
            );
            self.server.handle_frame(self.now, ConnId(1), join.as_bytes());
            self.drain()
        }

        fn drain(&mut self) -> (Vec<String>, Vec<QuestionId>) {
            let (mut sent, mut asked) = (Vec::new(), Vec::new());
            while let Some(output) = self.server.poll_output() {
                match output {
                    Output::Send { frame, .. } => {
                        sent.push(String::from_utf8(frame.to_bytes().to_vec()).unwrap());
                    }
                    Output::Ask { id, .. } => asked.push(id),
                    _ => {}
                }
            }
            (sent, asked)
        }
    }

    #[test]
    fn a_join_waits_for_the_answer_to_a_question_to_outside() {
        let mut door = Door::new(|_| {});
        for (n, status, expected) in [(1, 200, "code=\"110\""), (2, 403, "<forbidden ")] {
            let (sent, asked) = door.join(n);
            assert!(sent.is_empty() && asked.len() == 1, "nothing is said before the answer is there");
            let answer = Answer::Response { status, body: Sensitive::default() };
            door.server.handle_answer(door.now, asked[0], &answer);
            let (sent, _) = door.drain();
            assert!(sent.iter().any(|f| f.contains(expected)), "{sent:?}");
            door.server.handle_answer(door.now, asked[0], &answer);
            assert!(door.drain().0.is_empty(), "an answer is heard once");
        }
        assert_eq!(door.server.stats().rooms, 1, "the refused one left no room");
    }

    #[test]
    fn a_join_whose_question_is_never_answered_is_given_up_with_the_reasons_error() {
        let mut door = Door::new(|_| {});
        let (_, asked) = door.join(1);
        door.now += Duration::from_secs(60);
        door.server.handle_timeout(door.now);
        let (sent, _) = door.drain();
        assert!(sent.len() == 1 && sent[0].contains("<service-unavailable "), "{sent:?}");
        assert_eq!(door.server.stats().rooms, 0);
        door.server.handle_answer(door.now, asked[0], &Answer::Unreachable);
        assert!(door.drain().0.is_empty(), "the room is gone, nobody hears");
    }

    #[test]
    fn questions_to_outside_are_bounded() {
        let mut door = Door::new(|c| c.limits.max_questions = 2);
        assert_eq!((door.join(1).1.len(), door.join(2).1.len()), (1, 1));
        let (sent, asked) = door.join(3);
        assert!(asked.is_empty() && sent[0].contains("<service-unavailable "), "{sent:?}");
    }
}
