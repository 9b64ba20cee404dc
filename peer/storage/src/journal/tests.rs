//! Records, what they add up to, and journals beside real files.

mod going_on;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Instant;

use metainfo::InfoBuilder;
use proptest::prelude::*;
use tempfile::tempdir;

use super::ledger::{HASHED_AGAIN, Ledger, Now, Plan};
use super::record::*;
use super::*;
use crate::cancel::Cancel;
use crate::error::StorageErrorKind;
use crate::system::memory::{Fault, FaultKind, MemoryDisk};
use crate::testing::{Placed, age, in_memory};

const HEAD_OF_TESTS: Head = Head { info_hash: [7; 20], piece_length: 16_384, pieces: 100, files: 4 };

fn identity(inode: u64) -> Identity {
    let moment = Moment { seconds: 1_000, nanoseconds: 5 };
    Identity { inode, device: 1, length: 50 * 16_384, modified: moment, changed: moment, born: None }
}

/// A journal with these records.
fn journal(records: &[Record]) -> Vec<u8> {
    let mut bytes = HEAD_OF_TESTS.encode();
    for record in records {
        match record {
            Record::Run(boot) => encode_run(*boot, &mut bytes),
            Record::Files(files) => encode_files(files, &mut bytes),
            Record::Pieces(mark, ranges) => {
                encode_pieces(*mark, ranges.iter().cloned().flatten(), &mut bytes);
            }
            Record::Clean => encode_clean(&mut bytes),
        }
    }
    bytes
}

fn decoded(bytes: &[u8]) -> Result<(Vec<Record>, usize), Useless> {
    let mut records = Vec::new();
    let whole = decode(&HEAD_OF_TESTS, bytes, |record| records.push(record))?;
    Ok((records, whole))
}

fn record() -> impl Strategy<Value = Record> {
    let moment =
        || (any::<i64>(), any::<u32>()).prop_map(|(seconds, nanoseconds)| Moment { seconds, nanoseconds });
    let identity =
        (any::<[u64; 3]>(), moment(), moment()).prop_map(|([inode, device, length], modified, changed)| {
            Identity { inode, device, length, modified, changed, born: None }
        });
    let mark = prop_oneof![Just(Mark::Written), Just(Mark::Synced), Just(Mark::Lost), Just(Mark::Doubtful)];
    let piece = (0..99u32, 1..20u32).prop_map(|(first, count)| first..(first + count).min(100));
    prop_oneof![
        any::<[u8; 16]>().prop_map(|id| Record::Run(BootId(id))),
        prop::collection::vec((0..4u32, identity), 1..5).prop_map(Record::Files),
        (mark, piece).prop_map(|(mark, piece)| Record::Pieces(mark, vec![piece])),
        Just(Record::Clean),
    ]
}

proptest! {
    #[test]
    fn records_come_back_as_they_were(records in prop::collection::vec(record(), 0..20)) {
        let bytes = journal(&records);
        prop_assert_eq!(decoded(&bytes).unwrap(), (records, bytes.len()));
    }

    /// Killed at any byte, or cut there by a power cut, with or without zeros after.
    #[test]
    fn h74_a_journal_that_was_cut_says_what_stands_before(
        records in prop::collection::vec(record(), 1..10), cut in 0.0..1.0f64, zeros in 0..200usize,
    ) {
        let bytes = journal(&records);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
        let cut = (bytes.len() as f64 * cut) as usize;
        let mut torn = bytes[..cut].to_vec();
        if cut < HEAD {
            prop_assert!(decoded(&torn).is_err());
        } else {
            let (kept, whole) = decoded(&torn).unwrap();
            prop_assert!(kept.len() < records.len() && records.starts_with(&kept) && whole <= cut);
            torn.resize(cut + zeros, 0);
            let (padded, _) = decoded(&torn).unwrap();
            prop_assert!(padded.len() >= kept.len() && records.starts_with(&padded));
        }
    }

    /// A bit that flips never says anything that was not said: what stands after it may have taken it back.
    #[test]
    fn h74_a_journal_with_a_wrong_bit_says_nothing_or_only_lacks_its_end(
        records in prop::collection::vec(record(), 1..10), at in any::<prop::sample::Index>(), bit in 0..8u32,
    ) {
        let mut bytes = journal(&records);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        match decoded(&bytes) {
            Err(_) => {}
            Ok((kept, whole)) => {
                prop_assert!(records.starts_with(&kept));
                prop_assert_eq!(kept.len() + 1, records.len(), "only the last looks as if it was cut off");
                prop_assert!(whole <= at, "what is whole ends before the wrong bit");
            }
        }
    }

    #[test]
    fn h74_anything_else_is_no_journal_and_no_trouble(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut beside = HEAD_OF_TESTS.encode();
        prop_assert!(decoded(&bytes).is_err());
        beside.extend_from_slice(&bytes);
        if let Ok((records, _)) = decoded(&beside) {
            prop_assert_eq!(records, vec![]);
        }
    }
}

