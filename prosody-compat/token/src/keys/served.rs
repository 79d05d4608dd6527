//! Keys of a key server, one file each: a key's name in; the key, that there is none, or what to ask, out.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use budget::{Buckets, Network};

use super::{Answer, Fetch, FetchId, GRACE};
use crate::algorithm::Hash;
use crate::key::{KeyId, RsaKey};
use crate::limits::{
    ABSENT_FOR, ABSENT_KEYS, ASKING_ADDRESSES, OPEN_QUESTIONS, PEM_BYTES, SERVED_KEYS, SERVED_REFRESH, TRIES,
    TRY_PAUSE, TRY_TIMEOUT, UNKNOWN_KEYS, UNKNOWN_KEYS_TOTAL,
};

#[derive(Debug)]
pub(super) struct Served {
    hash: Hash,
    url: String,
    keys: HashMap<KeyId, Kept>,
    absent: Absent,
    open: HashMap<KeyId, Question>,
    budget: Buckets<Option<Network>>,
}

#[derive(Debug)]
struct Kept {
    key: RsaKey,
    used: Instant,
    /// When it is asked for again.
    check: Instant,
}

#[derive(Debug)]
struct Question {
    state: State,
    tries_left: u32,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Not before this moment.
    Due(Instant),
    /// Asked; given up at this moment.
    Asking(FetchId, Instant),
}

/// What is known of a key.
pub(super) enum Held {
    Key(RsaKey),
    Asking,
    Absent,
    Unknown,
}

impl Served {
    pub(super) fn new(hash: Hash, url: String) -> Self {
        Self {
            hash,
            url,
            keys: HashMap::new(),
            absent: Absent::default(),
            open: HashMap::new(),
            budget: Buckets::new(UNKNOWN_KEYS, UNKNOWN_KEYS_TOTAL, ASKING_ADDRESSES),
        }
    }

    /// Somebody needs this key. One that is here and old is asked for again meanwhile.
    pub(super) fn held(&mut self, now: Instant, id: &KeyId) -> Held {
        if let Some(kept) = self.keys.get_mut(id) {
            kept.used = now;
            let key = kept.key.clone();
            if kept.check <= now && !self.open.contains_key(id) && self.open.len() < OPEN_QUESTIONS {
                self.open.insert(*id, Question::new(now));
            }
            return Held::Key(key);
        }
        if self.open.contains_key(id) {
            return Held::Asking;
        }
        if self.absent.contains(now, id) { Held::Absent } else { Held::Unknown }
    }

    /// Asks for a key that nobody knows. Whether that may be.
    pub(super) fn ask(&mut self, now: Instant, peer: Option<Network>, id: &KeyId) -> bool {
        let may = self.open.len() < OPEN_QUESTIONS && self.budget.take(peer, now, 1);
        if may {
            self.open.insert(*id, Question::new(now));
        }
        may
    }

    /// The key that is known now, one way or the other.
    pub(super) fn answered(&mut self, now: Instant, fetch: FetchId, answer: Answer) -> Option<KeyId> {
        let asked = |q: &Question| matches!(q.state, State::Asking(id, _) if id == fetch);
        let id = *self.open.iter().find(|(_, q)| asked(q))?.0;
        match answer {
            Answer::Response { status: 500.. | 429, .. } | Answer::Unreachable => {
                return self.failed(now, id);
            }
            Answer::Response { status: 200, body, .. } => {
                let pem = std::str::from_utf8(&body).ok().filter(|pem| pem.len() <= PEM_BYTES);
                match pem.and_then(|pem| RsaKey::from_pem(self.hash, pem).ok()) {
                    Some(key) => self.keep(now, id, key),
                    None => self.withdrawn(now, id),
                }
            }
            Answer::Response { .. } => self.withdrawn(now, id),
        }
        self.open.remove(&id);
        Some(id)
    }

    /// Nobody was there: once more, unless that was the last time.
    fn failed(&mut self, now: Instant, id: KeyId) -> Option<KeyId> {
        let question = self.open.get_mut(&id)?;
        if question.tries_left > 0 {
            question.state = State::Due(now + TRY_PAUSE);
            return None;
        }
        self.open.remove(&id);
        match self.keys.get_mut(&id) {
            // It goes on with what it has.
            Some(kept) => kept.check = now + ABSENT_FOR,
            None => self.absent.insert(now, id),
        }
        Some(id)
    }

