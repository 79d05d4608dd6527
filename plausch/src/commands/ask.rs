//! A question to the admin listener of the server on this machine in, its answer out. Plain HTTP, with one deadline for all.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Instant;

use jitsi_xmpp::Sensitive;

use super::limits::{ASK, ASK_BYTES};

/// What the server said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_str(&self.body).ok()
    }
}

/// Reads something.
pub(crate) fn get(admin: SocketAddr, path: &str) -> Result<Answer, String> {
    ask(admin, &format!("GET {path} HTTP/1.1\r\n"), "")
}

/// Changes something.
pub(crate) fn post(admin: SocketAddr, path: &str, token: &Sensitive<String>) -> Result<Answer, String> {
    let head =
        format!("POST {path} HTTP/1.1\r\ncontent-length: 0\r\nauthorization: Bearer {}\r\n", token.reveal());
    ask(admin, &head, "")
}

/// Changes something, with JSON that says what.
pub(crate) fn post_json(
    admin: SocketAddr,
    path: &str,
    token: &Sensitive<String>,
    body: &serde_json::Value,
) -> Result<Answer, String> {
    let (token, body) = (token.reveal(), body.to_string());
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nauthorization: Bearer {token}\r\n"
    );
    ask(admin, &head, &body)
}

fn ask(admin: SocketAddr, head: &str, body: &str) -> Result<Answer, String> {
    let to = SocketAddr::new(reachable(admin.ip()), admin.port());
    let until = Instant::now() + ASK;
    let failed = |e: std::io::Error| e.to_string();
    let mut stream = TcpStream::connect_timeout(&to, ASK).map_err(failed)?;
    stream.set_write_timeout(Some(ASK)).map_err(failed)?;
    stream
        .write_all(format!("{head}host: {to}\r\nconnection: close\r\n\r\n{body}").as_bytes())
        .map_err(failed)?;
    let mut whole = Vec::new();
    let mut part = [0; 4096];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("no answer in time".to_owned());
        }
        stream.set_read_timeout(Some(left)).map_err(failed)?;
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(n) => whole.extend_from_slice(part.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.to_string()),
        }
        if whole.len() as u64 > ASK_BYTES {
            return Err("the answer is too long".to_owned());
        }
    }
    answer(&String::from_utf8_lossy(&whole)).ok_or_else(|| "the answer is no HTTP".to_owned())
}

/// A wildcard is reached from its own machine by loopback.
const fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) if v4.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(v6) if v6.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other,
    }
}

fn answer(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn server(say: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        std::thread::spawn(move || say(listener.accept().unwrap().0));
        at
    }

    #[test]
    fn an_answer_is_its_status_and_its_body() {
        let at = server(|mut s| {
            let mut head = [0; 512];
            let n = s.read(&mut head).unwrap();
            let head = String::from_utf8_lossy(&head[..n]).into_owned();
            assert!(head.contains("authorization: Bearer secret\r\n"), "{head}");
            s.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno").unwrap();
        });
        let wildcard = SocketAddr::new([0, 0, 0, 0].into(), at.port());
        let said = post(wildcard, "/x", &Sensitive::new("secret".into())).unwrap();
        assert_eq!((said.status, said.body.as_str()), (401, "no"));
        assert!(get(at, "/x").is_err(), "nobody listens any more");
        for bad in ["", "SSH-2.0-x\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 x y\r\n\r\n"] {
            assert!(answer(bad).is_none(), "{bad}");
        }
    }

    /// Two at once, as each takes its time.
    #[test]
    fn who_never_ends_is_left_after_its_time_and_who_says_too_much_at_once() {
        let silent = server(|s| {
            std::thread::sleep(2 * ASK);
            drop(s);
        });
        let waiting = std::thread::spawn(move || {
            let began = Instant::now();
            assert!(get(silent, "/").is_err());
            began.elapsed()
        });
        let endless = |bytes: u64| {
            server(move |mut s| {
                let _ = s.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
                let _ = s.write_all(&vec![b'x'; usize::try_from(bytes).unwrap()]);
                // Reads the question, so that closing is no reset.
                let _ = s.read(&mut [0; 512]);
            })
        };
        assert_eq!(get(endless(ASK_BYTES - 19), "/").unwrap().status, 200);
        assert_eq!(get(endless(ASK_BYTES - 18), "/").unwrap_err(), "the answer is too long");
        assert!((ASK..ASK + ASK / 2).contains(&waiting.join().unwrap()));
    }
}
