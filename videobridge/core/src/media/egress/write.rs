//! New numbers and the sender's packet in; the header bytes with the rewritten start of the payload, and the untouched
//! rest, out. Everything is written into buffers that all packets share.

use jitsi_xmpp::ids::Ssrc;
use smallvec::SmallVec;
use videobridge_rtp::codecs::Descriptor;
use videobridge_rtp::dependency::{self, Rewriting};
use videobridge_rtp::extension::{abs_send_time_bytes, transport_sequence_bytes};
use videobridge_rtp::{ExtSeq, ExtensionForm, Extensions, HeaderWriter, RtpFields};

use super::stream::Rewrite;
use crate::media::ids::{Micros, PayloadNumber};
use crate::media::ingress::even::MOST_EVENED;
use crate::media::ingress::negotiated::{ExtensionKind, ExtensionKinds, Negotiated};
use crate::media::limits::MAX_HEADER;
use crate::media::packet::Packet;

/// What to send: a packet of a source, with the numbers for the stream it goes out on.
#[derive(Clone, Copy)]
pub(crate) struct Outgoing<'p, 'a> {
    pub(crate) packet: &'p Packet<'a>,
    pub(crate) descriptor: &'p Descriptor,
    pub(crate) kept: &'p Kept<'a>,
    pub(crate) rewrite: Rewrite,
}

/// The header extensions of a packet that receivers get, too: audio level, video orientation and dependency descriptor; and, for
/// other bridges, the allocation of layers.
/// Looked up once for all of them.
pub(crate) struct Kept<'a>(SmallVec<[(ExtensionKind, &'a [u8]); MAX_KEPT]>);

/// What a receiver's stamps are for one packet.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stamps {
    /// The transport-wide sequence number.
    pub(crate) transport: Option<u16>,
    /// For abs-send-time.
    pub(crate) send_time: Option<Micros>,
}

/// Where packets are written, one after the other.
#[derive(Debug)]
pub(crate) struct Buffers {
    head: [u8; MAX_HEADER + MAX_PREFIX],
    descriptor: [u8; MAX_DESCRIPTOR],
}

/// A rewritten packet: the header and what is rewritten of the payload in a buffer, the rest of the payload still the sender's.
pub(crate) struct Written<'b, 'a> {
    head: &'b [u8],
    rest: &'a [u8],
    padding: &'static [u8],
}

/// An RTX packet around the original: its payload type, SSRC and sequence number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retransmission {
    pub(crate) payload_type: PayloadNumber,
    pub(crate) ssrc: Ssrc,
    pub(crate) seq: ExtSeq,
}

impl<'a> Kept<'a> {
    /// `kinds` are the sender's extension ids.
    pub(crate) fn of(packet: &Packet<'a>, kinds: &ExtensionKinds) -> Self {
        let kept = Extensions::new(packet.profile, packet.extensions).filter_map(|e| {
            let kind = kinds.get(usize::from(e.id.wire())).copied().flatten()?;
            let keep = !matches!(kind, ExtensionKind::TransportCc | ExtensionKind::AbsSendTime);
            keep.then_some((kind, e.data))
        });
        Self(kept.take(MAX_KEPT).collect())
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self { head: [0; MAX_HEADER + MAX_PREFIX], descriptor: [0; MAX_DESCRIPTOR] }
    }
}

impl<'b, 'a> Written<'b, 'a> {
    /// Writes a packet for a receiver.
    pub(crate) fn new(
        buffers: &'b mut Buffers,
        outgoing: &Outgoing<'_, 'a>,
        ssrc: Ssrc,
        rtx: Option<Retransmission>,
        to: &Negotiated,
        stamps: Stamps,
    ) -> Option<Self> {
        let Outgoing { packet, descriptor, kept, rewrite } = outgoing;
        let fields = RtpFields {
            marker: rewrite.marker,
            payload_type: rtx.map_or(packet.payload_type, |rtx| rtx.payload_type).0,
            sequence: rtx.map_or(rewrite.seq, |rtx| rtx.seq).wire(),
            timestamp: rewrite.timestamp.0,
            ssrc: rtx.map_or(ssrc, |rtx| rtx.ssrc).0,
        };
        let Buffers { head, descriptor: rewritten } = buffers;
        let header = head.get_mut(..MAX_HEADER)?;
        let header_len = write_header((header, rewritten), &fields, kept, rewrite, to, stamps)?;
        let original = rtx.map(|_| rewrite.seq.wire());
        let prefix = head.get_mut(header_len..)?;
        let (prefix_len, rest) = write_prefix(prefix, original, packet.payload, descriptor, rewrite)?;
        // What is repeated goes alone.
        let evened = if rtx.is_some() { 0 } else { packet.evened };
        if evened > 0 {
            *head.first_mut()? |= PADDING_FLAG;
        }
        Some(Self { head: head.get(..header_len + prefix_len)?, rest, padding: padding(evened)? })
    }

