//! Layers by dependency descriptor: frames with their decode targets and references in, whether they are sent out.

use videobridge_rtp::FrameNumber;
use videobridge_rtp::dependency::{Active, Frame, Structure, Targets};

use super::{Described, Filter, Wish};
use crate::media::limits::FRAMES_SENT;

/// The decode target one receiver gets.
#[derive(Debug, Default)]
pub(super) struct Choice {
    target: Option<u8>,
    /// The targets the sender sends.
    active: Targets,
    /// The frame since which the receiver gets this target: its packets say so.
    changed: Option<FrameNumber>,
    /// The target it should get, as of the newest frame.
    wanted: Option<u8>,
    /// The target of which a switch point went by that could not be used: only a key frame leads there.
    proven: Option<u8>,
    sent: Frames,
    left_out: Frames,
}

/// Those of the newest frames of which something holds.
#[derive(Debug, Default)]
struct Frames {
    newest: Option<FrameNumber>,
    bits: [u64; FRAMES_SENT / 64],
}

impl Choice {
    pub(super) fn target(&self) -> Option<u8> {
        self.target
    }

    /// A frame is sent without its structure.
    pub(super) fn note(&mut self, number: Option<FrameNumber>) {
        number.into_iter().for_each(|number| self.sent.insert(number));
    }

    /// Whether a frame that comes late is sent: when it is part of the target of its time, and also when everything it needs was
    /// sent. Frames sent since then may need it: those that were sent unread, or of a target that is higher by now.
    pub(super) fn passes_late(&mut self, said: &Described<'_>, target: Option<u8>) -> bool {
        let Some((frame, _)) = said.frame else { return false };
        if frame.has_structure {
            self.active = frame.active.unwrap_or(self.active);
        }
        let of_its_time = target.is_some_and(|target| has(frame.present, target));
        let passes = of_its_time || (self.can_decode(frame) && !self.left_out.contains(frame.number));
        let to = if passes { &mut self.sent } else { &mut self.left_out };
        to.insert(frame.number);
        passes
    }

    /// Whether a frame is wanted that cannot be sent yet.
    pub(super) fn lacks(&self, present: Targets) -> bool {
        self.wanted != self.target && self.wanted.is_some_and(|wanted| has(present, wanted))
    }

    /// Whether everything a frame needs was sent.
    fn can_decode(&self, frame: &Frame) -> bool {
        frame.references.iter().all(|back| self.sent.contains(back_from(frame.number, back)))
    }

    /// Whether the chain that tells of a target's losses was not broken before this frame.
    fn is_whole(&self, frame: &Frame, structure: &Structure, target: u8) -> bool {
        let distance = structure.chain(target).and_then(|chain| frame.chains.get(usize::from(chain)));
        distance.is_none_or(|back| *back == 0 || self.sent.contains(back_from(frame.number, (*back).into())))
    }
}

impl Filter {
    pub(super) fn choose_targets(&mut self, said: &Described<'_>, wish: Wish) -> bool {
        let Some((frame, structure)) = said.frame else { return true };
        let choice = &mut self.targets;
        if let Some(active) = frame.active {
            choice.active = active;
        }
        if said.descriptor.key_frame {
            (choice.target, choice.proven) = (None, None);
            choice.sent.begin(frame.number);
            choice.left_out.begin(frame.number);
        }
        let lowest = structure.best(choice.active, 0, 0);
        let wanted = structure.best(choice.active, wish.spatial, wish.temporal).or(lowest);
        choice.wanted = wanted;
        let picture = self.pictures.get(self.at).copied().unwrap_or_default();
        let first = picture.known == 0;
        if wanted != choice.target {
            let next = match (choice.target, wanted) {
                (None, wanted) => wanted,
                // Not within a picture: its end is not where it was going to be.
                (Some(now), Some(wanted)) if has(structure.covers(now), wanted) => {
                    Some(if first { wanted } else { now })
                }
                (Some(now), Some(wanted)) => {
                    let switch = has(frame.switch, wanted);
                    let (to, from) = (structure.layers(wanted), structure.layers(now));
                    let open = first || to.is_some_and(|(spatial, _)| spatial <= picture.top);
                    let whole = choice.can_decode(frame) && choice.is_whole(frame, structure, wanted);
                    if switch && whole && open {
                        Some(wanted)
                    } else {
                        if switch {
                            choice.proven = Some(wanted);
                        }
                        let slower = from
                            .filter(|from| to < Some(*from))
                            .and_then(|(spatial, _)| structure.best(structure.covers(now), spatial, 0));
                        Some(slower.unwrap_or(now))
                    }
                }
                (Some(_), None) => None,
            };
            if next != choice.target {
                (choice.target, choice.changed) = (next, Some(frame.number));
            }
        }
        self.needs_key_frame = wanted != choice.target && choice.proven == wanted;
        let Some(target) = choice.target else { return false };
        let (spatial, temporal) = structure.layers(target).unwrap_or_default();
        let changed = (spatial, temporal) != (self.spatial, self.temporal);
        let sent = has(frame.present, target);
        let to = if sent { &mut choice.sent } else { &mut choice.left_out };
        to.insert(frame.number);
        if changed {
            (self.spatial, self.temporal) = (spatial, temporal);
            self.end_with(spatial);
        }
        sent
    }

