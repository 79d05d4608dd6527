//! Conferences that are on several shards: packets and news of other shards in; the same as between bridges, for the conference here, out
//! (decision 0029).
//!
//! The shard that has a conference is its home: it takes the focus' requests, and has the ways to other bridges. Beyond so many people
//! newcomers get a part on another shard. Home and part are to each other what bridges are: a way is a relay for the media part, without
//! ICE, DTLS and SRTP. All ways end at the home, which passes on what comes over one to the others.

mod news;
mod ways;

use std::sync::Arc;
use std::time::Instant;

use jitsi_xmpp::bridge_channel::BridgeMessage;
use jitsi_xmpp::colibri2::Media;
use jitsi_xmpp::ids::EndpointId;

pub use news::PartNews;
pub(crate) use news::{Beginning, News, Order, Person};
pub use ways::PartKey;
pub(crate) use ways::{Way, Ways};

use crate::command::{ConferenceKey, DatagramSink, Event};
use crate::conference::{Conference, Elsewhere, Remote};
use crate::counters::Discard;
use crate::limits::MAX_PART_MEDIA;
use crate::mailbox::ChannelMessage;
use crate::media::{EndpointKey, RelayInit};
use crate::shard::{Shard, outlet};

impl Shard {
    /// A packet of another part of a conference here.
    pub fn handle_part_packet(
        &mut self,
        now: Instant,
        part: PartKey,
        is_rtcp: bool,
        data: &mut [u8],
        out: &mut dyn DatagramSink,
    ) {
        self.at_work = None;
        let way = self.endpoints.ways.find(part).and_then(|key| Some((key, self.endpoints.ways.get(key)?)));
        let Some((way, conference_key)) = way.map(|(key, way)| (key, way.conference)) else {
            // It was on its way when the part ended.
            return self.endpoints.counters.discard(Discard::UnknownPart);
        };
        self.at_work = Some(conference_key);
        let Some(conference) = self.conferences.get_mut(conference_key.0 as usize) else { return };
        let mut outlet = outlet(now, &mut self.endpoints, out);
        if is_rtcp {
            conference.media.handle_rtcp(now, way, data, &mut outlet);
        } else {
            conference.media.handle_rtp(now, way, data, &mut outlet);
        }
        self.arm_conference(conference_key);
        if !self.endpoints.dirty.is_empty() {
            self.settle(now, out);
        }
    }

    /// News of another part, which is on the shard `from`.
    pub fn handle_part_news(
        &mut self,
        now: Instant,
        (from, part): (u16, PartKey),
        news: PartNews,
        out: &mut dyn DatagramSink,
    ) {
        self.at_work = None;
        self.start_timers(now);
        let way = self.endpoints.ways.find(part);
        let conference = way.and_then(|way| Some(self.endpoints.ways.get(way)?.conference));
        self.at_work = conference;
        match (news.0, way.zip(conference)) {
            (News::Begin(beginning), None) => self.begin_part(now, (from, part), *beginning, out),
            (News::Order(order), at) => self.carry_out(now, at, *order, out),
            (News::Change(wanted), Some((_, key))) => {
                self.modify_endpoint(now, key, &wanted, 0, out);
            }
            (News::Known(person), Some((way, key))) => self.know(now, key, way, &person, out),
            (News::Gone { id, creation }, Some((way, key))) => self.gone(now, key, way, (&id, creation), out),
            (News::Media(media), Some((way, key))) => self.learn_media(key, Some(way), &media),
            (News::Said(message), Some((way, key))) => {
                if let Err(reason) = self.part_said(now, key, way, &message, out) {
                    self.endpoints.counters.discard(reason);
                }
            }
            (News::End, Some((_, key))) => self.expire_conference(now, key, out),
            (News::Failed, Some((way, key))) => self.part_failed(now, key, way, out),
            (News::Begin(_), Some(_)) | (_, None) => self.endpoints.counters.discard(Discard::UnknownPart),
        }
        if let Some(key) = conference {
            self.arm_conference(key);
        }
        self.settle(now, out);
    }