#[test]
fn h74_a_journal_of_another_torrent_or_version_says_nothing() {
    let bytes = journal(&[Record::Run(BootId([1; 16]))]);
    let other = Head { info_hash: [8; 20], ..HEAD_OF_TESTS };
    assert_eq!(decode(&other, &bytes, |_| panic!("nothing is believed")), Err(Useless::OtherTorrent));
    let other = Head { pieces: 99, ..HEAD_OF_TESTS };
    assert_eq!(decode(&other, &bytes, |_| panic!("nothing is believed")), Err(Useless::OtherTorrent));
    let mut newer = bytes;
    newer[8] = 3;
    assert_eq!(decoded(&newer), Err(Useless::OtherVersion));
}

#[test]
fn h74_a_wrong_length_does_not_make_what_was_taken_back_look_cut_off() {
    let mut bytes = HEAD_OF_TESTS.encode();
    encode_pieces(Mark::Written, 0..2, &mut bytes);
    let at = bytes.len();
    encode_pieces(Mark::Written, 2..3, &mut bytes);
    encode_pieces(Mark::Lost, [0], &mut bytes);
    for bit in 0..32 {
        let mut bytes = bytes.clone();
        bytes[at + bit / 8] ^= 1 << (bit % 8);
        assert_eq!(decoded(&bytes), Err(Useless::Damaged), "bit {bit}");
    }
}

#[test]
fn h74_a_record_that_names_nothing_is_damage() {
    for kind in 2..=6u8 {
        let mut bytes = HEAD_OF_TESTS.encode();
        let said = [0, 0, 0xff, 0xff];
        bytes.extend_from_slice(&said);
        bytes.extend_from_slice(&crc32fast::hash(&[&said[..], &[kind]].concat()).to_le_bytes());
        bytes.push(kind);
        encode_clean(&mut bytes);
        assert_eq!(decoded(&bytes), Err(Useless::Damaged), "{kind}");
    }
}

#[test]
fn h74_pieces_past_the_end_and_pieces_without_number_are_damage() {
    let mut bytes = HEAD_OF_TESTS.encode();
    encode_pieces(Mark::Written, [99, 100], &mut bytes);
    encode_clean(&mut bytes);
    assert_eq!(decoded(&bytes), Err(Useless::Damaged));
    let mut bytes = HEAD_OF_TESTS.encode();
    for _ in 0..1000 {
        encode_pieces(Mark::Written, 0..100, &mut bytes);
    }
    assert_eq!(decoded(&bytes), Err(Useless::Damaged), "a small file must not make for much work");
}

/// Two files of fifty pieces each.
const SPANS: [std::ops::Range<u32>; 2] = [0..50, 50..100];

fn ledger(records: &[Record]) -> Ledger {
    let mut ledger = Ledger::new(&HEAD_OF_TESTS);
    records.iter().for_each(|record| ledger.apply(record));
    ledger
}

fn known() -> Record {
    Record::Files(vec![(0, identity(10)), (1, identity(11))])
}

fn marked(mark: Mark, pieces: std::ops::Range<u32>) -> Record {
    Record::Pieces(mark, vec![pieces])
}

fn written(pieces: std::ops::Range<u32>) -> Record {
    marked(Mark::Written, pieces)
}

fn synced(pieces: std::ops::Range<u32>) -> Record {
    marked(Mark::Synced, pieces)
}

const BOOT: BootId = BootId([1; 16]);
const OTHER_BOOT: BootId = BootId([2; 16]);

/// What is planned in this boot when the files are so, and the journal was written just after them.
fn plan(ledger: &Ledger, boot: BootId, files: [Option<Identity>; 2], piece_length: u32) -> Plan {
    let journal = Moment { seconds: 1_000, nanoseconds: 9 };
    ledger.plan(&Now { boot, journal, files: &files, spans: &SPANS, piece_length })
}

fn ones(flags: &[bool]) -> Vec<usize> {
    flags.iter().enumerate().filter(|(_, flag)| **flag).map(|(piece, _)| piece).collect()
}

const AS_BEFORE: fn() -> [Option<Identity>; 2] = || [Some(identity(10)), Some(identity(11))];

#[test]
fn after_an_end_in_order_nothing_is_hashed_in_this_boot_or_another() {
    let ledger = ledger(&[Record::Run(BOOT), written(0..60), synced(0..60), known(), Record::Clean]);
    for boot in [BOOT, OTHER_BOOT] {
        let plan = plan(&ledger, boot, AS_BEFORE(), 16_384);
        assert_eq!((ones(&plan.proven), ones(&plan.hash)), ((0..60).collect(), vec![]));
    }
}

#[test]
fn a_file_that_is_not_what_it_was_is_hashed_wholly_and_no_other() {
    let clean = [Record::Run(BOOT), written(0..60), synced(0..60), known(), Record::Clean];
    let later = Moment { seconds: 1_000, nanoseconds: 6 };
    let changes: [fn(&mut Identity, Moment); 4] = [
        |file, _| file.inode = 99,
        |file, _| file.length -= 1,
        |file, later| file.modified = later,
        |file, later| file.changed = later,
    ];
    for change in changes {
        let mut file = identity(11);
        change(&mut file, later);
        let plan = plan(&ledger(&clean), BOOT, [Some(identity(10)), Some(file)], 16_384);
        assert_eq!((ones(&plan.proven), ones(&plan.hash)), ((0..50).collect(), (50..100).collect()));
        assert!(
            ones(&plan.due).iter().all(|piece| *piece < 50),
            "that it is wrong says nothing of the other"
        );
        assert!(ones(&plan.synced).iter().all(|piece| *piece < 50));
    }
    let gone = plan(&ledger(&clean), BOOT, [None, Some(identity(11))], 16_384);
    assert_eq!(ones(&gone.hash), (0..50).collect::<Vec<_>>());
}

