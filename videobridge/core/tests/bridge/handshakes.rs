//! The table of handshakes: peers that are no browser of today, played by OpenSSL over loopback, with every kind of
//! certificate and suite, in both roles. Each row ends with sound through the bridge, both ways, or with a counted failure.

use std::fmt::Write as _;
use std::io::Read as _;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jitsi_xmpp::colibri2::capability;
use peer::Options;
use videobridge_core::limits;
use videobridge_srtp::Profile;

use crate::world::{World, audio_source, endpoint, request, rtp};

/// What a peer is like.
#[derive(Clone, Copy)]
struct Row {
    /// For `openssl req -newkey`.
    key: &'static [&'static str],
    /// What its certificate is signed with.
    digest: &'static str,
    /// So many bytes are in it for nothing.
    padding: usize,
    /// As signalled.
    fingerprint: &'static str,
    suite: &'static str,
    /// What it can sign with and check; `""` for OpenSSL's default.
    signatures: &'static str,
    srtp: &'static str,
    expected: Profile,
}

const RSA_1024: &[&str] = &["rsa:1024"];
const RSA_2048: &[&str] = &["rsa:2048"];
const RSA_4096: &[&str] = &["rsa:4096"];
const P256: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const P384: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"];
const P521: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-521"];
const ED25519: &[&str] = &["ed25519"];
const ALL_SRTP: &str = "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM";

const USUAL: Row = Row {
    key: RSA_2048,
    digest: "-sha256",
    padding: 0,
    fingerprint: "sha-256",
    suite: "ECDHE-ECDSA-AES128-GCM-SHA256",
    signatures: "",
    srtp: ALL_SRTP,
    expected: Profile::AeadAes128Gcm,
};

/// As Jigasi has it: 1,024 bits, everything signed with SHA-1.
const JIGASI: Row = Row {
    key: RSA_1024,
    digest: "-sha1",
    fingerprint: "sha-1",
    signatures: "RSA+SHA1:ECDSA+SHA256",
    srtp: "SRTP_AES128_CM_SHA1_80",
    expected: Profile::Aes128CmHmacSha1_80,
    ..USUAL
};

#[test]
fn clients_with_rsa_keys_of_all_sizes_are_heard_and_hear() {
    both_ways(USUAL, false);
    let row = Row { key: RSA_4096, fingerprint: "sha-512", suite: "ECDHE-ECDSA-AES256-GCM-SHA384", ..USUAL };
    both_ways(row, false);
    both_ways(JIGASI, false);
}

#[test]
fn clients_with_elliptic_keys_of_all_kinds_are_heard_and_hear() {
    both_ways(Row { key: P256, ..USUAL }, false);
    both_ways(Row { key: P384, fingerprint: "sha-384", ..USUAL }, false);
    both_ways(Row { key: P521, digest: "-sha512", ..USUAL }, false);
    both_ways(Row { key: ED25519, suite: "ECDHE-ECDSA-CHACHA20-POLY1305", ..USUAL }, false);
    both_ways(
        Row { key: P256, srtp: "SRTP_AEAD_AES_256_GCM", expected: Profile::AeadAes256Gcm, ..USUAL },
        false,
    );
}

/// One that was longer than the bridge's buffer ended the whole conference: the crate held the buffer to be large enough.
#[test]
fn a_certificate_longer_than_the_buffer_is_read_and_one_that_is_too_long_ends_its_own_handshake() {
    let row = Row { key: P256, padding: 3000, srtp: "SRTP_AEAD_AES_128_GCM", ..USUAL };
    both_ways(row, false);
    both_ways(row, true);
    let mut call = Call::new(Row { padding: 21_000, ..row }, false, true);
    let since = Instant::now();
    call.run_until(Duration::from_secs(20), |_| since.elapsed() > limits::DTLS_SLOW);
    assert!(call.openssl.keys(Profile::AeadAes128Gcm).is_none() || !call.world.peers[0].connected());
    call.leaves_and_is_counted();
}

