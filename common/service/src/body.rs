//! A request in, its whole body in one piece out; or a refusal in one sentence.
//!
//! The only way to take a body. Pieces are copied into one buffer as they come: a piece as the HTTP parser hands it out
//! keeps its whole read buffer alive, so that a thousand pieces of one byte are 4 MB. All bodies that are being read
//! or used are counted, together and by address.

use std::ops::Deref;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::{Request, StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response};
use budget::{Network, Shares};
use http_body_util::BodyExt as _;

use crate::limits::{BODIES_PER_ADDRESS, BODIES_TOTAL, BODY_DEADLINE, BODY_FIRST};
use crate::proxies::Client;

/// Why a body was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Longer than this route takes.
    TooLarge,
    /// Not all there in time.
    TooSlow,
    /// Too much is being read already, from this address or from all.
    TooMuch,
    /// The connection broke, or what came is not HTTP.
    Broken,
}

impl Refused {
    /// The status and the sentence.
    pub const fn answer(self) -> (StatusCode, &'static str) {
        match self {
            Self::TooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "The body is larger than this address takes.\n")
            }
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time.\n"),
            Self::TooMuch => {
                (StatusCode::SERVICE_UNAVAILABLE, "Too many bodies arrive at once; try again.\n")
            }
            Self::Broken => (StatusCode::BAD_REQUEST, "The body broke off.\n"),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, text) = self.answer();
        // Whatever still comes is not read.
        (status, [(header::CONNECTION, "close")], text).into_response()
    }
}

/// A whole body. Counted as long as it is kept: drop it once it is parsed.
pub struct Whole {
    bytes: Vec<u8>,
    held: Held,
}

impl Whole {
    /// The body as text.
    ///
    /// # Errors
    /// [`Refused::Broken`] when it is no UTF-8.
    pub fn text(&self) -> Result<&str, Refused> {
        std::str::from_utf8(&self.bytes).map_err(|_| Refused::Broken)
    }
}

impl Deref for Whole {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl std::fmt::Debug for Whole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Whole({} bytes)", self.bytes.len())
    }
}

/// Reads the body of `request`, at most `most` bytes, within [`BODY_DEADLINE`].
///
/// # Errors
/// [`Refused`], an answer by itself.
pub async fn read(request: Request<Body>, most: usize) -> Result<(Parts, Whole), Refused> {
    let (parts, body) = request.into_parts();
    let network = Client::network_of(&parts.extensions);
    let whole = collect(body, most, Held { network, bytes: 0 }, BODY_DEADLINE).await?;
    Ok((parts, whole))
}

async fn collect(mut body: Body, most: usize, held: Held, deadline: Duration) -> Result<Whole, Refused> {
    let hint = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if hint > most {
        return Err(Refused::TooLarge);
    }
    let mut whole = Whole { bytes: Vec::new(), held };
    // What is announced is not believed beyond a first piece: nothing has come yet.
    whole.reserve(hint.min(BODY_FIRST), most)?;
    let reading = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Refused::Broken)?;
            // Trailers mean nothing here.
            let Ok(piece) = frame.into_data() else { continue };
            whole.reserve(piece.len(), most)?;
            whole.bytes.extend_from_slice(&piece);
        }
        Ok(())
    };
    match tokio::time::timeout(deadline, reading).await {
        Ok(Ok(())) => Ok(whole),
        Ok(Err(refused)) => Err(refused),
        Err(_) => Err(Refused::TooSlow),
    }
}

impl Whole {
    /// Makes room for `more` bytes; the buffer is never larger than `most`.
    fn reserve(&mut self, more: usize, most: usize) -> Result<(), Refused> {
        let needed = self.bytes.len().saturating_add(more);
        if needed > most {
            return Err(Refused::TooLarge);
        }
        let have = self.bytes.capacity();
        if needed > have {
            let wanted = needed.max(have.saturating_mul(2)).max(BODY_FIRST).min(most);
            self.held.take(wanted - have)?;
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        Ok(())
    }
}

/// What one body holds of all that is allowed. Given back however its request ends.
struct Held {
    network: Network,
    bytes: usize,
}

impl Held {
    fn take(&mut self, bytes: usize) -> Result<(), Refused> {
        all().take(self.network, bytes).map_err(|_| Refused::TooMuch)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        all().give_back(&self.network, self.bytes);
    }
}

/// The bodies of all routes of this process: memory is the process', so the count is, too.
fn all() -> MutexGuard<'static, Shares<Network>> {
    static ALL: LazyLock<Mutex<Shares<Network>>> =
        LazyLock::new(|| Mutex::new(Shares::fair(BODIES_PER_ADDRESS, BODIES_TOTAL)));
    // Its operations leave nothing half done.
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
    use std::task::{Context, Poll};

    use axum::body::Bytes;
    use http_body_util::StreamBody;

    use super::*;

