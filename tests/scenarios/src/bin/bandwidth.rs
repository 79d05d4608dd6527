//! Parts of scenes' names in; their figures out, as a table or, with `--json`, one line for each scene.

use scenarios::bandwidth::{self, Outcome};

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let json = words.iter().any(|w| w == "--json");
    let curve = words.iter().any(|w| w == "--curve");
    words.retain(|w| !w.starts_with("--"));
    let scenes = bandwidth::all();
    for scene in scenes.iter().filter(|s| words.is_empty() || words.iter().any(|w| s.name.contains(w))) {
        let outcome = bandwidth::run(scene);
        if json {
            println!("{}", outcome.to_json());
        } else {
            print(&outcome);
        }
        if curve {
            for (n, s) in outcome.tenths.iter().enumerate() {
                println!(
                    "    {:5.1} s: link {:6.0} k, estimate {:6.0} k, media {:6.0} k, padding {:5.0} k, queue {:4.0} ms",
                    n as f64 / 10.0,
                    s.link.unwrap_or(0) as f64 / 1e3,
                    s.estimate.unwrap_or(0) as f64 / 1e3,
                    s.media / 1e2,
                    s.padding / 1e2,
                    s.queue,
                );
            }
        }
    }
}

fn print(outcome: &Outcome) {
    println!("{}", outcome.name);
    for phase in &outcome.phases {
        println!("  {:>11}: {phase}", phase.name);
    }
}