#[test]
fn servers_with_rsa_keys_of_all_sizes_are_heard_and_hear() {
    let row = Row { suite: "ECDHE-RSA-AES128-GCM-SHA256", srtp: "SRTP_AEAD_AES_128_GCM", ..USUAL };
    both_ways(row, true);
    let suite = "ECDHE-RSA-AES256-GCM-SHA384";
    both_ways(Row { key: RSA_4096, fingerprint: "sha-512", suite, ..row }, true);
    both_ways(Row { suite: "ECDHE-RSA-CHACHA20-POLY1305", ..row }, true);
    both_ways(Row { suite, ..JIGASI }, true);
}

#[test]
fn servers_with_elliptic_keys_of_all_kinds_are_heard_and_hear() {
    let row = Row { srtp: "SRTP_AEAD_AES_128_GCM", ..USUAL };
    both_ways(Row { key: P256, ..row }, true);
    both_ways(Row { key: P384, suite: "ECDHE-ECDSA-AES256-GCM-SHA384", ..row }, true);
    both_ways(Row { key: P521, digest: "-sha512", ..row }, true);
    // OpenSSL is no DTLS server with Ed25519, not even for itself.
}

/// A stock bridge that is the server of a relay (BouncyCastle) breaks off with an alert where nothing is said of it.
#[test]
fn compat_servers_are_told_of_secure_renegotiation_without_which_bouncy_castle_refuses() {
    let mut call = Call::new(Row { key: P256, ..USUAL }, true, true);
    call.run_until(Duration::from_secs(25), |call| call.openssl.text().contains("Secure Renegotiation IS"));
    let text = call.openssl.text();
    assert!(text.contains("Secure Renegotiation IS supported"), "{text}");
}

/// A stock bridge has an ECDSA certificate as well, so whoever insists on RSA of ours gets no further there.
#[test]
fn a_client_that_knows_no_suite_of_ours_is_counted_when_it_leaves() {
    for suite in ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "AES128-SHA"] {
        let mut call = Call::new(Row { suite, ..USUAL }, false, true);
        let since = Instant::now();
        call.run_until(Duration::from_secs(20), |_| since.elapsed() > limits::DTLS_SLOW);
        assert!(call.heard > 0, "{suite}");
        call.leaves_and_is_counted();
    }
}

#[test]
fn a_client_that_shows_no_certificate_is_told_so_at_once_and_counted_when_it_leaves() {
    let mut call = Call::new(Row { key: P256, ..USUAL }, false, false);
    // Its end is the answer to an alert: nothing else would make it give up within the minute.
    call.run_until(Duration::from_secs(20), |call| call.openssl.has_ended());
    assert!(call.openssl.keys(Profile::AeadAes128Gcm).is_none() || !call.world.peers[0].connected());
    call.leaves_and_is_counted();
}

/// So long nothing is said by OpenSSL any more when a handshake is over.
const QUIET: Duration = Duration::from_millis(500);

