//! Rights in a room: owner election, mute requests, A/V moderation and start-muted policy (focus §2.4, §5.6, §5.7, §3.10).

use std::collections::{BTreeMap, BTreeSet};

use jitsi_xmpp::colibri2::ForceMute;
use jitsi_xmpp::ids::EndpointId;
use jitsi_xmpp::{Condition, Element, Jid, StanzaError, ns};
use serde_json::Value;

use crate::colibri::Change;
use crate::conference::member::{Kind, Member, Rank};
use crate::conference::{Away, Conference, Wait};
use crate::handover::parts::{ids, written_ids};
use crate::iqs::Answer;
use crate::limits;
use crate::turn::{Turn, Verdict};

/// The room's policy for those who join.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StartMuted {
    pub(crate) audio: bool,
    pub(crate) video: bool,
}

/// What can be muted. The bridge knows audio and video only; a screen is video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Medium {
    Audio,
    Video,
    Desktop,
}

impl Medium {
    const ALL: [Self; 3] = [Self::Audio, Self::Video, Self::Desktop];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Desktop => "desktop",
        }
    }

    const fn namespace(self) -> &'static str {
        match self {
            Self::Audio => ns::MUTE_AUDIO,
            Self::Video => ns::MUTE_VIDEO,
            Self::Desktop => ns::MUTE_DESKTOP,
        }
    }

    fn of_namespace(namespace: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.namespace() == namespace)
    }

    fn parse(s: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.as_str() == s)
    }
}

/// A/V moderation: which media may only be sent by moderators and those on a list.
#[derive(Debug, Default)]
pub(crate) struct AvModeration {
    enabled: BTreeSet<Medium>,
    allowed: BTreeMap<Medium, BTreeSet<EndpointId>>,
}

impl AvModeration {
    /// Which media are moderated, and who may send them all the same.
    pub(crate) fn written(&self) -> (Vec<String>, Vec<(String, Vec<String>)>) {
        let name = |m: &Medium| m.as_str().to_owned();
        let allowed = self.allowed.iter().map(|(m, ids)| (name(m), written_ids(ids)));
        (self.enabled.iter().map(name).collect(), allowed.collect())
    }

    pub(crate) fn read_written(enabled: &[String], allowed: &[(String, Vec<String>)]) -> Self {
        let allowed = allowed.iter().filter_map(|(m, list)| Some((Medium::parse(m)?, ids(list))));
        Self {
            enabled: enabled.iter().filter_map(|m| Medium::parse(m)).collect(),
            allowed: allowed.collect(),
        }
    }

    fn forbids(&self, member: &Member, medium: Medium) -> bool {
        self.enabled.contains(&medium)
            && !member.is_moderator()
            && !self.allowed.get(&medium).is_some_and(|ids| ids.contains(&member.id))
    }
}

/// Members that are never muted by force: they have no microphone button to lift it.
fn exempt(m: &Member) -> bool {
    match m.kind {
        Kind::Jibri | Kind::Transcriber => true,
        Kind::Jigasi => !m.known_features().is_some_and(|f| f.audio_mute),
        Kind::Person => m.rank == Rank::Visitor,
    }
}

impl Conference {
    /// What the bridge discards of a member.
    pub(crate) fn force_mute_of(&self, id: &EndpointId) -> ForceMute {
        let Some(m) = self.members.get(id).filter(|m| !exempt(m)) else { return ForceMute::default() };
        let forbids = |medium| self.moderation.forbids(m, medium);
        ForceMute { audio: forbids(Medium::Audio), video: forbids(Medium::Video) && forbids(Medium::Desktop) }
    }

    /// Keeps one owner among the people in the room: an owner by the room's own rules, or the one who came first.
    pub(crate) fn elect_owner(&mut self, turn: &mut Turn<'_>) {
        if turn.config.login.is_some()
            || !turn.config.auto_owner
            || self.breakout_of.is_some()
            // However many watch.
            || self.member_count() == 0
        {
            return;
        }
        self.welcome_back(turn);
        if self.owner.is_some() {
            return;
        }
        let waits = self.away.is_some();
        // Nothing changes meanwhile but by those that something happened to.
        let ids = if waits { self.dirty_members() } else { self.by_arrival() };
        let people = || {
            ids.iter().filter_map(|id| self.members.get(id)).filter(|m| m.kind == Kind::Person && m.counts())
        };
        let first = || people().next().filter(|_| !waits);
        let Some(chosen) = people().find(|m| m.rank == Rank::Owner).or_else(first) else {
            return;
        };
        let (id, rank) = (chosen.id.clone(), chosen.rank);
        self.owner = Some(id.clone());
        if rank != Rank::Owner {
            self.grant_owner(turn, &id, false);
        }
    }

