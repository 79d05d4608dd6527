//! The parts of the JSON form that Colibri2 shares with Jingle: codecs, header extensions, ICE, sources.

use serde_json::{Map, Value, json};

use super::MediaSource;
use crate::ids::{MediaType, SourceName, Ssrc};
use crate::jingle::{
    Candidate, Fingerprint, HeaderExtension, IceUdpTransport, Parameter, PayloadType, RtcpFeedback,
    Semantics, Setup, Source, SsrcGroup, VideoType, WebSocket,
};
use crate::ns;
use crate::parse::{ParseError, short};
use crate::sensitive::Sensitive;
use crate::xml::Element;

/// An object's members with the blame for those of the wrong type. Unknown members are ignored.
pub(super) struct Fields<'a> {
    element: &'static str,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(element: &'static str, value: &'a Value) -> Result<Self, ParseError> {
        value.as_object().map(|map| Self { element, map }).ok_or(ParseError::Json)
    }

    pub(super) fn missing(&self, what: &'static str) -> ParseError {
        ParseError::Missing { element: self.element, what }
    }

    pub(super) fn invalid(&self, what: &'static str) -> ParseError {
        ParseError::Invalid { element: self.element, what }
    }

    pub(super) fn object(&self, what: &str) -> Option<&'a Value> {
        self.map.get(what).filter(|v| !v.is_null())
    }

    pub(super) fn text(&self, what: &'static str) -> Result<Option<&'a str>, ParseError> {
        self.object(what).map(|v| v.as_str().ok_or_else(|| self.invalid(what))).transpose()
    }

    pub(super) fn id(&self, what: &'static str) -> Result<&'a str, ParseError> {
        short(self.text(what)?.ok_or_else(|| self.missing(what))?, self.element, what)
    }

    /// Booleans must be JSON booleans, as upstream demands.
    pub(super) fn flag(&self, what: &'static str) -> Result<Option<bool>, ParseError> {
        self.object(what).map(|v| v.as_bool().ok_or_else(|| self.invalid(what))).transpose()
    }

    /// Numbers may be written as text.
    pub(super) fn optional_number<T: TryFrom<i64>>(
        &self,
        what: &'static str,
    ) -> Result<Option<T>, ParseError> {
        self.object(what)
            .map(|v| {
                let n = match v {
                    Value::String(s) => s.parse().ok(),
                    v => v.as_i64(),
                };
                n.and_then(|n| T::try_from(n).ok()).ok_or_else(|| self.invalid(what))
            })
            .transpose()
    }

    pub(super) fn number<T: TryFrom<i64>>(&self, what: &'static str) -> Result<T, ParseError> {
        self.optional_number(what)?.ok_or_else(|| self.missing(what))
    }

    pub(super) fn list<T>(
        &self,
        what: &'static str,
        read: impl Fn(&Value) -> Result<T, ParseError>,
    ) -> Result<Option<Vec<T>>, ParseError> {
        self.object(what)
            .map(|v| v.as_array().ok_or_else(|| self.invalid(what))?.iter().map(&read).collect())
            .transpose()
    }
}

pub(super) fn array<T>(items: &[T], write: impl Fn(&T) -> Value) -> Value {
    Value::Array(items.iter().map(write).collect())
}

pub(super) fn payload_type(value: &Value) -> Result<PayloadType, ParseError> {
    let f = Fields::new("payload-type", value)?;
    let id: u8 = f.number("id")?;
    if id > 127 {
        return Err(f.invalid("id"));
    }
    let mut p = PayloadType::new(
        id,
        f.text("name")?.unwrap_or_default(),
        f.optional_number("clockrate")?.unwrap_or(0),
        f.optional_number("channels")?.unwrap_or(1),
    );
    if let Some(params) = f.object("parameters") {
        for (name, v) in params.as_object().ok_or_else(|| f.invalid("parameters"))? {
            let value = match v {
                Value::String(s) => s.clone(),
                v => v.to_string(),
            };
            p.parameters.push(Parameter { name: (name != NAMELESS).then(|| name.clone()), value });
        }
    }
    p.rtcp_fbs = f
        .list("rtcp-fbs", |v| {
            let b = Fields::new("rtcp-fb", v)?;
            let kind = b.text("type")?.ok_or_else(|| b.missing("type"))?;
            Ok(RtcpFeedback::new(kind, b.text("subtype")?))
        })?
        .unwrap_or_default();
    Ok(p)
}

pub(super) fn payload_type_json(p: &PayloadType) -> Value {
    let mut o = Map::new();
    o.insert("id".into(), json!(p.id.to_string()));
    if !p.name.is_empty() {
        o.insert("name".into(), json!(p.name));
    }
    if p.clockrate != 0 {
        o.insert("clockrate".into(), json!(p.clockrate.to_string()));
    }
    if p.channels != 1 {
        o.insert("channels".into(), json!(p.channels.to_string()));
    }
    if !p.parameters.is_empty() {
        let params = p
            .parameters
            .iter()
            .map(|x| (x.name.clone().unwrap_or_else(|| NAMELESS.to_owned()), json!(x.value)))
            .collect::<Map<_, _>>();
        o.insert("parameters".into(), params.into());
    }
    if !p.rtcp_fbs.is_empty() {
        let fbs = array(&p.rtcp_fbs, |b| match &b.subtype {
            Some(s) => json!({"type": b.kind, "subtype": s}),
            None => json!({"type": b.kind}),
        });
        o.insert("rtcp-fbs".into(), fbs);
    }
    o.into()
}

pub(super) fn header_extension(value: &Value) -> Result<HeaderExtension, ParseError> {
    let f = Fields::new("rtp-hdrext", value)?;
    let id: u8 = f.number("id")?;
    if id == 0 {
        return Err(f.invalid("id"));
    }
    Ok(HeaderExtension::new(id, f.text("uri")?.ok_or_else(|| f.missing("uri"))?))
}

pub(super) fn header_extension_json(h: &HeaderExtension) -> Value {
    json!({"id": h.id, "uri": h.uri})
}

pub(super) fn ice(value: &Value) -> Result<IceUdpTransport, ParseError> {
    let f = Fields::new("transport", value)?;
    Ok(IceUdpTransport {
        ufrag: f.text("ufrag")?.map(str::to_owned),
        pwd: f.text("pwd")?.map(|p| Sensitive::new(p.to_owned())),
        ice_generation: f.optional_number("ice-generation")?,
        rtcp_mux: f.flag("rtcp-mux")?.unwrap_or(false),
        fingerprints: f.list("fingerprints", fingerprint)?.unwrap_or_default(),
        candidates: f.list("candidates", candidate)?.unwrap_or_default(),
        web_sockets: f
            .list("web-sockets", |v| v.as_str().map(WebSocket::new).ok_or_else(|| f.invalid("web-sockets")))?
            .unwrap_or_default(),
        sctp_map: None,
    })
}

pub(super) fn ice_json(t: &IceUdpTransport) -> Value {
    let mut o = Map::new();
    o.insert("xmlns".into(), json!(ns::JINGLE_ICE_UDP));
    if let Some(u) = &t.ufrag {
        o.insert("ufrag".into(), json!(u));
    }
    if let Some(p) = &t.pwd {
        o.insert("pwd".into(), json!(p.reveal()));
    }
    if let Some(g) = t.ice_generation {
        o.insert("ice-generation".into(), json!(g.to_string()));
    }
    if t.rtcp_mux {
        o.insert("rtcp-mux".into(), json!(true));
    }
    if !t.fingerprints.is_empty() {
        o.insert("fingerprints".into(), array(&t.fingerprints, fingerprint_json));
    }
    if !t.candidates.is_empty() {
        // Attributes as strings.
        let candidates = array(&t.candidates, |c| {
            c.to_element().attrs().map(|(k, v)| (k.to_owned(), json!(v))).collect::<Map<_, _>>().into()
        });
        o.insert("candidates".into(), candidates);
    }
    let urls: Vec<&String> =
        t.web_sockets.iter().filter_map(|w| w.url.as_ref().map(Sensitive::reveal)).collect();
    if !urls.is_empty() {
        o.insert("web-sockets".into(), json!(urls));
    }
    o.into()
}

/// The members are the XML attributes, as text or number.
fn candidate(value: &Value) -> Result<Candidate, ParseError> {
    let mut e = Element::new("candidate", ns::JINGLE_ICE_UDP);
    for (k, v) in value.as_object().ok_or(ParseError::Json)? {
        match v {
            Value::String(s) => e.set_attr(k.clone(), s),
            Value::Number(n) => e.set_attr(k.clone(), n.to_string()),
            _ => {}
        }
    }
    Candidate::from_element(&e)
}

fn fingerprint(value: &Value) -> Result<Fingerprint, ParseError> {
    let f = Fields::new("fingerprint", value)?;
    let setup = f.text("setup")?.map(|s| Setup::parse(s).ok_or_else(|| f.invalid("setup"))).transpose()?;
    Ok(Fingerprint {
        hash: f.text("hash")?.ok_or_else(|| f.missing("hash"))?.to_owned(),
        value: f.text("fingerprint")?.ok_or_else(|| f.missing("fingerprint"))?.to_owned(),
        setup,
        required: None,
        cryptex: f.flag("cryptex")?.unwrap_or(false),
    })
}

fn fingerprint_json(p: &Fingerprint) -> Value {
    let mut o = Map::new();
    o.insert("fingerprint".into(), json!(p.value));
    o.insert("hash".into(), json!(p.hash));
    if let Some(s) = p.setup {
        o.insert("setup".into(), json!(s.as_str()));
    }
    if p.cryptex {
        o.insert("cryptex".into(), json!(true));
    }
    o.into()
}

pub(super) fn media_source(value: &Value) -> Result<MediaSource, ParseError> {
    let f = Fields::new("media-source", value)?;
    let kind = f.text("type")?.ok_or_else(|| f.missing("type"))?;
    let kind = MediaType::parse(kind).ok_or_else(|| f.invalid("type"))?;
    let mut m = MediaSource::new(kind, SourceName::new(f.id("id")?));
    m.synthetic = f.flag("synthetic")?.unwrap_or(false);
    m.sources = f.list("sources", source)?.unwrap_or_default();
    m.ssrc_groups = f
        .list("ssrc-groups", |v| {
            let g = Fields::new("ssrc-group", v)?;
            let semantics = Semantics::parse(g.id("semantics")?);
            let ssrcs = g.list("sources", |s| source(s).map(|s| s.ssrc))?.unwrap_or_default();
            Ok(SsrcGroup { semantics, ssrcs })
        })?
        .unwrap_or_default();
    Ok(m)
}

pub(super) fn media_source_json(m: &MediaSource) -> Value {
    let mut o = Map::new();
    o.insert("type".into(), json!(m.kind.as_str()));
    o.insert("id".into(), json!(m.id.as_str()));
    if m.synthetic {
        o.insert("synthetic".into(), json!(true));
    }
    o.insert("sources".into(), array(&m.sources, source_json));
    if !m.ssrc_groups.is_empty() {
        let groups = array(&m.ssrc_groups, |g| {
            let ssrcs: Vec<u32> = g.ssrcs.iter().map(|s| s.0).collect();
            json!({"semantics": g.semantics.as_str(), "sources": ssrcs})
        });
        o.insert("ssrc-groups".into(), groups);
    }
    o.into()
}

/// A bare number, or an object.
fn source(value: &Value) -> Result<Source, ParseError> {
    const INVALID: ParseError = ParseError::Invalid { element: "source", what: "ssrc" };
    if let Some(n) = value.as_u64() {
        return u32::try_from(n).map(|n| Source::new(Ssrc(n))).map_err(|_| INVALID);
    }
    let f = Fields::new("source", value)?;
    let mut s = Source::new(Ssrc(f.number("ssrc")?));
    s.name = f.text("name")?.map(|n| short(n, "source", "name")).transpose()?.map(SourceName::new);
    s.rid = f.text("rid")?.map(str::to_owned);
    s.video_type = f
        .text("videoType")?
        .map(|v| VideoType::parse_any_case(v).ok_or_else(|| f.invalid("videoType")))
        .transpose()?;
    if let Some(params) = f.object("parameters") {
        for (k, v) in params.as_object().ok_or_else(|| f.invalid("parameters"))? {
            s.parameters.push(Parameter::new(k, v.as_str().unwrap_or_default()));
        }
    }
    Ok(s)
}

fn source_json(s: &Source) -> Value {
    if s.name.is_none() && s.rid.is_none() && s.video_type.is_none() && s.parameters.is_empty() {
        return json!(s.ssrc.0);
    }
    let mut o = Map::new();
    o.insert("ssrc".into(), json!(s.ssrc.0));
    if let Some(n) = &s.name {
        o.insert("name".into(), json!(n.as_str()));
    }
    if let Some(v) = s.video_type {
        o.insert("videoType".into(), json!(v.as_str()));
    }
    if let Some(r) = &s.rid {
        o.insert("rid".into(), json!(r));
    }
    if !s.parameters.is_empty() {
        let params = s
            .parameters
            .iter()
            .map(|p| (p.name.clone().unwrap_or_else(|| NAMELESS.to_owned()), json!(p.value)))
            .collect::<Map<_, _>>();
        o.insert("parameters".into(), params.into());
    }
    o.into()
}

/// The key of a parameter without a name.
const NAMELESS: &str = "null";
