//! Ctrl-C, SIGTERM or a request from inside in, one `watch<bool>` for all parts out, and a bounded wait for their end.

use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::limits::STOP;

/// The process's end: parts are spawned here, told to stop together and waited for. This is a stop, no drain: a drain lets meetings
/// end by themselves, and the admin asks for one before.
#[derive(Debug)]
pub struct Shutdown {
    tell: watch::Sender<bool>,
    parts: JoinSet<&'static str>,
    signals: (Signal, Signal),
    /// What the log says when it begins.
    means: &'static str,
}

impl Shutdown {
    /// Takes over SIGINT and SIGTERM. Call inside the runtime.
    pub fn new() -> io::Result<Self> {
        let signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { tell: watch::Sender::new(false), parts: JoinSet::new(), signals, means: USUALLY })
    }

    /// What a part watches: `true` means stop taking new work, say goodbye, return.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.tell.subscribe()
    }

    /// Something that asks for the end from inside the process.
    pub fn trigger(&self) -> watch::Sender<bool> {
        self.tell.clone()
    }

    /// Says in the log what a stop means, where it does not mean what it usually does.
    pub const fn means(&mut self, what: &'static str) {
        self.means = what;
    }

    /// Runs a part. When it ends by itself, the whole process stops: a server without its bridge is no server.
    pub fn spawn(&mut self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        let part: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(part);
        self.parts.spawn(async move {
            part.await;
            name
        });
    }

    /// Waits for a signal (or a part's end), stops all parts, and says whether everything ended in time and as told.
    pub async fn wait(mut self) -> bool {
        let mut told = self.tell.subscribe();
        let clean = tokio::select! {
            _ = self.signals.0.recv() => true,
            _ = self.signals.1.recv() => true,
            _ = told.wait_for(|t| *t) => true,
            Some(ended) = self.parts.join_next() => {
                // Whoever was told to end may be quicker than we, who are told, too.
                let asked = *self.tell.borrow();
                if !asked {
                    warn!(part = ended.unwrap_or("a part (panicked)"), "ended unasked, stopping");
                }
                asked
            }
        };
        info!("stopping: {}", self.means);
        self.tell.send_replace(true);
        let all = async { while self.parts.join_next().await.is_some() {} };
        tokio::select! {
            () = all => clean,
            () = tokio::time::sleep(STOP) => {
                warn!(seconds = STOP.as_secs(), "some parts did not end in time");
                clean
            }
            // A second Ctrl-C means now.
            _ = self.signals.0.recv() => clean,
        }
    }
}

const USUALLY: &str = "meetings end now, and people rejoin by themselves when a server is there again";

/// Resolves when the stop begins (also when whoever would tell is gone).
pub async fn told(mut watch: watch::Receiver<bool>) {
    let _ = watch.wait_for(|t| *t).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn parts_are_told_and_waited_for() {
        let mut shutdown = Shutdown::new().unwrap();
        let (watch, done) =
            (shutdown.watch(), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
        let flag = done.clone();
        shutdown.spawn("part", async move {
            told(watch).await;
            flag.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        let trigger = shutdown.trigger();
        trigger.send_replace(true);
        assert!(shutdown.wait().await);
        assert!(done.load(std::sync::atomic::Ordering::SeqCst));
    }

    #[tokio::test(start_paused = true)]
    async fn parts_have_so_long_for_their_goodbye_and_not_longer() {
        let moment = std::time::Duration::from_millis(1);
        for (takes, in_time) in [(STOP - moment, true), (STOP + moment, false)] {
            let mut shutdown = Shutdown::new().unwrap();
            let watch = shutdown.watch();
            let (done, ended) = tokio::sync::oneshot::channel();
            shutdown.spawn("part", async move {
                told(watch).await;
                tokio::time::sleep(takes).await;
                let _ = done.send(());
            });
            shutdown.trigger().send_replace(true);
            let start = tokio::time::Instant::now();
            assert!(shutdown.wait().await);
            assert_eq!(start.elapsed(), takes.min(STOP));
            assert_eq!(ended.await.is_ok(), in_time);
        }
    }

    #[tokio::test]
    async fn a_part_that_ends_because_it_was_told_from_inside_was_taken_for_one_that_failed() {
        for _ in 0..64 {
            let mut shutdown = Shutdown::new().unwrap();
            let watch = shutdown.watch();
            shutdown.spawn("quick", told(watch));
            shutdown.trigger().send_replace(true);
            tokio::task::yield_now().await;
            assert!(shutdown.wait().await);
        }
    }

    #[tokio::test]
    async fn a_part_that_ends_unasked_stops_the_rest_and_is_no_clean_end() {
        let mut shutdown = Shutdown::new().unwrap();
        let watch = shutdown.watch();
        shutdown.spawn("steady", told(watch));
        shutdown.spawn("broken", async {});
        assert!(!shutdown.wait().await);
    }
}
