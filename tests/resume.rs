//! What is hashed when a download goes on: by its journal nothing, or little.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::support::data::{assert_same, noise, write};
use crate::support::inside::inside;
use crate::support::process::{Running, start};
use crate::support::relay::Relay;

const PIECE: usize = 65_536;

/// No border of a file is one of a piece.
const FILES: [(&str, usize); 3] = [("a.bin", 3_000_000), ("b.bin", 2_500_000), ("c.bin", 4_500_000)];

const SIZE: u64 = 10_000_000;

struct Source {
    folder: TempDir,
    _seed: Running,
    port: u16,
}

fn source() -> Source {
    let folder = tempdir().unwrap();
    for (number, (path, length)) in (1..).zip(FILES) {
        write(&folder.path().join("three").join(path), &noise(number, length));
    }
    inside(folder.path()).run(&["create", "three", "-p", "64KiB"]).done();
    let mut seed = start(folder.path(), &["seed", "three.torrent", "--port", "0", "--bind", "127.0.0.1"]);
    let seeding = seed.event("seeding");
    let port = seeding["message"].as_str().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    Source { folder, _seed: seed, port }
}

impl Source {
    /// Starts a download that gets about half, and ends it in this way when that has come.
    fn half(&self, target: &Path, signal: &str) {
        self.part(target, signal, SIZE * 6 / 10, SIZE / 2);
    }

    /// Starts a download that gets so many bytes, and ends it in this way when so many are there.
    fn part(&self, target: &Path, signal: &str, gate: u64, until: u64) {
        let relay = Relay::start(self.port, gate);
        let mut running = self.download(target, &relay, &["--sequential"]);
        running
            .object(|object| object["event"] == "progress" && object["done_bytes"].as_u64().unwrap() > until);
        running.signal(signal);
        running.finish();
    }

    fn download(&self, target: &Path, relay: &Relay, args: &[&str]) -> Running {
        let torrent = self.folder.path().join("three.torrent").into_os_string().into_string().unwrap();
        let peer = relay.address();
        let args =
            [&["download", &torrent, "--port", "0", "--bind", "127.0.0.1", "--peer", &peer], args].concat();
        start(target, &args)
    }

    /// Lets it go on to its end, which must be right. The bytes that it hashed at its start, and its warnings.
    fn rest(&self, target: &Path) -> (u64, Vec<String>) {
        let mut running = self.download(target, &Relay::start(self.port, u64::MAX), &[]);
        let mut warnings = Vec::new();
        let started = running.object(|object| {
            if object["event"] == "warning" {
                warnings.push(object["message"].as_str().unwrap().to_owned());
            }
            object["event"] == "started"
        });
        running.event("complete");
        assert_eq!(running.finish().0, Some(0));
        assert_same(&self.folder.path().join("three"), &target.join("three"));
        let left: Vec<_> = fs::read_dir(target).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["three"], "neither marker nor journal stays");
        (number(&started, "hashed_bytes"), warnings)
    }
}

fn number(object: &Value, key: &str) -> u64 {
    object[key].as_u64().unwrap_or_else(|| panic!("no {key} in {object}"))
}

/// The journal in a folder.
fn journal(target: &Path) -> PathBuf {
    let entries = fs::read_dir(target).unwrap().map(|entry| entry.unwrap().path());
    entries.into_iter().find(|path| path.extension().is_some_and(|end| end == "journal")).unwrap()
}

#[test]
fn a_download_that_ended_in_order_hashes_nothing_when_it_goes_on() {
    let (source, target) = (source(), tempdir().unwrap());
    source.half(target.path(), "INT");
    source.part(target.path(), "TERM", SIZE * 2 / 10, SIZE * 6 / 10);
    assert_eq!(source.rest(target.path()), (0, vec![]));
}

#[test]
fn h73_a_download_that_was_killed_hashes_what_is_not_proven_and_is_right() {
    let (source, target) = (source(), tempdir().unwrap());
    source.half(target.path(), "KILL");
    let (hashed, warnings) = source.rest(target.path());
    assert_eq!(warnings, Vec::<String>::new());
    assert!(hashed > 0 && hashed < SIZE * 7 / 10, "{hashed}");
}

/// Does this to a file between two runs of a download; how much the second hashes, and how many of the file's pieces it says
/// that it fetches again.
fn hashed_after(change: impl Fn(&Path)) -> (u64, u64) {
    let (source, target) = (source(), tempdir().unwrap());
    source.half(target.path(), "INT");
    change(&target.path().join("three/a.bin"));
    let (hashed, warnings) = source.rest(target.path());
    let wrong = match warnings.as_slice() {
        [] => 0,
        [one] => {
            let count = one.strip_prefix("three: three/a.bin is not as it was left; fetching ");
            count.unwrap().strip_suffix(" of its 46 pieces again").unwrap().parse().unwrap()
        }
        more => panic!("{more:?}"),
    };
    (hashed, wrong)
}

