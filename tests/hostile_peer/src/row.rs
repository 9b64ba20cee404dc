//! One row: who attacks whom how, what came of it, and the transfer beside it.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result, anyhow, ensure};
use tempfile::TempDir;

use crate::gate::Gate;
use crate::guest::{Closed, Guest, MODERN, fresh_id, hello, id};
use crate::memory::Memory;
use crate::{PATIENCE, Sample, Shoal};

/// Bytes of the sample: some seconds of work for nobody.
const SIZE: usize = 3_000_000;

/// The part of it that may come before the attack has been played.
const BEFORE: usize = 8;

/// Bytes of its pieces, so that a block of twice the usual length lies within one.
const PIECE_LENGTH: u32 = 64 * 1024;

/// What an attack may cost in memory: no more than the buffers of a transfer. Nothing that a row announces would fit.
const MOST_RESIDENT_KIB: u64 = 64 * 1024;

/// The same in address space, where what is asked for and not used shows.
const MOST_ASKED_KIB: u64 = 1024 * 1024;

/// Who is attacked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Against {
    /// `seed` with these arguments besides; the other downloads from it.
    Seed(&'static [&'static str]),
    /// `download`; the other seeds to it.
    Download,
    /// `download` of a magnet link.
    Magnet,
}

impl Against {
    fn name(self) -> &'static str {
        match self {
            Self::Seed(_) => "seed",
            Self::Download => "download",
            Self::Magnet => "magnet",
        }
    }
}

/// A way to attack.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Which hostile input it is.
    pub number: u8,
    /// In words.
    pub behaviour: &'static str,
    /// It takes so long by its nature that the transfer does not wait for it: it ends first.
    pub is_slow: bool,
    pub(crate) against: Against,
    /// Plays it once; what was answered, if it was right.
    pub(crate) attack: fn(&Target<'_>) -> Result<String>,
}

/// What came of a row.
#[derive(Clone, Debug)]
pub struct Report {
    row: Row,
    /// What was answered.
    pub answer: String,
    /// How often the attack was played while the transfer went on.
    pub plays: u32,
    /// KiB that were resident in the attacked process before, and at most until the attack was over.
    pub resident: (u64, u64),
}

impl fmt::Display for Report {
    /// A line of a table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, most) = self.resident;
        write!(
            f,
            "| {} | {} | {} | {} | complete and right, {} | {:.1} → {:.1} MiB |",
            self.row.number,
            self.row.against.name(),
            self.row.behaviour,
            self.answer,
            if self.plays == 1 { "played once".to_owned() } else { format!("played {} times", self.plays) },
            before as f64 / 1024.0,
            most as f64 / 1024.0,
        )
    }
}

impl Report {
    /// The first lines of the table.
    pub const HEAD: &'static str = "| row | attacked | what it does | what shoal answered | the transfer meanwhile | \
        resident |\n|---|---|---|---|---|---|";
}

/// Who is attacked, and what is known of him.
pub(crate) struct Target<'a> {
    pub(crate) process: &'a Shoal,
    pub(crate) at: SocketAddr,
    pub(crate) sample: &'a Sample,
    /// Connections that are to stay open until the end.
    held: Mutex<Vec<Guest>>,
}

impl Target<'_> {
    /// A connection on which both have introduced themselves.
    pub(crate) fn greet(&self, reserved: [u8; 8]) -> Result<Guest> {
        Guest::greet(self.at, self.sample.info_hash, reserved)
    }

    /// Keeps a connection open until the row is over.
    pub(crate) fn hold(&self, guest: Guest) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).push(guest);
    }

    /// Sends this on a connection of its own, which must be closed for it.
    pub(crate) fn closes(&self, reserved: [u8; 8], bytes: &[u8]) -> Result<String> {
        let mut guest = self.greet(reserved)?;
        guest.send(bytes);
        Ok(self.closed(guest)?.1)
    }

    /// A connection must be closed by the other side; how, and why in its own words.
    pub(crate) fn closed(&self, mut guest: Guest) -> Result<(Closed, String)> {
        let ours = guest.ours()?;
        let closed = guest.until_closed()?;
        let reason = self.process.reason(ours)?;
        ensure!(reason != "the other side has closed", "it did not close by itself");
        Ok((closed, reason))
    }
}

impl Row {
    /// Plays it against this program.
    ///
    /// # Errors
    /// If an answer was not as it must be, the transfer beside it did not come right, or it cost too much memory.
    pub fn play(&self, program: &Path) -> Result<Report> {
        self.play_it(program).with_context(|| format!("row {}, {}", self.number, self.behaviour))
    }

