//! The few bits of a video payload the bridge reads: payload (and AV1 dependency descriptor) in; key frame start,
//! height, and where picture ids stand out. Nothing beyond descriptors and the VP8 key frame header is looked at, so
//! end-to-end encrypted frames pass.

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

/// What the descriptor of one packet says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// The packet starts a key frame.
    pub key_frame: bool,
    /// The picture id of VP8 and VP9.
    pub picture_id: Option<PicturePlace>,
    /// The number of the base layer frame, VP8 and VP9.
    pub tl0: Option<Tl0Place>,
    /// The height a VP8 key frame announces.
    pub height: Option<u16>,
    /// The AV1 frame number of the dependency descriptor.
    pub frame_number: Option<FrameNumber>,
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
    /// Reads what `codec` allows. Payloads that cannot be read yield the default: an ordinary packet.
    pub fn parse(codec: Codec, payload: &[u8], dependency: Option<&[u8]>) -> Self {
        match codec {
            Codec::Vp8 => vp8(payload).unwrap_or_default(),
            Codec::Vp9 => vp9(payload).unwrap_or_default(),
            Codec::Av1 => av1(payload, dependency),
            Codec::H264 => Self { key_frame: h264_key_frame(payload).unwrap_or(false), ..Self::default() },
            Codec::Other => Self::default(),
        }
    }
}

/// RFC 7741 §4.2, and §4.3 for key frames.
fn vp8(payload: &[u8]) -> Option<Descriptor> {
    let first = *payload.first()?;
    let mut at = 1;
    let mut out = Descriptor::default();
    if first & 0x80 != 0 {
        let flags = *payload.get(1)?;
        at = 2;
        if flags & 0x80 != 0 {
            let id = picture_id(payload, at)?;
            at += if id.long { 2 } else { 1 };
            out.picture_id = Some(id);
        }
        if flags & 0x40 != 0 {
            out.tl0 = Some(Tl0Place { at: at as u8, index: Tl0Index(*payload.get(at)?) });
            at += 1;
        }
        if flags & 0x30 != 0 {
            at += 1;
        }
    }
    // Start of the first partition of a frame whose P bit says "not predicted".
    if first & 0x17 == 0x10 && payload.get(at)? & 1 == 0 {
        out.key_frame = true;
        if let Some([0x9d, 0x01, 0x2a, _, _, low, high]) = payload.get(at + 3..at + 10) {
            out.height = Some(u16::from_le_bytes([*low, *high]) & 0x3fff);
        }
    }
    Some(out)
}

/// RFC 9628 §4.2.
fn vp9(payload: &[u8]) -> Option<Descriptor> {
    let first = *payload.first()?;
    let mut at = 1;
    let mut out = Descriptor::default();
    if first & 0x80 != 0 {
        let id = picture_id(payload, at)?;
        at += if id.long { 2 } else { 1 };
        out.picture_id = Some(id);
    }
    let mut spatial = 0;
    if first & 0x20 != 0 {
        spatial = payload.get(at)? >> 1 & 7;
        at += 1;
        if first & 0x10 == 0 {
            out.tl0 = Some(Tl0Place { at: at as u8, index: Tl0Index(*payload.get(at)?) });
        }
    }
    out.key_frame = first & 0x48 == 0x08 && spatial == 0;
    Some(out)
}

/// With a dependency descriptor a key frame is what carries a new structure; without, the N bit of the aggregation
/// header says that a coded video sequence starts.
fn av1(payload: &[u8], dependency: Option<&[u8]>) -> Descriptor {
    match dependency {
        Some(dd) => Descriptor {
            key_frame: dd.get(3).is_some_and(|flags| flags & 0x80 != 0)
                && dd.first().is_some_and(|b| b & 0x80 != 0),
            frame_number: dd
                .get(1..3)
                .and_then(|b| b.try_into().ok())
                .map(|n| FrameNumber(u16::from_be_bytes(n))),
            ..Descriptor::default()
        },
        None => {
            Descriptor { key_frame: payload.first().is_some_and(|b| b & 0x08 != 0), ..Descriptor::default() }
        }
    }
}

