//! The bridges at hand: presences in the brewery in, the bridge for a participant out.

mod brewery;
pub(crate) mod select;

pub(crate) use brewery::{Brewery, Bridge, BridgeEvent};

#[cfg(test)]
mod tests;
