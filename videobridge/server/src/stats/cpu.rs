//! How busy the machine is: the kernel's counts of time in, the part of it that was worked out.

/// Time that processors spent since the machine's start, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Spent {
    all: u64,
    idle: u64,
    /// Wanted by us and given to others by the host.
    stolen: u64,
}

/// What became of the time between two looks, as parts of it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Busy {
    /// At work, for whomever; what the host gave to others included, as it is not there for us.
    pub(crate) load: f64,
    pub(crate) stolen: f64,
}

impl Spent {
    /// Now; `None` where the kernel does not tell.
    pub(super) fn now() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// The first line of `/proc/stat` (proc(5)): user, nice, system, idle, waiting, interrupts twice, stolen; guests are in the first two.
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let mut ticks = [0; 8];
        for (tick, word) in ticks.iter_mut().zip(line.split_ascii_whitespace()) {
            *tick = word.parse().ok()?;
        }
        let [.., idle, waiting, _, _, stolen] = ticks;
        Some(Self { all: ticks.iter().sum(), idle: idle + waiting, stolen })
    }

    /// Since an earlier look; `None` when no time has passed.
    pub(super) fn since(&self, before: &Self) -> Option<Busy> {
        let all = self.all.checked_sub(before.all).filter(|all| *all > 0)? as f64;
        let part = |now: u64, then: u64| now.saturating_sub(then) as f64 / all;
        Some(Busy {
            load: (1.0 - part(self.idle, before.idle)).max(0.0),
            stolen: part(self.stolen, before.stolen),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_idle_is_busy_and_what_the_host_took_is_not_there() {
        let before = Spent::parse("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3\n").unwrap();
        assert_eq!(before, Spent { all: 1000, idle: 850, stolen: 0 });
        let after = Spent::parse("cpu  400 100 150 1200 100 20 30 100 0 0\n").unwrap();
        let busy = after.since(&before).unwrap();
        assert!((busy.load - 650.0 / 1100.0).abs() < 1e-9, "{busy:?}");
        assert!((busy.stolen - 100.0 / 1100.0).abs() < 1e-9, "{busy:?}");
        assert_eq!(before.since(&before), None, "no time has passed");
        assert_eq!(before.since(&after), None, "a clock that goes backwards tells nothing");
        assert_eq!(Spent::parse("intr 5\n"), None);
        assert_eq!(Spent::parse("cpu  a b\n"), None);
    }

    #[test]
    fn this_machine_tells() {
        assert!(Spent::now().is_some_and(|spent| spent.all > 0));
    }
}
