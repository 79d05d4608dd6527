//! What a participant sends: frames of a camera with three VP8 encodings, packets of a microphone. Time in, plain RTP
//! packets out.

use jitsi_xmpp::colibri2::MediaSource;
use jitsi_xmpp::ids::{MediaType, SourceName, Ssrc};
use jitsi_xmpp::jingle::{Semantics, Source, SsrcGroup};
use videobridge_rtp::{ExtensionForm, ExtensionId, HeaderWriter, RtpFields};

/// A packet before encryption.
pub(crate) struct Plain {
    pub(crate) bytes: Vec<u8>,
}

/// Packets and bytes per packet of one frame of each encoding: 720p in three layers at about 2.7 Mbit/s.
const ENCODINGS: [(usize, usize); 3] = [(1, 600), (2, 900), (8, 1100)];
/// Packets of the highest encoding in one frame.
pub(crate) const PACKETS_OF_BEST: u64 = ENCODINGS[2].0 as u64;

/// A camera and a microphone.
pub(crate) struct Sender {
    first_ssrc: u32,
    /// Packets sent per encoding, and of the microphone at last.
    count: [u64; 4],
    frame: u32,
    transport: u16,
}

impl Sender {
    /// `n` tells senders apart.
    pub(crate) const fn new(n: u32) -> Self {
        Self { first_ssrc: (n + 1) * 1000, count: [1; 4], frame: 0, transport: 0 }
    }

    /// The camera as it is signalled: three encodings, each with retransmissions.
    pub(crate) fn camera(&self, name: &str) -> MediaSource {
        let mut source = MediaSource::new(MediaType::Video, SourceName::new(name));
        let primary = |i| Ssrc(self.first_ssrc + i);
        let groups = (0..3).map(|i| SsrcGroup {
            semantics: Semantics::Fid,
            ssrcs: vec![primary(i), Ssrc(self.first_ssrc + 100 + i)],
        });
        let sim = SsrcGroup { semantics: Semantics::Sim, ssrcs: (0..3).map(primary).collect() };
        source.ssrc_groups = std::iter::once(sim).chain(groups).collect();
        source.sources =
            source.ssrc_groups[1..].iter().flat_map(|g| &g.ssrcs).map(|s| Source::new(*s)).collect();
        source
    }

    /// The microphone as it is signalled.
    pub(crate) fn microphone(&self, name: &str) -> MediaSource {
        let mut source = MediaSource::new(MediaType::Audio, SourceName::new(name));
        source.sources.push(Source::new(Ssrc(self.first_ssrc + 500)));
        source
    }

    /// One frame of all encodings.
    pub(crate) fn video(&mut self, key_frame: bool) -> Vec<Plain> {
        self.frame += 1;
        let mut all = Vec::new();
        for (i, (packets, size)) in ENCODINGS.into_iter().enumerate() {
            for part in 0..packets {
                let start = if part == 0 { 0x10 } else { 0 };
                let picture = (self.frame as u16 & 0x7fff) | 0x8000;
                let [hi, lo] = picture.to_be_bytes();
                let mut body = vec![0x80 | start, 0xe0, hi, lo, self.frame as u8, 0x20];
                if part == 0 && key_frame {
                    body.extend([0x10, 0, 0, 0x9d, 1, 0x2a, 0, 1]);
                    body.extend((180u16 << i).to_le_bytes());
                } else {
                    body.extend([0x11; 10]);
                }
                self.transport = self.transport.wrapping_add(1);
                let transport = self.transport.to_be_bytes();
                let marker = part + 1 == packets;
                all.push(self.packet(i, 100, marker, self.frame * 3000, (5, &transport), body, size));
            }
        }
        all
    }

    /// One packet of a microphone into which somebody speaks.
    pub(crate) fn audio(&mut self) -> Plain {
        self.frame += 1;
        // 20 dB below the loudest.
        self.packet(3, 111, false, self.frame * 960, (1, &[0x80 | 20]), vec![0x78; 80], 100)
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a packet")]
    fn packet(
        &mut self,
        stream: usize,
        payload_type: u8,
        marker: bool,
        timestamp: u32,
        extension: (u8, &[u8]),
        body: Vec<u8>,
        size: usize,
    ) -> Plain {
        let ext_seq = self.count[stream];
        self.count[stream] += 1;
        let ssrc = self.first_ssrc + if stream == 3 { 500 } else { stream as u32 };
        let fields = RtpFields { marker, payload_type, sequence: ext_seq as u16, timestamp, ssrc };
        let mut header = [0; 64];
        let mut writer = HeaderWriter::new(&mut header, &fields, ExtensionForm::OneByte).unwrap();
        writer.extension(ExtensionId::new(extension.0).unwrap(), extension.1).unwrap();
        let header_len = writer.finish();
        let mut bytes = header[..header_len].to_vec();
        bytes.extend(body);
        bytes.resize(size, 7);
        Plain { bytes }
    }
}