    /// An owner who loads the page anew is another one for the server, and is given its right back: else it would be somebody else's, of a
    /// class a pupil's.
    fn welcome_back(&mut self, turn: &mut Turn<'_>) {
        let Some(away) = self.away else { return };
        let back = |m: &&Member| m.browser == Some(away.browser) && m.kind == Kind::Person && m.counts();
        let ids = self.dirty_members();
        let Some((id, rank)) =
            ids.iter().filter_map(|id| self.members.get(id)).find(back).map(|m| (m.id.clone(), m.rank))
        else {
            return;
        };
        self.away = None;
        self.owner = Some(id.clone());
        turn.counters.owners_returned += 1;
        if rank != Rank::Owner {
            self.grant_owner(turn, &id, false);
        }
    }

    /// The owner has left. Its right waits for its browser, if that is known and nobody has thrown it out.
    pub(crate) fn owner_left(&mut self, turn: &Turn<'_>, browser: Option<u64>, presence: &Element) {
        self.owner = None;
        let kicked =
            |x: &Element| x.children().any(|s| s.name() == "status" && s.attr("code") == Some("307"));
        if presence.child("x", ns::MUC_USER).is_some_and(kicked) || turn.config.owner_grace.is_zero() {
            return;
        }
        self.away = browser.map(|browser| Away { browser, until: turn.now + turn.config.owner_grace });
        // Whoever owns the room already, or has another page of that browser open, is looked at once.
        self.touch_all();
    }

    /// Where people log in, who has owns the room (focus §2.4), unless their directory names others.
    pub(crate) fn own_by_login(&mut self, turn: &mut Turn<'_>, id: &EndpointId) {
        let Some(m) =
            self.members.get(id).filter(|m| m.kind == Kind::Person && m.rank != Rank::Owner && !m.watches)
        else {
            return;
        };
        if m.real.as_ref().is_some_and(|real| turn.logins.moderates(real)) && self.hosts.insert(id.clone()) {
            self.grant_owner(turn, id, false);
        }
    }

    /// The same of somebody who is in the room already.
    pub(crate) fn logged_in(&mut self, turn: &mut Turn<'_>, jid: &Jid) {
        let member = self.members.iter().find(|(_, m)| !m.watches && m.real.as_ref() == Some(jid));
        if let Some(id) = member.map(|(id, _)| id.clone()) {
            self.own_by_login(turn, &id);
        }
    }

    fn grant_owner(&self, turn: &mut Turn<'_>, id: &EndpointId, again: bool) {
        let Some(real) = self.members.get(id).and_then(|m| m.real.as_ref()) else { return };
        let item =
            Element::inherit("item").with_attr("affiliation", "owner").with_attr("jid", real.bare_str());
        let query = Element::new("query", ns::MUC_ADMIN).with_child(item);
        let wait = self.waits(Wait::Grant { member: id.clone(), again });
        let _ = turn.ask("set", self.room.as_jid(), query, wait);
    }

    /// A grant that failed is tried once more, then given up with a line in the log.
    pub(crate) fn grant_answer(&self, turn: &mut Turn<'_>, id: &EndpointId, again: bool, answer: &Answer) {
        if matches!(answer, Answer::Result(_))
            || (self.owner.as_ref() != Some(id) && !self.hosts.contains(id))
        {
            return;
        }
        if again {
            turn.counters.owner_grants_failed += 1;
            tracing::warn!(conference = self.id.0, "owner grant failed twice");
        } else {
            self.grant_owner(turn, id, true);
        }
    }

