//! Our side of a transport as the focus passes it on to the client or to another bridge: credentials, candidates,
//! fingerprint, channels.

use std::net::{IpAddr, SocketAddr};

use jitsi_xmpp::Sensitive;
use jitsi_xmpp::colibri2::{self, Sctp, SctpRole};
use jitsi_xmpp::jingle::{Candidate, CandidateType, Fingerprint, IceUdpTransport, Setup, WebSocket};

use super::SCTP_PORT;
use crate::command::ConferenceKey;
use crate::config::{LocalAddress, WebSocketConfig};
use crate::endpoint::Endpoint;
use crate::media::EndpointKey;
use crate::shard::Shard;
use crate::transport::{Carrier, Role};

impl Shard {
    /// `None`: there is no such endpoint.
    pub(super) fn describe_transport(
        &self,
        conference: ConferenceKey,
        key: EndpointKey,
    ) -> Option<colibri2::Transport> {
        let endpoint = self.endpoints.get(key)?;
        let conference = self.conferences.get(conference.0 as usize)?;
        let web_sockets = self
            .config
            .web_sockets
            .as_ref()
            .map_or_else(Vec::new, |config| urls(config, "colibri-ws", &conference.id, endpoint));
        let ice = self.describe_ice(endpoint, endpoint.transport.local_credentials(), None);
        Some(colibri2::Transport {
            sctp: endpoint
                .transport
                .has_sctp()
                .then_some(Sctp { port: Some(SCTP_PORT), role: Some(SctpRole::Server) }),
            ice: Some(IceUdpTransport { web_sockets, ..ice }),
            ..colibri2::Transport::default()
        })
    }

    /// Where another bridge opens its channel.
    pub(super) fn relay_urls(&self, conference: ConferenceKey, relay: &Endpoint) -> Vec<WebSocket> {
        let conference = self.conferences.get(conference.0 as usize);
        let both = self.config.web_sockets.as_ref().zip(conference);
        both.map_or_else(Vec::new, |(config, c)| urls(config, "colibri-relay-ws", &c.id, relay))
    }

    /// What is new with ICE restart `generation`; without one, what holds. Channels stay as they are.
    pub(super) fn describe_restart(
        &self,
        key: EndpointKey,
        generation: Option<u32>,
    ) -> Option<colibri2::Transport> {
        let endpoint = self.endpoints.get(key)?;
        let credentials = match generation {
            Some(_) => endpoint.transport.restart_credentials()?,
            None => endpoint.transport.local_credentials(),
        };
        let ice = self.describe_ice(endpoint, credentials, generation);
        Some(colibri2::Transport { ice: Some(ice), ..colibri2::Transport::default() })
    }

    pub(super) fn describe_ice(
        &self,
        endpoint: &Endpoint,
        (ufrag, pwd): (&str, &str),
        ice_generation: Option<u32>,
    ) -> IceUdpTransport {
        let private = self.config.advertise_private_candidates || endpoint.private_addresses;
        let setup = match endpoint.transport.role() {
            None => Setup::Actpass,
            Some(Role::Client) => Setup::Active,
            Some(Role::Server) => Setup::Passive,
        };
        let own = endpoint.relay.as_ref().map(|relay| &relay.sockets).filter(|own| !own.is_empty());
        IceUdpTransport {
            ufrag: Some(ufrag.to_owned()),
            pwd: Some(Sensitive::new(pwd.to_owned())),
            ice_generation,
            rtcp_mux: true,
            fingerprints: vec![Fingerprint {
                hash: "sha-256".to_owned(),
                value: endpoint.transport.own_fingerprint().to_owned(),
                setup: Some(setup),
                required: None,
                cryptex: false,
            }],
            candidates: candidates(own.unwrap_or(&self.config.addresses), private, ufrag),
            ..IceUdpTransport::default()
        }
    }
}

