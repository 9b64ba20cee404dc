//! One connection of the hostile peer, and the protocol as far as it is kept to: handshakes and frames (BEP 3, 6, 10).

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::PATIENCE;

/// Bytes of a handshake.
pub const HELLO: usize = 68;
/// Reserved bits that claim nothing.
pub const PLAIN: [u8; 8] = [0; 8];
/// Those of the fast extension (BEP 6) and the extension protocol (BEP 10).
pub const MODERN: [u8; 8] = [0, 0, 0, 0, 0, 0x10, 0, 0x04];

/// The numbers of messages.
pub mod id {
    #![expect(missing_docs, reason = "they are called as in the BEPs")]
    pub const CHOKE: u8 = 0;
    pub const UNCHOKE: u8 = 1;
    pub const INTERESTED: u8 = 2;
    pub const NOT_INTERESTED: u8 = 3;
    pub const HAVE: u8 = 4;
    pub const BITFIELD: u8 = 5;
    pub const REQUEST: u8 = 6;
    pub const PIECE: u8 = 7;
    pub const CANCEL: u8 = 8;
    pub const PORT: u8 = 9;
    pub const SUGGEST: u8 = 13;
    pub const HAVE_ALL: u8 = 14;
    pub const HAVE_NONE: u8 = 15;
    pub const REJECT: u8 = 16;
    pub const ALLOWED_FAST: u8 = 17;
    pub const EXTENDED: u8 = 20;
}

/// A message with these 32-bit fields.
#[must_use]
pub fn message(id: u8, fields: &[u32]) -> Vec<u8> {
    let payload: Vec<u8> = fields.iter().flat_map(|field| field.to_be_bytes()).collect();
    frame(id, &payload)
}

/// A message with this payload.
#[must_use]
pub fn frame(id: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).map_or(u32::MAX, |length| length.saturating_add(1));
    [&length.to_be_bytes()[..], &[id], payload].concat()
}

/// A message of the extension protocol, by the number that its receiver gave.
#[must_use]
pub fn extended(number: u8, payload: &[u8]) -> Vec<u8> {
    frame(id::EXTENDED, &[&[number], payload].concat())
}

/// An id that no peer of this process has had.
#[must_use]
pub fn fresh_id() -> [u8; 20] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut id = *b"-XX0000-000000000000";
    for (byte, digit) in
        id.iter_mut().rev().zip(format!("{:012}", NEXT.fetch_add(1, Ordering::Relaxed)).bytes().rev())
    {
        *byte = digit;
    }
    id
}

/// What introduces a peer.
#[must_use]
pub fn hello(reserved: [u8; 8], info_hash: [u8; 20], peer_id: [u8; 20]) -> Vec<u8> {
    [&b"\x13BitTorrent protocol"[..], &reserved, &info_hash, &peer_id].concat()
}

/// A message that came: its number and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its number.
    pub id: u8,
    /// What follows.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Its n-th 32-bit field.
    #[must_use]
    pub fn field(&self, n: usize) -> Option<u32> {
        let bytes = self.payload.get(4 * n..)?.first_chunk::<4>()?;
        Some(u32::from_be_bytes(*bytes))
    }

    /// The piece, offset and length of a request, cancel or reject.
    #[must_use]
    pub fn block(&self) -> Option<[u32; 3]> {
        Some([self.field(0)?, self.field(1)?, self.field(2)?])
    }
}

/// How a connection was closed.
#[derive(Debug)]
pub struct Closed {
    /// How long after it was opened.
    pub after: Duration,
    /// The messages that came before.
    pub said: Vec<Frame>,
}

/// A connection.
#[derive(Debug)]
pub struct Guest {
    stream: TcpStream,
    opened: Instant,
    /// The handshake that was answered, once it was.
    pub theirs: Vec<u8>,
}

