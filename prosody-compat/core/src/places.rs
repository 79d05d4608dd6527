//! Things that are found by a number that we give out: a thing in, its number out, and with that the thing again, without a search.
//!
//! The number is a place, and the how-manieth this thing is there: a number is never given out again, and one whose thing has gone
//! finds nothing.

/// See the module.
pub(crate) struct Places<T> {
    all: Vec<Place<T>>,
    /// Those that nobody has. The last is taken first: it is in the cache.
    free: Vec<usize>,
    used: usize,
}

struct Place<T> {
    /// How many have had it.
    had: u32,
    holds: Option<T>,
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self { all: Vec::new(), free: Vec::new(), used: 0 }
    }
}

impl<T> Places<T> {
    /// How many things there are.
    pub(crate) const fn len(&self) -> usize {
        self.used
    }

    /// Puts a thing somewhere; its number.
    pub(crate) fn insert(&mut self, thing: T) -> u64 {
        self.used += 1;
        if let Some(at) = self.free.pop()
            && let Some(place) = self.all.get_mut(at)
        {
            place.had += 1;
            place.holds = Some(thing);
            return number(at, place.had);
        }
        let at = self.all.len();
        self.all.push(Place { had: 0, holds: Some(thing) });
        number(at, 0)
    }

    pub(crate) fn get(&self, number: u64) -> Option<&T> {
        let (at, had) = place(number);
        self.all.get(at).filter(|p| p.had == had)?.holds.as_ref()
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let (at, had) = place(number);
        self.all.get_mut(at).filter(|p| p.had == had)?.holds.as_mut()
    }

    /// Takes a thing out.
    pub(crate) fn remove(&mut self, number: u64) -> Option<T> {
        let (at, had) = place(number);
        let place = self.all.get_mut(at).filter(|p| p.had == had)?;
        let thing = place.holds.take()?;
        self.used -= 1;
        // The last number of a place: it stays empty.
        if had < u32::MAX {
            self.free.push(at);
        }
        Some(thing)
    }

    /// All things with their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.all.iter().enumerate().filter_map(|(at, p)| Some((number(at, p.had), p.holds.as_ref()?)))
    }
}

/// Memory ends long before the 2³² places that this has room for.
fn number(at: usize, had: u32) -> u64 {
    let [a, b, c, d] = u32::try_from(at).unwrap_or(u32::MAX).to_be_bytes();
    let [e, f, g, h] = had.to_be_bytes();
    u64::from_be_bytes([e, f, g, h, a, b, c, d])
}

fn place(number: u64) -> (usize, u32) {
    let [e, f, g, h, a, b, c, d] = number.to_be_bytes();
    let at = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    (at, u32::from_be_bytes([e, f, g, h]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_finds_its_thing_and_nothing_once_that_has_gone() {
        let mut all = Places::default();
        let (a, b) = (all.insert('a'), all.insert('b'));
        assert_eq!((all.get(a), all.get(b), all.len()), (Some(&'a'), Some(&'b'), 2));
        *all.get_mut(a).unwrap() = 'c';
        assert_eq!((all.remove(a), all.remove(a), all.len()), (Some('c'), None, 1));
        let d = all.insert('d');
        assert_eq!((all.all.len(), all.get(a), all.get(d)), (2, None, Some(&'d')));
        assert!(a != d && all.get_mut(a).is_none() && all.get(u64::MAX).is_none());
        assert_eq!(all.iter().collect::<Vec<_>>(), [(d, &'d'), (b, &'b')]);
    }

    #[test]
    fn a_place_whose_numbers_are_used_up_is_given_to_nobody() {
        let mut all = Places::default();
        all.insert('a');
        all.all[0].had = u32::MAX - 1;
        assert_eq!(all.remove(number(0, u32::MAX - 1)), Some('a'));
        let last = all.insert('b');
        assert_eq!((last, all.remove(last)), (number(0, u32::MAX), Some('b')));
        assert_eq!((all.insert('c'), all.get(last)), (number(1, 0), None));
    }
}
