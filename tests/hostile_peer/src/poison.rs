//! The poisoner (row 33): it has everything, answers every request at once, and some of what it gives is wrong.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::{Context as _, Result, ensure};

use crate::gate::Gate;
use crate::guest::{Guest, MODERN, frame, fresh_id, hello, id, message};
use crate::{Sample, Shoal};

/// A running poisoner. Its thread waits for connections as long as the process lives.
#[derive(Debug)]
pub struct Poisoner {
    /// Where it listens.
    pub at: SocketAddr,
    count: Arc<Count>,
}

/// Blocks that were given.
#[derive(Debug, Default)]
struct Count {
    all: AtomicU32,
    wrong: AtomicU32,
}

impl Poisoner {
    /// Waits for downloaders here; of the blocks that it gives one in `every` is wrong.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn start(listener: TcpListener, sample: Arc<Sample>, every: u32) -> Result<Self> {
        let count = Arc::new(Count::default());
        let poisoner = Self { at: listener.local_addr()?, count: Arc::clone(&count) };
        // One peer, however often it is dialled: a ban on this machine goes by the id.
        let own = fresh_id();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (sample, count) = (Arc::clone(&sample), Arc::clone(&count));
                // Whoever hangs up has had enough.
                thread::spawn(move || serve(stream, &sample, own, every, &count));
            }
        });
        Ok(poisoner)
    }

    /// How many blocks it gave, and how many of them wrong.
    #[must_use]
    pub fn given(&self) -> (u32, u32) {
        (self.count.all.load(Ordering::SeqCst), self.count.wrong.load(Ordering::SeqCst))
    }
}

fn serve(stream: TcpStream, sample: &Sample, own: [u8; 20], every: u32, count: &Count) -> Result<()> {
    let mut guest = Guest::over(stream)?;
    ensure!(guest.read_hello()?, "it dialled and said nothing");
    guest.send(&hello(MODERN, sample.info_hash, own));
    guest.send(&[message(id::HAVE_ALL, &[]), message(id::UNCHOKE, &[])].concat());
    while let Some(said) = guest.read()? {
        if said.id != id::REQUEST {
            continue;
        }
        let [piece, begin, length] = said.block().context("a request names a block")?;
        let mut block = sample.block(piece, begin, length).context("it asks past the end")?.to_vec();
        if count.all.fetch_add(1, Ordering::SeqCst) % every == every - 1 {
            block.iter_mut().take(100).for_each(|byte| *byte = !*byte);
            count.wrong.fetch_add(1, Ordering::SeqCst);
        }
        guest.send(&frame(id::PIECE, &[&piece.to_be_bytes()[..], &begin.to_be_bytes(), &block].concat()));
    }
    Ok(())
}

/// What the downloader said of the peers, in the order in which it said it.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Pieces that were wrong before the first was closed for it.
    pub failed_before: usize,
    /// And in all: those that were on their way fail later.
    pub failed: usize,
    /// Addresses that it banned, as it says it to the user.
    pub banned: Vec<String>,
    /// Connections that it closed for that: addresses and ports.
    pub closed: Vec<String>,
}

impl Verdict {
    /// Reads it from a log.
    pub fn read(log: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut verdict = Self::default();
        for line in log {
            let line = line.as_ref();
            if line.starts_with("piece ") && line.ends_with(" is wrong") {
                verdict.failed += 1;
                verdict.failed_before += usize::from(verdict.closed.is_empty());
            }
            if let Some(said) = line.strip_suffix(" sent wrong data and is banned") {
                // After the name of the torrent.
                verdict.banned.push(said.rsplit(' ').next().unwrap_or(said).to_owned());
            }
            if let Some(address) = line.strip_suffix(": closed, sent a bad piece") {
                verdict.closed.push(address.to_owned());
            }
        }
        verdict
    }
}

/// What came of a download from a poisoner and honest seeders.
#[derive(Debug)]
pub struct Report {
    every: u32,
    given: (u32, u32),
    verdict: Verdict,
}

impl fmt::Display for Report {
    /// A line of a table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((given, wrong), verdict) = (self.given, &self.verdict);
        write!(
            f,
            "| 33 | download | poisons 1 block in {} among {SEEDERS} seeders: {wrong} of the {given} that it gave | \
             banned by name after {} failed pieces ({} in all), and nobody else | complete and right | |",
            self.every, verdict.failed_before, verdict.failed,
        )
    }
}

/// Honest seeders beside it.
pub const SEEDERS: usize = 5;

/// Pieces that may fail before the poisoner is found.
pub const MOST_FAILED: usize = 3;

/// Bytes of the sample, enough for all of the seeders to be asked, and of its pieces.
pub const SIZE: usize = 24_000_000;
/// See [`SIZE`].
pub const PIECE_LENGTH: u32 = 128 * 1024;

/// Downloads from it and five real seeders on this machine.
///
/// # Errors
/// If the download does not come right, or bans anybody but the poisoner, or that one too late.
pub fn play(program: &Path, every: u32) -> Result<Report> {
    let sample = Arc::new(Sample::make(program, SIZE, PIECE_LENGTH)?);
    let (state, folder) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let torrent = sample.torrent().to_string_lossy().into_owned();
    let seed = || Shoal::start(program, state.path(), &["seed", &torrent, "--port", "0"]);
    let seeders = (0..SEEDERS).map(|_| seed()).collect::<Result<Vec<_>>>()?;
    let poisoner = Poisoner::start(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, Arc::clone(&sample), every)?;
    // Together they give half of it before the poisoner has been of use.
    let most = u64::try_from(SIZE / SEEDERS / 2)?;
    let gates = seeders.iter().map(|seeder| Gate::start(seeder.seeding_port()?, most));
    let gates = gates.collect::<Result<Vec<_>>>()?;
    let peers: Vec<_> = [poisoner.at].into_iter().chain(gates.iter().map(|gate| gate.at)).collect();
    let download = Shoal::start(program, state.path(), &sample.download(&torrent, folder.path(), &peers))?;
    download.await_object("a piece that is wrong", |object| {
        object["message"].as_str().is_some_and(|message| message.ends_with(" is wrong"))
    })?;
    gates.iter().for_each(Gate::open);
    download.finish()?;
    sample.assert_in(folder.path())?;
    let verdict = Verdict::read(download.log());
    let given = poisoner.given();
    ensure!(given.1 > 0, "the poisoner was asked for nothing that it poisons: {given:?}");
    let at = poisoner.at.to_string();
    ensure!(verdict.banned == [poisoner.at.ip().to_string()], "{verdict:?}");
    ensure!(verdict.closed == [at.as_str()], "not the poisoner at {at}: {verdict:?}");
    ensure!(verdict.failed_before <= MOST_FAILED, "{verdict:?}");
    Ok(Report { every, given, verdict })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_that_fail_after_the_ban_are_counted_apart_and_everybody_that_was_closed_is_named() {
        let verdict = Verdict::read([
            "piece 7 is wrong",
            "10.0.0.1:5: closed, silent for too long",
            "piece 8 is wrong",
            "10.0.0.2:5: closed, sent a bad piece",
            "sample.bin: 10.0.0.2 sent wrong data and is banned",
            "piece 9 is wrong",
            "10.0.0.3:5: closed, sent a bad piece",
        ]);
        assert_eq!((verdict.failed_before, verdict.failed), (2, 3));
        assert_eq!(verdict.banned, ["10.0.0.2"]);
        assert_eq!(verdict.closed, ["10.0.0.2:5", "10.0.0.3:5"]);
    }
}
