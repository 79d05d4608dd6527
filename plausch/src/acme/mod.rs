//! A wish for a certificate in; the certificate, renewed in time, for the front's TLS out, and lines and figures about it.
//!
//! [`plan`] decides when to try and what a failure means, [`order`] talks to the directory, [`issued`] looks at what it says,
//! [`store`] keeps it. Nothing here stops the front: it serves what it has.

pub(crate) mod challenges;
mod directory;
mod elsewhere;
pub(crate) mod former;
mod issued;
mod limits;
mod order;
mod plan;
mod store;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use jitsi_xmpp::{Entropy as _, Sensitive};
use rustls::sign::CertifiedKey;
use service::certificate::Validity;
use service::{Exposition, SystemEntropy};
use tokio::sync::watch;

use self::challenges::Challenges;
use self::directory::Directory;
pub(crate) use self::directory::read_roots;
use self::issued::Issued;
pub(crate) use self::limits::NAMES;
pub(crate) use self::plan::Proof;
use self::plan::{Blame, Failure, Next, Plan};
use self::store::{Kept, Store};
use crate::options::named;

/// What the admin asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    /// Where everything is kept.
    pub(crate) state: PathBuf,
    /// Lower-case; at least one.
    pub(crate) names: Vec<String>,
    pub(crate) email: Option<String>,
    /// `https://…`
    pub(crate) directory: String,
    /// `None`: whatever works.
    pub(crate) proof: Option<Proof>,
    /// A file with roots for the directory itself, beside the machine's.
    pub(crate) roots: Option<PathBuf>,
    pub(crate) external: Option<External>,
}

/// An account elsewhere that this one belongs to (RFC 8555 §7.3.4).
#[derive(Debug, Clone)]
pub(crate) struct External {
    pub(crate) id: String,
    pub(crate) key: Sensitive<Vec<u8>>,
}

/// Certificates by ACME.
#[derive(Debug)]
pub(crate) struct Acme {
    wish: Wish,
    store: Store,
    pub(crate) challenges: Arc<Challenges>,
    figures: Figures,
    /// What could not be written yet.
    unwritten: Mutex<Option<String>>,
    /// Why nothing can be written, as of the last look.
    unwritable: Mutex<Option<String>>,
}

#[derive(Debug, Default)]
struct Figures {
    issued: AtomicU64,
    failures: [AtomicU64; Blame::ALL.len()],
    /// Seconds of the calendar; 0: never.
    last_failure: AtomicU64,
}

impl Acme {
    pub(crate) fn new(wish: Wish) -> Arc<Self> {
        let store = Store::new(&wish.state, &wish.directory);
        let challenges = Arc::default();
        Arc::new(Self {
            wish,
            store,
            challenges,
            figures: Figures::default(),
            unwritten: Mutex::default(),
            unwritable: Mutex::default(),
        })
    }

    /// The names, the first of which is the main one.
    pub(crate) fn names(&self) -> &[String] {
        &self.wish.names
    }

    /// The certificate of an earlier run, when it is for these names. It may be over: nobody has a better one.
    pub(crate) fn kept(&self) -> Option<(Arc<CertifiedKey>, Validity)> {
        let text = self.store.read(Kept::Certificate)?;
        match Issued::read(&text, &text, &self.wish.names) {
            Ok(issued) => Some((issued.key, issued.validity)),
            Err(wrong) => {
                tracing::info!("the certificate in {} is not used: {wrong}", self.store.folder().display());
                None
            }
        }
    }

    /// Counters for the admin.
    pub(crate) fn write_metrics(&self, out: &mut Exposition) {
        let f = &self.figures;
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        out.counter("plausch_acme_certificates", "Certificates from the directory.", get(&f.issued));
        out.counters(
            "plausch_acme_failures",
            "Attempts without a certificate, by whose fault.",
            "blame",
            Blame::ALL.iter().zip(&f.failures).map(|(blame, n)| (blame.name(), get(n))),
        );
        out.gauge(
            "plausch_acme_state_writable",
            "Whether a certificate could be kept in state.dir; 0: the one that there is will not be renewed.",
            f64::from(u8::from(self.unwritable().is_none())),
        );
        out.gauge(
            "plausch_acme_last_failure_timestamp_seconds",
            "When the last attempt without a certificate ended; 0 when none has since the start or the last success.",
            get(&f.last_failure) as f64,
        );
    }

