//! Temporal layers of VP8: a frame with its layer and sync bit in, whether it is sent out.

use videobridge_rtp::codecs::Descriptor;

use super::{Filter, Wish};

impl Filter {
    /// One layer up at a time: a frame with the sync bit refers to the base layer alone, and later frames of its layer to
    /// nothing of that layer before it. A layer above may still refer to older ones of this layer.
    pub(super) fn choose_vp8(&mut self, d: &Descriptor, sync: bool, wish: Wish) -> bool {
        let raises = sync && d.temporal <= wish.temporal && Some(d.temporal) == self.temporal.checked_add(1);
        if d.key_frame || raises || wish.temporal < self.temporal {
            self.temporal = if raises && !d.key_frame { d.temporal } else { wish.temporal };
        }
        d.temporal <= self.temporal
    }
}
