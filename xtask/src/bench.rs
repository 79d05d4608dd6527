//! The figures of the whole product on this machine: a ship build in, a readable table out. Prints, judges nothing.

use anyhow::Result;

use crate::browser::{binary, in_namespace};
use crate::run::{cargo, step};

/// Measures start time, idle memory, join-to-video time and allocations per forwarded packet.
pub(crate) fn run() -> Result<()> {
    step("ship build", cargo(&["build", "--profile", "ship", "--package", "plausch"]))?;
    let ship = binary("ship")?;
    in_namespace("start, idle and join", |command| {
        command.args([
            "env",
            &format!("PLAUSCH_BIN={}", ship.display()),
            "node",
            "tests/browser/bench/figures.mjs",
        ]);
    })?;
    step(
        "allocations per forwarded packet",
        cargo(&["test", "--package", "videobridge-core", "--test", "allocations", "--", "--nocapture"]),
    )
}
