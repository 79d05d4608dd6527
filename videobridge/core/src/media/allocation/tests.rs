//! Upstream's expected results, as listed in its allocation tests, and the rules around them.

use jitsi_xmpp::ids::SourceName;
use jitsi_xmpp::jingle::VideoType;

use super::Layer;
use super::LayerId;
use super::allocate::{Share, allocate};
use super::effective::{Offered, Wanted, effective};
use super::settings::{AudioSubscription, VideoSettings, VideoUpdate};
use crate::media::ids::{Bitrate, EncodingIx, SourceIx};

fn ladder() -> Vec<Layer> {
    let mut layers = Vec::new();
    for (encoding, (height, kbps)) in [(180, 150.0), (360, 500.0), (720, 2000.0)].into_iter().enumerate() {
        for (temporal, (fps, part)) in [(7.5, 0.33), (15.0, 0.66), (30.0, 1.0)].into_iter().enumerate() {
            let id = LayerId { encoding: EncodingIx(encoding as u8), spatial: 0, temporal: temporal as u8 };
            layers.push(Layer { id, height, fps, bitrate: Bitrate((kbps * part * 1000.0) as u64) });
        }
    }
    layers
}

fn wanted(kind: VideoType, stage: bool, heights: [i32; 4]) -> Vec<Wanted> {
    let on_stage = |source| stage && source == 0;
    let kind = |source| if source == 0 { kind } else { VideoType::Camera };
    (0..4)
        .map(|s| Wanted { source: SourceIx(s), kind: kind(s), max_height: heights[s], on_stage: on_stage(s) })
        .collect()
}

/// Names like upstream's: `180p7`, `–` = suspended, `!` = oversending.
fn at(kbps: i64, wanted: &[Wanted]) -> String {
    let mut shares: Vec<_> = wanted.iter().map(|w| Share::new(*w, &ladder())).collect();
    let over = allocate(Some(Bitrate(kbps as u64 * 1000)), &mut shares);
    let name =
        |s: &Share| s.target().map_or_else(|| "-".to_owned(), |l| format!("{}p{}", l.height, l.fps as i32));
    let list: Vec<_> = shares.iter().map(name).collect();
    format!("{}{}", list.join(" "), if over { " !" } else { "" })
}

/// First estimate at which each allocation appears, in steps of 10 kbit/s.
fn steps(to: i64, wanted: &[Wanted]) -> Vec<(i64, String)> {
    let mut out: Vec<(i64, String)> = Vec::new();
    for kbps in (0..=to).step_by(10) {
        let now = at(kbps, wanted);
        if out.last().is_none_or(|(_, last)| *last != now) {
            out.push((kbps, now));
        }
    }
    out
}

#[test]
fn compat_tile_view_fills_in_rounds() {
    let got = steps(2500, &wanted(VideoType::Camera, false, [180; 4]));
    let at: Vec<i64> = got.iter().map(|(k, _)| *k).collect();
    assert_eq!(at, [0, 50, 100, 150, 200, 250, 300, 350, 400, 450, 500, 550, 610]);
    assert_eq!(got[1].1, "180p7 - - -");
    assert_eq!(got[4].1, "180p7 180p7 180p7 180p7");
    assert_eq!(got[12].1, "180p30 180p30 180p30 180p30");

    let got = steps(2500, &wanted(VideoType::Camera, false, [360; 4]));
    let at: Vec<i64> = got.iter().map(|(k, _)| *k).collect();
    assert_eq!(at[13..], [960, 1310, 1660, 2010]);
    assert_eq!(got[16].1, "360p30 360p30 360p30 360p30");
}