/// A handshake, and then sound there and back.
fn both_ways(row: Row, server: bool) {
    let mut call = Call::new(row, server, true);
    call.run_until(Duration::from_secs(25), |call| call.openssl.keys(row.expected).is_some());
    let keys = call.openssl.keys(row.expected).expect("just seen");
    let text = call.openssl.text();
    let profile = match row.expected {
        Profile::AeadAes128Gcm => "SRTP_AEAD_AES_128_GCM",
        Profile::AeadAes256Gcm => "SRTP_AEAD_AES_256_GCM",
        Profile::Aes128CmHmacSha1_80 => "SRTP_AES128_CM_SHA1_80",
    };
    assert!(text.contains(&format!("profile={profile}")), "{text}");
    assert!(call.world.peers[0].keyed(row.expected, &keys));
    // OpenSSL has its keys before its last words are on their way.
    let (mut heard, mut since) = (call.heard, Instant::now());
    call.run_until(Duration::from_secs(10), |call| {
        if std::mem::replace(&mut heard, call.heard) != call.heard {
            since = Instant::now();
        }
        since.elapsed() >= QUIET
    });
    call.run_until(Duration::from_secs(10), |call| call.world.peers[1].connected());
    for (n, id, ssrc) in [(0, "aaaa0001", 1001), (1, "aaaa0002", 1002)] {
        let mut update = endpoint(id);
        update.sources = Some(vec![audio_source(&format!("{id}-a0"), ssrc)]);
        call.world.modify(request(false, vec![update])).unwrap();
        call.world.run(Duration::from_millis(50));
        for seq in 1..6 {
            call.world.peers[n].send_rtp(&rtp(ssrc, seq, &[n as u8 + 1; 40]));
            call.world.run(Duration::from_millis(20));
        }
    }
    for (n, from) in [(0, 2), (1, 1)] {
        let peer = &call.world.peers[n];
        assert_eq!(peer.broken, 0, "{}", row.suite);
        let heard = peer.rtp.iter().filter(|p| p.ends_with(&[from; 40])).count();
        assert_eq!(heard, 5, "what peer {n} heard with {:?} {}", row.key, row.suite);
    }
    assert_eq!(call.world.shard.counters().dtls_failed, 0);
}

/// A conference of a peer whose DTLS OpenSSL speaks, and one as always.
struct Call {
    world: World,
    openssl: OpenSsl,
    last: Instant,
    /// Datagrams of OpenSSL's.
    heard: usize,
}

impl Call {
    fn new(row: Row, server: bool, certificate: bool) -> Self {
        let folder = Folder::new();
        folder.make_certificate(&row);
        let fingerprint = folder.fingerprint(row.fingerprint);
        let mut world = World::new();
        let options = Options { foreign: true, passive: server, channel: false, ..Options::default() };
        world.join_with("aaaa0001", options, |create, update| {
            create.capabilities.retain(|c| c != capability::SSRC_REWRITING);
            let ice = update.transport.as_mut().unwrap().ice.as_mut().unwrap();
            ice.fingerprints[0].hash = row.fingerprint.to_owned();
            ice.fingerprints[0].value = fingerprint;
        });
        world.join("aaaa0002", Options::default());
        world.run(Duration::from_millis(300));
        assert!(world.peers[0].selected);
        let openssl = OpenSsl::start(folder, &row, server, certificate);
        Self { world, openssl, last: Instant::now(), heard: 0 }
    }

    /// The bridge's time passes as the real one does.
    fn run_until(&mut self, longest: Duration, mut done: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + longest;
        while !done(self) {
            assert!(Instant::now() < end, "{:?}\n{}", self.world.shard.counters(), self.openssl.text());
            std::thread::sleep(Duration::from_millis(10));
            let said = self.openssl.said();
            self.heard += said.len();
            self.world.peers[0].sent.extend(said);
            let passed = self.last.elapsed();
            self.last += passed;
            self.world.run(passed);
            self.openssl.hear(std::mem::take(&mut self.world.peers[0].for_foreign));
        }
    }

    fn leaves_and_is_counted(&mut self) {
        assert_eq!(self.world.shard.counters().dtls_failed, 0, "it may try again");
        let mut update = endpoint("aaaa0001");
        update.expire = true;
        self.world.modify(request(false, vec![update])).unwrap();
        self.world.run(Duration::from_millis(20));
        assert_eq!(self.world.shard.counters().dtls_failed, 1);
        // The other one has nothing to do with it.
        self.world.run(Duration::from_secs(1));
        assert!(self.world.peers[1].connected());
    }
}

/// A process that speaks DTLS on loopback.
struct OpenSsl {
    process: Child,
    socket: UdpSocket,
    text: Arc<Mutex<String>>,
    _folder: Folder,
}

