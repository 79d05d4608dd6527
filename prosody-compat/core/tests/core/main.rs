//! The server in virtual time, without sockets: connections and frames in, what each one is sent out.
#![allow(unreachable_pub)]

mod accounts;
mod behaviour;
mod breakouts;
mod chat;
mod checks;
mod compat;
mod components;
mod corrections;
mod doors;
mod features;
mod foreign;
mod hostile;
mod inside;
mod keys;
mod limits;
mod lobby;
mod login;
mod open_rooms;
mod pair;
mod programs;
mod recording;
mod reload;
mod replay;
mod reservations;
mod rig;
mod rooms;
mod services;
mod shared_secret;
mod sharing;
mod shell;
mod shut_out;
mod streams;
mod token_rooms;
mod tokens;
mod visitors;
