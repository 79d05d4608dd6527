//! Colibri2 in the JSON form of the bridge's REST interface (bridge §2.8): requests and answers in and out.
//! `ice-restart` and `diarize` cannot be said in it.

use serde_json::{Map, Value, json};

use super::json_parts::{
    Fields, array, header_extension, header_extension_json, ice, ice_json, media_source, media_source_json,
    payload_type, payload_type_json,
};
use super::xml::room_name;
use super::{
    ConferenceModified, ConferenceModify, Connect, Endpoint, ForceMute, Media, Relay, Sctp, SctpRole,
    Transport,
};
use crate::BareJid;
use crate::ids::{EndpointId, MediaType, MeetingId};
use crate::parse::ParseError;
use crate::sensitive::Sensitive;

impl ConferenceModify {
    /// Reads a request body.
    pub fn from_json(text: &str) -> Result<Self, ParseError> {
        let value = crate::json::parse(text).ok_or(ParseError::Json)?;
        let f = Fields::new("conference-modify", &value)?;
        let mut c = Self::new(MeetingId::new(f.id("meeting-id")?));
        c.name = f.text("name")?.map(room_name).transpose()?;
        c.create = f.flag("create")?.unwrap_or(false);
        c.expire = f.flag("expire")?.unwrap_or(false);
        c.rtcstats_enabled = f.flag("rtcstats-enabled")?.unwrap_or(true);
        c.endpoints = f.list("endpoints", endpoint)?.unwrap_or_default();
        c.relays = f.list("relays", relay)?.unwrap_or_default();
        c.connects = f.list("connects", Connect::from_json)?;
        Ok(c)
    }

    /// Writes a request body.
    pub fn to_json(&self) -> Value {
        let mut o = Map::new();
        o.insert("meeting-id".into(), json!(self.meeting_id.as_str()));
        if let Some(n) = &self.name {
            o.insert("name".into(), json!(BareJid::as_str(n)));
        }
        set_flag(&mut o, "create", self.create);
        set_flag(&mut o, "expire", self.expire);
        if !self.rtcstats_enabled {
            o.insert("rtcstats-enabled".into(), json!(false));
        }
        set_list(&mut o, "endpoints", &self.endpoints, endpoint_json);
        set_list(&mut o, "relays", &self.relays, relay_json);
        if let Some(connects) = &self.connects {
            o.insert("connects".into(), array(connects, Connect::to_json));
        }
        o.into()
    }
}

impl ConferenceModified {
    /// Reads an answer's body.
    pub fn from_json(text: &str) -> Result<Self, ParseError> {
        let value = crate::json::parse(text).ok_or(ParseError::Json)?;
        let f = Fields::new("conference-modified", &value)?;
        Ok(Self {
            endpoints: f.list("endpoints", endpoint)?.unwrap_or_default(),
            relays: f.list("relays", relay)?.unwrap_or_default(),
            sources: f.list("sources", media_source)?,
        })
    }

    /// Writes an answer's body.
    pub fn to_json(&self) -> Value {
        let mut o = Map::new();
        set_list(&mut o, "endpoints", &self.endpoints, endpoint_json);
        set_list(&mut o, "relays", &self.relays, relay_json);
        if let Some(s) = &self.sources {
            o.insert("sources".into(), array(s, media_source_json));
        }
        o.into()
    }
}

fn set_flag(o: &mut Map<String, Value>, key: &str, value: bool) {
    if value {
        o.insert(key.into(), json!(true));
    }
}

fn set_list<T>(o: &mut Map<String, Value>, key: &str, items: &[T], write: impl Fn(&T) -> Value) {
    if !items.is_empty() {
        o.insert(key.into(), array(items, write));
    }
}

fn endpoint(value: &Value) -> Result<Endpoint, ParseError> {
    let f = Fields::new("endpoint", value)?;
    let mut p = Endpoint::new(EndpointId::new(f.id("id")?));
    p.create = f.flag("create")?.unwrap_or(false);
    p.expire = f.flag("expire")?.unwrap_or(false);
    p.stats_id = f.text("stats-id")?.map(|s| Sensitive::new(s.to_owned()));
    p.muc_role = f.text("muc-role")?.map(str::to_owned);
    p.media = f.list("medias", media)?.unwrap_or_default();
    p.transport = f.object("transport").map(transport).transpose()?;
    p.sources = f.list("sources", media_source)?;
    p.capabilities = f
        .list("capabilities", |c| c.as_str().map(str::to_owned).ok_or_else(|| f.invalid("capabilities")))?
        .unwrap_or_default();
    if let Some(m) = f.object("force-mute") {
        let m = Fields::new("force-mute", m)?;
        p.force_mute = Some(ForceMute {
            audio: m.flag("audio")?.unwrap_or(false),
            video: m.flag("video")?.unwrap_or(false),
        });
    }
    if let Some(n) = f.object("initial-last-n") {
        p.initial_last_n = Some(Fields::new("initial-last-n", n)?.number("value")?);
    }
    Ok(p)
}

