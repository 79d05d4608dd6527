//! A network namespace in; Pebble, the test CA, in it, which finds every name at one address, and what one needs to ask it, out.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::browser;
use crate::machine::ADDRESS;
use crate::namespace::Namespace;

/// The CA; ended when dropped.
pub(crate) struct Ca<'n> {
    network: &'n Namespace,
    folder: PathBuf,
    running: Vec<Child>,
}

impl<'n> Ca<'n> {
    /// Starts it; `setup::install_pebble` has built it.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(network: &'n Namespace) -> Result<Self> {
        let folder = browser::target().join("ca");
        fs::create_dir_all(&folder)?;
        let folder = folder.canonicalize()?;
        let at = |name: &str| folder.join(name);
        // A server's own, and no CA's, which is what openssl makes unless told otherwise.
        fs::write(at("openssl.conf"), OPENSSL)?;
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-config"]);
        openssl.arg(at("openssl.conf")).arg("-keyout").arg(at("key.pem"));
        openssl.arg("-out").arg(at("directory.pem")).stderr(Stdio::null());
        ensure!(openssl.status()?.success(), "openssl: no certificate for the directory");
        let config = serde_json::json!({ "pebble": {
            "listenAddress": DIRECTORY, "managementListenAddress": MANAGEMENT,
            "certificate": at("directory.pem"), "privateKey": at("key.pem"),
            "httpPort": 80, "tlsPort": 443, "keyAlgorithm": "ecdsa", "retryAfter": { "authz": 1, "order": 1 },
            "profiles": { "default": { "description": "", "validityPeriod": 90 * 24 * 3600 } },
        }});
        fs::write(at("config.json"), config.to_string())?;
        let mut it = Self { network, folder, running: Vec::new() };
        let mut dns = it.inside("pebble-challtestsrv")?;
        dns.args(["-dnsserver", NAMES, "-management", "127.0.0.1:14055", "-defaultIPv4", ADDRESS]);
        dns.args(["-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", ""]);
        let mut pebble = it.inside("pebble")?;
        pebble.arg("-config").arg(it.folder.join("config.json")).args(["-dnsserver", NAMES]);
        pebble.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "0");
        for mut command in [dns, pebble] {
            let log = File::create(it.folder.join("log"))?;
            it.running.push(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?);
        }
        let end = Instant::now() + Duration::from_secs(20);
        while it.root().is_err() {
            ensure!(Instant::now() < end, "Pebble does not answer: {}", it.folder.join("log").display());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(it)
    }

    /// Where it is asked for certificates.
    pub(crate) fn directory(&self) -> String {
        format!("https://localhost:{}/dir", DIRECTORY.rsplit(':').next().unwrap_or_default())
    }

    /// The file by which its directory is trusted.
    pub(crate) fn trusted(&self) -> PathBuf {
        self.folder.join("directory.pem")
    }

    /// A file with the root of what it issues.
    pub(crate) fn root(&self) -> Result<PathBuf> {
        let mut curl = Command::new("ip");
        curl.args(["netns", "exec", self.network.name(), "curl", "--silent", "--fail", "--insecure"]);
        let out = curl.arg(format!("https://{MANAGEMENT}/roots/0")).output().context("curl")?;
        if !out.status.success() {
            bail!("no root");
        }
        let file = self.folder.join("root.pem");
        fs::write(&file, out.stdout)?;
        Ok(file)
    }

    fn inside(&self, program: &str) -> Result<Command> {
        let path = PathBuf::from("target/tools/bin").join(program);
        let path = path.canonicalize().with_context(|| path.display().to_string())?;
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.network.name()]).arg(path);
        Ok(command)
    }
}

impl Drop for Ca<'_> {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

const OPENSSL: &str = "[req]\nprompt = no\ndistinguished_name = name\nx509_extensions = server\n[name]\nCN = directory\n\
    [server]\nsubjectAltName = DNS:localhost\nbasicConstraints = CA:FALSE\n";
const DIRECTORY: &str = "127.0.0.1:14000";
const MANAGEMENT: &str = "127.0.0.1:15000";
const NAMES: &str = "127.0.0.1:8053";
