//! The words behind `bench` in; what to measure, how often and against whom, or what is wrong with them, out.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result, bail};

/// One of the four benches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bench {
    Media,
    Xmpp,
    Join,
    Idle,
}

impl Bench {
    /// All, in the order in which they run.
    pub(crate) const ALL: [Self; 4] = [Self::Idle, Self::Media, Self::Xmpp, Self::Join];

    /// The word on the command line and in the report.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Media => "media",
            Self::Xmpp => "xmpp",
            Self::Join => "join",
            Self::Idle => "idle",
        }
    }
}

/// A server that is not ours, by address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    /// As given.
    pub(crate) url: String,
    /// Where it listens; always loopback.
    pub(crate) address: SocketAddr,
    /// Its process, for its CPU time and memory.
    pub(crate) pid: Option<u32>,
}

/// Everything that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) benches: Vec<Bench>,
    /// `http://…`: a bridge with Colibri2 over HTTP.
    pub(crate) bridge: Option<Peer>,
    /// `ws://…`: a meeting server.
    pub(crate) meeting_server: Option<Peer>,
    pub(crate) with_prosody: bool,
    /// XMPP domain and room domain of the meeting server.
    pub(crate) domain: Option<String>,
    pub(crate) muc: Option<String>,
    pub(crate) rounds: u32,
    pub(crate) seconds: u64,
    pub(crate) scenario: Option<String>,
    pub(crate) json: bool,
    pub(crate) svg: bool,
    pub(crate) write_docs: bool,
}

impl Options {
    /// Reads the words behind `bench`.
    ///
    /// # Errors
    /// A word that is unknown, lacks its value or has a wrong one.
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut it = Self {
            benches: Vec::new(),
            bridge: None,
            meeting_server: None,
            with_prosody: false,
            domain: None,
            muc: None,
            rounds: 5,
            seconds: 10,
            scenario: None,
            json: false,
            svg: false,
            write_docs: false,
        };
        // The peer that a following --pid belongs to.
        let mut last_is_bridge = None;
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match word {
                "media" | "xmpp" | "join" | "idle" => {
                    let bench = Bench::ALL.into_iter().find(|b| b.name() == word);
                    it.benches.extend(bench.filter(|b| !it.benches.contains(b)));
                }
                "--peer" => {
                    let url = value()?;
                    let (is_bridge, peer) = peer(url)?;
                    let place = if is_bridge { &mut it.bridge } else { &mut it.meeting_server };
                    if let Some(other) = place.replace(peer) {
                        bail!("--peer: one of a kind, not both {} and {url}", other.url);
                    }
                    last_is_bridge = Some(is_bridge);
                }
                "--pid" => {
                    let pid: u32 =
                        value()?.parse().ok().filter(|p| *p > 0).context("--pid: not a process id")?;
                    let place = match last_is_bridge {
                        Some(true) => &mut it.bridge,
                        Some(false) => &mut it.meeting_server,
                        None => bail!("--pid belongs behind --peer"),
                    };
                    if let Some(peer) = place {
                        peer.pid = Some(pid);
                    }
                }
                "--with-prosody" => it.with_prosody = true,
                "--domain" => it.domain = Some(value()?.to_owned()),
                "--muc" => it.muc = Some(value()?.to_owned()),
                "--rounds" => it.rounds = number(word, value()?, MAX_ROUNDS)?,
                "--seconds" => it.seconds = number(word, value()?, MAX_SECONDS)?.into(),
                "--scenario" => it.scenario = Some(value()?.to_owned()),
                "--json" => it.json = true,
                "--svg" => it.svg = true,
                "--write-docs" => (it.svg, it.write_docs) = (true, true),
                _ => bail!("bench does not know `{word}`"),
            }
        }
        if it.benches.is_empty() {
            it.benches = Bench::ALL.to_vec();
        }
        it.benches.sort_by_key(|b| Bench::ALL.iter().position(|a| a == b));
        it.check()?;
        Ok(it)
    }

    fn check(&self) -> Result<()> {
        let uses = |bench: Bench| self.benches.contains(&bench);
        if self.with_prosody && self.meeting_server.is_some() {
            bail!("--with-prosody and --peer ws://…: one meeting server at a time");
        }
        if self.bridge.is_some() && !(uses(Bench::Media) || uses(Bench::Join) || uses(Bench::Idle)) {
            bail!("a bridge as --peer is for the benches media, join and idle");
        }
        let signalling = uses(Bench::Xmpp) || uses(Bench::Join) || uses(Bench::Idle);
        if (self.meeting_server.is_some() || self.with_prosody) && !signalling {
            bail!("a meeting server as peer is for the benches xmpp, join and idle");
        }
        let named = |name: &Option<String>| name.is_some() && self.meeting_server.is_none();
        if named(&self.domain) || named(&self.muc) {
            bail!("--domain and --muc say the names of the meeting server given with --peer ws://…");
        }
        Ok(())
    }
}

