//! What a link loses by itself and a camera's layers in; the layers whose pictures mostly arrive whole, out.
//!
//! Half of the pictures of seven packets lose one when a tenth of all is lost. Each is asked for again, that is lost as well now
//! and then, and whoever watches sees a few pictures a second. Smaller pictures of fewer packets come fluently.

use smallvec::SmallVec;

use super::Layer;
use crate::media::ids::Bitrate;

/// `loss`: of packets, 0 to 1. The smallest pictures always come into question.
pub(crate) fn fluent(layers: &[Layer], loss: f64) -> SmallVec<[Layer; 9]> {
    let lowest = layers.iter().map(|l| l.height).min();
    layers.iter().copied().filter(|l| Some(l.height) == lowest || arrives_whole(l, loss) >= MOSTLY).collect()
}

/// How many of a layer's pictures lose nothing.
fn arrives_whole(layer: &Layer, loss: f64) -> f64 {
    let rate =
        if layer.bitrate == Bitrate::ZERO { Layer::likely_bitrate(layer.height) } else { layer.bitrate };
    let fps = if layer.fps > 0.0 { f64::from(layer.fps) } else { USUAL_FPS };
    let packets = rate.as_f64() / 8.0 / fps / PACKET;
    (1.0 - loss.clamp(0.0, 1.0)).powf(packets.max(1.0))
}

const MOSTLY: f64 = 0.5;
const USUAL_FPS: f64 = 30.0;
/// Bytes of a picture's packet, as browsers cut them.
const PACKET: f64 = 1_150.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::allocation::LayerId;
    use crate::media::ids::EncodingIx;

    fn heights(loss: f64) -> Vec<i32> {
        let layers: Vec<Layer> = [(180, 150), (360, 500), (720, 1_700)]
            .into_iter()
            .enumerate()
            .map(|(n, (height, kbits))| Layer {
                id: LayerId::all_of(EncodingIx(n as u8)),
                height,
                fps: 30.0,
                bitrate: Bitrate(kbits * 1_000),
            })
            .collect();
        fluent(&layers, loss).iter().map(|l| l.height).collect()
    }

    #[test]
    fn the_more_is_lost_the_smaller_are_the_pictures_that_come_fluently() {
        assert_eq!(heights(0.0), [180, 360, 720]);
        assert_eq!(heights(0.08), [180, 360, 720]);
        assert_eq!(heights(0.15), [180, 360]);
        assert_eq!(heights(0.30), [180, 360]);
        assert_eq!(heights(0.40), [180]);
        assert_eq!(heights(1.0), [180], "something is always better than nothing");
    }
}
