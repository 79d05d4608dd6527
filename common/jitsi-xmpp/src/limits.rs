//! Every bound of this crate: its default, the reason, and what it costs at worst.

/// Bytes of each part of an address: RFC 7622 §3.1. At worst 3 KB for an address.
pub const MAX_JID_PART_BYTES: usize = 1023;

/// Characters of a tenant's name. Clients show an error of their own beyond this: it is a label of a domain name (RFC 1035
/// §2.3.4).
pub const MAX_TENANT_CHARS: usize = 63;
