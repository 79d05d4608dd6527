//! A room of cameras that show a film, and a browser that watches them over a bad network: one JSON object a line in (what the
//! viewer does, how the network is), one a line out.
//!
//! | in | out |
//! |---|---|
//! | `{"invite": ID}` | `{"offer": SDP, "sources": [name, …]}` |
//! | `{"accept": ID, "ufrag": …, "pwd": …, "fingerprint": …, "speaks": SSRC}` | `{"accepted": ID}` |
//! | `{"network": {"up": WAY, "down": WAY}}`, WAY = `{"rate": bit/s, "queue": bytes, "delay_ms": …, "loss": 0…1}` | `{"network": "set"}` |
//! | `{"waited": true}`: since the last question | `{"p50_ms": …, "p95_ms": …, "dropped": …}` |
//! | `{"leave": ID}` | `{"left": ID}` |

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use impairment::{Conditions, Direction, Proxy};
use serde_json::{Value, json};

use super::colibri::{Bridge, Capabilities};
use super::film::Film;
use super::generator::Generator;
use super::limits;
use super::offer;
use super::scenario::{Member, Plan};
use super::sender::{ENCODINGS, Pattern};
use super::session::{Session, Stop};

/// What to do.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// The bridge's private HTTP interface, http://HOST:PORT.
    #[arg(long)]
    pub bridge: String,
    /// File with the token that this interface asks for, if it does.
    #[arg(long)]
    pub token_file: Option<PathBuf>,
    /// Folder with the film: 180.ivf, 360.ivf, 720.ivf.
    #[arg(long)]
    pub film: PathBuf,
    /// Cameras; the first one speaks, too.
    #[arg(long, default_value_t = 4)]
    pub cameras: usize,
    /// Where chance begins.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Serves its standard input until that ends.
///
/// # Errors
/// One line that says what did not work.
pub fn run(arguments: &Arguments) -> Result<Value> {
    let a = arguments;
    if !(2..=limits::WATCHED).contains(&a.cameras) {
        bail!("--cameras takes 2 to {}", limits::WATCHED);
    }
    let film = Film::read(&a.film, &ENCODINGS.map(|(_, _, height)| height))?;
    let camera =
        |n| Member { camera: Some(Pattern::Simulcast), microphone: n == 0, height: 0, after: Duration::ZERO };
    let rooms = vec![(0..a.cameras).map(camera).collect()];
    let plan = Plan { rooms, network: None, steps: Vec::new(), repair: true };
    let bridge = Bridge::new(&a.bridge, a.token_file.as_deref())?;
    let can = Capabilities { ssrc_rewriting: false, transport_cc: true };
    let stop = Stop::new(false);
    let generator = Generator::start(None, None)?;
    let session = Session::new(bridge.clone(), generator, &plan, can.clone(), a.seed, None, &stop)
        .showing(Arc::new(film));
    session.join()?;
    let mut viewer = Viewer { bridge, session: &session, can, network: None, seed: a.seed };
    for line in std::io::stdin().lock().lines() {
        let line = line.context("standard input broke off")?;
        let asked = serde_json::from_str(&line).with_context(|| format!("not understood: {line}"))?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", viewer.answer(&asked)?).context("nobody reads our standard output")?;
    }
    Ok(json!({}))
}

/// Whoever watches, one after the other, and their network.
struct Viewer<'a> {
    bridge: Bridge,
    session: &'a Session<'a>,
    can: Capabilities,
    network: Option<Network>,
    seed: u64,
}

