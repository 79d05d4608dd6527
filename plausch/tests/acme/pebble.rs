//! Ports and faults in; a running Pebble with a name server for which every name is this machine, and its root, out.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::client;
use crate::running::free;
use crate::server::{Folder, own_certificate};

/// What it is started with.
pub(crate) struct Options {
    /// Where it looks for pages.
    pub(crate) http: u16,
    /// Where it looks for certificates.
    pub(crate) tls: u16,
    /// How many seconds a certificate holds.
    pub(crate) validity: u64,
    /// An account elsewhere that it asks for.
    pub(crate) external: Option<(&'static str, &'static str)>,
    pub(crate) env: &'static [(&'static str, &'static str)],
    /// Those of another one before it.
    pub(crate) ports: Option<Ports>,
}

impl Default for Options {
    fn default() -> Self {
        Self { http: 0, tls: 0, validity: 90 * 24 * 3600, external: None, env: &[], ports: None }
    }
}

/// Where it listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) directory: SocketAddr,
    management: SocketAddr,
    dns: SocketAddr,
    dns_management: SocketAddr,
}

impl Ports {
    pub(crate) fn new() -> Self {
        let [directory, management, dns, dns_management] = free();
        Self { directory, management, dns, dns_management }
    }

    /// Options that make a server ask here, once somebody is here.
    pub(crate) fn name(&self, c: &mut Command) {
        let url = format!("https://localhost:{}/dir", self.directory.port());
        c.args(["--acme", "1", "--acme-directory", &url]).arg("--acme-roots").arg(&trusted().0);
    }
}

/// The CA; ended with the test.
pub(crate) struct Pebble {
    pub(crate) ports: Ports,
    folder: Folder,
    running: Vec<Child>,
}

impl Pebble {
    pub(crate) fn start(options: Options) -> Self {
        let folder = Folder::new("pebble");
        let ports = options.ports.unwrap_or_else(Ports::new);
        let (certificate, key) = trusted();
        let config = serde_json::json!({ "pebble": {
            "listenAddress": ports.directory.to_string(),
            "managementListenAddress": ports.management.to_string(),
            "certificate": certificate,
            "privateKey": key,
            "httpPort": options.http,
            "tlsPort": options.tls,
            "keyAlgorithm": "ecdsa",
            "retryAfter": { "authz": 1, "order": 1 },
            "externalAccountBindingRequired": options.external.is_some(),
            "externalAccountMACKeys": options.external.map(|(id, key)| serde_json::json!({ id: key })),
            "profiles": { "default": { "description": "", "validityPeriod": options.validity } },
        }});
        std::fs::write(folder.path("config.json"), config.to_string()).unwrap();
        let mut dns = Command::new(program("pebble-challtestsrv"));
        dns.args(["-dnsserver", &ports.dns.to_string(), "-management", &ports.dns_management.to_string()]);
        dns.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-defaultIPv6", ""]);
        let mut pebble = Command::new(program("pebble"));
        pebble.arg("-config").arg(folder.path("config.json"));
        pebble.args(["-dnsserver", &ports.dns.to_string()]);
        pebble.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_VA_ALWAYS_VALID", "0").env("PEBBLE_AUTHZREUSE", "0");
        pebble.env("PEBBLE_WFE_NONCEREJECT", "0").envs(options.env.iter().copied());
        let mut it = Self { ports, folder, running: Vec::new() };
        for (mut command, name) in [(dns, "dns.log"), (pebble, "pebble.log")] {
            let log = std::fs::File::create(it.folder.path(name)).unwrap();
            let errors = log.try_clone().unwrap();
            it.running.push(command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().unwrap());
        }
        let end = Instant::now() + Duration::from_secs(20);
        for at in [ports.dns_management, ports.directory, ports.management] {
            while TcpStream::connect(at).is_err() {
                assert!(Instant::now() < end, "{at} does not listen: {}", it.log());
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        it
    }

    /// Options that make a server ask here.
    pub(crate) fn name(&self, c: &mut Command) {
        self.ports.name(c);
    }

    /// What its certificates lead to; another one in each run.
    pub(crate) fn root(&self) -> CertificateDer<'static> {
        let pem = client::get(self.ports.management, "/roots/0").unwrap();
        CertificateDer::from_pem_slice(&pem).unwrap()
    }

    pub(crate) fn wait_for_trust(&self, at: SocketAddr, name: &str) {
        let root = self.root();
        let end = Instant::now() + Duration::from_secs(40);
        while !client::trusts(at, name, &root) {
            assert!(Instant::now() < end, "no certificate: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How many orders there were.
    pub(crate) fn orders(&self) -> usize {
        self.log().matches("POST /order-plz").count()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path("pebble.log")).unwrap_or_default()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The certificate of all directories of this run: who starts one later is trusted already.
fn trusted() -> &'static (PathBuf, PathBuf) {
    static MADE: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("directory-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        own_certificate(&folder)
    })
}

/// Built by `cargo xtask test`, or now.
fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let folder = root.join("target/tools/bin");
        if !folder.join("pebble").exists() || !folder.join("pebble-challtestsrv").exists() {
            let mut build = Command::new("go");
            build.args(["build", "-buildvcs=false", "-o"]).arg(format!("{}/", folder.display())).arg("tool");
            let built = build.current_dir(root.join("tests/pebble")).status();
            assert!(built.is_ok_and(|s| s.success()), "Pebble needs Go, 1.21 or newer");
        }
        folder
    });
    folder.join(name)
}
