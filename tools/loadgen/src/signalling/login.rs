//! One client's way to a usable session: frames in, answers out (RFC 7395, RFC 6120 §6–7, XEP-0198).

use anyhow::{Context, Result, bail};

use super::{scan, stanza};

/// A login under way, SASL ANONYMOUS: anybody's.
#[derive(Debug)]
pub(super) struct Login {
    domain: String,
    /// Enable stream management when it is offered.
    sm: bool,
    step: Step,
    jid: String,
    offers: Offers,
}

#[derive(Debug, Clone, Copy, Default)]
struct Offers {
    session: bool,
    sm: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Mechanisms,
    Authenticated,
    Features,
    Bound,
    Session,
    Enabled,
}

/// What a frame leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Wait,
    Send(String),
    /// The session is usable; whether stream management is on.
    Ready {
        jid: String,
        sm: bool,
    },
}

impl Login {
    /// Begins, with the first text to send.
    pub(super) fn begin(domain: &str, sm: bool) -> (Self, String) {
        let step = Step::Mechanisms;
        let login =
            Self { domain: domain.to_owned(), sm, step, jid: String::new(), offers: Offers::default() };
        (login, stanza::open(domain))
    }

    /// What the client waits for, for errors.
    pub(super) fn waits_for(&self) -> &'static str {
        match self.step {
            Step::Mechanisms => "the login mechanisms",
            Step::Authenticated => "the login",
            Step::Features => "the stream features",
            Step::Bound | Step::Session => "the resource binding",
            Step::Enabled => "stream management",
        }
    }

    /// Reads one frame.
    pub(super) fn frame(&mut self, frame: &str) -> Result<Answer> {
        let name = frame.trim_start_matches('<');
        if name.starts_with("stream:error") {
            bail!(
                "the server ends the stream: {}",
                scan::first_child(frame, "stream:error").unwrap_or("no reason")
            );
        }
        if name.starts_with("close") {
            bail!("the server closes the stream while a client waits for {}", self.waits_for());
        }
        match self.step {
            Step::Mechanisms if name.starts_with("stream:features") => self.authenticate(frame),
            Step::Authenticated if name.starts_with("success") => {
                self.step = Step::Features;
                Ok(Answer::Send(stanza::open(&self.domain)))
            }
            Step::Authenticated if name.starts_with("failure") => {
                bail!(
                    "the server refuses the login: {}",
                    scan::first_child(frame, "failure").unwrap_or("no reason")
                )
            }
            Step::Features if name.starts_with("stream:features") => {
                self.offers = Offers {
                    session: frame.contains("urn:ietf:params:xml:ns:xmpp-session"),
                    sm: frame.contains("urn:xmpp:sm:3"),
                };
                self.step = Step::Bound;
                Ok(Answer::Send(BIND.to_owned()))
            }
            Step::Bound if name.starts_with("iq") => {
                if scan::attribute(frame, "type") == Some("error") {
                    bail!(
                        "the server refuses to bind: {}",
                        scan::first_child(frame, "error").unwrap_or("no reason")
                    );
                }
                self.jid = scan::text(frame, "jid").context("a bind result without an address")?.to_owned();
                if self.offers.session {
                    self.step = Step::Session;
                    return Ok(Answer::Send(SESSION.to_owned()));
                }
                Ok(self.bound())
            }
            Step::Session if name.starts_with("iq") => Ok(self.bound()),
            Step::Enabled if name.starts_with("enabled") => Ok(self.ready(true)),
            Step::Enabled if name.starts_with("failed") => Ok(self.ready(false)),
            _ => Ok(Answer::Wait),
        }
    }

    fn authenticate(&mut self, features: &str) -> Result<Answer> {
        if !features.contains(">ANONYMOUS<") {
            bail!("the server does not offer the login ANONYMOUS on {}", self.domain);
        }
        self.step = Step::Authenticated;
        Ok(Answer::Send(AUTH.to_owned()))
    }

    fn bound(&mut self) -> Answer {
        if self.sm && self.offers.sm {
            self.step = Step::Enabled;
            return Answer::Send(ENABLE.to_owned());
        }
        self.ready(false)
    }

    fn ready(&mut self, sm: bool) -> Answer {
        Answer::Ready { jid: std::mem::take(&mut self.jid), sm }
    }
}

const AUTH: &str = r#"<auth mechanism="ANONYMOUS" xmlns="urn:ietf:params:xml:ns:xmpp-sasl"></auth>"#;
const BIND: &str = r#"<iq id="_bind_auth_2" type="set" xmlns="jabber:client"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#;
const SESSION: &str = r#"<iq id="_session_auth_2" type="set" xmlns="jabber:client"><session xmlns="urn:ietf:params:xml:ns:xmpp-session"/></iq>"#;
const ENABLE: &str = r#"<enable resume="true" xmlns="urn:xmpp:sm:3"/>"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(answer: Result<Answer>) -> String {
        match answer.unwrap() {
            Answer::Send(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_login_goes_as_a_recorded_one_and_what_is_in_between_does_not_matter() {
        let (mut login, open) = Login::begin("meet.jitsi", true);
        assert!(open.contains("to=\"meet.jitsi\""));
        assert_eq!(login.frame("<open xml:lang='en' from='meet.jitsi'/>").unwrap(), Answer::Wait);
        let features =
            "<stream:features><mechanisms><mechanism>ANONYMOUS</mechanism></mechanisms></stream:features>";
        assert!(sent(login.frame(features)).contains("ANONYMOUS"));
        assert!(
            sent(login.frame("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")).starts_with("<open")
        );
        let features = "<stream:features><bind/><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/><sm xmlns='urn:xmpp:sm:3'/></stream:features>";
        assert!(sent(login.frame(features)).contains("xmpp-bind"));
        assert_eq!(login.frame("<message from='meet.jitsi'/>").unwrap(), Answer::Wait);
        let bound = "<iq type='result' id='_bind_auth_2'><bind><jid>a@meet.jitsi/b</jid></bind></iq>";
        assert!(sent(login.frame(bound)).contains("xmpp-session"));
        assert!(sent(login.frame("<iq type='result'/>")).contains("urn:xmpp:sm:3"));
        let ready = login.frame("<enabled xmlns='urn:xmpp:sm:3'/>").unwrap();
        assert_eq!(ready, Answer::Ready { jid: "a@meet.jitsi/b".into(), sm: true });
    }

    #[test]
    fn refusals_are_said_in_one_line() {
        let begin = || Login::begin("d", false).0;
        let offered = "<stream:features><mechanism>ANONYMOUS</mechanism></stream:features>";
        let mut login = begin();
        assert!(sent(login.frame(offered)).contains("ANONYMOUS"));
        let refused = login.frame("<failure><not-authorized/></failure>").unwrap_err().to_string();
        assert_eq!(refused, "the server refuses the login: not-authorized");
        let other = "<stream:features><mechanism>EXTERNAL</mechanism></stream:features>";
        assert!(begin().frame(other).unwrap_err().to_string().contains("does not offer the login ANONYMOUS"));
        let error = "<stream:error><host-unknown xmlns='x'/></stream:error>";
        assert!(begin().frame(error).unwrap_err().to_string().contains("host-unknown"));
        assert!(begin().frame("<close/>").is_err());
    }
}
