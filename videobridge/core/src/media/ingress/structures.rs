//! The template structures of one encoding: dependency descriptors in, the frames they are about out.
//!
//! A structure comes with a key frame and holds until the next. Packets from before that come late follow the one
//! before. The packet that brings one may be lost: what cannot be read by the one before says so, and from there on that
//! one is no more, though its numbers may fit again later.

use videobridge_rtp::ExtSeq;
use videobridge_rtp::dependency::{Frame, Head, Structure};

/// The newest structure and the one before.
#[derive(Debug, Default)]
pub(crate) struct Structures {
    newest: Option<Box<Since>>,
    before: Option<Box<Since>>,
}

#[derive(Debug, Default)]
struct Since {
    from: ExtSeq,
    /// A packet that follows another one, which was not seen.
    until: Option<ExtSeq>,
    structure: Structure,
}

impl Structures {
    /// The frame that the packet `seq` is about; `None` when its structure is not known.
    pub(crate) fn read(&mut self, seq: ExtSeq, descriptor: &[u8]) -> Option<Frame> {
        let brings = Head::parse(descriptor)?.has_structure;
        if brings && self.newest.as_ref().is_none_or(|newest| newest.from < seq) {
            let mut next = self.before.take().unwrap_or_default();
            // What was there is gone in any case: one that cannot be read must not leave an older one in force.
            let read = next.structure.take_from(descriptor);
            (next.from, next.until) = (seq, None);
            self.before = self.newest.replace(next);
            read?;
        }
        let template = Head::parse(descriptor)?.template;
        let both = [&mut self.newest, &mut self.before].into_iter().flatten();
        let since = both.into_iter().find(|since| since.from <= seq)?;
        if !since.structure.has(template) {
            since.until = Some(since.until.map_or(seq, |until| until.min(seq)));
        }
        self.at(seq)?.frame(descriptor)
    }

    /// The structure that holds for the packet `seq`.
    pub(crate) fn at(&self, seq: ExtSeq) -> Option<&Structure> {
        let mut both = [&self.newest, &self.before].into_iter().flatten();
        let since = both.find(|since| since.from <= seq)?;
        since.until.is_none_or(|until| seq < until).then_some(&since.structure)
    }
}

#[cfg(test)]
mod tests {
    use videobridge_rtp::FrameNumber;
    use videobridge_rtp::dependency::{Template, write};

    use super::*;

    #[test]
    fn after_packets_of_a_structure_that_was_lost_an_older_one_reads_nothing() {
        let mut structures = Structures::default();
        assert!(structures.read(ExtSeq(10), &descriptor(5, 10, true)).is_some());
        // The one with template 6 is lost.
        assert!(structures.read(ExtSeq(21), &descriptor(6, 21, false)).is_none());
        assert!(
            structures.read(ExtSeq(41), &descriptor(5, 41, false)).is_none(),
            "one of later numbered as the first"
        );
        assert!(structures.read(ExtSeq(19), &descriptor(5, 19, false)).is_some(), "late");
        assert!(structures.read(ExtSeq(20), &descriptor(6, 20, true)).is_some(), "it was late");
        assert!(structures.read(ExtSeq(22), &descriptor(6, 22, false)).is_some());
    }

    fn descriptor(offset: u8, number: u16, has_structure: bool) -> Vec<u8> {
        let template = Template { present: 1, switch: 1, ..Template::default() };
        let structure = Structure::new(offset, &[template], 1, &[0], [180, 0, 0, 0]).unwrap();
        let number = FrameNumber::new(number);
        let head = Head { begins: true, ends: true, template: offset, number, has_structure };
        let mut buf = [0; 40];
        let len = write(&head, &structure, None, &mut buf).unwrap();
        buf[..len].to_vec()
    }

    #[test]
    fn packets_follow_the_structure_of_their_time() {
        let mut structures = Structures::default();
        assert!(structures.read(ExtSeq(9), &descriptor(5, 9, false)).is_none(), "nothing is known yet");
        assert!(structures.read(ExtSeq(10), &descriptor(5, 10, true)).is_some_and(|f| f.is_key()));
        assert!(structures.read(ExtSeq(11), &descriptor(5, 11, false)).is_some());
        assert!(structures.read(ExtSeq(20), &descriptor(6, 20, true)).is_some());
        assert!(structures.read(ExtSeq(19), &descriptor(5, 19, false)).is_some(), "late");
        assert!(structures.read(ExtSeq(25), &descriptor(5, 25, false)).is_none());
        assert!(structures.read(ExtSeq(9), &descriptor(5, 9, false)).is_none(), "too late");
        // A late key frame takes nothing back.
        assert!(structures.read(ExtSeq(15), &descriptor(7, 15, true)).is_none());
        assert!(structures.read(ExtSeq(21), &descriptor(6, 21, false)).is_some());
        // One that is cut short ends what was.
        assert!(structures.read(ExtSeq(30), &descriptor(7, 30, true)[..5]).is_none());
        assert!(structures.read(ExtSeq(31), &descriptor(6, 31, false)).is_none());
    }
}
