//! `connect`: a service outside that gets audio of a conference, and may answer (bridge §2.9). As XML and JSON in and out.

use serde_json::{Map, Value, json};

use super::json_parts::{Fields, array};
use crate::ids::SourceName;
use crate::limits::{MAX_CHANNEL_NAMES, MAX_CONNECT_HEADERS, MAX_CONNECT_TEXT_BYTES};
use crate::ns;
use crate::parse::{ParseError, boolean, expect, optional, required, short, word};
use crate::sensitive::Sensitive;
use crate::words::words;
use crate::xml::Element;

words! {
    /// What the service is for.
    ConnectType {
        /// Keeps what was said.
        Recorder = "recorder",
        /// Writes what was said.
        Transcriber = "transcriber",
        /// Says it in another language.
        Translator = "translator",
    }
}

words! {
    /// How it is spoken with.
    ConnectProtocol {
        /// JSON over WebSocket.
        MediaJson = "mediajson",
    }
}

/// `connect`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// What it is called in later requests; those of 2025 have none.
    pub id: Option<String>,
    /// One more, beside those there are.
    pub create: bool,
    /// This one ends.
    pub expire: bool,
    /// Where it is, `ws` or `wss`. It may hold a token.
    pub url: Sensitive<String>,
    /// How it is spoken with.
    pub protocol: ConnectProtocol,
    /// What it is for.
    pub kind: ConnectType,
    /// Whether it gets audio.
    pub audio: bool,
    /// Whether it wants video, which no bridge has.
    pub video: bool,
    /// Sent along when it is connected to; tokens.
    pub headers: Vec<(String, Sensitive<String>)>,
    /// How it is asked for a sign of life.
    pub ping: Option<Ping>,
    /// The sources it gets; none: all.
    pub exports: Vec<SourceName>,
    /// The sources it is asked for.
    pub requests: Vec<SourceName>,
}

/// `ping`, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping {
    /// Between two.
    pub interval: Option<u32>,
    /// How long an answer may take.
    pub timeout: Option<u32>,
}

const CONNECT: &str = "connect";

impl Connect {
    /// A transcriber at this address that gets all audio.
    pub fn new(url: &str) -> Self {
        Self {
            id: None,
            create: false,
            expire: false,
            url: Sensitive::new(url.to_owned()),
            protocol: ConnectProtocol::MediaJson,
            kind: ConnectType::Transcriber,
            audio: true,
            video: false,
            headers: Vec::new(),
            ping: None,
            exports: Vec::new(),
            requests: Vec::new(),
        }
    }

    /// Its name: the id, or where it is.
    pub fn name(&self) -> &str {
        self.id.as_deref().unwrap_or_else(|| self.url.reveal())
    }

