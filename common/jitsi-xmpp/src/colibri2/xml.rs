//! Colibri2 as XML: reading and writing. Attributes with their default value are left out.

use super::{
    Colibri2Error, ConferenceModified, ConferenceModify, Connect, Endpoint, ErrorReason, ForceMute, Media,
    MediaSource, Relay, Sctp, SctpRole, Transport,
};
use crate::BareJid;
use crate::ids::{EndpointId, MediaType, MeetingId, SourceName};
use crate::jingle::{HeaderExtension, IceUdpTransport, PayloadType, Source, SsrcGroup, extmap_allow_mixed};
use crate::ns;
use crate::parse::{ParseError, boolean, expect, number, optional, required, short, word};
use crate::sensitive::Sensitive;
use crate::stanza_error::StanzaError;
use crate::xml::Element;

impl ConferenceModify {
    /// Reads the `conference-modify` child of an IQ; `None` if it has none.
    pub fn from_iq(iq: &Element) -> Option<Result<Self, ParseError>> {
        iq.child("conference-modify", ns::COLIBRI2).map(Self::from_element)
    }

    /// Reads `conference-modify`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        const E: &str = "conference-modify";
        expect(e, E, ns::COLIBRI2)?;
        let mut c = Self::new(MeetingId::new(short(required(e, E, "meeting-id")?, E, "meeting-id")?));
        c.name = e.attr("name").map(room_name).transpose()?;
        c.create = flag(e, E, "create")?;
        c.expire = flag(e, E, "expire")?;
        c.rtcstats_enabled = boolean(e, E, "rtcstats-enabled")?.unwrap_or(true);
        (c.endpoints, c.relays) = entries(e)?;
        c.connects = e
            .child("connects", ns::COLIBRI2)
            .map(|list| list.children_of("connect", ns::COLIBRI2).map(Connect::from_element).collect())
            .transpose()?;
        Ok(c)
    }

    /// Writes it.
    pub fn to_element(&self) -> Element {
        Element::new("conference-modify", ns::COLIBRI2)
            .with_attr("meeting-id", self.meeting_id.as_str())
            .with_opt_attr("name", self.name.as_ref().map(BareJid::as_str))
            .with_opt_attr("create", self.create.then_some("true"))
            .with_opt_attr("expire", self.expire.then_some("true"))
            .with_opt_attr("rtcstats-enabled", (!self.rtcstats_enabled).then_some("false"))
            .with_children(self.endpoints.iter().map(Endpoint::to_element))
            .with_children(self.relays.iter().map(Relay::to_element))
            .with_children(
                self.connects.iter().map(|all| {
                    Element::inherit("connects").with_children(all.iter().map(Connect::to_element))
                }),
            )
    }
}

impl ConferenceModified {
    /// Reads the `conference-modified` child of an IQ; `None` if it has none.
    pub fn from_iq(iq: &Element) -> Option<Result<Self, ParseError>> {
        iq.child("conference-modified", ns::COLIBRI2).map(Self::from_element)
    }

    /// Reads `conference-modified`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        expect(e, "conference-modified", ns::COLIBRI2)?;
        let (endpoints, relays) = entries(e)?;
        Ok(Self { endpoints, relays, sources: sources(e)? })
    }

    /// Writes it.
    pub fn to_element(&self) -> Element {
        Element::new("conference-modified", ns::COLIBRI2)
            .with_children(self.endpoints.iter().map(Endpoint::to_element))
            .with_children(self.relays.iter().map(Relay::to_element))
            .with_children(self.sources.iter().map(|s| sources_element(s)))
    }
}

/// A room's bare JID with a local part.
pub(super) fn room_name(name: &str) -> Result<BareJid, ParseError> {
    const INVALID: ParseError = ParseError::Invalid { element: "conference-modify", what: "name" };
    let jid: BareJid = name.parse().map_err(|_| INVALID)?;
    if jid.node().is_some_and(|n| !crate::room::is_stored_spelling(n)) { Ok(jid) } else { Err(INVALID) }
}

fn entries(e: &Element) -> Result<(Vec<Endpoint>, Vec<Relay>), ParseError> {
    let endpoints =
        e.children_of("endpoint", ns::COLIBRI2).map(Endpoint::from_element).collect::<Result<_, _>>()?;
    let relays = e.children_of("relay", ns::COLIBRI2).map(Relay::from_element).collect::<Result<_, _>>()?;
    Ok((endpoints, relays))
}

fn flag(e: &Element, element: &'static str, what: &'static str) -> Result<bool, ParseError> {
    boolean(e, element, what).map(Option::unwrap_or_default)
}

