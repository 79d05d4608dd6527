//! A wish for a certificate in; the conversation with the directory (RFC 8555); key and chain as the directory gave them, or
//! whose fault it is that there is none, out.

use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error, ExternalAccountKey, Identifier,
    NewAccount, NewOrder, Order, OrderStatus, Problem, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use super::challenges::{Challenges, UnderWay};
use super::directory::{Directory, NoAnswer};
use super::plan::{Blame, Failure, Proof};
use super::{Wish, limits};

/// Key and chain, as PEM.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) key: String,
    pub(super) chain: String,
}

/// An account, and what has to be kept of it when it is new.
pub(super) struct Known {
    account: Account,
    pub(super) new: Option<String>,
}

/// The account that was kept, or a new one.
pub(super) async fn account(wish: &Wish, kept: Option<&str>, way: &Directory) -> Result<Known, Failure> {
    let builder = || Account::builder_with_http(Box::new(way.clone()));
    if let Some(credentials) = kept.and_then(|text| serde_json::from_str::<AccountCredentials>(text).ok()) {
        let account = builder().from_credentials(credentials).await.map_err(|e| failure(&e, way))?;
        return Ok(Known { account, new: None });
    }
    let contact = wish.email.as_ref().map(|e| format!("mailto:{e}"));
    let contacts: Vec<&str> = contact.as_deref().into_iter().collect();
    let new = NewAccount { contact: &contacts, terms_of_service_agreed: true, only_return_existing: false };
    let external =
        wish.external.as_ref().map(|e| ExternalAccountKey::new(e.id.clone(), e.key.reveal().as_slice()));
    let (account, credentials) = builder()
        .create(&new, wish.directory.clone(), external.as_ref())
        .await
        .map_err(|e| failure(&e, way))?;
    let new = serde_json::to_string(&credentials)
        .map_err(|e| Failure::new(Blame::Bug, format!("an account that cannot be kept: {e}")))?;
    Ok(Known { account, new: Some(new) })
}

/// Whether the directory has forgotten the account, so that a new one helps.
pub(super) fn is_unknown(failure: &Failure) -> bool {
    failure.reason.contains(UNKNOWN_ACCOUNT)
}

/// Orders a certificate, proves the names and fetches it.
pub(super) async fn order(
    wish: &Wish,
    known: &Known,
    way: &Directory,
    challenges: &Challenges,
    proofs: [Proof; 2],
) -> Result<Delivered, Failure> {
    let failed = |e: Error| failure(&e, way);
    let names: Vec<Identifier> = wish.names.iter().cloned().map(Identifier::Dns).collect();
    let mut order = known.account.new_order(&NewOrder::new(&names)).await.map_err(failed)?;
    if order.state().authorizations.len() > wish.names.len() {
        return Err(Failure::new(Blame::Lie, "the directory wants more names proven than were asked for"));
    }
    let under_way = challenges.begin();
    prove(&mut order, wish, way, &under_way, proofs).await?;
    let status = match order.poll_ready(&patience()).await {
        Ok(status) => status,
        // It says what is wrong with the order; what is wrong with a name says more.
        Err(e) => return Err(why_not(&mut order).await.unwrap_or_else(|| failure(&e, way))),
    };
    if status != OrderStatus::Ready {
        let unknown = || Failure::new(Blame::Proof, "the directory could not look at the names");
        return Err(why_not(&mut order).await.unwrap_or_else(unknown));
    }
    drop(under_way);
    let bug = |e: rcgen::Error| Failure::new(Blame::Bug, format!("a request for a certificate: {e}"));
    let key = KeyPair::generate().map_err(bug)?;
    let mut params = CertificateParams::new(wish.names.clone()).map_err(bug)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(bug)?;
    order.finalize_csr(request.der()).await.map_err(failed)?;
    let chain = order.poll_certificate(&patience()).await.map_err(failed)?;
    Ok(Delivered { key: key.serialize_pem(), chain })
}

async fn prove(
    order: &mut Order,
    wish: &Wish,
    way: &Directory,
    under_way: &UnderWay<'_>,
    proofs: [Proof; 2],
) -> Result<(), Failure> {
    let failed = |e: Error| failure(&e, way);
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(failed)?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            other => {
                return Err(Failure::new(Blame::Proof, format!("the directory says of a name: {other:?}")));
            }
        }
        let Identifier::Dns(name) = authorization.identifier().identifier.clone() else {
            return Err(Failure::new(Blame::Lie, "the directory wants something proven that is no name"));
        };
        if !wish.names.contains(&name) {
            return Err(Failure::new(
                Blame::Lie,
                "the directory wants another name proven than was asked for",
            ));
        }
        let offered: Vec<ChallengeType> = authorization.challenges.iter().map(|c| c.r#type.clone()).collect();
        let proof = proofs.into_iter().filter(|p| wish.proof.is_none_or(|only| only == *p));
        let Some(proof) = proof.map(kind).find(|k| offered.contains(k)) else {
            let reason = format!(
                "the directory offers no proof for {name} that we can give; see https.acme.challenge"
            );
            return Err(Failure::new(Blame::Refusal, reason));
        };
        let Some(mut challenge) = authorization.challenge(proof.clone()) else { continue };
        let text = challenge.key_authorization();
        if proof == ChallengeType::Http01 {
            under_way.prove_by_page(challenge.token.clone(), text.as_str().to_owned());
        } else {
            under_way
                .prove_by_certificate(&name, text.digest().as_ref())
                .map_err(|e| Failure::new(Blame::Bug, format!("a proof for {name}: {e}")))?;
        }
        challenge.set_ready().await.map_err(failed)?;
    }
    Ok(())
}

