//! Files that change while they are seeded: the real program beside an honest download.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::support::data::{assert_same, noise, write};
use crate::support::inside::inside;
use crate::support::process::{Running, start};

const PIECE: u64 = 65_536;

/// Pieces of each file; no piece lies in two.
const FILES: [(&str, u64); 2] = [("a.bin", 40), ("b.bin", 60)];

const SIZE: u64 = 100 * PIECE;

/// A folder `two` with its torrent.
fn source() -> TempDir {
    let folder = tempdir().unwrap();
    for (number, (path, pieces)) in (1..).zip(FILES) {
        let path = folder.path().join("two").join(path);
        write(&path, &noise(number, usize::try_from(pieces * PIECE).unwrap()));
        age(&path);
    }
    inside(folder.path()).run(&["create", "two", "-p", "64KiB"]).done();
    folder
}

/// It was written long ago: a clock that ticks slowly must not matter.
fn age(path: &Path) {
    let long_ago = SystemTime::now() - Duration::from_secs(1000);
    File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
}

fn seeding_on(running: &mut Running) -> u16 {
    let seeding = running.event("seeding");
    seeding["message"].as_str().unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

fn seed(source: &Path) -> (Running, u16) {
    let mut seed = start(source, &["seed", "two.torrent", "--port", "0", "--bind", "127.0.0.1"]);
    let port = seeding_on(&mut seed);
    (seed, port)
}

fn download(source: &Path, target: &Path, peer: &str, more: &[&str]) -> Running {
    let torrent = source.join("two.torrent").into_os_string().into_string().unwrap();
    let args = ["download", &torrent, "--port", "0", "--bind", "127.0.0.1", "--peer", peer];
    start(target, &[&args[..], more].concat())
}

/// The next warning.
fn warning(running: &mut Running) -> String {
    running.event("warning")["message"].as_str().unwrap().to_owned()
}

/// The next thing that is said of a file, as a warning or not.
fn news(running: &mut Running) -> Value {
    running
        .object(|object| object["message"].as_str().is_some_and(|message| message.starts_with("two: two/")))
}

fn done(object: &Value) -> u64 {
    if object["event"] == "progress" { object["done_bytes"].as_u64().unwrap() } else { 0 }
}

/// Asserts that a download ended well, and that nobody was banned meanwhile: no piece came wrong.
#[track_caller]
fn ended_well(running: Running) {
    let (status, lines) = running.end_with_all();
    assert_eq!(status.code(), Some(0), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("\"warning\"")), "{lines:#?}");
}

/// A download has a fifth when this is done to the seed's first file; it goes on beside, and gets nothing that is wrong.
/// Then the file is put back, and it completes. What the seed said at first.
fn changed_under_a_download(change: impl Fn(&Path)) -> String {
    let (source, target, saved) = (source(), tempdir().unwrap(), tempdir().unwrap());
    let path = source.path().join("two/a.bin");
    let copy = saved.path().join("two");
    write(&copy.join("a.bin"), &fs::read(&path).unwrap());
    write(&copy.join("b.bin"), &fs::read(source.path().join("two/b.bin")).unwrap());
    let (mut seed, port) = seed(source.path());
    // What it asks for at once is little, so that there are pieces of both files that it has not asked for.
    let peer = format!("127.0.0.1:{port}");
    let mut running = download(source.path(), target.path(), &peer, &["--limit-down", "2MiB/s"]);
    running.object(|object| done(object) > SIZE / 10);
    change(&path);
    let news_of_it = news(&mut seed);
    let said = news_of_it["message"].as_str().unwrap().to_owned();
    let is_right = said.contains("all of it is right");
    assert_eq!(news_of_it["event"], if is_right { "log" } else { "warning" }, "good news is no warning");
    if !is_right {
        fs::copy(copy.join("a.bin"), path.with_extension("back")).unwrap();
        fs::rename(path.with_extension("back"), &path).unwrap();
        let back = news(&mut seed);
        assert_eq!(back["event"], "log", "{back}");
        let back = back["message"].as_str().unwrap();
        assert!(back.ends_with("all of it is right and is offered again"), "{back}");
    }
    running.event("complete");
    ended_well(running);
    assert_same(&copy, &target.path().join("two"));
    said
}

fn edit(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    (0..40).for_each(|piece| file.write_all_at(b"edited!", piece * PIECE + 9).unwrap());
}

