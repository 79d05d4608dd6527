//! What each receiver should get: its settings, the sources in speaker order and a bandwidth in; a height limit and
//! one encoding per source out. The rules are upstream's, so that the results are the same.

pub(crate) mod allocate;
pub(crate) mod by_size;
pub(crate) mod effective;
pub(crate) mod fluent;
pub(crate) mod settings;
#[cfg(test)]
mod tests;

use jitsi_xmpp::jingle::VideoType;

use super::ids::{Bitrate, EncodingIx};

/// Whether a source of this type sends anything.
pub(crate) fn enabled(kind: VideoType) -> bool {
    kind != VideoType::None
}

/// Whether it is a screen share.
pub(crate) fn is_desktop(kind: VideoType) -> bool {
    matches!(kind, VideoType::Desktop | VideoType::DesktopHighFps)
}

/// Which part of a source: an encoding up to these spatial and temporal layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LayerId {
    pub(crate) encoding: EncodingIx,
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
}

impl LayerId {
    /// An encoding with all there is of it.
    pub(crate) const fn all_of(encoding: EncodingIx) -> Self {
        Self { encoding, spatial: u8::MAX, temporal: u8::MAX }
    }
}

/// One thing a source can send: an encoding, or a temporal or spatial part of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Layer {
    pub(crate) id: LayerId,
    /// Pixels, −1 when unknown.
    pub(crate) height: i32,
    /// Frames per second, −1 when unknown.
    pub(crate) fps: f32,
    /// Measured, of the layer and what it depends on; 0 = not being sent.
    pub(crate) bitrate: Bitrate,
}

impl Layer {
    /// What a layer of this height probably costs, as long as it was not measured: browsers' rates.
    pub(crate) const fn likely_bitrate(height: i32) -> Bitrate {
        Bitrate(match height {
            i32::MIN..=180 => 200_000,
            181..=360 => 500_000,
            361..=540 => 1_000_000,
            _ => 1_700_000,
        })
    }
}

/// No limit on the height.
pub(crate) const UNLIMITED: i32 = -1;