#[test]
fn after_a_kill_what_was_written_counts_and_a_sample_and_the_last_bytes_are_hashed() {
    let unclean =
        [Record::Run(BOOT), known(), written(0..40), synced(0..40), written(50..70), written(40..45)];
    // So large that only two fit.
    let large = u32::try_from(HASHED_AGAIN / 2).unwrap();
    let planned = plan(&ledger(&unclean), BOOT, AS_BEFORE(), large);
    assert_eq!(ones(&planned.hash).len(), 3, "{planned:?}");
    assert!(planned.hash[43] && planned.hash[44], "those that were written last");
    assert!(ones(&planned.hash).iter().any(|piece| (50..70).contains(piece)), "a sample of the other file");
    let there: Vec<usize> = (0..45).chain(50..70).collect();
    assert_eq!(ones(&planned.due), there);
    assert_eq!(ones(&planned.synced), (0..40).collect::<Vec<_>>());
    assert_eq!(ones(&planned.proven).len() + 3, there.len());
}

#[test]
fn after_a_power_cut_only_what_was_synced_counts_and_the_rest_is_hashed() {
    let unclean = [Record::Run(BOOT), known(), written(0..40), synced(0..30), written(50..70)];
    let planned = plan(&ledger(&unclean), OTHER_BOOT, AS_BEFORE(), 16_384);
    assert_eq!(ones(&planned.due), (0..30).collect::<Vec<_>>());
    assert_eq!(ones(&planned.hash).iter().filter(|piece| **piece >= 30).count(), 70);
    assert_eq!(ones(&planned.hash).iter().filter(|piece| **piece < 30).count(), 1, "the sample");
    // A kernel that does not tell its boot proves none to be the same.
    let nameless = [Record::Run(BootId::default()), known(), written(0..40)];
    assert_eq!(
        ones(&plan(&ledger(&nameless), BootId::default(), AS_BEFORE(), 16_384).due),
        Vec::<usize>::new()
    );
}

#[test]
fn a_run_in_another_boot_takes_nothing_for_written_that_an_earlier_one_left_unsynced() {
    let records =
        [Record::Run(BOOT), written(0..40), synced(0..10), Record::Run(OTHER_BOOT), written(50..51), known()];
    let planned = plan(&ledger(&records), OTHER_BOOT, AS_BEFORE(), 16_384);
    assert_eq!(ones(&planned.due), (0..10).chain(50..51).collect::<Vec<_>>());
}

#[test]
fn a_file_that_was_changed_after_the_journal_was_is_hashed_wholly() {
    let unclean = [Record::Run(BOOT), known(), written(0..100), synced(0..100)];
    let late = |seconds| {
        let mut file = identity(11);
        file.modified.seconds += seconds;
        plan(&ledger(&unclean), BOOT, [Some(identity(10)), Some(file)], 16_384)
    };
    assert_eq!(ones(&late(1).hash).len(), 2, "two samples: a batch may not have been told of");
    assert_eq!(ones(&late(2).hash).len(), 51);
}

#[test]
fn h74_pieces_of_a_file_of_which_nothing_is_known_are_hashed_and_no_others() {
    let first = Record::Files(vec![(0, identity(10))]);
    let unclean = [Record::Run(BOOT), first, written(40..60), synced(40..60)];
    let planned = plan(&ledger(&unclean), BOOT, AS_BEFORE(), 16_384);
    assert_eq!(ones(&planned.hash).iter().filter(|piece| **piece >= 50).count(), 10);
    assert!(ones(&planned.proven).iter().all(|piece| (40..50).contains(piece)));
    assert_eq!(ones(&planned.due), (40..50).collect::<Vec<_>>());
}

#[test]
fn h69_what_a_failed_sync_left_in_doubt_is_claimed_only_when_it_was_written_again() {
    let doubt = marked(Mark::Doubtful, 0..40);
    let records = [Record::Run(BOOT), known(), written(0..40), doubt.clone(), synced(0..40)];
    let planned = plan(&ledger(&records), BOOT, AS_BEFORE(), 16_384);
    assert_eq!((ones(&planned.due), planned.doubtful.len()), (vec![], 40));
    assert_eq!(ones(&planned.hash), (0..40).collect::<Vec<_>>());
    let records = [Record::Run(BOOT), known(), written(0..40), doubt, written(3..4), synced(3..4)];
    let planned = plan(&ledger(&records), BOOT, AS_BEFORE(), 16_384);
    assert_eq!((ones(&planned.due), planned.doubtful.len()), (vec![3], 39));
}