    /// Why a certificate could not be kept, if it is so: then none is ordered, and the one that there is runs out.
    pub(crate) fn unwritable(&self) -> Option<String> {
        self.unwritable.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks whether one could be kept, long before there is one to keep. `quiet`: somebody else says it.
    async fn look(&self, quiet: bool) {
        let store = self.store.clone();
        let checked = blocking(move || store.check()).await;
        let now = checked
            .err()
            .map(|e| format!("cannot write to {} (state.dir): {e}", self.store.folder().display()));
        let before = std::mem::replace(
            &mut *self.unwritable.lock().unwrap_or_else(PoisonError::into_inner),
            now.clone(),
        );
        match (before, now) {
            (None, Some(why)) if !quiet => {
                tracing::warn!("the certificate will not be renewed: {}", named(&why));
            }
            (Some(_), None) => tracing::info!("{} can be written again", self.store.folder().display()),
            _ => {}
        }
    }

    /// Gets certificates, one after the other, until the end. `served` is used already; `replace` takes new ones into use.
    pub(crate) async fn keep(
        self: Arc<Self>,
        served: Option<Validity>,
        replace: impl Fn(Arc<CertifiedKey>),
        mut end: watch::Receiver<bool>,
    ) {
        let names = self.wish.names.join(", ");
        let now = SystemTime::now();
        let wait = self.store.read(Kept::Wait).and_then(|text| store::wait_of(&text, &self.wish.names));
        let mut plan = Plan::new(now, served, wait, dice());
        if served.is_none() {
            tracing::info!(
                "until {} has issued a certificate for {names}, browsers warn of our own",
                self.wish.directory
            );
        }
        let mut said: Option<(Blame, String)> = None;
        loop {
            let proofs = match plan.poll(SystemTime::now()) {
                Next::Order(proofs) => proofs,
                Next::Wait(until) => {
                    // What the disk did to an attempt has been said.
                    let lost = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).is_some();
                    let told = said.as_ref().is_some_and(|(blame, _)| *blame == Blame::Disk);
                    self.look(told || lost).await;
                    let mut sleep = until.duration_since(SystemTime::now()).unwrap_or_default();
                    if self.write_again().await {
                        sleep = sleep.min(limits::WRITE_AGAIN);
                    }
                    tokio::select! {
                        // Not to the millisecond before, which would be a second look.
                        () = tokio::time::sleep(sleep.min(limits::LOOK) + Duration::from_millis(1)) => continue,
                        _ = end.wait_for(|e| *e) => return,
                    }
                }
            };
            let it = Arc::clone(&self);
            // A task of its own, so that a fault in it is a failed attempt and not the end of the process.
            let mut attempt = tokio::task::JoinSet::new();
            attempt.spawn(async move { in_time(it.attempt(proofs)).await });
            let done = tokio::select! {
                done = attempt.join_next() => done,
                _ = end.wait_for(|e| *e) => return,
            };
            let done = match done {
                Some(Ok(done)) => done,
                _ => Err(Failure::new(Blame::Bug, "the attempt broke off")),
            };
            let now = SystemTime::now();
            match done {
                Ok(issued) => {
                    plan.handle_certificate(now, issued.validity, dice());
                    said = None;
                    self.figures.issued.fetch_add(1, Ordering::Relaxed);
                    self.figures.last_failure.store(0, Ordering::Relaxed);
                    replace(issued.key);
                    tracing::info!("a new certificate for {names} is used");
                }
                Err(mut failure) => {
                    if failure.blame == Blame::Proof
                        && let Some(name) = self.wish.names.first().cloned()
                    {
                        let leads = blocking(move || elsewhere::said_blocking(&name)).await;
                        failure.reason = format!("{}; {leads}", failure.reason);
                    }
                    let wait = plan.handle_failure(now, &failure, dice());
                    if let Some(n) = self.figures.failures.get(failure.blame.index()) {
                        n.fetch_add(1, Ordering::Relaxed);
                    }
                    self.figures.last_failure.store(seconds(now), Ordering::Relaxed);
                    self.keep_wait(failure.blame, now, wait).await;
                    let new = (failure.blame, failure.reason);
                    let secs = wait.as_secs();
                    // One line for what goes on; whoever watches it has the figures.
                    let told = failure.blame == Blame::Disk && self.unwritable().is_some();
                    if told || said.as_ref() == Some(&new) {
                        tracing::debug!("no certificate for {names}: {}; next try in {secs} s", new.1);
                        said = Some(new);
                    } else {
                        let why = named(&new.1);
                        tracing::warn!("no certificate for {names}: {why}; next try in {secs} s");
                        said = Some(new);
                    }
                }
            }
        }
    }

