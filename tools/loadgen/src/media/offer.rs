//! The bridge's side of a transport and the sources of a room in; the session description that a browser takes as an offer, out.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::colibri::{AUDIO_LEVEL_URI, Remote, TRANSPORT_CC_URI};
use super::rtp::{AUDIO_LEVEL, OPUS, RTX, TRANSPORT_CC, VP8};

/// A source as a viewer without SSRC rewriting gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) ssrc: u32,
    /// Its retransmissions; `None`: a microphone.
    pub(crate) rtx: Option<u32>,
}

/// One media line for each source, and one for the channel (RFC 8829, RFC 8843). The browser is to answer as DTLS client.
pub(crate) fn sdp(remote: &Remote, way: SocketAddr, sources: &[Source]) -> String {
    let mids: Vec<String> = (0..=sources.len()).map(|n| n.to_string()).collect();
    let mut lines = vec![
        "v=0".to_owned(),
        "o=- 1 1 IN IP4 127.0.0.1".to_owned(),
        "s=-".to_owned(),
        "t=0 0".to_owned(),
        format!("a=group:BUNDLE {}", mids.join(" ")),
    ];
    let transport = |mid: usize| {
        [
            "c=IN IP4 0.0.0.0".to_owned(),
            format!("a=mid:{mid}"),
            format!("a=ice-ufrag:{}", remote.ufrag),
            format!("a=ice-pwd:{}", remote.pwd),
            format!("a=fingerprint:sha-256 {}", remote.fingerprint),
            "a=setup:actpass".to_owned(),
            format!("a=candidate:1 1 udp 2130706431 {} {} typ host", way.ip(), way.port()),
        ]
    };
    for (mid, source) in sources.iter().enumerate() {
        match source.rtx {
            None => lines.push(format!("m=audio 9 UDP/TLS/RTP/SAVPF {OPUS}")),
            Some(_) => lines.push(format!("m=video 9 UDP/TLS/RTP/SAVPF {VP8} {RTX}")),
        }
        lines.extend(transport(mid));
        // The viewer speaks: by the reports about that it learns of the round trip, and its patience with what is lost depends on it.
        let direction = if source.rtx.is_none() { "a=sendrecv" } else { "a=sendonly" };
        lines.extend([direction.to_owned(), "a=rtcp-mux".to_owned()]);
        lines.push(format!("a=extmap:{TRANSPORT_CC} {TRANSPORT_CC_URI}"));
        match source.rtx {
            None => lines.extend([
                format!("a=extmap:{AUDIO_LEVEL} {AUDIO_LEVEL_URI}"),
                format!("a=rtpmap:{OPUS} opus/48000/2"),
                format!("a=rtcp-fb:{OPUS} transport-cc"),
                format!("a=fmtp:{OPUS} minptime=10;useinbandfec=1"),
            ]),
            Some(rtx) => {
                lines.push(format!("a=rtpmap:{VP8} VP8/90000"));
                for feedback in ["transport-cc", "ccm fir", "nack", "nack pli"] {
                    lines.push(format!("a=rtcp-fb:{VP8} {feedback}"));
                }
                lines.extend([format!("a=rtpmap:{RTX} rtx/90000"), format!("a=fmtp:{RTX} apt={VP8}")]);
                lines.push(format!("a=ssrc-group:FID {} {rtx}", source.ssrc));
            }
        }
        for ssrc in [Some(source.ssrc), source.rtx].into_iter().flatten() {
            lines.push(format!("a=ssrc:{ssrc} cname:{name}", name = source.name));
            lines.push(format!("a=ssrc:{ssrc} msid:{name} {name}", name = source.name));
        }
    }
    lines.push("m=application 9 UDP/DTLS/SCTP webrtc-datachannel".to_owned());
    lines.extend(transport(sources.len()));
    lines.push("a=sctp-port:5000".to_owned());
    lines.iter().fold(String::new(), |mut all, line| {
        let _ = write!(all, "{line}\r\n");
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_has_its_line_and_the_channel_is_the_last() {
        let remote = Remote {
            address: ([127, 0, 0, 1], 10_000).into(),
            ufrag: "u".into(),
            pwd: "p".into(),
            fingerprint: "AB:CD".into(),
        };
        let source = |name: &str, ssrc, rtx| Source { name: name.into(), ssrc, rtx };
        let sources = [source("a-a0", 1, None), source("a-v0", 2, Some(3))];
        let sdp = sdp(&remote, ([127, 0, 0, 1], 2_000).into(), &sources);
        let kinds: Vec<&str> = sdp.lines().filter_map(|l| l.strip_prefix("m=")?.split(' ').next()).collect();
        assert_eq!(kinds, ["audio", "video", "application"]);
        assert!(sdp.contains("a=group:BUNDLE 0 1 2\r\n") && sdp.contains("a=ssrc-group:FID 2 3\r\n"));
        let ways = sdp.matches("a=candidate:1 1 udp 2130706431 127.0.0.1 2000 typ host\r\n").count();
        assert_eq!(ways, 3, "of the way, not the bridge");
    }
}