#[test]
fn a_piece_that_was_lost_is_not_claimed() {
    let lost = marked(Mark::Lost, 5..6);
    let records = [Record::Run(BOOT), known(), written(0..40), synced(0..40), lost.clone()];
    assert!(!plan(&ledger(&records), BOOT, AS_BEFORE(), 16_384).due[5]);
    let records = [Record::Run(BOOT), known(), written(5..6), lost, synced(5..6)];
    assert!(!plan(&ledger(&records), BOOT, AS_BEFORE(), 16_384).due[5], "it was lost while it was synced");
}

const PIECE: usize = 16_384;
const LENGTHS: [usize; 3] = [10 * PIECE + 100, 5 * PIECE, 20 * PIECE];

/// Three files in pieces of 16 KiB.
fn sample() -> Placed {
    Placed::new(&LENGTHS, 16_384)
}

impl Placed {
    fn journal(&self) -> std::path::PathBuf {
        self.journal_in(self.dir.path())
    }

    /// Writes pieces as a download does.
    fn download(&self, storage: &Storage, journal: &Journal, pieces: &[u32]) {
        for &piece in pieces {
            journal.goes_on(Instant::now());
            self.write(storage, piece as usize).unwrap();
        }
        journal.written(storage, pieces);
    }

    /// The same as [`Placed::proof`], and whatever is claimed is there and right.
    fn prove(&self) -> (Option<Proof>, Option<String>) {
        let (storage, (proof, wrong)) = (self.storage(), self.proof());
        for piece in proof.iter().flat_map(|proof| ones(&proof.pieces)) {
            let range = self.range(piece);
            let mut bytes = vec![0; range.len()];
            storage.read(range.start as u64, &mut bytes).unwrap();
            assert!(bytes == self.content[range], "piece {piece}");
        }
        (proof, wrong)
    }
}

/// Something done to the files of a sample, and to a journal of these bytes.
type Edit = fn(&Placed);
type Spoil = fn(&Path, &[u8]);

fn begin(sample: &Placed, storage: &Storage) -> Journal {
    Journal::begin(storage, &sample.info, |_| false, |_| false).unwrap()
}

#[test]
fn a_download_that_ended_in_order_hashes_nothing_and_one_that_went_on_after_a_rest_neither() {
    let sample = sample();
    let storage = sample.storage();
    let journal = begin(&sample, &storage);
    sample.download(&storage, &journal, &[0, 1, 12, 30]);
    journal.end(&storage).unwrap();
    let (proof, wrong) = sample.prove();
    let proof = proof.unwrap();
    assert_eq!((ones(&proof.pieces), proof.hashed, wrong), (vec![0, 1, 12, 30], 0, None));
    assert_eq!(proof.synced, proof.pieces);
    // It rests, and goes on: what is written then is not covered by the end before.
    sample.download(&storage, &journal, &[2]);
    let proof = sample.prove().0.unwrap();
    assert_eq!(ones(&proof.pieces), [0, 1, 2, 12, 30]);
    assert!(proof.hashed > 0, "a run that did not end is not trusted blindly");
    journal.end(&storage).unwrap();
    assert_eq!(sample.prove().0.unwrap().hashed, 0);
}

#[test]
fn h73_a_download_that_was_killed_has_what_its_journal_says_and_no_more() {
    let sample = sample();
    let storage = sample.storage();
    let journal = begin(&sample, &storage);
    sample.download(&storage, &journal, &[3, 4]);
    journal.sync(&storage).unwrap();
    sample.download(&storage, &journal, &[20]);
    // Written, and not told of any more.
    storage.write(30 * PIECE as u64, &[&sample.content[30 * PIECE..31 * PIECE]]).unwrap();
    let proof = sample.prove().0.unwrap();
    assert_eq!((ones(&proof.pieces), ones(&proof.synced)), (vec![3, 4, 20], vec![3, 4]));
    assert_eq!(proof.hashed, 2 * PIECE as u64, "one sample of a file, and what was not synced of the other");
}

#[test]
fn a_file_that_was_edited_replaced_cut_or_removed_is_hashed_wholly_and_believed_no_further() {
    let edits: [(&str, Edit); 5] = [
        ("edited", |sample| {
            let path = sample.path("c");
            let mut bytes = fs::read(&path).unwrap();
            bytes[5 * PIECE] ^= 1;
            fs::write(&path, bytes).unwrap();
        }),
        ("edited and its time set back", |sample| {
            let path = sample.path("c");
            let before = fs::metadata(&path).unwrap().modified().unwrap();
            let mut bytes = fs::read(&path).unwrap();
            bytes[5 * PIECE] ^= 1;
            fs::write(&path, bytes).unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
        }),
        ("replaced", |sample| {
            let path = sample.path("c");
            let bytes = fs::read(&path).unwrap();
            fs::remove_file(&path).unwrap();
            fs::write(&path, vec![1; bytes.len()]).unwrap();
        }),
        ("cut", |sample| {
            fs::File::options()
                .write(true)
                .open(sample.path("c"))
                .unwrap()
                .set_len(8 * PIECE as u64)
                .unwrap();
        }),
        ("removed", |sample| fs::remove_file(sample.path("c")).unwrap()),
    ];
    for (how, edit) in edits {
        let sample = sample();
        let storage = sample.storage();
        let journal = begin(&sample, &storage);
        let all: Vec<u32> = (0..36).collect();
        sample.download(&storage, &journal, &all);
        journal.end(&storage).unwrap();
        edit(&sample);
        let (proof, wrong) = sample.prove();
        let proof = proof.unwrap();
        assert_eq!(wrong, None, "{how}");
        assert!(proof.pieces[..15].iter().all(|right| *right), "{how}: the others are as they were");
        assert!(proof.hashed <= LENGTHS[2] as u64 + PIECE as u64, "{how}: and are not hashed");
        assert!(ones(&proof.pieces).len() < 36, "{how}");
    }
}

