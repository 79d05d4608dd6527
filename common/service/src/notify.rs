//! What systemd wants to hear of a service (sd_notify(3)) in; datagrams to its socket out: ready, alive, stopping.
//!
//! Outside systemd there is no socket and nothing is said.

use std::env::var_os;
use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::sync::watch;

use crate::Health;
use crate::health::State;
use crate::shutdown::told;

/// The one who started this process and wants to hear from it.
#[derive(Debug)]
pub struct ServiceManager {
    socket: UnixDatagram,
    address: SocketAddr,
    /// How long silence may last before it takes the process for dead.
    patience: Option<Duration>,
}

impl ServiceManager {
    /// The one that the environment names, if there is one.
    pub fn of_environment() -> Option<Self> {
        let own = var_os("WATCHDOG_PID").is_none_or(|p| p.to_str() == Some(&std::process::id().to_string()));
        let patience = var_os("WATCHDOG_USEC").filter(|_| own);
        Self::of(&var_os("NOTIFY_SOCKET")?, patience.as_deref())
    }

    fn of(socket: &OsStr, patience: Option<&OsStr>) -> Option<Self> {
        let address = match socket.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            path @ [b'/', ..] => SocketAddr::from_pathname(OsStr::from_bytes(path)),
            _ => return None,
        };
        let socket = UnixDatagram::unbound().ok()?;
        // It is asked to listen, but nobody waits for it.
        socket.set_nonblocking(true).ok()?;
        let patience = patience.and_then(|p| p.to_str()?.parse().ok()).filter(|p| *p > 0);
        Some(Self { socket, address: address.ok()?, patience: patience.map(Duration::from_micros) })
    }

    /// Says that the process serves; from then on, in time, that it lives, and at last that it ends. A part that is beyond
    /// repair is no life: then nothing is said, and a watchdog restarts the process.
    pub async fn keep_informed(self, health: Health, mut end: watch::Receiver<bool>) {
        self.say("READY=1");
        let Some(patience) = self.patience else {
            told(end).await;
            self.say("STOPPING=1");
            return;
        };
        loop {
            tokio::select! {
                // Half of it: sd_watchdog_enabled(3).
                () = tokio::time::sleep(patience / 2) => {
                    if !health.is(|state| matches!(state, State::Hard(_))) {
                        self.say("WATCHDOG=1");
                    }
                }
                _ = end.wait_for(|e| *e) => break,
            }
        }
        self.say("STOPPING=1");
    }

    /// Another process is the service from now on.
    pub fn succeeded_by(&self, process: u32) {
        self.say(&format!("MAINPID={process}"));
    }

    fn say(&self, word: &str) {
        if let Err(e) = self.socket.send_to_addr(word.as_bytes(), &self.address) {
            tracing::debug!("systemd was not told {word}: {e}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn listener(name: &str) -> (UnixDatagram, PathBuf) {
        let path = std::env::temp_dir().join(format!("plausch-notify-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        (socket, path)
    }

    fn heard(socket: &UnixDatagram) -> Vec<String> {
        let mut all = Vec::new();
        let mut buffer = [0; 64];
        while let Ok(n) = socket.recv(&mut buffer) {
            all.push(String::from_utf8_lossy(&buffer[..n]).into_owned());
        }
        all
    }

    #[tokio::test(start_paused = true)]
    async fn systemd_hears_that_it_is_ready_alive_and_ending() {
        let (socket, path) = listener("alive");
        let manager = ServiceManager::of(path.as_os_str(), Some(OsStr::new("10000000"))).unwrap();
        let tell = watch::Sender::new(false);
        let told = tokio::spawn(manager.keep_informed(Health::new(), tell.subscribe()));
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert_eq!(heard(&socket), ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]);
        tell.send_replace(true);
        told.await.unwrap();
        assert_eq!(heard(&socket), ["STOPPING=1"]);
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_needs_a_restart_lets_the_watchdog_bite_and_one_that_recovers_does_not() {
        for (name, state, alive) in
            [("stuck", State::Hard("stuck".into()), 0), ("waits", State::Soft("no bridge".into()), 1)]
        {
            let (socket, path) = listener(name);
            let manager = ServiceManager::of(path.as_os_str(), Some(OsStr::new("10000000"))).unwrap();
            let health = Health::new();
            health.add("a part", move || state.clone());
            let tell = watch::Sender::new(false);
            tokio::spawn(manager.keep_informed(health, tell.subscribe()));
            tokio::time::sleep(Duration::from_secs(6)).await;
            assert_eq!(heard(&socket).len(), 1 + alive);
            std::fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn what_names_no_socket_is_nobody_and_abstract_names_are_taken() {
        assert!(ServiceManager::of(OsStr::new("relative"), None).is_none());
        assert!(ServiceManager::of(OsStr::new(""), None).is_none());
        let there = ServiceManager::of(OsStr::new("@plausch"), Some(OsStr::new("0"))).unwrap();
        assert_eq!((there.address.as_abstract_name(), there.patience), (Some(&b"plausch"[..]), None));
    }
}
