//! Where we differ from Debian's Prosody on purpose: an element of either in, what is compared of it out.

use std::collections::BTreeSet;

use jitsi_xmpp::Element;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Theirs,
    Ours,
}

/// Why.
pub(crate) enum Why {
    /// The first column of a line of `docs/differences.md`.
    Row(&'static str),
    /// Debian 12's version and Debian 13's, which is what Jitsi ships, differ themselves.
    Versions,
    /// A module of Jitsi's that is not there, which with us is no module.
    Module(&'static str),
    /// RFC or XEP let a server choose, and no client of Jitsi's looks.
    Either,
}

pub(crate) struct Known {
    pub(crate) what: &'static str,
    pub(crate) why: Why,
    /// Changes what both say until it is the same; `Some(false)`: it is not compared at all. `None`: something else.
    pub(crate) rule: fn(&mut Element, Side) -> Option<bool>,
}

/// What is compared of an element; `None`: nothing.
pub(crate) fn apply(mut e: Element, side: Side, used: &mut BTreeSet<usize>) -> Option<Element> {
    for (i, known) in KNOWN.iter().enumerate() {
        if let Some(kept) = (known.rule)(&mut e, side) {
            used.insert(i);
            if !kept {
                return None;
            }
        }
    }
    Some(e)
}

pub(crate) const KNOWN: &[Known] = &[
    Known {
        what: "the stream's language on each stanza",
        why: Why::Either,
        rule: |e, side| {
            (side == Side::Theirs && e.is_stanza() && e.remove_attr("xml:lang").is_some()).then_some(true)
        },
    },
    Known {
        what: "occupant-id",
        why: Why::Row("`occupant-id` in presence and messages"),
        rule: |e, side| (side == Side::Theirs && removes(e, &["occupant-id"])).then_some(true),
    },
    Known {
        what: "limits in the stream's features",
        why: Why::Versions,
        rule: |e, _| (e.name() == "features" && removes(e, &["limits"])).then_some(true),
    },
    Known {
        what: "features that nobody needs",
        why: Why::Row("session establishment, roster versions, capabilities, `sm:2` in stream features"),
        rule: |e, side| {
            if e.name() != "features" || side == Side::Ours {
                return None;
            }
            let gone = removes(e, &["session", "sub", "ver", "c"]);
            e.retain_children(|c| !c.is("sm", "urn:xmpp:sm:2"));
            gone.then_some(true)
        },
    },
    Known {
        what: "mechanisms with channel binding",
        why: Why::Versions,
        rule: |e, side| {
            if e.name() != "features" || side == Side::Ours {
                return None;
            }
            removes(e, &["sasl-channel-binding"]);
            let mechanisms = e.children_mut().find(|c| c.name() == "mechanisms")?;
            mechanisms.retain_children(|m| !m.text().ends_with("-PLUS") && m.text() != "OAUTHBEARER");
            Some(true)
        },
    },
    Known {
        what: "who is not the host that somebody wanted",
        why: Why::Either,
        rule: |e, _| (e.name() == "open").then(|| e.remove_attr("from")).flatten().map(|_| true),
    },
    Known {
        what: "who an error is by: older versions say it of some",
        why: Why::Versions,
        rule: |e, _| e.children_mut().find(|c| c.name() == "error")?.remove_attr("by").map(|_| true),
    },
    Known {
        what: "the wording of stream and login errors",
        why: Why::Either,
        rule: |e, _| (!e.is_stanza() && removes(e, &["text"])).then_some(true),
    },
    Known {
        what: "stream management that fails, with a stanza's error around the condition",
        why: Why::Versions,
        rule: |e, _| {
            let error = e.children().find(|c| c.name() == "error").filter(|_| e.name() == "failed")?;
            let condition = error.children().find(|c| c.name() != "text").cloned()?;
            e.retain_children(|_| false);
            e.push(condition);
            Some(true)
        },
    },
    Known {
        what: "when a client is asked to acknowledge",
        why: Why::Either,
        rule: |e, _| e.is("r", "urn:xmpp:sm:3").then_some(false),
    },
    Known {
        what: "ids of questions between occupants",
        why: Why::Row("ids of IQs between occupants"),
        rule: |e, _| {
            let asked = e.name() == "iq" && matches!(e.attr("type"), Some("get" | "set"));
            if !asked || !e.attr("from").is_some_and(|from| from.contains("@muc.")) {
                return None;
            }
            e.remove_attr("id").map(|_| true)
        },
    },
    Known {
        what: "a new subject keeps the id of who set it",
        why: Why::Row("a new subject"),
        rule: |e, side| {
            let subject = e.name() == "message"
                && e.child_named("subject").is_some()
                && e.child_named("body").is_none();
            if !subject || e.attr("type") != Some("groupchat") || side == Side::Theirs {
                return None;
            }
            e.remove_attr("id").map(|_| true)
        },
    },
    Known {
        what: "the writer's name in the history",
        why: Why::Module("muc_displayname"),
        rule: |e, side| (side == Side::Ours && removes(e, &["display-name"])).then_some(true),
    },
    Known {
        what: "who is kicked has no affiliation any more, and all are told",
        why: Why::Module("muc_meeting_id"),
        rule: |e, side| {
            let item = e.child_named("x").and_then(|x| x.child_named("item"))?;
            let told =
                e.name() == "message" && e.attr("type").is_none() && item.attr("affiliation") == Some("none");
            // Whoever does it with a reason has not kicked.
            (told && side == Side::Ours && item.child_named("reason").is_none()).then_some(false)
        },
    },
    Known {
        what: "a join without a nick",
        why: Why::Either,
        rule: |e, _| {
            let room = e.attr("from").is_some_and(|from| !from.contains('/'));
            (e.name() == "presence" && e.attr("type") == Some("error") && room)
                .then(|| e.retain_children(|_| false))?;
            Some(true)
        },
    },
    Known {
        what: "the server's words about somebody who is gone",
        why: Why::Either,
        rule: |e, side| {
            let words = e.child_named("status").map(Element::text).unwrap_or_default();
            let said = ["Kicked: ", "Disconnected: "].iter().any(|w| words.starts_with(w));
            (side == Side::Theirs && said && removes(e, &["status"])).then_some(true)
        },
    },
    Known {
        what: "others learn who goes because only members may stay",
        why: Why::Row("somebody who goes because only members may stay"),
        rule: |e, side| {
            let text = e.to_xml();
            (side == Side::Ours && text.contains("code=\"322\"") && !text.contains("code=\"110\""))
                .then_some(false)
        },
    },
    Known {
        what: "the reason of a ban, later",
        why: Why::Versions,
        rule: |e, side| {
            let query = e.children_mut().find(|c| c.name() == "query" && c.ns().ends_with("muc#admin"))?;
            let mut items = query.children_mut().filter(|_| side == Side::Theirs);
            items.any(|item| removes(item, &["reason"])).then_some(true)
        },
    },
    Known {
        what: "a room that is asked by an occupant whether it is there",
        why: Why::Row("a room that somebody in it pings"),
        rule: |e, _| {
            let q5 = e.name() == "iq" && e.attr("id") == Some("q5");
            q5.then(|| {
                e.remove_attr("type");
                e.retain_children(|_| false);
                true
            })
        },
    },
    Known {
        what: "forms and information have what Jitsi's parts read",
        why: Why::Row("a room's form and information, and those of hosts"),
        rule: |e, _| {
            let query = e
                .children_mut()
                .find(|c| c.name() == "query" && FORMS.iter().any(|f| c.ns().ends_with(f)))?;
            plain(query);
            Some(true)
        },
    },
];

/// Takes from forms and information what people read and what only one of both has.
fn plain(e: &mut Element) {
    e.retain_children(|c| {
        !matches!(c.name(), "title" | "instructions" | "desc" | "validate" | "option")
            && c.attr("type") != Some("fixed")
            && !c.attr("var").is_some_and(|var| LEFT_OUT.contains(&var))
    });
    for c in e.children_mut() {
        c.remove_attr("label");
        if c.name() == "identity" {
            c.remove_attr("name");
        }
        // No value, an empty one and no are the same.
        c.retain_children(|v| v.name() != "value" || !matches!(v.text().as_str(), "" | "0"));
        plain(c);
    }
}

/// Takes children of these names away; whether there was one.
fn removes(e: &mut Element, names: &[&str]) -> bool {
    let there = e.children().any(|c| names.contains(&c.name()));
    e.retain_children(|c| !names.contains(&c.name()));
    there
}

/// Queries whose answers are compared as [`plain`] leaves them.
const FORMS: &[&str] = &["disco#info", "muc#owner"];

/// Fields and features that no part of Jitsi reads.
const LEFT_OUT: &[&str] = &[
    "http://jabber.org/protocol/commands",
    "http://jabber.org/protocol/muc#request",
    "http://jabber.org/protocol/muc#unique",
    "jabber:iq:register",
    "urn:xmpp:occupant-id:0",
    "urn:xmpp:ping",
    "vcard-temp",
    "muc#roomconfig_allowpm",
    "{xmpp:prosody.im}muc#allow_modpm",
    "muc#roomconfig_defaulthistorymessages",
    "muc#roomconfig_historylength",
    "muc#roomconfig_lang",
    "muc#roomconfig_persistentroom",
    "muc#roomconfig_presencebroadcast",
    "muc#roomconfig_publicroom",
    "muc#roominfo_avatarhash",
    "muc#roominfo_lang",
    "{http://prosody.im/protocol/muc}roomconfig_allowmemberinvites",
];
