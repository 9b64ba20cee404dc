//! Files that change, step by step: what is noticed when is the test's to say.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::SystemTime;

use peer_proto::Time;

use super::*;
use crate::torrent_task::changes::save_seal;

const PIECE: u32 = 16_384;

/// Pieces 0 to 2 are of `a` alone, 3 is of both, 4 to 6 are of `b` alone.
fn sample() -> Sample {
    Sample::folder(&[("a", 3 * 16_384 + 8192), ("b", 3 * 16_384 + 8192)], PIECE)
}

/// All of it, as it was long ago.
fn written(sample: &Sample) -> (tempfile::TempDir, [std::path::PathBuf; 2]) {
    let dir = tempfile::tempdir().unwrap();
    sample.write_to(dir.path());
    let paths = ["a", "b"].map(|name| dir.path().join("sample").join(name));
    paths.iter().for_each(|path| set_time(path, 1000));
    (dir, paths)
}

fn set_time(path: &Path, seconds_ago: u64) {
    let then = SystemTime::now() - Duration::from_secs(seconds_ago);
    File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
}

fn edit(path: &Path, offset: u64) {
    File::options().write(true).open(path).unwrap().write_all_at(b"edited!", offset).unwrap();
}

/// The marker of a download that has begun, with its files as they are now.
fn claimed(disk: &TorrentDisk) -> Arc<Marker> {
    let mut marker = Marker::take(&disk.storage, disk.info()).unwrap();
    marker.claim(&disk.storage, disk.info(), &BTreeSet::new()).unwrap();
    disk.storage.watch(&disk.storage.files_now());
    Arc::new(marker)
}

/// What is due at `now`, and what comes of it. Whether there was anything.
async fn step(active: &mut Active<'_>, now: Time) -> bool {
    active.mind_changes(now);
    let done = active.rechecks.done().await;
    let any = done.is_some();
    done.into_iter().for_each(|done| active.take_done(done));
    any
}

fn have(active: &Active<'_>) -> Vec<u32> {
    active.engine.have().iter_ones().collect()
}

#[tokio::test]
async fn h70_a_piece_of_two_files_that_changed_is_offered_only_after_both_were_hashed() {
    let sample = sample();
    let (dir, [a, b]) = written(&sample);
    let mut context = context(&sample, dir.path());
    let disk = disk(&context);
    disk.storage.watch(&disk.storage.files_now());
    let mut active = Active::new(&mut context, &disk, (Bitfield::full(7), Bitfield::new(7)), None);
    [&a, &b].into_iter().for_each(|path| set_time(path, 500));
    disk.storage.look();
    let now = active.now();
    active.mind_changes(now);
    assert_eq!(have(&active), []);
    // The first is accepted and hashed, while the other waits.
    let now = now + Duration::from_secs(2);
    assert!(step(&mut active, now).await && step(&mut active, now).await);
    assert_eq!(have(&active), [0, 1, 2]);
    // It was right by then, and nobody is told twice that the file has changed.
    edit(&b, 5);
    assert!(step(&mut active, now).await && step(&mut active, now).await);
    assert_eq!(have(&active), [0, 1, 2, 4, 5, 6]);
}

