//! Splitting a byte stream (XMPP over TCP): chunks in; stream header, complete elements and the stream's end out.

use super::XmlLimits;

/// What a [`Splitter`] finds in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamItem {
    /// `<stream:stream …>`: the start tag's bytes, as written, without a matching end.
    Open(Vec<u8>),
    /// One complete child element of the stream.
    Element(Vec<u8>),
    /// `</stream:stream>`.
    Close,
}

/// Why a stream cannot be split any further: its boundaries are lost, the stream must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// An element exceeds the size limit.
    #[error("element too large")]
    TooLarge,
    /// Not well-formed, or a comment, processing instruction or document type.
    #[error("not well-formed")]
    Malformed,
}

/// Finds the boundaries of elements in a stream without understanding them. Holds at most one element's bytes
/// (`limits.max_bytes`) plus one chunk.
#[derive(Debug)]
pub struct Splitter {
    limits: XmlLimits,
    buf: Vec<u8>,
    /// How far `buf` has been scanned.
    scanned: usize,
    state: Lex,
    depth: usize,
    in_stream: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lex {
    Text,
    /// After `<`.
    TagStart,
    /// Inside a start tag; `slash`: the last byte was `/`.
    Start {
        slash: bool,
    },
    /// Inside a quoted attribute value.
    Quoted {
        quote: u8,
    },
    /// Inside `</…>`.
    End,
    /// Inside `<?…?>`, allowed before the stream header only.
    Declaration,
    /// Inside `<![CDATA[ … ]]>`; counts the closing brackets seen.
    CData,
}

impl Splitter {
    /// A splitter at the start of a stream.
    pub fn new(limits: XmlLimits) -> Self {
        Self { limits, buf: Vec::new(), scanned: 0, state: Lex::Text, depth: 0, in_stream: false }
    }

    /// Forgets everything but the limits: after STARTTLS or SASL a new stream begins.
    pub fn reset(&mut self) {
        *self = Self::new(self.limits);
    }

    /// Changes the size limit; what is already buffered stays.
    pub fn set_max_bytes(&mut self, max_bytes: usize) {
        self.limits.max_bytes = max_bytes;
    }

    /// Adds received bytes.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buf.extend_from_slice(chunk);
    }

    /// The next item, or `None` when more bytes are needed.
    pub fn next_item(&mut self) -> Result<Option<StreamItem>, SplitError> {
        while let Some(&b) = self.buf.get(self.scanned) {
            self.scanned += 1;
            match self.state {
                Lex::Text => {
                    if b == b'<' {
                        if self.level() == 0 {
                            // Whitespace between stanzas is a keep-alive; other text is an error.
                            if !self.buf.iter().take(self.scanned - 1).all(u8::is_ascii_whitespace) {
                                return Err(SplitError::Malformed);
                            }
                            self.buf.drain(..self.scanned - 1);
                            self.scanned = 1;
                        }
                        self.state = Lex::TagStart;
                    }
                }
                Lex::TagStart => {
                    self.state = match b {
                        b'/' => Lex::End,
                        b'?' if !self.in_stream && self.depth == 0 => Lex::Declaration,
                        b'!' if self.level() > 0 => Lex::CData,
                        b'!' | b'?' => return Err(SplitError::Malformed),
                        _ => Lex::Start { slash: false },
                    };
                }
                Lex::Start { slash } => match b {
                    b'"' | b'\'' => self.state = Lex::Quoted { quote: b },
                    b'<' => return Err(SplitError::Malformed),
                    b'/' => self.state = Lex::Start { slash: true },
                    b'>' => {
                        self.state = Lex::Text;
                        if !self.in_stream {
                            if slash {
                                return Err(SplitError::Malformed);
                            }
                            self.in_stream = true;
                            return Ok(Some(StreamItem::Open(self.take())));
                        }
                        if !slash {
                            self.depth += 1;
                            if self.depth > self.limits.max_depth {
                                return Err(SplitError::TooLarge);
                            }
                        }
                        if self.depth == 0 {
                            return Ok(Some(StreamItem::Element(self.take())));
                        }
                    }
                    _ => self.state = Lex::Start { slash: false },
                },
                Lex::Quoted { quote } => {
                    if b == quote {
                        self.state = Lex::Start { slash: false };
                    }
                }
                Lex::End => {
                    if b == b'>' {
                        self.state = Lex::Text;
                        if self.depth == 0 {
                            if !self.in_stream {
                                return Err(SplitError::Malformed);
                            }
                            self.take();
                            self.in_stream = false;
                            return Ok(Some(StreamItem::Close));
                        }
                        self.depth -= 1;
                        if self.depth == 0 {
                            return Ok(Some(StreamItem::Element(self.take())));
                        }
                    }
                }
                Lex::Declaration => {
                    if b == b'>' {
                        self.take();
                        self.state = Lex::Text;
                    }
                }
                Lex::CData => {
                    let seen = self.buf.get(..self.scanned).unwrap_or_default();
                    let body =
                        seen.get(seen.iter().rposition(|c| *c == b'<').unwrap_or(0)..).unwrap_or_default();
                    let prefix = b"<![CDATA[";
                    let same = body.len().min(prefix.len());
                    if body.get(..same) != prefix.get(..same) && !seen.windows(9).any(|w| w == prefix) {
                        return Err(SplitError::Malformed);
                    }
                    if seen.ends_with(b"]]>") {
                        self.state = Lex::Text;
                    }
                }
            }
            if self.scanned > self.limits.max_bytes {
                return Err(SplitError::TooLarge);
            }
        }
        if self.level() == 0 && self.state == Lex::Text {
            // Only whitespace here: do not keep it.
            if !self.buf.iter().all(u8::is_ascii_whitespace) {
                return Err(SplitError::Malformed);
            }
            self.buf.clear();
            self.scanned = 0;
        }
        Ok(None)
    }

    fn level(&self) -> usize {
        self.depth
    }

    fn take(&mut self) -> Vec<u8> {
        let rest = self.buf.split_off(self.scanned);
        self.scanned = 0;
        std::mem::replace(&mut self.buf, rest)
    }
}