/// One `host` candidate per socket and one `srflx` per public address in front of it. Loopback and link-local addresses
/// are for nobody else, as upstream; they are told only when there is nothing else, so that a machine without a network
/// can talk to itself.
fn candidates(addresses: &[LocalAddress], private: bool, ufrag: &str) -> Vec<Candidate> {
    let mut out: Vec<Candidate> = Vec::new();
    let mut add = |carrier, kind, address: SocketAddr, index: u32, base: Option<(Sensitive<String>, u16)>| {
        let number = out.len() + 1;
        let (rel_addr, rel_port) = base.unzip();
        out.push(Candidate {
            component: 1,
            foundation: number.to_string(),
            generation: 0,
            id: format!("{ufrag}{number}"),
            ip: Sensitive::new(address.ip().to_string()),
            network: Some(0),
            port: address.port(),
            priority: priority(carrier, kind, index),
            protocol: if carrier == Carrier::Udp { "udp" } else { "tcp" }.to_owned(),
            kind,
            rel_addr,
            rel_port,
            tcptype: (carrier == Carrier::Tcp).then(|| "passive".to_owned()),
        });
    };
    let alone = addresses.iter().all(|a| is_local(a.socket.ip()));
    let mut told: Vec<SocketAddr> = Vec::new();
    for (index, address) in (0..).zip(addresses.iter().filter(|a| alone || !is_local(a.socket.ip()))) {
        let shown = private || !is_private(address.socket.ip());
        if shown {
            add(Carrier::Udp, CandidateType::Host, address.socket, index, None);
        }
        for public in &address.public {
            let base = if shown {
                (address.socket.ip().to_string(), address.socket.port())
            } else {
                // The inside of the network is nobody's business (bridge §3.1).
                ("0.0.0.0".to_owned(), 9)
            };
            // Once, however many interfaces the machine has: it would be tried from each client as often.
            if told.contains(public) {
                continue;
            }
            told.push(*public);
            add(Carrier::Udp, CandidateType::Srflx, *public, index, Some((Sensitive::new(base.0), base.1)));
        }
    }
    let mut told_tcp: Vec<SocketAddr> = Vec::new();
    for (index, address) in (0..).zip(addresses.iter().filter(|a| alone || !is_local(a.socket.ip()))) {
        let (Some(ports), Some(socket)) = (address.tcp, address.tcp_socket()) else { continue };
        let shown = private || !is_private(socket.ip());
        if shown {
            add(Carrier::Tcp, CandidateType::Host, socket, index, None);
        }
        for public in address.public.iter().map(|p| SocketAddr::new(p.ip(), ports.public)) {
            if told_tcp.contains(&public) {
                continue;
            }
            told_tcp.push(public);
            let (ip, port) =
                if shown { (socket.ip().to_string(), socket.port()) } else { ("0.0.0.0".to_owned(), 9) };
            add(Carrier::Tcp, CandidateType::Srflx, public, index, Some((Sensitive::new(ip), port)));
        }
    }
    out
}

/// RFC 8445 §5.1.2.1; the first socket gets the highest local preference. Connections come after all datagrams, and the passive side
/// says so (RFC 6544 §4.2).
fn priority(carrier: Carrier, kind: CandidateType, index: u32) -> u32 {
    let (kind, most) = match (carrier, kind) {
        (Carrier::Udp, CandidateType::Host) => (126_u32, 65_535_u32),
        (Carrier::Udp, _) => (100, 65_535),
        (Carrier::Tcp, CandidateType::Host) => (90, 4 << 13 | 8_191),
        (Carrier::Tcp, _) => (80, 4 << 13 | 8_191),
    };
    kind << 24 | most.saturating_sub(index) << 8 | 255
}

/// Of use on this machine or on its next cable only.
fn is_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
    }
}

/// RFC 1918, fec0::/10, fc00::/7.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => {
            let [first, ..] = v6.segments();
            first & 0xffc0 == 0xfec0 || first & 0xfe00 == 0xfc00
        }
    }
}

fn urls(config: &WebSocketConfig, path: &str, conference: &str, endpoint: &Endpoint) -> Vec<WebSocket> {
    of_one(config, path, conference, endpoint.id.as_str(), endpoint.password.reveal())
}

fn of_one(
    config: &WebSocketConfig,
    path: &str,
    conference: &str,
    id: &str,
    password: &str,
) -> Vec<WebSocket> {
    let scheme = if config.tls { "wss" } else { "ws" };
    let (server, id) = (percent_encoded(&config.server_id), percent_encoded(id));
    let url = |domain| format!("{scheme}://{domain}/{path}/{server}/{conference}/{id}?pwd={password}");
    config.domains.iter().map(|d| WebSocket { url: Some(Sensitive::new(url(d))), active: false }).collect()
}

