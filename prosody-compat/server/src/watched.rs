//! Logins that wait for their account's file, and time, in; what the file says, and accounts that may be used no more as they were, out.
//!
//! What a session was let in by is remembered, and looked at again as long as it is there: so it ends with its account, and not only
//! the next login.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use jitsi_xmpp::BareJid;
use prosody_core::{AccountAnswer, AccountEnd, AccountRecord};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{self, MissedTickBehavior};

use crate::accounts::{AccountStore, File, Look, Mark, StoreError};
use crate::limits;
use crate::owner::Input;

/// Looks at one account after the other: disk and passwords cost time, which logins wait for and nobody else. In between, at those that
/// are in use.
pub(crate) async fn look(store: AccountStore, mut asked: mpsc::Receiver<Look>, inputs: mpsc::Sender<Input>) {
    let mut seen = Seen::default();
    let mut again = time::interval(limits::ACCOUNT_LOOK);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let done = tokio::select! {
            look = asked.recv() => match look {
                Some(look) => answer(&store, look, &mut seen, &inputs).await,
                None => return,
            },
            _ = again.tick(), if !seen.0.is_empty() => look_again(&store, &mut seen, &inputs).await,
        };
        if done.is_none() {
            return;
        }
    }
}

/// `None`: the server has ended.
async fn answer(
    store: &AccountStore,
    Look { conn, id, question }: Look,
    seen: &mut Seen,
    inputs: &mpsc::Sender<Input>,
) -> Option<()> {
    let (store, jid) = (store.clone(), question.jid.clone());
    let looked = tokio::task::spawn_blocking(move || store.answer(&question)).await;
    let (mut answer, file) = looked.ok().unwrap_or((AccountAnswer::Unavailable, Ok(None)));
    // Before the answer: whoever comes in by it is not ended.
    if let Some(why) = seen.note(&jid, file) {
        inputs.send(Input::AccountEnded { jid: jid.clone(), why }).await.ok()?;
    }
    let lets_in = matches!(answer, AccountAnswer::Right | AccountAnswer::Keys(_));
    if lets_in && !seen.0.contains_key(&jid) {
        answer = AccountAnswer::Unavailable;
    }
    inputs.send(Input::Account { conn, id, answer }).await.ok()
}

/// `None`: the server has ended.
async fn look_again(store: &AccountStore, seen: &mut Seen, inputs: &mpsc::Sender<Input>) -> Option<()> {
    let (reply, in_use) = oneshot::channel();
    inputs.send(Input::AccountsInUse { reply }).await.ok()?;
    seen.forget(&in_use.await.ok()?, Instant::now());
    let (store, marks) = (store.clone(), seen.marks());
    let files = move || marks.into_iter().filter_map(|(jid, mark)| changed(&store, jid, mark)).collect();
    let files: Vec<(BareJid, File)> = tokio::task::spawn_blocking(files).await.unwrap_or_default();
    for (jid, file) in files {
        if let Some(why) = seen.note(&jid, file) {
            inputs.send(Input::AccountEnded { jid, why }).await.ok()?;
        }
    }
    Some(())
}

/// What a file says that is another than the one with this mark.
fn changed(store: &AccountStore, jid: BareJid, mark: Mark) -> Option<(BareJid, File)> {
    match store.mark(&jid) {
        Ok(Some(now)) if now == mark => None,
        // A disk that does not answer ends nobody's meeting.
        Err(_) => None,
        Ok(_) => {
            let file = store.file(&jid);
            Some((jid, file))
        }
    }
}

/// The accounts by which somebody was let in, or may have been, as they were then.
#[derive(Default)]
struct Seen(HashMap<BareJid, Known>);

struct Known {
    mark: Mark,
    record: AccountRecord,
    at: Instant,
}

impl Seen {
    /// An account is so now; what has become of it since the last time, if those who are in must go.
    fn note(&mut self, jid: &BareJid, file: File) -> Option<AccountEnd> {
        let now = match file {
            Ok(now) => now,
            // It may have been a restriction that was not understood. Nobody comes in; those who are stay.
            Err(StoreError::Disk { .. } | StoreError::NotUnderstood(_) | StoreError::Name) => return None,
        };
        let before = self.0.get(jid);
        let why = before.and_then(|known| match &now {
            None => Some(AccountEnd::Deleted),
            Some((_, record)) if record.disabled => Some(AccountEnd::Disabled),
            Some((_, record)) if !record.has_password_of(&known.record) => Some(AccountEnd::PasswordChanged),
            Some(_) => None,
        });
        match now.filter(|(_, record)| !record.disabled) {
            Some((mark, record)) if before.is_some() || self.0.len() < limits::ACCOUNTS_SEEN => {
                self.0.insert(jid.clone(), Known { mark, record, at: Instant::now() });
            }
            Some(_) => {}
            None => drop(self.0.remove(jid)),
        }
        why
    }

