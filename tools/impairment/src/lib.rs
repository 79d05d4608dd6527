//! Datagrams in; the same datagrams late, lost, doubled, out of order or throttled, out: a network that is as bad as told.
//!
//! * [`Link`]: one direction, pure: no socket, no clock, and no chance but its seed's. Virtual-time tests put it between parts.
//! * [`Schedule`] and [`Preset`]: conditions that change over time, as data.
//! * [`Proxy`]: a link per client and direction between real UDP sockets on loopback.
#![forbid(unsafe_code)]

mod conditions;
mod limits;
mod link;
mod proxy;
mod random;
mod schedule;

pub use conditions::{Burst, Conditions};
pub use limits::*;
pub use link::{Counters, Link};
pub use proxy::{Proxy, ProxyCounters};
pub use schedule::{Direction, Preset, Schedule, Step, TooManySteps, UnknownPreset};
