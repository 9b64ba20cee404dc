//! Journals of runs that go on: with pieces far apart, after a rest, and with files that were not there as they are now.

use std::time::Duration;

use super::*;

#[test]
fn h73_after_a_kill_no_file_is_hashed_wholly_because_its_pieces_came_far_apart() {
    for pause in [1, 60] {
        let (sample, disk) = (sample(), MemoryDisk::new(7));
        let storage = in_memory(&disk, &sample.info);
        storage.watch(&storage.files_now());
        let journal = begin(&sample, &storage);
        sample.download(&storage, &journal, &[0, 1, 2, 3, 4, 5, 6, 7]);
        journal.sync(&storage).unwrap();
        // Of a piece that is not whole when the run is killed.
        let mut now = Instant::now() + Duration::from_secs(3600);
        for part in 0..20 {
            disk.pass(Duration::from_secs(pause));
            now += Duration::from_secs(pause);
            journal.goes_on(now);
            let at = 8 * PIECE + part * 100;
            storage.write(at as u64, &[&sample.content[at..at + 100]]).unwrap();
        }
        drop((storage, journal));
        disk.kill();
        let next = in_memory(&disk, &sample.info);
        let past = next.past(&sample.info).0.unwrap();
        let proof = past.prove(&next, &sample.info, 1, &Cancel::new(), &|_| {}).unwrap();
        assert_eq!(ones(&proof.pieces), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(proof.hashed, PIECE as u64, "a sample, with {pause} s between writes");
    }
}

#[test]
fn h73_after_a_kill_a_file_that_was_short_at_the_start_is_not_hashed_wholly() {
    let sample = sample();
    fs::create_dir_all(sample.path("a").parent().unwrap()).unwrap();
    fs::write(sample.path("a"), &sample.content[..PIECE]).unwrap();
    let storage = sample.watched();
    let journal = Journal::begin(&storage, &sample.info, |piece| piece == 0, |_| false).unwrap();
    sample.download(&storage, &journal, &[1, 2, 3, 4, 5]);
    journal.sync(&storage).unwrap();
    let proof = sample.prove().0.unwrap();
    assert_eq!((ones(&proof.pieces), proof.hashed), (vec![0, 1, 2, 3, 4, 5], PIECE as u64));
}

#[test]
fn h73_after_a_kill_a_file_that_was_made_again_is_not_hashed_wholly() {
    let sample = sample();
    let storage = sample.watched();
    let journal = begin(&sample, &storage);
    sample.download(&storage, &journal, &[0, 1]);
    fs::rename(sample.path("a"), sample.path("mine")).unwrap();
    assert!(!storage.is_unchanged(0));
    storage.accept(0);
    journal.lost(&[0, 1]);
    journal.settle(&storage).unwrap();
    sample.download(&storage, &journal, &[0, 1, 2, 3]);
    journal.sync(&storage).unwrap();
    let proof = sample.prove().0.unwrap();
    assert_eq!((ones(&proof.pieces), proof.hashed), (vec![0, 1, 2, 3], PIECE as u64));
}

#[test]
fn a_run_that_has_ended_and_was_told_something_since_can_end_again() {
    let sample = sample();
    let storage = sample.watched();
    let journal = begin(&sample, &storage);
    sample.download(&storage, &journal, &[0, 1, 2]);
    journal.end(&storage).unwrap();
    // It rests; a file was touched meanwhile, is hashed, and is right.
    journal.lost(&[0, 1]);
    journal.written(&storage, &[0, 1]);
    journal.end(&storage).unwrap();
    let proof = sample.prove().0.unwrap();
    assert_eq!((ones(&proof.pieces), proof.hashed), (vec![0, 1, 2], 0));
}

#[test]
fn h72_a_new_journal_is_not_written_into_a_file_that_somebody_has_linked_to_its_name() {
    let sample = sample();
    let (storage, mine) = (sample.watched(), sample.dir.path().join("mine"));
    fs::write(&mine, b"precious").unwrap();
    fs::hard_link(&mine, sample.dir.path().join(name_beside(&sample.info, "journal.new"))).unwrap();
    let journal = begin(&sample, &storage);
    sample.download(&storage, &journal, &[0]);
    assert_eq!(
        (fs::read(&mine).unwrap(), fs::metadata(sample.journal()).unwrap().len() > 8),
        (b"precious".to_vec(), true)
    );
    assert_eq!(ones(&sample.prove().0.unwrap().pieces), [0]);
}

#[test]
fn h73_whoever_is_killed_while_he_removes_a_journal_leaves_the_newest_or_none() {
    let mut left = BTreeSet::new();
    for after in 0..10 {
        let (sample, disk, storage, journal) = about_to_lose();
        disk.plan(Some(Fault { kind: FaultKind::Death, after, lasting: false }));
        // It says nothing of that: it is dead.
        let _ = journal.remove(&storage);
        disk.kill();
        let is_there = |ending: &str| {
            let name = std::path::Path::new("/data").join(name_beside(&sample.info, ending));
            disk.file(&name).is_some()
        };
        left.insert((is_there("journal"), is_there("journal.old")));
    }
    assert_eq!(left, BTreeSet::from([(true, true), (true, false), (false, false)]));
}
