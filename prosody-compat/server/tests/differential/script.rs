//! A script's text in; what is done, step by step, out.
//!
//! ```text
//! # A comment.
//! a logs in                       anonymously, over WebSocket
//! focus logs in over tcp          with STARTTLS and the account's password
//! a connects                      and no more; also `over tcp`
//! a encrypts                      after <proceed/>
//! a proves SCRAM-SHA-1            the whole exchange, with the account's password; also `with a wrong password`
//! a drops                         its connection, without a word
//! a: <presence …/>                is said, and what everybody hears then belongs to this step
//!   <more…/>                      a line that begins with two blanks goes on with the one before
//! a until success failure: <…>    the same before a login: what this one hears, until one of these elements
//! ```
//!
//! `{a}` is somebody's full address, `{a.bare}` the bare one, `{id}` the id of the question that the speaker was asked last,
//! and `{muc}` and others stand for namespaces.

pub(crate) struct Step<'a> {
    /// As it stands in the script.
    pub(crate) text: String,
    pub(crate) who: &'a str,
    pub(crate) what: What,
}

pub(crate) enum What {
    LogIn { tcp: bool },
    Connect { tcp: bool },
    Encrypt,
    Prove { mechanism: String, wrong: bool },
    Drop,
    Say(String),
    Ask { until: Vec<String>, xml: String },
}

pub(crate) fn parse(text: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(more) = line.strip_prefix("  ") {
            let last = steps.last_mut().expect("a line to go on with");
            let (What::Say(xml) | What::Ask { xml, .. }) = &mut last.what else {
                panic!("goes on with nothing: {line}")
            };
            xml.push_str(more.trim_start());
            last.text.push('\n');
            last.text.push_str(line);
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (who, rest) = line.split_at(line.find([' ', ':']).expect("somebody"));
        let words: Vec<&str> = rest.split(' ').filter(|w| !w.is_empty()).collect();
        let what = match words.as_slice() {
            ["logs", "in"] => What::LogIn { tcp: false },
            ["logs", "in", "over", "tcp"] => What::LogIn { tcp: true },
            ["connects"] => What::Connect { tcp: false },
            ["connects", "over", "tcp"] => What::Connect { tcp: true },
            ["encrypts"] => What::Encrypt,
            ["proves", mechanism] => What::Prove { mechanism: (*mechanism).to_owned(), wrong: false },
            ["proves", mechanism, "with", "a", "wrong", "password"] => {
                What::Prove { mechanism: (*mechanism).to_owned(), wrong: true }
            }
            ["drops"] => What::Drop,
            ["until", ..] => {
                let (names, xml) = rest.split_once(": ").expect("something to say");
                let until = names.split(' ').skip(2).map(str::to_owned).collect();
                What::Ask { until, xml: xml.to_owned() }
            }
            _ => What::Say(
                rest.strip_prefix(": ").unwrap_or_else(|| panic!("not understood: {line}")).to_owned(),
            ),
        };
        steps.push(Step { text: line.to_owned(), who, what });
    }
    steps
}

/// What `{…}` stands for in every script.
pub(crate) const WORDS: &[(&str, &str)] = &[
    ("{room}", "rathaus@muc.meet.jitsi"),
    ("{muc}", "http://jabber.org/protocol/muc"),
    ("{info}", "http://jabber.org/protocol/disco#info"),
    ("{items}", "http://jabber.org/protocol/disco#items"),
    ("{sm}", "urn:xmpp:sm:3"),
    ("{ping}", "urn:xmpp:ping"),
    ("{bind}", "urn:ietf:params:xml:ns:xmpp-bind"),
    ("{sasl}", "urn:ietf:params:xml:ns:xmpp-sasl"),
    ("{framing}", "urn:ietf:params:xml:ns:xmpp-framing"),
];
