//! A text for standard output or standard error in; it is written, or it is not, and nobody waits long or fails for it.

use std::io::{self, Write};
use std::sync::mpsc::sync_channel;

use crate::limits::OUTPUT_WAIT;

/// Writes to standard output: what was asked for.
pub fn say(text: String) {
    patiently(move || write(&mut io::stdout(), &text));
}

/// Writes a line to standard error: why it ends.
pub fn complain(text: String) {
    patiently(move || write(&mut io::stderr(), &format!("{text}\n")));
}

// `println!` panics where this does nothing.
fn write(to: &mut impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}

/// A pipe whose reader sleeps blocks whoever writes; that is a thread of its own.
fn patiently(write: impl FnOnce() + Send + 'static) {
    let (done, wait) = sync_channel(1);
    let spawned = std::thread::Builder::new().spawn(move || {
        write();
        let _ = done.send(());
    });
    if spawned.is_ok() {
        let _ = wait.recv_timeout(OUTPUT_WAIT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_that_nobody_reads_holds_a_start_up_for_so_long_and_not_longer() {
        let (_open, never) = sync_channel::<()>(1);
        let start = std::time::Instant::now();
        patiently(move || {
            let _ = never.recv_timeout(10 * OUTPUT_WAIT);
        });
        assert!((OUTPUT_WAIT..2 * OUTPUT_WAIT).contains(&start.elapsed()), "{:?}", start.elapsed());
    }
}
