//! Addresses in, listening sockets out; a taken port becomes one clear line.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::StartError;

/// Listens on TCP. `option` is the name of the setting that holds the address, for the error text.
pub async fn tcp(option: &str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|e| refused(option, address, "tcp", &e))
}

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
