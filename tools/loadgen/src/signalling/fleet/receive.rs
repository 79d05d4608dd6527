//! What a client receives: the answers it waits for, and deliveries, which are counted.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::super::frame::Opcode;
use super::super::login::Answer;
use super::super::scan::{self, Kind, Stamp};
use super::super::stanza;
use super::{Fleet, Happened, Stage, Waits};

impl Fleet {
    /// The answer to the HTTP request; 0: it is not whole yet.
    pub(super) fn upgraded(&mut self, id: usize, bytes: &[u8]) -> Result<usize> {
        let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
            if bytes.len() > LONGEST_HEAD {
                bail!("{} does not answer in HTTP", self.target.address);
            }
            return Ok(0);
        };
        let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
        let status = head.lines().next().unwrap_or_default();
        if status.split(' ').nth(1) != Some("101") {
            bail!("{} refuses the WebSocket at {}: {status}", self.target.address, self.target.path);
        }
        let client = &mut self.clients[id];
        match std::mem::replace(&mut client.stage, Stage::Ready) {
            Stage::Upgrading(login, open) => {
                client.stage = Stage::Login(login);
                client.connection.send(Opcode::Text, open.as_bytes())?;
            }
            _ => {
                client.nick = "focus".to_owned();
                self.happened.push_back(Happened::Ready(id));
            }
        }
        self.progress = Instant::now();
        Ok(end + 4)
    }

    pub(super) fn text(&mut self, id: usize, frame: &[u8], now: Instant) -> Result<()> {
        let client = &mut self.clients[id];
        if let Stage::Login(login) = &mut client.stage {
            self.progress = now;
            match login.frame(std::str::from_utf8(frame).context("the server sends no UTF-8")?)? {
                Answer::Wait => {}
                Answer::Send(text) => client.connection.send(Opcode::Text, text.as_bytes())?,
                Answer::Ready { jid, sm } => {
                    client.nick = jid.chars().take(8).collect();
                    client.jid = jid;
                    client.sm = sm;
                    client.stage = Stage::Ready;
                    self.happened.push_back(Happened::Ready(id));
                }
            }
            return Ok(());
        }
        if client.is_leaving() {
            return Ok(());
        }
        let kind = scan::kind(frame);
        match kind {
            Kind::Presence | Kind::Message => {
                client.handled = client.handled.wrapping_add(1);
                self.delivery(id, kind, frame, now)
            }
            Kind::Iq => {
                client.handled = client.handled.wrapping_add(1);
                self.iq(id, &String::from_utf8_lossy(frame), now)
            }
            Kind::AckRequest => {
                let ack = stanza::ack(client.handled);
                if client.sm { client.connection.send(Opcode::Text, ack.as_bytes()) } else { Ok(()) }
            }
            Kind::End => bail!("the server ends a stream: {}", String::from_utf8_lossy(frame)),
            Kind::Other => Ok(()),
        }
    }

    fn delivery(&mut self, id: usize, kind: Kind, frame: &[u8], now: Instant) -> Result<()> {
        let stamp = self.scanner.stamp(kind, frame);
        if kind == Kind::Presence || stamp.is_some() {
            self.deliveries += 1;
        }
        match stamp {
            Some(Stamp::Broadcast { number, place }) => match self.broadcasts.arrived(number, now) {
                Some(arrived) => {
                    self.latency.record(arrived.latency);
                    self.progress = now;
                    if let Some(room) = arrived.complete {
                        self.rooms[room].outstanding -= 1;
                        self.happened.push_back(Happened::Complete(room));
                    }
                }
                None if kind == Kind::Presence => self.sees(id, place, now),
                None => {}
            },
            Some(Stamp::Join(place)) => self.sees(id, place, now),
            None => {}
        }
        if self.clients[id].waits != Waits::Nothing && kind == Kind::Presence {
            return self.own_presence(id, frame, now);
        }
        Ok(())
    }

    /// A client has seen a member of its room.
    fn sees(&mut self, id: usize, place: usize, now: Instant) {
        let client = &mut self.clients[id];
        if let Some((room, member)) = client.room
            && place < MOST_PLACES
            && client.seen.note(place)
        {
            if member {
                self.rooms[room].has_seen(client.seen.count);
            }
            self.progress = now;
        }
    }

    /// A client that joins or leaves looks closer.
    fn own_presence(&mut self, id: usize, frame: &[u8], now: Instant) -> Result<()> {
        let client = &mut self.clients[id];
        let tag_end = memchr::memchr(b'>', frame).unwrap_or(frame.len());
        let tag = String::from_utf8_lossy(frame.get(..=tag_end).unwrap_or(frame));
        match (client.waits, scan::attribute(&tag, "type")) {
            (_, Some("error")) => {
                let error = String::from_utf8_lossy(frame);
                let condition = scan::first_child(&error, "error").unwrap_or("no reason");
                let text = error.rsplit_once("</text>").and_then(|(before, _)| before.rsplit_once('>'));
                bail!(
                    "the server refuses a join: {condition}{}",
                    text.map(|(_, t)| format!(" ({t})")).unwrap_or_default()
                )
            }
            (Waits::OwnPresence(asked), None) if self.scanner.is_own(frame) => {
                client.waits = Waits::Nothing;
                self.happened.push_back(Happened::Joined(id, now.saturating_duration_since(asked)));
                self.progress = now;
            }
            (Waits::OwnLeave, Some("unavailable")) if self.scanner.is_own(frame) => {
                client.waits = Waits::Nothing;
                client.room = None;
                self.happened.push_back(Happened::Left(id));
                self.progress = now;
            }
            _ => {}
        }
        Ok(())
    }

    fn iq(&mut self, id: usize, frame: &str, now: Instant) -> Result<()> {
        let client = &mut self.clients[id];
        match scan::attribute(frame, "type") {
            // An offer of the focus, a disco request: taken note of, so that nobody repeats it.
            Some("get" | "set") => {
                let iq_id = scan::attribute(frame, "id").unwrap_or_default();
                let answer = stanza::result(iq_id, scan::attribute(frame, "from"));
                client.connection.send(Opcode::Text, answer.as_bytes())?;
                if frame.contains("session-initiate") {
                    self.happened.push_back(Happened::Invited(id));
                }
                Ok(())
            }
            Some(kind) if client.waits == Waits::Focus && frame.contains("focus:sendIQ") => {
                self.progress = now;
                if kind == "error" {
                    let condition = scan::first_child(frame, "error").unwrap_or("no reason");
                    bail!("the focus refuses a meeting: {condition}");
                }
                if frame.contains("ready='true'") || frame.contains("ready=\"true\"") {
                    client.waits = Waits::Nothing;
                    self.happened.push_back(Happened::Admitted(id));
                } else {
                    self.ask_again.push((now + ASK_AGAIN, id));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

const LONGEST_HEAD: usize = 64 * 1024;
const MOST_PLACES: usize = 1 << 20;
const ASK_AGAIN: Duration = Duration::from_secs(1);
