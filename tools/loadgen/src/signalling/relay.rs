//! The focus' account in; a WebSocket on loopback on which that account is logged in out. Servers take service accounts over
//! TCP alone, and everything else here speaks WebSocket.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use jitsi_xmpp::Sensitive;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use xmpp_link::{Link, LinkConfig, LinkEvent, TlsMode};

/// Logs in at `server` (`host:port`) in a thread of its own, which ends with the WebSocket.
///
/// # Errors
/// There is no port left on loopback.
pub(super) fn start(server: &str, auth_domain: &str, password: &str) -> Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("no port on loopback")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let config = LinkConfig {
        address: server.to_owned(),
        domain: auth_domain.to_owned(),
        username: "focus".to_owned(),
        password: Sensitive::new(password.to_owned()),
        resource: "focus".to_owned(),
        tls: TlsMode::IfOffered,
        verify_certificate: false,
        resume_within: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("focus".into()).spawn(move || {
        // An error has been told to the other end already, which makes it the load generator's.
        runtime.block_on(async { drop(carry(listener, config).await) });
    })?;
    Ok(address)
}

async fn carry(listener: std::net::TcpListener, config: LinkConfig) -> Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut link = Link::connect(config);
    let mut stream = accept(&listener).await?;
    match link.recv().await {
        Some(LinkEvent::Up { .. }) => {}
        other => {
            let why = match other {
                Some(LinkEvent::Down { reason }) => reason,
                _ => "the connection ended".to_owned(),
            };
            stream.write_all(format!("HTTP/1.1 401 the focus: {why}\r\n\r\n").as_bytes()).await?;
            return Ok(());
        }
    }
    let mut socket = tokio_tungstenite::accept_async(stream).await?;
    let carried = pass(&mut socket, &mut link).await;
    // However it ended: a session that is not ended waits to be resumed. The socket is closed when that is done.
    link.close().await;
    carried
}

/// What the focus hears would else wait for what it heard before to be acknowledged, and everybody would wait for the focus.
async fn accept(listener: &TcpListener) -> Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn pass(socket: &mut WebSocketStream<TcpStream>, link: &mut Link) -> Result<()> {
    loop {
        tokio::select! {
            event = link.recv() => match event {
                Some(LinkEvent::Stanza(stanza)) => socket.send(Message::text(stanza.to_xml())).await?,
                Some(LinkEvent::Up { .. } | LinkEvent::Checkpoint(_)) => {}
                // A server that drops the focus has ended all meetings: the load generator is to see it end.
                Some(LinkEvent::Down { .. }) | None => return Ok(()),
            },
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) if text.starts_with("<close") => {}
                Some(Ok(Message::Text(text))) => link.send_bytes(Bytes::from(text.as_str().to_owned()))?,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                Some(Ok(_)) => {}
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_focus_heard_of_changes_up_to_40_ms_late_and_the_server_was_idle() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _generator = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(accept(&listener).await.unwrap().nodelay().unwrap());
    }
}