#[test]
fn a_file_that_was_only_touched_is_hashed_and_right() {
    let sample = sample();
    let storage = sample.storage();
    let journal = begin(&sample, &storage);
    sample.download(&storage, &journal, &(0..36).collect::<Vec<_>>());
    journal.end(&storage).unwrap();
    age(&sample.path("b"), 100);
    let proof = sample.prove().0.unwrap();
    assert_eq!(ones(&proof.pieces).len(), 36);
    assert!((LENGTHS[1] as u64..=LENGTHS[1] as u64 + 2 * PIECE as u64).contains(&proof.hashed));
}

#[test]
fn where_a_sample_is_wrong_its_whole_file_is_hashed() {
    let sample = sample();
    let storage = sample.storage();
    let journal = begin(&sample, &storage);
    sample.download(&storage, &journal, &(0..36).collect::<Vec<_>>());
    journal.sync(&storage).unwrap();
    // Wrong from end to end, at the very moment: neither size nor time tells.
    let bytes = vec![9; LENGTHS[2]];
    std::os::unix::fs::FileExt::write_all_at(
        &fs::File::options().write(true).open(sample.path("c")).unwrap(),
        &bytes,
        0,
    )
    .unwrap();
    let proof = sample.prove().0.unwrap();
    assert_eq!(ones(&proof.pieces), (0..15).collect::<Vec<_>>());
}

