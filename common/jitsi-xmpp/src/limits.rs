//! Every bound of this crate: its default, the reason, and what it costs at worst.

/// Bytes of each part of an address: RFC 7622 §3.1. At worst 3 KB for an address.
pub const MAX_JID_PART_BYTES: usize = 1023;

/// Bytes of an element's or attribute's name and of a namespace. libxml2 gives up at 50,000; ours have at most 60. Bounds
/// nothing that the size of the stanza does not bound already.
pub const MAX_NAME_BYTES: usize = 1024;

/// Characters of a tenant's name. Clients show an error of their own beyond this: it is a label of a domain name (RFC 1035
/// §2.3.4).
pub const MAX_TENANT_CHARS: usize = 63;

/// Bytes of an id, a name or another short text out of a message. Nicks have 8, source names about 20; bounds what an
/// endpoint can make others store and receive.
pub const MAX_ID_BYTES: usize = 256;

/// Values read from a bridge's statistics. Upstream's bridge publishes about 110. The stanza's size bounds the memory.
pub const MAX_STATS: usize = 512;

/// Bytes of one message of SASL. Names have at most 1,023 bytes, nonces about 30; one message per login under way.
pub const MAX_SASL_MESSAGE_BYTES: usize = 8_192;

/// Iterations of SCRAM that a client of ours accepts at least: RFC 5802 §5.1.
pub const MIN_SCRAM_ITERATIONS: u32 = 4_096;

/// And at most: about half a second of CPU. A server that demands more is not serious.
pub const MAX_SCRAM_ITERATIONS: u32 = 500_000;

/// Most bytes of one message. Clients announce 256 KiB as SCTP's `max-message-size`.
pub const MAX_CHANNEL_MESSAGE_BYTES: usize = 262_144;

/// Most names in one list or map of a message. Reason: four sources for each of 500 participants; about 100 bytes each.
pub const MAX_CHANNEL_NAMES: usize = 2_000;

/// Bytes of a service's address and of a header that is sent to it (`connect` of Colibri2). Reason: tokens have up to 8 KiB.
pub const MAX_CONNECT_TEXT_BYTES: usize = 16_384;

/// Headers that are sent to a service. Reason: one with a token, some that say what meeting it is; 32 KiB each at the worst.
pub const MAX_CONNECT_HEADERS: usize = 16;

/// Properties read from a conference request. Clients send five. The body's size bounds the memory.
pub const MAX_REQUEST_PROPERTIES: usize = 64;

/// Bytes of a conference request's body. A token of 8 KiB and some text.
pub const MAX_REQUEST_BYTES: usize = 65_536;