    /// How many endpoints each shard has, by index: newcomers of large conferences go where there are few. This shard's own may be old.
    pub fn set_loads(&mut self, loads: impl Iterator<Item = u32>) {
        self.loads.clear();
        self.loads.extend(loads.take(usize::from(self.config.shards)));
    }

    /// Whether conferences of this shard may have parts on others.
    pub(crate) fn spreads(&self) -> bool {
        self.config.shards > 1 && self.config.spread_above > 0
    }

    /// The way to another shard for a conference whose home is here; a new one if there is none.
    pub(crate) fn way_to(
        &mut self,
        now: Instant,
        key: ConferenceKey,
        shard: u16,
        out: &mut dyn DatagramSink,
    ) -> Option<EndpointKey> {
        let conference = self.conferences.get(key.0 as usize)?;
        let ways = &self.endpoints.ways;
        let leads = |way: &&EndpointKey| ways.get(**way).is_some_and(|w| w.shard == shard);
        if let Some(way) = conference.ways.iter().find(leads) {
            return Some(*way);
        }
        self.last_part += 1;
        let part = PartKey { home: self.config.index, number: self.last_part };
        let beginning = Beginning {
            meeting: conference.meeting.clone(),
            home: conference.id.clone(),
            statistics: conference.statistics,
            feedback: conference.feedback,
            media: conference.media_known.clone(),
        };
        let people = self.everybody_known(conference);
        let way = self.begin_way(
            now,
            key,
            Way { part, shard, conference: key, people: 0 },
            |shard, way| {
                shard.tell(way, News::Begin(Box::new(beginning)));
                people.into_iter().for_each(|person| shard.tell(way, News::Known(Box::new(person))));
            },
            out,
        );
        self.endpoints.counters.parts_created += 1;
        Some(way)
    }

    /// A way for the media part, once the other end has been told what comes `first`.
    fn begin_way(
        &mut self,
        now: Instant,
        key: ConferenceKey,
        way: Way,
        first: impl FnOnce(&mut Self, EndpointKey),
        out: &mut dyn DatagramSink,
    ) -> EndpointKey {
        // No relay's mesh can be named so, as no XML can say it: between a way and all others everything is passed on.
        let mesh = Some(format!("\0{}.{}", way.part.home, way.part.number));
        let way = self.endpoints.ways.add(way);
        first(self, way);
        if let Some(c) = self.conferences.get_mut(key.0 as usize) {
            c.ways.push(way);
            c.media.add_relay(now, way, RelayInit { id: String::new(), mesh });
            c.media.set_part(way);
            for media in &c.media_known {
                c.media.add_payload_types(way, media.kind, &media.payload_types);
            }
            let mut outlet = outlet(now, &mut self.endpoints, out);
            c.media.set_transport_up(now, way, true, &mut outlet);
            c.media.set_channel_open(now, way, true, &mut outlet);
        }
        way
    }

    /// A part of a conference whose home is on the shard `from`.
    fn begin_part(
        &mut self,
        now: Instant,
        (from, part): (u16, PartKey),
        beginning: Beginning,
        out: &mut dyn DatagramSink,
    ) {
        if self.conferences.len() >= crate::limits::MAX_CONFERENCES {
            let news = Box::new(PartNews(News::Failed));
            return self.endpoints.event(Event::PartNews { shard: from, part, news });
        }
        let Beginning { meeting, home, statistics, feedback, media } = beginning;
        let key = self.add_conference(now, meeting, statistics, feedback, Some(home));
        self.at_work = Some(key);
        if let Some(c) = self.conferences.get_mut(key.0 as usize) {
            c.media_known = media;
        }
        self.begin_way(now, key, Way { part, shard: from, conference: key, people: 0 }, |_, _| {}, out);
        self.arm_conference(key);
    }

