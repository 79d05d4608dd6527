//! A folder in; Debian's Prosody with our configuration for tests, on ports of its own, out. Ended with the test.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

pub(crate) struct Prosody {
    child: Child,
    pub(crate) http: SocketAddr,
    pub(crate) tcp: SocketAddr,
}

impl Prosody {
    /// With an account `focus@auth.meet.jitsi`. In the folder lie the certificates, named as Prosody looks for them.
    pub(crate) async fn start(folder: &Path, password: &str) -> Self {
        let (http, tcp) = (free(), free());
        let config = folder.join("prosody.cfg.lua");
        let text = include_str!("prosody.cfg.lua")
            .replace("@DIRECTORY@", &folder.display().to_string())
            .replace("@HTTP@", &http.port().to_string())
            .replace("@C2S@", &tcp.port().to_string());
        std::fs::write(&config, text).unwrap();
        let register = Command::new("prosodyctl")
            .args(["--root", "--config"])
            .arg(&config)
            .args(["register", "focus", "auth.meet.jitsi", password])
            .stdin(Stdio::null())
            .output();
        let register = register.unwrap_or_else(|e| {
            panic!("no Prosody to compare with ({e}): install Debian's package `prosody`, as `cargo xtask test` does")
        });
        assert!(register.status.success(), "{register:?}");
        let mut prosody = Command::new("prosody");
        prosody.arg("-F").arg("--config").arg(&config).stdin(Stdio::null());
        let child = prosody.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut it = Self { child, http, tcp };
        let end = Instant::now() + Duration::from_secs(60);
        for at in [http, tcp] {
            while TcpStream::connect(at).await.is_err() {
                let log = || std::fs::read_to_string(folder.join("prosody.log")).unwrap_or_default();
                assert!(it.child.try_wait().unwrap().is_none(), "Prosody has ended: {}", log());
                assert!(Instant::now() < end, "Prosody does not listen: {}", log());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        it
    }
}

impl Drop for Prosody {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
