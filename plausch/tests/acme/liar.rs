//! A behaviour in; a directory over TLS that has it, and how often it was asked, out.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use crate::HOST;
use crate::running::free;
use crate::server::{Folder, Server, own_certificate};

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// A page of a hotel's network.
    Nonsense,
    /// Nothing after the request.
    Silent,
    /// 429, come back in two hours.
    TooMany,
    /// Everything is fine, and the certificate is for somebody else.
    OtherName,
    /// Everything is fine, and the certificate is for another key.
    OtherKey,
}

/// The directory; ends with the test.
pub(crate) struct Liar {
    at: SocketAddr,
    roots: PathBuf,
    inner: Arc<Inner>,
    _folder: Folder,
}

struct Inner {
    behaviour: Behaviour,
    base: String,
    tls: Arc<ServerConfig>,
    requests: AtomicUsize,
    issued: Mutex<Option<CertificateDer<'static>>>,
    end: AtomicBool,
}

impl Liar {
    pub(crate) fn start(behaviour: Behaviour) -> Self {
        let folder = Folder::new("liar");
        let (chain, key) = own_certificate(&folder.path(""));
        let certificate = CertificateDer::from_pem_file(&chain).unwrap();
        let tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], PrivateKeyDer::from_pem_file(&key).unwrap())
            .unwrap();
        let [at, ..] = free();
        let listener = TcpListener::bind(at).unwrap();
        let inner = Arc::new(Inner {
            behaviour,
            base: format!("https://localhost:{}", at.port()),
            tls: Arc::new(tls),
            requests: AtomicUsize::new(0),
            issued: Mutex::default(),
            end: AtomicBool::new(false),
        });
        let shared = Arc::clone(&inner);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.end.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || stream.map(|s| shared.serve(s)));
            }
        });
        Self { at, roots: chain, inner, _folder: folder }
    }

    /// A server that asks here.
    pub(crate) fn server(&self, folder: &Folder) -> Server {
        let [http, https, ..] = free();
        Server::start(folder, http, https, |c| {
            c.args(["--acme", "1", "--acme-directory", &format!("{}/dir", self.inner.base)]);
            c.args(["--acme-domains", HOST]).arg("--acme-roots").arg(&self.roots);
        })
    }

    pub(crate) fn requests(&self) -> usize {
        self.inner.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn wait_for_requests(&self, n: usize) {
        let end = Instant::now() + Duration::from_secs(30);
        while self.requests() < n {
            assert!(Instant::now() < end, "asked {} times", self.requests());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn issued(&self) -> Option<CertificateDer<'static>> {
        self.inner.issued.lock().unwrap().clone()
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.inner.end.store(true, Ordering::Relaxed);
        // Wakes the one who accepts.
        let _ = TcpStream::connect(self.at);
    }
}

impl Inner {
    fn serve(&self, tcp: TcpStream) -> std::io::Result<()> {
        let connection = ServerConnection::new(Arc::clone(&self.tls)).map_err(std::io::Error::other)?;
        let mut reader = BufReader::new(StreamOwned::new(connection, tcp));
        let mut first = String::new();
        reader.read_line(&mut first)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = n.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let (status, headers, body) = match self.behaviour {
            Behaviour::Silent => {
                std::thread::sleep(Duration::from_secs(20));
                return Ok(());
            }
            Behaviour::Nonsense => ("200 OK", String::new(), "<html>please log in</html>".to_owned()),
            Behaviour::TooMany => {
                let problem =
                    json!({ "type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many of you" });
                let status = "429 Too Many Requests";
                if path == "/dir" {
                    ("200 OK", String::new(), self.directory())
                } else {
                    (status, "retry-after: 7200\r\n".to_owned(), problem.to_string())
                }
            }
            Behaviour::OtherName | Behaviour::OtherKey => self.issue(&path),
        };
        // Nonces cost nothing, also of the one who has heard enough.
        let status = if path == "/nonce" { "200 OK" } else { status };
        let stream = reader.get_mut();
        let length = if first.starts_with("HEAD") { 0 } else { body.len() };
        write!(
            stream,
            "HTTP/1.1 {status}\r\nreplay-nonce: bm9uY2U\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
        )?;
        stream.write_all(&body.as_bytes()[..length])?;
        stream.conn.send_close_notify();
        stream.flush()
    }

    fn directory(&self) -> String {
        let at = |path: &str| format!("{}/{path}", self.base);
        json!({ "newNonce": at("nonce"), "newAccount": at("account"), "newOrder": at("order") }).to_string()
    }

    /// The whole conversation, with all proofs taken for given.
    fn issue(&self, path: &str) -> (&'static str, String, String) {
        let at = |path: &str| format!("{}/{path}", self.base);
        let order = |status: &str| {
            json!({
                "status": status,
                "identifiers": [{ "type": "dns", "value": HOST }],
                "authorizations": [at("name")],
                "finalize": at("finalize"),
                "certificate": at("certificate"),
            })
            .to_string()
        };
        let created = |path: &str| format!("location: {}\r\n", at(path));
        let done = self.issued.lock().unwrap().is_some();
        match path {
            "/dir" => ("200 OK", String::new(), self.directory()),
            "/account" => ("201 Created", created("account/1"), json!({ "status": "valid" }).to_string()),
            "/order" => ("201 Created", created("order/1"), order("ready")),
            "/order/1" => ("200 OK", String::new(), order(if done { "valid" } else { "ready" })),
            "/name" => {
                let name = json!({ "type": "dns", "value": HOST });
                let text = json!({ "status": "valid", "identifier": name, "challenges": [] });
                ("200 OK", String::new(), text.to_string())
            }
            "/finalize" => {
                *self.issued.lock().unwrap() = Some(CertificateDer::from(vec![]));
                ("200 OK", String::new(), order("valid"))
            }
            "/certificate" => {
                let name = if self.behaviour == Behaviour::OtherName { "evil.example" } else { HOST };
                let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
                *self.issued.lock().unwrap() = Some(made.cert.der().clone());
                ("200 OK", String::new(), made.cert.pem())
            }
            _ => ("404 Not Found", String::new(), String::new()),
        }
    }
}
