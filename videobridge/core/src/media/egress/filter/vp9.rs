//! Spatial and temporal layers of VP9 by its own payload descriptor: frames in, whether they are sent out.

use videobridge_rtp::codecs::{Descriptor, Layering};

use super::{Filter, Picture, Wish};

impl Filter {
    /// Goes down before a picture begins; spatial layers only to one of which nothing is missing.
    pub(super) fn end_picture_vp9(&mut self, last: Picture, wish: Wish) {
        self.temporal = self.temporal.min(wish.temporal);
        self.needs_key_frame = false;
        if last.known == 0 {
            return;
        }
        let top = (u8::BITS - 1 - last.known.leading_zeros()) as u8;
        self.lacking = if top < self.spatial { self.lacking.saturating_add(1) } else { 0 };
        // One picture without its upper layer is an encoder in need, several are a layer that ended.
        let wanted = if self.lacking >= LACKING { wish.spatial.min(top) } else { wish.spatial };
        if wanted < self.spatial {
            let lower = (wanted..self.spatial).find(|layer| self.whole >> layer & 1 == 1);
            self.spatial = lower.unwrap_or(self.spatial);
            if self.partial >> self.spatial & 1 == 1 {
                self.temporal = 0;
            }
            self.needs_key_frame = wanted < self.spatial;
            if self.needs_key_frame {
                // What can be saved until it comes.
                self.temporal = 0;
            }
        }
    }

    pub(super) fn choose_vp9(&mut self, d: &Descriptor, wish: Wish) -> bool {
        let Layering::Vp9 { predicted, inter_layer, switches_up, supports } = d.layering else { return true };
        let bit = 1 << d.spatial;
        if d.key_frame {
            // What came of the picture before it is part of it.
            let came = self.picture().sent;
            (self.spatial, self.temporal, self.whole, self.lacking) = (0, wish.temporal, came, 0);
            self.needs_key_frame = false;
            self.key_at = self.newest;
            self.end_with(wish.spatial);
        }
        let goes_down = wish.spatial < self.spatial;
        if switches_up && d.temporal <= self.temporal && !goes_down {
            self.temporal = self.temporal.max(wish.temporal);
        }
        if d.temporal > self.temporal {
            return false;
        }
        let picture = self.picture();
        // The layer below may come late: only what was left out on purpose is missing.
        let below = bit >> 1;
        let can = (!predicted || self.whole & bit != 0)
            && (!inter_layer || picture.known & below & !picture.sent == 0);
        let sent = if d.spatial > self.spatial {
            // Up in key pictures alone: of others the layer below has ended the picture already.
            let climbs = d.spatial <= picture.top && can;
            if climbs {
                self.spatial = d.spatial;
            } else if d.spatial <= wish.spatial && d.temporal == 0 {
                self.needs_key_frame = true;
            }
            climbs
        } else {
            // The layer it gets broke off.
            self.needs_key_frame |= !can && d.spatial == self.spatial;
            can && (d.spatial == self.spatial || supports)
        };
        if d.temporal > 0 {
            self.partial |= if sent { 0 } else { bit };
        } else {
            self.partial &= !bit;
            self.whole = if sent { self.whole | bit } else { self.whole & !bit };
            let newest = self.newest;
            self.left_out
                .get_mut(usize::from(d.spatial))
                .filter(|_| !sent)
                .into_iter()
                .for_each(|at| *at = newest);
        }
        sent
    }
}

/// Pictures in a row without the layer a receiver gets after which that layer counts as ended.
const LACKING: u8 = 5;
