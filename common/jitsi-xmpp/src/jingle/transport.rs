//! The ICE-UDP transport (XEP-0176, -0320, -0343): elements in and out. Shared by Jingle and Colibri2.

use crate::sensitive::Sensitive;
use crate::words::words;

words! {
    /// Where a candidate comes from, RFC 8445 §4.
    CandidateType {
        /// An own interface.
        Host = "host",
        /// As seen by the peer.
        Prflx = "prflx",
        /// On a TURN server.
        Relay = "relay",
        /// As seen by a STUN server, or configured.
        Srflx = "srflx",
    }
}

words! {
    /// Who opens DTLS, RFC 4145 §4.
    Setup {
        /// Opens it: DTLS client.
        Active = "active",
        /// Either; the answerer chooses.
        Actpass = "actpass",
        /// Not yet.
        Holdconn = "holdconn",
        /// Waits: DTLS server.
        Passive = "passive",
    }
}

/// `candidate`: an address that may work.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// 1 = RTP (and, multiplexed, RTCP).
    pub component: u8,
    /// RFC 8445 §5.1.1.3.
    pub foundation: String,
    /// Counts ICE restarts.
    pub generation: u32,
    /// Unique per session.
    pub id: String,
    /// An IP address, or a `.local` name.
    pub ip: Sensitive<String>,
    /// The interface's index.
    pub network: Option<u32>,
    /// UDP or TCP port.
    pub port: u16,
    /// RFC 8445 §5.1.2.
    pub priority: u32,
    /// `udp`, `tcp` or `ssltcp`.
    pub protocol: String,
    /// Kind.
    pub kind: CandidateType,
    /// The base of a reflexive candidate.
    pub rel_addr: Option<Sensitive<String>>,
    /// The base of a reflexive candidate.
    pub rel_port: Option<u16>,
    /// `active`, `passive` or `so` for TCP.
    pub tcptype: Option<String>,
}

/// `fingerprint` of the DTLS certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// `sha-256` …; compare case-insensitively.
    pub hash: String,
    /// The digest in hex with colons.
    pub value: String,
    /// DTLS role.
    pub setup: Option<Setup>,
    /// Whether DTLS is required; nobody evaluates it.
    pub required: Option<bool>,
    /// RFC 9335: header extensions and CSRCs may be encrypted.
    pub cryptex: bool,
}

/// `web-socket`: the bridge channel's fallback transport.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WebSocket {
    /// Where; holds the endpoint's password. Absent between bridges.
    pub url: Option<Sensitive<String>>,
    /// Between bridges: who opens it.
    pub active: bool,
}

/// `sctpmap`: the data channel's association.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SctpMap {
    /// SCTP port, 5000.
    pub number: u16,
    /// `webrtc-datachannel`.
    pub protocol: String,
    /// Most streams.
    pub streams: Option<u32>,
}

/// `transport` of the ICE-UDP namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IceUdpTransport {
    /// ICE user name fragment.
    pub ufrag: Option<String>,
    /// ICE password.
    pub pwd: Option<Sensitive<String>>,
    /// Set only for an ICE restart in place.
    pub ice_generation: Option<u32>,
    /// RTP and RTCP on one port.
    pub rtcp_mux: bool,
    /// Certificate fingerprints.
    pub fingerprints: Vec<Fingerprint>,
    /// Addresses.
    pub candidates: Vec<Candidate>,
    /// Bridge channel URLs.
    pub web_sockets: Vec<WebSocket>,
    /// Present in the `data` content only.
    pub sctp_map: Option<SctpMap>,
}