    /// Pieces as hyper hands them out: one byte each, of a buffer of 4 KiB that lives as long as the piece.
    struct Dribble {
        left: usize,
        alive: Arc<Alive>,
        stalls: bool,
    }

    #[derive(Default)]
    struct Alive {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    struct Buffer(Box<[u8; 4096]>, Arc<Alive>);

    impl AsRef<[u8]> for Buffer {
        fn as_ref(&self) -> &[u8] {
            &self.0[..]
        }
    }

    impl Drop for Buffer {
        fn drop(&mut self) {
            self.1.now.fetch_sub(1, Ordering::Relaxed);
        }
    }

    impl Dribble {
        fn body(left: usize, stalls: bool) -> (Body, Arc<Alive>) {
            let alive = Arc::new(Alive::default());
            (Body::new(StreamBody::new(Self { left, alive: alive.clone(), stalls })), alive)
        }
    }

    impl futures_util::Stream for Dribble {
        type Item = Result<hyper::body::Frame<Bytes>, Infallible>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            if self.left == 0 {
                return if self.stalls { Poll::Pending } else { Poll::Ready(None) };
            }
            self.left -= 1;
            let alive = self.alive.now.fetch_add(1, Ordering::Relaxed) + 1;
            self.alive.most.fetch_max(alive, Ordering::Relaxed);
            let buffer = Bytes::from_owner(Buffer(Box::new([b'x'; 4096]), self.alive.clone()));
            Poll::Ready(Some(Ok(hyper::body::Frame::data(buffer.slice(..1)))))
        }
    }

    fn from(address: &str, body: Body) -> Request<Body> {
        let mut request = Request::new(body);
        static PORT: AtomicU16 = AtomicU16::new(40_000);
        let peer = (address.parse::<std::net::IpAddr>().unwrap(), PORT.fetch_add(1, Ordering::Relaxed));
        request.extensions_mut().insert(Client::direct(peer.into()));
        request
    }

    #[tokio::test]
    async fn pieces_of_one_byte_do_not_keep_their_buffers_alive() {
        let (body, alive) = Dribble::body(100_000, false);
        let (_, whole) = read(from("192.0.2.1", body), 120_000).await.unwrap();
        assert_eq!(whole.len(), 100_000);
        assert!(whole.bytes.capacity() <= 120_000, "{}", whole.bytes.capacity());
        assert_eq!(alive.most.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_body_at_the_limit_is_taken_and_one_beyond_is_413_however_it_comes() {
        for (size, taken) in [(1000, true), (1001, false)] {
            for body in [Body::from(vec![b'x'; size]), Dribble::body(size, false).0] {
                let got = read(from("192.0.2.2", body), 1000).await.map(|(_, w)| w.len());
                assert_eq!(got, if taken { Ok(1000) } else { Err(Refused::TooLarge) });
            }
        }
        assert_eq!(Refused::TooLarge.into_response().status(), 413);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_is_408_at_the_deadline() {
        let began = tokio::time::Instant::now();
        let refused = read(from("192.0.2.3", Dribble::body(10, true).0), 1000).await.unwrap_err();
        assert_eq!((refused, began.elapsed()), (Refused::TooSlow, BODY_DEADLINE));
        assert_eq!(refused.into_response().status(), 408);
    }

    #[test]
    fn all_bodies_together_are_bounded() {
        let mut shares = Shares::fair(BODIES_PER_ADDRESS, BODIES_TOTAL);
        let address = |n: usize| Network::of(std::net::Ipv4Addr::from_bits(n as u32).into());
        let taken =
            (0..BODIES_TOTAL / BODY_FIRST + 1).take_while(|n| shares.take(address(*n), BODY_FIRST).is_ok());
        assert!(taken.count() * BODY_FIRST > BODIES_TOTAL / 10 * 9);
        assert!(shares.held() <= BODIES_TOTAL && !shares.has(&address(1 << 20), BODY_FIRST));
    }

    #[tokio::test]
    async fn one_address_has_its_share_gives_it_back_and_leaves_the_rest_to_others() {
        let piece = 1024 * 1024;
        let one = || Body::from(vec![b'x'; piece]);
        let mut held = Vec::new();
        for _ in 0..BODIES_PER_ADDRESS / piece {
            held.push(read(from("192.0.2.4", one()), piece).await.unwrap().1);
        }
        let more = read(from("192.0.2.4", Body::from("x")), piece).await.map(drop);
        assert_eq!(more, Err(Refused::TooMuch));
        assert!(read(from("192.0.2.5", one()), piece).await.is_ok());
        // A web server beside us that names nobody is many people.
        for _ in 0..BODIES_PER_ADDRESS / piece + 1 {
            held.push(read(from("127.0.0.1", one()), piece).await.unwrap().1);
        }
        drop(held);
        assert!(read(from("192.0.2.4", one()), piece).await.is_ok());
    }
}
