//! From nothing to a usable session: address and account in; connected, encrypted, authenticated, bound stream out.

use bytes::Bytes;
use jitsi_xmpp::{Element, FullJid, Jid, ns};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;

use crate::error::LinkError;
use crate::run::Kept;
use crate::sm::StreamManagement;
use crate::stream::XmlStream;
use crate::{LinkConfig, TlsMode, auth, tls};

/// A session ready to carry stanzas.
pub(crate) struct Session {
    pub(crate) stream: XmlStream,
    pub(crate) jid: FullJid,
    /// `None`: the server has no stream management.
    pub(crate) sm: Option<StreamManagement>,
    pub(crate) resumed: bool,
    /// Stanzas that arrived during the handshake.
    pub(crate) early: Vec<Element>,
}

/// Connects; a session in `kept` is resumed if the server still has it. `kept` is emptied only when its session
/// is continued or known to be gone, so a failed attempt loses nothing.
pub(crate) async fn connect(config: &LinkConfig, kept: &mut Option<Kept>) -> Result<Session, LinkError> {
    let tcp = TcpStream::connect(&config.address).await?;
    tcp.set_nodelay(true)?;
    let mut private = tcp.peer_addr()?.ip().is_loopback();
    let mut stream = XmlStream::new(Box::new(tcp));
    let mut features = stream.open(&config.domain).await?;
    let offered = features.child("starttls", ns::TLS).is_some();
    if config.tls == TlsMode::Required && !offered {
        return Err(LinkError::NoTls);
    }
    if config.tls != TlsMode::Off && offered {
        stream = encrypt(config, stream).await?;
        private = true;
        features = stream.open(&config.domain).await?;
    }
    auth::authenticate(config, &mut stream, &features, private).await?;
    let features = stream.open(&config.domain).await?;
    let has_sm = features.child("sm", ns::SM).is_some();
    let mut early = Vec::new();
    // Not taken before the server has answered: an attempt that fails here loses nothing.
    let answer = match kept {
        Some(session) if has_sm => match resume(&mut stream, session, &mut early).await {
            // A server that ends the stream because of our counters would do so each time.
            Err(e @ LinkError::StreamError(_)) => {
                *kept = None;
                return Err(e);
            }
            answer => answer?,
        },
        _ => Resumed::No,
    };
    if let (Resumed::Yes(h), Some(Kept { jid, mut sm, inherited })) = (answer, kept.take()) {
        if inherited {
            sm.acknowledge_inherited(h)?;
        } else {
            sm.acknowledge(h)?;
        }
        return Ok(Session { stream, jid, sm: Some(sm), resumed: true, early });
    }
    new_session(config, stream, &features, has_sm, early).await
}

async fn encrypt(config: &LinkConfig, mut stream: XmlStream) -> Result<XmlStream, LinkError> {
    stream.send(&Element::new("starttls", ns::TLS)).await?;
    let answer = stream.element().await?;
    if !answer.is("proceed", ns::TLS) {
        return Err(LinkError::NoTls);
    }
    let name = ServerName::try_from(config.domain.clone()).map_err(|_| LinkError::ServerName)?;
    let encrypted = tls::connector(config.verify_certificate)?.connect(name, stream.io).await?;
    Ok(XmlStream::new(Box::new(encrypted)))
}

enum Resumed {
    Yes(u32),
    No,
}

async fn resume(stream: &mut XmlStream, kept: &Kept, early: &mut Vec<Element>) -> Result<Resumed, LinkError> {
    let request = Element::new("resume", ns::SM)
        .with_attr("h", kept.sm.received.to_string())
        .with_attr("previd", kept.sm.id.clone().unwrap_or_default());
    stream.send(&request).await?;
    let answer =
        expect(stream, early, |e| e.ns() == ns::SM && matches!(e.name(), "resumed" | "failed")).await?;
    if answer.name() == "failed" {
        return Ok(Resumed::No);
    }
    let h = answer.attr("h").and_then(|h| h.parse().ok()).ok_or(LinkError::Acks)?;
    Ok(Resumed::Yes(h))
}

