//! Files that somebody changes while they are downloaded.

use std::fs::{self, File};
use std::io::Write;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::{TempDir, tempdir};

use super::support::{Sample, config, end, failure, seeder, until};
use crate::{AddTorrent, FailureKind, Limits, Session, SessionConfig, State, TorrentId};

const PIECE: u32 = 16_384;

/// A download of two files, one after the other, as slowly as is needed to come in between.
struct Halfway {
    sample: Sample,
    seed: Session,
    session: Session,
    id: TorrentId,
    dir: TempDir,
    state: TempDir,
}

fn with_seals(state: &Path) -> Session {
    Session::start(SessionConfig { state_dir: Some(state.to_path_buf()), ..config() }).unwrap()
}

impl Halfway {
    /// A part of the first file is there, and nothing of the second.
    async fn new() -> Self {
        let sample = Sample::folder(&[("a", 128 * 16_384), ("b", 16 * 16_384)], PIECE);
        let seed = seeder(&sample).await;
        let (dir, state) = (tempdir().unwrap(), tempdir().unwrap());
        let session = with_seals(state.path());
        let mut add = sample.download(dir.path(), &[seed.port()]);
        add.limits = Limits { down: NonZeroU64::new(512 * 1024), ..Limits::default() };
        add.sequential = true;
        let id = session.add(add).await.unwrap();
        until(&session, id, |stats| stats.done_bytes > 16 * 16_384).await;
        Self { sample, seed, session, id, dir, state }
    }

    async fn fast(&self) {
        self.session.set_torrent_limits(self.id, Limits::default()).await;
    }

    /// It becomes complete and right, and the next start knows that without hashing.
    async fn completes(self) {
        self.fast().await;
        until(&self.session, self.id, |stats| stats.state == State::Seeding).await;
        self.sample.assert_complete_in(self.dir.path());
        end(&[&self.session]).await;
        let again = with_seals(self.state.path());
        let add = AddTorrent::seed(self.sample.torrent.clone(), self.dir.path());
        let id = again.add(add).await.unwrap();
        let stats = until(&again, id, |stats| stats.state == State::Seeding).await;
        assert_eq!(stats.hashed_bytes, 0);
        end(&[&again, &self.seed]).await;
    }
}

#[tokio::test]
async fn h70_a_file_that_is_edited_while_it_is_downloaded_is_right_when_it_is_said_to_be_complete() {
    let it = Halfway::new().await;
    let file = File::options().write(true).open(it.dir.path().join("sample/a")).unwrap();
    file.write_all_at(&[9; 16_384], 16_384).unwrap();
    it.completes().await;
}

#[tokio::test]
async fn h70_a_file_that_is_removed_while_it_is_downloaded_is_fetched_again() {
    let it = Halfway::new().await;
    fs::remove_file(it.dir.path().join("sample/a")).unwrap();
    it.completes().await;
}

#[tokio::test]
async fn h72_a_file_that_is_put_in_the_place_of_one_that_is_downloaded_or_not_yet_there_is_left_alone() {
    for name in ["a", "b"] {
        let it = Halfway::new().await;
        let path = it.dir.path().join("sample").join(name);
        let mine = vec![7; 20 * 16_384];
        fs::write(path.with_extension("mine"), &mine).unwrap();
        fs::rename(path.with_extension("mine"), &path).unwrap();
        it.fast().await;
        let failure = failure(&it.session, it.id).await;
        assert_eq!(failure.kind, FailureKind::DataMismatch);
        assert!(failure.message.starts_with(&path.display().to_string()), "{}", failure.message);
        assert!(failure.message.contains("left alone"), "{}", failure.message);
        end(&[&it.session]).await;
        // Whoever runs the same again is asked, as often as he does.
        for _ in 0..2 {
            let again = with_seals(it.state.path());
            let id = again.add(it.sample.download(it.dir.path(), &[it.seed.port()])).await.unwrap();
            let failure = super::support::failure(&again, id).await;
            assert_eq!(failure.kind, FailureKind::DataMismatch);
            assert!(failure.message.contains("use --overwrite"), "{}", failure.message);
            assert!(fs::read(&path).unwrap() == mine, "{name} is as it was");
            end(&[&again]).await;
        }
        let mut add = it.sample.download(it.dir.path(), &[it.seed.port()]);
        match name {
            "a" => add.overwrite = true,
            _ => fs::remove_file(&path).unwrap(),
        }
        let again = with_seals(it.state.path());
        let id = again.add(add).await.unwrap();
        until(&again, id, |stats| stats.state == State::Seeding).await;
        it.sample.assert_complete_in(it.dir.path());
        end(&[&again, &it.seed]).await;
    }
}

#[tokio::test]
async fn h72_a_file_that_the_marker_names_as_somebodys_is_taken_over_only_if_it_is_right() {
    let it = Halfway::new().await;
    end(&[&it.session]).await;
    let path = it.dir.path().join("sample/b");
    let mut entries = fs::read_dir(it.dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let marker = entries.find(|path| path.extension().is_some_and(|end| end == "shoal")).unwrap();
    File::options().append(true).open(&marker).unwrap().write_all(b"not-ours 1\n").unwrap();
    fs::write(&path, [7; 16_384]).unwrap();
    let again = with_seals(it.state.path());
    let id = again.add(it.sample.download(it.dir.path(), &[it.seed.port()])).await.unwrap();
    assert_eq!(failure(&again, id).await.kind, FailureKind::DataMismatch);
    end(&[&again]).await;
    // As it is when it was moved here, with its old time.
    fs::copy(it.sample.dir.path().join("sample/b"), &path).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(1000);
    File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
    let again = with_seals(it.state.path());
    let id = again.add(it.sample.download(it.dir.path(), &[it.seed.port()])).await.unwrap();
    let stats = until(&again, id, |stats| stats.state == State::Seeding).await;
    assert!(stats.downloaded <= 112 * 16_384, "nothing of it is fetched");
    it.sample.assert_complete_in(it.dir.path());
    end(&[&again, &it.seed]).await;
}

#[tokio::test]
async fn h70_a_file_that_is_edited_before_a_download_is_interrupted_is_hashed_at_the_next_start() {
    let it = Halfway::new().await;
    let path = it.dir.path().join("sample/a");
    File::options().write(true).open(&path).unwrap().write_all_at(&[9; 16_384], 16_384).unwrap();
    end(&[&it.session]).await;
    let again = with_seals(it.state.path());
    let id = again.add(it.sample.download(it.dir.path(), &[it.seed.port()])).await.unwrap();
    let stats = until(&again, id, |stats| stats.state == State::Seeding).await;
    assert!(stats.hashed_bytes > 0);
    it.sample.assert_complete_in(it.dir.path());
    end(&[&again, &it.seed]).await;
}
