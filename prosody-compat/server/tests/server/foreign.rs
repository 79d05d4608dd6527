//! A client that is not ours (tokio-xmpp, with a parser and types of its own): it logs in, meets, speaks, asks and leaves;
//! what it cannot read fails here and not at somebody's desk.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use sasl::common::ChannelBinding;
use service::certificate::CertificateFiles;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_xmpp::connect::ServerConnector;
use tokio_xmpp::jid::Jid;
use tokio_xmpp::parsers::disco::{DiscoInfoQuery, DiscoInfoResult};
use tokio_xmpp::parsers::message::{Lang, Message, MessageType};
use tokio_xmpp::parsers::muc::Muc;
use tokio_xmpp::parsers::muc::user::{Affiliation, MucUser, Role, Status};
use tokio_xmpp::parsers::ping::Ping;
use tokio_xmpp::parsers::presence::{Presence, Type};

use tokio_xmpp::xmlstream::{PendingFeaturesRecv, StreamHeader, Timeouts, initiate_stream};
use tokio_xmpp::{Client, Error, Event, IqRequest, IqResponse, Stanza};

use crate::harness::TestServer;

const BREWERY: &str = "jvbbrewery@internal-muc.meet.jitsi";

/// STARTTLS (RFC 6120 §5), with the server's own certificate as the only one that is trusted.
#[derive(Clone)]
struct StartTls {
    address: SocketAddr,
    trust: Arc<rustls::ClientConfig>,
}

impl std::fmt::Debug for StartTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StartTls")
    }
}

impl StartTls {
    async fn encrypted(&self, domain: &str) -> io::Result<TlsStream<TcpStream>> {
        let mut tcp = TcpStream::connect(self.address).await?;
        let header = format!(
            "<stream:stream to='{domain}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
        );
        tcp.write_all(header.as_bytes()).await?;
        until(&mut tcp, "</stream:features>").await?;
        tcp.write_all(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await?;
        until(&mut tcp, "<proceed").await?;
        let name = ServerName::try_from(domain.to_owned()).expect("a name");
        TlsConnector::from(Arc::clone(&self.trust)).connect(name, tcp).await
    }
}

async fn until(tcp: &mut TcpStream, end: &str) -> io::Result<()> {
    let (mut all, mut some) = (String::new(), [0; 1024]);
    while !all.contains(end) {
        let len = tcp.read(&mut some).await?;
        assert!(len > 0, "hung up: {all}");
        all.push_str(&String::from_utf8_lossy(&some[..len]));
    }
    Ok(())
}

impl ServerConnector for StartTls {
    type Stream = BufStream<TlsStream<TcpStream>>;