#[test]
fn compat_stage_view_serves_the_stage_first() {
    let got = steps(2600, &wanted(VideoType::Camera, true, [720, 180, 180, 180]));
    let at: Vec<i64> = got.iter().map(|(k, _)| *k).collect();
    assert_eq!(at[..14], [0, 50, 100, 150, 500, 550, 600, 650, 700, 750, 800, 850, 900, 960]);
    assert_eq!(got[4].1, "360p30 - - -");
    assert_eq!(got[14], (2150, "720p30 180p7 180p7 180p7".to_owned()));
    assert_eq!(got.last().unwrap(), &(2460, "720p30 180p30 180p30 180p30".to_owned()));
}

#[test]
fn compat_stage_with_last_n_one() {
    let got = steps(2600, &wanted(VideoType::Camera, true, [720, 0, 0, 0]));
    let at: Vec<i64> = got.iter().map(|(k, _)| *k).collect();
    assert_eq!(at, [0, 50, 100, 150, 500, 2010]);
    assert_eq!(got[5].1, "720p30 - - -");
}

#[test]
fn compat_screen_share_on_stage_oversends() {
    let got = steps(2600, &wanted(VideoType::Desktop, true, [720, 180, 180, 180]));
    assert_eq!(got[0], (0, "360p30 - - - !".to_owned()));
    assert_eq!(got[1], (160, "720p7 - - - !".to_owned()));
    assert_eq!(got[2], (660, "720p7 - - -".to_owned()));
    assert_eq!(got[3], (1320, "720p15 - - -".to_owned()));
    assert_eq!(got[4], (2000, "720p30 - - -".to_owned()));
    assert_eq!(got[5], (2050, "720p30 180p7 - -".to_owned()));
    assert_eq!(got.last().unwrap(), &(2460, "720p30 180p30 180p30 180p30".to_owned()));
}

#[test]
fn compat_a_wish_between_180_and_360_lets_everything_below_360_pass() {
    let odd: Vec<_> = ladder()
        .into_iter()
        .map(|l| Layer { height: if l.height == 180 { 270 } else { l.height }, ..l })
        .collect();
    let got = [181, 270, 359].map(|height| {
        let mut shares = [Share::new(wanted(VideoType::Camera, false, [height; 4])[0], &odd)];
        allocate(None, &mut shares);
        shares[0].target().map(|l| (l.height, l.fps as i32))
    });
    assert_eq!(got, [Some((270, 30)); 3], "270 lines where 181 are wished");
    let thumbnail = [Share::new(wanted(VideoType::Camera, false, [180; 4])[0], &ladder())];
    assert_eq!(thumbnail[0].ideal().map(|l| l.height), Some(180), "not where a thumbnail is");
}

#[test]
fn nothing_is_allocated_with_last_n_zero() {
    assert_eq!(at(5000, &wanted(VideoType::Camera, true, [0; 4])), "- - - -");
}

#[test]
fn forwarding_starts_before_any_layer_was_measured() {
    let idle: Vec<_> = ladder().into_iter().map(|l| Layer { bitrate: Bitrate::ZERO, ..l }).collect();
    let mut shares = [Share::new(wanted(VideoType::Camera, false, [180; 4])[0], &idle)];
    allocate(None, &mut shares);
    assert_eq!(shares[0].target().map(|l| l.height), Some(180));
}

#[test]
fn inactive_layers_are_left_out() {
    let low: Vec<_> = ladder()
        .into_iter()
        .map(|l| if l.height > 180 { Layer { bitrate: Bitrate::ZERO, ..l } } else { l })
        .collect();
    let mut shares = [Share::new(wanted(VideoType::Camera, true, [720; 4])[0], &low)];
    allocate(None, &mut shares);
    assert_eq!(shares[0].target().map(|l| l.id.encoding), Some(EncodingIx::FIRST));
    assert_eq!(shares[0].ideal().map(|l| l.id.encoding), Some(EncodingIx::FIRST));
}

