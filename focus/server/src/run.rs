//! The one task that owns the engine: link events, commands and deadlines in; stanzas and answers out.

use std::collections::HashMap;
use std::future::Future;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot, watch};

use focus_core::{Config, Focus, HttpReply, HttpRequestId, Output, Stats};
use service::SystemEntropy;
use xmpp_link::{Link, LinkEvent};

use crate::limits;

/// The body of a `POST /conference-request/v1`.
#[derive(Clone)]
pub struct HttpConferenceRequest {
    /// As received; the engine parses it.
    pub body: Vec<u8>,
}

/// The room is personal: nothing of it is shown.
impl std::fmt::Debug for HttpConferenceRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpConferenceRequest").field("bytes", &self.body.len()).finish()
    }
}

/// Asks the running focus. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FocusHandle {
    commands: mpsc::Sender<Command>,
}

#[derive(Debug)]
enum Command {
    Conference(Vec<u8>, oneshot::Sender<HttpReply>),
    Stats(oneshot::Sender<Stats>),
}

impl FocusHandle {
    /// Passes a conference request to the engine. Always answers: 503 when the engine is overloaded or gone.
    pub async fn conference_request(&self, request: HttpConferenceRequest) -> HttpReply {
        let (reply, answer) = oneshot::channel();
        if self.commands.try_send(Command::Conference(request.body, reply)).is_ok()
            && let Ok(Ok(answer)) = tokio::time::timeout(limits::REPLY, answer).await
        {
            return answer;
        }
        HttpReply { status: 503, content_type: "text/plain", body: "Focus is not available".into() }
    }

    /// A picture of now; `None` when the engine does not answer.
    pub async fn stats(&self) -> Option<Stats> {
        let (reply, answer) = oneshot::channel();
        self.commands.try_send(Command::Stats(reply)).ok()?;
        tokio::time::timeout(limits::STATS, answer).await.ok()?.ok()
    }

    /// Whether meetings can be held: `Err` says what is missing.
    pub async fn health(&self) -> Result<(), &'static str> {
        match self.stats().await {
            None => Err("Focus does not answer"),
            Some(s) if !s.connected => Err("XMPP not connected"),
            Some(s) if s.operational_bridge_count == s.in_shutdown_bridge_count => {
                Err("No operational bridges available")
            }
            Some(_) => Ok(()),
        }
    }
}

/// A focus on `link`: the handle to ask it, and the task to run until `shutdown` says so or the link ends for good.
pub fn focus(
    config: Config,
    link: Link,
    shutdown: watch::Receiver<bool>,
) -> (FocusHandle, impl Future<Output = ()> + Send + 'static) {
    let (commands, receiver) = mpsc::channel(limits::COMMANDS);
    let task = Task {
        focus: Focus::new(config, Box::new(SystemEntropy)),
        link,
        commands: receiver,
        replies: HashMap::new(),
        next_request: 0,
    };
    (FocusHandle { commands }, task.run(shutdown))
}

struct Task {
    focus: Focus,
    link: Link,
    commands: mpsc::Receiver<Command>,
    replies: HashMap<HttpRequestId, oneshot::Sender<HttpReply>>,
    next_request: u64,
}

impl Task {
    async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        loop {
            self.flush();
            // A deadline that has passed already fires at once: the engine asks for another turn this way.
            let deadline = self.focus.poll_timeout();
            let wake = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = self.link.recv() => match event {
                    Some(event) => self.event(event),
                    None => break,
                },
                Some(command) = self.commands.recv() => self.command(command),
                () = wake => self.focus.handle_timeout(Instant::now()),
                _ = shutdown.wait_for(|stop| *stop) => {
                    self.focus.handle_shutdown(Instant::now());
                    break;
                }
            }
        }
        self.flush();
        self.link.close().await;
    }

    fn event(&mut self, event: LinkEvent) {
        let now = Instant::now();
        match event {
            LinkEvent::Up { jid, resumed } => {
                tracing::info!(resumed, "XMPP link up");
                self.focus.handle_link_up(now, jid, resumed);
            }
            LinkEvent::Stanza(stanza) => self.focus.handle_stanza(now, &stanza),
            LinkEvent::Down { reason } => {
                tracing::warn!(%reason, "XMPP link down");
                self.focus.handle_link_down(now);
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Conference(body, reply) => {
                self.replies.retain(|_, waiting| !waiting.is_closed());
                self.next_request += 1;
                let id = HttpRequestId(self.next_request);
                self.replies.insert(id, reply);
                self.focus.handle_http_request(Instant::now(), id, &body);
            }
            Command::Stats(reply) => {
                // Whoever asked may have gone.
                let _ = reply.send(self.focus.stats());
            }
        }
    }

    fn flush(&mut self) {
        while let Some(output) = self.focus.poll_output() {
            match output {
                Output::Send(stanza) => {
                    // A stanza that finds no place is lost; the engine's deadlines notice and repair it.
                    if let Err(full) = self.link.send(&stanza) {
                        tracing::warn!(reason = full.reason(), "stanza not sent");
                    }
                }
                Output::HttpReply { request, reply } => {
                    if let Some(waiting) = self.replies.remove(&request) {
                        let _ = waiting.send(reply);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
