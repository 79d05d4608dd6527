//! The bridge as a client and a focus see it: real ICE, DTLS, SRTP and SCTP, no sockets, virtual time.

mod codecs;
mod colibri2;
mod floods;
mod handshakes;
mod hostile;
mod isolation;
mod limits;
mod media;
mod parts;
mod relays;
mod restart;
mod services;
mod speech;
mod transport;
mod web_socket;
mod world;