fn order(settings: &VideoSettings, kinds: [VideoType; 3], limits: &[i32]) -> Vec<(usize, i32)> {
    let names: Vec<_> = ["a-v0", "b-v0", "c-v0"].map(SourceName::new).into();
    let offered: Vec<_> =
        (0..3).map(|i| Offered { source: SourceIx(i), name: &names[i], kind: kinds[i] }).collect();
    let mut out = Vec::new();
    effective(settings, &offered, limits, &mut out);
    out.iter().map(|w| (w.source.0, w.max_height)).collect()
}

#[test]
fn stage_then_selected_then_speakers_then_switched_off() {
    let mut settings = VideoSettings::new(-1, 0);
    let names = |list: &[&str]| Some(list.iter().map(SourceName::new).collect());
    settings.apply(
        VideoUpdate {
            on_stage: names(&["c-v0"]),
            selected: names(&["b-v0", "c-v0"]),
            default_height: Some(180),
            constraints: Some([(SourceName::new("c-v0"), 720)].into_iter().collect()),
            ..VideoUpdate::default()
        },
        180,
        None,
    );
    let camera = VideoType::Camera;
    assert_eq!(order(&settings, [camera; 3], &[]), [(2, 720), (1, 180), (0, 180)]);
    assert_eq!(order(&settings, [camera; 3], &[50, -1, 2]), [(2, 720), (1, 180), (0, 0)]);
    assert_eq!(order(&settings, [VideoType::None, camera, camera], &[]), [(2, 720), (1, 180), (0, 0)]);
    settings.apply(VideoUpdate { last_n: Some(1), ..VideoUpdate::default() }, 180, None);
    assert_eq!(order(&settings, [camera; 3], &[50]), [(2, 720), (1, 0), (0, 0)]);
}

#[test]
fn sources_without_a_wish_do_not_use_up_last_n() {
    let mut settings = VideoSettings::new(1, 0);
    let update = VideoUpdate {
        default_height: Some(0),
        constraints: Some([(SourceName::new("b-v0"), 180)].into_iter().collect()),
        ..VideoUpdate::default()
    };
    settings.apply(update, 180, None);
    assert_eq!(order(&settings, [VideoType::Camera; 3], &[]), [(0, 0), (1, 180), (2, 0)]);
}

#[test]
fn compat_the_first_message_without_a_default_allows_thumbnails() {
    let mut settings = VideoSettings::new(-1, 0);
    let name = SourceName::new("a-v0");
    assert_eq!(settings.height_of(&name), 0);
    settings.apply(VideoUpdate::default(), 180, None);
    assert_eq!(settings.height_of(&name), 180);
    settings.apply(VideoUpdate { default_height: Some(0), ..VideoUpdate::default() }, 180, None);
    settings.apply(VideoUpdate::default(), 180, None);
    assert_eq!(settings.height_of(&name), 0);
}

#[test]
fn assumed_bandwidth_needs_permission_and_is_clamped() {
    let mut settings = VideoSettings::new(-1, 0);
    let assume = |bps| VideoUpdate { assumed_bandwidth_bps: Some(bps), ..VideoUpdate::default() };
    settings.apply(assume(5_000_000), 180, None);
    assert_eq!(settings.assumed_bandwidth, None);
    settings.apply(assume(5_000_000), 180, Some(Bitrate(2_000_000)));
    assert_eq!(settings.assumed_bandwidth, Some(Bitrate(2_000_000)));
    settings.apply(assume(-1), 180, Some(Bitrate(2_000_000)));
    assert_eq!(settings.assumed_bandwidth, None);
}

#[test]
fn audio_subscription_exclude_beats_include_beats_all() {
    let name = |s: &str| SourceName::new(s);
    let sub = AudioSubscription::new(false, &[name("a-a0"), name("b-a0")], &[name("b-a0")]);
    assert!(sub.wants(&name("a-a0")));
    assert!(!sub.wants(&name("b-a0")));
    assert!(!sub.wants(&name("c-a0")));
    assert!(AudioSubscription::default().wants(&name("c-a0")));
}