    async fn connect(
        &self,
        jid: &Jid,
        ns: &'static str,
        timeouts: Timeouts,
    ) -> Result<(PendingFeaturesRecv<Self::Stream>, ChannelBinding), Error> {
        let domain = jid.domain().as_str();
        let stream = BufStream::new(self.encrypted(domain).await?);
        let header = StreamHeader { to: Some(Cow::Borrowed(domain)), from: None, id: None };
        Ok((initiate_stream(stream, ns, header, timeouts).await?, ChannelBinding::None))
    }
}

/// A server with a certificate, and what it takes to trust it.
async fn server() -> (TestServer, StartTls) {
    let made = rcgen::generate_simple_self_signed(["auth.meet.jitsi".to_owned()]).unwrap();
    let folder = std::env::temp_dir().join(format!("plausch-foreign-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let server = TestServer::with(|c| c.certificate = Some(CertificateFiles { chain, key })).await;
    std::fs::remove_dir_all(&folder).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let trust = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = StartTls { address: server.tcp(), trust: Arc::new(trust) };
    (server, tls)
}

struct Foreign(Client);

impl Foreign {
    async fn log_in(server: &StartTls, resource: &str, password: &str) -> Self {
        let jid: Jid = format!("jvb@auth.meet.jitsi/{resource}").parse().unwrap();
        let mut it = Self(Client::new_with_connector(jid, password, server.clone(), Timeouts::default()));
        match it.event().await {
            Event::Online { .. } => it,
            other => panic!("no login: {other:?}"),
        }
    }

    async fn event(&mut self) -> Event {
        timeout(Duration::from_secs(10), self.0.next())
            .await
            .expect("in time")
            .expect("a stream that goes on")
    }

    async fn stanza(&mut self) -> Stanza {
        match self.event().await {
            Event::Stanza(stanza) => stanza,
            other => panic!("no stanza: {other:?}"),
        }
    }

    /// The next presence and what it says of somebody in the room.
    async fn presence(&mut self) -> (Presence, MucUser) {
        loop {
            if let Stanza::Presence(presence) = self.stanza().await {
                let user =
                    presence.payloads.iter().find(|p| p.is("x", "http://jabber.org/protocol/muc#user"));
                let user = MucUser::try_from(user.expect("muc#user").clone()).expect("as XEP-0045 has it");
                return (presence, user);
            }
        }
    }

    async fn enter(&mut self, nick: &str) {
        let to: Jid = format!("{BREWERY}/{nick}").parse().unwrap();
        let mut join = Presence::new(Type::None).with_to(to);
        join.payloads.push(Muc::new().into());
        self.0.send_stanza(join.into()).await.unwrap();
    }

    async fn ask(&mut self, to: &str, request: IqRequest) -> IqResponse {
        let token = self.0.send_iq(Some(to.parse().unwrap()), request).await;
        // Its client reads only while it is asked for events.
        tokio::pin!(token);
        loop {
            tokio::select! {
                response = &mut token => return response.expect("an answer"),
                event = self.0.next() => assert!(matches!(event, Some(Event::Stanza(_))), "{event:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_foreign_client_logs_in_meets_speaks_asks_and_leaves() {
    let (_server, tls) = server().await;
    let mut one = Foreign::log_in(&tls, "one", "bridge-secret").await;
    let mut two = Foreign::log_in(&tls, "two", "bridge-secret").await;

    one.enter("bridge-1").await;
    let (own, user) = one.presence().await;
    assert_eq!(own.from.unwrap().to_string(), format!("{BREWERY}/bridge-1"));
    assert!(user.status.contains(&Status::SelfPresence));
    two.enter("bridge-2").await;
    let (other, user) = two.presence().await;
    assert_eq!(other.from.unwrap().to_string(), format!("{BREWERY}/bridge-1"));
    let [item] = user.items.as_slice() else { panic!("one item: {user:?}") };
    assert_eq!((&item.affiliation, &item.role), (&Affiliation::Owner, &Role::Moderator));
    assert_eq!(item.jid.as_ref().unwrap().to_string(), "jvb@auth.meet.jitsi/one");
    let (own, _) = two.presence().await;
    assert_eq!(own.from.unwrap().to_string(), format!("{BREWERY}/bridge-2"));
    let (newcomer, _) = one.presence().await;
    assert_eq!(newcomer.from.unwrap().to_string(), format!("{BREWERY}/bridge-2"));

    let text = "Grüße & <Küsse>, \u{1f600}";
    let mut message = Message::new(Some(BREWERY.parse().unwrap()));
    message.type_ = MessageType::Groupchat;
    message.bodies.insert(Lang::default(), text.to_owned());
    two.0.send_stanza(message.into()).await.unwrap();
    let said = loop {
        if let Stanza::Message(m) = one.stanza().await
            && !m.bodies.is_empty()
        {
            break m;
        }
    };
    assert_eq!(said.bodies.values().next().unwrap(), text);
    assert_eq!(said.from.unwrap().to_string(), format!("{BREWERY}/bridge-2"));

    let info = one.ask("meet.jitsi", IqRequest::Get(DiscoInfoQuery { node: None }.into())).await;
    let IqResponse::Result(Some(info)) = info else { panic!("{info:?}") };
    let info = DiscoInfoResult::try_from(info).expect("as XEP-0030 has it");
    assert!(!info.identities.is_empty() && info.features.contains("http://jabber.org/protocol/disco#info"));
    let info = one.ask(BREWERY, IqRequest::Get(DiscoInfoQuery { node: None }.into())).await;
    let IqResponse::Result(Some(info)) = info else { panic!("{info:?}") };
    let info = DiscoInfoResult::try_from(info).expect("as XEP-0045 has it");
    assert!(info.identities.iter().any(|i| i.category == "conference" && i.type_ == "text"));
    let pong = one.ask("auth.meet.jitsi", IqRequest::Get(Ping.into())).await;
    assert!(matches!(pong, IqResponse::Result(None)), "{pong:?}");
    let nobody = one.ask("nobody@nowhere.example", IqRequest::Get(Ping.into())).await;
    assert!(matches!(nobody, IqResponse::Error(_)), "{nobody:?}");

    two.0.send_end().await.unwrap();
    let (gone, _) = one.presence().await;
    assert_eq!(
        (gone.type_, gone.from.unwrap().to_string()),
        (Type::Unavailable, format!("{BREWERY}/bridge-2"))
    );
}