impl OpenSsl {
    fn start(folder: Folder, row: &Row, server: bool, certificate: bool) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut openssl = Command::new("openssl");
        let theirs = if server {
            let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            openssl.args(["s_server", "-accept", &free.to_string(), "-verify", "1"]);
            Some(free)
        } else {
            openssl.args(["s_client", "-connect", &socket.local_addr().unwrap().to_string()]);
            None
        };
        openssl.args(["-dtls1_2", "-use_srtp", row.srtp, "-cipher", &format!("{}:@SECLEVEL=0", row.suite)]);
        openssl.args(["-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", "88"]);
        if !row.signatures.is_empty() {
            openssl.args(["-sigalgs", row.signatures]);
        }
        if certificate {
            openssl.arg("-cert").arg(folder.0.join("cert.pem")).arg("-key").arg(folder.0.join("key.pem"));
        }
        openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = openssl.spawn().expect("openssl is installed");
        let text = Arc::new(Mutex::new(String::new()));
        collect(process.stdout.take().unwrap(), &text);
        collect(process.stderr.take().unwrap(), &text);
        let started = Self { process, socket, text, _folder: folder };
        if let Some(theirs) = theirs {
            started.wait_for("ACCEPT");
            started.socket.connect(theirs).unwrap();
        }
        started
    }

    fn wait_for(&self, word: &str) {
        let end = Instant::now() + Duration::from_secs(20);
        while !self.text().contains(word) {
            assert!(Instant::now() < end, "{}", self.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// What it sent meanwhile.
    fn said(&self) -> Vec<Vec<u8>> {
        let (mut said, mut buffer) = (Vec::new(), [0; 2048]);
        while let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
            if self.socket.peer_addr().is_err() {
                self.socket.connect::<SocketAddr>(from).unwrap();
            }
            said.push(buffer[..length].to_vec());
        }
        said
    }

    fn hear(&self, datagrams: Vec<Vec<u8>>) {
        for datagram in datagrams {
            // Lost when it is not there yet or any more.
            let _ = self.socket.send(&datagram);
        }
    }

    /// What it exports when it is done.
    fn keys(&self, profile: Profile) -> Option<Vec<u8>> {
        let text = self.text();
        let hex = text.split_once("Keying material: ")?.1.lines().next()?.trim();
        let bytes: Option<Vec<u8>> = hex
            .as_bytes()
            .chunks(2)
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok())
            .collect();
        let bytes = bytes.filter(|b| b.len() == 88)?;
        // A longer export of the same begins with the shorter.
        Some(bytes[..profile.keying_material_len()].to_vec())
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Ends with the process.
fn collect(mut from: impl std::io::Read + Send + 'static, text: &Arc<Mutex<String>>) {
    let text = Arc::clone(text);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            text.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    });
}

/// Where a peer's key lies while a row lasts.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let mut name = [0; 8];
        std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut name).unwrap();
        let name = name.iter().fold(String::new(), |mut name, byte| {
            let _ = write!(name, "{byte:02x}");
            name
        });
        let folder = std::env::temp_dir().join(format!("handshake-{name}"));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn make_certificate(&self, row: &Row) {
        let (key, certificate) = (self.0.join("key.pem"), self.0.join("cert.pem"));
        let mut made = Command::new("openssl");
        made.args(["req", "-x509", "-nodes", "-subj", "/CN=peer", "-days", "2", row.digest, "-newkey"]);
        made.args(row.key).arg("-keyout").arg(&key).arg("-out").arg(&certificate);
        if row.padding > 0 {
            made.args(["-addext", &format!("nsComment={}", "x".repeat(row.padding))]);
        }
        run(&mut made);
    }

    /// As signalled: the hash as OpenSSL writes it.
    fn fingerprint(&self, hash: &str) -> String {
        let mut asked = Command::new("openssl");
        asked.args(["x509", "-noout", "-fingerprint", &format!("-{}", hash.replace('-', ""))]);
        let said = run(asked.arg("-in").arg(Path::new(&self.0).join("cert.pem")));
        said.trim().split_once('=').unwrap().1.to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(command: &mut Command) -> String {
    let out = command.stdin(Stdio::null()).output().expect("openssl is installed");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}
