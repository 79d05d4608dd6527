//! The dependency descriptor of AV1 (and of any other codec): a header extension in; which frame a packet belongs to,
//! what it needs and who needs it, out; and the extension with other numbers. (AV1 RTP specification, appendix A.)

mod bits;
mod structure;
#[cfg(test)]
mod tests;
mod write;

pub use self::structure::{
    ChainDistances, MAX_REFERENCES, MAX_SPATIAL, MAX_TARGETS, MAX_TEMPLATES, References, Structure, Targets,
    Template,
};
pub use self::write::{Active, Rewriting, rewrite, write};

use self::bits::{Bits, Writer};
use crate::FrameNumber;

/// What every descriptor says, whether the structure is known or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The first packet of a frame.
    pub begins: bool,
    /// The last packet of a frame.
    pub ends: bool,
    /// Which template the frame follows.
    pub template: u8,
    /// The frame.
    pub number: FrameNumber,
    /// Whether a new structure comes with it.
    pub has_structure: bool,
}

/// One packet's frame by its descriptor and structure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Frame {
    /// The frame.
    pub number: FrameNumber,
    /// The targets it is part of.
    pub present: Targets,
    /// The targets that can be begun with here.
    pub switch: Targets,
    /// The frames it needs.
    pub references: References,
    /// The frames before it in the chains.
    pub chains: ChainDistances,
    /// The targets that are being sent from here on, where it says so.
    pub active: Option<Targets>,
    /// Its spatial layer.
    pub spatial: u8,
    /// Its temporal layer.
    pub temporal: u8,
    /// The first packet of the frame.
    pub begins: bool,
    /// The last packet of the frame.
    pub ends: bool,
    /// It brings a structure.
    pub has_structure: bool,
    /// The bit behind its structure, if it brings one.
    pub structure_end: u16,
}

impl Head {
    /// The first bytes of `descriptor`.
    pub fn parse(descriptor: &[u8]) -> Option<Self> {
        let (&[first, high, low], rest) = descriptor.split_first_chunk()?;
        Some(Self {
            begins: first & 0x80 != 0,
            ends: first & 0x40 != 0,
            template: first & 0x3f,
            number: FrameNumber::new(u16::from_be_bytes([high, low])),
            has_structure: rest.first().is_some_and(|flags| flags & 0x80 != 0),
        })
    }
}

impl Structure {
    /// Takes over the structure a descriptor brings. `None` when it brings none or is cut short; what was there is gone
    /// then, if it brought one.
    pub fn take_from(&mut self, descriptor: &[u8]) -> Option<()> {
        Head::parse(descriptor).filter(|head| head.has_structure)?;
        let read = self.read(&mut Bits::new(descriptor, STRUCTURE_AT));
        if read.is_none() {
            *self = Self::default();
        }
        read
    }

    /// The frame a descriptor is about; `None` when it does not follow this structure.
    pub fn frame(&self, descriptor: &[u8]) -> Option<Frame> {
        let head = Head::parse(descriptor)?;
        let template = self.template(head.template)?;
        let Template { spatial, temporal, present, switch, references, chains } = *template;
        let mut frame = Frame {
            number: head.number,
            present,
            switch,
            references,
            chains,
            active: None,
            spatial,
            temporal,
            begins: head.begins,
            ends: head.ends,
            has_structure: head.has_structure,
            structure_end: 0,
        };
        if descriptor.len() <= MANDATORY_BYTES {
            return Some(frame);
        }
        let mut bits = Bits::new(descriptor, MANDATORY_BYTES * 8);
        let flags = Flags::read(&mut bits)?;
        if flags.structure {
            // It is this one: only its length is of interest.
            Self::default().read(&mut bits)?;
            frame.structure_end = bits.position() as u16;
            frame.active = Some(self.all());
        }
        if flags.active {
            frame.active = Some(bits.take_long(self.targets.into())?);
        }
        if flags.indications {
            (frame.present, frame.switch) = (0, 0);
            for target in 0..self.targets {
                let code = bits.take(2)?;
                frame.present |= u32::from(code != 0) << target;
                frame.switch |= u32::from(code == 2) << target;
            }
        }
        if flags.references {
            frame.references = References::default();
            loop {
                let size = bits.take(2)?;
                if size == 0 {
                    break;
                }
                frame.references.push(bits.take(size as usize * 4)? as u16 + 1)?;
            }
        }
        if flags.chains {
            for distance in frame.chains.iter_mut().take(self.chains.into()) {
                *distance = bits.take(8)? as u8;
            }
        }
        Some(frame)
    }
}

impl Frame {
    /// Whether the picture that begins here needs nothing from before.
    pub const fn is_key(&self) -> bool {
        self.has_structure && self.begins && self.references.is_empty()
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    structure: bool,
    active: bool,
    indications: bool,
    references: bool,
    chains: bool,
}

impl Flags {
    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        Some(Self {
            structure: bits.flag()?,
            active: bits.flag()?,
            indications: bits.flag()?,
            references: bits.flag()?,
            chains: bits.flag()?,
        })
    }

    fn write(self, to: &mut Writer<'_>) -> Option<()> {
        let Self { structure, active, indications, references, chains } = self;
        [structure, active, indications, references, chains]
            .into_iter()
            .try_for_each(|flag| to.put(flag.into(), 1))
    }
}

const MANDATORY_BYTES: usize = 3;
/// The bit a structure begins with: behind the mandatory fields and five flags.
const STRUCTURE_AT: usize = MANDATORY_BYTES * 8 + 5;