    async fn attempt(&self, proofs: [Proof; 2]) -> Result<Issued, Failure> {
        // Kept before anything is asked: who is started over and over must not ask each time, and what cannot be kept is not ordered.
        let began = SystemTime::now() + limits::AFTER_START;
        self.write(Kept::Wait, store::wait_text(began, &self.wish.names)).await?;
        let roots = self.wish.roots.clone();
        let way = blocking(move || Directory::new(roots.as_deref())).await;
        let way = way.map_err(|e| {
            let why = "the roots that the directory is trusted by are not there (install ca-certificates, or set https.acme.roots)";
            Failure::new(Blame::Disk, format!("{why}: {e}"))
        })?;
        let delivered = match self.order(&way, true, proofs).await {
            Err(failure) if order::is_unknown(&failure) => self.order(&way, false, proofs).await?,
            other => other?,
        };
        let lie =
            |wrong: issued::Wrong| Failure::new(Blame::Lie, format!("the certificate is refused: {wrong}"));
        let issued = Issued::read(&delivered.chain, &delivered.key, &self.wish.names).map_err(lie)?;
        issued.check(SystemTime::now()).map_err(lie)?;
        let text = format!("{}{}", delivered.key, delivered.chain);
        if let Err(failure) = self.write(Kept::Certificate, text.clone()).await {
            tracing::warn!("a new certificate is used, and lost with a restart: {}", failure.reason);
            *self.unwritten.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        } else {
            let store = self.store.clone();
            blocking(move || store.remove(Kept::Wait)).await;
        }
        Ok(issued)
    }

    async fn order(
        &self,
        way: &Directory,
        with_kept: bool,
        proofs: [Proof; 2],
    ) -> Result<order::Delivered, Failure> {
        let store = self.store.clone();
        let kept = blocking(move || store.read(Kept::Account).filter(|_| with_kept)).await;
        let known = order::account(&self.wish, kept.as_deref(), way).await?;
        if let Some(new) = &known.new {
            self.write(Kept::Account, new.clone()).await?;
        }
        order::order(&self.wish, &known, way, &self.challenges, proofs).await
    }

    /// What the next start is to know of a failure.
    async fn keep_wait(&self, blame: Blame, now: SystemTime, wait: Duration) {
        let store = self.store.clone();
        let until = match blame {
            // It counts nowhere, or is mended by the admin, who starts us again then.
            Blame::Directory | Blame::Disk => return blocking(move || store.remove(Kept::Wait)).await,
            Blame::Rate | Blame::Lie => now + wait,
            Blame::Proof | Blame::Refusal | Blame::Bug => return,
        };
        let _ = self.write(Kept::Wait, store::wait_text(until, &self.wish.names)).await;
    }

    /// Writes what could not be written; whether it still cannot.
    async fn write_again(&self) -> bool {
        let text = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(text) = text else { return false };
        if self.write(Kept::Certificate, text).await.is_err() {
            return true;
        }
        tracing::info!("the certificate is kept in {} now", self.store.folder().display());
        *self.unwritten.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let store = self.store.clone();
        blocking(move || store.remove(Kept::Wait)).await;
        false
    }

    async fn write(&self, kept: Kept, text: String) -> Result<(), Failure> {
        let store = self.store.clone();
        let folder = store.folder().display().to_string();
        blocking(move || store.write(kept, &text))
            .await
            .map_err(|e| Failure::new(Blame::Disk, format!("cannot write to {folder} (state.dir): {e}")))
    }
}

/// An attempt ends, whatever the directory does.
async fn in_time<T>(attempt: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let late = |_| Failure::new(Blame::Directory, "the directory is not done in time");
    tokio::time::timeout(limits::ATTEMPT, attempt).await.map_err(late)?
}

/// Off the threads that signalling lives on: a disk may be slow.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    }
}

fn dice() -> u32 {
    let mut bytes = [0; 4];
    SystemEntropy.fill(&mut bytes);
    u32::from_le_bytes(bytes)
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_attempt_ends_at_its_limit() {
        let just = async {
            tokio::time::sleep(limits::ATTEMPT - Duration::from_millis(1)).await;
            Ok(7)
        };
        assert_eq!(in_time(just).await, Ok(7));
        let begun = tokio::time::Instant::now();
        let never = in_time::<()>(std::future::pending()).await.unwrap_err();
        assert_eq!((never.blame, begun.elapsed().as_secs()), (Blame::Directory, limits::ATTEMPT.as_secs()));
    }

    /// A process that dies in the middle of an order, over and over, would order each time.
    #[tokio::test]
    async fn an_order_is_written_down_before_it_begins() {
        let state = std::env::temp_dir().join(format!("plausch-acme-began-{}", std::process::id()));
        let names = vec!["meet.example".to_owned()];
        let acme = Acme::new(Wish {
            state: state.clone(),
            names: names.clone(),
            email: None,
            directory: "https://127.0.0.1:1/".into(),
            proof: None,
            roots: None,
            external: None,
        });
        let now = SystemTime::now();
        assert!(acme.attempt([Proof::Http, Proof::Tls]).await.is_err());
        let until = store::wait_of(&acme.store.read(Kept::Wait).unwrap(), &names).unwrap();
        let wait = until.duration_since(now).unwrap();
        assert!(wait <= limits::AFTER_START + Duration::from_secs(9), "{wait:?}");
        assert!(wait >= limits::AFTER_START - Duration::from_secs(2), "{wait:?}");
        std::fs::remove_dir_all(state).unwrap();
    }
}
