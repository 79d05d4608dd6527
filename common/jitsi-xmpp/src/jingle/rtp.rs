//! Codecs and header extensions (XEP-0167, -0293, -0294): description elements in and out. Shared by Jingle and Colibri2.

use super::Senders;
use super::source::{Source, SsrcGroup};

/// `parameter`: a format parameter of a codec, or of a source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Parameter {
    /// Its name. RED's `111/111` has none.
    pub name: Option<String>,
    /// Its value.
    pub value: String,
}

/// `rtcp-fb`: a kind of RTCP feedback for a codec, e.g. `nack` `pli`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RtcpFeedback {
    /// `nack`, `ccm`, `transport-cc`, `goog-remb` …
    pub kind: String,
    /// `pli`, `fir` …
    pub subtype: Option<String>,
}

/// `payload-type`: one codec of a description.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PayloadType {
    /// The RTP payload type, 0–127.
    pub id: u8,
    /// The encoding's name as written; compare case-insensitively. Empty when absent (static types).
    pub name: String,
    /// RTP clock rate in Hz; 0 when absent.
    pub clockrate: u32,
    /// Audio channels; 1 when absent.
    pub channels: u8,
    /// Format parameters in order.
    pub parameters: Vec<Parameter>,
    /// Feedback kinds in order.
    pub rtcp_fbs: Vec<RtcpFeedback>,
    /// `rtcp-fb-trr-int`: least milliseconds between regular RTCP packets.
    pub trr_int: Option<u32>,
}

/// `rtp-hdrext`: an RTP header extension and its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HeaderExtension {
    /// 1–14 in the one-byte form, to 255 in the two-byte form; never 0.
    pub id: u8,
    /// What it is.
    pub uri: String,
    /// The direction, if not both.
    pub senders: Option<Senders>,
}

/// `description` of a content.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RtpDescription {
    /// `audio`, `video` or, for the data channel, `application`.
    pub media: String,
    /// Longest packet in milliseconds.
    pub maxptime: Option<u32>,
    /// Codecs in order of preference.
    pub payload_types: Vec<PayloadType>,
    /// Header extensions in order.
    pub header_extensions: Vec<HeaderExtension>,
    /// RFC 8285: one- and two-byte extensions may be mixed.
    pub extmap_allow_mixed: bool,
    /// RTP and RTCP on one port.
    pub rtcp_mux: bool,
    /// Sources, XML form.
    pub sources: Vec<Source>,
    /// Groups of sources, XML form.
    pub ssrc_groups: Vec<SsrcGroup>,
}
