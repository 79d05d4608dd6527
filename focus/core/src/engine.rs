//! What all conferences share: link events, brewery presences and discovery in; the link's state, requests under
//! way, usable bridges and known components out.

use std::collections::VecDeque;
use std::time::Instant;

use jitsi_xmpp::conference_request::{ConferenceRequest, HttpAnswer};
use jitsi_xmpp::ids::MeetingId;
use jitsi_xmpp::room::is_stored_spelling;
use jitsi_xmpp::{BareJid, Element, Entropy, FullJid, Jid, RoomDomains, health, ns};

use crate::bridges::{Brewery, BridgeEvent};
use crate::colibri::expire_request;
use crate::conference::Conference;
use crate::config::Config;
use crate::features::CapsCache;
use crate::iqs::{Answer, Iqs};
use crate::logins::{Logins, Refused, Shown};
use crate::pins::Pins;
use crate::request::HEALTH_PREFIX;
use crate::services::{Gateways, Heard, Place, Recorders};
use crate::stats::{Counters, Stats};
use crate::timers::Timers;
use crate::turn::{Turn, Waiting};
use crate::{HttpRequestId, Output, limits};

/// See the module.
pub(crate) struct Engine {
    pub(crate) config: Config,
    entropy: Box<dyn Entropy>,
    jid: Option<FullJid>,
    /// Since when the link is down, while conferences wait for a resumption.
    down_since: Option<Instant>,
    pub(crate) brewery: Brewery,
    pub(crate) recorders: Recorders,
    pub(crate) gateways: Gateways,
    places: Vec<(Kind, Place)>,
    discover_at: Option<Instant>,
    pub(crate) components: Components,
    caps: CapsCache,
    pub(crate) iqs: Iqs,
    pub(crate) timers: Timers,
    pub(crate) logins: Logins,
    pub(crate) pins: Pins,
    pub(crate) counters: Counters,
    pub(crate) out: VecDeque<Output>,
    /// The next request for a conference makes it panic.
    #[cfg(test)]
    pub(crate) trap: bool,
    /// Conferences that ended while the link or their bridge was away: the bridges are told when they are back.
    pub(crate) orphans: Vec<(FullJid, MeetingId)>,
}

/// Whose brewery it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bridges,
    Recorders,
    Gateways,
}

/// What a change in a brewery means for conferences.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ServiceEvent {
    /// See [`BridgeEvent`].
    Bridge(BridgeEvent),
    /// There is one for whoever waits.
    RecorderFree,
    /// Whoever it records needs another one.
    RecorderLeft(FullJid),
}

/// Addresses of the server's components, from its disco#info.
#[derive(Debug, Default)]
pub(crate) struct Components {
    pub(crate) room_metadata: Option<Jid>,
    pub(crate) av_moderation: Option<Jid>,
    pub(crate) visitors: Option<Jid>,
    pub(crate) breakout_rooms: Option<String>,
}

impl Components {
    /// Whether nothing is looked for any more: one that is loaded later is found too.
    const fn are_known(&self, visitors: bool) -> bool {
        self.room_metadata.is_some()
            && self.av_moderation.is_some()
            && self.breakout_rooms.is_some()
            && (self.visitors.is_some() || !visitors)
    }
}

impl Engine {
    pub(crate) fn new(config: Config, entropy: Box<dyn Entropy>) -> Self {
        let places = [
            (Kind::Bridges, Some(config.brewery.clone())),
            (Kind::Recorders, config.recorders.clone()),
            (Kind::Gateways, config.gateways.clone()),
        ];
        let places = places.into_iter().filter_map(|(kind, room)| Some((kind, Place::new(room?)))).collect();
        Self {
            brewery: Brewery::new(config.bridges.average_stress, config.bridges.silence.is_some()),
            config,
            entropy,
            jid: None,
            down_since: None,
            recorders: Recorders::default(),
            gateways: Gateways::default(),
            places,
            discover_at: None,
            components: Components::default(),
            caps: CapsCache::default(),
            iqs: Iqs::default(),
            timers: Timers::default(),
            logins: Logins::default(),
            pins: Pins::default(),
            counters: Counters::default(),
            out: VecDeque::new(),
            #[cfg(test)]
            trap: false,
            orphans: Vec::new(),
        }
    }

