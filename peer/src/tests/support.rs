//! Samples, sessions and waiting.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use metainfo::{BuildFile, InfoBuilder, TorrentBuilder, TorrentFile};
use sha1::{Digest, Sha1};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::{
    AddTorrent, Failure, Listen, PortChoice, Session, SessionConfig, State, TorrentId, TorrentStats,
};

/// Long enough for a busy machine; reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with content, and its torrent.
pub(crate) struct Sample {
    pub(crate) dir: TempDir,
    pub(crate) torrent: TorrentFile,
    files: Vec<(String, Vec<u8>)>,
}

/// Bytes that differ from place to place and from seed to seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}

impl Sample {
    /// One file, `sample.bin`.
    pub(crate) fn single(length: usize, piece_length: u32) -> Self {
        Self::make("sample.bin", vec![(String::new(), noise(1, length))], piece_length)
    }

    /// A folder, `sample`, of files of these lengths.
    pub(crate) fn folder(files: &[(&str, usize)], piece_length: u32) -> Self {
        let files = (1..).zip(files).map(|(seed, (path, length))| ((*path).to_owned(), noise(seed, *length)));
        Self::make("sample", files.collect(), piece_length)
    }

    fn make(name: &str, files: Vec<(String, Vec<u8>)>, piece_length: u32) -> Self {
        let content: Vec<u8> = files.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        let digests: Vec<u8> =
            content.chunks(piece_length.try_into().unwrap()).flat_map(Sha1::digest).collect();
        let builder = InfoBuilder { name: name.into(), piece_length, private: false, source: None };
        let info = match files.as_slice() {
            [(path, bytes)] if path.is_empty() => builder.single_file(bytes.len() as u64, &digests),
            files => {
                let entry = |(path, bytes): &(String, Vec<u8>)| BuildFile {
                    path: path.split('/').map(Into::into).collect(),
                    length: bytes.len() as u64,
                };
                builder.folder(&files.iter().map(entry).collect::<Vec<_>>(), &digests)
            }
        };
        let torrent = TorrentBuilder::default().build(info.unwrap()).unwrap();
        let sample = Self { dir: tempfile::tempdir().unwrap(), torrent, files };
        sample.write_to(sample.dir.path());
        sample
    }

    /// Writes all files beneath `root`.
    pub(crate) fn write_to(&self, root: &Path) {
        for (path, bytes) in &self.files {
            let path = self.path(root, path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    fn path(&self, root: &Path, file: &str) -> std::path::PathBuf {
        let top = root.join(self.torrent.info.top_level());
        if file.is_empty() { top } else { top.join(file) }
    }

    /// Every file beneath `root` has its bytes, and nothing else is there.
    pub(crate) fn assert_complete_in(&self, root: &Path) {
        for (path, bytes) in &self.files {
            let found = fs::read(self.path(root, path)).unwrap();
            assert!(found == *bytes, "{path} differs");
        }
        let names: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [self.torrent.info.top_level()], "only the download is left");
    }

    pub(crate) fn seed(&self) -> AddTorrent {
        AddTorrent::seed(self.torrent.clone(), self.dir.path())
    }

    /// A download that knows the peers on these ports.
    pub(crate) fn download(&self, root: &Path, ports: &[u16]) -> AddTorrent {
        let peers = ports.iter().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, *port))).collect();
        AddTorrent { peers, ..AddTorrent::download(self.torrent.clone(), root) }
    }
}

/// How sessions of tests are started: any port of this machine only.
pub(crate) fn config() -> SessionConfig {
    SessionConfig {
        listen: Listen { addresses: vec![Ipv4Addr::LOCALHOST.into()], port: PortChoice::Any },
        ..SessionConfig::default()
    }
}

pub(crate) fn session() -> Session {
    Session::start(config()).unwrap()
}

/// A session that seeds a sample.
pub(crate) async fn seeder(sample: &Sample) -> Session {
    let session = session();
    let id = session.add(sample.seed()).await.unwrap();
    until(&session, id, |stats| stats.state == State::Seeding).await;
    session
}

/// Waits until the stats are as wished.
pub(crate) async fn until(
    session: &Session,
    id: TorrentId,
    wish: impl FnMut(&TorrentStats) -> bool,
) -> TorrentStats {
    watched(session.stats(id).unwrap(), wish).await
}

pub(crate) async fn watched(
    mut stats: watch::Receiver<TorrentStats>,
    wish: impl FnMut(&TorrentStats) -> bool,
) -> TorrentStats {
    let waited = tokio::time::timeout(PATIENCE, stats.wait_for(wish)).await;
    if let Ok(stats) = waited {
        return stats.unwrap().clone();
    }
    drop(waited);
    panic!("never came: {:?}", stats.borrow().clone())
}

/// Waits until it failed, and gives why.
pub(crate) async fn failure(session: &Session, id: TorrentId) -> Failure {
    match until(session, id, |stats| matches!(stats.state, State::Failed(_))).await.state {
        State::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn end(sessions: &[&Session]) {
    for session in sessions {
        session.shutdown(Duration::from_secs(5)).await;
    }
}