#[tokio::test]
async fn h70_h73_what_is_lost_while_a_journal_is_made_anew_is_not_claimed_by_it() {
    let sample = sample();
    let (dir, [a, b]) = written(&sample);
    let mut context = context(&sample, dir.path());
    let disk = disk(&context);
    let info = disk.info();
    let marker = Marker::take(&disk.storage, info).unwrap();
    let journal = storage::Journal::begin(&disk.storage, info, |_| true, |_| true).unwrap();
    journal.remove(&disk.storage).unwrap();
    drop(marker);
    let TorrentDisk { storage, add, .. } = &*disk;
    let (storage, add) = (Arc::clone(storage), Arc::clone(add));
    let disk =
        TorrentDisk { key: 0, storage, journal: Some(Arc::new(journal)), add, inbox: Inbox::default() };
    let disk = Arc::new(disk);
    disk.storage.watch(&disk.storage.files_now());
    let mut active = Active::new(&mut context, &disk, (Bitfield::full(7), Bitfield::new(7)), None);
    edit(&a, 5);
    disk.storage.look();
    let now = active.now();
    active.mind_changes(now);
    // The writer is told of that long before the journal is made anew, however busy the machine is.
    let shared = Arc::clone(&active.context.shared);
    shared.disk.end(&disk).await.unwrap();
    let now = now + Duration::from_secs(2);
    assert!(step(&mut active, now).await && step(&mut active, now).await);
    assert_eq!(have(&active), [1, 2, 3, 4, 5, 6]);
    // While it is claimed again, the other file changes.
    active.mind_changes(now);
    let done = active.rechecks.done().await.unwrap();
    edit(&b, 3 * 16_384);
    disk.storage.look();
    active.mind_changes(now);
    active.take_done(done);
    shared.disk.end(&disk).await.unwrap();
    let (past, _) = disk.storage.past(disk.info());
    assert_eq!(past.unwrap().claims().0, [1, 2]);
}