#[test]
fn h74_a_journal_that_cannot_be_used_is_told_and_the_one_before_it_is_used() {
    let spoil: [(&str, Spoil); 4] = [
        ("is damaged", |path, bytes| {
            let mut bytes = bytes.to_vec();
            bytes[HEAD + 12] ^= 1;
            fs::write(path, bytes).unwrap();
        }),
        ("is cut short", |path, bytes| fs::write(path, &bytes[..20]).unwrap()),
        ("is from another version of shoal", |path, bytes| {
            fs::write(path, [&bytes[..8], &[9], &bytes[9..]].concat()).unwrap();
        }),
        ("cannot be read", |path, _| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
    ];
    for (what, spoil) in spoil {
        let sample = sample();
        let storage = sample.storage();
        let journal = begin(&sample, &storage);
        sample.download(&storage, &journal, &[0, 1]);
        journal.end(&storage).unwrap();
        // The next run begins: it writes its own, and that of the run before stays.
        let next = Journal::begin(&storage, &sample.info, |piece| piece < 2, |piece| piece < 2).unwrap();
        sample.download(&storage, &next, &[2, 20]);
        let bytes = fs::read(sample.journal()).unwrap();
        spoil(&sample.journal(), &bytes);
        let (proof, wrong) = sample.prove();
        assert!(wrong.unwrap().contains(what), "{what}");
        let proof = proof.unwrap();
        assert!(proof.pieces[0] && proof.pieces[1] && proof.hashed > 0, "{what}");
        fs::remove_file(sample.journal().with_added_extension("old")).unwrap();
        let (proof, wrong) = sample.prove();
        assert!(proof.is_none() && wrong.is_some(), "{what}");
    }
}

#[test]
fn h69_a_sync_that_failed_leaves_no_claim_and_none_succeeds_after_it() {
    let sample = sample();
    let storage = sample.storage();
    let journal = begin(&sample, &storage);
    sample.download(&storage, &journal, &[0, 1]);
    journal.sync(&storage).unwrap();
    sample.download(&storage, &journal, &[20, 21]);
    // The file that was written is gone and a folder stands there: it cannot be synced.
    fs::rename(sample.path("c"), sample.path("kept")).unwrap();
    fs::create_dir(sample.path("c")).unwrap();
    let fresh = sample.storage();
    fresh.unsynced().written.insert(2);
    journal.sync(&fresh).unwrap_err();
    fs::remove_dir(sample.path("c")).unwrap();
    fs::rename(sample.path("kept"), sample.path("c")).unwrap();
    let (past, _) = storage.past(&sample.info);
    assert_eq!(past.unwrap().claims(), (vec![0, 1], vec![]));
    journal.sync(&fresh).unwrap_err();
    journal.end(&fresh).unwrap_err();
    let (past, _) = storage.past(&sample.info);
    assert_eq!(past.unwrap().claims(), (vec![0, 1], vec![]));
    // Right as they are read, they are written again before they count.
    let proof = sample.prove().0.unwrap();
    assert_eq!((ones(&proof.pieces), ones(&proof.synced)), (vec![0, 1, 20, 21], vec![0, 1]));
}

#[test]
fn a_piece_that_was_lost_is_claimed_by_no_generation() {
    let sample = sample();
    let storage = sample.storage();
    let journal = begin(&sample, &storage);
    sample.download(&storage, &journal, &[0, 1]);
    journal.end(&storage).unwrap();
    let next = Journal::begin(&storage, &sample.info, |piece| piece < 2, |piece| piece < 2).unwrap();
    next.lost(&[1]);
    assert!(next.owes());
    next.settle(&storage).unwrap();
    assert!(!next.owes());
    assert!(!sample.journal().with_added_extension("old").exists());
    assert_eq!(storage.past(&sample.info).0.unwrap().claims(), (vec![0], vec![]));
}

#[test]
fn a_journal_that_is_removed_stays_so() {
    let sample = sample();
    let storage = sample.storage();
    let journal = begin(&sample, &storage);
    sample.download(&storage, &journal, &[0]);
    journal.remove(&storage).unwrap();
    sample.download(&storage, &journal, &[1]);
    journal.sync(&storage).unwrap();
    journal.end(&storage).unwrap();
    assert!(storage.past(&sample.info).0.is_none());
    assert_eq!(fs::read_dir(sample.dir.path()).unwrap().count(), 1, "only the data");
}

#[test]
fn a_journal_that_has_grown_is_written_anew_and_says_the_same() {
    let sample = sample();
    let storage = sample.storage();
    let journal = begin(&sample, &storage);
    sample.download(&storage, &journal, &(0..36).collect::<Vec<_>>());
    // As a download of weeks would, a batch at a time.
    for _ in 0..70_000 {
        journal.written(&storage, &[7]);
    }
    assert!(fs::metadata(sample.journal()).unwrap().len() > 1_048_576);
    journal.sync(&storage).unwrap();
    assert!(fs::metadata(sample.journal()).unwrap().len() < 10_000);
    let (synced, unsynced) = storage.past(&sample.info).0.unwrap().claims();
    assert_eq!((synced, unsynced), ((0..36).collect(), vec![]));
}

/// All pieces by the seal of a sample that was found complete, and what was hashed.
fn unsealed(sample: &Placed, seals: &Seals) -> Option<(usize, u64)> {
    let storage = sample.storage();
    let proof = seals
        .past(&storage, &sample.info)?
        .prove(&storage, &sample.info, 2, &Cancel::new(), &|_| {})
        .unwrap();
    Some((ones(&proof.pieces).len(), proof.hashed))
}

#[test]
fn complete_data_that_was_sealed_is_not_hashed_until_a_file_is_another() {
    let (sample, state) = (sample(), tempdir().unwrap());
    let storage = sample.storage();
    storage.write(0, &[&sample.content]).unwrap();
    let seals = Seals::open(&state.path().join("seals")).unwrap();
    assert!(seals.past(&storage, &sample.info).is_none());
    seals.save(&storage, &sample.info, &storage.files_now(), false).unwrap();
    assert!(!seals.past(&storage, &sample.info).unwrap().is_synced());
    assert_eq!(unsealed(&sample, &seals), Some((36, 0)));
    seals.save(&storage, &sample.info, &storage.files_now(), true).unwrap();
    assert!(seals.past(&storage, &sample.info).unwrap().is_synced());
    assert_eq!(unsealed(&sample, &seals), Some((36, 0)));
    let mut bytes = fs::read(sample.path("b")).unwrap();
    bytes[9] ^= 1;
    fs::write(sample.path("b"), bytes).unwrap();
    let (right, hashed) = unsealed(&sample, &seals).unwrap();
    assert!(right == 35 && hashed <= LENGTHS[1] as u64 + 2 * PIECE as u64, "{right} {hashed}");
    seals.remove(&storage, &sample.info).unwrap();
    assert!(seals.past(&storage, &sample.info).is_none());
}

#[test]
fn h74_a_seal_that_is_cut_or_spoilt_is_none() {
    let (sample, state) = (sample(), tempdir().unwrap());
    let storage = sample.storage();
    storage.write(0, &[&sample.content]).unwrap();
    let seals = Seals::open(state.path()).unwrap();
    seals.save(&storage, &sample.info, &storage.files_now(), true).unwrap();
    let path = fs::read_dir(state.path()).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let past = seals.past(&storage, &sample.info);
        // The first byte alone is what a disk that has failed was still able to say.
        assert_eq!(past.is_some_and(|past| past.is_in_doubt()), length == 1, "cut at {length}");
    }
    fs::write(&path, &whole).unwrap();
    assert!(seals.past(&storage, &sample.info).is_some());
}

#[test]
fn in_another_boot_a_seal_of_data_that_was_never_synced_proves_nothing() {
    let records = [Record::Run(BOOT), known(), written(0..100), Record::Clean];
    let planned = plan(&ledger(&records), OTHER_BOOT, AS_BEFORE(), 16_384);
    assert_eq!((ones(&planned.proven).len(), ones(&planned.hash).len()), (0, 100));
    assert_eq!(ones(&plan(&ledger(&records), BOOT, AS_BEFORE(), 16_384).proven).len(), 100);
}

/// A run on a disk in memory that is about to lose the second of three pieces, all synced and claimed by two generations.
fn about_to_lose() -> (Placed, MemoryDisk, Storage, Journal) {
    about_to_lose_by_chance(7)
}