impl Endpoint {
    /// Reads `endpoint`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        const E: &str = "endpoint";
        expect(e, E, ns::COLIBRI2)?;
        let mut p = Self::new(EndpointId::new(short(required(e, E, "id")?, E, "id")?));
        p.create = flag(e, E, "create")?;
        p.expire = flag(e, E, "expire")?;
        p.stats_id = e.attr("stats-id").map(|s| Sensitive::new(s.to_owned()));
        p.muc_role = e.attr("muc-role").map(str::to_owned);
        p.diarize = flag(e, E, "diarize")?;
        p.sources = sources(e)?;
        for c in e.children().filter(|c| c.ns() == ns::COLIBRI2) {
            match c.name() {
                "media" => p.media.push(Media::from_element(c)?),
                "transport" => p.transport = Some(Transport::from_element(c)?),
                "force-mute" => {
                    p.force_mute = Some(ForceMute {
                        audio: flag(c, "force-mute", "audio")?,
                        video: flag(c, "force-mute", "video")?,
                    });
                }
                "capability" => p.capabilities.push(required(c, "capability", "name")?.to_owned()),
                "initial-last-n" => p.initial_last_n = Some(number(c, "initial-last-n", "value")?),
                _ => {}
            }
        }
        Ok(p)
    }

    /// Writes it: media, transport, sources, force-mute, capabilities, initial-last-n (focus §6.2).
    pub fn to_element(&self) -> Element {
        let mut e = Element::inherit("endpoint")
            .with_attr("id", self.id.as_str())
            .with_opt_attr("create", self.create.then_some("true"))
            .with_opt_attr("expire", self.expire.then_some("true"))
            .with_opt_attr("stats-id", self.stats_id.as_ref().map(Sensitive::reveal))
            .with_opt_attr("muc-role", self.muc_role.as_deref())
            .with_opt_attr("diarize", self.diarize.then_some("true"))
            .with_children(self.media.iter().map(Media::to_element))
            .with_children(self.transport.iter().map(Transport::to_element))
            .with_children(self.sources.iter().map(|s| sources_element(s)));
        if let Some(m) = self.force_mute {
            e.push(
                Element::inherit("force-mute")
                    .with_attr("audio", m.audio.to_string())
                    .with_attr("video", m.video.to_string()),
            );
        }
        for c in &self.capabilities {
            e.push(Element::inherit("capability").with_attr("name", c));
        }
        if let Some(n) = self.initial_last_n {
            e.push(Element::inherit("initial-last-n").with_attr("value", n.to_string()));
        }
        e
    }
}

impl Relay {
    /// Reads `relay`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        expect(e, "relay", ns::COLIBRI2)?;
        let mut r = Self::new(short(required(e, "relay", "id")?, "relay", "id")?);
        r.mesh_id = e.attr("mesh-id").map(str::to_owned);
        r.create = flag(e, "relay", "create")?;
        r.expire = flag(e, "relay", "expire")?;
        for c in e.children().filter(|c| c.ns() == ns::COLIBRI2) {
            match c.name() {
                "media" => r.media.push(Media::from_element(c)?),
                "transport" => r.transport = Some(Transport::from_element(c)?),
                "endpoints" => r.endpoints = entries(c)?.0,
                _ => {}
            }
        }
        Ok(r)
    }

    /// Writes it.
    pub fn to_element(&self) -> Element {
        let mut e = Element::inherit("relay")
            .with_attr("id", &self.id)
            .with_opt_attr("mesh-id", self.mesh_id.as_deref())
            .with_opt_attr("create", self.create.then_some("true"))
            .with_opt_attr("expire", self.expire.then_some("true"))
            .with_children(self.transport.iter().map(Transport::to_element))
            .with_children(self.media.iter().map(Media::to_element));
        if !self.endpoints.is_empty() {
            e.push(
                Element::inherit("endpoints").with_children(self.endpoints.iter().map(Endpoint::to_element)),
            );
        }
        e
    }
}

impl Media {
    /// Reads `media`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        let mut m = Self::new(
            word(e, "media", "type", MediaType::parse)?
                .ok_or(ParseError::Missing { element: "media", what: "type" })?,
        );
        for c in e.children() {
            match c.name() {
                "payload-type" => m.payload_types.push(PayloadType::from_element(c)?),
                "rtp-hdrext" => m.header_extensions.push(HeaderExtension::from_element(c)?),
                "extmap-allow-mixed" => m.extmap_allow_mixed = true,
                _ => {}
            }
        }
        Ok(m)
    }

    /// Writes it.
    pub fn to_element(&self) -> Element {
        let mut e = Element::inherit("media")
            .with_attr("type", self.kind.as_str())
            .with_children(self.payload_types.iter().map(PayloadType::to_element))
            .with_children(self.header_extensions.iter().map(HeaderExtension::to_element));
        if self.extmap_allow_mixed {
            e.push(extmap_allow_mixed());
        }
        e
    }
}