    fn play_it(&self, program: &Path) -> Result<Report> {
        let sample = Sample::make(program, SIZE, PIECE_LENGTH)?;
        let (state, folder) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let torrent = sample.torrent().to_string_lossy().into_owned();
        let more = if let Against::Seed(more) = self.against { more } else { &[] };
        let seed = [&["seed", &torrent, "--port", "0"], more].concat();
        let seed = Shoal::start(program, state.path(), &seed)?;
        let let_through = match self.against {
            _ if self.is_slow => u64::MAX,
            Against::Magnet => 0,
            _ => u64::try_from(SIZE / BEFORE)?,
        };
        let gate = Gate::start(seed.seeding_port()?, let_through)?;
        let start = |what: &str, peers: &[SocketAddr]| {
            Shoal::start(program, state.path(), &sample.download(what, folder.path(), peers))
        };
        let (download, at) = match self.against {
            Against::Seed(_) => {
                (start(&torrent, &[gate.at])?, (Ipv4Addr::LOCALHOST, seed.seeding_port()?).into())
            }
            Against::Download | Against::Magnet => {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
                let what = if let Against::Magnet = self.against { &sample.magnet() } else { &torrent };
                let download = start(what, &[listener.local_addr()?, gate.at])?;
                let port = where_it_listens(&listener, &sample)?;
                (download, (Ipv4Addr::LOCALHOST, port).into())
            }
        };
        let process = if let Against::Seed(_) = self.against { &seed } else { &download };
        if !matches!(self.against, Against::Magnet) {
            process.await_object("the honest one has come", |object| {
                object["message"].as_str().is_some_and(|message| message.contains(": connected, -SH"))
            })?;
        }
        let target = Target { process, at, sample: &sample, held: Mutex::default() };
        let report = self.meanwhile(&target, &download, &gate, &folder)?;
        if let Against::Seed(_) = self.against {
            seed.interrupt().context("the attacked seeder")?;
        }
        Ok(report)
    }

    /// Attacks until the transfer has ended.
    fn meanwhile(
        &self,
        target: &Target<'_>,
        download: &Shoal,
        gate: &Gate,
        folder: &TempDir,
    ) -> Result<Report> {
        let (played, first_play) = channel();
        let (over, is_over) = channel();
        thread::scope(|scope| {
            let attack = scope.spawn(move || self.attack_until(target, &played, &is_over));
            if !self.is_slow {
                // An attack that failed has hung up: then the transfer may end all the same.
                let _ = first_play.recv();
            }
            gate.open();
            let complete = download.event("complete");
            let was_first = !attack.is_finished();
            drop(over);
            let report = attack.join().map_err(|_| anyhow!("the attack panicked"))??;
            complete.context("the transfer meanwhile")?;
            ensure!(was_first || !self.is_slow, "the transfer ended after the attack");
            download.finish()?;
            target.sample.assert_in(folder.path())?;
            Ok(report)
        })
    }

    fn attack_until(
        &self,
        target: &Target<'_>,
        played: &Sender<()>,
        is_over: &Receiver<()>,
    ) -> Result<Report> {
        let before = Memory::of(target.process.id())?;
        Memory::forget_most(target.process.id())?;
        let answer = (self.attack)(target)?;
        let after = Memory::of(target.process.id())?;
        let grown = after.most_resident.saturating_sub(before.resident);
        ensure!(grown < MOST_RESIDENT_KIB, "it took {grown} KiB of memory");
        let asked = after.most_asked.saturating_sub(before.most_asked);
        ensure!(asked < MOST_ASKED_KIB, "it asked for {asked} KiB of memory");
        let resident = (before.resident, after.most_resident);
        let mut report = Report { row: *self, answer, plays: 1, resident };
        let _ = played.send(());
        while is_over.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            match ((self.attack)(target), self.against) {
                (Ok(_), _) => report.plays += 1,
                (Err(error), Against::Seed(_)) => return Err(error.context("when it was played again")),
                // A download that has ended plays no more.
                (Err(error), _) => match is_over.recv_timeout(PATIENCE) {
                    Err(RecvTimeoutError::Disconnected) => break,
                    _ => return Err(error.context("when it was played again")),
                },
            }
        }
        Ok(report)
    }
}

/// Waits until a download dials us, and has it say where it listens (`p` of BEP 10).
fn where_it_listens(listener: &TcpListener, sample: &Sample) -> Result<u16> {
    let (stream, _) = listener.accept()?;
    let mut guest = Guest::over(stream)?;
    ensure!(guest.read_hello()?, "it dialled and said nothing");
    guest.send(&hello(MODERN, sample.info_hash, fresh_id()));
    loop {
        let frame = guest.until(id::EXTENDED)?;
        let text = String::from_utf8_lossy(&frame.payload).into_owned();
        if let Some((_, rest)) = text.split_once("1:pi") {
            let port = rest.split('e').next().and_then(|digits| digits.parse().ok());
            return port.context("it names no port");
        }
    }
}
