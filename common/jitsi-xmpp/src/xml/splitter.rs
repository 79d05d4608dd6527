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

/// Where the first tag's `>` is; those in quoted attribute values are none.
pub fn first_tag_end(bytes: &[u8]) -> Option<usize> {
    let mut quote = None;
    bytes.iter().position(|b| match quote {
        Some(q) => {
            if *b == q {
                quote = None;
            }
            false
        }
        None => {
            if matches!(b, b'"' | b'\'') {
                quote = Some(*b);
            }
            *b == b'>'
        }
    })
}

/// Finds the boundaries of elements in a stream without understanding them. Holds at most one element's bytes
/// (`limits.max_bytes`) plus one chunk; looks at every byte once.
#[derive(Debug)]
pub struct Splitter {
    limits: XmlLimits,
    buf: Vec<u8>,
    /// Where the current item begins in `buf`; everything before has been returned.
    start: usize,
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
    /// After `<!`: so many bytes of `[CDATA[` have been seen.
    CDataStart {
        seen: usize,
    },
    /// Inside `<![CDATA[ … ]]>`; so many closing brackets stand before this byte.
    CData {
        brackets: u8,
    },
}

impl Splitter {
    /// A splitter at the start of a stream.
    pub fn new(limits: XmlLimits) -> Self {
        Self { limits, buf: Vec::new(), start: 0, scanned: 0, state: Lex::Text, depth: 0, in_stream: false }
    }

    /// Changes the size limit, from the next byte on: a service account may send larger stanzas than a client.
    pub fn set_max_bytes(&mut self, max_bytes: usize) {
        self.limits.max_bytes = max_bytes;
    }

    /// Forgets everything but the limits: after STARTTLS or SASL a new stream begins.
    pub fn reset(&mut self) {
        *self = Self::new(self.limits);
    }

    /// Adds received bytes.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buf.extend_from_slice(chunk);
    }

    /// The next item, or `None` when more bytes are needed.
    pub fn next_item(&mut self) -> Result<Option<StreamItem>, SplitError> {
        while let Some(&b) = self.buf.get(self.scanned) {
            self.scanned += 1;
            if self.scanned - self.start > self.limits.max_bytes {
                return Err(SplitError::TooLarge);
            }
            if let Some(item) = self.step(b)? {
                return Ok(Some(item));
            }
        }
        // What has been returned, and whitespace between stanzas, is not kept.
        self.buf.drain(..self.start);
        self.scanned -= self.start;
        self.start = 0;
        Ok(None)
    }

    fn step(&mut self, b: u8) -> Result<Option<StreamItem>, SplitError> {
        match self.state {
            Lex::Text if b == b'<' => {
                if self.depth == 0 {
                    self.start = self.scanned - 1;
                }
                self.state = Lex::TagStart;
            }
            Lex::Text if self.depth == 0 => {
                // Whitespace between stanzas is a keep-alive; other text is an error.
                if !b.is_ascii_whitespace() {
                    return Err(SplitError::Malformed);
                }
                self.start = self.scanned;
            }
            Lex::Text => {}
            Lex::TagStart => {
                self.state = match b {
                    b'/' => Lex::End,
                    b'?' if !self.in_stream && self.depth == 0 => Lex::Declaration,
                    b'!' if self.depth > 0 => Lex::CDataStart { seen: 0 },
                    b'!' | b'?' | b'<' | b'>' => return Err(SplitError::Malformed),
                    _ => Lex::Start { slash: false },
                };
            }
            Lex::Start { slash } => match b {
                b'"' | b'\'' => self.state = Lex::Quoted { quote: b },
                b'<' => return Err(SplitError::Malformed),
                b'/' => self.state = Lex::Start { slash: true },
                b'>' => return self.start_tag_ends(slash),
                _ => self.state = Lex::Start { slash: false },
            },
            Lex::Quoted { quote } => {
                if b == quote {
                    self.state = Lex::Start { slash: false };
                }
            }
            Lex::End if b == b'>' => return self.end_tag_ends(),
            Lex::End => {}
            Lex::Declaration => {
                if b == b'>' {
                    self.take();
                    self.state = Lex::Text;
                }
            }
            Lex::CDataStart { seen } => {
                if CDATA.get(seen) != Some(&b) {
                    return Err(SplitError::Malformed);
                }
                self.state = if seen + 1 == CDATA.len() {
                    Lex::CData { brackets: 0 }
                } else {
                    Lex::CDataStart { seen: seen + 1 }
                };
            }
            Lex::CData { brackets } => {
                self.state = match b {
                    b']' => Lex::CData { brackets: (brackets + 1).min(2) },
                    b'>' if brackets == 2 => Lex::Text,
                    _ => Lex::CData { brackets: 0 },
                };
            }
        }
        Ok(None)
    }

    fn start_tag_ends(&mut self, empty: bool) -> Result<Option<StreamItem>, SplitError> {
        self.state = Lex::Text;
        if !self.in_stream {
            if empty {
                return Err(SplitError::Malformed);
            }
            self.in_stream = true;
            return Ok(Some(StreamItem::Open(self.take())));
        }
        if !empty {
            self.depth += 1;
            if self.depth > self.limits.max_depth {
                return Err(SplitError::TooLarge);
            }
        }
        Ok((self.depth == 0).then(|| StreamItem::Element(self.take())))
    }

    fn end_tag_ends(&mut self) -> Result<Option<StreamItem>, SplitError> {
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
        Ok((self.depth == 0).then(|| StreamItem::Element(self.take())))
    }

    fn take(&mut self) -> Vec<u8> {
        let item = self.buf.get(self.start..self.scanned).unwrap_or_default().to_vec();
        self.start = self.scanned;
        item
    }
}

/// What must follow `<!`.
const CDATA: &[u8] = b"[CDATA[";