impl Transport {
    /// Reads `transport`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        expect(e, "transport", ns::COLIBRI2)?;
        let sctp = e.child("sctp", ns::COLIBRI2).map(|s| {
            Ok(Sctp { port: optional(s, "sctp", "port")?, role: word(s, "sctp", "role", SctpRole::parse)? })
        });
        Ok(Self {
            ice_controlling: flag(e, "transport", "ice-controlling")?,
            use_unique_port: flag(e, "transport", "use-unique-port")?,
            ice_restart: flag(e, "transport", "ice-restart")?,
            sctp: sctp.transpose()?,
            ice: e.child("transport", ns::JINGLE_ICE_UDP).map(IceUdpTransport::from_element).transpose()?,
        })
    }

    /// Writes it.
    pub fn to_element(&self) -> Element {
        let e = Element::inherit("transport")
            .with_opt_attr("ice-controlling", self.ice_controlling.then_some("true"))
            .with_opt_attr("use-unique-port", self.use_unique_port.then_some("true"))
            .with_opt_attr("ice-restart", self.ice_restart.then_some("true"))
            .with_children(self.ice.iter().map(IceUdpTransport::to_element));
        match &self.sctp {
            Some(s) => e.with_child(
                Element::inherit("sctp")
                    .with_opt_attr("port", s.port.map(|p| p.to_string()))
                    .with_opt_attr("role", s.role.map(SctpRole::as_str)),
            ),
            None => e,
        }
    }
}

fn sources(parent: &Element) -> Result<Option<Vec<MediaSource>>, ParseError> {
    parent
        .child("sources", ns::COLIBRI2)
        .map(|s| s.children_of("media-source", ns::COLIBRI2).map(MediaSource::from_element).collect())
        .transpose()
}

fn sources_element(sources: &[MediaSource]) -> Element {
    Element::inherit("sources").with_children(sources.iter().map(MediaSource::to_element))
}

impl MediaSource {
    /// Reads `media-source`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        const E: &str = "media-source";
        expect(e, E, ns::COLIBRI2)?;
        let kind =
            word(e, E, "type", MediaType::parse)?.ok_or(ParseError::Missing { element: E, what: "type" })?;
        let mut m = Self::new(kind, SourceName::new(short(required(e, E, "id")?, E, "id")?));
        m.synthetic = flag(e, E, "synthetic")?;
        for c in e.children() {
            match c.name() {
                "source" => m.sources.push(Source::from_element(c)?),
                "ssrc-group" => m.ssrc_groups.push(SsrcGroup::from_element(c)?),
                _ => {}
            }
        }
        Ok(m)
    }

    /// Writes it.
    pub fn to_element(&self) -> Element {
        Element::inherit("media-source")
            .with_attr("type", self.kind.as_str())
            .with_attr("id", self.id.as_str())
            .with_opt_attr("synthetic", self.synthetic.then_some("true"))
            .with_children(self.sources.iter().map(Source::to_element))
            .with_children(self.ssrc_groups.iter().map(SsrcGroup::to_element))
    }
}

impl Colibri2Error {
    /// A reason without an endpoint.
    pub fn new(reason: ErrorReason) -> Self {
        Self { reason, endpoint: None }
    }

    /// Update of an endpoint that is not there.
    pub fn unknown_endpoint(id: EndpointId) -> Self {
        Self { reason: ErrorReason::UnknownEndpoint, endpoint: Some(id) }
    }

    /// Adds its elements to a stanza error.
    pub fn add_to(&self, error: StanzaError) -> StanzaError {
        let error =
            error.with_extra(Element::new("error", ns::COLIBRI2).with_attr("reason", self.reason.as_str()));
        match &self.endpoint {
            Some(id) => error.with_extra(Element::new("endpoint", ns::COLIBRI2).with_attr("id", id.as_str())),
            None => error,
        }
    }

    /// Finds its elements in a stanza error; the endpoint beside the reason or inside it.
    pub fn from_stanza_error(error: &StanzaError) -> Option<Self> {
        let e = error.extra.iter().find(|x| x.is("error", ns::COLIBRI2))?;
        let endpoint = error
            .extra
            .iter()
            .find(|x| x.is("endpoint", ns::COLIBRI2))
            .or_else(|| e.child("endpoint", ns::COLIBRI2))
            .and_then(|p| p.attr("id"))
            .map(EndpointId::new);
        let reason = e.attr("reason").and_then(ErrorReason::parse).unwrap_or(ErrorReason::Unspecified);
        Some(Self { reason, endpoint })
    }
}
