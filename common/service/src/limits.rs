//! The bounds of what a service keeps or waits for, each with its reason.

use std::time::Duration;

/// Largest configuration file read. A full sample is 8 kB; worst case held in memory while starting: this once.
pub const MAX_CONFIG_FILE: u64 = 1024 * 1024;

/// Largest file with one secret (`NAME_FILE`). Passwords are some 32 bytes; a key in base64 has some hundreds. Held once each.
pub const SECRET_FILE: u64 = 4096;

/// How long the parts may take to end after the stop began. Longer than a bridge needs to say goodbye on every
/// session, shorter than the ten seconds after which `docker stop` kills.
pub const STOP: Duration = Duration::from_secs(5);

/// From a request's head to the end of its body. A page of source updates over a bad radio link takes some seconds.
pub const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// What a body's buffer begins with. Most bodies are smaller; larger ones double it as they come.
pub const BODY_FIRST: usize = 4 * 1024;

/// Bytes of all bodies of this process that are being read or used: the worst case in memory. Some ninety of the
/// largest; from half of it on there is ever less for each address.
pub const BODIES_TOTAL: usize = 48 * 1024 * 1024;

/// The same for one address. Sixteen of the largest BOSH requests, or two thousand usual ones, at the same moment.
pub const BODIES_PER_ADDRESS: usize = 8 * 1024 * 1024;

/// Proxies behind each other that `X-Forwarded-For` is followed through. Three are usual (provider, town, our own).
pub const FORWARDED_HOPS: usize = 16;

/// Lines that wait to be written. A burst of warnings when a link breaks is some hundreds.
pub const LOG_LINES: usize = 4096;

/// Bytes of these lines: the worst case in memory. At `trace` a line can be as long as a stanza.
pub const LOG_BYTES: usize = 4 * 1024 * 1024;

/// How long the process' end waits for its last lines: who reads at all reads them in that time.
pub const LOG_FLUSH: Duration = Duration::from_secs(1);

/// How long a start waits for its greeting to be read: a pipe that nobody reads must not hold meetings up.
pub const OUTPUT_WAIT: Duration = Duration::from_secs(1);

/// Bytes of a message between a process and its successor: some hundred names of rooms. Four times that is what waits in the system.
pub const LINE_BYTES: usize = 16 * 1024;

/// Descriptors that go with one: the sockets of a large machine in a few messages; the system takes 253.
pub const LINE_DESCRIPTORS: usize = 64;

/// Bytes of the largest datagram that goes to the process before: more than the bridge and the TURN server take. One buffer for each way.
pub const PASSED_DATAGRAM: usize = 4_096;
