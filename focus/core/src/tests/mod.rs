//! Whole meetings in virtual time: the focus against a scripted server, bridges and clients, without a socket.

mod again;
mod bounds;
mod debug;
mod faults;
mod hostile;
mod ice;
mod logins;
mod many;
mod meeting;
mod neighbours;
mod policies;
mod requests;
mod restart;
mod services;
mod silence;
mod sources;
mod visitors;
mod work;
mod world;
