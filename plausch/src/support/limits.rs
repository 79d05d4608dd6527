//! The bounds of support codes, each with its reason and its worst case.

use std::time::Duration;

/// How long a code is known. A helpdesk's line is busy, too; after half an hour the network is another one.
pub(crate) const VALID: Duration = Duration::from_secs(30 * 60);

/// Codes at a time, of some 250 bytes each: 1 MB. A sixteenth of the 65,536 that there are, so that a free one is found at once.
pub(crate) const CODES: usize = 4_096;

/// The same of one address (one /64 of IPv6). Thirty behind one address who test three times each have room. Codes are held until
/// they are over, so this is a rate as well.
pub(crate) const CODES_PER_ADDRESS: usize = 100;

/// Draws until one is free: with the table full, all of these are taken once in 10^19 times.
pub(crate) const DRAWS: usize = 16;

/// Bytes of one report. The page's largest is about 400.
pub(crate) const REPORT: usize = 2 * 1024;

/// Findings in one report. The page has eight at most.
pub(crate) const FINDINGS: usize = 16;