/// RFC 3986 §2.3: everything but unreserved characters is encoded.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TcpPorts;

    fn address(socket: &str, public: &[&str]) -> LocalAddress {
        LocalAddress {
            socket: socket.parse().unwrap(),
            public: public.iter().map(|p| p.parse().unwrap()).collect(),
            tcp: None,
        }
    }

    #[test]
    fn candidates_as_upstream_describes_them() {
        let addresses =
            [address("10.0.0.5:10000", &["203.0.113.9:10001"]), address("[2001:db8::1]:10000", &[])];
        let c = candidates(&addresses, true, "x");
        let shape: Vec<_> = c.iter().map(|c| (c.kind, c.ip.reveal().as_str(), c.port, c.priority)).collect();
        assert_eq!(
            shape,
            [
                (CandidateType::Host, "10.0.0.5", 10000, 2_130_706_431),
                (CandidateType::Srflx, "203.0.113.9", 10001, 1_694_498_815),
                (CandidateType::Host, "2001:db8::1", 10000, 2_130_706_175),
            ]
        );
        assert_eq!(
            (c[1].rel_addr.as_ref().unwrap().reveal().as_str(), c[1].rel_port),
            ("10.0.0.5", Some(10000))
        );
    }

    #[test]
    fn connections_are_offered_after_all_datagrams_with_the_port_that_leads_to_them() {
        let mut one = address("10.0.0.5:10000", &["203.0.113.9:10001"]);
        one.tcp = Some(TcpPorts { own: 4443, public: 443 });
        let c = candidates(&[one, address("192.0.2.1:10000", &[])], true, "x");
        let tcp: Vec<_> = c.iter().filter(|c| c.protocol == "tcp").collect();
        let shape: Vec<_> = tcp.iter().map(|c| (c.kind, c.ip.reveal().as_str(), c.port)).collect();
        assert_eq!(
            shape,
            [(CandidateType::Host, "10.0.0.5", 4443), (CandidateType::Srflx, "203.0.113.9", 443)]
        );
        assert!(tcp.iter().all(|c| c.tcptype.as_deref() == Some("passive")));
        let best_tcp = tcp.iter().map(|c| c.priority).max();
        assert!(c.iter().filter(|c| c.protocol == "udp").all(|c| Some(c.priority) > best_tcp));
        let mut ids: Vec<_> = c.iter().map(|c| &c.id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), c.len());
    }

    #[test]
    fn compat_loopback_and_link_local_addresses_are_told_only_when_there_is_nothing_else() {
        let told = |sockets: &[&str]| -> Vec<String> {
            let addresses: Vec<_> = sockets.iter().map(|s| address(s, &[])).collect();
            candidates(&addresses, true, "x").iter().map(|c| c.ip.reveal().clone()).collect()
        };
        let local = ["127.0.0.1:1", "[::1]:1", "169.254.7.7:1", "[fe80::1]:1"];
        assert_eq!(told(&local).len(), 4, "a machine by itself");
        assert_eq!(
            told(&[&local[..], &["192.0.2.1:1", "[2001:db8::1]:1"]].concat()),
            ["192.0.2.1", "2001:db8::1"]
        );
        // The address of a bridge of docker is like any other, as with a stock bridge.
        assert_eq!(told(&["127.0.0.1:1", "172.17.0.1:1"]), ["172.17.0.1"]);
    }

    #[test]
    fn private_addresses_can_be_kept_from_clients() {
        let addresses =
            [address("192.168.1.2:10000", &["203.0.113.9:10000"]), address("[fd00::1]:10000", &[])];
        let c = candidates(&addresses, false, "x");
        assert_eq!(c.len(), 1);
        assert_eq!((c[0].rel_addr.as_ref().unwrap().reveal().as_str(), c[0].rel_port), ("0.0.0.0", Some(9)));
    }

    #[test]
    fn urls_hold_the_password_and_are_encoded() {
        let config = WebSocketConfig {
            domains: vec!["meet.example:443".into()],
            server_id: "jvb 1".into(),
            tls: true,
        };
        let url = of_one(&config, "colibri-ws", "00abc", "a/b", "secret");
        let url = url[0].url.as_ref().unwrap().reveal().as_str();
        assert_eq!(url, "wss://meet.example:443/colibri-ws/jvb%201/00abc/a%2Fb?pwd=secret");
    }
}
