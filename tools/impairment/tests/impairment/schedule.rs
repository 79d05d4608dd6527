//! Schedules say what is due when it is due; the named networks are what their names say.

use std::time::{Duration, Instant};

use impairment::{Conditions, Direction, Preset, Schedule, Step};

use crate::ms;

#[test]
fn steps_come_in_time_each_once() {
    let start = Instant::now();
    let step = |at, direction, rate| Step { at: ms(at), direction, conditions: Conditions::with_rate(rate) };
    let steps = [
        step(2000, Direction::Down, 3),
        step(0, Direction::Down, 1),
        step(1000, Direction::Up, 21),
        step(1000, Direction::Up, 22),
    ];
    let mut schedule = Schedule::new(start, &steps).unwrap();
    let mut at = |t: u64| -> Vec<(Direction, u64)> {
        let due = std::iter::from_fn(|| schedule.poll_output(start + ms(t)));
        due.map(|(d, c)| (d, c.rate.unwrap())).collect()
    };
    assert_eq!(at(0), [(Direction::Down, 1)]);
    assert_eq!(at(999), []);
    assert_eq!(at(1000), [(Direction::Up, 21), (Direction::Up, 22)], "the last word counts");
    assert_eq!(at(5000), [(Direction::Down, 3)]);
    assert_eq!(at(9000), []);
    assert_eq!(schedule.poll_timeout(), None);
}

#[test]
fn a_step_that_never_comes_is_none() {
    let step = Step { at: Duration::MAX, direction: Direction::Up, conditions: Conditions::PERFECT };
    let mut schedule = Schedule::new(Instant::now(), &[step]).unwrap();
    assert_eq!((schedule.poll_timeout(), schedule.poll_output(Instant::now())), (None, None));
}

#[test]
fn presets_have_names_and_are_found_by_them() {
    for preset in Preset::ALL {
        assert_eq!(preset.to_string().parse(), Ok(preset));
        let steps = preset.steps(ms(30_000));
        assert!(steps.iter().any(|s| s.at.is_zero()) && steps.iter().all(|s| s.at < ms(30_000)));
    }
    let error = "loss-7".parse::<Preset>().unwrap_err().to_string();
    assert!(
        error.starts_with("no network conditions called \"loss-7\"; there are perfect loss-1 "),
        "{error}"
    );
    let loss =
        |p: Preset| p.steps(ms(1)).iter().map(|s| (s.direction, s.conditions.loss)).collect::<Vec<_>>();
    assert_eq!(loss(Preset::Loss1), [(Direction::Up, 0.01), (Direction::Down, 0.01)]);
    assert_eq!(loss(Preset::Loss5), [(Direction::Up, 0.05), (Direction::Down, 0.05)]);
    assert_eq!(loss(Preset::Loss20), [(Direction::Up, 0.2), (Direction::Down, 0.2)]);
    assert!(Preset::Jitter300.steps(ms(1)).iter().all(|s| s.conditions.jitter == ms(300)));
}

#[test]
fn rate_steps_are_ten_megabits_half_a_megabit_and_ten_again() {
    for (preset, direction) in [(Preset::RateSteps, Direction::Down), (Preset::RateStepsUp, Direction::Up)] {
        let steps = preset.steps(ms(30_000));
        assert!(steps.iter().all(|s| s.direction == direction));
        let told: Vec<_> = steps.iter().map(|s| (s.at, s.conditions.rate.unwrap())).collect();
        assert_eq!(told, [(ms(0), 10_000_000), (ms(10_000), 500_000), (ms(20_000), 10_000_000)]);
    }
}
