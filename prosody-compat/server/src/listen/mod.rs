//! The ways in: one file per transport. Bytes come in, frames go to the server; frames come from it, bytes go out.

pub(crate) mod bosh;
pub(crate) mod c2s;
pub(crate) mod in_process;
pub(crate) mod query;
pub(crate) mod websocket;
