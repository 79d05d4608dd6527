//! A directory, how often it is asked, and the accounts of it that are in use, in; those that it does not find any more out.
//!
//! One after the other, spread over the time there is: a directory notices nothing of it. Nobody goes while it does not answer, or says
//! that nothing at all is where people were looked for.

use std::sync::Arc;
use std::time::Duration;

use jitsi_xmpp::BareJid;
use prosody_core::AccountEnd;
use tokio::sync::{mpsc, oneshot};
use tokio::time;

use super::filter::Who;
use super::message::Scope;
use super::{Directory, NoAnswer, Way};
use crate::limits;
use crate::owner::Input;

/// Asks about those who are logged in on this host, over and over. Ends with the server.
pub(super) async fn ask(
    directory: Arc<Directory>,
    domain: String,
    every: Duration,
    inputs: mpsc::Sender<Input>,
) {
    while round(&directory, &domain, every, &inputs).await.is_some() {}
}

/// `None`: the server has ended.
async fn round(
    directory: &Directory,
    domain: &str,
    every: Duration,
    inputs: &mpsc::Sender<Input>,
) -> Option<()> {
    let (reply, in_use) = oneshot::channel();
    inputs.send(Input::AccountsInUse { reply }).await.ok()?;
    let those: Vec<BareJid> = in_use.await.ok()?.into_iter().filter(|jid| jid.domain() == domain).collect();
    // Those who come meanwhile were looked at when they came.
    let pause = every / u32::try_from(those.len().max(1)).unwrap_or(u32::MAX);
    let next = time::Instant::now() + every;
    let mut silent = false;
    for jid in those {
        time::sleep(pause).await;
        let who = Who { user: jid.node().unwrap_or_default(), domain };
        let there = time::timeout(limits::DIRECTORY, directory.has(who));
        match there.await.unwrap_or(Err(NoAnswer::Late)) {
            Ok(true) => {}
            Ok(false) => inputs.send(Input::AccountEnded { jid, why: AccountEnd::Deleted }).await.ok()?,
            // One line for a round: whoever is asked about next is not there, either.
            Err(error) if !silent => {
                silent = true;
                tracing::warn!(%error, "the directory of accounts did not say who is still there; nobody goes for that");
            }
            Err(_) => {}
        }
    }
    time::sleep_until(next).await;
    Some(())
}

impl Directory {
    /// Whether somebody with this name would still be found.
    async fn has(&self, who: Who<'_>) -> Result<bool, NoAnswer> {
        let Way::Search { base, filter, bind } = &self.way else { return Ok(true) };
        let mut line = self.first().await?;
        line.begin(bind.as_ref()).await?;
        let found = line.find((base.as_bytes(), Scope::Tree), filter, who).await?;
        line.end().await;
        match found.is_there {
            // Two that are alike let nobody in; but somebody is there.
            true => Ok(found.entry.is_some() || found.many),
            // What holds all of them: whoever took that away has not said that these have to go.
            false => Err(NoAnswer::Nothing),
        }
    }
}
