//! A disk that fails when it is told to keep what was written: `strace` answers for the kernel.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::tempdir;

use crate::support::data::{assert_same, noise, write};
use crate::support::inside::inside;
use crate::support::process::{Running, shoal, spawn, start};

const SIZE: usize = 12_000_000;

fn seed(folder: &Path) -> (Running, u16) {
    write(&folder.join("data/a.bin"), &noise(1, SIZE));
    inside(folder).run(&["create", "data", "-p", "64KiB"]).done();
    let mut seed = start(folder, &["seed", "data.torrent", "--port", "0", "--bind", "127.0.0.1"]);
    let seeding = seed.event("seeding");
    let port = seeding["message"].as_str().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    (seed, port)
}

#[test]
#[ignore = "interop: needs strace"]
fn h69_a_download_whose_syncs_fail_ends_with_5_and_the_next_one_completes() {
    let (source, target) = (tempdir().unwrap(), tempdir().unwrap());
    let (_seed, port) = seed(source.path());
    let (peer, trace) = (format!("127.0.0.1:{port}"), source.path().join("trace"));
    let args = ["download", "data.torrent", "--port", "0", "--bind", "127.0.0.1", "--peer", &peer, "-d"];
    let program = shoal(source.path());
    let mut command = Command::new("strace");
    command.current_dir(source.path());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.args(["-f", "-y", "-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:error=EIO", "-o"]);
    command.arg(&trace).arg(program.get_program()).args(args).arg(target.path());
    // So slow that pieces are synced before the end.
    command.args(["--limit-down", "1MiB/s", "--progress", "json"]);
    let mut running = spawn(command);
    let error = running.event("error");
    let said = error["message"].as_str().unwrap();
    assert!(said.starts_with("cannot sync ") && said.ends_with("Input/output error"), "{said}");
    let (code, last) = running.finish();
    let done = last["done_bytes"].as_u64().unwrap();
    assert!(code == Some(5) && done > 0 && done < SIZE as u64, "{code:?} {last}");
    let traced = fs::read_to_string(&trace).unwrap();
    let marker = |line: &str| line.contains("fdatasync(") && line.contains(".shoal>");
    assert!(traced.lines().any(marker), "the marker is brought to the disk: {traced}");

    // What may not be on the disk is hashed and written once more, and the rest comes.
    let again = start(source.path(), &[&args[..], &[target.path().to_str().unwrap()]].concat());
    assert_eq!(again.finish().0, Some(0));
    assert_same(&source.path().join("data"), &target.path().join("data"));
}
