//! What a process and its successor say to each other: words in, bytes of a message out, and back. Names of rooms are in some, so none
//! of them is ever shown.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// How these words are written. A successor that knows another way does not begin, and all stays as it was.
pub(super) const VERSION: u32 = 1;

/// A message.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// The first of the process before.
    Hello {
        version: u32,
        /// How many processes are before the successor.
        before: u8,
        /// With which the TURN server's credentials are made, where it made it itself.
        turn: Option<String>,
    },
    /// With sockets that are listened on.
    Sockets,
    /// With ways on which datagrams for its media threads go back.
    Media,
    /// With the way on which the TURN server's go back.
    Turn,
    /// Rooms that are there, and such as are not any more.
    Rooms { come: Vec<String>, gone: Vec<String> },
    /// Nobody is let in any more: the successor's turn.
    Begin,
    /// How many meetings and processes there are before the successor.
    Left { meetings: u64, processes: u8 },

    /// The successor could serve.
    Ready,
    /// It serves.
    Serving,
    /// With a stream: somebody for a meeting of before.
    Visit { peer: SocketAddr, encrypted: bool },
    /// All end.
    End,
}

impl Word {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Strings and numbers can be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// `None`: the other process has another version.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use service::limits::LINE_BYTES;

    use super::super::limits::ROOMS_BYTES;
    use super::*;

    #[test]
    fn words_come_back_as_they_were() {
        for word in [
            Word::Hello { version: VERSION, before: 1, turn: Some("geheim".into()) },
            Word::Rooms { come: vec!["bürgerforum@muc.meet".into()], gone: vec![] },
            Word::Visit { peer: "[2001:db8::7]:4711".parse().unwrap(), encrypted: true },
            Word::End,
        ] {
            assert!(Word::of(&word.to_bytes()) == Some(word));
        }
        assert!(Word::of(b"{\"new\":1}").is_none() && Word::of(b"").is_none());
    }

    #[test]
    fn the_longest_name_fits_behind_as_many_as_go_into_one_message() {
        let longest = jitsi_xmpp::limits::MAX_JID_PART_BYTES * 2 + 1;
        // Of what may stand in an address, nothing is written longer than twice.
        assert!(ROOMS_BYTES + 2 * longest + 64 < LINE_BYTES);
    }
}