    /// In the order they have on the wire.
    pub(crate) fn parts(&self) -> [&[u8]; 3] {
        [self.head, self.rest, self.padding]
    }

    /// Bytes in total.
    pub(crate) fn len(&self) -> usize {
        self.parts().iter().map(|part| part.len()).sum()
    }
}

/// What goes between header and untouched payload: of a retransmission the `original` number, and the payload up to the
/// last field that is rewritten. Returns the length of that, and the rest.
fn write_prefix<'a>(
    prefix: &mut [u8],
    original: Option<u16>,
    payload: &'a [u8],
    d: &Descriptor,
    rewrite: &Rewrite,
) -> Option<(usize, &'a [u8])> {
    let mut start = 0;
    if let Some(original) = original {
        *prefix.first_chunk_mut()? = original.to_be_bytes();
        start = 2;
    }
    let id = d.picture_id.filter(|_| rewrite.picture_id.is_some());
    let end = id.map_or(0, |p| usize::from(p.at) + 2).max(d.tl0.map_or(0, |t| usize::from(t.at) + 1));
    if end == 0 {
        return Some((start, payload));
    }
    let (head, rest) = payload.split_at_checked(end)?;
    prefix.get_mut(start..start + end)?.copy_from_slice(head);
    if let (Some(place), Some(value)) = (id, rewrite.picture_id) {
        let at = start + usize::from(place.at);
        prefix.get_mut(at..at + 2)?.copy_from_slice(&value.wire());
    }
    if let (Some(place), Some(value)) = (d.tl0, rewrite.tl0) {
        *prefix.get_mut(start + usize::from(place.at))? = value.get();
    }
    Some((start + end, rest))
}

/// `len` bytes of padding, the last of which says so (RFC 3550 §5.1).
fn padding(len: u8) -> Option<&'static [u8]> {
    PADDING.get(usize::from(len)).copied()
}

/// Puts what is kept under the receiver's ids and adds its stamps.
fn write_header(
    (buf, descriptor): (&mut [u8], &mut [u8]),
    fields: &RtpFields,
    kept: &Kept<'_>,
    rewrite: &Rewrite,
    to: &Negotiated,
    stamps: Stamps,
) -> Option<usize> {
    let wanted = to.id(ExtensionKind::DependencyDescriptor).zip(rewrite.frame_number);
    let is_dependency = |(kind, _): &&(ExtensionKind, _)| *kind == ExtensionKind::DependencyDescriptor;
    // A descriptor that does not fit is left out whole: a wrong frame number is worse than none.
    let rewritten = wanted.and_then(|(_, number)| {
        let (_, data) = kept.0.iter().find(is_dependency)?;
        let numbers = Rewriting { number, template_shift: rewrite.template_shift, active: rewrite.active };
        let len = dependency::rewrite(data, &numbers, descriptor)?;
        descriptor.get(..len)
    });
    let kept = kept.0.iter().filter_map(|(kind, data)| {
        let data = if *kind == ExtensionKind::DependencyDescriptor { rewritten? } else { data };
        Some((to.id(*kind)?, data))
    });
    let transport = to.id(ExtensionKind::TransportCc).zip(stamps.transport);
    let send_time = to.id(ExtensionKind::AbsSendTime).zip(stamps.send_time);
    let lengths = kept.clone().map(|(id, data)| (id, data.len()));
    let stamped = transport.map(|(id, _)| (id, 2)).into_iter().chain(send_time.map(|(id, _)| (id, 3)));
    let form = ExtensionForm::for_elements(lengths.chain(stamped));
    let mut header = HeaderWriter::new(buf, fields, form)?;
    for (id, data) in kept {
        header.extension(id, data);
    }
    if let Some((id, sequence)) = transport {
        header.extension(id, &transport_sequence_bytes(sequence));
    }
    if let Some((id, time)) = send_time {
        header.extension(id, &abs_send_time_bytes(time.0));
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
    if let Some((id, time)) = to.id(ExtensionKind::AbsSendTime).zip(stamps.send_time) {
        header.extension(id, &abs_send_time_bytes(time.0));
    }
    let len = header.finish();
    *buf.first_mut()? |= PADDING_FLAG;
    Some(len)
}

const PADDING_FLAG: u8 = 0x20;
/// RTX number and the longest descriptor start: flags, picture id and TL0PICIDX of VP8 or VP9.
const MAX_PREFIX: usize = 12;
const MAX_DESCRIPTOR: usize = 200;
/// By length.
static PADDING: [&[u8]; MOST_EVENED as usize + 1] = [
    &[],
    &[1],
    &[0, 2],
    &[0, 0, 3],
    &[0, 0, 0, 4],
    &[0, 0, 0, 0, 5],
    &[0, 0, 0, 0, 0, 6],
    &[0, 0, 0, 0, 0, 0, 7],
    &[0, 0, 0, 0, 0, 0, 0, 8],
];
/// One of each kind that is kept, and one more.
const MAX_KEPT: usize = 5;
