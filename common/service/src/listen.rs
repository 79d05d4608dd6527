//! Addresses as people write them in, listening sockets out; a taken port becomes one clear line.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use tokio::net::{TcpListener, TcpSocket};

use crate::{StartError, sockets};

/// Where to listen, as people write it: `127.0.0.1:8000`, `[::1]:8000`, `localhost:8000`, or a port alone, which is open to this
/// machine and nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(pub SocketAddr);

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "must be an address with a port, such as `0.0.0.0:8000` for everybody; a port alone is for this machine";
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        if !(host.is_empty() || host.eq_ignore_ascii_case("localhost"))
            || !port.bytes().all(|b| b.is_ascii_digit())
        {
            return Err(WANTED);
        }
        let port = port.parse().map_err(|_| WANTED)?;
        Ok(Self(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)))
    }
}

/// Listens on TCP. `option` is the name of the setting that holds the address, for the error text.
pub async fn tcp(option: &str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = match sockets::tcp(address) {
        Some(left) => left.set_nonblocking(true).and_then(|()| TcpListener::from_std(left)),
        None => bound(address),
    };
    let listener = listener.map_err(|e| refused(option, address, "tcp", &e))?;
    sockets::keep(&listener);
    Ok(listener)
}

/// What is accepted sends at once, as the socket that it came from: asked for each connection it would be one more system call.
fn bound(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Connections that wait to be accepted; the system may allow fewer.
const BACKLOG: u32 = 1024;

/// The start error for a socket that could not be opened.
pub fn refused(option: &str, address: SocketAddr, protocol: &'static str, e: &io::Error) -> StartError {
    let option = option.to_owned();
    if e.kind() == io::ErrorKind::AddrInUse {
        StartError::AddressInUse { address, protocol, option }
    } else {
        StartError::Listen { address, protocol, option, reason: e.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_people_write_them_and_a_port_alone_opens_nothing() {
        for (text, is) in [
            ("127.0.0.1:8000", "127.0.0.1:8000"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::]:443", "[::]:443"),
            ("8000", "127.0.0.1:8000"),
            (":8000", "127.0.0.1:8000"),
            ("localhost:8000", "127.0.0.1:8000"),
        ] {
            assert_eq!(text.parse(), Ok(Address(is.parse().unwrap())), "{text}");
        }
        for bad in
            ["", ":", "localhost", "meet.example:80", "65536", "+80", "80 ", "127.0.0.1", "::1", "*:80"]
        {
            let said = bad.parse::<Address>().unwrap_err();
            assert!(said.contains("0.0.0.0:8000"), "{bad}");
        }
    }

    #[tokio::test]
    async fn who_is_accepted_sends_at_once() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let listener = tcp("http.listen", any.parse().unwrap()).await.unwrap();
            let _client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (accepted, _) = listener.accept().await.unwrap();
            assert!(accepted.nodelay().unwrap(), "{any}");
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_one_line_that_names_the_option() {
        let first = tcp("http.listen", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let taken = first.local_addr().unwrap();
        let e = tcp("http.listen", taken).await.unwrap_err();
        assert_eq!(e.reason(), "address_in_use");
        let line = e.to_string();
        assert!(
            line.contains(&taken.to_string()) && line.contains("http.listen") && !line.contains('\n'),
            "{line}"
        );
        assert_ne!(e.exit_code(), 0);
    }
}
