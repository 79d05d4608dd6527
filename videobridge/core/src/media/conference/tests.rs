//! Scenarios of whole conferences in virtual time, with synthetic packets.

mod audio;
mod floods;
mod indices;
mod layers;
mod links;
mod membership;
mod receivers;
mod relays;
mod room;
mod simulcast;
mod speech;
mod trains;