/// What the directory found wrong with a name.
async fn why_not(order: &mut Order) -> Option<Failure> {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        let name = match state.identifier().identifier {
            Identifier::Dns(name) => line(name),
            _ => continue,
        };
        if let Some(problem) = state.challenges.iter().find_map(|c| c.error.as_ref()) {
            return Some(Failure::new(
                Blame::Proof,
                format!("{name} is not proven: {}", line(&said(problem))),
            ));
        }
    }
    None
}

/// Whose fault an error is.
fn failure(error: &Error, way: &Directory) -> Failure {
    let refused = way.refused();
    let retry_after = refused.and_then(|r| r.retry_after);
    let of = |blame, reason: String| Failure { blame, reason: line(&reason), retry_after };
    if refused.is_some_and(|r| r.too_many) {
        let text = match error {
            Error::Api(problem) => said(problem),
            _ => "too many requests".into(),
        };
        return of(Blame::Rate, format!("the directory has heard enough of us: {text}"));
    }
    match error {
        Error::Api(problem) => of(blame(problem.r#type.as_deref().unwrap_or_default()), said(problem)),
        Error::Other(e) => match e.downcast_ref::<NoAnswer>() {
            Some(no) => of(Blame::Directory, no.to_string()),
            None => of(Blame::Directory, e.to_string()),
        },
        Error::Json(_) | Error::Str(_) | Error::Http(_) | Error::InvalidUri(_) => {
            of(Blame::Directory, format!("the directory says what is not understood: {error}"))
        }
        Error::Timeout(at) => {
            let wait = at.map(|at| at.saturating_duration_since(std::time::Instant::now()));
            Failure {
                retry_after: wait.or(retry_after),
                ..of(Blame::Directory, "the directory is not done in time".into())
            }
        }
        e => of(Blame::Bug, e.to_string()),
    }
}

fn blame(kind: &str) -> Blame {
    match kind.strip_prefix("urn:ietf:params:acme:error:").unwrap_or_default() {
        "rateLimited" => Blame::Rate,
        "badNonce" | "serverInternal" | "" => Blame::Directory,
        "caa" | "connection" | "dns" | "incorrectResponse" | "tls" | "unauthorized" | "orderNotReady" => {
            Blame::Proof
        }
        _ => Blame::Refusal,
    }
}

fn said(problem: &Problem) -> String {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    let kind = kind.strip_prefix("urn:ietf:params:acme:error:").unwrap_or(kind);
    let parts = problem.subproblems.iter().filter_map(|s| s.detail.as_deref());
    let text: Vec<&str> = problem.detail.as_deref().into_iter().chain(parts).collect();
    format!("{} ({kind})", text.join("; "))
}

/// Somebody else's text as one line that fits into a log.
fn line(text: &str) -> String {
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = printable.take(limits::REASON).collect();
    if text.chars().nth(limits::REASON).is_some() {
        line.push('…');
    }
    line
}

const fn kind(proof: Proof) -> ChallengeType {
    match proof {
        Proof::Http => ChallengeType::Http01,
        Proof::Tls => ChallengeType::TlsAlpn01,
    }
}

/// How often the directory is asked whether it is done: after 0.25 s, 0.5 s, 1 s …, or when it says.
fn patience() -> RetryPolicy {
    RetryPolicy::new().initial_delay(Duration::from_millis(250)).timeout(Duration::from_secs(120))
}

const UNKNOWN_ACCOUNT: &str = "(accountDoesNotExist)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_has_somebody_to_blame() {
        let of = |kind: &str| blame(&format!("urn:ietf:params:acme:error:{kind}"));
        assert_eq!(of("rateLimited"), Blame::Rate);
        assert_eq!(of("badNonce"), Blame::Directory);
        assert_eq!(of("connection"), Blame::Proof);
        assert_eq!(of("rejectedIdentifier"), Blame::Refusal);
        assert_eq!(of("externalAccountRequired"), Blame::Refusal);
        assert_eq!(blame("about:blank"), Blame::Directory);
    }

    #[test]
    fn somebody_else_s_text_is_one_line_and_no_longer_than_the_limit() {
        assert_eq!(line("a\nb\r\x1b[31mc"), "a b  [31mc");
        let longest = "ä".repeat(limits::REASON);
        assert_eq!(line(&longest), longest);
        assert_eq!(line(&"ä".repeat(limits::REASON + 1)).chars().count(), limits::REASON + 1);
    }
}
