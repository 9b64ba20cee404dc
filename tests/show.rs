//! `shoal show` and `shoal magnet`.

use std::path::Path;

use shoal::Exit;
use tempfile::tempdir;

use crate::support::data::write;
use crate::support::inside::{Outcome, inside};

fn fixtures() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures"))
}

fn run(args: &[&str]) -> Outcome {
    inside(fixtures()).run(args)
}

#[test]
fn json_has_the_keys_of_the_contract_and_no_other() {
    let wanted = [
        "announce",
        "comment",
        "created_by",
        "creation_date",
        "files",
        "info_hash_v1",
        "info_hash_v2",
        "magnet",
        "name",
        "nodes",
        "piece_count",
        "piece_length",
        "private",
        "source",
        "total_size",
        "web_seeds",
    ];
    for torrent in ["mktorrent-folder.torrent", "transmission-single.torrent", "libtorrent-v1-padded.torrent"]
    {
        let json = run(&["show", torrent, "--json"]).done().json();
        let mut keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, wanted, "{torrent}");
        let mut keys: Vec<_> = json["files"][0].as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["length", "padding", "path"], "{torrent}");
        let sum: u64 =
            json["files"].as_array().unwrap().iter().map(|file| file["length"].as_u64().unwrap()).sum();
        assert_eq!(json["total_size"], sum, "{torrent}");
    }
}

#[test]
fn padding_files_are_marked() {
    let json = run(&["show", "libtorrent-v1-padded.torrent", "--json"]).done().json();
    let padding = json["files"].as_array().unwrap().iter().filter(|file| file["padding"] == true).count();
    assert!(padding > 0, "{json}");
    let plain = run(&["show", "libtorrent-v1-padded.torrent"]).done();
    assert_eq!(plain.out().lines().filter(|line| line.ends_with(" (padding)")).count(), padding);
}

#[test]
fn a_torrent_from_stdin_is_shown_as_from_a_file() {
    let bytes = std::fs::read(fixtures().join("mktorrent-single.torrent")).unwrap();
    let piped = inside(fixtures()).stdin(&bytes).run(&["show", "-"]).done();
    assert_eq!(piped.out(), run(&["show", "mktorrent-single.torrent"]).done().out());
}

#[test]
fn a_magnet_link_and_its_torrent_say_the_same() {
    let magnet = run(&["magnet", "mktorrent-folder.torrent"]).done();
    let link = magnet.out().trim_end();
    let (from_link, from_file) = (
        run(&["show", link, "--json"]).done().json(),
        run(&["show", "mktorrent-folder.torrent", "--json"]).done().json(),
    );
    for key in ["name", "info_hash_v1", "magnet"] {
        assert_eq!(from_link[key], from_file[key], "{key}");
    }
    let urls = |json: &serde_json::Value| {
        let tiers = json["announce"].as_array().unwrap().clone();
        tiers.iter().flat_map(|tier| tier.as_array().unwrap().clone()).collect::<Vec<_>>()
    };
    assert_eq!(urls(&from_link), urls(&from_file));
    assert_eq!(from_link["total_size"], serde_json::Value::Null);
}

#[test]
fn what_is_no_torrent_is_told_in_one_line_with_its_name_and_offset() {
    let folder = tempdir().unwrap();
    write(&folder.path().join("empty.torrent"), b"");
    write(&folder.path().join("cut.torrent"), b"d8:announce5:http:");
    write(
        &folder.path().join("zero.torrent"),
        b"d4:infod6:lengthi1e4:name1:x12:piece lengthi0e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
    );
    let run = |name: &str| inside(folder.path()).run(&["show", name]);
    for name in ["empty.torrent", "cut.torrent"] {
        let outcome = run(name);
        assert_eq!(outcome.exit, Exit::Error);
        assert!(outcome.stderr.starts_with(&format!("error: {name}: ")), "{outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    }
    let zero = run("zero.torrent");
    assert!(
        zero.stderr.starts_with("error: zero.torrent: piece length 0 is not allowed (offset "),
        "{zero:?}"
    );
    run("gone.torrent").failed(Exit::Error, "gone.torrent: No such file or directory");
    run(".").failed(Exit::Error, ".: is a folder, not a torrent file");
}

#[test]
fn h07_a_file_that_is_too_large_is_not_read_whole() {
    let folder = tempdir().unwrap();
    let file = std::fs::File::create(folder.path().join("huge.torrent")).unwrap();
    // Sparse: a terabyte that would not fit into memory.
    file.set_len(1 << 40).unwrap();
    inside(folder.path())
        .run(&["show", "huge.torrent"])
        .failed(Exit::Error, "huge.torrent: is larger than the 64 MiB a torrent file may have");
}

#[test]
fn h21_a_wrong_magnet_link_is_named() {
    for link in ["magnet:?dn=x", "magnet:?xt=urn:btih:cab507494d02ebb1178b38f2e9d7be299c86b86"] {
        let outcome = run(&["show", link]);
        assert_eq!(outcome.exit, Exit::Error, "{link}");
        assert!(outcome.stderr.starts_with("error: magnet link: "), "{outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    }
}

#[test]
fn a_terminal_gets_columns_without_colour_where_none_is_wanted() {
    let shown =
        inside(fixtures()).terminal(80).run(&["show", "mktorrent-single.torrent", "--color", "never"]).done();
    assert!(!shown.out().contains('\u{1b}'), "{shown:?}");
    assert!(shown.out().lines().any(|line| line == "1 file"), "{shown:?}");
    let coloured = inside(fixtures()).run(&["show", "mktorrent-single.torrent", "--color", "always"]).done();
    assert!(!coloured.out().contains('\u{1b}'), "plain lines have nothing to colour: {coloured:?}");
    let coloured = inside(fixtures()).terminal(80).run(&["show", "mktorrent-single.torrent"]).done();
    assert!(coloured.out().contains("\u{1b}[36m"), "{coloured:?}");
    let no_color = inside(fixtures())
        .terminal(80)
        .env("NO_COLOR", "1")
        .run(&["show", "mktorrent-single.torrent"])
        .done();
    assert_eq!(no_color.out(), shown.out());
}

#[test]
fn what_is_no_torrent_file_is_called_that_first() {
    let folder = tempfile::tempdir().unwrap();
    let said = |bytes: &[u8], text: &str| {
        write(&folder.path().join("x"), bytes);
        inside(folder.path())
            .run(&["show", "x"])
            .failed(Exit::Error, &format!("x: is not a torrent file{text}"));
    };
    inside(folder.path()).run(&["show", ""]).failed(Exit::Error, "'': is a folder, not a torrent file");
    said(b"\xa3\xa4", ": byte 0xa3 starts no bencoded value (offset 0)");
    said(b"", ": there is nothing to read (offset 0)");
    said(b"d4:info", ", or is damaged: the data ends too early (offset 7)");
}