/// All but its first piece.
fn edit_most(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    (1..40).for_each(|piece| file.write_all_at(b"edited!", piece * PIECE + 9).unwrap());
}

fn touch(path: &Path) {
    File::options().write(true).open(path).unwrap().set_modified(SystemTime::now()).unwrap();
}

#[test]
fn h70_a_file_that_is_edited_under_a_download_is_not_offered_until_it_is_put_back() {
    let due = "two: two/a.bin was changed; none of it is right, and it is not offered any more";
    assert_eq!(changed_under_a_download(edit), due);
}

#[test]
fn h70_a_file_that_is_cut_under_a_download_is_offered_as_far_as_it_goes() {
    let cut = |path: &Path| File::options().write(true).open(path).unwrap().set_len(5 * PIECE).unwrap();
    let said = changed_under_a_download(cut);
    let due = "two: two/a.bin has another length now (327,680 bytes); 35 of its 40 pieces are wrong and not \
               offered any more";
    assert_eq!(said, due);
}

#[test]
fn h70_a_file_that_is_removed_under_a_download_is_offered_when_it_is_there_again() {
    let said = changed_under_a_download(|path| fs::remove_file(path).unwrap());
    assert_eq!(said, "two: two/a.bin was removed; it is not offered any more");
}

#[test]
fn h70_a_file_that_is_replaced_under_a_download_is_offered_as_far_as_it_is_right() {
    let said = changed_under_a_download(|path| {
        let new = path.with_extension("new");
        fs::copy(path, &new).unwrap();
        File::options().write(true).open(&new).unwrap().write_all_at(b"edited!", 7 * PIECE).unwrap();
        fs::rename(new, path).unwrap();
    });
    let due =
        "two: two/a.bin was replaced by another file; 1 of its 40 pieces is wrong and not offered any more";
    assert_eq!(said, due);
}

#[test]
fn h70_a_file_that_is_only_touched_under_a_download_goes_on_after_one_hash() {
    let due = "two: two/a.bin was changed; all of it is right and is offered again";
    assert_eq!(changed_under_a_download(touch), due);
}

#[test]
fn h70_a_seed_that_has_lost_a_file_shows_what_it_has() {
    let (source, target) = (source(), tempdir().unwrap());
    let (mut seed, port) = seed(source.path());
    seed.object(|object| done(object) == SIZE);
    let peer = format!("127.0.0.1:{port}");
    // While somebody is there the files are looked at.
    let _download = download(source.path(), target.path(), &peer, &["--limit-down", "100KiB/s"]);
    seed.object(|object| object["peers"] == 1);
    fs::remove_file(source.path().join("two/a.bin")).unwrap();
    assert_eq!(warning(&mut seed), "two: two/a.bin was removed; it is not offered any more");
    let shown = seed.object(|object| object["event"] == "progress" && done(object) < SIZE);
    assert_eq!((done(&shown), &shown["eta_seconds"]), (60 * PIECE, &Value::Null), "{shown}");
    seed.signal("TERM");
    let summary = seed.event("log");
    let summary = summary["message"].as_str().unwrap();
    assert!(summary.ends_with("; 60% of it (3.8/6.3 MiB) was offered at the end"), "{summary}");
    assert_eq!(seed.finish().0, Some(0));
}

/// A download that is complete and goes on seeding, and where its data is.
fn complete(source: &Path) -> (Running, u16, TempDir) {
    let target = tempdir().unwrap();
    let (_seed, port) = seed(source);
    let peer = format!("127.0.0.1:{port}");
    let mut running = download(source, target.path(), &peer, &["--seed"]);
    let port = seeding_on(&mut running);
    (running, port, target)
}

/// The path of what stands beside a download and ends so.
fn beside(target: &Path, end: &str) -> Option<PathBuf> {
    let mut entries = fs::read_dir(target).unwrap().map(|entry| entry.unwrap().path());
    entries.find(|path| path.extension().is_some_and(|extension| extension == end))
}