    /// What to say of the targets that are being sent, if that is not what the packet says.
    pub(super) fn active(&self, said: &Described<'_>) -> Option<Active> {
        let (frame, structure) = said.frame?;
        let choice = &self.targets;
        let set = structure.covers(choice.target?) & choice.active;
        let differs = frame.active.is_some_and(|active| active != set);
        let first = choice.changed == Some(frame.number) && set != structure.all();
        let (targets, structure_end) = (structure.targets(), frame.structure_end);
        let says = differs || (first && frame.active.is_none());
        says.then_some(Active { set, targets, structure_end })
    }
}

impl Frames {
    /// A key frame numbered far behind the newest is one of a sender that begins anew. What was before another one is still asked
    /// about: by frames of that time that come late.
    fn begin(&mut self, key: FrameNumber) {
        let behind = self.newest.map_or(0, |newest| newest.since(key));
        if usize::from(behind) >= FRAMES_SENT && behind < HALF {
            *self = Self::default();
        }
    }

    fn insert(&mut self, number: FrameNumber) {
        let newest = *self.newest.get_or_insert(number);
        let ahead = number.since(newest);
        if ahead < HALF {
            if usize::from(ahead) >= FRAMES_SENT {
                self.bits = Default::default();
            } else {
                (1..=ahead).for_each(|n| self.put(newest.shifted(n), false));
            }
            self.newest = Some(number);
        } else if usize::from(newest.since(number)) >= FRAMES_SENT {
            return;
        }
        self.put(number, true);
    }

    fn contains(&self, number: FrameNumber) -> bool {
        self.newest.is_some_and(|newest| usize::from(newest.since(number)) < FRAMES_SENT) && {
            let (word, bit) = place(number);
            self.bits.get(word).is_some_and(|word| word & bit != 0)
        }
    }

    fn put(&mut self, number: FrameNumber, sent: bool) {
        let (word, bit) = place(number);
        if let Some(word) = self.bits.get_mut(word) {
            *word = if sent { *word | bit } else { *word & !bit };
        }
    }
}

fn place(number: FrameNumber) -> (usize, u64) {
    let at = usize::from(number.get()) % FRAMES_SENT;
    (at / 64, 1 << (at % 64))
}

fn back_from(number: FrameNumber, back: u16) -> FrameNumber {
    number.shifted(back.wrapping_neg())
}

const fn has(set: Targets, target: u8) -> bool {
    set >> target & 1 == 1
}

/// Further ahead than this is behind.
const HALF: u16 = 0x8000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_known_up_to_the_limit_and_not_one_beyond() {
        let number = |n: usize| FrameNumber::new((0xfff0 + n) as u16);
        let mut sent = Frames::default();
        sent.insert(number(1));
        sent.insert(number(FRAMES_SENT));
        assert!(sent.contains(number(1)) && !sent.contains(number(2)));
        sent.insert(number(FRAMES_SENT + 1));
        assert!(!sent.contains(number(1)));
        sent.insert(number(1));
        assert!(!sent.contains(number(1)) && !sent.contains(number(FRAMES_SENT + 2)), "too old to be noted");
    }
}
