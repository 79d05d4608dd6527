//! Media sources and their groups (XEP-0339 with Jitsi's additions): elements in and out. Shared by Jingle and Colibri2.

use super::rtp::Parameter;
use crate::ids::{EndpointId, SourceName, Ssrc};
use crate::words::words;

words! {
    /// What a video source shows.
    VideoType {
        /// A camera.
        Camera = "camera",
        /// A shared screen, sharp rather than fluent.
        Desktop = "desktop",
        /// A shared screen, fluent (a film).
        DesktopHighFps = "desktop_high_fps",
        /// Nothing at present: muted.
        None = "none",
    }
}

/// `source`: one RTP stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    /// Its SSRC. The focus refuses 0.
    pub ssrc: Ssrc,
    /// The name that all streams of the same track share.
    pub name: Option<SourceName>,
    /// Camera or screen.
    pub video_type: Option<VideoType>,
    /// RTP stream id (simulcast without signalled SSRCs).
    pub rid: Option<String>,
    /// `ssrc-info@owner`: whose it is; written by the focus only.
    pub owner: Option<EndpointId>,
    /// `msid` and others.
    pub parameters: Vec<Parameter>,
}

/// How the streams of a group belong together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Semantics {
    /// A stream and its retransmissions, RFC 4588.
    Fid,
    /// Simulcast layers, lowest first.
    Sim,
    /// A stream and its forward error correction.
    Fec,
    /// The same with flexfec.
    FecFr,
    /// Anything else, as written.
    Other(String),
}

/// `ssrc-group`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SsrcGroup {
    /// Kind of group.
    pub semantics: Semantics,
    /// Members in order.
    pub ssrcs: Vec<Ssrc>,
}