    fn keep(&mut self, now: Instant, id: KeyId, key: RsaKey) {
        if !self.keys.contains_key(&id) && self.keys.len() >= SERVED_KEYS {
            let oldest = self.keys.iter().min_by_key(|(_, kept)| kept.used).map(|(id, _)| *id);
            oldest.map(|id| self.keys.remove(&id));
        }
        self.keys.insert(id, Kept { key, used: now, check: now + SERVED_REFRESH });
    }

    fn withdrawn(&mut self, now: Instant, id: KeyId) {
        self.keys.remove(&id);
        self.absent.insert(now, id);
    }

    /// Keys whose answer was waited for long enough and for the last time.
    pub(super) fn gave_up(&mut self, now: Instant) -> Vec<KeyId> {
        let late = |(id, q): (&KeyId, &Question)| {
            matches!(q.state, State::Asking(_, until) if until <= now).then_some(*id)
        };
        let late: Vec<KeyId> = self.open.iter().filter_map(late).collect();
        late.into_iter().filter_map(|id| self.failed(now, id)).collect()
    }

    pub(super) fn due(&mut self, now: Instant, next: &mut impl FnMut() -> FetchId) -> Vec<Fetch> {
        let mut fetches = Vec::new();
        for (key, question) in &mut self.open {
            if matches!(question.state, State::Due(at) if at <= now) {
                let id = next();
                question.state = State::Asking(id, now + TRY_TIMEOUT + GRACE);
                question.tries_left = question.tries_left.saturating_sub(1);
                let url = format!("{}/{}", self.url, key.file_name());
                fetches.push(Fetch { id, url, timeout: TRY_TIMEOUT, most_bytes: PEM_BYTES });
            }
        }
        fetches
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.open.values().map(|q| q.deadline()).min()
    }
}

impl Question {
    const fn new(now: Instant) -> Self {
        Self { state: State::Due(now), tries_left: TRIES }
    }

    const fn deadline(&self) -> Instant {
        match self.state {
            State::Due(at) | State::Asking(_, at) => at,
        }
    }
}

/// Keys that are not there, for a while.
#[derive(Debug, Default)]
struct Absent {
    until: HashMap<KeyId, Instant>,
    /// Oldest first.
    order: VecDeque<KeyId>,
}

impl Absent {
    fn contains(&self, now: Instant, id: &KeyId) -> bool {
        self.until.get(id).is_some_and(|until| now < *until)
    }

    fn insert(&mut self, now: Instant, id: KeyId) {
        if self.until.insert(id, now + ABSENT_FOR).is_some() {
            self.order.retain(|other| *other != id);
        }
        self.order.push_back(id);
        while self.order.len() > ABSENT_KEYS {
            if let Some(oldest) = self.order.pop_front() {
                self.until.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn so_many_absent_keys_are_remembered_and_the_oldest_makes_room() {
        let now = Instant::now();
        let mut absent = Absent::default();
        let id = |n: usize| KeyId::of(&n.to_string());
        for n in 0..ABSENT_KEYS {
            absent.insert(now, id(n));
        }
        // Once more does not take a second place.
        absent.insert(now, id(0));
        assert!((0..ABSENT_KEYS).all(|n| absent.contains(now, &id(n))));
        absent.insert(now, id(ABSENT_KEYS));
        assert!(
            absent.contains(now, &id(0)) && !absent.contains(now, &id(1)) && absent.contains(now, &id(2))
        );
        assert_eq!((absent.until.len(), absent.order.len()), (ABSENT_KEYS, ABSENT_KEYS));
        assert!(!absent.contains(now + ABSENT_FOR, &id(2)));
    }

    #[test]
    fn so_many_addresses_are_told_apart_and_not_one_more() {
        let mut now = Instant::now();
        let mut served = Served::new(Hash::Sha256, "https://keys.example".into());
        for n in 0..=ASKING_ADDRESSES as u32 {
            let peer = Network::of(Ipv4Addr::from_bits(0x0a00_0000 + n).into());
            // As fast as the total lets them: none has a full budget again.
            now += std::time::Duration::from_millis(1);
            served.budget.give_back(&None, UNKNOWN_KEYS_TOTAL.burst());
            served.open.clear();
            served.ask(now, Some(peer), &KeyId::of(&n.to_string()));
        }
        assert!(served.budget.len() <= ASKING_ADDRESSES, "{}", served.budget.len());
    }
}
