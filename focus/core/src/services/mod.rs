//! Programs beside the bridges that serve meetings, each kind in a brewery of its own: recorders (Jibri) and gateways to telephones
//! and transcribers (Jigasi). Presences in, who is there and who is next out (focus §1.6, §8).

mod gateways;
mod place;
mod recorders;

pub(crate) use gateways::{Gateways, Need};
pub(crate) use place::{Heard, Place};
pub(crate) use recorders::{NoRecorder, Recorders};
