//! Every bound of this crate: its default, the reason, and what it costs at worst.

/// Bytes of each part of an address: RFC 7622 §3.1. At worst 3 KB for an address.
pub const MAX_JID_PART_BYTES: usize = 1023;

/// Bytes of an element's or attribute's name and of a namespace. libxml2 gives up at 50,000; ours have at most 60. Bounds
/// nothing that the size of the stanza does not bound already.
pub const MAX_NAME_BYTES: usize = 1024;

/// Characters of a tenant's name. Clients show an error of their own beyond this: it is a label of a domain name (RFC 1035
/// §2.3.4).
pub const MAX_TENANT_CHARS: usize = 63;
