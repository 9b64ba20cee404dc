//! Disks that fail for real: one that is too small, one that fills up, one that becomes read-only. The download says so,
//! ends with 5 and claims nothing that is not there; once the disk is well, the same command completes.
//!
//! Filesystems are mounted for each test, which takes root, and unmounted when it ends, however it ends.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::{TempDir, tempdir};

use super::support::programs::{require_root, run};
use crate::support::data::{noise, write};
use crate::support::inside::inside;
use crate::support::process::{Running, start};
use crate::support::relay::Relay;

/// What the disk holds.
const DISK: &str = "20m";

/// What is downloaded: it fits, two of it do not. More than half of what is free, so that it gets no room ahead.
const SIZE: usize = 12_000_000;

/// Bytes of a piece.
const PIECE: u64 = 64 << 10;

/// A mounted filesystem.
struct Mounted(PathBuf);

impl Mounted {
    fn tmpfs(at: &Path, options: &str) -> Self {
        require_root();
        fs::create_dir_all(at).expect("a folder can be made");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", options, "shoal-test"]).arg(at));
        Self(at.to_path_buf())
    }

    /// A filesystem in a file: made anew, unless it is there.
    fn ext4(at: &Path, image: &Path) -> Self {
        require_root();
        fs::create_dir_all(at).expect("a folder can be made");
        if !image.exists() {
            File::create(image).and_then(|file| file.set_len(64 << 20)).expect("the image can be made");
            run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(image));
        }
        run(Command::new("mount").args(["-o", "loop"]).arg(image).arg(at));
        Self(at.to_path_buf())
    }

    /// Mounts it anew with other options, while it is in use.
    fn remount(&self, options: &str) {
        run(Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0));
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A program that a failed test leaves behind may still be at it.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

/// Two files with a torrent each, who seeds them, and where the disk goes.
struct Source {
    folder: TempDir,
    port: u16,
    _seed: Running,
}

impl Source {
    fn new() -> Self {
        let folder = tempdir().expect("a folder can be made");
        for (name, seed) in [("one", 1), ("two", 2)] {
            write(&folder.path().join(name), &noise(seed, SIZE));
            inside(folder.path()).run(&["create", name, "-p", "64KiB"]).done();
        }
        let args = ["seed", "one.torrent", "two.torrent", "--port", "0", "--bind", "127.0.0.1"];
        let mut seed = start(folder.path(), &args);
        let seeding = seed.event("seeding");
        seed.event("seeding");
        let port = seeding["message"].as_str().and_then(|text| text.rsplit(' ').next()?.parse().ok());
        Self { folder, port: port.expect("it says its port"), _seed: seed }
    }

