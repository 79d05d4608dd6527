//! Bits of a slice in, numbers out; and numbers and runs of bits in, a slice out. The first bit is the highest of a byte.

/// Where reading is.
#[derive(Debug, Clone)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    /// At bit `at`.
    pub(super) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// How many bits lie before.
    pub(super) const fn position(&self) -> usize {
        self.at
    }

    /// The next `count` bits, at most 25.
    pub(super) fn take(&mut self, count: usize) -> Option<u32> {
        if self.at + count > self.bytes.len() * 8 {
            return None;
        }
        let rest = self.bytes.get(self.at / 8..).unwrap_or_default();
        let mut word = [0; 4];
        word.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        let word = u32::from_be_bytes(word) << (self.at % 8);
        self.at += count;
        Some(if count == 0 { 0 } else { word >> (32 - count) })
    }

    /// The next bits, up to 32.
    pub(super) fn take_long(&mut self, count: usize) -> Option<u32> {
        if count <= 16 {
            return self.take(count);
        }
        let high = self.take(count - 16)?;
        Some(high << 16 | self.take(16)?)
    }

    /// The next bit.
    pub(super) fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? == 1)
    }

    /// A number below `n` of which the smaller take one bit less: `ns(n)` of the specification.
    pub(super) fn below(&mut self, n: u32) -> Option<u32> {
        let width = u32::BITS - n.leading_zeros();
        let short = (1_u32 << width) - n;
        let value = self.take(width.checked_sub(1)? as usize)?;
        Some(if value < short { value } else { (value << 1) - short + self.take(1)? })
    }
}

/// Where writing is.
#[derive(Debug)]
pub(super) struct Writer<'b> {
    bytes: &'b mut [u8],
    at: usize,
}

impl<'b> Writer<'b> {
    /// At bit `at`.
    pub(super) fn at(bytes: &'b mut [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// The lowest `count` bits of `value`, at most 32; `None` when they do not fit.
    pub(super) fn put(&mut self, value: u32, mut count: usize) -> Option<()> {
        while count > 0 {
            let (byte, used) = (self.bytes.get_mut(self.at / 8)?, self.at % 8);
            let now = count.min(8 - used);
            let below = 8 - used - now;
            let mask = ((1_u32 << now) - 1) as u8;
            let bits = (value >> (count - now)) as u8 & mask;
            *byte = *byte & !(mask << below) | bits << below;
            (self.at, count) = (self.at + now, count - now);
        }
        Some(())
    }

    /// See [`Bits::below`].
    pub(super) fn put_below(&mut self, value: u32, n: u32) -> Option<()> {
        let width = u32::BITS - n.leading_zeros();
        let short = (1_u32 << width) - n;
        if value < short {
            self.put(value, width.checked_sub(1)? as usize)
        } else {
            self.put(value + short, width as usize)
        }
    }

    /// Bits as they were, up to `end`.
    pub(super) fn copy(&mut self, from: &mut Bits<'_>, end: usize) -> Option<()> {
        while from.position() < end {
            let count = (end - from.position()).min(16);
            self.put(from.take(count)?, count)?;
        }
        Some(())
    }

    /// Fills the last byte with zeros; returns how many bytes there are.
    pub(super) fn finish(mut self) -> Option<usize> {
        self.put(0, self.at.next_multiple_of(8) - self.at)?;
        Some(self.at / 8)
    }
}
