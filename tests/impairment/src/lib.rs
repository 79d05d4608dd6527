//! Datagrams in; the same datagrams late, lost, doubled, out of order or throttled, out: a network that is as bad as told.
#![forbid(unsafe_code)]