fn endpoint_json(p: &Endpoint) -> Value {
    let mut o = Map::new();
    o.insert("id".into(), json!(p.id.as_str()));
    set_flag(&mut o, "create", p.create);
    set_flag(&mut o, "expire", p.expire);
    if let Some(s) = &p.stats_id {
        o.insert("stats-id".into(), json!(s.reveal()));
    }
    if let Some(r) = &p.muc_role {
        o.insert("muc-role".into(), json!(r));
    }
    set_list(&mut o, "medias", &p.media, media_json);
    if let Some(t) = &p.transport {
        o.insert("transport".into(), transport_json(t));
    }
    if let Some(s) = &p.sources {
        o.insert("sources".into(), array(s, media_source_json));
    }
    if let Some(m) = p.force_mute {
        o.insert("force-mute".into(), json!({"audio": m.audio, "video": m.video}));
    }
    if let Some(n) = p.initial_last_n {
        o.insert("initial-last-n".into(), json!({"value": n}));
    }
    set_list(&mut o, "capabilities", &p.capabilities, |c| json!(c));
    o.into()
}

fn relay(value: &Value) -> Result<Relay, ParseError> {
    let f = Fields::new("relay", value)?;
    let mut r = Relay::new(f.id("id")?);
    r.mesh_id = f.text("mesh-id")?.map(str::to_owned);
    r.create = f.flag("create")?.unwrap_or(false);
    r.expire = f.flag("expire")?.unwrap_or(false);
    r.media = f.list("medias", media)?.unwrap_or_default();
    r.transport = f.object("transport").map(transport).transpose()?;
    r.endpoints = f.list("endpoints", endpoint)?.unwrap_or_default();
    Ok(r)
}

fn relay_json(r: &Relay) -> Value {
    let mut o = Map::new();
    o.insert("id".into(), json!(r.id));
    if let Some(m) = &r.mesh_id {
        o.insert("mesh-id".into(), json!(m));
    }
    set_flag(&mut o, "create", r.create);
    set_flag(&mut o, "expire", r.expire);
    set_list(&mut o, "medias", &r.media, media_json);
    if let Some(t) = &r.transport {
        o.insert("transport".into(), transport_json(t));
    }
    set_list(&mut o, "endpoints", &r.endpoints, endpoint_json);
    o.into()
}

fn media(value: &Value) -> Result<Media, ParseError> {
    let f = Fields::new("media", value)?;
    let kind = f.text("type")?.ok_or_else(|| f.missing("type"))?;
    let mut m = Media::new(MediaType::parse(kind).ok_or_else(|| f.invalid("type"))?);
    m.payload_types = f.list("payload-types", payload_type)?.unwrap_or_default();
    m.header_extensions = f.list("rtp-hdrexts", header_extension)?.unwrap_or_default();
    m.extmap_allow_mixed = f.flag("extmap-allow-mixed")?.unwrap_or(false);
    Ok(m)
}

fn media_json(m: &Media) -> Value {
    let mut o = Map::new();
    o.insert("type".into(), json!(m.kind.as_str()));
    set_list(&mut o, "payload-types", &m.payload_types, payload_type_json);
    set_list(&mut o, "rtp-hdrexts", &m.header_extensions, header_extension_json);
    set_flag(&mut o, "extmap-allow-mixed", m.extmap_allow_mixed);
    o.into()
}

fn transport(value: &Value) -> Result<Transport, ParseError> {
    let f = Fields::new("transport", value)?;
    let sctp = f.object("sctp").map(|s| {
        let s = Fields::new("sctp", s)?;
        // compat: stock bridges write "SERVER" in JSON and "server" in XML
        // (test: compat_json_of_a_stock_bridge_has_the_sctp_role_in_capitals).
        let role = s.text("role")?.map(str::to_ascii_lowercase);
        let role = role.map(|r| SctpRole::parse(&r).ok_or_else(|| s.invalid("role"))).transpose()?;
        Ok(Sctp { port: s.optional_number("port")?, role })
    });
    Ok(Transport {
        ice_controlling: f.flag("ice-controlling")?.unwrap_or(false),
        use_unique_port: f.flag("use-unique-port")?.unwrap_or(false),
        ice_restart: false,
        sctp: sctp.transpose()?,
        ice: f.object("transport").map(ice).transpose()?,
    })
}

fn transport_json(t: &Transport) -> Value {
    let mut o = Map::new();
    set_flag(&mut o, "ice-controlling", t.ice_controlling);
    set_flag(&mut o, "use-unique-port", t.use_unique_port);
    if let Some(s) = &t.sctp {
        let mut sctp = Map::new();
        if let Some(p) = s.port {
            sctp.insert("port".into(), json!(p));
        }
        if let Some(r) = s.role {
            sctp.insert("role".into(), json!(r.as_str()));
        }
        o.insert("sctp".into(), sctp.into());
    }
    if let Some(i) = &t.ice {
        o.insert("transport".into(), ice_json(i));
    }
    o.into()
}
