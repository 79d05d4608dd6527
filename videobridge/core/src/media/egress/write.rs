//! New numbers and the sender's packet in; the header bytes, the rewritten start of the payload and the untouched
//! rest out. Everything is written into buffers on the stack.

use videobridge_rtp::extension::{abs_send_time_bytes, transport_sequence_bytes};
use videobridge_rtp::{ExtensionForm, Extensions, HeaderWriter, RtpFields};

use super::stream::Rewrite;
use crate::media::ingress::descriptor::Descriptor;
use crate::media::ingress::negotiated::{ExtensionKind, ExtensionKinds, Negotiated};
use crate::media::limits::MAX_HEADER;
use crate::media::packet::Packet;

/// What a receiver's stamps are for one packet.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stamps {
    /// The transport-wide sequence number.
    pub(crate) transport: Option<u16>,
    /// Microseconds for abs-send-time.
    pub(crate) send_time_us: Option<u64>,
}

/// A rewritten packet: header and prefix in buffers, the rest of the payload still the sender's.
pub(crate) struct Written<'a> {
    header: [u8; MAX_HEADER],
    header_len: usize,
    prefix: [u8; MAX_PREFIX],
    prefix_len: usize,
    rest: &'a [u8],
}

/// An RTX packet around the original: its payload type, SSRC and sequence number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retransmission {
    pub(crate) payload_type: u8,
    pub(crate) ssrc: u32,
    pub(crate) seq: u64,
}

impl<'a> Written<'a> {
    /// Writes `packet` for a receiver. `kinds` are the sender's extension ids.
    pub(crate) fn new(
        packet: &Packet<'a>,
        d: &Descriptor,
        rewrite: &Rewrite,
        ssrc: u32,
        rtx: Option<Retransmission>,
        (kinds, to): (&ExtensionKinds, &Negotiated),
        stamps: Stamps,
    ) -> Option<Self> {
        let fields = match rtx {
            None => RtpFields {
                marker: packet.marker,
                payload_type: packet.payload_type,
                sequence: rewrite.seq as u16,
                timestamp: rewrite.timestamp,
                ssrc,
            },
            Some(rtx) => RtpFields {
                marker: packet.marker,
                payload_type: rtx.payload_type,
                sequence: rtx.seq as u16,
                timestamp: rewrite.timestamp,
                ssrc: rtx.ssrc,
            },
        };
        let mut out = Self {
            header: [0; MAX_HEADER],
            header_len: 0,
            prefix: [0; MAX_PREFIX],
            prefix_len: 0,
            rest: &[],
        };
        out.header_len = write_header(&mut out.header, &fields, packet, rewrite, (kinds, to), stamps)?;
        if rtx.is_some() {
            out.push(&(rewrite.seq as u16).to_be_bytes())?;
        }
        out.push_payload(packet.payload, d, rewrite)?;
        Some(out)
    }

    pub(crate) fn header(&self) -> &[u8] {
        self.header.get(..self.header_len).unwrap_or_default()
    }

    pub(crate) fn prefix(&self) -> &[u8] {
        self.prefix.get(..self.prefix_len).unwrap_or_default()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Bytes in total.
    pub(crate) fn len(&self) -> usize {
        self.header_len + self.prefix_len + self.rest.len()
    }

    fn push(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.prefix_len + bytes.len();
        self.prefix.get_mut(self.prefix_len..end)?.copy_from_slice(bytes);
        self.prefix_len = end;
        Some(())
    }

    /// Copies the payload up to the last rewritten field into the prefix.
    fn push_payload(&mut self, payload: &'a [u8], d: &Descriptor, rewrite: &Rewrite) -> Option<()> {
        let id = d.picture_id.filter(|_| rewrite.picture_id.is_some());
        let end = id.map_or(0, |p| usize::from(p.at) + 2).max(d.tl0.map_or(0, |t| usize::from(t.at) + 1));
        let (head, rest) = payload.split_at_checked(end)?;
        let start = self.prefix_len;
        self.push(head)?;
        self.rest = rest;
        if let (Some(place), Some(value)) = (id, rewrite.picture_id) {
            let at = start + usize::from(place.at);
            self.prefix.get_mut(at..at + 2)?.copy_from_slice(&(value | 0x8000).to_be_bytes());
        }
        if let (Some(place), Some(value)) = (d.tl0, rewrite.tl0) {
            *self.prefix.get_mut(start + usize::from(place.at))? = value;
        }
        Some(())
    }
}

/// Keeps audio level, video orientation and the dependency descriptor under the receiver's ids, adds its stamps and
/// leaves out everything else.
fn write_header(
    buf: &mut [u8],
    fields: &RtpFields,
    packet: &Packet<'_>,
    rewrite: &Rewrite,
    (kinds, to): (&ExtensionKinds, &Negotiated),
    stamps: Stamps,
) -> Option<usize> {
    let kept = Extensions::new(packet.profile, packet.extensions).filter_map(|e| {
        let kind = kinds.get(usize::from(e.id)).copied().flatten()?;
        let keep = !matches!(kind, ExtensionKind::TransportCc | ExtensionKind::AbsSendTime);
        Some((kind, to.id(kind).filter(|_| keep)?, e.data))
    });
    let transport = to.id(ExtensionKind::TransportCc).zip(stamps.transport);
    let send_time = to.id(ExtensionKind::AbsSendTime).zip(stamps.send_time_us);
    let lengths = kept.clone().map(|(_, id, data)| (id, data.len()));
    let stamped = transport.map(|(id, _)| (id, 2)).into_iter().chain(send_time.map(|(id, _)| (id, 3)));
    let form = ExtensionForm::for_elements(lengths.chain(stamped));
    let mut header = HeaderWriter::new(buf, fields, form)?;
    for (kind, id, data) in kept {
        match (kind, rewrite.frame_number) {
            (ExtensionKind::DependencyDescriptor, Some(number)) => {
                let mut copy = [0; MAX_DESCRIPTOR];
                // A descriptor that does not fit is left out whole: a wrong frame number is worse than none.
                if let Some(bytes) = copy.get_mut(..data.len()) {
                    bytes.copy_from_slice(data);
                    bytes.get_mut(1..3)?.copy_from_slice(&number.to_be_bytes());
                    header.extension(id, bytes);
                }
            }
            _ => {
                header.extension(id, data);
            }
        }
    }
    if let Some((id, sequence)) = transport {
        header.extension(id, &transport_sequence_bytes(sequence));
    }
    if let Some((id, time)) = send_time {
        header.extension(id, &abs_send_time_bytes(time));
    }
    Some(header.finish())
}

/// The header of a packet with nothing but padding.
pub(crate) fn padding_header(
    buf: &mut [u8],
    fields: &RtpFields,
    to: &Negotiated,
    stamps: Stamps,
) -> Option<usize> {
    let mut header = HeaderWriter::new(buf, fields, ExtensionForm::OneByte)?;
    if let Some((id, sequence)) = to.id(ExtensionKind::TransportCc).zip(stamps.transport) {
        header.extension(id, &transport_sequence_bytes(sequence));
    }
    if let Some((id, time)) = to.id(ExtensionKind::AbsSendTime).zip(stamps.send_time_us) {
        header.extension(id, &abs_send_time_bytes(time));
    }
    let len = header.finish();
    *buf.first_mut()? |= PADDING_FLAG;
    Some(len)
}

const PADDING_FLAG: u8 = 0x20;
/// RTX number and the longest descriptor start: flags, picture id and TL0PICIDX of VP8 or VP9.
const MAX_PREFIX: usize = 12;
const MAX_DESCRIPTOR: usize = 200;
