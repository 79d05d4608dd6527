//! The load generator's command line: a scenario and its target in, one report out.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Loads a bridge or a meeting server and reports what it took.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Participants that send and receive audio and video through a bridge with Colibri2 over HTTP.
    Media(loadgen::media::Arguments),
    /// Cameras that show a film, for a browser that watches them over a bad network: JSON lines in and out.
    Watched(loadgen::media::watched::Arguments),
    /// Occupants of rooms of an XMPP server, over WebSocket.
    Signalling(loadgen::signalling::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().what {
        What::Media(arguments) => loadgen::media::run(&arguments),
        What::Watched(arguments) => loadgen::media::watched::run(&arguments),
        What::Signalling(arguments) => loadgen::signalling::run(&arguments),
    };
    match done {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("loadgen: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pages tell how to measure one's own machine.
    #[test]
    fn commands_on_the_admin_s_pages_are_understood() {
        let pages = [
            include_str!("../../../docs/admin/operation.md"),
            include_str!("../../../docs/admin/betrieb.md"),
        ];
        for page in pages {
            let lines = page.lines().filter_map(|line| line.trim().split_once("-p loadgen -- "));
            let mut read = 0;
            for (_, words) in lines {
                let words: Vec<&str> =
                    words.split("  #").next().unwrap_or(words).split_whitespace().collect();
                let arguments = std::iter::once("loadgen").chain(words.iter().copied());
                if let Err(e) = Arguments::try_parse_from(arguments) {
                    panic!("{words:?}: {e}");
                }
                read += 1;
            }
            assert!(read > 1);
        }
    }
}
