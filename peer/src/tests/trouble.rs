//! Disks and data that are not as they should be.

use std::fs;

use tempfile::tempdir;

use super::support::{Sample, end, failure, noise, seeder, session, until};
use crate::{AddError, AddTorrent, Event, FailureKind, Note, State, Verify};

#[tokio::test]
async fn h72_an_unrelated_file_is_not_overwritten_unless_asked() {
    let sample = Sample::single(200_000, 16_384);
    let seed = seeder(&sample).await;
    let (session, dir) = (session(), tempdir().unwrap());
    let path = dir.path().join("sample.bin");
    let other = noise(99, 200_000);
    fs::write(&path, &other).unwrap();
    let id = session.add(sample.download(dir.path(), &[seed.port()])).await.unwrap();
    let failure = failure(&session, id).await;
    assert_eq!(failure.kind, FailureKind::DataMismatch);
    let due = format!("{} exists and is something else; use --overwrite to replace it", path.display());
    assert_eq!(failure.message, due);
    assert!(fs::read(&path).unwrap() == other, "the file is as it was");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no marker claims it");
    session.remove(id).await;

    let again = AddTorrent { overwrite: true, ..sample.download(dir.path(), &[seed.port()]) };
    let id = session.add(again).await.unwrap();
    until(&session, id, |stats| stats.state == State::Seeding).await;
    sample.assert_complete_in(dir.path());
    end(&[&session, &seed]).await;
}

#[tokio::test]
async fn h72_a_file_of_which_one_piece_matches_is_kept_where_it_does() {
    let sample = Sample::single(200_000, 16_384);
    let seed = seeder(&sample).await;
    let (session, dir) = (session(), tempdir().unwrap());
    let mut bytes = fs::read(sample.dir.path().join("sample.bin")).unwrap();
    bytes[16_384..].fill(0);
    fs::write(dir.path().join("sample.bin"), bytes).unwrap();
    let id = session.add(sample.download(dir.path(), &[seed.port()])).await.unwrap();
    let stats = until(&session, id, |stats| stats.state == State::Seeding).await;
    assert_eq!(stats.downloaded, 200_000 - 16_384);
    sample.assert_complete_in(dir.path());
    end(&[&session, &seed]).await;
}

#[tokio::test]
async fn h71_a_link_in_the_way_is_refused_and_its_target_left_alone() {
    let sample = Sample::single(200_000, 16_384);
    let (session, dir, elsewhere) = (session(), tempdir().unwrap(), tempdir().unwrap());
    let target = elsewhere.path().join("target");
    fs::write(&target, b"precious").unwrap();
    std::os::unix::fs::symlink(&target, dir.path().join("sample.bin")).unwrap();
    let id = session.add(sample.download(dir.path(), &[])).await.unwrap();
    let failure = failure(&session, id).await;
    assert_eq!(failure.kind, FailureKind::Disk);
    let link = dir.path().join("sample.bin");
    let due = format!("{} is a symbolic link; move it away or choose another folder", link.display());
    assert_eq!(failure.message, due);
    assert_eq!(fs::read(target).unwrap(), b"precious");
    end(&[&session]).await;
}

#[tokio::test]
async fn a_file_where_the_torrents_folder_must_be_is_named_itself() {
    let sample = Sample::folder(&[("a", 40_000), ("b", 40_000)], 16_384);
    let (session, dir) = (session(), tempdir().unwrap());
    let path = dir.path().join("sample");
    fs::write(&path, b"precious").unwrap();
    let id = session.add(sample.download(dir.path(), &[])).await.unwrap();
    let due = "is a file where a folder must be; move it away or choose another folder";
    assert_eq!(failure(&session, id).await.message, format!("{} {due}", path.display()));
    assert_eq!(fs::read(path).unwrap(), b"precious");
    end(&[&session]).await;
}

#[tokio::test]
async fn h74_a_marker_that_is_damaged_newer_or_of_another_torrent_is_ignored_and_said_so() {
    let sample = Sample::single(200_000, 16_384);
    let hash = sample.torrent.info_hash().to_string();
    let first = "shoal download marker, version";
    let markers = [
        ("\u{fffd}\0junk".to_owned(), "is damaged"),
        (format!("{first} 2\nwhatever"), "is from another version of shoal"),
        (format!("{first} 1\ninfo-hash {}\n", "0".repeat(40)), "is of another torrent"),
        (format!("{first} 1\n"), "is damaged"),
        (String::new(), "is damaged"),
    ];
    for (text, due) in markers {
        let (session, dir) = (session(), tempdir().unwrap());
        fs::write(dir.path().join("sample.bin"), noise(99, 200_000)).unwrap();
        fs::write(dir.path().join(format!(".sample.bin.{}.shoal", &hash[..8])), text).unwrap();
        let mut events = session.events();
        let id = session.add(sample.download(dir.path(), &[])).await.unwrap();
        let warning = loop {
            if let Event::Warning { message, .. } = events.next().await.unwrap() {
                break message;
            }
        };
        assert!(warning.contains(due), "{warning}");
        assert_eq!(
            failure(&session, id).await.kind,
            FailureKind::DataMismatch,
            "the data counts as not ours"
        );
        end(&[&session]).await;
    }
}

