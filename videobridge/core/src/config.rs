//! What a shard has to be told at its start: addresses, certificate, names, media settings.

use std::net::SocketAddr;

use crate::Certificate;
use crate::media::MediaConfig;

/// Settings of one shard. All shards of a process get the same but for [`ShardConfig::index`].
#[derive(Debug, Clone)]
pub struct ShardConfig {
    /// Which shard this is, 0–1023. It is part of every `ufrag` and internal conference id, so that a shell with
    /// several shards can tell whom a first packet or a WebSocket belongs to.
    pub index: u16,
    /// How many shards there are.
    pub shards: u16,
    /// With so many participants a conference's newcomers may get a part of it on another shard; 0: never.
    pub spread_above: usize,
    /// The media sockets. At least one.
    pub addresses: Vec<LocalAddress>,
    /// `videobridge.ice.advertise-private-candidates`.
    pub advertise_private_candidates: bool,
    /// The DTLS certificate that endpoints are shown, until there is a newer one.
    pub certificate: Certificate,
    /// How clients reach the WebSocket bridge channel; `None` = not offered.
    pub web_sockets: Option<WebSocketConfig>,
    /// `videobridge.sctp.enabled`.
    pub sctp_enabled: bool,
    /// `relay.relay-id`: who we are to other bridges; `None` = conferences stay on this bridge.
    pub relay_id: Option<String>,
    /// Whether a path is looked for anew on request, beside the old one (`videobridge.ice.restart.enabled`).
    pub ice_restart: bool,
    /// `ServerHello` carries this version if set (`videobridge.version.announce`).
    pub announced_version: Option<String>,
    /// Whether [`crate::Event::AddressBound`] and [`crate::Event::AddressReleased`] are wanted: only a shell with
    /// several shards needs them.
    pub report_addresses: bool,
    /// `stats-filter-threshold`.
    pub stats_filter_threshold: usize,
    /// Settings of the media part.
    pub media: MediaConfig,
}

/// One media socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalAddress {
    /// The address datagrams arrive at, never a wildcard: a shell that binds to one finds out the real address
    /// (`IP_PKTINFO`) or knows there is only one.
    pub socket: SocketAddr,
    /// Public addresses in front of it (`static-mappings`), advertised as `srflx`.
    pub public: Vec<SocketAddr>,
    /// Connections are taken at the same addresses.
    pub tcp: Option<TcpPorts>,
}

/// Where TCP connections for media are taken (RFC 6544).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpPorts {
    /// Ours.
    pub own: u16,
    /// The one that leads to it at public addresses.
    pub public: u16,
}

/// Where the WebSocket bridge channel is: `wss://<domain>/colibri-ws/<server-id>/…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSocketConfig {
    /// `videobridge.websockets.domains`, each with its port if it is not the default.
    pub domains: Vec<String>,
    /// `videobridge.websockets.server-id`.
    pub server_id: String,
    /// `videobridge.websockets.tls`: `wss` or `ws`.
    pub tls: bool,
}

impl ShardConfig {
    /// Upstream's defaults with these sockets and this certificate.
    pub fn new(addresses: Vec<LocalAddress>, certificate: Certificate) -> Self {
        Self {
            index: 0,
            shards: 1,
            spread_above: 0,
            addresses,
            advertise_private_candidates: true,
            certificate,
            web_sockets: None,
            sctp_enabled: true,
            relay_id: None,
            ice_restart: true,
            announced_version: None,
            report_addresses: false,
            stats_filter_threshold: crate::limits::STATS_FILTER_THRESHOLD,
            media: MediaConfig::default(),
        }
    }
}

impl LocalAddress {
    /// A socket without a public address in front of it.
    pub fn new(socket: SocketAddr) -> Self {
        Self { socket, public: Vec::new(), tcp: None }
    }

    /// Where connections are taken, if they are.
    pub fn tcp_socket(&self) -> Option<SocketAddr> {
        self.tcp.map(|ports| SocketAddr::new(self.socket.ip(), ports.own))
    }
}
