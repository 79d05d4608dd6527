//! One viewer behind a bad link: bounds for what each scene of [`scenarios::bandwidth`] may come to. Queues are what speech
//! waits, which is sent all the time; the figures are in `docs/decisions/0024-queue-and-pacing.md`.

use scenarios::bandwidth::{Outcome, Phase, named, run};

fn play(name: &str) -> Outcome {
    let scenes = named(name);
    let [scene] = scenes.as_slice() else { panic!("{} scenes are called {name}", scenes.len()) };
    run(scene)
}

fn only(name: &str) -> Phase {
    let outcome = play(name);
    let [phase] = outcome.phases.as_slice() else { panic!("{name} has phases") };
    phase.clone()
}

fn three(name: &str) -> [Phase; 3] {
    play(name).phases.try_into().unwrap()
}

/// Speech's p95 in ms, video's loss of 1.
fn assert_queue(phase: &Phase, p95: f64, loss: f64) {
    assert!(phase.speech[1] <= p95 && phase.queue[1] <= p95 && phase.loss <= loss, "{phase}");
    assert!(phase.speech_loss <= 0.003, "{phase}");
}

#[test]
fn one_source_behind_1_megabit() {
    let p = only("1 source, 1 Mbit/s, 64 kB");
    assert_queue(&p, 60.0, 0.002);
    assert!(p.media > 500e3 && p.switches <= 4 && p.still < 0.5, "{p}");
}

#[test]
fn one_source_behind_a_queue_that_holds_no_key_frame() {
    let p = only("1 source, 1.5 Mbit/s, 20 kB");
    assert_queue(&p, 40.0, 0.006);
    assert!(p.media > 500e3 && p.switches <= 4 && p.still < 0.5, "{p}");
}

#[test]
fn four_sources_behind_3_megabits_with_a_long_queue_and_with_a_short_one() {
    for name in ["4 sources, 3 Mbit/s, 500 kB", "4 sources, 3 Mbit/s, 64 kB"] {
        let p = only(name);
        assert_queue(&p, 60.0, 0.003);
        assert!(p.queue[2] < 160.0 && p.media > 2e6 && p.switches <= 14 && p.still < 0.6, "{p}");
    }
}

#[test]
fn nine_sources_behind_4_megabits() {
    let p = only("9 sources, 4 Mbit/s");
    assert_queue(&p, 100.0, 0.003);
    assert!(p.queue[0] < 40.0 && p.media > 3e6 && p.still < 0.8 && p.dark < 0.5, "{p}");
}

#[test]
fn four_sources_behind_400_kilobits_begin_without_filling_the_queue() {
    let p = only("4 sources, 400 kbit/s");
    assert_queue(&p, 100.0, 0.004);
    assert!(p.queue[2] < 220.0 && p.media > 180e3 && p.still < 1.0, "{p}");
}

#[test]
fn a_link_that_carries_no_picture_at_all_is_not_filled_either() {
    let p = only("150 kbit/s");
    assert!(p.speech[1] < 80.0 && p.loss < 0.01 && p.speech_loss < 0.003, "{p}");
    // One for the smallest picture is tried, and found.
    let p = only("300 kbit/s");
    assert_queue(&p, 220.0, 0.004);
    assert!(p.media > 170e3 && p.dark < 12.0, "{p}");
}

#[test]
fn three_megabits_then_two_then_three() {
    let [before, narrow, after] = three("3, 2, 3 Mbit/s");
    assert_queue(&before, 60.0, 0.003);
    assert_queue(&narrow, 100.0, 0.002);
    assert_queue(&after, 60.0, 0.004);
    assert!(before.media > 2e6 && narrow.media > 1.4e6 && after.media > 2e6, "{before}\n{narrow}\n{after}");
}

#[test]
fn ten_megabits_then_half_a_megabit_then_ten() {
    let [_, narrow, after] = three("10, 0.5, 10 Mbit/s, 1");
    // Until it is found out, 0.4 s, the queue fills for 1 s.
    assert!(narrow.queue[1] <= 500.0 && narrow.speech[1] <= 450.0 && narrow.loss < 0.012, "{narrow}");
    assert!(narrow.media > 200e3 && narrow.still < 0.9, "{narrow}");
    assert!(after.full_after.is_some_and(|t| t <= 3.0) && after.media > 1.65e6, "{after}");
}

#[test]
fn four_sources_go_on_soon_after_ten_megabits_became_half_a_megabit() {
    for (name, still) in
        [("10, 0.5, 10 Mbit/s, 4 sources", 1.0), ("10, 0.5, 10 Mbit/s, 4 sources, 20 kB", 1.7)]
    {
        let phases = run(named(name).iter().find(|s| s.name == name).unwrap()).phases;
        let [_, narrow, after] = phases.as_slice() else { panic!("{name} has three phases") };
        assert!(narrow.queue[1] <= 200.0 && narrow.speech[1] <= 150.0 && narrow.still <= still, "{narrow}");
        assert!(after.full_after.is_some_and(|t| t <= 4.0) && after.media > 6.5e6, "{after}");
    }
}

