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
    /// Occupants of rooms of an XMPP server, over WebSocket.
    Signalling(loadgen::signalling::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().what {
        What::Media(arguments) => loadgen::media::run(&arguments),
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