/// The same; of what is not synced this seed decides what the disk has after a power cut.
fn about_to_lose_by_chance(seed: u64) -> (Placed, MemoryDisk, Storage, Journal) {
    let (sample, disk) = (sample(), MemoryDisk::new(seed));
    let storage = in_memory(&disk, &sample.info);
    let journal = begin(&sample, &storage);
    sample.download(&storage, &journal, &[0, 1, 2]);
    journal.end(&storage).unwrap();
    let next = Journal::begin(&storage, &sample.info, |piece| piece < 3, |piece| piece < 3).unwrap();
    (sample, disk, storage, next)
}

/// What the journal on a disk in memory claims to be synced.
fn claimed(sample: &Placed, disk: &MemoryDisk) -> Vec<u32> {
    let (past, _) = in_memory(disk, &sample.info).past(&sample.info);
    past.map(|past| past.claims().0).unwrap_or_default()
}

#[test]
fn h73_a_piece_that_was_lost_and_settled_is_not_claimed_after_a_power_cut_whatever_the_disk_did() {
    let mut ends = BTreeSet::new();
    for kind in FaultKind::ALL.into_iter().filter(|kind| *kind != FaultKind::Death) {
        for (after, lasting) in (0..24).flat_map(|after| [(after, false), (after, true)]) {
            let (sample, disk, storage, journal) = about_to_lose();
            disk.plan(Some(Fault { kind, after, lasting }));
            journal.lost(&[1]);
            assert!(journal.owes());
            let settled = journal.settle(&storage);
            assert_eq!(journal.owes(), settled.is_err(), "{kind:?} after {after}");
            disk.plan(None);
            if settled.is_err() {
                // The disk is well again, and it is tried again.
                journal.settle(&storage).unwrap();
            }
            ends.insert((settled.is_ok(), journal.is_kept()));
            disk.cut_power();
            assert!(!claimed(&sample, &disk).contains(&1), "{kind:?} after {after}, lasting: {lasting}");
            let names = disk.names(Path::new("/data"));
            assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".old")), "it claims it too");
        }
    }
    let all = [(true, true), (true, false), (false, false)];
    assert_eq!(ends, BTreeSet::from(all), "it was kept, given up, and could not even be given up");
}

#[test]
fn h73_until_it_is_settled_a_piece_that_was_lost_may_be_claimed_and_so_the_journal_owes() {
    let may_be_claimed = |seed| {
        let (sample, disk, _storage, journal) = about_to_lose_by_chance(seed);
        journal.lost(&[1]);
        assert!(journal.owes() && journal.is_behind());
        disk.cut_power();
        claimed(&sample, &disk) == [0, 1, 2]
    };
    assert!((0..20).any(may_be_claimed), "that nothing be written before is what owing is for");
}

#[test]
fn what_was_lost_is_settled_by_the_next_sync_and_by_the_end_and_owed_no_more_when_all_is_there() {
    let done: [fn(&Journal, &Storage); 3] = [
        |journal, storage| journal.sync(storage).unwrap(),
        |journal, storage| journal.end(storage).unwrap(),
        |journal, storage| journal.remove(storage).unwrap(),
    ];
    for done in done {
        let (sample, disk, storage, journal) = about_to_lose();
        journal.lost(&[1]);
        done(&journal, &storage);
        assert!(!journal.owes());
        assert!(!claimed(&sample, &disk).contains(&1));
    }
}

#[test]
fn a_run_that_is_over_settles_nothing_in_the_journal_of_the_next() {
    let (sample, disk, storage, journal) = about_to_lose();
    journal.lost(&[1]);
    journal.close();
    let next = Journal::begin(&storage, &sample.info, |piece| piece < 3, |piece| piece < 3).unwrap();
    assert_eq!(journal.settle(&storage).unwrap_err().kind, StorageErrorKind::Interrupted);
    assert!(journal.owes() && next.is_kept());
    disk.cut_power();
    assert_eq!(claimed(&sample, &disk), [0, 1, 2]);
}

#[test]
fn h67_what_could_not_be_written_of_a_journal_is_not_left_on_the_full_disk() {
    let is_left = |disk: &MemoryDisk| {
        disk.names(Path::new("/data")).iter().any(|name| name.to_string_lossy().ends_with(".new"))
    };
    let mut failed = 0;
    for after in 0..12 {
        let (sample, disk, storage, journal) = about_to_lose();
        disk.plan(Some(Fault { kind: FaultKind::Full, after, lasting: true }));
        let begun = Journal::begin(&storage, &sample.info, |piece| piece < 3, |piece| piece < 3);
        failed += usize::from(begun.is_err());
        assert!(!is_left(&disk), "after {after}");
        drop(journal);
    }
    assert!(failed > 2);
    // A process that is killed in the middle leaves it: the next start removes it, and no other.
    let left = (0..24).filter(|after| {
        let (sample, disk, storage, _journal) = about_to_lose();
        disk.plan(Some(Fault { kind: FaultKind::Death, after: *after, lasting: false }));
        let begun = Journal::begin(&storage, &sample.info, |piece| piece < 3, |piece| piece < 3);
        disk.plan(None);
        disk.kill();
        let left = is_left(&disk);
        in_memory(&disk, &sample.info).remove_unfinished_journal(&sample.info).unwrap();
        assert!(!is_left(&disk) && claimed(&sample, &disk) == [0, 1, 2], "{begun:?} after {after}");
        left
    });
    assert!(left.count() > 2);
}

