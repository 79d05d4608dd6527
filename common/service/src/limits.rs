//! The bounds of what a service keeps or waits for, each with its reason.

use std::time::Duration;

/// Largest configuration file read. A full sample is 8 kB; worst case held in memory while starting: this once.
pub const MAX_CONFIG_FILE: u64 = 1024 * 1024;

/// How long the parts may take to end after the drain began. Longer than a bridge needs to say goodbye on every
/// session, shorter than the ten seconds after which `docker stop` kills.
pub const DRAIN: Duration = Duration::from_secs(5);
