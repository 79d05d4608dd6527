//! The ICE-UDP transport (XEP-0176, -0320, -0343): elements in and out. Shared by Jingle and Colibri2.

use crate::ns;
use crate::parse::{ParseError, boolean, expect, number, optional, required, word};
use crate::sensitive::Sensitive;
use crate::words::words;
use crate::xml::Element;

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

impl Candidate {
    /// Reads `candidate`, whatever its namespace.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        const C: &str = "candidate";
        Ok(Self {
            component: optional(e, C, "component")?.unwrap_or(1),
            foundation: e.attr("foundation").unwrap_or_default().to_owned(),
            generation: optional(e, C, "generation")?.unwrap_or(0),
            id: e.attr("id").unwrap_or_default().to_owned(),
            ip: Sensitive::new(required(e, C, "ip")?.to_owned()),
            network: optional(e, C, "network")?,
            port: number(e, C, "port")?,
            priority: optional(e, C, "priority")?.unwrap_or(0),
            protocol: e.attr("protocol").unwrap_or("udp").to_ascii_lowercase(),
            kind: word(e, C, "type", CandidateType::parse)?.unwrap_or(CandidateType::Host),
            rel_addr: e.attr("rel-addr").map(|a| Sensitive::new(a.to_owned())),
            rel_port: optional(e, C, "rel-port")?,
            tcptype: e.attr("tcptype").map(str::to_owned),
        })
    }

    /// Writes it; takes the parent's namespace.
    pub fn to_element(&self) -> Element {
        Element::inherit("candidate")
            .with_attr("component", self.component.to_string())
            .with_attr("foundation", &self.foundation)
            .with_attr("generation", self.generation.to_string())
            .with_attr("id", &self.id)
            .with_attr("ip", self.ip.reveal())
            .with_opt_attr("network", self.network.map(|n| n.to_string()))
            .with_attr("port", self.port.to_string())
            .with_attr("priority", self.priority.to_string())
            .with_attr("protocol", &self.protocol)
            .with_attr("type", self.kind.as_str())
            .with_opt_attr("rel-addr", self.rel_addr.as_ref().map(Sensitive::reveal))
            .with_opt_attr("rel-port", self.rel_port.map(|p| p.to_string()))
            .with_opt_attr("tcptype", self.tcptype.as_deref())
    }
}

impl Fingerprint {
    /// Reads `fingerprint`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        expect(e, "fingerprint", ns::JINGLE_DTLS)?;
        let value = e.text().trim().to_owned();
        if value.is_empty() {
            return Err(ParseError::Missing { element: "fingerprint", what: "text" });
        }
        Ok(Self {
            hash: required(e, "fingerprint", "hash")?.to_owned(),
            value,
            setup: word(e, "fingerprint", "setup", Setup::parse)?,
            required: boolean(e, "fingerprint", "required")?,
            cryptex: boolean(e, "fingerprint", "cryptex")?.unwrap_or(false),
        })
    }

    /// Writes it with its literal namespace.
    pub fn to_element(&self) -> Element {
        Element::new("fingerprint", ns::JINGLE_DTLS)
            .with_attr("hash", &self.hash)
            .with_opt_attr("setup", self.setup.map(Setup::as_str))
            .with_opt_attr("required", self.required.map(|r| r.to_string()))
            .with_opt_attr("cryptex", self.cryptex.then_some("true"))
            .with_text(&self.value)
    }
}

impl WebSocket {
    /// A URL for a client.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: Some(Sensitive::new(url.into())), active: false }
    }

    /// Reads `web-socket`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        expect(e, "web-socket", ns::COLIBRI)?;
        Ok(Self {
            url: e.attr("url").map(|u| Sensitive::new(u.to_owned())),
            active: boolean(e, "web-socket", "active")?.unwrap_or(false),
        })
    }

    /// Writes it with its literal namespace.
    pub fn to_element(&self) -> Element {
        Element::new("web-socket", ns::COLIBRI)
            .with_opt_attr("url", self.url.as_ref().map(Sensitive::reveal))
            .with_opt_attr("active", self.active.then_some("true"))
    }
}

impl SctpMap {
    /// What the focus offers: port 5000, 1024 streams.
    pub fn offered() -> Self {
        Self { number: 5000, protocol: "webrtc-datachannel".to_owned(), streams: Some(1024) }
    }

    /// Reads `sctpmap`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        expect(e, "sctpmap", ns::JINGLE_DTLS_SCTP)?;
        Ok(Self {
            number: number(e, "sctpmap", "number")?,
            protocol: e.attr("protocol").unwrap_or("webrtc-datachannel").to_owned(),
            streams: optional(e, "sctpmap", "streams")?,
        })
    }

    /// Writes it with its literal namespace.
    pub fn to_element(&self) -> Element {
        Element::new("sctpmap", ns::JINGLE_DTLS_SCTP)
            .with_attr("number", self.number.to_string())
            .with_attr("protocol", &self.protocol)
            .with_opt_attr("streams", self.streams.map(|s| s.to_string()))
    }
}

impl IceUdpTransport {
    /// Reads `transport`. A candidate or fingerprint that cannot be read is left out, as upstream does: one odd
    /// candidate must not cost the session.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        expect(e, "transport", ns::JINGLE_ICE_UDP)?;
        let mut t = Self {
            ufrag: e.attr("ufrag").map(str::to_owned),
            pwd: e.attr("pwd").map(|p| Sensitive::new(p.to_owned())),
            ice_generation: optional(e, "transport", "ice-generation")?,
            ..Self::default()
        };
        for c in e.children() {
            match c.name() {
                "candidate" => t.candidates.extend(Candidate::from_element(c).ok()),
                "fingerprint" => t.fingerprints.extend(Fingerprint::from_element(c).ok()),
                "web-socket" => t.web_sockets.extend(WebSocket::from_element(c).ok()),
                "sctpmap" => t.sctp_map = Some(SctpMap::from_element(c)?),
                "rtcp-mux" => t.rtcp_mux = true,
                _ => {}
            }
        }
        Ok(t)
    }

    /// Writes it with its literal namespace.
    pub fn to_element(&self) -> Element {
        let mut e = Element::new("transport", ns::JINGLE_ICE_UDP)
            .with_opt_attr("ufrag", self.ufrag.as_deref())
            .with_opt_attr("pwd", self.pwd.as_ref().map(Sensitive::reveal))
            .with_opt_attr("ice-generation", self.ice_generation.map(|g| g.to_string()));
        if self.rtcp_mux {
            e.push(Element::new("rtcp-mux", ns::JINGLE_ICE_UDP));
        }
        e.with_children(self.fingerprints.iter().map(Fingerprint::to_element))
            .with_children(self.candidates.iter().map(Candidate::to_element))
            .with_children(self.web_sockets.iter().map(WebSocket::to_element))
            .with_children(self.sctp_map.iter().map(SctpMap::to_element))
    }
}
