//! The server through real sockets on loopback: WebSocket, BOSH, TCP and in-process clients in one meeting, and what
//! clients that misbehave get.

mod abuse;
mod bosh;
mod foreign;
mod harness;
mod inside;
mod links;
mod modules;
mod neighbours;
mod reservations;
mod websocket;
