//! A client's bytes on an HTTP/2 connection in, the same out; an end when its frames do nothing for anybody and come too often.
//!
//! Each such frame is cheap, and a client sends very many of them in a second: PING, SETTINGS, PRIORITY, empty DATA,
//! CONTINUATION, requests that are taken back at once (CVE-2019-9512 … 9518, CVE-2023-44487, CVE-2024-27316). Frames are only
//! counted here; what they mean is `h2`'s.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use budget::{Bucket, Rate};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::front::limits;

/// A connection whose client's frames are counted.
#[derive(Debug)]
pub(super) struct Metered<S> {
    stream: S,
    /// `None`: a web server in front that is trusted, which speaks for many.
    meter: Option<Meter>,
}

impl<S> Metered<S> {
    pub(super) const fn new(stream: S, is_trusted: bool) -> Self {
        Self { stream, meter: if is_trusted { None } else { Some(Meter::new()) } }
    }
}

/// Where in the client's bytes we are, and what it may still do.
#[derive(Debug)]
struct Meter {
    /// Bytes that are of no interest: the preface, then what is in frames.
    skip: usize,
    head: [u8; HEAD],
    have: usize,
    idle: Bucket,
    resets: Bucket,
    updates: Bucket,
    /// Bytes that we have sent and for which no update was taken off yet.
    sent: usize,
}

/// More frames of this kind than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many {0} frames")]
struct Flood(&'static str);

/// Whether a connection ended because of this.
pub(super) fn is_flood(e: &io::Error) -> bool {
    e.get_ref().is_some_and(|e| e.is::<Flood>())
}

impl Meter {
    const fn new() -> Self {
        Self {
            skip: PREFACE,
            head: [0; HEAD],
            have: 0,
            idle: Bucket::full(),
            resets: Bucket::full(),
            updates: Bucket::full(),
            sent: 0,
        }
    }

    fn take(&mut self, mut bytes: &[u8], now: Instant) -> Result<(), Flood> {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            let (first, rest) = bytes.split_at(bytes.len().min(HEAD - self.have));
            if let Some(place) = self.head.get_mut(self.have..self.have + first.len()) {
                place.copy_from_slice(first);
            }
            self.have += first.len();
            bytes = rest;
            if self.have == HEAD {
                self.have = 0;
                self.frame(now)?;
            }
        }
        Ok(())
    }

    /// RFC 9113 §4.1, §6.
    fn frame(&mut self, now: Instant) -> Result<(), Flood> {
        let [a, b, c, kind, flags, ..] = self.head;
        self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
        let of = |bucket: &mut Bucket, rate: &Rate, name| {
            if bucket.take(rate, now, 1) { Ok(()) } else { Err(Flood(name)) }
        };
        match kind {
            DATA if self.skip > 0 || flags & END_STREAM != 0 => Ok(()),
            HEADERS => Ok(()),
            RST_STREAM => of(&mut self.resets, &limits::H2_RESETS, "RST_STREAM"),
            WINDOW_UPDATE => match self.sent.checked_sub(limits::H2_SENT_PER_UPDATE) {
                Some(left) => {
                    self.sent = left;
                    Ok(())
                }
                None => of(&mut self.updates, &limits::H2_UPDATES, "WINDOW_UPDATE"),
            },
            _ => of(&mut self.idle, &limits::H2_IDLE_FRAMES, "idle"),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let done = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let (Some(meter), Poll::Ready(Ok(()))) = (&mut self.meter, &done) {
            let new = buf.filled().get(before..).unwrap_or_default();
            if let Err(flood) = meter.take(new, Instant::now()) {
                return Poll::Ready(Err(io::Error::other(flood)));
            }
        }
        done
    }
}

impl<S: AsyncWrite + Unpin> Metered<S> {
    fn count(&mut self, done: &Poll<io::Result<usize>>) {
        if let (Some(meter), Poll::Ready(Ok(n))) = (&mut self.meter, done) {
            // As much as a client may have waited to acknowledge.
            meter.sent = meter.sent.saturating_add(*n).min(MOST_SENT);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.count(&done);
        done
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.count(&done);
        done
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const HEAD: usize = 9;
const MOST_SENT: usize = 16 * 1024 * 1024;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: u8, flags: u8, content: usize) -> Vec<u8> {
        let [_, a, b, c] = u32::try_from(content).unwrap().to_be_bytes();
        let mut bytes = vec![a, b, c, kind, flags, 0, 0, 0, 1];
        bytes.resize(HEAD + content, 0);
        bytes
    }

    /// How many of these are taken at once.
    fn most(frame: &[u8], piece: usize) -> u32 {
        let (mut meter, now) = (Meter::new(), Instant::now());
        meter.take(&[0; PREFACE], now).unwrap();
        let takes = |meter: &mut Meter| frame.chunks(piece).all(|p| meter.take(p, now).is_ok());
        (0..20_000).take_while(|_| takes(&mut meter)).count().try_into().unwrap()
    }

    #[test]
    fn idle_frames_have_a_budget_at_the_limit_and_not_one_beyond() {
        let idle = limits::H2_IDLE_FRAMES.burst();
        // PRIORITY, SETTINGS, PING, CONTINUATION, unknown ones, empty DATA that ends nothing.
        for (kind, content) in [(2, 5), (4, 0), (4, 6), (6, 8), (9, 100), (0x10, 7), (0xfa, 0), (0, 0)] {
            assert_eq!(most(&frame(kind, 0, content), usize::MAX), idle, "{kind}");
        }
        // However its bytes come.
        for piece in [1, 2, 8, 10] {
            assert_eq!(most(&frame(6, 0, 8), piece), idle);
        }
        for (kind, flags, content) in [(DATA, 0, 1), (DATA, END_STREAM, 0), (HEADERS, 4, 30)] {
            assert_eq!(most(&frame(kind, flags, content), usize::MAX), 20_000, "{kind}");
        }
    }

    #[test]
    fn resets_and_updates_have_budgets_of_their_own_at_the_limit_and_not_one_beyond() {
        assert_eq!(most(&frame(RST_STREAM, 0, 4), usize::MAX), limits::H2_RESETS.burst());
        assert_eq!(most(&frame(WINDOW_UPDATE, 0, 4), usize::MAX), limits::H2_UPDATES.burst());
        let (mut meter, mut now) = (Meter::new(), Instant::now());
        meter.skip = 0;
        let reset = frame(RST_STREAM, 0, 4);
        while meter.take(&reset, now).is_ok() {}
        (meter.skip, now) = (0, now + Duration::from_secs(1));
        assert!(meter.take(&reset, now).is_ok(), "time gives them back");
    }

    #[test]
    fn who_reads_may_say_so_and_an_update_costs_what_was_sent() {
        let (mut meter, now) = (Meter::new(), Instant::now());
        meter.skip = 0;
        meter.sent = 3 * limits::H2_SENT_PER_UPDATE;
        let update = frame(WINDOW_UPDATE, 0, 4);
        let most = (0..).take_while(|_| meter.take(&update, now).is_ok()).count();
        assert_eq!(most, 3 + limits::H2_UPDATES.burst() as usize);
    }
}