    fn disk(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// Starts to download these onto the disk, as much as the relay lets through.
    fn download(&self, names: &[&str], relay: &Relay) -> Running {
        let torrents = names.iter().map(|name| format!("{name}.torrent"));
        let rest = ["-d", "disk", "--port", "0", "--bind", "127.0.0.1", "--peer", &relay.address()];
        let args = ["download".to_owned()].into_iter().chain(torrents).chain(rest.map(str::to_owned));
        start(self.folder.path(), &args.collect::<Vec<_>>())
    }

    fn all(&self) -> Relay {
        Relay::start(self.port, u64::MAX)
    }

    /// Lets the downloads of these go on to their end. For each, the bytes that were there and those that were hashed.
    fn completes(&self, names: &[&str]) -> Vec<u64> {
        let mut running = self.download(names, &self.all());
        let hashed = names.iter().map(|_| number(&running.event("started"), "hashed_bytes")).collect();
        let (code, last) = running.finish();
        assert_eq!(code, Some(0), "{last}");
        for name in names {
            let [original, copy] = [self.folder.path().join(name), self.disk().join(name)];
            assert!(fs::read(original).ok() == fs::read(copy).ok(), "{name} differs from the original");
        }
        hashed
    }
}

fn number(object: &Value, key: &str) -> u64 {
    object[key].as_u64().unwrap_or_else(|| panic!("no {key} in {object}"))
}

/// Waits until so much is there.
fn until(running: &mut Running, bytes: u64) {
    running.object(|object| object["event"] == "progress" && number(object, "done_bytes") >= bytes);
}

/// What its error says; it must end with 5. And the bytes that it said were there at its end.
fn refused(mut running: Running) -> (String, u64) {
    let error = running.event("error")["message"].as_str().expect("a message").to_owned();
    let (code, last) = running.finish();
    assert_eq!(code, Some(5), "{error}");
    (error, last["done_bytes"].as_u64().unwrap_or(0))
}

/// The pieces of a torrent that are right on the disk, in bytes, as `verify` finds them.
fn right(source: &Source, name: &str) -> u64 {
    let args = ["verify", &format!("{name}.torrent"), "disk", "--json"];
    let verified = inside(source.folder.path()).run(&args).json();
    number(&verified, "good_pieces") * PIECE
}

#[test]
#[ignore = "interop: mounts filesystems: be root, and run with --ignored"]
fn h67_a_disk_that_is_too_small_is_told_before_anything_is_fetched() {
    let source = Source::new();
    let disk = Mounted::tmpfs(&source.disk(), "size=8m");
    let (error, there) = refused(source.download(&["one"], &source.all()));
    assert_eq!(error, "one needs 11.4 MiB, 8.0 MiB are free; free some space or choose another folder");
    assert_eq!((there, fs::read_dir(&disk.0).expect("the disk is there").count()), (0, 0));
    disk.remount("size=20m");
    assert_eq!(source.completes(&["one"]), [0]);
}

#[test]
#[ignore = "interop: mounts filesystems: be root, and run with --ignored"]
fn h67_two_downloads_that_fill_a_disk_end_with_5_and_go_on_when_there_is_room() {
    let source = Source::new();
    let disk = Mounted::tmpfs(&source.disk(), &format!("size={DISK}"));
    let mut running = source.download(&["one", "two"], &source.all());
    let mut errors = Vec::new();
    let total = running.object(|object| {
        let message = object["message"].as_str().unwrap_or_default();
        errors.extend((object["event"] == "error").then(|| message.to_owned()));
        message.starts_with("total: ")
    });
    // One of them may just have come in time.
    assert!(matches!(errors.len(), 1 | 2), "{errors:?}");
    for error in &errors {
        assert!(error.contains(": No space left on device; "), "{error}");
        assert!(error.ends_with(" are free: free some space and run it again"), "{error}");
    }
    let complete = format!("total: {} of 2 complete, ", 2 - errors.len());
    assert!(total["message"].as_str().is_some_and(|text| text.starts_with(&complete)), "{total}");
    assert_eq!(running.finish().0, Some(5));
    disk.remount("size=40m");
    assert_eq!(source.completes(&["one", "two"]), [0, 0], "an end in order proves what is there");
}

#[test]
#[ignore = "interop: mounts filesystems: be root, and run with --ignored"]
fn h67_a_disk_that_somebody_else_fills_is_told_and_what_is_claimed_is_there() {
    let source = Source::new();
    let disk = Mounted::tmpfs(&source.disk(), &format!("size={DISK}"));
    let relay = Relay::start(source.port, SIZE as u64 / 2);
    let mut running = source.download(&["one"], &relay);
    until(&mut running, SIZE as u64 * 4 / 10);
    let filler = disk.0.join("filler");
    let filled = fs::write(&filler, vec![1; 20 << 20]).expect_err("it is larger than the disk");
    assert_eq!(filled.kind(), std::io::ErrorKind::StorageFull);
    relay.open();
    let (error, claimed) = refused(running);
    assert!(
        error.starts_with(&format!("cannot write {}: No space left", disk.0.join("one").display())),
        "{error}"
    );
    assert!(error.contains("MiB are still to come and 0 bytes are free"), "{error}");
    assert!(claimed > 0 && claimed <= right(&source, "one"), "{claimed} of {}", right(&source, "one"));
    fs::remove_file(filler).expect("it can be removed");
    assert_eq!(source.completes(&["one"]), [0], "an end in order proves what is there");
}

#[test]
#[ignore = "interop: mounts filesystems: be root, and run with --ignored"]
fn h67_a_read_only_disk_is_told_before_anything_is_fetched() {
    let source = Source::new();
    let disk = Mounted::tmpfs(&source.disk(), &format!("size={DISK},ro"));
    let (error, there) = refused(source.download(&["one"], &source.all()));
    assert_eq!(error, format!("cannot write in {}: Read-only file system", disk.0.display()));
    assert_eq!(there, 0);
    disk.remount("rw");
    assert_eq!(source.completes(&["one"]), [0]);
}

#[test]
#[ignore = "interop: mounts filesystems: be root, and run with --ignored"]
fn a_download_of_what_is_complete_on_a_read_only_disk_is_complete() {
    let source = Source::new();
    let disk = Mounted::tmpfs(&source.disk(), &format!("size={DISK}"));
    fs::copy(source.folder.path().join("one"), disk.0.join("one")).expect("it can be copied");
    disk.remount("ro");
    let complete = || {
        let mut running = source.download(&["one"], &source.all());
        let hashed = number(&running.event("started"), "hashed_bytes");
        let (code, last) = running.finish();
        assert_eq!((code, number(&last, "done_bytes")), (Some(0), SIZE as u64), "{last}");
        hashed
    };
    assert_eq!(complete(), SIZE as u64);
    assert_eq!(complete(), 0, "it is known the second time");
    disk.remount("rw");
    fs::write(disk.0.join("one"), b"less").expect("it can be written");
    disk.remount("ro");
    let (error, _) = refused(source.download(&["one"], &source.all()));
    assert_eq!(error, format!("cannot write in {}: Read-only file system", disk.0.display()));
}

#[test]
#[ignore = "interop: mounts filesystems: be root, and run with --ignored"]
fn h67_a_disk_that_becomes_read_only_is_told_and_what_is_there_is_found_again() {
    let source = Source::new();
    let image = source.folder.path().join("image");
    let disk = Mounted::ext4(&source.disk(), &image);
    let relay = Relay::start(source.port, SIZE as u64 / 2);
    let mut running = source.download(&["one"], &relay);
    until(&mut running, SIZE as u64 * 4 / 10);
    // As the kernel does when it finds the filesystem damaged. What was not on the disk by then never will be.
    disk.remount("abort");
    relay.open();
    let (error, _) = refused(running);
    assert!(error.ends_with(": Read-only file system"), "{error}");
    drop(disk);
    let _disk = Mounted::ext4(&source.disk(), &image);
    source.completes(&["one"]);
}
