//! When what a successor needs is kept: changes, stanzas sent and the link's marks in; a file in memory that is a second old at most
//! out, and not written for more than a part of the time.

use std::time::Instant;

use bytes::Bytes;
use xmpp_link::Resumption;

use crate::handover::{Handover, Kept};
use crate::limits;
use crate::unsent::Unsent;

/// See the module.
#[derive(Debug)]
pub(crate) struct Keeping {
    pub(crate) kept: Kept,
    /// Something has happened since.
    changed: bool,
    /// Not before this moment.
    at: Instant,
    /// What was sent since the link was asked for a mark.
    sent: Option<Vec<Bytes>>,
    failed: bool,
}

impl Keeping {
    pub(crate) fn new(kept: Kept) -> Self {
        Self { kept, changed: false, at: Instant::now(), sent: None, failed: false }
    }

    pub(crate) const fn changed(&mut self) {
        self.changed = true;
    }

    /// When to ask the link for a mark.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        (self.changed && self.sent.is_none()).then_some(self.at)
    }

    /// The link was asked.
    pub(crate) fn asked(&mut self) {
        self.changed = false;
        self.sent = Some(Vec::new());
    }

    /// It could not be.
    pub(crate) fn later(&mut self) {
        self.at = Instant::now() + limits::KEEP;
    }

    /// A stanza went to the link.
    pub(crate) fn sent(&mut self, stanza: &Bytes) {
        if let Some(sent) = &mut self.sent {
            sent.push(stanza.clone());
        }
    }

    /// The link is new or gone: a mark that it was asked for does not come.
    pub(crate) fn restart(&mut self) {
        self.sent = None;
        self.changed = true;
    }

    /// The mark has come. `true`: what it says is kept.
    pub(crate) fn write(
        &mut self,
        now: Instant,
        mut link: Resumption,
        unsent: &Unsent,
        focus: Vec<u8>,
    ) -> bool {
        let Some(sent) = self.sent.take() else { return false };
        link.unacked.extend(sent);
        link.unacked.extend(unsent.iter().cloned());
        let written = self.kept.write(&Handover { link, focus });
        self.at = Instant::now() + limits::KEEP.max(now.elapsed() * limits::KEEP_SHARE);
        match &written {
            Ok(()) => self.failed = false,
            Err(e) if !self.failed => {
                self.failed = true;
                tracing::warn!(error = %e, "what a successor needs cannot be kept");
            }
            Err(_) => {}
        }
        written.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_successor_needs_is_kept_when_something_happened_and_not_all_the_time() {
        let folder = std::env::temp_dir().join(format!("plausch-keeping-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut keeping = Keeping::new(Kept::within(&folder));
        assert_eq!(keeping.poll_timeout(), None, "nothing happened");
        keeping.changed();
        assert!(keeping.poll_timeout().is_some_and(|at| at <= Instant::now()));
        keeping.asked();
        keeping.changed();
        assert_eq!(keeping.poll_timeout(), None, "the mark is on its way");
        keeping.sent(&Bytes::from_static(b"<presence/>"));
        let link = Resumption {
            jid: "focus@auth.x/focus".parse().unwrap(),
            id: "q".into(),
            received: 1,
            acked: 0,
            unacked: vec![Bytes::from_static(b"<message/>")],
        };
        let before = Instant::now();
        assert!(keeping.write(before, link.clone(), &Unsent::default(), b"{}".to_vec()));
        let kept = keeping.kept.read().unwrap().unwrap();
        assert_eq!(kept.link.unacked.len(), 2, "what was sent since the mark as well");
        assert!(keeping.poll_timeout().is_some_and(|at| at >= before + limits::KEEP));
        assert!(
            !keeping.write(before, link, &Unsent::default(), b"{}".to_vec()),
            "a mark that nobody asked for"
        );
        std::fs::remove_dir_all(folder).unwrap();
    }
}
