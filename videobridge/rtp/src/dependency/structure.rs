//! What a dependency descriptor says of all frames until the next key frame: its template structure in, tables out.

use super::bits::Bits;

/// Templates a structure can have: their ids have 6 bits.
pub const MAX_TEMPLATES: usize = 64;
/// Decode targets a structure can have: their count has 5 bits.
pub const MAX_TARGETS: usize = 32;
/// Frames one frame may refer to; AV1 has 7 references.
pub const MAX_REFERENCES: usize = 8;
/// Spatial layers, of those 4 that the descriptors' ids allow.
pub const MAX_SPATIAL: usize = 4;

/// A set of decode targets.
pub type Targets = u32;

/// Distances to the frames that one refers to, in frame numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct References {
    len: u8,
    back: [u16; MAX_REFERENCES],
}

impl References {
    /// Those of a list, if they are not too many.
    pub fn new(back: &[u16]) -> Option<Self> {
        let mut out = Self::default();
        back.iter().try_for_each(|one| out.push(*one)).map(|()| out)
    }

    pub(super) fn push(&mut self, back: u16) -> Option<()> {
        *self.back.get_mut(usize::from(self.len))? = back;
        self.len += 1;
        Some(())
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.back.iter().take(self.len.into()).copied()
    }

    /// Whether it refers to nothing.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Distances to the frame before in each chain; 0 when there is none.
pub type ChainDistances = [u8; MAX_TARGETS];

/// What frames of one kind have in common.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Template {
    /// The spatial layer, 0 to 3.
    pub spatial: u8,
    /// The temporal layer, 0 to 7.
    pub temporal: u8,
    /// The targets it is part of.
    pub present: Targets,
    /// The targets one can begin with from this frame on, if it can be decoded.
    pub switch: Targets,
    /// What it refers to.
    pub references: References,
    /// Where it is in the chains.
    pub chains: ChainDistances,
}

/// A template structure (AV1 RTP specification, A.8.2 and A.8.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure {
    pub(super) offset: u8,
    pub(super) targets: u8,
    pub(super) templates: u8,
    pub(super) table: [Template; MAX_TEMPLATES],
    pub(super) chains: u8,
    /// The chain each target is protected by.
    pub(super) protected_by: [u8; MAX_TARGETS],
    /// The highest layers of each target.
    layers: [(u8, u8); MAX_TARGETS],
    /// The targets each one contains: those of which it has every frame.
    covers: [Targets; MAX_TARGETS],
    /// The lower side of the picture by spatial layer, 0 = not said.
    pub(super) sizes: [u16; MAX_SPATIAL],
}

impl Default for Structure {
    fn default() -> Self {
        Self {
            offset: 0,
            targets: 0,
            templates: 0,
            table: [Template::default(); MAX_TEMPLATES],
            chains: 0,
            protected_by: [0; MAX_TARGETS],
            layers: [(0, 0); MAX_TARGETS],
            covers: [0; MAX_TARGETS],
            sizes: [0; MAX_SPATIAL],
        }
    }
}

impl Structure {
    /// The id of its first template.
    pub const fn offset(&self) -> u8 {
        self.offset
    }

    /// The id behind that of its last template.
    pub const fn next_offset(&self) -> u8 {
        (self.offset + self.templates) % MAX_TEMPLATES as u8
    }

    /// How many decode targets there are.
    pub const fn targets(&self) -> u8 {
        self.targets
    }

    /// All of them.
    pub const fn all(&self) -> Targets {
        if self.targets as usize == MAX_TARGETS { Targets::MAX } else { (1 << self.targets) - 1 }
    }

    /// The highest spatial and temporal layer of a target.
    pub fn layers(&self, target: u8) -> Option<(u8, u8)> {
        (target < self.targets).then(|| self.layers.get(usize::from(target)).copied()).flatten()
    }

    /// The targets of which `target` has every frame, itself included.
    pub fn covers(&self, target: u8) -> Targets {
        self.covers.get(usize::from(target)).copied().unwrap_or_default()
    }

    /// The chain that tells whether `target` is whole.
    pub fn chain(&self, target: u8) -> Option<u8> {
        (target < self.targets && self.chains > 0)
            .then(|| self.protected_by.get(usize::from(target)).copied())
            .flatten()
    }

    /// The lower side of a spatial layer's picture.
    pub fn size(&self, spatial: u8) -> Option<u16> {
        self.sizes.get(usize::from(spatial)).copied().filter(|size| *size > 0)
    }

    /// The best target of `among` that goes no higher than these layers; spatial ones count more.
    pub fn best(&self, among: Targets, spatial: u8, temporal: u8) -> Option<u8> {
        let within = (0..self.targets).filter(|target| among >> target & 1 == 1);
        let within = within.filter_map(|target| Some((self.layers(target)?, target)));
        let fits = within.filter(|((s, t), _)| *s <= spatial && *t <= temporal);
        fits.max_by_key(|(layers, _)| *layers).map(|(_, target)| target)
    }

