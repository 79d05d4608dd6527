//! A folder and options in; the running program, what it says in its log, and its addresses out.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::running::{Running, free};

/// A folder of a test; gone when that is.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("plausch-acme-{name}-{}-{n}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// What the program is given as `state.dir`; not there yet.
    pub(crate) fn state(&self) -> PathBuf {
        self.0.join("state")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The program.
pub(crate) struct Server {
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    pub(crate) admin: SocketAddr,
    running: Running,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn start(
        folder: &Folder,
        http: SocketAddr,
        https: SocketAddr,
        change: impl FnOnce(&mut Command),
    ) -> Self {
        Self::start_as(Command::new(env!("CARGO_BIN_EXE_plausch")), folder, http, https, change)
    }

    pub(crate) fn start_as(
        mut command: Command,
        folder: &Folder,
        http: SocketAddr,
        https: SocketAddr,
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let [admin, xmpp, media, _] = free();
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path);
        command.stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
        for (flag, address) in
            [("--http", http), ("--https", https), ("--admin", admin), ("--xmpp", xmpp), ("--media", media)]
        {
            command.args([flag, &address.to_string()]);
        }
        command.args(["--web", "none", "--state", folder.state().to_str().unwrap()]);
        change(&mut command);
        let mut running = Running::healthy(&mut command, admin);
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(running.0.stderr.take().unwrap()).lines();
        let kept = Arc::clone(&log);
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|l| kept.lock().unwrap().push(l)));
        Self { http, https, admin, running, log }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// What is about certificates in it, or at least from the front: the bridge has worries of its own.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let ours = |l: &String| l.contains(" WARN plausch::") || l.contains(" ERROR ");
        self.log().into_iter().filter(ours).collect()
    }

    pub(crate) fn wait_for_warning(&self) -> String {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(line) = self.warnings().into_iter().next() {
                return line;
            }
            assert!(Instant::now() < end, "no warning: {:?}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.running.0.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        self.running.signal(name);
    }

    pub(crate) fn ended_within(mut self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while Instant::now() < end {
            if let Some(status) = self.running.0.try_wait().unwrap() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

/// A certificate for the directory itself, with its key, as files.
pub(crate) fn own_certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let (chain, key) = (folder.join("directory.pem"), folder.join("directory.key"));
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (chain, key)
}
