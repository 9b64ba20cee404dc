//! Slow connections: many at once, on each of which a request comes a byte at a time and never ends.
//!
//! Whoever is cut off comes back at once. A tracker that keeps them all, or waits for one, has no room for others.

use std::fmt;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use socket2::{Domain, Socket, Type};

use crate::Dribble;
use crate::target::{Protocol, Target};

/// How often each connection sends a byte.
const BEAT: Duration = Duration::from_secs(1);
/// The connections take their turns in so many parts of a beat, so that they do not all come at once.
const PARTS: usize = 20;
/// It goes on like this: a head of endless lines.
const LINE: &[u8] = b"X-Slow: yes\r\n";

/// What became of the connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dribbled {
    /// Connections opened, those that came back included.
    pub opened: u64,
    /// Connections that the tracker ended.
    pub cut: u64,
    /// Connections that could not be opened, such as those that a full tracker did not take.
    pub refused: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Connections open at the end.
    pub open: u64,
}

impl fmt::Display for Dribbled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { opened, cut, refused, bytes, open } = self;
        write!(f, "{opened} slow connections opened, {cut} ended by the tracker, ")?;
        write!(f, "{refused} not possible; {open} open at the end; {bytes} bytes sent")
    }
}

/// A connection and how much it has sent.
struct Slow {
    stream: TcpStream,
    sent: usize,
}

/// Holds the connections open for as long as it is told.
///
/// # Errors
/// When it is no tracker of HTTP.
pub fn dribble(options: &Dribble) -> Result<Dribbled> {
    let target = Target::parse(&options.url)?;
    if target.protocol != Protocol::Http {
        bail!("slow connections are of HTTP");
    }
    let start = format!("GET {}?info_hash=x HTTP/1.1\r\nHost: {}\r\n", target.path, target.authority);
    let mut all: Vec<Option<Slow>> = (0..options.connections).map(|_| None).collect();
    let mut told = Dribbled::default();
    let began = Instant::now();
    let part = all.len().div_ceil(PARTS);
    while began.elapsed() < options.seconds {
        for some in all.chunks_mut(part) {
            for place in some {
                go_on(place, start.as_bytes(), &target, &mut told);
            }
            std::thread::sleep(BEAT / u32::try_from(PARTS).unwrap_or(1));
        }
    }
    told.open = all.iter().flatten().count() as u64;
    Ok(told)
}

/// Sends a byte, or opens the connection.
fn go_on(place: &mut Option<Slow>, start: &[u8], target: &Target, told: &mut Dribbled) {
    let Some(slow) = place else {
        match open(target) {
            Ok(stream) => {
                told.opened += 1;
                *place = Some(Slow { stream, sent: 0 });
            }
            Err(_) => told.refused += 1,
        }
        return;
    };
    let next = match start.get(slow.sent) {
        Some(&byte) => byte,
        None => LINE.get((slow.sent - start.len()) % LINE.len()).copied().unwrap_or_default(),
    };
    let waits =
        |kind| matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::NotConnected);
    let ended = match slow.stream.read(&mut [0; 256]) {
        Ok(count) => count == 0,
        Err(error) => !waits(error.kind()),
    };
    match slow.stream.write(&[next]) {
        _ if ended => {}
        Ok(count) => {
            slow.sent += count;
            told.bytes += count as u64;
            return;
        }
        Err(error) if waits(error.kind()) => return,
        Err(_) => {}
    }
    told.cut += 1;
    *place = None;
}

fn open(target: &Target) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(target.address), Type::STREAM.nonblocking(), None)?;
    match socket.connect(&target.address.into()) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
            Err(error)
        }
        _ => Ok(socket.into()),
    }
}