    /// Whether frames can follow the template with this id.
    pub fn has(&self, template: u8) -> bool {
        self.template(template).is_some()
    }

    pub(super) fn template(&self, id: u8) -> Option<&Template> {
        let at = (id + MAX_TEMPLATES as u8 - self.offset) % MAX_TEMPLATES as u8;
        self.table.get(usize::from(at)).filter(|_| at < self.templates)
    }

    /// One with these templates, in the order of their layers; `protected_by` names each target's chain. `None` when
    /// that cannot be written.
    pub fn new(
        offset: u8,
        templates: &[Template],
        targets: u8,
        protected_by: &[u8],
        sizes: [u16; MAX_SPATIAL],
    ) -> Option<Self> {
        let mut out = Self { offset, targets, templates: templates.len() as u8, sizes, ..Self::default() };
        out.table.get_mut(..templates.len())?.copy_from_slice(templates);
        out.protected_by.get_mut(..protected_by.len())?.copy_from_slice(protected_by);
        out.chains = protected_by.iter().max().map_or(0, |last| last + 1);
        let mut pairs = templates.iter().zip(templates.iter().skip(1));
        let in_order = pairs.all(|(a, b)| {
            (b.spatial == a.spatial && (a.temporal..=a.temporal + 1).contains(&b.temporal))
                || (b.spatial == a.spatial + 1 && b.temporal == 0)
        });
        let counts = (1..=MAX_TARGETS as u8).contains(&targets) && out.chains <= targets && offset < 64;
        let protected = protected_by.is_empty() || protected_by.len() == usize::from(targets);
        let first = templates.first().is_some_and(|t| (t.spatial, t.temporal) == (0, 0));
        let last = templates.last().is_some_and(|t| usize::from(t.spatial) < MAX_SPATIAL);
        out.derive();
        (in_order && counts && protected && first && last).then_some(out)
    }

    /// Reads one; what was there is overwritten, also when it turns out to be cut short.
    pub(super) fn read(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        *self = Self::default();
        self.offset = bits.take(6)? as u8;
        let targets = bits.take(5)? as u8 + 1;
        let templates = self.read_layers(bits)?;
        for template in self.table.iter_mut().take(templates) {
            for target in 0..targets {
                let bit = 1 << target;
                match bits.take(2)? {
                    0 => {}
                    2 => {
                        (template.present, template.switch) = (template.present | bit, template.switch | bit)
                    }
                    _ => template.present |= bit,
                }
            }
        }
        for template in self.table.iter_mut().take(templates) {
            while bits.flag()? {
                template.references.push(bits.take(4)? as u16 + 1)?;
            }
        }
        self.chains = bits.below(u32::from(targets) + 1)? as u8;
        if self.chains > 0 {
            for chain in self.protected_by.iter_mut().take(targets.into()) {
                *chain = bits.below(self.chains.into())? as u8;
            }
            for template in self.table.iter_mut().take(templates) {
                for distance in template.chains.iter_mut().take(self.chains.into()) {
                    *distance = bits.take(4)? as u8;
                }
            }
        }
        let highest = self.table.iter().take(templates).map(|t| t.spatial).max().unwrap_or_default();
        if bits.flag()? {
            for size in self.sizes.iter_mut().take(usize::from(highest) + 1) {
                let (width, height) = (bits.take(16)?, bits.take(16)?);
                *size = (width.min(height) + 1).min(u16::MAX.into()) as u16;
            }
        }
        // Only now: what was cut short has no templates.
        (self.targets, self.templates) = (targets, templates as u8);
        self.derive();
        Some(())
    }

    /// What follows from the templates.
    fn derive(&mut self) {
        let used = self.table.iter().take(self.templates.into());
        let all = self.all();
        for ((target, layers), covers) in (0..self.targets).zip(&mut self.layers).zip(&mut self.covers) {
            let part = used.clone().filter(|t| t.present >> target & 1 == 1);
            *layers = part.fold((0, 0), |(s, t), one| (s.max(one.spatial), t.max(one.temporal)));
            let without = used.clone().filter(|t| t.present >> target & 1 == 0);
            *covers = all & !without.fold(0, |sum, one| sum | one.present);
        }
    }

    /// Returns how many templates there are.
    fn read_layers(&mut self, bits: &mut Bits<'_>) -> Option<usize> {
        let (mut spatial, mut temporal) = (0, 0);
        for (at, template) in self.table.iter_mut().enumerate() {
            (template.spatial, template.temporal) = (spatial, temporal);
            match bits.take(2)? {
                0 => {}
                1 => temporal += 1,
                2 => (spatial, temporal) = (spatial + 1, 0),
                _ => return Some(at + 1),
            }
            if usize::from(spatial) >= MAX_SPATIAL || temporal > 7 {
                return None;
            }
        }
        None
    }
}
