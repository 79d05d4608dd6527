//! An upgrade that drops nobody: SIGUSR2 or an admin's wish in; a second process with the program that is installed now, which takes the
//! sockets and everybody new, out. This one goes on with its meetings until they have ended.
//!
//! ```text
//!            connections, requests, datagrams                 line: sockets, rooms, goodbye
//!  people ──────────────────────────────────▶ successor ◀────────────────────────────────▶ process before
//!                                                 │   what is for a meeting of before           ▲
//!                                                 └──────────── a stream each, datagrams ───────┘
//! ```

pub(crate) mod limits;
mod pass;
mod predecessor;
pub(crate) mod state;
mod successor;
mod words;

pub(crate) use self::pass::pass;
pub(crate) use self::predecessor::left;
pub(crate) use self::successor::Old;