#[tokio::test]
async fn a_marker_of_this_torrent_says_that_the_data_is_ours() {
    let sample = Sample::single(200_000, 16_384);
    let seed = seeder(&sample).await;
    let (session, dir) = (session(), tempdir().unwrap());
    fs::write(dir.path().join("sample.bin"), noise(99, 200_000)).unwrap();
    let hash = sample.torrent.info_hash().to_string();
    let text = format!("shoal download marker, version 1\ninfo-hash {hash}\n");
    fs::write(dir.path().join(format!(".sample.bin.{}.shoal", &hash[..8])), text).unwrap();
    let id = session.add(sample.download(dir.path(), &[seed.port()])).await.unwrap();
    until(&session, id, |stats| stats.state == State::Seeding).await;
    sample.assert_complete_in(dir.path());
    end(&[&session, &seed]).await;
}

#[tokio::test]
async fn h75_a_second_session_on_one_folder_says_so_and_stops() {
    let sample = Sample::single(200_000, 16_384);
    let (one, two, dir) = (session(), session(), tempdir().unwrap());
    let first = one.add(sample.download(dir.path(), &[])).await.unwrap();
    until(&one, first, |stats| stats.state == State::Downloading).await;
    let second = two.add(sample.download(dir.path(), &[])).await.unwrap();
    let refused = failure(&two, second).await;
    assert_eq!(refused.kind, FailureKind::InUse);
    let due = format!("sample.bin is in use by another shoal in {}", dir.path().display());
    assert_eq!(refused.message, due);
    one.remove(first).await;
    two.resume(second).await;
    until(&two, second, |stats| stats.state == State::Downloading).await;
    end(&[&one, &two]).await;
}

#[tokio::test]
async fn h75_a_second_session_leaves_the_parts_file_that_the_first_one_is_making() {
    let sample = Sample::folder(&[("a", 40_000), ("b", 40_000)], 16_384);
    let (one, two, dir) = (session(), session(), tempdir().unwrap());
    let first = one.add(sample.download(dir.path(), &[])).await.unwrap();
    until(&one, first, |stats| stats.state == State::Downloading).await;
    let hash = sample.torrent.info_hash().to_string();
    let unfinished = dir.path().join(format!(".sample.{}.parts.new", &hash[..8]));
    fs::write(&unfinished, "under way").unwrap();
    let second = two.add(sample.download(dir.path(), &[])).await.unwrap();
    assert_eq!(failure(&two, second).await.kind, FailureKind::InUse);
    assert_eq!(fs::read(&unfinished).unwrap(), b"under way");
    end(&[&one]).await;
    two.resume(second).await;
    until(&two, second, |stats| stats.state == State::Downloading).await;
    assert!(!unfinished.exists(), "nobody is at it any more");
    end(&[&two]).await;
}

#[tokio::test]
async fn a_seed_whose_data_is_wrong_names_the_file_and_the_piece() {
    let sample = Sample::folder(&[("a", 40_000), ("b", 40_000)], 16_384);
    let path = sample.dir.path().join("sample/b");
    let good = fs::read(&path).unwrap();
    let mut bytes = good.clone();
    bytes[39_999] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let session = session();
    let id = session.add(sample.seed()).await.unwrap();
    let wrong = failure(&session, id).await;
    assert_eq!(wrong.kind, FailureKind::DataMismatch);
    assert_eq!(
        wrong.message,
        format!("sample/b does not match the torrent: piece 4 is wrong; 1 of 5 pieces is not right; {AGAIN}")
    );
    session.remove(id).await;

    fs::write(&path, &good[..39_000]).unwrap();
    let id = session.add(AddTorrent { verify: Verify::Trust, ..sample.seed() }).await.unwrap();
    let due = format!("sample/b has 39,000 bytes instead of 40,000; {AGAIN}");
    assert_eq!(failure(&session, id).await.message, due);
    session.remove(id).await;

    fs::remove_file(&path).unwrap();
    let due = format!("sample/b is missing in {}", sample.dir.path().display());
    for (verify, due) in [
        (Verify::Full, format!("{due}; 3 of 5 pieces are not right; {AGAIN}")),
        (Verify::Trust, format!("{due}; {AGAIN}")),
    ] {
        let id = session.add(AddTorrent { verify, ..sample.seed() }).await.unwrap();
        assert_eq!(failure(&session, id).await.message, due);
        session.remove(id).await;
    }

    std::os::unix::fs::symlink(sample.dir.path().join("a"), &path).unwrap();
    for verify in [Verify::Full, Verify::Trust] {
        let id = session.add(AddTorrent { verify, ..sample.seed() }).await.unwrap();
        let due = "is a symbolic link; --follow-symlinks (-F) seeds what it leads to";
        assert_eq!(failure(&session, id).await.message, format!("{} {due}", path.display()));
        session.remove(id).await;
    }
    fs::remove_dir_all(sample.dir.path().join("sample")).unwrap();
    fs::write(sample.dir.path().join("sample"), good).unwrap();
    let id = session.add(sample.seed()).await.unwrap();
    let due = "is a file where a folder must be; move it away or name another folder with -d";
    let top = sample.dir.path().join("sample");
    assert_eq!(failure(&session, id).await.message, format!("{} {due}", top.display()));
    end(&[&session]).await;
}

