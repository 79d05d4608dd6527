//! SIGUSR2 or an admin's wish in; a process with the program that is installed now, which gets the sockets and is told which meetings go
//! on here, out; and the end of this one when they are over.

use std::collections::HashSet;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use focus_server::FocusHandle;
use jitsi_xmpp::Sensitive;
use prosody_server::ServerHandle;
use service::limits::LINE_DESCRIPTORS;
use service::line::{self, Line};
use service::{ServiceManager, sockets};
use tokio::net::UnixStream;
use tokio::signal::unix::Signal;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use turn_server::TurnHandle;
use videobridge_server::BridgeHandle;

use super::limits;
use super::predecessor::Before;
use super::state::{Does, Upgrades};
use super::words::{VERSION, Word};
use crate::restart;
use crate::serve::{self, Serving};

/// A process that can have a successor: its parts, and what is in them.
pub(crate) struct Old {
    pub(crate) program: Option<PathBuf>,
    pub(crate) xmpp: ServerHandle,
    pub(crate) focus: FocusHandle,
    pub(crate) bridge: BridgeHandle,
    pub(crate) turn: Option<TurnHandle>,
    /// With which it makes credentials, where it made that itself.
    pub(crate) turn_secret: Option<Sensitive<String>>,
    /// Rooms of this domain are services'.
    pub(crate) internal: String,
    pub(crate) before: Option<Before>,
    /// How people whom the successor sends are served.
    pub(crate) router: Router,
    pub(crate) serving: Arc<Serving>,
    /// How long meetings may go on after an upgrade.
    pub(crate) patience: Duration,
    pub(crate) upgrades: Upgrades,
    pub(crate) end: watch::Sender<bool>,
}

/// A successor that could serve.
struct Successor {
    line: Line,
    process: u32,
}

impl Successor {
    /// Nothing came of it.
    fn kill(&self) {
        kill(self.process);
    }
}

/// What became of it.
enum Outcome {
    /// It is gone, and all are ours again.
    Died,
    /// All is said and done here.
    Done,
}

impl Old {
    /// Waits for upgrades until the end.
    pub(crate) async fn keep(
        self,
        mut signals: Signal,
        mut wishes: mpsc::Receiver<()>,
        mut end: watch::Receiver<bool>,
    ) {
        loop {
            tokio::select! {
                Some(()) = signals.recv() => {}
                Some(()) = wishes.recv() => {}
                _ = end.wait_for(|e| *e) => return,
            }
            self.upgrades.set(Does::Starts);
            let done = tokio::select! {
                done = self.upgrade(&mut signals, &mut wishes) => done,
                _ = end.wait_for(|e| *e) => return,
            };
            match done {
                Ok(Outcome::Done) => {
                    self.end.send_replace(true);
                    return;
                }
                Ok(Outcome::Died) => {
                    tracing::error!("the new process has ended: this one takes everybody again");
                    self.upgrades.failed("the new process has ended");
                }
                Err(why) => {
                    tracing::error!("no upgrade, and all goes on as it was: {why}");
                    self.upgrades.failed(why);
                }
            }
        }
    }