#[test]
fn ten_megabits_then_one_then_ten_with_four_sources() {
    let [before, narrow, after] = three("10, 1, 10");
    assert!(before.media > 7.0e6, "{before}");
    assert_queue(&narrow, 150.0, 0.07);
    assert!(narrow.media > 650e3 && narrow.still < 1.8 && narrow.dark < 30.0, "{narrow}");
    assert!(after.full_after.is_some_and(|t| t <= 4.0) && after.media > 6.5e6, "{after}");
}

#[test]
fn a_source_of_one_size_above_the_first_estimate_is_forwarded_where_the_link_carries_it() {
    for (name, rate) in
        [("one size of 9 Mbit/s", 9e6), ("one size of 15 Mbit/s", 15e6), ("one size of 5 Mbit/s", 15e6)]
    {
        let p = only(name);
        assert!(p.media > 0.9 * rate && p.loss < 0.003 && p.still < 0.5, "{name}: {p}");
        assert!(p.full_after.is_some_and(|t| t <= 3.0), "{name}: {p}");
    }
}

#[test]
fn jitter_is_no_queue() {
    for name in ["jitter 150 ms", "jitter 300 ms", "Wi-Fi"] {
        let p = only(name);
        assert!(p.media > 6.9e6 && p.loss < 0.01 && p.still < 1.0, "{name}: {p}");
    }
}

#[test]
fn the_losses_of_a_radio_link_are_no_reason_to_send_less() {
    for (name, still) in [("loss 1 %", 0.5), ("loss 8 %", 0.7)] {
        let p = only(name);
        assert!(p.media > 7.0e6 && p.still < still, "{name}: {p}");
    }
    // Pictures of few packets, twice or three times: those of seven would hardly ever come whole.
    for (name, still, more) in [("loss 12 %", 0.8, 1.2e6), ("loss 20 %", 1.0, 2.6e6)] {
        let p = only(name);
        assert!(p.media > 1.8e6 && p.padding > more && p.still < still && p.dark < 0.1, "{name}: {p}");
    }
    for name in ["loss 5 % in bursts", "loss 5 %"] {
        let p = run(named(name).iter().find(|s| s.name == name).unwrap()).phases.remove(0);
        assert!(p.media > 6.4e6 && p.still < 0.8, "{name}: {p}");
    }
}

#[test]
fn speech_is_sent_again_on_links_that_lose_much_by_themselves_and_nowhere_else() {
    // Of a minute, the seconds included in which the losses show.
    for (name, again) in [("loss 8 %", 2_500), ("loss 12 %", 2_500), ("loss 20 %", 5_000)] {
        let p = only(name);
        assert!(p.speech_loss <= 0.02 && p.again >= again, "{name}: {p}");
    }
    // Losses that come together are many while they are looked into.
    let bursts = only("loss 5 % in bursts");
    assert!(bursts.again < 1_200, "{bursts}");
    // Most of the others are queues that overflow: more packets are the wrong answer. Whose queue it is shows late beside a download.
    let lossy = ["loss 8 %", "loss 12 %", "loss 20 %", "loss 5 % in bursts"];
    for scene in scenarios::bandwidth::all().iter().filter(|s| !lossy.contains(&s.name)) {
        for phase in run(scene).phases {
            let most = if scene.name.contains("download") { 300 } else { 0 };
            assert!(phase.again <= most, "{}: {phase}", scene.name);
        }
    }
}

#[test]
fn an_outage_is_over_when_it_is_over() {
    let [_, _, after] = three("2 s outage");
    assert!(after.media > 7.0e6 && after.full_after.is_some_and(|t| t < 1.0), "{after}");
    // Two seconds of it are the outage.
    assert!(after.still < 3.2, "{after}");
}

#[test]
fn others_get_their_part_and_leave_us_ours() {
    let [before, beside, after] = three("1.2 Mbit/s of others");
    for phase in [&before, &beside, &after] {
        assert_queue(phase, 160.0, 0.006);
        assert!(phase.media > 450e3 && phase.still < 0.6, "{phase}");
    }
    assert!(beside.others > 1.15e6, "{beside}");
    let [_, beside, after] = three("a download");
    assert!(beside.media > 0.7e6 && beside.others > 0.8e6 && beside.still < 3.5, "{beside}");
    assert!(after.media > 1.8e6 && after.loss < 0.01, "{after}");
}

#[test]
fn the_same_scene_gives_the_same_figures() {
    let scene = &named("jitter 300 ms")[0];
    assert_eq!(run(scene).to_json(), run(scene).to_json());
}