    /// What the home of a conference wants of one endpoint here.
    fn carry_out(
        &mut self,
        now: Instant,
        at: Option<(EndpointKey, ConferenceKey)>,
        order: Order,
        out: &mut dyn DatagramSink,
    ) {
        let Order { request, wanted, mut answer, at: entry } = order;
        let known = at.is_some_and(|(_, key)| self.has_endpoint(key, &wanted.id));
        let full = self.endpoints.slab.len() >= crate::limits::MAX_ENDPOINTS;
        let result = match at {
            Some((_, key)) if known || (wanted.create && !full) => {
                let one = self.modify_endpoint(now, key, &wanted, request.0, out);
                if let Some(entry) = answer.endpoints.get_mut(entry) {
                    *entry = one;
                }
                Ok(Box::new(answer))
            }
            Some((way, _)) if wanted.create => {
                self.tell(way, News::Gone { id: wanted.id, creation: request.0 });
                Err(Box::new(crate::colibri2::full()))
            }
            _ => Err(Box::new(crate::colibri2::unknown(&wanted.id))),
        };
        self.endpoints.event(Event::Colibri2Reply { request, result });
    }

    /// Somebody is behind a way, or has other sources than before.
    fn know(
        &mut self,
        now: Instant,
        key: ConferenceKey,
        way: EndpointKey,
        person: &Person,
        out: &mut dyn DatagramSink,
    ) {
        let Some(c) = self.conferences.get_mut(key.0 as usize) else { return };
        // The focus may have taken them away, or moved them, meanwhile.
        let is_there = |e: &Elsewhere| e.way == way && e.creation == person.creation;
        if c.is_home() && !c.elsewhere.get(&person.id).is_some_and(is_there) {
            return;
        }
        let mut outlet = outlet(now, &mut self.endpoints, out);
        let before = c.remotes.get(&person.id).map(|remote| remote.relay).filter(|before| *before != way);
        if let Some(before) = before {
            c.media.remove_remote_endpoint(now, before, &person.id, &mut outlet);
        }
        // Whoever only listens is nobody to the media part here: an audience costs little.
        let concerns = !person.sources.is_empty() || c.media.has_remote(way, &person.id);
        if concerns && !c.media.set_remote_endpoint(now, way, &person.id, &person.sources, &mut outlet) {
            return self.endpoints.counters.discard(Discard::RelayEndpoint);
        }
        c.media.set_remote_diarize(way, &person.id, person.diarize);
        let remote = Remote {
            relay: way,
            reachable: person.reachable,
            sources: Arc::clone(&person.sources),
            diarize: person.diarize,
        };
        c.remotes.insert(person.id.clone(), remote);
        if c.is_home() && before.is_some() {
            self.tell(way, News::Gone { id: person.id.clone(), creation: 0 });
        }
        self.tell_all(key, Some(way), || News::Known(Box::new(person.clone())));
    }

    /// Somebody is not behind a way any more.
    fn gone(
        &mut self,
        now: Instant,
        key: ConferenceKey,
        way: EndpointKey,
        (id, creation): (&EndpointId, u64),
        out: &mut dyn DatagramSink,
    ) {
        let Some(c) = self.conferences.get_mut(key.0 as usize) else { return };
        if c.elsewhere.get(id).is_some_and(|e| e.way == way && e.creation == creation) {
            self.forget_elsewhere(key, id);
        }
        self.remove_remote(now, key, way, id, out);
        self.close_unused(now, key, way, out);
    }

    /// At the home: somebody is not in another part any more.
    pub(crate) fn forget_elsewhere(&mut self, key: ConferenceKey, id: &EndpointId) {
        let Some(c) = self.conferences.get_mut(key.0 as usize) else { return };
        let way = c.elsewhere.remove(id).and_then(|e| self.endpoints.ways.get_mut(e.way));
        if let Some(way) = way {
            way.people = way.people.saturating_sub(1);
        }
    }

    /// A part that nobody is in costs what all parts cost: it ends.
    pub(crate) fn close_unused(
        &mut self,
        now: Instant,
        key: ConferenceKey,
        way: EndpointKey,
        out: &mut dyn DatagramSink,
    ) {
        let is_home = self.conferences.get(key.0 as usize).is_some_and(Conference::is_home);
        if is_home && self.endpoints.ways.get(way).is_some_and(|w| w.people == 0) {
            self.tell(way, News::End);
            self.remove_way(now, key, way, out);
        }
    }

