//! One connection: its requests one after the other, and its deadlines.
//!
//! Invariant: between requests a connection is a socket and its task, without a buffer: reads go to its thread's
//! [`Scratch`]. There is one deadline a connection, which is moved when it comes and not when a request does. Who does
//! not read what he asked for is cut off.
//!
//! What [`crate::quick`] does not answer, hyper does, and keeps the connection.

use std::future::poll_fn;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream as StdStream;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead as _, AsyncReadExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tower::Service as _;

use crate::metrics::Staying;
use crate::quick::{Next, Scratch};
use crate::state::{Link, State};

/// A request's head must be there this long after the connection, or the request before it, was: absolute, so that
/// a byte a second does not prolong it.
const HEADER_DEADLINE: Duration = Duration::from_secs(5);
/// What a connection can make us hold while it sends its head: a scrape of 74 hashes takes 5,300 bytes.
pub(crate) const BUFFER_BYTES: usize = 16 << 10;
/// Clients send a handful of headers.
const MAX_HEADERS: usize = 64;
/// How long a connection may last in all: long enough to fetch a large torrent file over a slow line.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// How long a connection that has to end may take to finish its answer.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

/// What the connections of one worker share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) state: Arc<State>,
    pub(crate) router: Router,
    /// Of this worker alone, so that nobody ever waits for it.
    pub(crate) scratch: Mutex<Scratch>,
    pub(crate) stopping: watch::Receiver<()>,
}

/// A connection that goes on.
pub(crate) struct Connection {
    stream: StdStream,
    link: Link,
    then: Then,
    /// Whether nothing was answered yet: whoever was accepted is not sent away when the tracker stops.
    owes: bool,
}

/// How a connection goes on.
enum Then {
    /// With a PROXY header, which says whom the connection is from.
    Introduced,
    /// With another request.
    Again,
    /// With hyper, which has to know what was read already.
    Elsewhere(Vec<u8>),
}

impl Shared {
    /// Looks at a new connection. Most have sent their request by now, and many want no more than its answer: they are
    /// over after one read and one write, before the runtime knew of them.
    pub(crate) fn greet(&self, mut stream: StdStream, link: Link) -> Option<Connection> {
        if self.state.gate.expects_header(link.remote.ip()) {
            return Some(Connection { stream, link, then: Then::Introduced, owes: true });
        }
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let mut owes = false;
        let then = match stream.read(&mut scratch.input) {
            Ok(0) => return None,
            Ok(length) => {
                let next = scratch.answer(&self.state, link, length);
                if !scratch.output.is_empty() && stream.write(&scratch.output).ok()? < scratch.output.len() {
                    return None;
                }
                match next {
                    Next::Close => return None,
                    Next::Keep => Then::Again,
                    Next::Elsewhere(at) => Then::elsewhere(&scratch, at, length),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                owes = true;
                Then::Again
            }
            Err(_) => return None,
        };
        Some(Connection { stream, link, then, owes })
    }

    /// Reads once and answers what was read; `None` when the connection is over.
    fn poll_once(&self, cx: &mut Context<'_>, stream: &mut TcpStream, link: Link) -> Poll<Option<Then>> {
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let mut input = ReadBuf::new(&mut scratch.input);
        let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut input));
        let length = input.filled().len();
        if read.is_err() || length == 0 {
            return Poll::Ready(None);
        }
        let next = scratch.answer(&self.state, link, length);
        if !scratch.output.is_empty()
            && !stream.try_write(&scratch.output).is_ok_and(|written| written == scratch.output.len())
        {
            return Poll::Ready(None);
        }
        Poll::Ready(match next {
            Next::Close => None,
            Next::Keep => Some(Then::Again),
            Next::Elsewhere(at) => Some(Then::elsewhere(&scratch, at, length)),
        })
    }
}

impl Then {
    fn elsewhere(scratch: &Scratch, at: usize, length: usize) -> Self {
        Self::Elsewhere(scratch.input.get(at..length).unwrap_or_default().to_vec())
    }
}

impl Connection {
    /// Serves the connection until it ends, its time is up or the tracker stops; it counts as open as long.
    pub(crate) async fn serve(self, shared: Arc<Shared>, _stays: Option<Staying>) {
        let Self { stream, mut link, mut then, mut owes } = self;
        let Ok(mut stream) = TcpStream::from_std(stream) else { return };
        if let Then::Introduced = then {
            // A future of its own, as below.
            let linked = Box::pin(shared.state.gate.link(&mut stream, link));
            let Ok(Some(from)) = timeout(HEADER_DEADLINE, linked).await else { return };
            (link, then) = (from, Then::Again);
        }
        let mut stopping = shared.stopping.clone();
        let mut stopped = pin!(stopping.changed());
        let mut stopping_soon = false;
        let began = Instant::now();
        let mut answered = began;
        let mut deadline = pin!(sleep_until(answered + HEADER_DEADLINE));
        loop {
            if let Then::Elsewhere(read) = then {
                // A future of its own, so that the others do not have room for it.
                return Box::pin(serve_all(stream, read, link, &shared)).await;
            }
            tokio::select! {
                biased;
                next = poll_fn(|cx| shared.poll_once(cx, &mut stream, link)) => match next {
                    Some(next) => then = next,
                    None => return,
                },
                _ = &mut stopped, if !stopping_soon => {
                    if !owes {
                        return;
                    }
                    stopping_soon = true;
                    deadline.as_mut().reset(Instant::now() + LINGER);
                    continue;
                }
                () = &mut deadline => {
                    let next = answered + HEADER_DEADLINE;
                    if next <= Instant::now() || stopping_soon {
                        return;
                    }
                    deadline.as_mut().reset(next);
                    continue;
                }
            }
            owes = false;
            answered = Instant::now();
            if stopping_soon || answered - began > CONNECTION_LIFETIME {
                return;
            }
        }
    }
}

/// Serves the connection with all of HTTP, after what was `read` of it.
async fn serve_all(stream: TcpStream, read: Vec<u8>, link: Link, shared: &Shared) {
    let router = shared.router.clone();
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(link);
        router.clone().call(request)
    });
    let (reader, writer) = stream.into_split();
    let stream = tokio::io::join(AsyncReadExt::chain(io::Cursor::new(read), reader), writer);
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_DEADLINE)
            .max_buf_size(BUFFER_BYTES)
            .max_headers(MAX_HEADERS)
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service)
    );
    let mut stopping = shared.stopping.clone();
    tokio::select! {
        // An error here is the stranger's: a cut connection, a request that is not HTTP, a deadline.
        _ = connection.as_mut() => return,
        _ = stopping.changed() => {}
        () = sleep(CONNECTION_LIFETIME) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(LINGER, connection).await;
}