    async fn upgrade(
        &self,
        signals: &mut Signal,
        wishes: &mut mpsc::Receiver<()>,
    ) -> Result<Outcome, &'static str> {
        if std::process::id() == 1 {
            return Err(
                "the container would end with its first process; drain it and start another one (plausch drain --wait)",
            );
        }
        let before = self.before.as_ref().map_or(0, |b| b.left().1);
        if before >= limits::BEFORE {
            return Err(
                "meetings go on in as many processes of before as there may be; wait until one of them has ended",
            );
        }
        let program = self.program.clone().ok_or("the program has no file")?;
        let works = {
            let program = program.clone();
            tokio::task::spawn_blocking(move || restart::works(&program)).await.unwrap_or(false)
        };
        if !works {
            return Err("the program that is installed does not run");
        }
        tracing::info!("an upgrade: another process starts, and meetings go on here");
        let successor = self.start(&program, before).await?;
        // An admin's drain stays, whatever becomes of the upgrade.
        let drained = self.focus.stats().await.is_some_and(|s| s.draining);
        let handed = self.hand_over(&successor).await;
        if handed.is_err() {
            successor.kill();
            self.take_again(drained).await;
        }
        let told = handed?;
        if let Some(manager) = ServiceManager::of_environment() {
            manager.succeeded_by(successor.process);
        }
        self.upgrades.set(Does::Drains);
        tracing::info!(
            process = successor.process,
            "the new process serves; this one ends when its meetings have ended"
        );
        let outcome = self.accompany(&successor, told, signals, wishes).await;
        if matches!(outcome, Outcome::Died) {
            self.take_again(drained).await;
        }
        Ok(outcome)
    }

    /// Starts it and waits until it could serve.
    async fn start(&self, program: &Path, before: u8) -> Result<Successor, &'static str> {
        const NO_DESCRIPTORS: &str = "there are no more descriptors";
        let (ours, theirs) = line::pair().map_err(|_| NO_DESCRIPTORS)?;
        let line = Line::of(ours).map_err(|_| NO_DESCRIPTORS)?;
        let child = spawn(program, theirs).map_err(|_| "the new process could not be started")?;
        let process = child.id();
        reap(child).map_err(|_| "no thread for the new process")?;
        let turn = self.turn_secret.as_ref().map(|s| s.reveal().clone());
        let hello = Word::Hello { version: VERSION, before: before + 1, turn };
        let media = self.bridge.hand_over().map_err(|_| NO_DESCRIPTORS)?;
        let listening = sockets::copies().map_err(|_| NO_DESCRIPTORS)?;
        let turn = self.turn.as_ref().and_then(|turn| turn.hand_over().ok());
        const ENDED: &str = "the new process has ended before it served; what it has to say stands above";
        let telling = async {
            line.send(&hello.to_bytes(), &[]).await?;
            for (word, all) in [(Word::Sockets, &listening), (Word::Media, &media)] {
                for some in all.chunks(LINE_DESCRIPTORS) {
                    let some: Vec<BorrowedFd<'_>> = some.iter().map(|s| s.as_fd()).collect();
                    line.send(&word.to_bytes(), &some).await?;
                }
            }
            let turn: Vec<BorrowedFd<'_>> = turn.iter().map(|t| t.as_fd()).collect();
            line.send(&Word::Turn.to_bytes(), &turn).await?;
            line.receive().await
        };
        match timeout(limits::READY, telling).await {
            Ok(Ok(Some((message, _)))) if Word::of(&message) == Some(Word::Ready) => {
                Ok(Successor { line, process })
            }
            Ok(_) => Err(ENDED),
            Err(_) => {
                kill(process);
                Err("the new process was not ready in time")
            }
        }
    }

    /// From here on nobody is let in by us. The rooms that it was told of.
    async fn hand_over(&self, successor: &Successor) -> Result<HashSet<String>, &'static str> {
        const ENDED: &str = "the new process has ended before it served";
        if !self.focus.set_draining(true).await {
            return Err("the focus does not answer");
        }
        sockets::set_taking(false);
        let rooms = self.settled().await.ok_or("the XMPP server does not answer")?;
        let line = &successor.line;
        tell_rooms(line, &rooms.all, &HashSet::new()).await.map_err(|_| ENDED)?;
        line.send(&Word::Begin.to_bytes(), &[]).await.map_err(|_| ENDED)?;
        match timeout(limits::SERVING, line.receive()).await {
            Ok(Ok(Some((message, _)))) if Word::of(&message) == Some(Word::Serving) => {}
            _ => return Err(ENDED),
        }
        self.bridge.set_resting(true);
        if let Some(turn) = &self.turn {
            turn.set_resting(true);
        }
        Ok(rooms.all)
    }

    /// As if nothing had been.
    async fn take_again(&self, drained: bool) {
        self.bridge.set_resting(false);
        if let Some(turn) = &self.turn {
            turn.set_resting(false);
        }
        let _ = self.focus.set_draining(drained).await;
        sockets::set_taking(true);
    }

    /// Tells it which rooms are left until there are none, and serves whom it sends.
    async fn accompany(
        &self,
        successor: &Successor,
        mut told: HashSet<String>,
        signals: &mut Signal,
        wishes: &mut mpsc::Receiver<()>,
    ) -> Outcome {
        let line = &successor.line;
        let mut looks = interval(limits::LOOK);
        let mut idle = interval(limits::IDLE);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        idle.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let until = Instant::now() + self.patience;
        let places = Arc::new(Semaphore::new(limits::VISITS));
        let mut last = (u64::MAX, 0);
        loop {
            tokio::select! {
                _ = looks.tick() => {
                    let Some(rooms) = self.rooms().await else { return Outcome::Done };
                    let processes = self.before.as_ref().map_or(0, |b| b.left().1);
                    if rooms.own == 0 && processes == 0 {
                        tracing::info!("the last meeting of before the upgrade has ended");
                        return Outcome::Done;
                    }
                    let now = (rooms.meetings, processes + 1);
                    let gone: HashSet<String> = told.difference(&rooms.all).cloned().collect();
                    let come: HashSet<String> = rooms.all.difference(&told).cloned().collect();
                    if tell_rooms(line, &come, &gone).await.is_err() {
                        return Outcome::Died;
                    }
                    if now != last {
                        let word = Word::Left { meetings: now.0, processes: now.1 };
                        let _ = line.send(&word.to_bytes(), &[]).await;
                    }
                    (told, last) = (rooms.all, now);
                }
                _ = idle.tick() => self.xmpp.send_idle_away().await,
                said = line.receive() => match said {
                    Ok(Some((message, with))) => match Word::of(&message) {
                        Some(Word::Visit { peer, encrypted }) => {
                            let stream = with.into_iter().next().and_then(stream);
                            let place = Arc::clone(&places).try_acquire_owned().ok();
                            if let Some((stream, place)) = stream.zip(place) {
                                let visit = serve::Visit::sent(peer, encrypted, self.router.clone(), Arc::clone(&self.serving));
                                let end = self.end.subscribe();
                                tokio::spawn(async move {
                                    serve::sent(stream, visit, end).await;
                                    drop(place);
                                });
                            }
                        }
                        Some(Word::End) => return Outcome::Done,
                        _ => {}
                    },
                    Ok(None) | Err(_) => return Outcome::Died,
                },
                () = tokio::time::sleep_until(until) => {
                    tracing::warn!("meetings of before the upgrade have gone on for as long as they may, and end now");
                    return Outcome::Done;
                }
                Some(()) = signals.recv() => tracing::warn!("an upgrade is the new process' matter"),
                Some(()) = wishes.recv() => {}
            }
        }
    }

    /// The same once those are there that were asked for, or it took too long.
    async fn settled(&self) -> Option<Rooms> {
        let end = Instant::now() + limits::SETTLE;
        loop {
            let rooms = self.rooms().await?;
            if rooms.are_there || Instant::now() >= end {
                return Some(rooms);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// `None`: the server does not answer.
    async fn rooms(&self) -> Option<Rooms> {
        let mut own = HashSet::new();
        for room in self.xmpp.rooms().await? {
            let room = room.into_inner();
            if room.rsplit('@').next() != Some(self.internal.as_str()) {
                own.insert(room);
            }
        }
        // A meeting that somebody has asked for is not there yet.
        let conferences = self.focus.stats().await.map_or(0, |s| s.conferences);
        let (are_there, meetings) = (own.len() >= conferences, own.len().max(conferences));
        let mut all = own;
        let of_before = self.before.as_ref().map(Before::rooms).unwrap_or_default();
        let meetings_before = self.before.as_ref().map_or(0, |b| b.left().0);
        all.extend(of_before);
        Some(Rooms { are_there, own: meetings, meetings: meetings as u64 + meetings_before, all })
    }
}

struct Rooms {
    /// Whether all are that the focus knows of.
    are_there: bool,
    /// How many are here.
    own: usize,
    /// With those of the processes before.
    meetings: u64,
    /// All of them.
    all: HashSet<String>,
}

async fn tell_rooms(line: &Line, come: &HashSet<String>, gone: &HashSet<String>) -> std::io::Result<()> {
    let mut word = (Vec::new(), Vec::new());
    let mut bytes = 0;
    let all = come.iter().map(|room| (true, room)).chain(gone.iter().map(|room| (false, room)));
    for (is_new, room) in all {
        bytes += room.len();
        let list = if is_new { &mut word.0 } else { &mut word.1 };
        list.push(room.clone());
        if bytes >= limits::ROOMS_BYTES {
            let (come, gone) = std::mem::take(&mut word);
            line.send(&Word::Rooms { come, gone }.to_bytes(), &[]).await?;
            bytes = 0;
        }
    }
    if bytes > 0 {
        let (come, gone) = word;
        line.send(&Word::Rooms { come, gone }.to_bytes(), &[]).await?;
    }
    Ok(())
}

fn spawn(program: &Path, end: OwnedFd) -> std::io::Result<Child> {
    let mut args = std::env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = args.next() {
        std::os::unix::process::CommandExt::arg0(&mut command, name);
    }
    // systemd's watchdog names the process that it expects to hear.
    command.args(args).stdin(Stdio::from(end)).env_remove("WATCHDOG_PID").spawn()
}

/// Waits for its end, should it come before ours: what it ended with is in its own log.
fn reap(mut child: Child) -> std::io::Result<()> {
    let thread = std::thread::Builder::new().name("successor".into()).stack_size(64 * 1024);
    thread.spawn(move || child.wait()).map(drop)
}

fn kill(process: u32) {
    if let Ok(process) = i32::try_from(process) {
        // Until it is waited for, nobody else has its number.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), nix::sys::signal::SIGKILL);
    }
}

fn stream(end: OwnedFd) -> Option<UnixStream> {
    let stream = std::os::unix::net::UnixStream::from(end);
    stream.set_nonblocking(true).ok()?;
    UnixStream::from_std(stream).ok()
}
