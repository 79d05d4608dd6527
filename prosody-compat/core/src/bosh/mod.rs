//! BOSH (XEP-0124, XEP-0206), the part without I/O: HTTP bodies and the server's frames in, what to answer to
//! which request and what to hand to the server out.
//!
//! [`body`] reads and writes `<body/>`, [`engine`] is one session. The HTTP side is the server's `listen/bosh.rs`.

pub mod body;
pub mod engine;
pub mod limits;

#[cfg(test)]
mod tests;
