//! Tokens as upstream's own tests, attackers and real issuers write them.

mod claims;
mod confusion;
mod keys;
mod rooms;
mod sign;
mod support;
mod verify;