/// RFC 6184: a sequence parameter set or the start of an IDR slice, alone, aggregated or fragmented.
fn h264_key_frame(payload: &[u8]) -> Option<bool> {
    let key = |unit: u8| matches!(unit & 0x1f, 5 | 7);
    Some(match payload.first()? & 0x1f {
        24 => key(*payload.get(3)?),
        28 => payload.get(1)? & 0x80 != 0 && key(*payload.get(1)?),
        _ => key(*payload.first()?),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vp8_key_frame_with_all_fields() {
        let payload = [0x90, 0xf0, 0x81, 0x02, 7, 0x20, 0x10, 0, 0, 0x9d, 1, 0x2a, 0, 5, 0xd0, 2, 0, 0];
        let d = Descriptor::parse(Codec::Vp8, &payload, None);
        assert!(d.key_frame);
        assert_eq!(d.picture_id, Some(PicturePlace { at: 2, id: PictureId(258), long: true }));
        assert_eq!(d.tl0, Some(Tl0Place { at: 4, index: Tl0Index(7) }));
        assert_eq!(d.height, Some(720));
    }

    #[test]
    fn vp8_continuations_and_predicted_frames_are_no_key_frames() {
        for payload in
            [&[0x80, 0x80, 0x81, 0x02, 0x10][..], &[0x90, 0x80, 0x81, 0x02, 0x11], &[0x91, 0x80, 0x01, 0x10]]
        {
            assert!(!Descriptor::parse(Codec::Vp8, payload, None).key_frame, "{payload:?}");
        }
    }

    #[test]
    fn e2ee_vp8_needs_only_the_first_ten_bytes() {
        let payload = [0x90, 0x80, 0x81, 0x02, 0x10, 0, 0, 0x9d, 1, 0x2a, 0, 5, 0xd0, 2];
        assert!(Descriptor::parse(Codec::Vp8, &payload, None).key_frame);
        assert_eq!(Descriptor::parse(Codec::Vp8, &payload, None).height, Some(720));
    }

    #[test]
    fn vp9_key_frame_is_the_beginning_of_the_base_layer() {
        let key = [0xa8, 0x81, 0x02, 0x00, 9];
        let d = Descriptor::parse(Codec::Vp9, &key, None);
        assert!(d.key_frame);
        assert_eq!(d.tl0, Some(Tl0Place { at: 4, index: Tl0Index(9) }));
        assert!(
            !Descriptor::parse(Codec::Vp9, &[0xa8, 0x81, 0x02, 0x02, 9], None).key_frame,
            "spatial layer 1"
        );
        assert!(!Descriptor::parse(Codec::Vp9, &[0xe8, 0x81, 0x02, 0x00, 9], None).key_frame, "predicted");
    }

    #[test]
    fn numbers_wrap_within_their_bits() {
        let last = PictureId::new(0xffff);
        assert_eq!((last.get(), last.next(), last.wire()), (0x7fff, PictureId(0), [0xff, 0xff]));
        assert_eq!(PictureId(2).since(last), 3);
        assert_eq!(last.shifted(PictureId(2).since(last)), PictureId(2));
        assert_eq!((Tl0Index(255).next(), Tl0Index(1).since(Tl0Index(255))), (Tl0Index(0), 2));
        assert_eq!(
            (FrameNumber(0xffff).next(), FrameNumber(0).since(FrameNumber(0xffff))),
            (FrameNumber(0), 1)
        );
    }

    #[test]
    fn av1_and_h264_key_frames() {
        assert!(Descriptor::parse(Codec::Av1, &[], Some(&[0x80, 0x12, 0x34, 0x80])).key_frame);
        assert_eq!(
            Descriptor::parse(Codec::Av1, &[], Some(&[0x80, 0x12, 0x34])).frame_number,
            Some(FrameNumber(0x1234))
        );
        assert!(!Descriptor::parse(Codec::Av1, &[0x08], Some(&[0x80, 0x12, 0x34])).key_frame);
        assert!(Descriptor::parse(Codec::Av1, &[0x08], None).key_frame);
        for key in [&[0x67][..], &[0x65], &[0x78, 0, 2, 0x67], &[0x7c, 0x85]] {
            assert!(Descriptor::parse(Codec::H264, key, None).key_frame, "{key:?}");
        }
        for other in [&[0x61][..], &[0x7c, 0x05], &[0x78, 0, 2, 0x61], &[]] {
            assert!(!Descriptor::parse(Codec::H264, other, None).key_frame, "{other:?}");
        }
    }

    #[test]
    fn truncated_payloads_are_ordinary_packets() {
        let full = [0x90, 0xf0, 0x81, 0x02, 7, 0x20, 0x11];
        for codec in [Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::H264, Codec::Other] {
            for len in 0..full.len() {
                let _ = Descriptor::parse(codec, &full[..len], Some(&full[..len.min(3)]));
            }
        }
    }
}