#[test]
fn h70_a_download_that_seeds_fetches_again_what_is_wrong_and_gives_none_of_it_to_others() {
    let source = source();
    let (mut seeding, port, target) = complete(source.path());
    let path = target.path().join("two/a.bin");
    let (_seed, other) = seed(source.path());
    let (last, both) = (tempdir().unwrap(), [port, other].map(|port| format!("127.0.0.1:{port}")));
    edit_most(&path);
    // What it lacks comes by way of the one that it seeds to.
    let mut running = download(
        source.path(),
        last.path(),
        &both[0],
        &["--peer", &both[1], "--limit-down", "2MiB/s", "--seed"],
    );
    assert_eq!(warning(&mut seeding), "two: two/a.bin was changed; fetching 39 of its 40 pieces again");
    seeding.object(|object| done(object) == SIZE);
    assert_same(&source.path().join("two"), &target.path().join("two"));
    // It has given all that the other lacked, and may lack some itself for a moment.
    running.event("seeding");
    running.signal("TERM");
    ended_well(running);
    assert_same(&source.path().join("two"), &last.path().join("two"));
}

#[test]
fn h70_h73_a_download_that_is_killed_while_it_fetches_again_goes_on() {
    let source = source();
    let (mut seeding, port, target) = complete(source.path());
    let path = target.path().join("two/a.bin");
    edit_most(&path);
    let asker = tempdir().unwrap();
    let asking = download(source.path(), asker.path(), &format!("127.0.0.1:{port}"), &[]);
    assert_eq!(warning(&mut seeding), "two: two/a.bin was changed; fetching 39 of its 40 pieces again");
    // Nobody has them now.
    seeding.object(|object| {
        done(object) == 61 * PIECE
            && beside(target.path(), "shoal").is_some()
            && beside(target.path(), "journal").is_some()
    });
    seeding.signal("KILL");
    seeding.finish();
    drop(asking);
    let (_seed, port) = seed(source.path());
    let mut running = download(source.path(), target.path(), &format!("127.0.0.1:{port}"), &[]);
    let started = running.event("started");
    assert!(started["hashed_bytes"].as_u64().unwrap() <= 61 * PIECE, "{started}");
    running.event("complete");
    ended_well(running);
    assert_same(&source.path().join("two"), &target.path().join("two"));
    assert!(beside(target.path(), "shoal").is_none() && beside(target.path(), "journal").is_none());
}

#[test]
fn h70_a_download_whose_folder_is_moved_away_begins_anew_and_takes_nothing_of_its_own_for_somebodys() {
    let (source, target) = (source(), tempdir().unwrap());
    let (_seed, port) = seed(source.path());
    let peer = format!("127.0.0.1:{port}");
    let mut running = download(source.path(), target.path(), &peer, &["--limit-down", "3MiB/s"]);
    running.object(|object| done(object) > SIZE / 3);
    fs::rename(target.path().join("two"), target.path().join("moved")).unwrap();
    running.event("complete");
    let (status, lines) = running.end_with_all();
    assert_eq!(status.code(), Some(0), "{lines:#?}");
    let warnings: Vec<_> = lines.iter().filter(|line| line.contains("\"warning\"")).collect();
    assert!(warnings.iter().all(|line| line.contains("was removed; fetching ")), "{warnings:#?}");
    assert_same(&source.path().join("two"), &target.path().join("two"));
}

#[test]
fn h72_a_file_that_is_put_in_the_way_of_a_download_is_left_alone_however_often_it_is_run_again() {
    let (source, target) = (source(), tempdir().unwrap());
    let (_seed, port) = seed(source.path());
    let peer = format!("127.0.0.1:{port}");
    let path = target.path().join("two/b.bin");
    let slowly = ["--sequential", "--limit-down", "1MiB/s"];
    let mut running = download(source.path(), target.path(), &peer, &slowly);
    running.object(|object| done(object) > 0);
    // Renamed, so that it is whole when it is there.
    write(&target.path().join("mine"), b"precious");
    fs::rename(target.path().join("mine"), &path).unwrap();
    for run in 0..3 {
        let (status, lines) = running.end_with_all();
        assert_eq!(status.code(), Some(3), "{lines:#?}");
        let told = |line: &String| line.contains("b.bin") && line.contains("--overwrite");
        assert!(lines.iter().any(told), "{lines:#?}");
        assert_eq!(fs::read(&path).unwrap(), b"precious", "after run {run}");
        running = download(source.path(), target.path(), &peer, &[]);
    }
    let (status, _) = running.end_with_all();
    assert_eq!((status.code(), fs::read(&path).unwrap().len()), (Some(3), 8));
    fs::remove_file(&path).unwrap();
    ended_well(download(source.path(), target.path(), &peer, &[]));
    assert_same(&source.path().join("two"), &target.path().join("two"));
    assert_eq!(beside(target.path(), "shoal"), None);
}