    /// At the home: nothing more comes over a way.
    fn remove_way(&mut self, now: Instant, key: ConferenceKey, way: EndpointKey, out: &mut dyn DatagramSink) {
        self.endpoints.ways.remove(way);
        let Some(c) = self.conferences.get_mut(key.0 as usize) else { return };
        c.ways.retain(|w| *w != way);
        c.elsewhere.retain(|_, e| e.way != way);
        self.remove_relay(now, key, way, out);
    }

    /// Removes a relay, or a way, with everybody behind it.
    pub(crate) fn remove_relay(
        &mut self,
        now: Instant,
        key: ConferenceKey,
        relay: EndpointKey,
        out: &mut dyn DatagramSink,
    ) {
        let Some(c) = self.conferences.get_mut(key.0 as usize) else { return };
        let mut gone = Vec::new();
        c.remotes.retain(|id, remote| {
            let stays = remote.relay != relay;
            gone.extend((!stays).then(|| id.clone()));
            stays
        });
        c.media.remove_relay(now, relay, &mut outlet(now, &mut self.endpoints, out));
        for id in gone {
            self.tell_all(key, None, || News::Gone { id: id.clone(), creation: 0 });
        }
    }

    /// A fault has cost a part everybody who was there: the others go on, and whoever asked for them is told.
    fn part_failed(
        &mut self,
        now: Instant,
        key: ConferenceKey,
        way: EndpointKey,
        out: &mut dyn DatagramSink,
    ) {
        let Some(c) = self.conferences.get(key.0 as usize).filter(|c| c.is_home()) else { return };
        let meeting = c.meeting.clone();
        let there = c.elsewhere.iter().filter(|(_, e)| e.way == way);
        let endpoints: Vec<_> = there.map(|(id, _)| id.clone()).collect();
        self.remove_way(now, key, way, out);
        self.endpoints.event(Event::EndpointsFailed { meeting, endpoints });
    }

    fn part_said(
        &mut self,
        now: Instant,
        key: ConferenceKey,
        way: EndpointKey,
        message: &ChannelMessage,
        out: &mut dyn DatagramSink,
    ) -> Result<(), Discard> {
        match message {
            ChannelMessage::State(message) => self.take_relay_message(now, (key, way), message, out),
            ChannelMessage::Chatter(text) => {
                let message = BridgeMessage::parse(text).map_err(|_| Discard::MalformedMessage)?;
                self.take_relay_message(now, (key, way), &message, out)
            }
        }
    }

    /// Codecs that somebody has: over a way goes what anybody knows. Each of the clients' kinds is said once.
    pub(crate) fn learn_media(&mut self, key: ConferenceKey, from: Option<EndpointKey>, media: &[Media]) {
        if !self.spreads() {
            return;
        }
        let Some(c) = self.conferences.get_mut(key.0 as usize) else { return };
        let mut new = Vec::new();
        for one in media.iter().filter(|m| !m.payload_types.is_empty()) {
            let same = |m: &Media| m.kind == one.kind && m.payload_types == one.payload_types;
            if !c.media_known.iter().chain(&new).any(same) {
                new.push(Media { header_extensions: Vec::new(), ..one.clone() });
            }
        }
        if new.is_empty() {
            return;
        }
        let room = MAX_PART_MEDIA.saturating_sub(c.media_known.len());
        c.media_known.extend(new.iter().take(room).cloned());
        for way in &c.ways {
            new.iter().for_each(|m| c.media.add_payload_types(*way, m.kind, &m.payload_types));
        }
        self.tell_all(key, from, || News::Media(new.clone()));
    }

    /// Tells the other parts about an endpoint here.
    pub(crate) fn tell_of(&mut self, key: ConferenceKey, endpoint: EndpointKey) {
        let Some(person) = self.person(endpoint) else { return };
        self.tell_all(key, None, || News::Known(Box::new(person.clone())));
    }

