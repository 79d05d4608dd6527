//! What the machine can do at most: a command line in; the cost of the least work that a bridge (`forward`) or a
//! meeting server (`broadcast`) has to do on this machine, or a relay (`relay`), done in the plainest way, as one JSON object out.
#![forbid(unsafe_code)]

mod broadcast;
mod forward;
mod relay;
mod srtp;
mod thread;
mod udp;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// Measures what one core of this machine can forward or fan out at most. All traffic stays on loopback.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Video packets in, decrypted, and encrypted anew for each receiver.
    Forward(forward::Arguments),
    /// One stanza written to many WebSocket connections, again and again.
    Broadcast(broadcast::Arguments),
    /// Datagrams of one client on to a bridge and back, plainly and by our TURN server.
    Relay(relay::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().what {
        What::Forward(arguments) => forward::run(&arguments),
        What::Broadcast(arguments) => broadcast::run(&arguments),
        What::Relay(arguments) => relay::run(&arguments),
    };
    match done {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ceiling: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `--seconds`: how long to measure, at most two minutes.
fn seconds(text: &str) -> Result<Duration, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.1..=120.0).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err("must be from 0.1 to 120".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_bounded() {
        let parses = |line: &str| Arguments::try_parse_from(line.split(' ')).is_ok();
        assert!(parses("ceiling forward --fan-out 10 --size 1100 --segments 8 --profile gcm --seconds 5"));
        assert!(parses("ceiling broadcast --connections 500 --size 1500 --seconds 120"));
        assert!(parses("ceiling broadcast --gathered 8 --encrypt aes --size 600"));
        assert!(parses("ceiling relay --size 1100 --seconds 3"));
        for wrong in [
            "ceiling",
            "ceiling forward --seconds 121",
            "ceiling forward --seconds nan",
            "ceiling forward --segments 65",
            "ceiling forward --fan-out 0",
            "ceiling forward --profile none",
            "ceiling broadcast --connections 0",
            "ceiling broadcast --size 125",
            "ceiling broadcast --gathered 65",
            "ceiling broadcast --encrypt rot13",
            "ceiling relay --size 1401",
        ] {
            assert!(!parses(wrong), "{wrong}");
        }
    }
}
