//! Joins that wait are given up in time: `room/waiting.rs` woken.

use crate::module::Module;
use crate::room::waiting;

pub(super) static MODULE: Module =
    Module { name: waiting::NAME, timer: Some(waiting::expire), ..Module::NONE };