#[test]
fn h70_a_file_that_was_edited_between_two_runs_is_hashed_and_comes_right() {
    let (hashed, wrong) = hashed_after(|path| {
        let mut bytes = fs::read(path).unwrap();
        // Whichever of its pieces have come.
        bytes.iter_mut().step_by(PIECE).for_each(|byte| *byte ^= 1);
        fs::write(path, bytes).unwrap();
    });
    assert!((2_900_000..=3_000_000 + PIECE as u64).contains(&hashed), "that file and no other: {hashed}");
    assert!((1..=46).contains(&wrong), "{wrong}");
}

#[test]
fn h70_a_file_that_was_replaced_by_a_copy_of_itself_is_hashed_and_stays() {
    let (hashed, wrong) = hashed_after(|path| {
        let bytes = fs::read(path).unwrap();
        fs::remove_file(path).unwrap();
        fs::write(path, bytes).unwrap();
    });
    assert!((2_900_000..=3_000_000 + PIECE as u64).contains(&hashed), "{hashed}");
    assert_eq!(wrong, 0, "nothing is lost");
}

#[test]
fn h70_a_file_that_was_cut_or_removed_between_two_runs_comes_again() {
    let (hashed, wrong) =
        hashed_after(|path| File::options().write(true).open(path).unwrap().set_len(700_000).unwrap());
    assert!(hashed <= 700_000, "what is not there is not hashed: {hashed}");
    assert!((1..=36).contains(&wrong), "of ten pieces all is before the cut: {wrong}");
    let (hashed, wrong) = hashed_after(|path| fs::remove_file(path).unwrap());
    assert!(hashed == 0 && (1..=46).contains(&wrong), "{hashed} {wrong}");
}

#[test]
fn a_download_that_was_moved_without_its_hidden_files_is_told_to_need_them() {
    let (source, target) = (source(), tempdir().unwrap());
    source.half(target.path(), "INT");
    let left = fs::read_dir(target.path()).unwrap().map(|entry| entry.unwrap().path());
    left.filter(|path| path.is_file()).for_each(|path| fs::remove_file(path).unwrap());
    write(&target.path().join("three/c.bin"), &noise(9, 100_000));
    let mut refused = source.download(target.path(), &Relay::start(source.port, u64::MAX), &[]);
    let error = refused.event("error")["message"].as_str().unwrap().to_owned();
    let (path, hash) = (target.path().join("three/c.bin"), hash(&source));
    let due =
        "exists and is something else; use --overwrite to replace it; if a download was moved here, move its";
    assert_eq!(error, format!("{} {due} .three.{hash}.* here too", path.display()));
    assert_eq!(refused.finish().0, Some(3));
}

/// The first digits of the info-hash.
fn hash(source: &Source) -> String {
    let shown = inside(source.folder.path()).run(&["show", "three.torrent", "--json"]).done().json();
    shown["info_hash_v1"].as_str().unwrap()[..8].to_owned()
}

/// What is made of a journal's bytes.
type Spoil = fn(Vec<u8>) -> Vec<u8>;

#[test]
fn h74_a_journal_that_cannot_be_used_is_told_and_all_is_hashed() {
    let source = source();
    let spoils: [(&str, Spoil); 3] = [
        ("is damaged", |mut bytes| {
            bytes[60] ^= 1;
            bytes
        }),
        ("is from another version of shoal", |mut bytes| {
            bytes[8] = 9;
            bytes
        }),
        ("is of another torrent", |mut bytes| {
            bytes[12] ^= 1;
            let sum = crc32(&bytes[..44]);
            bytes[44..48].copy_from_slice(&sum.to_le_bytes());
            bytes
        }),
    ];
    for (what, spoil) in spoils {
        let target = tempdir().unwrap();
        source.half(target.path(), "INT");
        let path = journal(target.path());
        fs::write(&path, spoil(fs::read(&path).unwrap())).unwrap();
        let (hashed, warnings) = source.rest(target.path());
        assert!(hashed > SIZE * 4 / 10, "{what}: {hashed}");
        assert!(warnings.len() == 1 && warnings[0].contains(what), "{what}: {warnings:?}");
    }
}

