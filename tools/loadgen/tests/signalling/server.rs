//! Our server on a free port, in a runtime of its own.

use std::time::Duration;

use jitsi_xmpp::{Element, Jid, iq, ns};
use prosody_server::{Config, Raw, ServerHandle};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use xmpp_link::{Link, LinkEvent};

pub(crate) const PASSWORD: &str = "focus-secret";

pub(crate) struct TestServer {
    pub(crate) url: String,
    /// Where the focus logs in.
    pub(crate) tcp: std::net::SocketAddr,
    handle: ServerHandle,
    runtime: Runtime,
    _stop: watch::Sender<bool>,
}

impl TestServer {
    pub(crate) fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (stop, stopped) = watch::channel(false);
        let listen = Some(([127, 0, 0, 1], 0).into());
        let raw = Raw { focus_password: Some(PASSWORD.into()), listen, ..Raw::default() };
        let (handle, address) = runtime.block_on(async {
            let handle = prosody_server::start(Config::from_raw(raw).unwrap(), stopped).await.unwrap();
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let router = handle.router();
            tokio::spawn(async move { axum::serve(listener, router).await });
            (handle, address)
        });
        let tcp = handle.tcp_address().unwrap();
        Self { url: format!("ws://{address}/xmpp-websocket"), tcp, handle, runtime, _stop: stop }
    }

    /// Nobody's session waits to be resumed: the generator has said goodbye for all.
    pub(crate) fn until_empty(&self) {
        for _ in 0..100 {
            if self.handle.stats().now.sessions == 0 {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{:?}", self.handle.stats().now);
    }

    /// A focus that opens every room that is asked for.
    pub(crate) fn attach_focus(&self) -> tokio::task::JoinHandle<()> {
        let jid: Jid = "focus@auth.meet.jitsi/focus".parse().unwrap();
        let _in_runtime = self.runtime.enter();
        let (mut link, end) = Link::in_process(jid.to_full().unwrap(), 8_192);
        self.runtime.block_on(self.handle.attach_in_process(end)).unwrap();
        let sender = link.sender();
        self.runtime.spawn(async move {
            while let Some(event) = link.recv().await {
                let LinkEvent::Stanza(stanza) = event else { continue };
                let asked = stanza.child("conference", ns::FOCUS).and_then(|c| c.attr("room"));
                if let Some(room) = asked {
                    let join = Element::new("presence", ns::CLIENT)
                        .with_attr("to", format!("{room}/focus"))
                        .with_child(Element::new("x", ns::MUC));
                    sender.send(&join).unwrap();
                    let ready = Element::new("conference", ns::FOCUS).with_attr("ready", "true");
                    sender.send(&iq::result(&stanza, Some(ready))).unwrap();
                }
            }
        })
    }

    /// Everything is gone at once, as when a process is killed.
    pub(crate) fn die(self) {
        self.runtime.shutdown_background();
    }
}
