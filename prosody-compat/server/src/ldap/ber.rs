//! Values in, the bytes that LDAP has for them out, and back: the few kinds of BER that a bind and a search need (X.690, RFC 4511
//! §5.1: definite lengths alone).

/// Writes elements behind each other.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// An element with these bytes.
    pub(super) fn bytes(&mut self, tag: u8, bytes: &[u8]) -> &mut Self {
        self.0.push(tag);
        let len = bytes.len();
        match u8::try_from(len) {
            Ok(short) if short < 0x80 => self.0.push(short),
            _ => {
                let long: Vec<u8> = len.to_be_bytes().into_iter().skip_while(|b| *b == 0).collect();
                // A length of 64 bits has eight bytes.
                self.0.push(0x80 | u8::try_from(long.len()).unwrap_or_default());
                self.0.extend(long);
            }
        }
        self.0.extend_from_slice(bytes);
        self
    }

    /// A whole number.
    pub(super) fn number(&mut self, tag: u8, value: u32) -> &mut Self {
        let bytes = value.to_be_bytes();
        let zeros = bytes.iter().take_while(|b| **b == 0).count().min(3);
        let digits = bytes.get(zeros..).unwrap_or_default();
        // The first bit is the sign.
        let sign = digits.first().is_some_and(|b| *b >= 0x80);
        let all: Vec<u8> = sign.then_some(0).into_iter().chain(digits.iter().copied()).collect();
        self.bytes(tag, &all)
    }

    /// An element with others in it.
    pub(super) fn inner(&mut self, tag: u8, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(tag, &inner.0)
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Not what LDAP has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the directory's answer is not understood")]
pub(crate) struct NotBer;

/// Reads elements behind each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// The next element: its tag and what is in it.
    pub(super) fn next(&mut self) -> Result<(u8, &'a [u8]), NotBer> {
        let whole = whole(self.0)?.filter(|n| *n <= self.0.len()).ok_or(NotBer)?;
        let (element, rest) = self.0.split_at_checked(whole).ok_or(NotBer)?;
        self.0 = rest;
        let (header, len) = head(element)?.ok_or(NotBer)?;
        Ok((*element.first().ok_or(NotBer)?, element.get(header..header + len).ok_or(NotBer)?))
    }

    /// The next one, which has to have this tag.
    pub(super) fn tagged(&mut self, tag: u8) -> Result<&'a [u8], NotBer> {
        self.next().and_then(|(t, inner)| (t == tag).then_some(inner).ok_or(NotBer))
    }

    /// The same as a whole number.
    pub(super) fn number(&mut self, tag: u8) -> Result<u32, NotBer> {
        let bytes = self.tagged(tag)?;
        if bytes.is_empty() || bytes.len() > 5 || bytes.first().is_some_and(|b| *b >= 0x80) {
            return Err(NotBer);
        }
        let value = bytes.iter().fold(0_u64, |value, b| value << 8 | u64::from(*b));
        u32::try_from(value).map_err(|_| NotBer)
    }
}

/// How long the first element is with its head, once enough of it is there.
pub(super) fn whole(bytes: &[u8]) -> Result<Option<usize>, NotBer> {
    Ok(head(bytes)?.map(|(head, len)| head.saturating_add(len)))
}

/// Length of the head, and of what follows it.
fn head(bytes: &[u8]) -> Result<Option<(usize, usize)>, NotBer> {
    let (Some(tag), Some(first)) = (bytes.first(), bytes.get(1)) else { return Ok(None) };
    // Tags of several bytes and lengths that are not said do not occur.
    if tag & 0x1f == 0x1f || matches!(first, 0x80 | 0x85..) {
        return Err(NotBer);
    }
    if *first < 0x80 {
        return Ok(Some((2, usize::from(*first))));
    }
    let digits = usize::from(first & 0x7f);
    let Some(long) = bytes.get(2..2 + digits) else { return Ok(None) };
    let len = long.iter().fold(0_u64, |len, b| len << 8 | u64::from(*b));
    Ok(Some((2 + digits, usize::try_from(len).map_err(|_| NotBer)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for len in [0, 1, 127, 128, 255, 256, 65_536] {
            let mut w = Writer::default();
            w.bytes(0x04, &vec![7; len]).number(0x02, 3);
            let bytes = w.done();
            let mut r = Reader(&bytes);
            assert_eq!(r.tagged(0x04).unwrap().len(), len);
            assert_eq!((r.number(0x02), r.next()), (Ok(3), Err(NotBer)));
        }
        for n in [0, 1, 127, 128, 255, 256, u32::MAX] {
            let mut w = Writer::default();
            w.number(0x02, n);
            assert_eq!(Reader(&w.done()).number(0x02), Ok(n));
        }
    }

    #[test]
    fn half_an_element_is_waited_for_and_odd_ones_are_refused() {
        let mut w = Writer::default();
        w.bytes(0x30, &[0; 300]);
        let bytes = w.done();
        assert_eq!(whole(&bytes[..3]), Ok(None));
        assert_eq!(whole(&bytes[..4]), Ok(Some(bytes.len())));
        assert!(Reader(&bytes[..9]).next().is_err());
        for odd in [&[0x30, 0x80][..], &[0x30, 0x85, 1, 1, 1, 1, 1], &[0x1f, 1, 0], &[0xff, 0xff]] {
            assert_eq!(whole(odd), Err(NotBer), "{odd:?}");
        }
        assert!(Reader(&[0x02, 1, 0x80]).number(2).is_err(), "negative");
        assert!(Reader(&[0x02, 0]).number(2).is_err());
        assert_eq!(whole(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), Ok(Some(6 + 0xffff_ffff)));
    }
}