    /// A mute request (focus §5.6). It is passed on as a request; the bridge enforces only A/V moderation.
    pub(crate) fn handle_mute(&mut self, turn: &mut Turn<'_>, from: &Jid, payload: &Element) -> Verdict {
        let error = |c| Verdict::from(StanzaError::new(c));
        let medium = Medium::of_namespace(payload.ns());
        let target = payload.attr("jid").and_then(|j| j.parse::<Jid>().ok());
        let mute = match payload.text().trim() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        };
        let (Some(medium), Some(target), Some(mute)) = (medium, target, mute) else {
            return error(Condition::BadRequest);
        };
        let (moderator, sender) = match self.member_at(from) {
            Some(m) if m.is_participant() => (m.is_moderator(), m.id.clone()),
            _ => return error(Condition::InternalServerError),
        };
        let Some(member) = self.member_at(&target) else { return error(Condition::InternalServerError) };
        if !member.is_participant() {
            return error(Condition::InternalServerError);
        }
        let (id, occupant) = (member.id.clone(), member.occupant.clone());
        let own = id == sender;
        let refused = self.members.get(&id).is_some_and(|m| {
            exempt(m) || if own { !mute && self.moderation.forbids(m, medium) } else { !mute || !moderator }
        });
        if refused {
            return error(Condition::NotAllowed);
        }
        if !own {
            // The client sends no reply to this one, so none is awaited (client §4.9).
            let request = Element::new("mute", medium.namespace())
                .with_attr("jid", occupant.as_str())
                .with_attr("actor", from.as_str())
                .with_text("true");
            turn.tell("set", occupant.as_jid(), request);
        }
        if !self.moderation.enabled.is_empty() {
            self.tell_bridge(&id, Change { force_mute: true, ..Change::default() });
        }
        Verdict::Result(None)
    }

    /// A message of the A/V moderation component (focus §11.1). An absent list is an empty one, when lists are given.
    pub(crate) fn handle_av_moderation(&mut self, turn: &mut Turn<'_>, json: &Value) {
        if let Some(lists) = json.get("whitelists").and_then(Value::as_object) {
            self.moderation.allowed = Medium::ALL
                .into_iter()
                .map(|medium| {
                    let ids = lists.get(medium.as_str()).and_then(Value::as_array).into_iter().flatten();
                    let ids = ids.filter_map(Value::as_str).take(limits::MEMBERS_PER_CONFERENCE);
                    (
                        medium,
                        ids.filter_map(|j| j.rsplit_once('/')).map(|(_, n)| EndpointId::new(n)).collect(),
                    )
                })
                .collect();
        }
        let medium = json.get("mediaType").and_then(Value::as_str).and_then(Medium::parse);
        if let (Some(medium), Some(enabled)) = (medium, json.get("enabled").and_then(Value::as_bool)) {
            if enabled && self.moderation.enabled.insert(medium) {
                self.tell_muted(turn, medium, json.get("actor").and_then(Value::as_str));
            } else if !enabled {
                self.moderation.enabled.remove(&medium);
            }
        }
        // One update brings the bridge in line, also when a restriction was lifted.
        let ids: Vec<EndpointId> = self
            .members
            .values()
            .filter(|m| m.is_participant() && !exempt(m))
            .map(|m| m.id.clone())
            .collect();
        self.force_mute(turn, &ids);
    }

    fn tell_muted(&self, turn: &mut Turn<'_>, medium: Medium, actor: Option<&str>) {
        for id in self.by_arrival() {
            let Some(m) = self.members.get(&id) else { continue };
            if !m.is_participant() || exempt(m) || m.is_moderator() || actor == Some(m.occupant.as_str()) {
                continue;
            }
            let request = Element::new("mute", medium.namespace()).with_text("true");
            turn.tell("set", m.occupant.as_jid(), request);
        }
    }

    /// Room metadata (focus §3.10), field by field: one odd field does not cost the others.
    pub(crate) fn handle_metadata(&mut self, turn: &mut Turn<'_>, metadata: &Value) {
        if let Some(policy) = metadata.get("startMuted").filter(|p| p.is_object()) {
            let flag = |name| policy.get(name).and_then(Value::as_bool).unwrap_or(false);
            self.start_muted = StartMuted { audio: flag("audio"), video: flag("video") };
        }
        self.audience_policy(metadata);
        self.metadata_arrived(turn);
    }
}
