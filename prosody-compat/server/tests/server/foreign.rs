//! A client that is not ours (tokio-xmpp, with a parser and types of its own): it logs in, meets, speaks, asks and leaves;
//! what it cannot read fails here and not at somebody's desk.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::timeout;
use tokio_xmpp::connect::DnsConfig;
use tokio_xmpp::jid::Jid;
use tokio_xmpp::parsers::disco::{DiscoInfoQuery, DiscoInfoResult};
use tokio_xmpp::parsers::message::{Lang, Message, MessageType};
use tokio_xmpp::parsers::muc::Muc;
use tokio_xmpp::parsers::muc::user::{Affiliation, MucUser, Role, Status};
use tokio_xmpp::parsers::ping::Ping;
use tokio_xmpp::parsers::presence::{Presence, Type};
use tokio_xmpp::xmlstream::Timeouts;
use tokio_xmpp::{Client, Event, IqRequest, IqResponse, Stanza};

use crate::harness::TestServer;

const BREWERY: &str = "jvbbrewery@internal-muc.meet.jitsi";

struct Foreign(Client);

impl Foreign {
    async fn log_in(server: &TestServer, resource: &str, password: &str) -> Self {
        let jid: Jid = format!("jvb@auth.meet.jitsi/{resource}").parse().unwrap();
        let address = DnsConfig::addr(&server.tcp().to_string());
        let mut it = Self(Client::new_plaintext(jid, password, address, Timeouts::default()));
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
    let server = TestServer::start().await;
    let mut one = Foreign::log_in(&server, "one", "bridge-secret").await;
    let mut two = Foreign::log_in(&server, "two", "bridge-secret").await;

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
