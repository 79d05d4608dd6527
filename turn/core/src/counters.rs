//! What happened, counted: one name each for the metrics, sorted by whose fault it was.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident => $label:literal,)*) => {
        /// Something that is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Counter { $($(#[$doc])* $name,)* }

        impl Counter {
            /// All there are, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name in the metrics.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }
        }
    };
}

counters! {
    /// A relay was made.
    Allocated => "allocated",
    /// A relay ended because its time was up.
    Expired => "expired",
    /// A client gave its relay back, or hung up.
    Released => "released",
    /// A question for the own address was answered.
    Binding => "binding",
    // Of the client.
    /// Neither a STUN message nor channel data.
    Malformed => "malformed",
    /// A request without credentials: the first of every client.
    Unauthenticated => "unauthenticated",
    /// Wrong password, unknown realm, another user's relay.
    WrongCredentials => "wrong_credentials",
    /// The time of the credentials is over.
    ExpiredCredentials => "expired_credentials",
    /// The nonce is too old.
    StaleNonce => "stale_nonce",
    /// More requests than the address or the relay may send.
    RequestRate => "request_rate",
    /// The address has its share of relays.
    AddressFull => "address_full",
    /// The user has all relays that one may have.
    UserFull => "user_full",
    /// All relays are taken.
    Full => "full",
    /// A request that makes no sense or that we do not serve.
    BadRequest => "bad_request",
    /// A request or data for a relay that is not there.
    NoRelay => "no_relay",
    /// A peer that is no bridge and no relay of ours.
    ForbiddenPeer => "forbidden_peer",
    /// Data to or from a peer for which there is no permission.
    NoPermission => "no_permission",
    /// All permissions or channels of the relay are taken.
    RelayFull => "relay_full",
    /// Data on a channel that is not bound.
    NoChannel => "no_channel",
    /// More bytes than a relay may carry.
    ByteRate => "byte_rate",
    // Of a peer.
    /// A datagram at a relay from somebody who is no bridge of ours.
    Stranger => "stranger",
    // Our own.
    /// A relay's socket could not be opened.
    NoSocket => "no_socket",
}

/// How often each happened, and how much was relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    events: [u64; Counter::ALL.len()],
    /// Datagrams and bytes from clients to peers.
    pub to_peers: (u64, u64),
    /// The same from peers to clients.
    pub to_clients: (u64, u64),
}

impl Default for Counters {
    fn default() -> Self {
        Self { events: [0; Counter::ALL.len()], to_peers: (0, 0), to_clients: (0, 0) }
    }
}

impl Counters {
    /// How often this happened.
    pub fn count(&self, counter: Counter) -> u64 {
        self.events.get(counter as usize).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, counter: Counter) {
        if let Some(n) = self.events.get_mut(counter as usize) {
            *n += 1;
        }
    }
}