    fn person(&self, endpoint: EndpointKey) -> Option<Person> {
        let e = self.endpoints.get(endpoint)?;
        Some(Person {
            id: e.id.clone(),
            creation: e.shown.creation,
            sources: Arc::clone(&e.shown.sources),
            diarize: e.shown.diarize,
            reachable: e.reachable || e.visitor,
        })
    }

    /// Who is in a conference, as a part that begins is told.
    fn everybody_known(&self, c: &Conference) -> Vec<Person> {
        let here = c.others(None).filter_map(|key| self.person(key));
        let elsewhere = c.remotes.iter().map(|(id, remote)| Person {
            id: id.clone(),
            creation: 0,
            sources: Arc::clone(&remote.sources),
            diarize: remote.diarize,
            reachable: remote.reachable,
        });
        here.chain(elsewhere).collect()
    }

    /// Tells all other parts but `except`.
    pub(crate) fn tell_all(
        &mut self,
        key: ConferenceKey,
        except: Option<EndpointKey>,
        news: impl Fn() -> News,
    ) {
        let Some(c) = self.conferences.get(key.0 as usize) else { return };
        for way in c.ways.iter().filter(|way| Some(**way) != except) {
            self.endpoints.tell(*way, news());
        }
    }

    pub(crate) fn tell(&mut self, way: EndpointKey, news: News) {
        self.endpoints.tell(way, news);
    }

    fn has_endpoint(&self, key: ConferenceKey, id: &EndpointId) -> bool {
        self.conferences.get(key.0 as usize).is_some_and(|c| c.endpoints.contains_key(id))
    }
}

#[cfg(test)]
mod tests {
    use jitsi_xmpp::colibri2::{ConferenceModify, Endpoint, capability};
    use jitsi_xmpp::entropy::SeededEntropy;
    use jitsi_xmpp::ids::{MediaType, MeetingId};
    use jitsi_xmpp::jingle::PayloadType;

    use super::*;
    use crate::{Certificate, Command, LocalAddress, RequestId, ShardConfig};

    struct Nowhere;

    impl DatagramSink for Nowhere {
        fn send(
            &mut self,
            _: std::net::SocketAddr,
            _: std::net::SocketAddr,
            _: usize,
            _: &mut dyn FnMut(&mut [u8]) -> usize,
        ) {
        }
    }

    #[test]
    fn so_many_kinds_of_clients_are_remembered_for_parts_to_come_each_once() {
        let address = LocalAddress::new("127.0.0.1:10000".parse().unwrap());
        let mut config = ShardConfig::new(vec![address], Certificate::generate().unwrap());
        (config.shards, config.spread_above) = (2, 100);
        let mut shard = Shard::new(config, Box::new(SeededEntropy::new(1))).unwrap();
        for n in 0..=MAX_PART_MEDIA {
            let media = |rate: usize| Media {
                kind: MediaType::Audio,
                payload_types: vec![PayloadType::new(111, "opus", u32::try_from(rate).unwrap(), 2)],
                header_extensions: Vec::new(),
                extmap_allow_mixed: true,
            };
            let endpoint = Endpoint {
                create: n == 0,
                capabilities: vec![capability::SOURCE_NAMES.to_owned()],
                transport: (n == 0).then(Default::default),
                media: vec![media(8_000 + n), media(8_000)],
                ..Endpoint::new(EndpointId::new("a"))
            };
            let mut modify = ConferenceModify::new(MeetingId::new("m"));
            (modify.create, modify.endpoints) = (n == 0, vec![endpoint]);
            let (request, modify) = (RequestId(n as u64), Box::new(modify));
            shard.handle_command(Instant::now(), Command::Colibri2 { request, modify }, &mut Nowhere);
            let known = shard.conferences.iter().next().unwrap().1.media_known.len();
            assert_eq!(known, (n + 1).min(MAX_PART_MEDIA), "{n}");
        }
    }
}