impl Guest {
    /// Takes a connection on which nothing has been said.
    ///
    /// # Errors
    /// If it is broken already.
    pub fn over(stream: TcpStream) -> Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, opened: Instant::now(), theirs: Vec::new() })
    }

    /// Connects, and says nothing.
    ///
    /// # Errors
    /// If nobody listens.
    pub fn silent(at: SocketAddr) -> Result<Self> {
        Self::over(TcpStream::connect(at).context("it takes no connections")?)
    }

    /// Connects and introduces itself; both sides have then.
    ///
    /// # Errors
    /// If the other side does not answer.
    pub fn greet(at: SocketAddr, info_hash: [u8; 20], reserved: [u8; 8]) -> Result<Self> {
        let mut guest = Self::silent(at)?;
        guest.send(&hello(reserved, info_hash, fresh_id()));
        ensure!(guest.read_hello()?, "it does not answer a handshake");
        Ok(guest)
    }

    /// Reads the other side's handshake; whether it came before the end.
    ///
    /// # Errors
    /// If neither comes.
    pub fn read_hello(&mut self) -> Result<bool> {
        let mut theirs = vec![0; HELLO];
        let came = self.fill(&mut theirs)?;
        self.theirs = theirs;
        Ok(came)
    }

    /// The other side's id.
    ///
    /// # Errors
    /// If it was not read.
    pub fn peer_id(&self) -> Result<[u8; 20]> {
        let id = self.theirs.get(48..).and_then(|id| id.try_into().ok());
        id.context("no handshake was read")
    }

    /// Our own end.
    ///
    /// # Errors
    /// If the connection is broken.
    pub fn ours(&self) -> Result<SocketAddr> {
        Ok(self.stream.local_addr()?)
    }

    /// The same connection once more, so that one reads while the other writes.
    ///
    /// # Errors
    /// If the system has no descriptor for it.
    pub fn twin(&self) -> Result<Self> {
        Ok(Self { stream: self.stream.try_clone()?, opened: self.opened, theirs: self.theirs.clone() })
    }

    /// Sends bytes; whether the connection took them. That it did not shows when it is read.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next message; `None` if the other side has closed. Keep-alives are passed over.
    ///
    /// # Errors
    /// If neither comes, or what comes is no message.
    pub fn read(&mut self) -> Result<Option<Frame>> {
        loop {
            let mut length = [0; 4];
            if !self.fill(&mut length)? {
                return Ok(None);
            }
            let length = u32::from_be_bytes(length);
            ensure!(length <= 1 << 20, "it announces a message of {length} bytes");
            let mut bytes = vec![0; usize::try_from(length)?];
            if !self.fill(&mut bytes)? {
                return Ok(None);
            }
            if let Some((&id, payload)) = bytes.split_first() {
                return Ok(Some(Frame { id, payload: payload.to_vec() }));
            }
        }
    }

    /// The next message of this number; those before it are passed over.
    ///
    /// # Errors
    /// If it does not come before the end.
    pub fn until(&mut self, id: u8) -> Result<Frame> {
        loop {
            match self.read()? {
                Some(frame) if frame.id == id => return Ok(frame),
                Some(_) => {}
                None => bail!("it closed before message {id} came"),
            }
        }
    }

    /// Reads until the other side closes, which it must.
    ///
    /// # Errors
    /// If it does not.
    pub fn until_closed(&mut self) -> Result<Closed> {
        let mut said = Vec::new();
        while let Some(frame) = self.read().context("it does not close the connection")? {
            said.push(frame);
        }
        Ok(Closed { after: self.opened.elapsed(), said })
    }

    /// Asserts that the other side still listens: a request is rejected, since it chokes us, or served all the same
    /// where that was promised (BEP 6). Answers what came before that.
    ///
    /// # Errors
    /// If it does not.
    pub fn is_heard(&mut self) -> Result<Vec<Frame>> {
        self.is_heard_after(Vec::new())
    }

    /// The same after all of this, which is sent while what comes is read.
    ///
    /// # Errors
    /// As above.
    pub fn is_heard_after(&mut self, mut bytes: Vec<u8>) -> Result<Vec<Frame>> {
        let asked = [0, 4096, 2048];
        bytes.extend(message(id::REQUEST, &asked));
        let mut writer = self.twin()?;
        thread::scope(|scope| {
            // Should it not be taken, no answer comes either.
            scope.spawn(move || writer.send(&bytes));
            let mut before = Vec::new();
            loop {
                let frame = self.read()?.context("it has closed")?;
                let is_served =
                    frame.id == id::PIECE && [frame.field(0), frame.field(1)] == [Some(0), Some(4096)];
                if is_served || (frame.id == id::REJECT && frame.block() == Some(asked)) {
                    return Ok(before);
                }
                before.push(frame);
            }
        })
    }

    /// Fills the buffer; whether the other side did not close before.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<bool> {
        match self.stream.read_exact(buffer) {
            Ok(()) => Ok(true),
            Err(error) if is_patience(&error) => bail!("nothing comes for {} s", PATIENCE.as_secs()),
            // A reset is a close too.
            Err(_) => Ok(false),
        }
    }
}

fn is_patience(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