#[tokio::test]
async fn h70_a_file_in_hand_when_a_run_ends_is_hashed_by_the_next_as_far_as_it_was_ours() {
    let sample = sample();
    let (dir, [a, _]) = written(&sample);
    let mut context = context(&sample, dir.path());
    let disk = disk(&context);
    disk.storage.watch(&disk.storage.files_now());
    let mut had = Bitfield::full(7);
    had.clear(1);
    let mut active = Active::new(&mut context, &disk, (had, Bitfield::new(7)), None);
    edit(&a, 5);
    disk.storage.look();
    let now = active.now();
    active.mind_changes(now);
    // It is accepted, and the run ends before anybody hears of it.
    active.mind_changes(now + Duration::from_secs(2));
    let done = active.rechecks.done().await;
    active.leave_changes();
    drop(done);
    assert_eq!(disk.storage.changed_files(), [0]);
    let (had, held) = (active.engine.have().clone(), active.rechecks.held().clone());
    assert_eq!(held.iter_ones().collect::<Vec<_>>(), [0, 2, 3]);
    drop(active);
    let mut active = Active::new(&mut context, &disk, (had, held), None);
    let now = active.now();
    active.mind_changes(now);
    let now = now + Duration::from_secs(2);
    assert!(step(&mut active, now).await && step(&mut active, now).await);
    assert_eq!(have(&active), [2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn h72_a_download_that_was_never_complete_has_its_marker_name_the_file_that_is_somebodys() {
    let sample = sample();
    let (dir, [a, _]) = written(&sample);
    let mut context = context(&sample, dir.path());
    let disk = disk(&context);
    let marker = claimed(&disk);
    let mut had = Bitfield::full(7);
    had.clear(6);
    let mut active = Active::new(&mut context, &disk, (had, Bitfield::new(7)), Some(marker));
    std::fs::write(a.with_extension("mine"), [7; 60_000]).unwrap();
    std::fs::rename(a.with_extension("mine"), &a).unwrap();
    disk.storage.look();
    let now = active.now();
    active.mind_changes(now);
    let now = now + Duration::from_secs(2);
    while active.failure.is_none() {
        assert!(step(&mut active, now).await);
    }
    drop(active);
    let next = Marker::take(&disk.storage, disk.info()).unwrap();
    assert!(next.found && next.strangers.into_iter().eq([0]));
}

#[tokio::test]
async fn a_file_that_waits_for_its_turn_to_be_hashed_does_not_hold_up_the_end() {
    let sample = sample();
    let (dir, [a, _]) = written(&sample);
    let mut context = context(&sample, dir.path());
    let disk = disk(&context);
    disk.storage.watch(&disk.storage.files_now());
    let mut active = Active::new(&mut context, &disk, (Bitfield::full(7), Bitfield::new(7)), None);
    // Others are being hashed, and go on.
    let checks = Arc::clone(&active.context.shared.checks);
    let _others = checks.acquire_many(u32::try_from(crate::limits::CHECKS).unwrap()).await.unwrap();
    edit(&a, 5);
    disk.storage.look();
    let now = active.now();
    active.mind_changes(now);
    let now = now + Duration::from_secs(2);
    assert!(step(&mut active, now).await, "it is accepted");
    active.mind_changes(now);
    active.leave_changes();
    let done = active.rechecks.done().await.unwrap().unwrap();
    assert!(matches!(done, crate::torrent_task::changes::Done::Hashed { right: None, .. }), "{done:?}");
    assert_eq!(disk.storage.changed_files(), [0], "it is hashed by the next run");
}

#[tokio::test]
async fn h70_h73_what_was_only_touched_is_in_the_journal_again_when_the_run_ends() {
    let sample = sample();
    let (dir, [a, _]) = written(&sample);
    let mut context = context(&sample, dir.path());
    let disk = disk(&context);
    disk.storage.watch(&disk.storage.files_now());
    let has = |piece| piece < 6;
    let journal = storage::Journal::begin(&disk.storage, disk.info(), has, |_| true).unwrap();
    let TorrentDisk { storage, add, .. } = &*disk;
    let (storage, add) = (Arc::clone(storage), Arc::clone(add));
    let disk =
        TorrentDisk { key: 0, storage, journal: Some(Arc::new(journal)), add, inbox: Inbox::default() };
    let disk = Arc::new(disk);
    let mut have = Bitfield::full(7);
    have.clear(6);
    let mut active = Active::new(&mut context, &disk, (have, Bitfield::new(7)), None);
    set_time(&a, 500);
    disk.storage.look();
    let now = active.now();
    active.mind_changes(now);
    let now = now + Duration::from_secs(2);
    assert!(step(&mut active, now).await && step(&mut active, now).await);
    let shared = Arc::clone(&active.context.shared);
    shared.disk.end(&disk).await.unwrap();
    let (past, _) = disk.storage.past(disk.info());
    assert_eq!(past.unwrap().claims().0, [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn h72_a_file_that_was_replaced_by_a_copy_of_itself_is_gone_on_with() {
    let sample = sample();
    let (dir, [a, _]) = written(&sample);
    let mut context = context(&sample, dir.path());
    let disk = disk(&context);
    let marker = claimed(&disk);
    let mut had = Bitfield::full(7);
    had.clear(0);
    let mut active = Active::new(&mut context, &disk, (had, Bitfield::new(7)), Some(marker));
    std::fs::copy(&a, a.with_extension("copy")).unwrap();
    std::fs::rename(a.with_extension("copy"), &a).unwrap();
    disk.storage.look();
    let now = active.now();
    active.mind_changes(now);
    let now = now + Duration::from_secs(2);
    while step(&mut active, now).await {}
    assert_eq!((have(&active), &active.failure), (vec![1, 2, 3, 4, 5, 6], &None));
    disk.storage.write(0, &[&[7; 16_384]]).unwrap();
}

#[tokio::test]
async fn h70_nothing_is_sealed_that_was_taken_for_what_it_is_since_all_was_right() {
    let sample = sample();
    let (dir, [a, _]) = written(&sample);
    let mut context = context(&sample, dir.path());
    let disk = disk(&context);
    let seals = Arc::new(storage::Seals::open(&dir.path().join("seals")).unwrap());
    disk.storage.watch(&disk.storage.files_now());
    let active = Active::new(&mut context, &disk, (Bitfield::full(7), Bitfield::new(7)), None);
    let (shared, noticed) = (&active.context.shared, active.rechecks.noticed());
    save_seal(shared, &disk, Arc::clone(&seals), noticed);
    assert!(seals.past(&disk.storage, disk.info()).is_some());
    seals.remove(&disk.storage, disk.info()).unwrap();
    edit(&a, 5);
    disk.storage.look();
    disk.storage.accept(0);
    save_seal(shared, &disk, Arc::clone(&seals), noticed);
    assert!(seals.past(&disk.storage, disk.info()).is_none());
}