/// Whether it is a bridge, and where it is.
fn peer(url: &str) -> Result<(bool, Peer)> {
    let (is_bridge, rest, port) = if let Some(rest) = url.strip_prefix("http://") {
        (true, rest, 80)
    } else if let Some(rest) = url.strip_prefix("ws://") {
        (false, rest, 80)
    } else {
        bail!(
            "--peer {url}: begins with http:// (a bridge) or ws:// (a meeting server); TLS would be measured along"
        );
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let with_port = if authority.rsplit_once(':').is_some_and(|(_, p)| p.parse::<u16>().is_ok()) {
        authority.to_owned()
    } else {
        format!("{authority}:{port}")
    };
    let local = |address: &SocketAddr| address.ip().is_loopback();
    let ip_or_local = authority == "localhost"
        || authority.starts_with("localhost:")
        || with_port.parse::<SocketAddr>().is_ok_and(|a| local(&a))
        || authority.parse::<IpAddr>().is_ok_and(|a| a.is_loopback());
    if !ip_or_local {
        bail!("--peer {url}: only a server on this machine's loopback address is loaded");
    }
    let address = with_port
        .to_socket_addrs()
        .with_context(|| format!("--peer {url}: not an address"))?
        .find(local)
        .with_context(|| format!("--peer {url}: not an address"))?;
    Ok((is_bridge, Peer { url: url.to_owned(), address, pid: None }))
}

fn number(word: &str, value: &str, most: u32) -> Result<u32> {
    let number = value.parse().ok().filter(|n| (1..=most).contains(n));
    number.with_context(|| format!("{word} {value}: a number from 1 to {most}"))
}

/// More rounds than this tell nothing more.
const MAX_ROUNDS: u32 = 100;
/// Longest single run.
const MAX_SECONDS: u32 = 600;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        Options::parse(&line.split_ascii_whitespace().collect::<Vec<_>>())
    }

    fn error(line: &str) -> String {
        parse(line).unwrap_err().to_string()
    }

    #[test]
    fn without_words_everything_is_measured_five_times() {
        let all = parse("").unwrap();
        assert_eq!(all.benches, Bench::ALL);
        assert_eq!((all.rounds, all.seconds, all.json, all.svg), (5, 10, false, false));
    }

    #[test]
    fn every_option_has_its_place() {
        let line = "xmpp media --peer http://127.0.0.1:8080 --pid 7 --peer ws://localhost:5280/xmpp-websocket --pid 8 \
                    --domain d --muc m.d --rounds 3 --seconds 2 --scenario fan-out --json --svg";
        let it = parse(line).unwrap();
        assert_eq!(it.benches, [Bench::Media, Bench::Xmpp]);
        let bridge = it.bridge.unwrap();
        assert_eq!((bridge.address.port(), bridge.pid), (8080, Some(7)));
        let server = it.meeting_server.unwrap();
        assert_eq!((server.address.port(), server.pid), (5280, Some(8)));
        assert_eq!((it.rounds, it.seconds), (3, 2));
        assert_eq!(it.scenario.as_deref(), Some("fan-out"));
        assert!(it.json && it.svg && !it.write_docs);
        assert!(parse("--write-docs").unwrap().svg, "documentation without its curves is not complete");
    }

    #[test]
    fn wrong_words_are_refused_by_name() {
        for (line, part) in [
            ("video", "`video`"),
            ("--fast", "`--fast`"),
            ("--rounds", "needs a value"),
            ("--rounds 0", "1 to 100"),
            ("--rounds 101", "1 to 100"),
            ("--seconds 601", "1 to 600"),
            ("--seconds x", "1 to 600"),
            ("--pid 7", "behind --peer"),
            ("--peer http://127.0.0.1:1 --pid 0", "process id"),
            ("--peer https://127.0.0.1:1", "http://"),
            ("--peer http://127.0.0.1:1 --peer http://127.0.0.1:2", "one of a kind"),
            ("--peer ws://127.0.0.1:1/x --with-prosody", "one meeting server"),
            ("media --with-prosody", "xmpp, join and idle"),
            ("xmpp --peer http://127.0.0.1:1", "media, join and idle"),
            ("--domain d", "--peer ws://"),
        ] {
            assert!(error(line).contains(part), "{line}: {}", error(line));
        }
        assert!(parse("--rounds 100 --seconds 600").is_ok());
    }

    #[test]
    fn only_loopback_is_loaded() {
        for url in [
            "http://192.0.2.1:8080",
            "http://meet.example:8080",
            "ws://[2001:db8::1]:5280/x",
            "http://",
            // A name that only looks like loopback.
            "http://127.0.0.1.example:8080",
            "http://localhost.example",
            "http://user@192.0.2.1:80",
        ] {
            assert!(error(&format!("--peer {url}")).contains("loopback"), "{url}");
        }
        for url in ["http://127.0.0.1:8080", "http://127.0.0.9", "ws://[::1]:5280/x", "ws://localhost/x"] {
            assert!(parse(&format!("--peer {url}")).is_ok(), "{url}: {:?}", parse(&format!("--peer {url}")));
        }
    }
}
