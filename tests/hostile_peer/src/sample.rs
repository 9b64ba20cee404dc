//! A file, its torrent, and what is right to the byte.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::Value;
use tempfile::TempDir;

/// Bytes of a block, as everybody asks for them.
pub(crate) const BLOCK: u32 = 16 * 1024;

/// The name of the file.
const NAME: &str = "sample.bin";

/// A folder with a file in it, and beside it the torrent.
#[derive(Debug)]
pub struct Sample {
    folder: TempDir,
    /// What the file holds.
    pub content: Vec<u8>,
    /// The name of the swarm.
    pub info_hash: [u8; 20],
    /// Bytes of all pieces but the last.
    pub piece_length: u32,
    /// How many.
    pub pieces: u32,
}

impl Sample {
    /// Makes one of so many bytes with the program's `create`.
    ///
    /// # Errors
    /// If that does not work.
    pub fn make(program: &Path, size: usize, piece_length: u32) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let content = noise(size);
        std::fs::write(folder.path().join(NAME), &content)?;
        run(program, folder.path(), &["create", NAME, "-p", &piece_length.to_string()])?;
        let shown = run(program, folder.path(), &["show", "sample.bin.torrent", "--json"])?;
        let shown: Value = serde_json::from_str(&shown)?;
        let digits = shown["info_hash_v1"].as_str().context("show gives a hash")?;
        let pieces = u32::try_from(size)?.div_ceil(piece_length);
        Ok(Self { folder, content, info_hash: hex(digits)?, piece_length, pieces })
    }

    /// Where the file lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The torrent file.
    #[must_use]
    pub fn torrent(&self) -> PathBuf {
        self.folder.path().join("sample.bin.torrent")
    }

    /// A magnet link that names nobody.
    #[must_use]
    pub fn magnet(&self) -> String {
        let digits: String = self.info_hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("magnet:?xt=urn:btih:{digits}")
    }

    /// The arguments of a download into `target` from these peers.
    #[must_use]
    pub fn download(&self, what: &str, target: &Path, peers: &[SocketAddr]) -> Vec<String> {
        let own = ["download", what, "-d", &target.to_string_lossy(), "--port", "0"].map(str::to_owned);
        own.into_iter().chain(peers.iter().flat_map(|peer| ["--peer".to_owned(), peer.to_string()])).collect()
    }

    /// Bytes of one piece.
    #[must_use]
    pub fn piece_size(&self, piece: u32) -> u32 {
        let whole = u32::try_from(self.content.len()).unwrap_or(u32::MAX);
        whole.saturating_sub(piece.saturating_mul(self.piece_length)).min(self.piece_length)
    }

    /// What a block holds; `None` past the end.
    #[must_use]
    pub fn block(&self, piece: u32, begin: u32, length: u32) -> Option<&[u8]> {
        let start =
            usize::try_from(u64::from(piece) * u64::from(self.piece_length) + u64::from(begin)).ok()?;
        self.content.get(start..start.checked_add(usize::try_from(length).ok()?)?)
    }

    /// Asserts that a download is right and has left nothing else.
    ///
    /// # Errors
    /// If it is not.
    pub fn assert_in(&self, target: &Path) -> Result<()> {
        let there = std::fs::read(target.join(NAME)).context("the download is not there")?;
        ensure!(there == self.content, "the download is not what the torrent says");
        let names: Vec<_> = std::fs::read_dir(target)?.flatten().map(|entry| entry.file_name()).collect();
        ensure!(names == [NAME], "something else was left: {names:?}");
        Ok(())
    }
}

/// Bytes that look random and are the same in every run: a 64-bit xorshift generator (Marsaglia).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}

fn run(program: &Path, folder: &Path, args: &[&str]) -> Result<String> {
    let done = Command::new(program).args(args).current_dir(folder).output();
    let done = done.with_context(|| format!("{} cannot be run", program.display()))?;
    ensure!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8(done.stdout)?)
}

fn hex(digits: &str) -> Result<[u8; 20]> {
    let byte = |n: usize| digits.get(2 * n..2 * n + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    let bytes: Option<Vec<u8>> = (0..20).map(byte).collect();
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| anyhow!("no hash: {digits}"))
}
