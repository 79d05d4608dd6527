//! Reports and the networks they come from in, codes out; a code in, its report out, as long as it is valid. Pure: time and
//! randomness are arguments.

use std::collections::{HashMap, VecDeque, hash_map::Entry};
use std::time::{Duration, Instant};

use budget::{Network, Shares};
use jitsi_xmpp::Entropy;

use super::limits::{CODES, CODES_PER_ADDRESS, DRAWS, VALID};
use super::report::Report;

pub(crate) use budget::Refused;

/// Four letters that one can say over the telephone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Code(u16);

impl Code {
    /// As people write it: in any case, with spaces or hyphens.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut letters = text.bytes().filter(|b| !matches!(b, b' ' | b'-')).map(|b| b.to_ascii_uppercase());
        let mut code = 0;
        for _ in 0..LETTERS_EACH {
            let wanted = letters.next()?;
            code = code << 4 | u16::try_from(LETTERS.iter().position(|l| *l == wanted)?).ok()?;
        }
        letters.next().is_none().then_some(Self(code))
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for place in (0..LETTERS_EACH).rev() {
            let letter = LETTERS.get(usize::from(self.0 >> (4 * place) & 15)).copied().unwrap_or(b'?');
            write!(f, "{}", char::from(letter))?;
        }
        Ok(())
    }
}

/// The reports of the last half hour.
#[derive(Debug)]
pub(crate) struct Desk {
    kept: HashMap<Code, Kept>,
    /// In the order in which they are over.
    order: VecDeque<Code>,
    shares: Shares<Network>,
}

#[derive(Debug)]
struct Kept {
    report: Report,
    since: Instant,
    /// Whose share it is; the network is kept for this alone and told to nobody.
    network: Network,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let shares = Shares::fair(CODES_PER_ADDRESS, CODES);
        Self { kept: HashMap::new(), order: VecDeque::new(), shares }
    }

    /// Keeps a report under a new code.
    pub(crate) fn keep(
        &mut self,
        report: Report,
        network: Network,
        now: Instant,
        entropy: &mut dyn Entropy,
    ) -> Result<Code, Refused> {
        self.forget(now);
        self.shares.take(network, 1)?;
        for _ in 0..DRAWS {
            let mut drawn = [0; 2];
            entropy.fill(&mut drawn);
            let code = Code(u16::from_be_bytes(drawn));
            if let Entry::Vacant(free) = self.kept.entry(code) {
                free.insert(Kept { report, since: now, network });
                self.order.push_back(code);
                return Ok(code);
            }
        }
        self.shares.give_back(&network, 1);
        Err(Refused::Total)
    }

    /// The report under a code, and how old it is.
    pub(crate) fn find(&mut self, code: Code, now: Instant) -> Option<(&Report, Duration)> {
        self.forget(now);
        let kept = self.kept.get(&code)?;
        Some((&kept.report, now.saturating_duration_since(kept.since)))
    }

    /// How many codes are valid.
    pub(crate) fn len(&mut self, now: Instant) -> usize {
        self.forget(now);
        self.kept.len()
    }

    fn forget(&mut self, now: Instant) {
        while let Some(code) = self.order.front()
            && let Some(kept) = self.kept.get(code)
            && now.saturating_duration_since(kept.since) >= VALID
        {
            self.shares.give_back(&kept.network, 1);
            self.kept.remove(code);
            self.order.pop_front();
        }
    }
}

/// No vowels, so that no word comes out; no J, S, Z, so that none of the abbreviations that number plates do without, either; of G and
/// C, Q and O, U and V, which look alike, one at most.
const LETTERS: &[u8; 16] = b"BCDFHKLMNPRTVWXY";
const LETTERS_EACH: u16 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts up: every draw is another one.
    struct Counting(u16);

    impl Entropy for Counting {
        fn fill(&mut self, buf: &mut [u8]) {
            buf.copy_from_slice(&self.0.to_be_bytes());
            self.0 = self.0.wrapping_add(1);
        }
    }

    fn report() -> Report {
        Report::parse(r#"{"found":["camWorks"]}"#).unwrap()
    }

    fn network(n: usize) -> Network {
        Network::of(std::net::Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(n).unwrap()).into())
    }

    #[test]
    fn a_code_is_four_letters_and_is_read_as_people_write_it() {
        assert_eq!(Code(0).to_string(), "BBBB");
        for n in (0..=u16::MAX).step_by(7) {
            let text = Code(n).to_string();
            assert_eq!((text.len(), Code::parse(&text)), (4, Some(Code(n))));
        }
        assert_eq!(Code::parse(" xk-bd "), Code::parse("XKBD"));
        for bad in ["", "XKB", "XKBDD", "XKBO", "XKB1", "ÄKBD", "XKB/"] {
            assert_eq!(Code::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_report_is_found_by_its_code_until_the_time_is_up() {
        let (mut desk, begin) = (Desk::new(), Instant::now());
        let code = desk.keep(report(), network(1), begin, &mut Counting(7)).unwrap();
        let last = begin + VALID - Duration::from_millis(1);
        assert_eq!(desk.find(code, last), Some((&report(), VALID - Duration::from_millis(1))));
        assert_eq!(desk.find(Code(code.0 + 1), last), None);
        assert_eq!(desk.find(code, begin + VALID), None);
        assert_eq!((desk.len(begin + VALID), desk.order.len(), desk.shares.held()), (0, 0, 0));
    }

    #[test]
    fn an_address_has_so_many_codes_and_gets_them_back_when_they_are_over() {
        let (mut desk, now, mut draws) = (Desk::new(), Instant::now(), Counting(0));
        for _ in 0..CODES_PER_ADDRESS {
            desk.keep(report(), network(1), now, &mut draws).unwrap();
        }
        assert_eq!(desk.keep(report(), network(1), now, &mut draws), Err(Refused::Each));
        assert!(desk.keep(report(), network(2), now, &mut draws).is_ok(), "others have their own");
        assert!(desk.keep(report(), network(1), now + VALID, &mut draws).is_ok());
    }

    #[test]
    fn a_flood_from_many_addresses_leaves_something_for_newcomers_and_the_table_has_an_end() {
        let (mut desk, now, mut draws) = (Desk::new(), Instant::now(), Counting(0));
        // As many as they get: each share becomes smaller.
        for n in 0..200 {
            while desk.keep(report(), network(n), now, &mut draws).is_ok() {}
        }
        assert!(desk.keep(report(), network(1000), now, &mut draws).is_ok(), "a newcomer");
        let mut n = 1001;
        while desk.keep(report(), network(n), now, &mut draws).is_ok() {
            n += 1;
        }
        assert!((CODES / 2..=CODES).contains(&desk.len(now)), "{}", desk.len(now));
    }

    #[test]
    fn a_code_that_is_taken_is_drawn_again_and_not_for_ever() {
        struct Same;
        impl Entropy for Same {
            fn fill(&mut self, buf: &mut [u8]) {
                buf.fill(3);
            }
        }
        let (mut desk, now) = (Desk::new(), Instant::now());
        let first = desk.keep(report(), network(1), now, &mut Same).unwrap();
        assert_eq!(
            desk.keep(report(), network(1), now, &mut Same),
            Err(Refused::Total),
            "after {DRAWS} draws"
        );
        assert_eq!(desk.shares.held(), 1, "nothing is held for what was refused");
        let second = desk.keep(report(), network(1), now, &mut Counting(first.0)).unwrap();
        assert_eq!(second.0, first.0 + 1);
    }
}
