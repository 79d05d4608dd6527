//! Places in the tables of one conference, one type per table, so that none is looked up in another's; and the units of
//! numbers that would otherwise be taken for each other.

use slab::Slab;

/// A place in a [`Table`].
pub(crate) trait Place: Copy {
    fn new(at: usize) -> Self;
    fn at(self) -> usize;
}

macro_rules! places {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) struct $name(pub(crate) usize);

        impl Place for $name {
            fn new(at: usize) -> Self {
                Self(at)
            }

            fn at(self) -> usize {
                self.0
            }
        }
    )*};
}

places! {
    /// An endpoint's, as long as it is there; then somebody else's.
    MemberIx,
    /// A source's, as long as it is there; then another's.
    SourceIx,
    /// An outgoing stream's among those of one receiver.
    StreamIx,
}

/// A simulcast encoding's place among those of its source, the lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct EncodingIx(pub(crate) u8);

impl EncodingIx {
    /// The only one of a source without simulcast.
    pub(crate) const FIRST: Self = Self(0);

    pub(crate) fn at(self) -> usize {
        self.0.into()
    }
}

/// The number a payload type has on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PayloadNumber(pub(crate) u8);

/// An RTP timestamp: in units of the codec's clock, wraps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Timestamp(pub(crate) u32);

impl Timestamp {
    /// How far `self` is ahead of `other`, as a shift.
    pub(crate) fn since(self, other: Self) -> u32 {
        self.0.wrapping_sub(other.0)
    }

    pub(crate) fn shifted(self, by: u32) -> Self {
        Self(self.0.wrapping_add(by))
    }
}

/// Bits per second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bitrate(pub u64);

impl Bitrate {
    /// Nothing at all.
    pub const ZERO: Self = Self(0);

    pub(crate) fn as_f64(self) -> f64 {
        self.0 as f64
    }
}

impl std::iter::Sum for Bitrate {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        Self(all.map(|one| one.0).sum())
    }
}

/// Microseconds since the conference began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Micros(pub(crate) u64);

/// A source, for good: no other one ever has this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SourceUid(pub(crate) u64);

/// A source and where it is. The place may belong to another one by now: the `uid` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SourceRef {
    pub(crate) uid: SourceUid,
    pub(crate) at: SourceIx,
}

/// A slab whose keys have a type of their own.
#[derive(Debug)]
pub(crate) struct Table<P, T> {
    rows: Slab<T>,
    place: std::marker::PhantomData<P>,
}

impl<P: Place, T> Table<P, T> {
    pub(crate) const fn new() -> Self {
        Self { rows: Slab::new(), place: std::marker::PhantomData }
    }

    pub(crate) fn insert(&mut self, row: T) -> P {
        P::new(self.rows.insert(row))
    }

    /// Where the next row will be.
    pub(crate) fn vacant(&self) -> P {
        P::new(self.rows.vacant_key())
    }

    pub(crate) fn get(&self, place: P) -> Option<&T> {
        self.rows.get(place.at())
    }

    pub(crate) fn get_mut(&mut self, place: P) -> Option<&mut T> {
        self.rows.get_mut(place.at())
    }

    pub(crate) fn try_remove(&mut self, place: P) -> Option<T> {
        self.rows.try_remove(place.at())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (P, &T)> + Clone {
        self.rows.iter().map(|(at, row)| (P::new(at), row))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (P, &mut T)> {
        self.rows.iter_mut().map(|(at, row)| (P::new(at), row))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}

#[cfg(test)]
impl<P: Place, T> std::ops::Index<P> for Table<P, T> {
    type Output = T;

    fn index(&self, place: P) -> &T {
        self.get(place).expect("a row")
    }
}

#[cfg(test)]
impl<P: Place, T> std::ops::IndexMut<P> for Table<P, T> {
    fn index_mut(&mut self, place: P) -> &mut T {
        self.get_mut(place).expect("a row")
    }
}
