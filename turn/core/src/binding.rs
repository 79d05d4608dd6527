//! A transaction in, the question under which address a STUN server sees us out; its answer in, that address out (RFC 8489 §3).

use std::net::SocketAddr;

use crate::message::{MAGIC, XOR_MAPPED_ADDRESS, address};

/// A Binding request without attributes.
pub fn question(transaction: [u8; 12]) -> [u8; 20] {
    let mut bytes = [0; 20];
    let (header, rest) = bytes.split_at_mut(8);
    header.copy_from_slice(&[0, 1, 0, 0, MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3]]);
    rest.copy_from_slice(&transaction);
    bytes
}

/// What the answer to the question with this transaction says. `None`: it is none, or says nothing of use. Nothing proves who
/// wrote it but that the transaction was known to them.
pub fn answer(transaction: [u8; 12], bytes: &[u8]) -> Option<SocketAddr> {
    let (header, mut rest) = bytes.split_first_chunk::<20>()?;
    let [t0, t1, l0, l1, c0, c1, c2, c3, whose @ ..] = *header;
    let len = usize::from(u16::from_be_bytes([l0, l1]));
    if [t0, t1] != SUCCESS || [c0, c1, c2, c3] != MAGIC || whose != transaction || len != rest.len() {
        return None;
    }
    loop {
        let ([a0, a1, l0, l1], after) = rest.split_first_chunk::<4>()?;
        let len = usize::from(u16::from_be_bytes([*l0, *l1]));
        if u16::from_be_bytes([*a0, *a1]) == XOR_MAPPED_ADDRESS {
            return address(after.get(..len)?, &transaction);
        }
        rest = after.get(len.next_multiple_of(4)..)?;
    }
}

/// A success response to a Binding request.
const SUCCESS: [u8; 2] = [1, 1];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Answer, Message};

    const OURS: [u8; 12] = [7; 12];

    fn answered(attribute: u16, at: &str) -> Vec<u8> {
        let asked = question(OURS);
        let mut answer = Answer::success(&Message::parse(&asked).unwrap());
        answer.attribute(0x8022, b"a server's name");
        answer.address(attribute, at.parse().unwrap());
        answer.finish(None)
    }

    #[test]
    fn the_address_that_the_server_saw_is_read() {
        for at in ["203.0.113.7:20000", "[2001:db8::7]:1"] {
            assert_eq!(answer(OURS, &answered(XOR_MAPPED_ADDRESS, at)), Some(at.parse().unwrap()));
        }
    }

    #[test]
    fn what_is_no_answer_to_our_question_says_nothing() {
        let good = answered(XOR_MAPPED_ADDRESS, "203.0.113.7:20000");
        assert_eq!(answer([8; 12], &good), None, "another's");
        assert_eq!(answer(OURS, &question(OURS)), None, "our own question");
        assert_eq!(answer(OURS, &answered(0x0012, "203.0.113.7:1")), None, "another attribute");
        for cut in 0..good.len() {
            assert_eq!(answer(OURS, &good[..cut]), None, "{cut}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x80;
            // Whatever it says, it says it without a panic; the transaction and the cookie are checked.
            let said = answer(OURS, &bad);
            assert!(said.is_none() || at >= 20, "{at}");
        }
    }
}
