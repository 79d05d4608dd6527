//! The few bits of a video payload the bridge reads: payload, and its frame by dependency descriptor, in; layers, key
//! frame start, height, and where picture ids stand out. Nothing beyond descriptors and the VP8 key frame header is
//! looked at, so end-to-end encrypted frames pass.
//!
//! What may begin a picture for somebody who has nothing yet, by what the sender used:
//!
//! | | a packet begins a key frame when | tests |
//! |---|---|---|
//! | dependency descriptor | it brings a structure, is the first of its frame, and the frame refers to none | `dependency` |
//! | VP8 | S bit, partition 0, and the P bit of the frame's header is 0 | `vp8` |
//! | VP9 | B bit, not P, spatial layer 0, not D | `vp9` |
//! | AV1 | N bit, or a sequence header in front, and not Z | `av1` |
//! | H.264 | a sequence parameter set or an IDR picture's first slice: single, anywhere in an aggregate, first fragment | `h264` |

mod av1;
mod h264;
#[cfg(test)]
mod tests;
mod vp8;
pub mod vp9;

use crate::dependency::{Frame, Head, Targets};

/// A codec, as far as its payloads are looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// With or without its dependency descriptor.
    Av1,
    /// RFC 6184.
    H264,
    /// Opus and everything else that needs no look inside.
    Other,
}

/// What one packet says of the frame it is part of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// The packet starts a key frame.
    pub key_frame: bool,
    /// It is the first of a frame (of one spatial layer), as far as the payload says that.
    pub begins: bool,
    /// It is the last of a frame (of one spatial layer), as far as the payload says that.
    pub ends: bool,
    /// The spatial layer.
    pub spatial: u8,
    /// The temporal layer.
    pub temporal: u8,
    /// What layers there are to choose from.
    pub layering: Layering,
    /// The picture id of VP8 and VP9.
    pub picture_id: Option<PicturePlace>,
    /// The number of the base layer frame, VP8 and VP9.
    pub tl0: Option<Tl0Place>,
    /// The height a VP8 key frame announces.
    pub height: Option<u16>,
    /// Where a scalability structure of VP9 stands, see [`vp9::sizes`].
    pub sizes_at: Option<u8>,
    /// The frame number of the dependency descriptor.
    pub frame_number: Option<FrameNumber>,
}

/// How the layers of an encoding depend on each other, by what the packet says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layering {
    /// There is one layer, or nothing is known.
    #[default]
    None,
    /// Temporal layers of VP8.
    Vp8 {
        /// The frame refers to none but the base layer's (Y).
        sync: bool,
    },
    /// Spatial and temporal layers of VP9.
    Vp9 {
        /// It refers to earlier pictures (P).
        predicted: bool,
        /// It refers to the spatial layer below (D).
        inter_layer: bool,
        /// Higher temporal layers do not refer to what was before this picture (U).
        switches_up: bool,
        /// The spatial layer above may refer to it (not Z).
        supports: bool,
    },
    /// Decode targets.
    Targets {
        /// Those it is part of.
        present: Targets,
        /// Those one can begin with here, if the frame itself can be decoded.
        switch: Targets,
    },
}

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident($inner:ty, $mask:literal);)*) => {$(
        $(#[$doc])*
        ///
        /// It wraps, so it can be gone on from and told apart, but not ordered.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $name($inner);

        impl $name {
            /// What is beyond its bits is cut.
            pub const fn new(number: $inner) -> Self {
                Self(number & $mask)
            }

            /// As a number.
            pub const fn get(self) -> $inner {
                self.0
            }

            /// The one behind it.
            pub const fn next(self) -> Self {
                self.shifted(1)
            }

            /// How far it is behind `other`.
            pub const fn since(self, other: Self) -> $inner {
                self.0.wrapping_sub(other.0) & $mask
            }

            /// The one so far behind it.
            pub const fn shifted(self, by: $inner) -> Self {
                Self::new(self.0.wrapping_add(by))
            }
        }
    )*};
}

numbers! {
    /// A picture id of VP8 or VP9, of 7 or 15 bits.
    PictureId(u16, 0x7fff);
    /// TL0PICIDX: the number of a base layer frame.
    Tl0Index(u8, 0xff);
    /// A frame number of AV1.
    FrameNumber(u16, 0xffff);
}

impl PictureId {
    /// From here on one is taken for older rather than newer than another.
    pub const HALF: u16 = 0x4000;

    /// As a long one stands in a payload.
    pub const fn wire(self) -> [u8; 2] {
        (self.0 | 0x8000).to_be_bytes()
    }
}

/// A picture id, and where it stands in the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PicturePlace {
    /// Where it is.
    pub at: u8,
    /// What it is.
    pub id: PictureId,
    /// 15 bits rather than 7. Only these can be rewritten.
    pub long: bool,
}

/// A TL0PICIDX, and where it stands in the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tl0Place {
    /// Where it is.
    pub at: u8,
    /// What it is.
    pub index: Tl0Index,
}

impl Descriptor {
    /// Reads what `codec` allows; `head` is that of the dependency descriptor. Payloads that cannot be read yield the
    /// default: an ordinary packet.
    pub fn parse(codec: Codec, payload: &[u8], head: Option<Head>) -> Self {
        let mut out = match codec {
            Codec::Vp8 => vp8::parse(payload).unwrap_or_default(),
            Codec::Vp9 => vp9::parse(payload).unwrap_or_default(),
            Codec::Av1 => Self { key_frame: av1::is_key_frame(payload), ..Self::default() },
            Codec::H264 => Self { key_frame: h264::is_key_frame(payload), ..Self::default() },
            Codec::Other => Self::default(),
        };
        out.frame_number = head.map(|head| head.number);
        out
    }

    /// With what the dependency descriptor and its structure say. As upstream: VP8 and VP9 that say themselves what they
    /// are need no other description.
    #[must_use]
    pub fn described_by(mut self, frame: &Frame) -> Self {
        if self.layering == Layering::None {
            self.key_frame = frame.is_key();
            (self.begins, self.ends) = (frame.begins, frame.ends);
            (self.spatial, self.temporal) = (frame.spatial, frame.temporal);
            self.layering = Layering::Targets { present: frame.present, switch: frame.switch };
        }
        self
    }
}

fn picture_id(payload: &[u8], at: usize) -> Option<PicturePlace> {
    let high = *payload.get(at)?;
    let place = at as u8;
    if high & 0x80 == 0 {
        return Some(PicturePlace { at: place, id: PictureId(u16::from(high)), long: false });
    }
    let id = PictureId::new(u16::from_be_bytes([high, *payload.get(at + 1)?]));
    Some(PicturePlace { at: place, id, long: true })
}
