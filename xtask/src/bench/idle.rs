//! A server that has nothing to do: what to run, and from the reports the figures.

use super::figure::{Figure, Target, Unit};
use super::join;
use super::media;
use super::options::Options;
use super::plan::{Measured, Part, Subject};
use super::xmpp;

/// Parts that `--scenario` can name.
pub(crate) const PARTS: &[&str] = &["start", "sessions", "sessions-10000", "room10"];

/// The named part, or all.
pub(crate) fn parts(options: &Options) -> Vec<Part> {
    let wanted = |name: &str| options.scenario.as_deref().is_none_or(|n| n == name);
    let mut parts = Vec::new();
    if wanted("start") {
        parts.push(join::start(options));
    }
    if wanted("sessions") {
        let words = ["--occupants", "1000", "--seconds", "5"].map(str::to_owned).to_vec();
        let mut steps = vec![
            xmpp::load("ours".into(), Subject::Ours, "idle", words.clone(), 9),
            xmpp::load(WITH_TOKENS.into(), Subject::OursWithTokens, "idle", words.clone(), 9),
        ];
        if xmpp::with_peer(options) {
            steps.push(xmpp::load("peer".into(), Subject::Peer, "idle", words, 14));
        }
        parts.push(Part { name: "sessions", rounds: options.rounds.min(3), steps });
    }
    if wanted("sessions-10000") {
        let words = ["--occupants", "10000", "--seconds", "2"].map(str::to_owned).to_vec();
        let steps = vec![xmpp::load("ours".into(), Subject::Ours, "idle", words, 15)];
        parts.push(Part { name: "sessions-10000", rounds: options.rounds.min(2), steps });
    }
    if wanted("room10") {
        parts.push(media::room10(options));
    }
    parts
}

/// Lines of the table.
pub(crate) fn figures(m: &Measured) -> Vec<Figure> {
    let mut all: Vec<Figure> = join::start_time(m).into_iter().collect();
    if m.has("start") {
        let of = |pointer: &str| m.samples("start", "ours", pointer);
        let memory = of("/idle_rss_bytes");
        all.push(
            Figure::new("idle.memory", "idle memory, all in one", Unit::Bytes, memory)
                .target(Target::AtMost(40e6)),
        );
        all.push(Figure::new("idle.cpu", "idle CPU, share of a core", Unit::Share, of("/idle_cpu_share")));
    }
    if m.has("sessions") {
        let of = |step: &str, pointer: &str| m.samples("sessions", step, pointer);
        let (memory, login) = ("/rss_per_session_bytes", "/login/cpu_ns_per_login");
        all.push(
            Figure::new(
                "idle.memory_per_session",
                "memory per idle session",
                Unit::Bytes,
                of("ours", memory),
            )
            .peer(of("peer", memory))
            .target(Target::AtMost(15e3)),
        );
        all.push(
            Figure::new("idle.cpu_per_login", "CPU per login", Unit::Nanoseconds, of("ours", login))
                .peer(of("peer", login))
                .target(Target::OfPeer(10.0)),
        );
        let with_tokens = of(WITH_TOKENS, login)
            .zip(of("ours", login))
            .and_then(|(token, anonymous)| token.zip(&anonymous, |token, anonymous| token / anonymous));
        let what = "CPU per login with a token (RS256) ÷ without";
        all.push(
            Figure::new("idle.login_with_token", what, Unit::Times, with_tokens).target(Target::AtMost(1.5)),
        );
    }
    if m.has("sessions-10000") {
        let memory = m.samples("sessions-10000", "ours", "/server_rss_bytes");
        let what = "memory of the server with 10,000 idle sessions";
        all.push(
            Figure::new("idle.memory_of_10000", what, Unit::Bytes, memory).target(Target::AtMost(200e6)),
        );
    }
    all.extend(media::room10_figures(m).into_iter().take(1));
    all
}

/// Key of the step in which people have tokens.
const WITH_TOKENS: &str = "ours with tokens";