    /// Our address while the link is up.
    pub(crate) fn me(&self) -> Option<&FullJid> {
        self.jid.as_ref().filter(|_| self.down_since.is_none())
    }

    /// Our address, also while the link is down.
    pub(crate) const fn address(&self) -> Option<&FullJid> {
        self.jid.as_ref()
    }

    /// The breweries that we are in.
    pub(crate) fn joined_places(&self) -> Vec<String> {
        let joined = self.places.iter().filter(|(_, place)| place.is_joined());
        joined.map(|(_, place)| place.room().as_str().to_owned()).collect()
    }

    /// Goes on as `jid`, whose link is down for a moment.
    pub(crate) fn succeed(&mut self, now: Instant, jid: FullJid, joined: &[String]) {
        self.iqs.restart(&mut self.timers, Some(jid.clone()));
        self.jid = Some(jid);
        self.down_since = Some(now);
        for (_, place) in &mut self.places {
            let is_joined = joined.iter().any(|room| room == place.room().as_str());
            place.succeed(now, is_joined);
        }
    }

    /// `None` before the link was ever up.
    pub(crate) fn turn(&mut self, now: Instant) -> Option<Turn<'_>> {
        Some(Turn {
            now,
            config: &self.config,
            me: self.jid.as_ref()?,
            brewery: &mut self.brewery,
            recorders: &mut self.recorders,
            gateways: &mut self.gateways,
            caps: &mut self.caps,
            entropy: self.entropy.as_mut(),
            counters: &mut self.counters,
            iqs: &mut self.iqs,
            timers: &mut self.timers,
            logins: &self.logins,
            pins: &self.pins,
            visitors: self.components.visitors.as_ref(),
            out: &mut self.out,
            orphans: &mut self.orphans,
        })
    }

    /// Whether a request is let in; with a session, if there is one.
    pub(crate) fn admit(
        &mut self,
        now: Instant,
        request: &ConferenceRequest,
        from: Option<&Jid>,
        open: bool,
    ) -> Result<Option<Shown>, Refused> {
        #[cfg(test)]
        assert!(!std::mem::take(&mut self.trap), "sprung by a test");
        match &self.config.login {
            Some(login) => self.logins.admit(now, login, request, from, open, self.entropy.as_mut()),
            None => Ok(None),
        }
    }

    pub(crate) fn reply_http(&mut self, request: HttpRequestId, reply: HttpAnswer) {
        self.out.push_back(Output::HttpReply { request, reply });
    }

    pub(crate) fn link_up(&mut self, now: Instant, jid: FullJid, resumed: bool) {
        self.down_since = None;
        self.jid = Some(jid.clone());
        if resumed {
            let known = self.components.are_known(self.config.visitors.is_some());
            if !known && self.discover_at.is_none() {
                self.discover(now);
            }
            return;
        }
        // Replies of the old session will not come; conferences that waited for them are gone.
        self.iqs.restart(&mut self.timers, Some(jid));
        self.forget_services();
        self.components = Components::default();
        self.discover(now);
        for (_, place) in &mut self.places {
            self.out.extend(place.enter().map(Output::Send));
        }
    }

    pub(crate) fn link_down(&mut self, now: Instant) {
        if self.jid.is_some() && self.down_since.is_none() {
            self.counters.xmpp_disconnects += 1;
            self.down_since = Some(now);
        }
    }

    /// Whether the time is over in which everything goes on as if the link were there.
    pub(crate) fn link_is_late(&self, now: Instant) -> bool {
        self.jid.is_some() && self.down_since.is_some_and(|t| now >= t + limits::RECONNECT)
    }

    /// It is: nobody can be asked, and nobody answers.
    pub(crate) fn link_expired(&mut self) {
        self.jid = None;
        self.forget_services();
        self.iqs.restart(&mut self.timers, None);
        self.discover_at = None;
        self.places.iter_mut().for_each(|(_, place)| place.forget());
    }

    /// For another engine in place of this one.
    pub(crate) fn take_entropy(&mut self) -> Box<dyn Entropy> {
        std::mem::replace(&mut self.entropy, Box::new(Nothing))
    }

    fn discover(&mut self, now: Instant) {
        self.discover_at = Some(now + limits::DISCOVERY_RETRY);
        let Ok(domain) = self.config.domain.parse::<Jid>() else { return };
        if let Some(mut turn) = self.turn(now) {
            let _ = turn.ask("get", &domain, Element::new("query", ns::DISCO_INFO), Waiting::Discovery);
        }
    }

    fn forget_services(&mut self) {
        self.brewery.clear();
        self.recorders.clear();
        self.gateways.clear();
    }

    /// The meeting that is watched from this room. `None`: it is none for that.
    pub(crate) fn meeting_of(&self, room: &BareJid) -> Option<BareJid> {
        self.config.visitors.as_ref()?.meeting_of(&self.config.domain, room)
    }

    /// Whether this can be a conference's room.
    pub(crate) fn is_room(&self, room: &BareJid) -> bool {
        let ours = RoomDomains::new(&self.config.domain, &self.config.muc_domain, true);
        let breakout = self.is_breakout(room);
        let name = room.node().unwrap_or_default();
        (ours.read(room.as_jid()).is_ok() || breakout && !is_stored_spelling(name))
            && self.meeting_of(room).is_none()
            && !name.starts_with(HEALTH_PREFIX)
    }

    /// Whether this is among the breakout rooms.
    pub(crate) fn is_breakout(&self, room: &BareJid) -> bool {
        self.components.breakout_rooms.as_deref() == Some(room.domain())
    }

    pub(crate) fn discovered(&mut self, answer: &Answer) {
        let Answer::Result(iq) = answer else { return };
        let Some(query) = iq.child("query", ns::DISCO_INFO) else { return };
        for identity in query.children().filter(|c| c.name() == "identity").take(limits::FEATURES) {
            let (Some("component"), Some(name)) = (identity.attr("category"), identity.attr("name")) else {
                continue;
            };
            match identity.attr("type") {
                Some("room_metadata") => self.components.room_metadata = name.parse().ok(),
                Some("av_moderation") => self.components.av_moderation = name.parse().ok(),
                Some("visitors") => self.components.visitors = name.parse().ok(),
                Some("breakout_rooms") => self.components.breakout_rooms = Some(name.to_owned()),
                _ => {}
            }
        }
        if self.components.are_known(self.config.visitors.is_some()) {
            self.discover_at = None;
        }
    }

    /// Whether instances of a service are in this room.
    pub(crate) fn is_brewery(&self, room: &str) -> bool {
        self.places.iter().any(|(_, place)| place.room().as_str() == room)
    }

    /// A presence from a brewery.
    pub(crate) fn brewery_presence(
        &mut self,
        now: Instant,
        from: &Jid,
        presence: &Element,
    ) -> Option<ServiceEvent> {
        let at = self.places.iter_mut().find(|(_, place)| place.room().as_str() == from.bare_str());
        let (kind, place) = at?;
        let (kind, room) = (*kind, place.room().as_jid().clone());
        match (kind, place.handle_presence(now, from, presence)) {
            (_, Heard::Created) => {
                let form = Element::new("x", ns::DATA_FORMS).with_attr("type", "submit");
                let query = Element::new("query", ns::MUC_OWNER).with_child(form);
                if let Some(mut turn) = self.turn(now) {
                    turn.tell("set", &room, query);
                }
                None
            }
            (Kind::Bridges, Heard::Here(bridge)) => {
                let stats = Brewery::stats_of(presence)?;
                let is_new = self.brewery.bridge(&bridge).is_none();
                let event = self.brewery.handle_stats(now, &bridge, stats);
                self.tell_orphans(now, &bridge);
                let alone = self.brewery.bridge(&bridge).is_some_and(|b| b.relay_id.is_none());
                if is_new && alone && self.config.bridges.spans() {
                    self.counters.bridges_unlinkable += 1;
                    tracing::warn!(
                        "a bridge says no relay id: it carries meetings alone, though they may span several"
                    );
                }
                event.map(ServiceEvent::Bridge)
            }
            (Kind::Bridges, Heard::Gone(bridge)) => {
                self.brewery.handle_left(now, &bridge).map(ServiceEvent::Bridge)
            }
            (Kind::Recorders, Heard::Here(recorder)) => {
                self.recorders.handle_presence(&recorder, presence).then_some(ServiceEvent::RecorderFree)
            }
            (Kind::Recorders, Heard::Gone(recorder)) => {
                self.recorders.handle_left(&recorder).then_some(ServiceEvent::RecorderLeft(recorder))
            }
            (Kind::Gateways, Heard::Here(gateway)) => {
                self.gateways.handle_presence(&gateway, presence);
                None
            }
            (Kind::Gateways, Heard::Gone(gateway)) => {
                self.gateways.handle_left(&gateway);
                None
            }
            (_, Heard::Nothing) => None,
        }
    }

    fn tell_orphans(&mut self, now: Instant, bridge: &FullJid) {
        let (told, kept) = std::mem::take(&mut self.orphans).into_iter().partition(|(b, _)| b == bridge);
        self.orphans = kept;
        let told: Vec<(FullJid, MeetingId)> = told;
        if let Some(mut turn) = self.turn(now) {
            for (bridge, meeting) in told {
                turn.tell("get", bridge.as_jid(), expire_request(&meeting));
            }
        }
    }

    pub(crate) fn orphan(&mut self, conference: &Conference) {
        let room = limits::ORPHANS.saturating_sub(self.orphans.len());
        let left = conference.sessions.iter().map(|s| (s.bridge.clone(), s.meeting.clone()));
        self.orphans.extend(left.take(room));
    }

    /// Deadlines that no conference owns.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<BridgeEvent> {
        if self.me().is_none() {
            return Vec::new();
        }
        for (_, place) in self.places.iter_mut().filter(|(_, place)| place.is_due(now)) {
            self.out.extend(place.enter().map(Output::Send));
        }
        if self.discover_at.is_some_and(|t| t <= now) {
            self.discover(now);
        }
        let events = self.brewery.handle_timeout(now);
        for bridge in self.brewery.take_probes(now) {
            if let Some(mut turn) = self.turn(now) {
                let _ = turn.ask("get", bridge.as_jid(), health::request(), Waiting::Probe(bridge.clone()));
            }
        }
        events
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let down = self.jid.as_ref().and(self.down_since).map(|t| t + limits::RECONNECT);
        let table = self.timers.next();
        if self.me().is_none() {
            return [down, table].into_iter().flatten().min();
        }
        let places = self.places.iter().map(|(_, place)| place.poll_timeout());
        let own = [down, table, self.discover_at, self.brewery.poll_timeout()];
        own.into_iter().chain(places).flatten().min()
    }

    pub(crate) fn stats(&self) -> Stats {
        let bridges = || self.brewery.bridges();
        let mut versions: Vec<_> = bridges().filter_map(|b| b.version.as_deref()).collect();
        versions.sort_unstable();
        versions.dedup();
        Stats {
            connected: self.me().is_some(),
            bridge_count: bridges().count(),
            operational_bridge_count: bridges().filter(|b| b.operational()).count(),
            in_shutdown_bridge_count: bridges().filter(|b| b.graceful_shutdown || b.shutting_down).count(),
            bridge_version_count: versions.len(),
            lost_bridges: self.brewery.lost,
            silent_bridges: self.brewery.silenced,
            bridges_held: self.brewery.held,
            bridge_figures_refused: self.brewery.figures_refused,
            bridges_failing_ice: bridges().map(|b| (b.jid.resource().to_owned(), b.fails_at_ice())).collect(),
            recorders: self.recorders.counts().0,
            recorders_available: self.recorders.counts().1,
            gateways: self.gateways.counts(),
            pending_requests: self.iqs.len(),
            counters: self.counters.clone(),
            ..Stats::default()
        }
    }
}

/// In place of what another engine has now.
struct Nothing;

impl Entropy for Nothing {
    fn fill(&mut self, _buf: &mut [u8]) {}
}