    /// Reads `connect`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        expect(e, CONNECT, ns::COLIBRI2)?;
        let expire = boolean(e, CONNECT, "expire")?.unwrap_or(false);
        let mut c = Self::new(url(e.attr("url"), expire)?);
        c.id = e.attr("id").map(|id| short(id, CONNECT, "id")).transpose()?.map(str::to_owned);
        c.create = boolean(e, CONNECT, "create")?.unwrap_or(false);
        c.expire = expire;
        c.protocol =
            required_word(word(e, CONNECT, "protocol", ConnectProtocol::parse)?, "protocol", expire)?
                .unwrap_or(c.protocol);
        c.kind =
            required_word(word(e, CONNECT, "type", ConnectType::parse)?, "type", expire)?.unwrap_or(c.kind);
        c.audio = boolean(e, CONNECT, "audio")?.unwrap_or(false);
        c.video = boolean(e, CONNECT, "video")?.unwrap_or(false);
        for child in e.children().filter(|c| c.ns() == ns::COLIBRI2) {
            match child.name() {
                "http-header" => c.add_header(
                    required(child, "http-header", "name")?,
                    required(child, "http-header", "value")?,
                )?,
                "ping" => {
                    c.ping = Some(Ping {
                        interval: optional(child, "ping", "interval")?,
                        timeout: optional(child, "ping", "timeout")?,
                    });
                }
                "exports" => c.exports = names(child.children_of("export", ns::COLIBRI2).map(Element::text))?,
                "requests" => {
                    c.requests = names(child.children_of("request", ns::COLIBRI2).map(Element::text))?;
                }
                _ => {}
            }
        }
        Ok(c)
    }

    /// Writes it.
    pub fn to_element(&self) -> Element {
        let flag = |on: bool| on.then_some("true");
        let mut e = Element::inherit(CONNECT)
            .with_opt_attr("id", self.id.as_deref())
            .with_opt_attr("create", flag(self.create))
            .with_opt_attr("expire", flag(self.expire))
            .with_attr("url", self.url.reveal())
            .with_attr("protocol", self.protocol.as_str())
            .with_attr("type", self.kind.as_str())
            .with_opt_attr("audio", flag(self.audio))
            .with_opt_attr("video", flag(self.video));
        for (name, value) in &self.headers {
            let header = Element::inherit("http-header").with_attr("name", name);
            e.push(header.with_attr("value", value.reveal()));
        }
        if let Some(ping) = self.ping {
            e.push(
                Element::inherit("ping")
                    .with_opt_attr("interval", ping.interval.map(|ms| ms.to_string()))
                    .with_opt_attr("timeout", ping.timeout.map(|ms| ms.to_string())),
            );
        }
        for (list, item, names) in
            [("exports", "export", &self.exports), ("requests", "request", &self.requests)]
        {
            if !names.is_empty() {
                let items = names.iter().map(|n| Element::inherit(item).with_text(n.as_str()));
                e.push(Element::inherit(list).with_children(items));
            }
        }
        e
    }

    /// Reads a member of `connects`.
    pub(super) fn from_json(value: &Value) -> Result<Self, ParseError> {
        let f = Fields::new(CONNECT, value)?;
        let expire = f.flag("expire")?.unwrap_or(false);
        let mut c = Self::new(url(f.text("url")?, expire)?);
        c.id = f.text("id")?.map(|id| short(id, CONNECT, "id")).transpose()?.map(str::to_owned);
        c.create = f.flag("create")?.unwrap_or(false);
        c.expire = expire;
        let protocol =
            f.text("protocol")?.map(|p| ConnectProtocol::parse(p).ok_or_else(|| f.invalid("protocol")));
        c.protocol = required_word(protocol.transpose()?, "protocol", expire)?.unwrap_or(c.protocol);
        let kind = f.text("type")?.map(|t| ConnectType::parse(t).ok_or_else(|| f.invalid("type")));
        c.kind = required_word(kind.transpose()?, "type", expire)?.unwrap_or(c.kind);
        c.audio = f.flag("audio")?.unwrap_or(false);
        c.video = f.flag("video")?.unwrap_or(false);
        if let Some(headers) = f.object("headers") {
            for (name, value) in headers.as_object().ok_or_else(|| f.invalid("headers"))? {
                c.add_header(name, value.as_str().ok_or_else(|| f.invalid("headers"))?)?;
            }
        }
        if let Some(ping) = f.object("ping") {
            let p = Fields::new("ping", ping)?;
            c.ping = Some(Ping {
                interval: p.optional_number("interval")?,
                timeout: p.optional_number("timeout")?,
            });
        }
        let text = |what| {
            move |v: &Value| {
                v.as_str().map(str::to_owned).ok_or(ParseError::Invalid { element: CONNECT, what })
            }
        };
        c.exports = names(f.list("exports", text("exports"))?.unwrap_or_default())?;
        c.requests = names(f.list("requests", text("requests"))?.unwrap_or_default())?;
        Ok(c)
    }

    /// Writes it.
    pub(super) fn to_json(&self) -> Value {
        let mut o = Map::new();
        if let Some(id) = &self.id {
            o.insert("id".into(), json!(id));
        }
        for (key, on) in [("create", self.create), ("expire", self.expire)] {
            if on {
                o.insert(key.into(), json!(true));
            }
        }
        o.insert("url".into(), json!(self.url.reveal()));
        o.insert("protocol".into(), json!(self.protocol.as_str()));
        o.insert("type".into(), json!(self.kind.as_str()));
        for (key, on) in [("audio", self.audio), ("video", self.video)] {
            if on {
                o.insert(key.into(), json!(true));
            }
        }
        if !self.headers.is_empty() {
            let headers: Map<_, _> =
                self.headers.iter().map(|(name, value)| (name.clone(), json!(value.reveal()))).collect();
            o.insert("headers".into(), headers.into());
        }
        if let Some(ping) = self.ping {
            let mut p = Map::new();
            for (key, value) in [("interval", ping.interval), ("timeout", ping.timeout)] {
                if let Some(value) = value {
                    p.insert(key.into(), json!(value));
                }
            }
            o.insert("ping".into(), p.into());
        }
        for (key, names) in [("exports", &self.exports), ("requests", &self.requests)] {
            if !names.is_empty() {
                o.insert(key.into(), array(names, |n| json!(n.as_str())));
            }
        }
        o.into()
    }

    fn add_header(&mut self, name: &str, value: &str) -> Result<(), ParseError> {
        let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let fits = name.len() <= MAX_CONNECT_TEXT_BYTES && value.len() <= MAX_CONNECT_TEXT_BYTES;
        if !named || !fits || self.headers.len() >= MAX_CONNECT_HEADERS {
            return Err(ParseError::Invalid { element: "http-header", what: "name" });
        }
        self.headers.push((name.to_owned(), Sensitive::new(value.to_owned())));
        Ok(())
    }
}

/// Where it is: a WebSocket's address. One that ends may be known by its id alone.
fn url(url: Option<&str>, expire: bool) -> Result<&str, ParseError> {
    const INVALID: ParseError = ParseError::Invalid { element: CONNECT, what: "url" };
    match url {
        None if expire => Ok(""),
        None => Err(ParseError::Missing { element: CONNECT, what: "url" }),
        Some(url) if url.len() > MAX_CONNECT_TEXT_BYTES => Err(INVALID),
        Some(url) if url.starts_with("ws://") || url.starts_with("wss://") => Ok(url),
        Some(_) => Err(INVALID),
    }
}

fn required_word<T>(found: Option<T>, what: &'static str, expire: bool) -> Result<Option<T>, ParseError> {
    if found.is_none() && !expire {
        return Err(ParseError::Missing { element: CONNECT, what });
    }
    Ok(found)
}

fn names(texts: impl IntoIterator<Item = String>) -> Result<Vec<SourceName>, ParseError> {
    let mut all = Vec::new();
    for text in texts {
        if all.len() >= MAX_CHANNEL_NAMES {
            return Err(ParseError::TooLarge);
        }
        all.push(SourceName::new(short(text.trim(), CONNECT, "source")?));
    }
    Ok(all)
}
