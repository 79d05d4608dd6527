//! The Data Channel Establishment Protocol (RFC 8832): one message in, what it asks for out.

/// A message of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dcep {
    /// The peer opens a channel on this stream. Label and protocol are ignored, as upstream does: clients write
    /// `JVB data channel` and `http://jitsi.org/protocols/colibri`.
    Open,
    /// The peer confirms a channel we opened.
    Ack,
}

/// The confirmation.
pub(crate) const ACK: [u8; 1] = [MESSAGE_ACK];

/// Reads a message; `None` when it is none (RFC 8832 §5).
pub(crate) fn parse(message: &[u8]) -> Option<Dcep> {
    match *message {
        [MESSAGE_OPEN, _type, _p0, _p1, _r0, _r1, _r2, _r3, l0, l1, p0, p1, ref rest @ ..] => {
            let len = usize::from(u16::from_be_bytes([l0, l1])) + usize::from(u16::from_be_bytes([p0, p1]));
            (rest.len() == len).then_some(Dcep::Open)
        }
        [MESSAGE_ACK] => Some(Dcep::Ack),
        _ => None,
    }
}

/// A request to open a reliable, ordered channel. `label` and `protocol` are cut at 65,535 bytes.
pub(crate) fn open(label: &str, protocol: &str) -> Vec<u8> {
    let mut m = vec![MESSAGE_OPEN, 0, 0, 0, 0, 0, 0, 0];
    let len = |text: &str| u16::try_from(text.len()).unwrap_or(u16::MAX);
    m.extend(len(label).to_be_bytes());
    m.extend(len(protocol).to_be_bytes());
    m.extend(label.bytes().take(len(label).into()));
    m.extend(protocol.bytes().take(len(protocol).into()));
    m
}

const MESSAGE_ACK: u8 = 2;
const MESSAGE_OPEN: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_clients_send_and_nothing_else() {
        let m = open("JVB data channel", "http://jitsi.org/protocols/colibri");
        assert_eq!(parse(&m), Some(Dcep::Open));
        assert_eq!(parse(&open("", "")), Some(Dcep::Open));
        assert_eq!(parse(&m[..m.len() - 1]), None);
        assert_eq!(parse(&ACK), Some(Dcep::Ack));
        assert_eq!([parse(&[]), parse(&[3]), parse(&[0])], [None; 3]);
    }
}
