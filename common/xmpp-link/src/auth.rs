//! SASL (RFC 6120 §6): the server's mechanisms in, an authenticated stream out. The best mechanism that is
//! offered is used: SCRAM-SHA-256, SCRAM-SHA-1, PLAIN; without a user name ANONYMOUS.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jitsi_xmpp::sasl::{Hash, Plain, SaslError, ScramClient};
use jitsi_xmpp::{Element, ns};

use crate::LinkConfig;
use crate::error::LinkError;
use crate::stream::XmlStream;

/// Authenticates. `private`: nobody can listen (TLS, or the own machine), so the password itself may be sent.
pub(crate) async fn authenticate(
    config: &LinkConfig,
    stream: &mut XmlStream,
    features: &Element,
    private: bool,
) -> Result<(), LinkError> {
    let offered: Vec<String> = features
        .child("mechanisms", ns::SASL)
        .into_iter()
        .flat_map(|m| {
            m.children_of("mechanism", ns::SASL).map(|m| m.text().trim().to_owned()).collect::<Vec<_>>()
        })
        .collect();
    let has = |name: &str| offered.iter().any(|o| o == name);
    if config.username.is_empty() {
        if !has("ANONYMOUS") {
            return Err(LinkError::NoMechanism);
        }
        start(stream, "ANONYMOUS", None).await?;
        return success(&stream.element().await?).map(drop);
    }
    for hash in [Hash::Sha256, Hash::Sha1] {
        if has(hash.mechanism()) {
            return scram(config, stream, hash).await;
        }
    }
    if private && has("PLAIN") {
        let message = Plain::message(&config.username, config.password.reveal());
        start(stream, "PLAIN", Some(&message)).await?;
        return success(&stream.element().await?).map(drop);
    }
    Err(LinkError::NoMechanism)
}

/// SCRAM proves both sides: a server that does not know the password is refused as well.
async fn scram(config: &LinkConfig, stream: &mut XmlStream, hash: Hash) -> Result<(), LinkError> {
    let mut nonce = [0; 24];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| LinkError::Auth("no randomness".to_owned()))?;
    let nonce = BASE64.encode(nonce);
    let client = ScramClient::new(hash, &config.username, config.password.clone(), &nonce);
    start(stream, hash.mechanism(), Some(&client.first())).await?;
    let challenge = stream.element().await?;
    if !challenge.is("challenge", ns::SASL) {
        return Err(failure(&challenge));
    }
    let (verify, response) = client.respond(&decode(&challenge)?).map_err(refused)?;
    stream.send(&Element::new("response", ns::SASL).with_text(BASE64.encode(response))).await?;
    let last = stream.element().await?;
    if last.is("challenge", ns::SASL) {
        // The server's proof may come in a challenge of its own, RFC 6120 §6.3.10.
        verify.verify(&decode(&last)?).map_err(refused)?;
        stream.send(&Element::new("response", ns::SASL)).await?;
        return success(&stream.element().await?).map(drop);
    }
    verify.verify(&success(&last)?).map_err(refused)
}

fn refused(e: SaslError) -> LinkError {
    LinkError::Auth(e.reason().to_owned())
}

async fn start(stream: &mut XmlStream, mechanism: &str, initial: Option<&[u8]>) -> Result<(), LinkError> {
    let mut auth = Element::new("auth", ns::SASL).with_attr("mechanism", mechanism);
    match initial {
        Some([]) => auth.push_text("="),
        Some(message) => auth.push_text(BASE64.encode(message)),
        None => {}
    }
    stream.send(&auth).await
}

/// The additional data of `<success/>`, or why authentication failed.
fn success(element: &Element) -> Result<Vec<u8>, LinkError> {
    if element.is("success", ns::SASL) {
        return decode(element);
    }
    Err(failure(element))
}

fn decode(element: &Element) -> Result<Vec<u8>, LinkError> {
    let text = element.text();
    match text.trim() {
        "=" => Ok(Vec::new()),
        text => BASE64.decode(text).map_err(|_| LinkError::Auth("not base64".to_owned())),
    }
}

fn failure(element: &Element) -> LinkError {
    if element.is("failure", ns::SASL) {
        return LinkError::Auth(element.first_child().map_or("unknown", Element::name).to_owned());
    }
    LinkError::Unexpected(element.name().to_owned())
}
