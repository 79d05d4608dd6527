//! The states of all parts in, one health answer out, with upstream's status codes: 200, 503 (soft), 500 (hard). What will become
//! a fault if nobody looks stands behind the `OK` of a 200.

use std::sync::{Arc, Mutex, PoisonError};

/// How one part feels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It does its work.
    Healthy,
    /// It does, and somebody should see to this: no restart and no other server would help.
    Worried(String),
    /// It cannot do its work now but may recover by itself: starting, link lost, overloaded.
    Soft(String),
    /// It needs a restart.
    Hard(String),
}

type Check = Box<dyn Fn() -> State + Send + Sync>;

/// All checks of a process; cheap to clone.
#[derive(Clone, Default)]
pub struct Health {
    checks: Arc<Mutex<Vec<(&'static str, Check)>>>,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Health")
    }
}

impl Health {
    /// No checks yet: healthy.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part's check. It must not block.
    pub fn add(&self, part: &'static str, check: impl Fn() -> State + Send + Sync + 'static) {
        self.lock().push((part, Box::new(check)));
    }

    /// The HTTP status and a line of text: `OK`, or each part that is not, by name.
    pub fn report(&self) -> (u16, String) {
        let mut status = 200;
        let (mut lines, mut worries) = (Vec::new(), Vec::new());
        for (part, check) in self.lock().iter() {
            match check() {
                State::Healthy => {}
                State::Worried(why) => worries.push(format!("{part}: {why}")),
                State::Soft(why) => {
                    if status == 200 {
                        status = 503;
                    }
                    lines.push(format!("{part}: {why}"));
                }
                State::Hard(why) => {
                    status = 500;
                    lines.push(format!("{part}: {why}"));
                }
            }
        }
        match (lines.is_empty(), worries.is_empty()) {
            (true, true) => (200, "OK".into()),
            (true, false) => (200, format!("OK; {}", worries.join("; "))),
            (false, _) => (status, lines.join("; ")),
        }
    }

    /// Whether a part is in such a state.
    pub(crate) fn is(&self, such: impl Fn(&State) -> bool) -> bool {
        self.lock().iter().any(|(_, check)| such(&check()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(&'static str, Check)>> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hard_failure_outweighs_a_soft_one_in_any_order() {
        let soft = || State::Soft("no focus".into());
        let hard = || State::Hard("stuck".into());
        let health = Health::new();
        assert_eq!(health.report(), (200, "OK".into()));
        health.add("xmpp", || State::Healthy);
        assert_eq!(health.report().0, 200);
        health.add("certificate", || State::Worried("over in 5 days".into()));
        assert_eq!(health.report(), (200, "OK; certificate: over in 5 days".into()), "nothing to restart");
        health.add("focus", soft);
        assert_eq!(health.report(), (503, "focus: no focus".into()));
        health.add("bridge", hard);
        assert_eq!(health.report(), (500, "focus: no focus; bridge: stuck".into()));
        let other = Health::new();
        other.add("bridge", hard);
        other.add("focus", soft);
        assert_eq!(other.report().0, 500);
    }
}
