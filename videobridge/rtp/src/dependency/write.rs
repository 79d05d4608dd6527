//! A frame and its structure in, a descriptor out; a descriptor in, the same with other numbers out.

use super::bits::{Bits, Writer};
use super::structure::{MAX_TEMPLATES, Structure, Targets};
use super::{Flags, Head, MANDATORY_BYTES, STRUCTURE_AT};
use crate::FrameNumber;

/// What to say instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewriting {
    /// The frame's number.
    pub number: FrameNumber,
    /// What is added to the ids of templates, modulo 64.
    pub template_shift: u8,
    /// The targets being sent, if that is to be said.
    pub active: Option<Active>,
}

/// The targets being sent, to be said in a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Active {
    /// Which they are.
    pub set: Targets,
    /// Of how many.
    pub targets: u8,
    /// [`super::Frame::structure_end`] of the descriptor: not to be looked for again for every receiver.
    pub structure_end: u16,
}

/// Writes `descriptor` with other numbers; `None` when it is no descriptor or the buffer too small. Returns the length.
pub fn rewrite(descriptor: &[u8], to: &Rewriting, buf: &mut [u8]) -> Option<usize> {
    let head = Head::parse(descriptor)?;
    let [high, low] = to.number.get().to_be_bytes();
    let template = head.template.wrapping_add(to.template_shift) % MAX_TEMPLATES as u8;
    let first = descriptor.first()? & 0xc0 | template;
    let shifted = |offset: u32| (offset + u32::from(to.template_shift)) % MAX_TEMPLATES as u32;
    let Some(Active { set, targets, structure_end }) = to.active else {
        // Nothing moves.
        let copy = buf.get_mut(..descriptor.len())?;
        copy.copy_from_slice(descriptor);
        *copy.first_chunk_mut()? = [first, high, low];
        if head.has_structure {
            let offset = Bits::new(descriptor, STRUCTURE_AT).take(6)?;
            let mut writer = Writer::at(copy, STRUCTURE_AT);
            writer.put(shifted(offset), 6)?;
        }
        return Some(descriptor.len());
    };
    *buf.first_chunk_mut()? = [first, high, low];
    let mut writer = Writer::at(buf, MANDATORY_BYTES * 8);
    let mut bits = Bits::new(descriptor, MANDATORY_BYTES * 8);
    let extended = descriptor.len() > MANDATORY_BYTES;
    let mut flags = if extended { Flags::read(&mut bits)? } else { Flags::default() };
    let had = std::mem::replace(&mut flags.active, true);
    flags.write(&mut writer)?;
    if flags.structure {
        writer.put(shifted(bits.take(6)?), 6)?;
        writer.copy(&mut bits, structure_end.into())?;
    }
    if had {
        bits.take_long(targets.into())?;
    }
    writer.put(set, targets.into())?;
    if extended {
        writer.copy(&mut bits, descriptor.len() * 8)?;
    }
    writer.finish()
}

/// Writes the descriptor of a frame that is as its template says; with `head.has_structure` it brings `structure`. `None`
/// when the buffer is too small or there is no such template. Returns the length.
pub fn write(head: &Head, structure: &Structure, active: Option<Targets>, buf: &mut [u8]) -> Option<usize> {
    structure.template(head.template)?;
    let flags = Flags { structure: head.has_structure, active: active.is_some(), ..Flags::default() };
    let mut writer = Writer::at(buf, 0);
    writer.put(head.begins.into(), 1)?;
    writer.put(head.ends.into(), 1)?;
    writer.put(head.template.into(), 6)?;
    writer.put(head.number.get().into(), 16)?;
    if flags.structure || flags.active {
        flags.write(&mut writer)?;
    }
    if flags.structure {
        structure.write(&mut writer)?;
    }
    if let Some(active) = active {
        writer.put(active, structure.targets.into())?;
    }
    writer.finish()
}

impl Structure {
    fn write(&self, to: &mut Writer<'_>) -> Option<()> {
        let Self { targets, chains, .. } = *self;
        let used = || self.table.iter().take(self.templates.into());
        to.put(self.offset.into(), 6)?;
        to.put(u32::from(targets).checked_sub(1)?, 5)?;
        for (one, next) in used().zip(used().skip(1)) {
            let up = u32::from(next.temporal > one.temporal);
            to.put(if next.spatial > one.spatial { 2 } else { up }, 2)?;
        }
        to.put(3, 2)?;
        for template in used() {
            for target in 0..targets {
                let has = |set: Targets| set >> target & 1 == 1;
                let code = match (has(template.present), has(template.switch)) {
                    (false, _) => 0,
                    (true, true) => 2,
                    (true, false) => REQUIRED,
                };
                to.put(code, 2)?;
            }
        }
        for template in used() {
            for back in template.references.iter() {
                to.put(1, 1)?;
                to.put(u32::from(back).checked_sub(1).filter(|back| *back < 16)?, 4)?;
            }
            to.put(0, 1)?;
        }
        to.put_below(chains.into(), u32::from(targets) + 1)?;
        if chains > 0 {
            for chain in self.protected_by.iter().take(targets.into()) {
                to.put_below((*chain).into(), chains.into())?;
            }
            for distance in used().flat_map(|t| t.chains.iter().take(chains.into())) {
                to.put((*distance).into(), 4)?;
            }
        }
        let highest = used().map(|t| t.spatial).max()?;
        let sizes = self.sizes.iter().take(usize::from(highest) + 1);
        let said = sizes.clone().all(|size| *size > 0);
        to.put(said.into(), 1)?;
        for size in sizes.filter(|_| said) {
            to.put(u32::from(*size) - 1, 16)?;
            to.put(u32::from(*size) - 1, 16)?;
        }
        Some(())
    }
}

/// The indication of a frame that a target cannot do without.
const REQUIRED: u32 = 3;