#[test]
fn h74_a_journal_that_is_cut_anywhere_costs_time_and_nothing_else() {
    let (source, target) = (source(), tempdir().unwrap());
    source.half(target.path(), "KILL");
    let path = journal(target.path());
    let whole = fs::read(&path).unwrap();
    // Each run begins its own journal, so each cut is of the first one, beside the data as it is by then.
    for length in [0, 20, 48, 60, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        let relay = Relay::start(source.port, 1000);
        let mut running = source.download(target.path(), &relay, &[]);
        running.event("started");
        running.signal("KILL");
        running.finish();
    }
    source.rest(target.path());
}

#[test]
fn a_journal_without_its_marker_is_not_believed() {
    let (source, target) = (source(), tempdir().unwrap());
    source.half(target.path(), "INT");
    let entries = fs::read_dir(target.path()).unwrap().map(|entry| entry.unwrap().path());
    let marker = entries.into_iter().find(|path| path.extension().is_some_and(|end| end == "shoal")).unwrap();
    fs::remove_file(marker).unwrap();
    // What is no longer ours is judged by its bytes: some of each file are right.
    let (hashed, _) = source.rest(target.path());
    assert!(hashed > SIZE * 4 / 10, "{hashed}");
}

/// Seeds the three files of a folder; the event of when it does.
fn seeded(folder: &Path) -> (Value, Running) {
    let mut seed = start(folder, &["seed", "three.torrent", "--port", "0", "--bind", "127.0.0.1"]);
    (seed.event("seeding"), seed)
}

/// A folder with the three files and their torrent, which was seeded once.
fn sealed() -> TempDir {
    let Source { folder, _seed: seed, .. } = source();
    seed.signal("TERM");
    assert_eq!(seed.finish().0, Some(0));
    folder
}

#[test]
fn a_seed_that_starts_again_hashes_nothing() {
    let folder = sealed();
    for _ in 0..2 {
        let (seeding, seed) = seeded(folder.path());
        assert_eq!(number(&seeding, "hashed_bytes"), 0);
        seed.signal("KILL");
        seed.finish();
    }
    let state = ["seed", "three.torrent", "--port", "0", "--bind", "127.0.0.1", "--state-dir", "other"];
    let mut elsewhere = start(folder.path(), &state);
    assert_eq!(number(&elsewhere.event("seeding"), "hashed_bytes"), SIZE, "nothing is known of it there");
}

#[test]
fn h70_a_seed_hashes_a_file_that_is_not_what_it_was_and_names_it_if_it_is_wrong() {
    let folder = sealed();
    let path = folder.path().join("three/b.bin");
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, &bytes).unwrap();
    let (seeding, seed) = seeded(folder.path());
    let hashed = number(&seeding, "hashed_bytes");
    assert!((2_500_000..2_500_000 + 2 * PIECE as u64).contains(&hashed), "{hashed}");
    drop(seed);
    assert_eq!(number(&seeded(folder.path()).0, "hashed_bytes"), 0, "it is known again");
    let mut wrong = bytes;
    wrong[1_234_567] ^= 1;
    fs::write(&path, &wrong).unwrap();
    let mut refused = start(folder.path(), &["seed", "three.torrent", "--port", "0", "--bind", "127.0.0.1"]);
    let error = refused.event("error");
    let message = error["message"].as_str().unwrap();
    let (start, hint) = ("three/b.bin does not match the torrent: piece ", "shoal download fetches it again");
    assert!(message.starts_with(start) && message.contains(" pieces is not right; "), "{error}");
    assert!(message.ends_with(hint), "{error}");
    assert_eq!(refused.finish().0, Some(3));
}

#[test]
fn what_was_downloaded_is_neither_hashed_to_be_seeded_nor_to_be_downloaded_again() {
    let (source, target) = (source(), tempdir().unwrap());
    source.rest(target.path());
    let mut again = source.download(target.path(), &Relay::start(source.port, u64::MAX), &[]);
    assert_eq!(number(&again.event("started"), "hashed_bytes"), 0);
    assert_eq!(again.finish().0, Some(0));
    fs::copy(source.folder.path().join("three.torrent"), target.path().join("three.torrent")).unwrap();
    assert_eq!(number(&seeded(target.path()).0, "hashed_bytes"), 0);
}

#[test]
fn h72_a_seal_does_not_make_a_strangers_file_ours() {
    let folder = sealed();
    fs::write(folder.path().join("three/a.bin"), noise(77, 3_000_000)).unwrap();
    let mut refused =
        start(folder.path(), &["download", "three.torrent", "--port", "0", "--bind", "127.0.0.1"]);
    let error = refused.event("error");
    assert!(error["message"].as_str().unwrap().contains("--overwrite"), "{error}");
    assert_eq!(refused.finish().0, Some(3));
    assert!(fs::read(folder.path().join("three/a.bin")).unwrap() == noise(77, 3_000_000));
}

/// CRC-32 as in the journal, a bit at a time.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}
