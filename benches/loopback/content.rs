//! What is moved: files of noise in a temporary folder, and their torrent.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Result, ensure};
use metainfo::{Info, InfoBuilder, TorrentBuilder, TorrentFile};
use storage::{Cancel, Storage, StorageOptions, WalkOptions, Walked, check, hash_files, walk};
use tempfile::TempDir;

/// The torrent's top-level name.
const NAME: &str = "payload";

/// Files in one folder.
const A_FOLDER: u32 = 100;

/// How the content is cut.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Bytes of all files.
    pub(crate) length: u64,
    pub(crate) files: u32,
    pub(crate) piece_length: u32,
}

/// Content on disk. It is deleted with this.
pub(crate) struct Content {
    folder: TempDir,
    torrent: TorrentFile,
}

impl Content {
    /// Makes the files in a new folder beneath `dir`, and hashes them.
    pub(crate) fn make(dir: &Path, shape: Shape) -> Result<Self> {
        ensure!(u64::from(shape.files) <= shape.length, "there are more files than bytes");
        let folder = tempfile::tempdir_in(dir)?;
        let top = folder.path().join(NAME);
        let mut noise = Noise(0);
        if shape.files == 1 {
            noise.write(&top, shape.length)?;
        }
        for file in (0..shape.files).take_while(|_| shape.files > 1) {
            let below = top.join(format!("{:05}", file / A_FOLDER));
            fs::create_dir_all(&below)?;
            // The first files are longer by one byte each where it does not come out even.
            let odd = u64::from(file) < shape.length % u64::from(shape.files);
            let length = shape.length / u64::from(shape.files) + u64::from(odd);
            noise.write(&below.join(format!("{:02}.bin", file % A_FOLDER)), length)?;
        }
        let torrent = torrent(&walk(&top, &WalkOptions::default())?, shape.piece_length)?;
        Ok(Self { folder, torrent })
    }

    /// The folder that holds the torrent's top-level name.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn torrent(&self) -> &TorrentFile {
        &self.torrent
    }

    /// Whether all of it is in `root` too, to the last byte: reads and hashes everything.
    pub(crate) fn is_all_in(&self, root: &Path) -> Result<bool> {
        let info = &self.torrent.info;
        let storage = Storage::new(root, info, StorageOptions::default())?;
        Ok(check(&storage, info, threads(), &Cancel::new(), &|_| ())?.is_complete())
    }
}

/// Takes the bytes of all files of the content in `root`, and leaves the files.
pub(crate) fn empty(root: &Path) -> Result<()> {
    let walked = walk(&root.join(NAME), &WalkOptions::default())?;
    for file in &walked.files {
        File::options().write(true).truncate(true).open(walked.path_of(file))?;
    }
    Ok(())
}

fn torrent(walked: &Walked, piece_length: u32) -> Result<TorrentFile> {
    let digests = hash_files(walked, piece_length, threads(), &Cancel::new(), &|_| ())?;
    let builder = InfoBuilder { name: walked.name.clone(), piece_length, private: false, source: None };
    let info = if walked.single_file {
        builder.single_file(walked.total, &digests)?
    } else {
        let files = walked.files.iter().map(|file| (file.elements(), file.length));
        Info::from_bytes(builder.folder_bytes(files, &digests)?)?
    };
    Ok(TorrentBuilder::default().build(info)?)
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Bytes that no two blocks have alike: SplitMix64, fast enough to fill a disk.
struct Noise(u64);

impl Noise {
    fn write(&mut self, path: &Path, length: u64) -> Result<()> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
        let mut left = length;
        while left > 0 {
            let word = self.next().to_le_bytes();
            let part = usize::try_from(left).map_or(word.len(), |left| left.min(word.len()));
            out.write_all(&word[..part])?;
            left -= part as u64;
        }
        Ok(out.flush()?)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