impl Viewer<'_> {
    fn answer(&mut self, asked: &Value) -> Result<Value> {
        let meeting = self.session.meeting(0);
        let text = |name: &str| asked.get(name).and_then(Value::as_str);
        if let Some(id) = text("invite") {
            let create = super::colibri::create(&meeting, false, id, &self.can);
            let remote = super::colibri::remote(&self.bridge.modify(&create)?)?;
            let network = match &mut self.network {
                Some(network) => network,
                none => none.insert(Network::start(remote.address, self.seed)?),
            };
            let sources = self.session.sources(0);
            let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
            let offer = offer::sdp(&remote, network.proxy.address(), &sources);
            return Ok(json!({ "offer": offer, "sources": names }));
        }
        if let Some(id) = text("accept") {
            let word = |name: &str| text(name).map(str::to_owned).with_context(|| format!("no {name}"));
            let credentials = (word("ufrag")?, word("pwd")?);
            let ssrc = asked.get("speaks").and_then(Value::as_u64).and_then(|ssrc| ssrc.try_into().ok());
            let name = format!("{id}-a0");
            let sources = ssrc.map(|ssrc| peer::describe::audio_source(&name, ssrc)).into_iter().collect();
            let accept = super::colibri::accept(&meeting, id, &credentials, &word("fingerprint")?, sources);
            self.bridge.modify(&accept)?;
            return Ok(json!({ "accepted": id }));
        }
        if let Some(id) = text("leave") {
            if !self.bridge.expire(&meeting, [id.to_owned()]) {
                bail!("the bridge did not let {id} go");
            }
            return Ok(json!({ "left": id }));
        }
        let network = self.network.as_mut().context("nobody was invited yet")?;
        if let Some(ways) = asked.get("network") {
            for (name, direction) in [("up", Direction::Up), ("down", Direction::Down)] {
                network.set(direction, conditions(ways.get(name).unwrap_or(&Value::Null)));
            }
            return Ok(json!({ "network": "set" }));
        }
        if asked.get("waited").is_some() {
            return Ok(network.waited());
        }
        bail!("not understood: {asked}")
    }
}

fn conditions(way: &Value) -> Conditions {
    let number = |name: &str| way.get(name).and_then(Value::as_f64);
    let perfect = Conditions::PERFECT;
    Conditions {
        loss: number("loss").unwrap_or_default(),
        delay: Duration::from_secs_f64(number("delay_ms").unwrap_or_default().clamp(0.0, 10_000.0) / 1_000.0),
        rate: number("rate").map(|rate| rate as u64),
        queue_bytes: number("queue").map_or(perfect.queue_bytes, |bytes| bytes as usize),
        ..perfect
    }
}

/// The way between the bridge and the browser, and how long its queue is.
struct Network {
    proxy: Arc<Proxy>,
    shared: Arc<Shared>,
    dropped: u64,
}

/// What the network and the thread that looks at its queue tell each other.
#[derive(Default)]
struct Shared {
    end: AtomicBool,
    rate: Mutex<Option<u64>>,
    /// Milliseconds that the newest datagram would wait, one for each look; some five minutes of them.
    waits: Mutex<Vec<f64>>,
}

impl Network {
    fn start(bridge: std::net::SocketAddr, seed: u64) -> Result<Self> {
        let proxy = Proxy::start(bridge, seed, Conditions::PERFECT, Conditions::PERFECT);
        let proxy = Arc::new(proxy.context("no impairment proxy")?);
        let shared = Arc::<Shared>::default();
        let (seen, told) = (Arc::clone(&proxy), Arc::clone(&shared));
        std::thread::spawn(move || {
            while !told.end.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(10));
                let waiting = seen.counters().down.waiting_bytes;
                let Some(rate) = *lock(&told.rate) else { continue };
                let mut waits = lock(&told.waits);
                if waits.len() < limits::LOOKS {
                    waits.push(waiting as f64 * 8_000.0 / rate as f64);
                }
            }
        });
        Ok(Self { proxy, shared, dropped: 0 })
    }

    fn set(&self, direction: Direction, conditions: Conditions) {
        self.proxy.set(direction, conditions);
        if direction == Direction::Down {
            *lock(&self.shared.rate) = conditions.rate;
        }
    }

    fn waited(&mut self) -> Value {
        let mut waits = std::mem::take(&mut *lock(&self.shared.waits));
        waits.sort_by(f64::total_cmp);
        let at = |share: f64| waits.get((waits.len() as f64 * share) as usize).copied().unwrap_or_default();
        let dropped = self.proxy.counters().down.dropped;
        let since = dropped - std::mem::replace(&mut self.dropped, dropped);
        json!({ "p50_ms": at(0.5), "p95_ms": at(0.95), "dropped": since })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.shared.end.store(true, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
