//! Streams: closed ones, those that are no terminal, narrow ones.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use tempfile::tempdir;

use crate::support::data::{noise, write};
use crate::support::inside::inside;
use crate::support::process::shoal;

#[test]
fn h81_a_reader_that_goes_away_ends_it_quietly() {
    let folder = tempdir().unwrap();
    // More lines than any pipe holds.
    for n in 0..5000 {
        write(&folder.path().join(format!("many/{n:0100}")), b"x");
    }
    inside(folder.path()).run(&["create", "many"]).done();
    let mut command = shoal(folder.path());
    command.args(["show", "many.torrent"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut first = String::new();
    BufReader::with_capacity(1, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "name: many\n");
    // The reader is dropped here, with most still to come.
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}

#[test]
fn h81_help_for_a_reader_that_is_gone_ends_quietly() {
    let folder = tempdir().unwrap();
    for args in [&["--help"][..], &["completions", "bash"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = shoal(folder.path()).args(args).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
    }
}

#[test]
fn h81_without_a_terminal_there_are_no_escapes_and_no_bars() {
    let folder = tempdir().unwrap();
    write(&folder.path().join("a.bin"), &noise(1, 3_000_000));
    for args in [
        &["create", "a.bin", "-f"][..],
        &["verify", "a.torrent"],
        &["verify", "a.torrent", "--progress", "bar"],
    ] {
        let output = shoal(folder.path()).args(args).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        assert!(!text.contains(&0x1b) && !text.contains(&b'\r'), "{}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn a_full_disk_below_stdout_is_an_error() {
    let folder = tempdir().unwrap();
    write(&folder.path().join("a.bin"), &noise(1, 1000));
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = shoal(folder.path()).args(["create", "a.bin", "-o", "-"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: cannot write to stdout: No space left on device"), "{said}");
}

#[test]
fn a_log_file_that_cannot_be_written_is_named() {
    let folder = tempdir().unwrap();
    let outcome = inside(folder.path()).run(&["show", "x", "--log-file", "no/log"]);
    assert!(outcome.stderr.starts_with("error: cannot write the log file: "), "{outcome:?}");
    assert!(outcome.stderr.ends_with("no/log: No such file or directory\n"), "{outcome:?}");
}
