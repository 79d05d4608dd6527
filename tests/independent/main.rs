//! Our bridge between clients that others wrote, in virtual time: `rtc` of webrtc-rs has an ICE, a DTLS, an SRTP, an SCTP and parsers of its
//! own. What it does not understand, we have said wrongly.

mod client;
mod meeting;
mod offer;
mod reports;
mod world;