async fn new_session(
    config: &LinkConfig,
    mut stream: XmlStream,
    features: &Element,
    has_sm: bool,
    mut early: Vec<Element>,
) -> Result<Session, LinkError> {
    if features.child("bind", ns::BIND).is_none() {
        return Err(LinkError::Bind("not offered".to_owned()));
    }
    let mut bind = Element::new("bind", ns::BIND);
    if !config.resource.is_empty() {
        bind.push(Element::inherit("resource").with_text(config.resource.clone()));
    }
    let answer = request(&mut stream, &mut early, config, bind).await?;
    let jid: FullJid = answer
        .child("bind", ns::BIND)
        .and_then(|b| b.child("jid", ns::BIND))
        .and_then(|j| j.text().trim().parse::<Jid>().ok())
        .and_then(|j| j.to_full())
        .ok_or_else(|| LinkError::Bind(refusal(&answer)))?;
    // RFC 3921 servers want it, RFC 6121 servers mark it optional or leave it out.
    if let Some(session) = features.child("session", ns::SESSION)
        && session.child("optional", ns::SESSION).is_none()
    {
        let session = Element::new("session", ns::SESSION);
        let answer = request(&mut stream, &mut early, config, session).await?;
        if answer.attr("type") != Some("result") {
            return Err(LinkError::Bind(refusal(&answer)));
        }
    }
    let mut sm = None;
    if has_sm {
        let mut enable = Element::new("enable", ns::SM).with_attr("resume", "true");
        if let Some(within) = config.resume_within {
            enable = enable.with_attr("max", within.as_secs().max(1).to_string());
        }
        stream.send(&enable).await?;
        let answer =
            expect(&mut stream, &mut early, |e| e.ns() == ns::SM && matches!(e.name(), "enabled" | "failed"))
                .await?;
        if answer.name() == "enabled" {
            let resumable = matches!(answer.attr("resume"), Some("true" | "1"));
            let id = answer.attr("id").filter(|_| resumable).map(str::to_owned);
            sm = Some(StreamManagement::new(id));
        }
    }
    let presence = Bytes::from_static(b"<presence xmlns='jabber:client'/>");
    stream.write("<presence xmlns='jabber:client'/>").await?;
    if let Some(sm) = &mut sm {
        sm.sent(presence);
    }
    Ok(Session { stream, jid, sm, resumed: false, early })
}

/// An id that nobody can guess.
pub(crate) fn random_id() -> String {
    let mut bits = [0; 12];
    // Without randomness nothing else of the link works either: TLS and SCRAM have failed before.
    let _ = aws_lc_rs::rand::fill(&mut bits);
    bits.iter().map(|b| format!("{b:02x}")).collect()
}

/// Sends an IQ of type set to the server and returns its answer: from nobody, the server or the own account (RFC 6120
/// §8.1.2.1), not from whoever else can reach us by now.
async fn request(
    stream: &mut XmlStream,
    early: &mut Vec<Element>,
    config: &LinkConfig,
    payload: Element,
) -> Result<Element, LinkError> {
    let id = random_id();
    let ours = |from: &str| {
        from.parse::<Jid>().is_ok_and(|from| {
            let account = from
                .node()
                .is_none_or(|n| config.username.is_empty() || n.eq_ignore_ascii_case(&config.username));
            from.domain().eq_ignore_ascii_case(&config.domain) && account
        })
    };
    let iq = Element::new("iq", ns::CLIENT)
        .with_attr("type", "set")
        .with_attr("id", id.clone())
        .with_child(payload);
    stream.send(&iq).await?;
    expect(stream, early, |e| {
        e.is("iq", ns::CLIENT)
            && e.attr("id") == Some(&id)
            && e.attr("from").is_none_or(ours)
            && matches!(e.attr("type"), Some("result" | "error"))
    })
    .await
}

/// Reads until the wanted element comes; stanzas on the way are kept for the link's user, within bounds.
async fn expect(
    stream: &mut XmlStream,
    early: &mut Vec<Element>,
    wanted: impl Fn(&Element) -> bool,
) -> Result<Element, LinkError> {
    loop {
        let element = stream.element().await?;
        if wanted(&element) {
            return Ok(element);
        }
        if element.ns() == ns::CLIENT && early.len() < EARLY_STANZAS {
            early.push(element);
        }
    }
}

fn refusal(answer: &Element) -> String {
    answer
        .child_named("error")
        .and_then(Element::first_child)
        .map_or_else(|| "no address in the answer".to_owned(), |c| c.name().to_owned())
}

/// Most stanzas kept during the handshake. Reason: a server pushes one or two; each at most 2 MiB.
const EARLY_STANZAS: usize = 8;
