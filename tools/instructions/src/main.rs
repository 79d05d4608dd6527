//! A scenario's name in; the pure cores driven through it, always the same way, so that their instructions can be
//! counted. One line of JSON out: how often the counted work was done.
//!
//! `cargo xtask instructions` runs this below valgrind's callgrind, which counts inside [`counted`] only: connecting
//! hundreds of clients costs more than what is measured, and DTLS is random.
#![forbid(unsafe_code)]

mod focus;
mod media;
mod signalling;

use std::process::ExitCode;

/// What a scenario did inside [`counted`].
struct Done {
    /// What one of `units` is.
    unit: &'static str,
    units: u64,
}

/// A scenario: name, what happens.
type Scenario = (&'static str, fn() -> Done);

const SCENARIOS: &[Scenario] = &[
    ("forward-10", media::forward_among_ten),
    ("fan-out-300", media::fan_out_to_300),
    ("fan-out-300-two-parts", media::fan_out_to_300_in_two_parts),
    ("audio-3-to-100", media::audio_of_three_to_100),
    ("presence-500", signalling::presence_to_500),
    ("join-400", signalling::join_into_400),
    ("login", signalling::login),
    ("focus-presence", || focus::presence(0)),
    ("focus-presence-beside-1000", || focus::presence(focus::BESIDE)),
    ("focus-sources", || focus::source_add(0)),
    ("focus-sources-beside-1000", || focus::source_add(focus::BESIDE)),
    ("focus-request", || focus::request(0)),
    ("focus-request-beside-1000", || focus::request(focus::BESIDE)),
    ("focus-bridge", || focus::statistics(0)),
    ("focus-bridge-beside-1000", || focus::statistics(focus::BESIDE)),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let scenario = match words.as_slice() {
        [word] if word == "--list" => {
            SCENARIOS.iter().for_each(|(name, _)| println!("{name}"));
            return ExitCode::SUCCESS;
        }
        [word] => SCENARIOS.iter().find(|(name, _)| name == word),
        _ => None,
    };
    let Some((name, run)) = scenario else {
        eprintln!("usage: instructions <scenario> | --list");
        return ExitCode::from(2);
    };
    let Done { unit, units } = run();
    println!(r#"{{"scenario":"{name}","unit":"{unit}","units":{units}}}"#);
    ExitCode::SUCCESS
}

/// Runs `work` where callgrind counts. It finds this function by its name (`--toggle-collect`), so calls must not be
/// inlined, nested or be the last thing done here.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
    std::hint::black_box(());
}
