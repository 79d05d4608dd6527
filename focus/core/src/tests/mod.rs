//! Whole meetings in virtual time: the focus against a scripted server, bridges and clients, without a socket.

mod faults;
mod hostile;
mod meeting;
mod requests;
mod sources;
mod world;
