//! Scenes in (a link over time, cameras, other traffic); what a viewer behind it saw out: the bridge's media part in
//! virtual time.
//!
//! The same scene gives the same figures, always. The cameras' ways to the bridge are perfect: only the viewer's is as told.

mod cross;
mod figures;
mod room;
mod scenes;
mod sim;
mod viewer;

pub use figures::{Outcome, Phase, Tenth};
pub use scenes::{Cross, Scene, Step, all, named};
pub use sim::run;
