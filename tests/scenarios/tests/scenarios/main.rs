//! XMPP server, focus and bridges together with scripted clients, in one process and in virtual time: no sockets,
//! no threads, no clock.
//!
//! Every scenario ends with [`world::World::end`]: when everybody has left, nothing is kept anywhere.

use scenarios::{bridge, world};

mod bad_networks;
mod bandwidth;
mod breakout;
mod bridge_loss;
mod disorder;
mod focus_link;
mod hostile;
mod meeting;
mod moderation;
mod names;
mod privacy;
mod resumption;