/// A download on a disk in memory: what is written is synced, and that fails.
fn after_a_sync_that_failed(lasting: bool) -> (Placed, MemoryDisk) {
    let (sample, disk) = (sample(), MemoryDisk::new(7));
    let storage = in_memory(&disk, &sample.info);
    let journal = begin(&sample, &storage);
    sample.download(&storage, &journal, &[0, 1, 2]);
    disk.plan(Some(Fault { kind: FaultKind::Full, after: 0, lasting }));
    assert!(journal.sync(&storage).is_err());
    disk.plan(None);
    drop((journal, storage));
    disk.kill();
    (sample, disk)
}

/// A start after that: what it proves, and whether the journal said what is wrong with it. Then all is synced, and the power
/// fails: what of the first three pieces is there.
fn begun_again(sample: &Placed, disk: &MemoryDisk) -> (usize, bool, bool) {
    let storage = in_memory(disk, &sample.info);
    let (past, wrong) = storage.past(&sample.info);
    let proof = past.unwrap().prove(&storage, &sample.info, 1, &Cancel::new(), &|_| {}).unwrap();
    let has = |piece| proof.pieces[piece as usize];
    let journal = Journal::begin(&storage, &sample.info, has, |piece| proof.synced[piece as usize]).unwrap();
    journal.end(&storage).unwrap();
    disk.cut_power();
    let mut there = vec![0; 3 * PIECE];
    let read = in_memory(disk, &sample.info).read(0, &mut there);
    (ones(&proof.pieces).len(), wrong.is_some(), read.is_ok() && there == sample.content[..3 * PIECE])
}

#[test]
fn h69_what_a_failed_sync_has_left_in_memory_is_written_again_before_it_counts_as_synced() {
    let (sample, disk) = after_a_sync_that_failed(false);
    assert_eq!(begun_again(&sample, &disk), (3, false, true));
}

#[test]
fn h67_h69_a_disk_too_full_for_the_doubt_to_be_recorded_leaves_a_journal_that_doubts_all() {
    let (sample, disk) = after_a_sync_that_failed(true);
    assert_eq!(begun_again(&sample, &disk), (3, true, true));
}

#[test]
fn h69_complete_data_whose_sync_failed_is_in_doubt_until_another_boot() {
    for full in [false, true] {
        let (sample, disk) = (sample(), MemoryDisk::new(7));
        let storage = in_memory(&disk, &sample.info);
        storage.write(0, &[&sample.content]).unwrap();
        let past = || {
            let seals = Seals::among(&disk.roots(), Path::new("/state")).unwrap();
            seals.past(&in_memory(&disk, &sample.info), &sample.info)
        };
        let seals = Seals::among(&disk.roots(), Path::new("/state")).unwrap();
        let then = storage.files_now();
        seals.save(&storage, &sample.info, &then, false).unwrap();
        assert!(!past().unwrap().is_in_doubt());
        disk.plan(full.then_some(Fault { kind: FaultKind::Full, after: 0, lasting: true }));
        seals.doubt(&storage, &sample.info, &then).unwrap();
        disk.plan(None);
        assert!(past().unwrap().is_in_doubt());
        disk.kill();
        assert!(past().unwrap().is_in_doubt(), "full: {full}");
        disk.cut_power();
        assert!(past().is_none_or(|past| past.is_in_doubt()), "full: {full}");
    }
}

#[test]
fn h74_a_journal_of_files_that_change_again_and_again_is_not_taken_for_damaged() {
    let (pieces, disk) = (2_000u32, MemoryDisk::new(7));
    let builder = InfoBuilder { name: b"top".into(), piece_length: 16_384, private: false, source: None };
    let info = builder.single_file(u64::from(pieces) * 16_384, &vec![0; 20 * pieces as usize]).unwrap();
    let storage = in_memory(&disk, &info);
    let journal = Journal::begin(&storage, &info, |_| true, |_| true).unwrap();
    let all: Vec<u32> = (0..pieces).collect();
    for time in 0..100 {
        let (past, wrong) = storage.past(&info);
        assert!(past.is_some() && wrong.is_none(), "after {time} times: {wrong:?}");
        journal.lost(&all);
        journal.written(&storage, &all);
        if time % 3 == 0 {
            journal.sync(&storage).unwrap();
        }
    }
}

#[test]
fn h69_a_file_that_was_moved_away_before_the_sync_is_not_taken_for_a_disk_that_fails() {
    let sample = sample();
    let storage = sample.storage();
    storage.write(0, &[&sample.content]).unwrap();
    assert!(storage.sync_all().unwrap());
    let file = storage.full_path(0);
    fs::rename(&file, file.with_extension("moved")).unwrap();
    assert!(!storage.sync_all().unwrap());
    fs::rename(file.with_extension("moved"), &file).unwrap();
    assert!(storage.sync_all().unwrap());
}
