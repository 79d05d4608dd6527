//! What one BOSH session may use, and the terms that its client is told.

use std::time::Duration;

/// Bytes of one BOSH request, and of one answer before another begins. Twice the stanza limit.
pub const BODY_BYTES: usize = 2 * 262_144;

/// Stanzas of one BOSH request. Reason: a client joins several of its requests; a dozen is usual.
pub const STANZAS_PER_BODY: usize = 256;

/// XEP-0124 `hold`: requests kept open.
pub const HOLD: usize = 1;

/// XEP-0124 `requests`: the window of request ids.
pub const REQUESTS: u64 = 2;

/// XEP-0124 `wait`: longest time a request is kept open. Clients ask for 60 s.
pub const MAX_WAIT: Duration = Duration::from_secs(120);

/// XEP-0124 `inactivity`: longest time without an open request.
pub const INACTIVITY: Duration = Duration::from_secs(60);

/// XEP-0124 `polling`: the interval in which idle polls are counted.
pub const POLLING: Duration = Duration::from_secs(5);

/// Idle polls in that interval that no client has reason to exceed: clients poll when they have something to say.
pub const IDLE_POLLS: u32 = 50;