/// What a seed's user is told to do about wrong data.
const AGAIN: &str = "shoal verify says what is wrong, shoal download fetches it again";

#[tokio::test]
async fn h67_a_disk_that_refuses_stops_the_download_with_the_reason() {
    let sample = Sample::folder(&[("a", 40_000), ("b", 40_000)], 16_384);
    let seed = seeder(&sample).await;
    let (session, dir) = (session(), tempdir().unwrap());
    let id = session.add(sample.download(dir.path(), &[])).await.unwrap();
    until(&session, id, |stats| stats.state == State::Downloading).await;
    // A folder appears where a file must go: writing fails for everyone, even for root.
    fs::create_dir_all(dir.path().join("sample/b")).unwrap();
    session.add_peers(id, vec![([127, 0, 0, 1], seed.port()).into()]).await;
    let refused = failure(&session, id).await;
    assert_eq!(refused.kind, FailureKind::Disk);
    assert!(refused.message.starts_with("cannot ") && refused.message.contains("sample/b"), "{refused}");
    fs::remove_dir(dir.path().join("sample/b")).unwrap();
    session.resume(id).await;
    until(&session, id, |stats| stats.state == State::Seeding).await;
    sample.assert_complete_in(dir.path());
    end(&[&session, &seed]).await;
}

#[tokio::test]
async fn a_torrent_is_added_once_and_not_after_the_end() {
    let sample = Sample::single(20_000, 16_384);
    let session = session();
    let id = session.add(sample.seed()).await.unwrap();
    assert!(matches!(session.add(sample.seed()).await, Err(AddError::Duplicate(_))));
    session.remove(id).await;
    assert!(session.add(sample.seed()).await.is_ok());
    end(&[&session]).await;
    assert!(matches!(session.add(sample.seed()).await, Err(AddError::Ended)));
}

#[tokio::test]
async fn a_peer_that_sent_wrong_data_is_named_and_is_the_reason_that_nothing_moves() {
    let sample = Sample::single(10_000, 16_384);
    fs::write(sample.dir.path().join("sample.bin"), noise(99, 10_000)).unwrap();
    let (seed, leecher, dir) = (session(), session(), tempdir().unwrap());
    let lies = seed.add(AddTorrent { verify: Verify::Trust, ..sample.seed() }).await.unwrap();
    until(&seed, lies, |stats| stats.state == State::Seeding).await;
    let mut events = leecher.events();
    let id = leecher.add(sample.download(dir.path(), &[seed.port()])).await.unwrap();
    let warning = loop {
        if let Event::Warning { message, .. } = events.next().await.unwrap() {
            break message;
        }
    };
    assert_eq!(warning, "127.0.0.1 sent wrong data and is banned");
    let note = until(&leecher, id, |stats| stats.note == Some(Note::AllBanned { peers: 1 })).await.note;
    assert_eq!(note.unwrap().to_string(), "no peers but 1 that sent wrong data and is banned");
    end(&[&leecher, &seed]).await;
}

#[tokio::test]
async fn a_seed_whose_file_is_gone_says_so_once_and_stays_a_seed() {
    let sample = Sample::folder(&[("a", 200_000), ("b", 200_000)], 16_384);
    let (seed, leecher, dir) = (session(), session(), tempdir().unwrap());
    let mut events = seed.events();
    let given = seed.add(AddTorrent { verify: Verify::Trust, ..sample.seed() }).await.unwrap();
    until(&seed, given, |stats| stats.state == State::Seeding).await;
    fs::remove_file(sample.dir.path().join("sample/b")).unwrap();
    leecher.add(sample.download(dir.path(), &[seed.port()])).await.unwrap();
    let mut warnings = Vec::new();
    let stats = seed.stats(given).unwrap();
    loop {
        match events.next().await.unwrap() {
            Event::Warning { message, .. } => {
                warnings.push(message);
                seed.remove(given).await;
            }
            Event::Stopped { .. } => break,
            _ => {}
        }
    }
    let last = stats.borrow().clone();
    assert_eq!((last.state, last.done_bytes), (State::Stopped, 12 * 16_384), "what it offers still");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("sample/b"), "{warnings:?}");
    end(&[&leecher, &seed]).await;
}
