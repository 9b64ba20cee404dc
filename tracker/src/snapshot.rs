//! The swarms on disk, so that a tracker that starts again knows who was there.
//!
//! Invariants: the file is always a whole snapshot, the last one or the one before, whenever the machine stops: it is
//! written beside, brought to disk and then put in the other's place. Stores are locked for one block at a time, so
//! announces go on meanwhile, while it is read as well. What is read is entered as far as it is not known better.
//!
//! The format is [`tracker_proto::swarm::SnapshotWriter`]'s. All of it happens on a thread of its own, which waits for
//! the disk and keeps nobody else waiting.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;
use tracker_proto::swarm::{MAX_SNAPSHOT_BLOCK_BYTES, SNAPSHOT_HEADER_BYTES, SnapshotReader, SnapshotWriter};

use crate::state::State;
use crate::{NEWS, TrackerError};

/// The file in the folder of the tracker's state.
const NAME: &str = "tracker.snapshot";

/// The thread that reads the snapshot and then writes it at intervals.
#[derive(Debug)]
pub(crate) struct Keeper {
    stop: mpsc::Sender<()>,
    ended: oneshot::Receiver<()>,
}

/// The file in the folder that a running tracker holds locked.
const LOCK: &str = "lock";

/// Makes the folder if it is not there, and keeps other trackers out of it for as long as what is given lives.
pub(crate) fn prepare(folder: &Path) -> Result<File, TrackerError> {
    let failed = |source| TrackerError::StateDir { folder: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(failed)?;
    let mut options = OpenOptions::new();
    let lock = options.write(true).create(true).truncate(false).open(folder.join(LOCK)).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(TrackerError::StateInUse { folder: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

impl Keeper {
    /// Reads the snapshot of the folder, if there is one, and writes one `every` so often.
    pub(crate) fn start(state: Arc<State>, folder: &Path, every: Duration) -> io::Result<Self> {
        let path = folder.join(NAME);
        let (stop, stopped) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        let run = move || {
            load(&state, &path);
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(every) {
                said(&state, &path, save(&state, &path));
            }
            said(&state, &path, save(&state, &path));
            drop(end);
        };
        std::thread::Builder::new().name("tracker-state".to_owned()).spawn(run)?;
        Ok(Self { stop, ended })
    }

    /// Writes the last snapshot.
    pub(crate) async fn end(self) {
        drop(self.stop);
        // An error says that the thread is gone, and no more is to be known.
        let _ = self.ended.await;
    }
}

fn said(state: &State, path: &Path, saved: io::Result<()>) {
    match saved {
        Ok(()) => {
            state.note_saved();
            tracing::debug!("{}: the swarms are written", path.display());
        }
        Err(error) => tracing::warn!("{}: the swarms could not be written: {error}", path.display()),
    }
}

/// Enters what the file holds. A file that is damaged is used as far as it is whole.
fn load(state: &State, path: &Path) {
    match read(state, path) {
        Ok(peers) => {
            let peers = peers as u64;
            let (known, are) = (metainfo::plural(peers, "peer"), metainfo::is_or_are(peers));
            tracing::info!(target: NEWS, "{}: {known} {are} known from before", path.display());
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            let why = match error.kind() {
                io::ErrorKind::UnexpectedEof => "it is cut short".to_owned(),
                _ => error.to_string(),
            };
            // The next one takes its place: somebody may want to look at it, or a newer tracker to read it.
            let kept = path.with_extension("snapshot.bad");
            let kept = match fs::rename(path, &kept) {
                Ok(()) => format!(", and it is kept as {}", kept.display()),
                Err(_) => String::new(),
            };
            tracing::warn!("{}: {why}; the swarms begin with what could be read{kept}", path.display());
        }
    }
}

fn read(state: &State, path: &Path) -> io::Result<usize> {
    let mut file = File::open(path)?;
    let mut header = [0; SNAPSHOT_HEADER_BYTES];
    file.read_exact(&mut header)?;
    let mut reader = SnapshotReader::begin(&header).map_err(io::Error::other)?;
    // A clock that has been set back since makes everybody as old as they were.
    let away = Duration::from_secs(unix_seconds().saturating_sub(reader.unix_seconds()));
    let mut peers = 0;
    let mut buffer = vec![0; MAX_SNAPSHOT_BLOCK_BYTES];
    let mut filled = 0;
    loop {
        let read = file.read(buffer.get_mut(filled..).unwrap_or_default())?;
        filled += read;
        let mut used = 0;
        loop {
            let rest = buffer.get(used..filled).unwrap_or_default();
            let block = reader.block(rest, |record| peers += state.restore(away, &record));
            match block.map_err(io::Error::other)? {
                0 => break,
                length => used += length,
            }
        }
        buffer.copy_within(used..filled, 0);
        filled -= used;
        // A buffer that is full holds any block, so it is never full here.
        if read == 0 {
            reader.end().map_err(io::Error::other)?;
            return Ok(peers);
        }
    }
}

/// Writes all swarms, and puts the file in the place of the one before when it is safe on disk.
fn save(state: &State, path: &Path) -> io::Result<()> {
    let new = beside(path);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    // It says who takes part in what.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = BufWriter::with_capacity(MAX_SNAPSHOT_BLOCK_BYTES, options.open(&new)?);
    let mut block = Vec::with_capacity(MAX_SNAPSHOT_BLOCK_BYTES);
    let mut writer = SnapshotWriter::begin(unix_seconds(), &mut block);
    file.write_all(&block)?;
    state.write_swarms(&mut writer, |block| file.write_all(block))?;
    block.clear();
    writer.end(&mut block);
    file.write_all(&block)?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("snapshot.new")
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use metainfo::InfoHash;
    use tracker_proto::http::Event;
    use tracker_proto::swarm::Announce;

    use super::*;
    use crate::TrackerConfig;

    fn state(http_workers: usize) -> State {
        State::new(TrackerConfig { http_workers, ..TrackerConfig::open() }).unwrap()
    }

    /// A peer in each of so many swarms.
    fn fill(state: &State, swarms: u16) {
        for n in 0..swarms {
            let mut info_hash = [7; 20];
            info_hash[..2].copy_from_slice(&n.to_be_bytes());
            let mut peers = Vec::new();
            let announce = Announce {
                info_hash: InfoHash::new(info_hash),
                address: ([192, 0, 2, 1], n.max(1)).into(),
                left: 0,
                event: Event::Started,
                numwant: None,
            };
            state.announce_into(&announce, tracker_proto::swarm::Families::Both, &mut peers).unwrap();
        }
    }

    fn peers(state: State) -> usize {
        crate::TrackerHandle { state: Arc::new(state) }.stats().peers
    }

    #[test]
    fn what_was_written_is_read_by_a_tracker_with_other_stores() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let before = state(2);
        fill(&before, 20_000);
        save(&before, &path).unwrap();
        // Again, over the one before.
        save(&before, &path).unwrap();
        assert!(!beside(&path).exists());
        let after = state(1);
        assert_eq!(read(&after, &path).unwrap(), 20_000);
        assert_eq!(peers(after), 20_000);
    }

    #[test]
    fn a_file_that_is_cut_off_or_damaged_is_used_as_far_as_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let before = state(1);
        fill(&before, 20_000);
        save(&before, &path).unwrap();
        let whole = fs::read(&path).unwrap();
        let half = whole.len() / 2;
        fs::write(&path, &whole[..half]).unwrap();
        let cut = state(1);
        assert!(read(&cut, &path).unwrap_err().to_string().contains("cut off"));
        assert!((5_000..15_000).contains(&peers(cut)));
        let mut damaged = whole;
        damaged[half] ^= 1;
        fs::write(&path, damaged).unwrap();
        let after = state(1);
        assert!(read(&after, &path).unwrap_err().to_string().contains("damaged"));
        assert!((5_000..15_000).contains(&peers(after)));
        fs::write(&path, b"not a snapshot, whatever else it may be").unwrap();
        let other = state(1);
        assert!(read(&other, &path).unwrap_err().to_string().contains("no snapshot"));
        assert_eq!(peers(other), 0);
    }

    #[test]
    fn a_folder_that_cannot_be_written_to_is_an_error_and_leaves_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join(NAME);
        assert_eq!(save(&state(1), &path).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(prepare(&folder.path().join("a/b")).is_ok());
        fs::write(folder.path().join("file"), b"").unwrap();
        let error = prepare(&folder.path().join("file")).unwrap_err().to_string();
        assert!(error.starts_with("cannot keep the tracker's state in "), "{error}");
    }
}
