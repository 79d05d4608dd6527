//! Each module over WebSockets: what it is about is said by a moderator or a participant, and heard, or not, by the other.

use std::sync::Arc;
use std::time::Duration;

use jitsi_xmpp::Sensitive;
use jitsi_xmpp::xml::parse;
use prosody_core::token::{Hash, Settings, Signer, TokenRules};
use prosody_core::{ComponentHost, Config, Login};
use tokio::time::timeout;

use crate::harness::{ROOM, TestServer, Ws};

/// Who speaks or listens. Anna moderates, Ben does not, Cleo is outside until she joins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Anna,
    Ben,
    Cleo,
}
use Who::{Anna, Ben, Cleo};

enum Step {
    /// Somebody says this.
    Says(Who, &'static str),
    /// Somebody hears, before anything else that has these words, all of these.
    Hears(Who, &'static [&'static str]),
    /// Somebody who is answered a ping has not heard this before.
    HearsNot(Who, &'static str),
}
use Step::{Hears, HearsNot, Says};

struct Case {
    module: &'static str,
    /// What the tokens of Anna, Ben and Cleo say of them; without one nobody has any.
    tokens: [Option<&'static str>; 3],
    change: fn(&mut Config),
    steps: &'static [Step],
}

fn usual(_: &mut Config) {}

const NOBODYS: [Option<&str>; 3] = [None; 3];

/// In meetings.
fn named(config: &mut Config, module: &str) {
    config.hosts.rooms[0].modules.push(module.to_owned());
}

fn component(config: &mut Config, label: &str, module: &str) {
    let rooms = config.hosts.rooms[0].domain.clone();
    config.hosts.components.push(ComponentHost {
        domain: format!("{label}.meet.jitsi"),
        module: module.to_owned(),
        rooms,
    });
}

const JOIN: &str = r#"<presence id="j" to="$ROOM/$ME"><x xmlns="http://jabber.org/protocol/muc"/><nick xmlns="http://jabber.org/protocol/nick">Cleo</nick></presence>"#;
const HELLO: &str = r#"<message id="h" to="$ROOM" type="groupchat"><body>hello</body></message>"#;
const MEMBERS_ONLY: &str = r#"<iq type="set" id="f" to="$ROOM"><query xmlns="http://jabber.org/protocol/muc#owner"><x xmlns="jabber:x:data" type="submit"><field var="muc#roomconfig_membersonly"><value>1</value></field></x></query></iq>"#;
const RESTRICT_CHAT: &str = r#"<message to="metadata.meet.jitsi"><room_metadata xmlns="http://jitsi.org/jitmeet" room="$ROOM">{"key":"permissions","data":{"groupChatRestricted":true}}</room_metadata></message>"#;
const ASK_ABOUT: &str =
    r#"<iq type="get" id="d" to="$ROOM"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>"#;

static CASES: &[Case] = &[
    Case {
        module: "muc_lobby_rooms",
        tokens: NOBODYS,
        change: usual,
        steps: &[
            Says(Anna, MEMBERS_ONLY),
            Hears(Anna, &["lobby-notify", "LOBBY-ENABLED"]),
            Says(Cleo, JOIN),
            Hears(Cleo, &["registration-required", "town@lobby.meet.jitsi"]),
            Says(
                Cleo,
                r#"<presence to="town@lobby.meet.jitsi/$ME"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#,
            ),
            Hears(Cleo, &["town@lobby.meet.jitsi/$ME", "code=\"110\""]),
            Says(
                Anna,
                r#"<message to="$ROOM"><x xmlns="http://jabber.org/protocol/muc#user"><invite to="$CLEOJID"/></x></message>"#,
            ),
            Hears(Cleo, &["<invite "]),
            Says(Cleo, JOIN),
            Hears(Cleo, &["$ROOM/$ME", "code=\"110\""]),
        ],
    },
    Case {
        module: "muc_breakout_rooms",
        tokens: NOBODYS,
        change: usual,
        steps: &[
            Says(
                Ben,
                r#"<message id="b" to="breakout.meet.jitsi"><breakout_rooms type="features/breakout-rooms/add" subject="Two"/></message>"#,
            ),
            Hears(Ben, &["id=\"b\"", "type=\"error\""]),
            Says(
                Anna,
                r#"<message to="breakout.meet.jitsi"><breakout_rooms type="features/breakout-rooms/add" subject="Two"/></message>"#,
            ),
            Hears(Ben, &["features/breakout-rooms/update", "Two"]),
        ],
    },
    Case {
        module: "av_moderation_component",
        tokens: NOBODYS,
        change: usual,
        steps: &[
            Says(
                Ben,
                r#"<message id="m" to="avmoderation.meet.jitsi"><av_moderation xmlns="http://jitsi.org/jitmeet" room="$ROOM" enable="true" mediaType="audio"/></message>"#,
            ),
            Hears(Ben, &["id=\"m\"", "type=\"error\""]),
            Says(
                Anna,
                r#"<message to="avmoderation.meet.jitsi"><av_moderation xmlns="http://jitsi.org/jitmeet" room="$ROOM" enable="true" mediaType="audio"/></message>"#,
            ),
            Hears(Ben, &["av_moderation", "enabled", "audio"]),
        ],
    },
    Case {
        module: "polls_component",
        tokens: NOBODYS,
        change: usual,
        steps: &[
            Says(
                Ben,
                r#"<message to="polls.meet.jitsi" type="chat"><json-message xmlns="http://jitsi.org/jitmeet">{"type":"polls","command":"new-poll","pollId":"p1","senderId":"$ANNA","question":"Tea?","answers":[{"name":"yes"},{"name":"no"}]}</json-message></message>"#,
            ),
            Hears(Anna, &["new-poll", "Tea?", "$BEN"]),
            Says(Cleo, JOIN),
            Hears(Cleo, &["old-polls", "Tea?"]),
        ],
    },
    Case {
        module: "speakerstats_component",
        tokens: NOBODYS,
        change: usual,
        steps: &[
            Says(
                Ben,
                r#"<message to="speakerstats.meet.jitsi"><speakerstats xmlns="http://jitsi.org/jitmeet" room="$ROOM" silence="false"/></message>"#,
            ),
            HearsNot(Ben, "type=\"error\" id=\"s\""),
            Says(
                Cleo,
                r#"<message id="s" to="speakerstats.meet.jitsi"><speakerstats xmlns="http://jitsi.org/jitmeet" room="$ROOM"/></message>"#,
            ),
            Hears(Cleo, &["id=\"s\"", "service-unavailable"]),
            Says(Cleo, JOIN),
            Hears(Cleo, &["totalDominantSpeakerTime"]),
        ],
    },
    Case {
        module: "room_metadata_component",
        tokens: NOBODYS,
        change: usual,
        steps: &[
            Says(
                Ben,
                r#"<message id="m" to="metadata.meet.jitsi"><room_metadata xmlns="http://jitsi.org/jitmeet" room="$ROOM">{"key":"startMuted","data":{"audio":true}}</room_metadata></message>"#,
            ),
            Hears(Ben, &["id=\"m\"", "type=\"error\""]),
            Says(
                Anna,
                r#"<message to="metadata.meet.jitsi"><room_metadata xmlns="http://jitsi.org/jitmeet" room="$ROOM">{"key":"startMuted","data":{"audio":true}}</room_metadata></message>"#,
            ),
            Hears(Ben, &["metadata.meet.jitsi", "startMuted"]),
        ],
    },
    Case {
        module: "end_conference",
        tokens: NOBODYS,
        change: usual,
        steps: &[
            Says(
                Ben,
                r#"<message id="e" to="endconference.meet.jitsi"><end_conference xmlns="http://jitsi.org/jitmeet" room="$ROOM"/></message>"#,
            ),
            Hears(Ben, &["id=\"e\"", "type=\"error\""]),
            Says(
                Anna,
                r#"<message to="endconference.meet.jitsi"><end_conference xmlns="http://jitsi.org/jitmeet" room="$ROOM"/></message>"#,
            ),
            Hears(Ben, &["<destroy", "The meeting has been terminated"]),
        ],
    },
    Case {
        module: "filesharing_component",
        tokens: NOBODYS,
        change: |c| {
            component(c, "filesharing", "filesharing_component");
            c.hosts.rooms[0].policy.default_permissions.push("file-upload".to_owned());
        },
        steps: &[
            Says(
                Ben,
                r#"<message id="f" to="filesharing.meet.jitsi"><file-sharing xmlns="http://jitsi.org/jitmeet" type="add">{"fileId":"1","fileName":"a.pdf","fileSize":1,"timestamp":1}</file-sharing></message>"#,
            ),
            Hears(Ben, &["id=\"f\"", "forbidden"]),
            Says(
                Anna,
                r#"<message to="filesharing.meet.jitsi"><file-sharing xmlns="http://jitsi.org/jitmeet" type="add">{"fileId":"1","fileName":"a.pdf","fileSize":1,"timestamp":1}</file-sharing></message>"#,
            ),
            Hears(Ben, &["file-sharing", "a.pdf", "$ANNA"]),
        ],
    },
    Case {
        module: "audio_translation_component",
        tokens: NOBODYS,
        change: |c| component(c, "audiotranslation", "audio_translation_component"),
        steps: &[
            Says(
                Ben,
                r#"<message id="t" to="audiotranslation.meet.jitsi"><audio-translation xmlns="http://jitsi.org/jitmeet">{"x":"de"}</audio-translation></message>"#,
            ),
            Hears(Ben, &["id=\"t\"", "type=\"error\""]),
        ],
    },
    Case {
        module: "filter_messages",
        tokens: NOBODYS,
        change: usual,
        steps: &[
            Says(Anna, RESTRICT_CHAT),
            Hears(Ben, &["groupChatRestricted"]),
            Says(Ben, HELLO),
            Hears(Ben, &["id=\"h\"", "Sending group messages not allowed"]),
            HearsNot(Anna, "<body>hello</body>"),
        ],
    },
    Case {
        module: "muc_limit_messages",
        tokens: NOBODYS,
        change: |c| {
            named(c, "muc_limit_messages");
            c.hosts.rooms[0].policy.max_messages = Some(1);
        },
        steps: &[
            Says(Ben, HELLO),
            Hears(Anna, &["<body>hello</body>"]),
            Says(Ben, r#"<message id="more" to="$ROOM" type="groupchat"><body>more</body></message>"#),
            Hears(Anna, &["The message limit for the room has been reached"]),
            Hears(Ben, &["id=\"more\"", "not-allowed"]),
        ],
    },
    Case {
        module: "muc_max_occupants",
        tokens: NOBODYS,
        change: |c| c.hosts.rooms[0].policy.max_participants = Some(2),
        steps: &[
            Says(Cleo, JOIN),
            Hears(Cleo, &["id=\"j\"", "service-unavailable"]),
            HearsNot(Ben, "$CLEONICK"),
        ],
    },
    Case {
        module: "muc_hide_all",
        tokens: NOBODYS,
        change: usual,
        steps: &[
            Says(Cleo, ASK_ABOUT),
            Hears(Cleo, &["id=\"d\"", "forbidden"]),
            Says(Ben, ASK_ABOUT),
            Hears(Ben, &["id=\"d\"", "muc#roominfo_meetingId"]),
        ],
    },
    Case {
        module: "muc_resource_validate",
        tokens: NOBODYS,
        change: |c| c.hosts.rooms[0].policy.strict_nicks = true,
        steps: &[
            Says(
                Cleo,
                r#"<presence id="j" to="$ROOM/mayor"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#,
            ),
            Hears(Cleo, &["id=\"j\"", "type=\"error\""]),
            Says(Cleo, JOIN),
            Hears(Cleo, &["code=\"110\""]),
        ],
    },
    Case {
        module: "muc_allowners",
        tokens: NOBODYS,
        change: |c| {
            named(c, "muc_allowners");
            c.hosts.rooms[0].policy.all_owners = true;
        },
        steps: &[Says(Cleo, JOIN), Hears(Cleo, &["code=\"110\"", "role=\"moderator\""])],
    },
    Case {
        module: "muc_displayname",
        tokens: NOBODYS,
        change: |c| {
            named(c, "muc_displayname");
            c.hosts.rooms[0].policy.hide_names = true;
        },
        steps: &[Says(Cleo, JOIN), Hears(Anna, &["$ROOM/$CLEONICK", "Cleo"]), HearsNot(Ben, ">Cleo<")],
    },
    Case {
        module: "filter_direct_messages",
        tokens: NOBODYS,
        change: usual,
        steps: &[
            Says(Cleo, r#"<message id="x" to="$BENJID" type="chat"><body>psst</body></message>"#),
            Hears(Cleo, &["id=\"x\"", "Messages to this address are not allowed"]),
            HearsNot(Ben, "psst"),
        ],
    },
    Case {
        module: "shadow_ban",
        tokens: NOBODYS,
        change: |c| named(c, "shadow_ban"),
        steps: &[
            Says(
                Anna,
                r#"<iq type="set" id="b" to="$ROOM"><shadow-ban xmlns="http://jitsi.org/jitmeet/shadow-ban" jid="$BENJID">true</shadow-ban></iq>"#,
            ),
            Hears(Anna, &["id=\"b\"", "forbidden"]),
            Says(Ben, HELLO),
            Hears(Anna, &["<body>hello</body>"]),
        ],
    },
    Case {
        module: "muc_message_moderation",
        tokens: NOBODYS,
        change: |c| named(c, "muc_message_moderation"),
        steps: &[
            Says(Ben, HELLO),
            Hears(Anna, &["<body>hello</body>"]),
            Says(
                Ben,
                r#"<message id="r" to="$ROOM" type="groupchat"><replace xmlns="urn:xmpp:message-correct:0" id="h"/><body>hello all</body></message>"#,
            ),
            Hears(Anna, &["urn:xmpp:message-correct:0", "hello all"]),
        ],
    },
    Case {
        module: "presence_identity",
        tokens: [
            None,
            None,
            Some(r#"{"user":{"id":"7","name":"Cleo K.","email":"c@town.example"},"group":"council"}"#),
        ],
        change: |c| named(c, "presence_identity"),
        steps: &[
            Says(Cleo, JOIN),
            Hears(Ben, &["$ROOM/$CLEONICK", "<name>Cleo K.</name>", "<group>council</group>"]),
            Says(
                Ben,
                r#"<presence to="$ROOM/$ME"><identity xmlns="jabber:client"><user><name>Mayor</name></user></identity></presence>"#,
            ),
            Hears(Cleo, &["$ROOM/$BEN", "<presence"]),
            HearsNot(Cleo, "Mayor"),
        ],
    },
    Case {
        module: "token_affiliation",
        tokens: [None, None, Some(r#"{"user":{"id":"7","name":"C","moderator":true}}"#)],
        change: |c| named(c, "token_affiliation"),
        steps: &[
            Says(Cleo, JOIN),
            Hears(Cleo, &["code=\"110\"", "affiliation=\"owner\" role=\"moderator\""]),
        ],
    },
    Case {
        module: "frozen_nick",
        tokens: [None, None, Some(r#"{"user":{"id":"7","name":"Cleo K."}}"#)],
        change: |c| named(c, "frozen_nick"),
        steps: &[Says(Cleo, JOIN), Hears(Ben, &["$ROOM/$CLEONICK", ">Cleo K.</nick>"])],
    },
    Case {
        module: "token_verification",
        tokens: [None, None, Some(r#"{"user":{"id":"7"},"room":{"regex":true}}"#)],
        change: usual,
        steps: &[
            Says(
                Cleo,
                r#"<presence id="j" to="elsewhere@muc.meet.jitsi/$ME"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#,
            ),
            Hears(Cleo, &["id=\"j\"", "type=\"error\""]),
        ],
    },
    Case {
        module: "token_lobby_bypass",
        tokens: [None, None, Some(r#"{"user":{"id":"7","name":"C","lobby_bypass":true}}"#)],
        change: |c| named(c, "token_lobby_bypass"),
        steps: &[
            Says(Anna, MEMBERS_ONLY),
            Hears(Anna, &["LOBBY-ENABLED"]),
            Says(Cleo, JOIN),
            Hears(Cleo, &["$ROOM/$ME", "code=\"110\""]),
        ],
    },
    Case {
        module: "client_proxy",
        tokens: NOBODYS,
        change: usual,
        steps: &[
            Says(Cleo, r#"<message id="p" to="focus.meet.jitsi"><body>x</body></message>"#),
            Hears(Cleo, &["id=\"p\"", "feature-not-implemented"]),
        ],
    },
];

struct People {
    all: [Ws; 3],
}

impl People {
    fn of(&mut self, who: Who) -> &mut Ws {
        &mut self.all[who as usize]
    }

    fn meant(&self, who: Who, text: &str) -> String {
        let [anna, ben, cleo] = &self.all;
        let bare = |ws: &Ws| ws.jid.split('/').next().unwrap().to_owned();
        text.replace("$CLEONICK", &cleo.nick())
            .replace("$CLEOJID", &cleo.jid)
            .replace("$BENJID", &bare(ben))
            .replace("$BEN", &ben.nick())
            .replace("$ANNA", &anna.nick())
            .replace("$ME", &self.all[who as usize].nick())
            .replace("$ROOM", ROOM)
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Says(who, stanza) => {
                let stanza = self.meant(*who, stanza);
                self.of(*who).send(&stanza).await;
            }
            Hears(who, words) => {
                let words: Vec<String> = words.iter().map(|w| self.meant(*who, w)).collect();
                let mut before = Vec::new();
                loop {
                    let frame = timeout(Duration::from_secs(5), self.of(*who).frame()).await;
                    let Ok(Some(frame)) = frame else {
                        return Err(format!("waits for {words:?}, has heard {before:#?}"));
                    };
                    let text = frame.replace("&quot;", "\"");
                    if words.iter().all(|w| text.contains(w)) {
                        return Ok(());
                    }
                    before.push(frame);
                }
            }
            HearsNot(who, words) => {
                let words = self.meant(*who, words);
                let ping = r#"<iq type="get" id="quiet" to="meet.jitsi"><ping xmlns="urn:xmpp:ping"/></iq>"#;
                self.of(*who).send(ping).await;
                loop {
                    let frame = self.of(*who).frame().await.ok_or("closed")?;
                    if frame.contains(&words) {
                        return Err(format!("hears {words}: {frame}"));
                    }
                    if parse(frame.as_bytes()).is_ok_and(|e| e.attr("id") == Some("quiet")) {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
}

const SECRET: &str = "a-secret-of-the-tests-with-32-bytes";

/// People have tokens, or not.
fn with_tokens(config: &mut Config) {
    let settings = Settings {
        app_id: Some("town".to_owned()),
        app_secret: Some(Sensitive::new(SECRET.to_owned())),
        allow_empty: true,
        verify_domain: false,
        ..Settings::default()
    };
    config.hosts.users[0].login = Login::Token(Arc::new(TokenRules::new(settings).unwrap()));
    named(config, "token_verification");
}

async fn session(server: &TestServer, context: Option<&str>) -> Ws {
    let token = context.map_or_else(String::new, |context| {
        let context: serde_json::Value = serde_json::from_str(context).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let claims = serde_json::json!({
            "iss": "town", "aud": "jitsi", "sub": "meet.jitsi", "room": "*", "exp": now + 600, "context": context
        });
        let signer = Signer::secret(Hash::Sha256, &Sensitive::new(SECRET.to_owned())).unwrap();
        format!("&token={}", signer.sign(claims.as_object().unwrap()).unwrap().reveal())
    });
    let mut ws = Ws::connect(server, &format!("/xmpp-websocket?room=town{token}")).await;
    ws.authenticate().await;
    ws.bind().await;
    ws
}

#[tokio::test]
async fn each_module_does_over_a_web_socket_what_it_is_for() {
    let mut wrong = Vec::new();
    for case in CASES {
        let server = TestServer::with(|config| {
            if case.tokens != NOBODYS {
                with_tokens(&mut config.core);
            }
            (case.change)(&mut config.core);
        })
        .await;
        let focus = server.focus(ROOM).await;
        let mut people = People {
            all: [
                session(&server, case.tokens[0]).await,
                session(&server, case.tokens[1]).await,
                session(&server, case.tokens[2]).await,
            ],
        };
        for who in [Anna, Ben] {
            people.of(who).join().await;
        }
        let anna = people.of(Anna).jid.split('/').next().unwrap().to_owned();
        let grant = format!(
            r#"<iq xmlns="jabber:client" type="set" id="g" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#admin"><item affiliation="owner" jid="{anna}"/></query></iq>"#
        );
        focus.send(&parse(grant.as_bytes()).unwrap()).unwrap();
        people.of(Anna).expect("affiliation=\"owner\" role=\"moderator\"").await;
        if case.module == "muc_lobby_rooms" {
            let ben = people.of(Ben).jid.split('/').next().unwrap().to_owned();
            people.of(Anna).send(&grant.replace(&anna, &ben).replace("\"owner\"", "\"member\"")).await;
        }
        for (n, step) in case.steps.iter().enumerate() {
            if let Err(why) = people.step(step).await {
                wrong.push(format!("{}, step {}: {why}", case.module, n + 1));
                break;
            }
        }
        server.stop.send_replace(true);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
