//! The bridge's side of ICE and DTLS, and what others send, in; the session description that the client library makes of it, out.

use std::fmt::Write as _;
use std::net::SocketAddr;

use jitsi_xmpp::jingle::IceUdpTransport;

/// What somebody else sends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    /// SSRC of the microphone.
    pub(crate) audio: u32,
    /// SSRC of the camera.
    pub(crate) video: u32,
    /// SSRC of its repairs.
    pub(crate) rtx: u32,
}

/// An offer with a microphone and a camera in each direction, and a channel. `others`: whose media will come.
pub(crate) fn offer(bridge: SocketAddr, ice: &IceUdpTransport, others: &[Sent]) -> String {
    let fingerprint = ice.fingerprints.first().expect("a fingerprint");
    let (ufrag, pwd) = (ice.ufrag.as_deref().unwrap(), ice.pwd.as_ref().unwrap().reveal());
    let mut sdp = String::from(
        "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\na=msid-semantic: WMS *\r\n",
    );
    for (mid, line) in [AUDIO, VIDEO, CHANNEL].into_iter().enumerate() {
        let (first, rest) = line.split_once('\n').unwrap();
        let _ = write!(
            sdp,
            "{first}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n"
        );
        let _ =
            write!(sdp, "a=fingerprint:{} {}\r\na=setup:actpass\r\n", fingerprint.hash, fingerprint.value);
        for line in rest.lines() {
            let _ = write!(sdp, "{line}\r\n");
        }
        let _ = write!(
            sdp,
            "a=candidate:1 1 udp 2130706431 {} {} typ host generation 0\r\n",
            bridge.ip(),
            bridge.port()
        );
        if line == CHANNEL {
            continue;
        }
        for (n, other) in others.iter().enumerate() {
            let ssrcs = if line == AUDIO { vec![other.audio] } else { vec![other.video, other.rtx] };
            if let [first, second] = ssrcs[..] {
                let _ = write!(sdp, "a=ssrc-group:FID {first} {second}\r\n");
            }
            for ssrc in ssrcs {
                let _ = write!(sdp, "a=ssrc:{ssrc} cname:c{n}\r\na=ssrc:{ssrc} msid:s{n} t{n}-{mid}\r\n");
            }
        }
    }
    sdp
}

const AUDIO: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=rtcp-mux
a=sendrecv
";
const VIDEO: &str = "m=video 9 UDP/TLS/RTP/SAVPF 100 96
a=rtpmap:100 VP8/90000
a=rtcp-fb:100 nack
a=rtcp-fb:100 nack pli
a=rtcp-fb:100 transport-cc
a=rtpmap:96 rtx/90000
a=fmtp:96 apt=100
a=extmap:5 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=rtcp-mux
a=sendrecv
";
const CHANNEL: &str = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel
a=sctp-port:5000
a=max-message-size:262144
";