    /// Forgets those by which nobody is in, or about to come in.
    fn forget(&mut self, in_use: &BTreeSet<BareJid>, now: Instant) {
        let late = |at: Instant| now.saturating_duration_since(at) >= limits::ACCOUNT_FORGOTTEN;
        self.0.retain(|jid, known| in_use.contains(jid) || !late(known.at));
    }

    fn marks(&self) -> Vec<(BareJid, Mark)> {
        self.0.iter().map(|(jid, known)| (jid.clone(), known.mark)).collect()
    }
}

#[cfg(test)]
mod tests {
    use jitsi_xmpp::entropy::SeededEntropy;

    use super::*;

    fn file(store: &AccountStore, jid: &BareJid, password: &str, disabled: bool) -> File {
        let mut record = AccountRecord::with_password(password, &mut SeededEntropy::new(1), 1);
        record.disabled = disabled;
        store.write(jid, &record).unwrap();
        store.file(jid)
    }

    #[test]
    fn what_has_become_of_an_account_is_said_once() {
        let folder = std::env::temp_dir().join(format!("plausch-watched-{}", std::process::id()));
        let store = AccountStore::new(&folder);
        let anna: BareJid = "anna@meet.example".parse().unwrap();
        let mut seen = Seen::default();
        assert_eq!(seen.note(&anna, file(&store, &anna, "a", false)), None, "the first time");
        let mark = seen.marks()[0].1;
        assert!(changed(&store, anna.clone(), mark).is_none());
        assert_eq!(seen.note(&anna, file(&store, &anna, "a", false)), None, "written again, and the same");
        assert!(changed(&store, anna.clone(), mark).is_some(), "it is another file");
        assert_eq!(seen.note(&anna, file(&store, &anna, "b", false)), Some(AccountEnd::PasswordChanged));
        assert_eq!(seen.note(&anna, store.file(&anna)), None);
        assert_eq!(seen.note(&anna, file(&store, &anna, "b", true)), Some(AccountEnd::Disabled));
        assert_eq!(seen.note(&anna, store.file(&anna)), None, "nobody is in any more");
        assert_eq!(seen.note(&anna, file(&store, &anna, "b", false)), None);
        std::fs::write(store.folder().join("meet.example/anna.account"), "x").unwrap();
        assert_eq!(seen.note(&anna, store.file(&anna)), None, "a fault of the disk is nobody's end");
        store.delete(&anna).unwrap();
        assert_eq!(seen.note(&anna, store.file(&anna)), Some(AccountEnd::Deleted));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_that_is_in_use_is_looked_at_that_often() {
        let folder = std::env::temp_dir().join(format!("plausch-watched-often-{}", std::process::id()));
        let store = AccountStore::new(&folder);
        let anna: BareJid = "anna@meet.example".parse().unwrap();
        file(&store, &anna, "a", false).unwrap();
        let ((asks, asked), (inputs, mut heard)) = (crate::accounts::queue(), mpsc::channel(8));
        tokio::spawn(look(store.clone(), asked, inputs));
        let proof = prosody_core::Proof::Password(jitsi_xmpp::Sensitive::new("a".to_owned()));
        let question = prosody_core::AccountQuestion { jid: anna.clone(), proof };
        let (conn, id) = (prosody_core::ConnId(1), prosody_core::QuestionId(1));
        asks.send(Look { conn, id, question }).await.unwrap();
        let answer = heard.recv().await;
        assert!(matches!(answer, Some(Input::Account { answer: AccountAnswer::Right, .. })), "{answer:?}");
        store.delete(&anna).unwrap();
        let start = time::Instant::now();
        loop {
            match heard.recv().await {
                Some(Input::AccountsInUse { reply }) => reply.send(BTreeSet::from([anna.clone()])).unwrap(),
                Some(Input::AccountEnded { jid, why: AccountEnd::Deleted }) if jid == anna => break,
                other => panic!("{other:?}"),
            }
        }
        assert!(start.elapsed() <= limits::ACCOUNT_LOOK, "{:?}", start.elapsed());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn so_many_accounts_are_remembered_and_those_in_use_are_not_forgotten() {
        let folder = std::env::temp_dir().join(format!("plausch-watched-most-{}", std::process::id()));
        let store = AccountStore::new(&folder);
        let jid = |n: usize| BareJid::from_parts(&format!("u{n}"), "meet.example").unwrap();
        let one = || file(&store, &jid(0), "a", false);
        let (mark, record) = one().unwrap().unwrap();
        let mut seen = Seen::default();
        for n in 0..=limits::ACCOUNTS_SEEN {
            assert_eq!(seen.note(&jid(n), Ok(Some((mark, record.clone())))), None);
        }
        assert_eq!(seen.0.len(), limits::ACCOUNTS_SEEN);
        assert!(!seen.0.contains_key(&jid(limits::ACCOUNTS_SEEN)));
        let later = Instant::now() + limits::ACCOUNT_FORGOTTEN;
        seen.forget(&BTreeSet::from([jid(7)]), later);
        assert_eq!(seen.0.len(), 1);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
