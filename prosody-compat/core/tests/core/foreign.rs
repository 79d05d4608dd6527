//! Every frame that a test's server sends, read by a parser that is not ours (xmpp-parsers): what somebody else's client cannot
//! read fails in the test that made it.

use xmpp_parsers::bind::BindResponse;
use xmpp_parsers::data_forms::DataForm;
use xmpp_parsers::delay::Delay;
use xmpp_parsers::disco::{DiscoInfoResult, DiscoItemsResult};
use xmpp_parsers::iq::Iq;
use xmpp_parsers::message::Message;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::muc::user::MucUser;
use xmpp_parsers::nick::Nick;
use xmpp_parsers::presence::Presence;
use xmpp_parsers::stanza_error::StanzaError;
use xmpp_parsers::stream_error::StreamError;
use xmpp_parsers::version::VersionResult;
use xmpp_parsers::{ns, sasl, sm};

/// Reads a frame. Panics if the other parser does not take it, where it knows what that is.
pub fn read(frame: &str) {
    // A stream's header and its end are no elements.
    if frame.trim().is_empty() || ["<?xml", "<stream:stream", "</stream"].iter().any(|s| frame.starts_with(s))
    {
        return;
    }
    let within = Element::from_reader_with_prefixes(frame.as_bytes(), ns::JABBER_CLIENT.to_owned());
    let e = within.unwrap_or_else(|error| panic!("{error}: {frame}"));
    if let Err(error) = known(e) {
        assert!(NARROWER.iter().any(|(says, _)| error.contains(says)), "{error}: {frame}");
    }
}

/// Where the other parser takes less than the specification has, by what it says, and why.
const NARROWER: &[(&str, &str)] = &[
    ("attribute field 'h' on Failed", "optional (XEP-0198, schema of `failed`)"),
    (
        "MucUser Invalid(TextParseError(ResourceMissingInFullJid))",
        "a bare address where somebody is not there (XEP-0045 §9.3)",
    ),
    ("'defined_condition' in Failure", "compat: upstream's `not-allowed` for tokens, which clients look for"),
    ("Presence Invalid(Other(\"Unexpected text content\"))", "a client's own words, which are passed on"),
    ("attribute field 'id' on Iq::Error", "whoever asks without an id is answered without"),
];

fn known(e: Element) -> Result<(), String> {
    let told = |what: &str, error: &dyn std::fmt::Debug| format!("{what} {error:?}");
    macro_rules! as_a {
        ($kind:ty, $e:expr) => {
            <$kind>::try_from($e).map(drop).map_err(|error| told(stringify!($kind), &error))
        };
    }
    let stanza = matches!(e.name(), "iq" | "message" | "presence") && e.ns() == ns::JABBER_CLIENT;
    for child in e.children().filter(|_| stanza).cloned() {
        match (child.name(), child.ns().as_str()) {
            ("x", ns::MUC_USER) => as_a!(MucUser, child)?,
            ("x", ns::DATA_FORMS) => as_a!(DataForm, child)?,
            ("delay", ns::DELAY) => as_a!(Delay, child)?,
            ("nick", ns::NICK) => as_a!(Nick, child)?,
            ("error", ns::JABBER_CLIENT) => as_a!(StanzaError, child)?,
            ("bind", ns::BIND) => as_a!(BindResponse, child)?,
            ("query", ns::DISCO_INFO) if e.name() == "iq" => as_a!(DiscoInfoResult, child)?,
            ("query", ns::DISCO_ITEMS) => as_a!(DiscoItemsResult, child)?,
            ("query", ns::VERSION) => as_a!(VersionResult, child)?,
            ("query", "http://jabber.org/protocol/muc#owner") => {
                for form in child.children().cloned() {
                    as_a!(DataForm, form)?;
                }
            }
            _ => {}
        }
    }
    match (e.name(), e.ns().as_str()) {
        ("presence", ns::JABBER_CLIENT) => as_a!(Presence, e),
        ("message", ns::JABBER_CLIENT) => as_a!(Message, e),
        ("iq", ns::JABBER_CLIENT) => as_a!(Iq, e),
        (_, ns::SM) => as_a!(sm::Nonza, e),
        ("challenge", ns::SASL) => as_a!(sasl::Challenge, e),
        ("success", ns::SASL) => as_a!(sasl::Success, e),
        ("failure", ns::SASL) => as_a!(sasl::Failure, e),
        ("error", ns::STREAM) => as_a!(StreamError, e),
        _ => Ok(()),
    }
}

#[test]
fn what_another_parser_does_not_take_is_noticed() {
    for (frame, taken) in [
        (
            r#"<presence from="r@m/n"><x xmlns="http://jabber.org/protocol/muc#user"><item affiliation="none" role="participant"/></x></presence>"#,
            true,
        ),
        (
            r#"<presence from="r@m/n"><x xmlns="http://jabber.org/protocol/muc#user"><item affiliation="king" role="participant"/></x></presence>"#,
            false,
        ),
        (r#"<iq type="result" id="1"/>"#, true),
        (r#"<iq type="result"/>"#, false),
        (
            r#"<iq type="error" id="1"><error type="cancel"><no-such-condition xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>"#,
            false,
        ),
        (r#"<message from="not an address"/>"#, false),
    ] {
        let panicked = std::panic::catch_unwind(|| read(frame)).is_err();
        assert_eq!(panicked, !taken, "{frame}");
    }
}
