//! HTTP of the bridge: requests in; health, stats, Colibri2 as JSON, drain and the WebSocket bridge channel out.

pub(crate) mod colibri_ws;
pub(crate) mod rest;
