//! The XML stream during the handshake: bytes of a socket in, stream items out; text to write in.

use jitsi_xmpp::xml::{Splitter, StreamItem, escape_attr, first_tag_end, parse_with};
use jitsi_xmpp::{Element, ns};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::error::LinkError;
use crate::limits;

/// A plain or encrypted socket.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A socket with its splitter.
pub(crate) struct XmlStream {
    pub(crate) io: Box<dyn Io>,
    pub(crate) splitter: Splitter,
}

impl XmlStream {
    pub(crate) fn new(io: Box<dyn Io>) -> Self {
        Self { io, splitter: Splitter::new(limits::SPLIT) }
    }

    pub(crate) async fn write(&mut self, text: &str) -> Result<(), LinkError> {
        self.io.write_all(text.as_bytes()).await?;
        self.io.flush().await?;
        Ok(())
    }

    pub(crate) async fn send(&mut self, element: &Element) -> Result<(), LinkError> {
        self.write(&element.to_xml()).await
    }

    /// Starts a (new) stream and returns the server's features.
    pub(crate) async fn open(&mut self, domain: &str) -> Result<Element, LinkError> {
        // Whatever came before belongs to the old stream: nothing sent in the clear may count as encrypted.
        self.splitter.reset();
        let mut header = String::from(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams' version='1.0' xml:lang='en' to='",
        );
        escape_attr(domain, &mut header);
        header.push_str("'>");
        self.write(&header).await?;
        loop {
            match self.item().await? {
                StreamItem::Open(_) => {}
                StreamItem::Close => return Err(LinkError::Closed),
                StreamItem::Element(bytes) => {
                    let element = read(&bytes)?;
                    if element.is("features", ns::STREAM) {
                        return Ok(element);
                    }
                    return Err(LinkError::Unexpected(element.name().to_owned()));
                }
            }
        }
    }

    /// The next element.
    pub(crate) async fn element(&mut self) -> Result<Element, LinkError> {
        match self.item().await? {
            StreamItem::Element(bytes) => read(&bytes),
            StreamItem::Open(_) => Err(LinkError::Unexpected("stream header".to_owned())),
            StreamItem::Close => Err(LinkError::Closed),
        }
    }

    async fn item(&mut self) -> Result<StreamItem, LinkError> {
        let mut chunk = [0; 4096];
        loop {
            if let Some(item) = self.splitter.next_item()? {
                return Ok(item);
            }
            let n = self.io.read(&mut chunk).await?;
            if n == 0 {
                return Err(LinkError::Closed);
            }
            self.splitter.push(chunk.get(..n).unwrap_or_default());
        }
    }
}

/// The head of a stanza that cannot be read as a whole, if nothing but its head matters: a request, which is to be answered, and a
/// presence of somebody who leaves.
pub(crate) fn head(bytes: &[u8]) -> Option<Element> {
    let tag = bytes.get(..first_tag_end(bytes)?)?;
    let element = parse_with(&[tag, b"/>"].concat(), ns::CLIENT, &limits::RECEIVED).ok()?;
    let kind = element.attr("type");
    let matters = match element.name() {
        "iq" => matches!(kind, Some("get" | "set")),
        "presence" => kind == Some("unavailable"),
        _ => false,
    };
    matters.then_some(element)
}

/// One element of a stream; a stream error is an error.
pub(crate) fn read(bytes: &[u8]) -> Result<Element, LinkError> {
    let element = parse_with(bytes, ns::CLIENT, &limits::RECEIVED)?;
    if element.is("error", ns::STREAM) {
        let condition = element.first_child().map_or("undefined-condition", Element::name);
        return Err(LinkError::StreamError(condition.to_owned()));
    }
    Ok(element)
}
