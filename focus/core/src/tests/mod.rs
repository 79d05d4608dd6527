//! Whole meetings in virtual time: the focus against a scripted server, bridges and clients, without a socket.

mod absurd;
mod again;
mod bounds;
mod crowd;
mod debug;
mod faults;
mod hostile;
mod ice;
mod load;
mod logins;
mod many;
mod meeting;
mod neighbours;
mod policies;
mod requests;
mod restart;
mod rights;
mod services;
mod silence;
mod sources;
mod stranger;
mod tree;
mod visitors;
mod weaknesses;
mod work;
mod world;
