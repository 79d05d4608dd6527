//! A shard, clients and the network between them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jitsi_xmpp::colibri2::{ConferenceModified, ConferenceModify};
use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::ids::Ssrc;
use jitsi_xmpp::jingle::{Semantics, Setup, SsrcGroup};
use peer::Wire;
use peer::describe::{audio_source, endpoint, new_endpoint, remote_transport, request, video_source};
use videobridge_core::{Certificate, Command, Event, LocalAddress, RequestId, Shard, ShardConfig};

use crate::client::{Client, Heard, Role};
use crate::offer::{Sent, offer};

/// Client and datagram in; whether it arrives out.
type Way = Box<dyn FnMut(usize, &[u8]) -> bool>;

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) shard: Shard,
    pub(crate) clients: Vec<Client>,
    /// Whether a datagram of the bridge to this client arrives.
    pub(crate) arrives: Way,
    requests: u64,
}

impl World {
    /// Two who send to each other and are connected.
    pub(crate) fn of_two(roles: [Role; 2]) -> Self {
        let config = ShardConfig::new(vec![LocalAddress::new(bridge())], Certificate::generate().unwrap());
        let mut it = Self {
            now: Instant::now(),
            shard: Shard::new(config, Box::new(SeededEntropy::new(42))).unwrap(),
            clients: Vec::new(),
            arrives: Box::new(|_, _| true),
            requests: 0,
        };
        for (n, role) in roles.into_iter().enumerate() {
            it.join(n, role);
        }
        for _ in 0..100 {
            it.run(Duration::from_millis(50));
            if it.clients.iter().all(|c| c.connected && (c.channel.is_some() || !c.opens_a_channel())) {
                it.want_pictures();
                return it;
            }
        }
        panic!("not connected: {:?}\n{:?}", it.clients, it.shard.counters());
    }

    fn join(&mut self, n: usize, role: Role) {
        let id = format!("abcdef0{n}");
        let address = SocketAddr::from(([127, 0, 0, 1], 50_000 + u16::try_from(n).unwrap()));
        let mut create = new_endpoint(&id, true);
        // Everybody hears the others' SSRCs as they are.
        create.capabilities.truncate(1);
        let created = self.modify(request(n == 0, vec![create]));
        let ice = created.endpoints[0].transport.as_ref().unwrap().ice.as_ref().unwrap();
        let text = offer(bridge(), ice, &[sends(1 - n)]);
        let (client, answer) = Client::answering(self.now, address, sends(n), role, &text);
        let line = |name: &str| {
            let found = answer
                .lines()
                .find_map(|l| l.strip_prefix(name))
                .unwrap_or_else(|| panic!("no {name} in {answer}"));
            found.trim().to_owned()
        };
        let setup = if role == Role::Active { Setup::Active } else { Setup::Passive };
        assert_eq!(line("a=setup:"), if role == Role::Active { "active" } else { "passive" });
        let mut update = endpoint(&id);
        let fingerprint = line("a=fingerprint:sha-256 ");
        update.transport =
            Some(remote_transport(&line("a=ice-ufrag:"), &line("a=ice-pwd:"), &fingerprint, setup));
        let Sent { audio, video, rtx } = sends(n);
        let mut camera = video_source(&format!("{id}-v0"), video);
        camera.ssrc_groups =
            vec![SsrcGroup { semantics: Semantics::Fid, ssrcs: vec![Ssrc(video), Ssrc(rtx)] }];
        update.sources = Some(vec![audio_source(&format!("{id}-a0"), audio), camera]);
        self.clients.push(client);
        self.modify(request(false, vec![update]));
    }

    /// As the client library says it, over the channel.
    fn want_pictures(&mut self) {
        let now = self.now;
        for client in self.clients.iter_mut().filter(|c| c.channel.is_some()) {
            client.say(now, r#"{"colibriClass":"ReceiverVideoConstraints","lastN":-1,"defaultConstraints":{"maxHeight":720}}"#);
        }
        self.run(Duration::from_millis(100));
    }

    fn modify(&mut self, modify: ConferenceModify) -> ConferenceModified {
        self.requests += 1;
        let mut wire = Wire::default();
        let command = Command::Colibri2 { request: RequestId(self.requests), modify: Box::new(modify) };
        self.shard.handle_command(self.now, command, &mut wire);
        self.settle(wire);
        while let Some(event) = self.shard.poll_event() {
            if let Event::Colibri2Reply { result, .. } = event {
                return *result.unwrap();
            }
        }
        panic!("no reply")
    }

    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now += Duration::from_millis(5);
            for client in &mut self.clients {
                client.tick(self.now);
            }
            let mut wire = Wire::default();
            if self.shard.poll_timeout().is_some_and(|at| at <= self.now) {
                self.shard.handle_timeout(self.now, &mut wire);
            }
            self.settle(wire);
        }
    }

    /// Delivers datagrams until there are none.
    pub(crate) fn settle(&mut self, mut wire: Wire) {
        loop {
            for (to, _, data) in std::mem::take(&mut wire.0) {
                let found = self.clients.iter_mut().enumerate().find(|(_, c)| c.address == to);
                if let Some((n, client)) = found
                    && (self.arrives)(n, &data)
                {
                    client.receive(self.now, bridge(), &data);
                }
            }
            for client in &mut self.clients {
                while let Some(mut data) = client.send() {
                    self.shard.handle_datagram(self.now, client.address, bridge(), &mut data, &mut wire);
                }
            }
            if wire.0.is_empty() {
                return;
            }
        }
    }

    /// Payloads of the packets with this SSRC that a client has heard, in its order.
    pub(crate) fn payloads(&self, client: usize, ssrc: u32) -> Vec<Vec<u8>> {
        let heard = self.clients[client].heard.iter();
        heard
            .filter_map(|h| match h {
                Heard::Rtp(p) if p.header.ssrc == ssrc => Some(p.payload.to_vec()),
                _ => None,
            })
            .collect()
    }

    /// What a client was told, by kind.
    pub(crate) fn kinds(&self, client: usize) -> Vec<String> {
        let heard = self.clients[client].heard.iter();
        heard
            .filter_map(|h| if let Heard::Rtcp(r) = h { Some(r.chars().take(90).collect()) } else { None })
            .collect()
    }

    /// How often a client was told something like this.
    pub(crate) fn reports(&self, client: usize, like: &str) -> usize {
        self.clients[client].heard.iter().filter(|h| matches!(h, Heard::Rtcp(r) if r.contains(like))).count()
    }

    pub(crate) fn texts(&self, client: usize) -> Vec<&str> {
        let heard = self.clients[client].heard.iter();
        heard.filter_map(|h| if let Heard::Text(t) = h { Some(t.as_str()) } else { None }).collect()
    }
}

pub(crate) fn sends(n: usize) -> Sent {
    let base = 1_000 * (u32::try_from(n).unwrap() + 1);
    Sent { audio: base + 1, video: base + 2, rtx: base + 3 }
}

fn bridge() -> SocketAddr {
    "127.0.0.1:10000".parse().unwrap()
}
