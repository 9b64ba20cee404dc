//! `shoal create`.

use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use metainfo::TorrentFile;
use shoal::Exit;
use tempfile::tempdir;

use crate::support::data::{noise, photos, write};
use crate::support::inside::inside;

fn parsed(path: &Path) -> TorrentFile {
    TorrentFile::parse(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_torrent_holds_what_the_options_say() {
    let folder = tempdir().unwrap();
    photos(folder.path(), 100_000);
    let args = "create photos -a http://a.example/announce,http://b.example/announce -a http://c.example/announce \
        -p 32KiB -P -c words -s site -w http://w.example/ -n other -x *.raw --json -o out.torrent";
    let outcome = inside(folder.path()).run(&args.split_whitespace().collect::<Vec<_>>()).done();
    let torrent = parsed(&folder.path().join("out.torrent"));
    let tiers = vec![
        vec!["http://a.example/announce".to_owned(), "http://b.example/announce".to_owned()],
        vec!["http://c.example/announce".to_owned()],
    ];
    assert_eq!(torrent.announce, tiers);
    assert_eq!(torrent.info.name(), "other");
    assert_eq!(torrent.info.geometry().piece_length(), 32_768);
    assert!(torrent.info.private());
    assert_eq!(torrent.info.source(), Some("site"));
    assert_eq!(torrent.comment.as_deref(), Some("words"));
    assert_eq!(torrent.web_seeds, ["http://w.example/"]);
    assert_eq!(torrent.created_by.as_deref(), Some("shoal/0.1.0"));
    assert!(torrent.creation_date.is_some());
    let paths: Vec<_> = torrent.info.files().iter().map(|file| file.path.to_string()).collect();
    assert_eq!(paths, ["other/.hidden", "other/a/empty"]);
    let json = outcome.json();
    assert_eq!(json["torrent"], "out.torrent");
    assert_eq!(json["info_hash_v1"], torrent.info_hash().to_string());
    assert_eq!(json["file_count"], 2);
}

#[test]
fn the_same_input_gives_the_same_bytes_without_a_date() {
    let (one, two) = (tempdir().unwrap(), tempdir().unwrap());
    let made = [&one, &two].map(|folder| {
        photos(folder.path(), 300_000);
        let args = ["create", "photos", "--no-creation-date", "-o", "-", "--threads", "3"];
        inside(folder.path()).run(&args).done().stdout
    });
    assert_eq!(made[0], made[1]);
    assert_eq!(TorrentFile::parse(&made[0]).unwrap().creation_date, None);
}

#[test]
fn the_info_hash_is_that_of_mktorrent() {
    let folder = tempdir().unwrap();
    write(&folder.path().join("parity/a-b"), b"hyphen before slash");
    write(&folder.path().join("parity/a/x"), b"slash");
    write(&folder.path().join("parity/a.b/y"), b"dot");
    write(&folder.path().join("parity/.hidden"), b"");
    write(&folder.path().join("parity/Z"), &noise(7, 100_000));
    let json =
        inside(folder.path()).run(&["create", "parity", "-p", "32KiB", "--json", "--dry-run"]).done().json();
    // mktorrent 1.1 -l 15 over the same folder.
    assert_eq!(json["info_hash_v1"], PARITY_HASH);
}

const PARITY_HASH: &str = "c15db6f7303cacd3810c5aec3670e77a120b04cd";

#[test]
fn a_path_that_is_only_a_dot_has_the_name_of_its_folder() {
    let folder = tempdir().unwrap();
    let top = photos(folder.path(), 1000);
    inside(&top).run(&["create", "."]).done();
    let torrent = parsed(&top.join("photos.torrent"));
    assert_eq!(torrent.info.name(), "photos");
    let again = inside(&top).run(&["create", ".", "--force"]).done();
    assert_eq!(parsed(&top.join("photos.torrent")).info, torrent.info, "it went into itself: {again:?}");
}

#[test]
fn a_dry_run_writes_nothing() {
    let folder = tempdir().unwrap();
    photos(folder.path(), 1000);
    let json = inside(folder.path()).run(&["create", "photos", "--dry-run", "--json"]).done().json();
    assert_eq!(json["torrent"], serde_json::Value::Null);
    assert!(!folder.path().join("photos.torrent").exists());
}

#[test]
fn people_get_a_table_and_scripts_get_lines() {
    let folder = tempdir().unwrap();
    write(&folder.path().join("one.bin"), &noise(1, 50_000));
    let args = ["create", "one.bin", "--dry-run", "--magnet"];
    let plain = inside(folder.path()).run(&args).done();
    let lines: Vec<_> = plain.out().lines().collect();
    assert_eq!(lines[0], "name: one.bin");
    assert!(lines[1].starts_with("info-hash: "), "{lines:?}");
    assert_eq!(lines[2..4], ["content: 48.8 KiB in 1 file", "pieces: 4 of 16.0 KiB"]);
    assert!(lines[4].starts_with("magnet: magnet:?xt=urn:btih:"), "{lines:?}");
    let table = inside(folder.path()).env("NO_COLOR", "1").terminal(80).run(&args).done();
    assert_eq!(table.out().lines().next(), Some("Name       one.bin"));
}

#[test]
fn mistakes_are_told_in_one_line() {
    let folder = tempdir().unwrap();
    write(&folder.path().join("a"), b"x");
    std::fs::create_dir(folder.path().join("bare")).unwrap();
    let run = |args: &[&str]| inside(folder.path()).run(args);
    run(&["create", "nope"]).failed(Exit::Error, "cannot read nope: No such file or directory");
    run(&["create", "bare"]).failed(Exit::Error, "bare: there is no file in it to share");
    run(&["create", "a", "-n", "x/y"]).failed(Exit::Usage, "--name: a name is not empty and has no '/'");
    run(&["create", "a", "-o", "bare"]).failed(Exit::Error, "bare: is a folder; name a file");
    run(&["create", "a", "-o", "-", "--json"])
        .failed(Exit::Usage, "--json and --output - both want stdout; give only one of them");
    for announce in ["nonsense", "file:///etc/passwd"] {
        let outcome = run(&["create", "a", "-a", announce]);
        assert_eq!(outcome.exit, Exit::Usage, "{outcome:?}");
        assert!(outcome.stderr.contains(announce) && outcome.stderr.lines().count() == 1, "{outcome:?}");
    }
    let outcome = run(&["create", "a", "-p", "1MB"]);
    assert_eq!(outcome.exit, Exit::Usage);
    assert!(outcome.stderr.contains("it must be a power of two"), "{outcome:?}");
}

#[test]
fn h77_files_of_no_bytes_small_files_and_very_many_files_all_work() {
    let folder = tempdir().unwrap();
    let many = folder.path().join("many");
    for n in 0..100_000u32 {
        if n % 1000 == 0 {
            std::fs::create_dir_all(many.join((n / 1000).to_string())).unwrap();
        }
        // Some of no bytes, all smaller than a piece.
        std::fs::write(
            many.join((n / 1000).to_string()).join(n.to_string()),
            &n.to_le_bytes()[..(n % 4) as usize],
        )
        .unwrap();
    }
    let json = inside(folder.path()).run(&["create", "many", "--json"]).done().json();
    assert_eq!((&json["file_count"], &json["total_size"]), (&100_000.into(), &150_000.into()));
    inside(folder.path()).run(&["verify", "many.torrent"]).done();
    std::fs::remove_file(many.join("99/99999")).unwrap();
    let outcome = inside(folder.path()).run(&["verify", "many.torrent"]);
    assert_eq!(outcome.exit, Exit::Mismatch);
    let lines: Vec<_> = outcome.out().lines().collect();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert_eq!(lines[0], format!("missing    many/99/99999: piece {}", 150_000 / (16 << 10)));
    assert!(
        lines[1].starts_with("unsure     ") && lines[1].ends_with("share pieces with these"),
        "{lines:#?}"
    );

    write(&folder.path().join("nothing/at all"), b"");
    inside(folder.path()).run(&["create", "nothing"]).done();
    inside(folder.path()).run(&["verify", "nothing.torrent"]).done();
    std::fs::remove_file(folder.path().join("nothing/at all")).unwrap();
    assert_eq!(inside(folder.path()).run(&["verify", "nothing.torrent"]).exit, Exit::Mismatch);
}

#[test]
fn h78_a_name_that_begins_with_a_dash_comes_after_two_dashes() {
    let folder = tempdir().unwrap();
    write(&folder.path().join("-rf"), b"not an option");
    assert_eq!(inside(folder.path()).run(&["create", "-rf"]).exit, Exit::Usage);
    inside(folder.path()).run(&["create", "--", "-rf"]).done();
    let shown = inside(folder.path()).run(&["show", "--", "-rf.torrent"]).done();
    assert!(shown.out().starts_with("name: -rf\n"), "{shown:?}");
    inside(folder.path()).run(&["verify", "--", "-rf.torrent"]).done();
}

#[test]
fn h78_names_with_newlines_and_escapes_are_escaped_wherever_they_are_printed() {
    let folder = tempdir().unwrap();
    let name = "a\nb\u{1b}[31mred\u{202e}x";
    write(&folder.path().join(name).join("c\rd"), b"content");
    let torrent = format!("{name}.torrent");
    let dangerous = |text: &str| text.contains(['\u{1b}', '\r', '\u{202e}']);
    let outcomes = [
        inside(folder.path()).run(&["create", name]).done(),
        inside(folder.path()).run(&["show", &torrent]).done(),
        inside(folder.path()).env("NO_COLOR", "1").terminal(80).run(&["show", &torrent]).done(),
        inside(folder.path()).run(&["show", &torrent, "--json"]).done(),
        inside(folder.path()).run(&["verify", &torrent]).done(),
        inside(folder.path()).run(&["create", name]),
        {
            write(&folder.path().join(name).join("c\rd"), b"changed");
            inside(folder.path()).run(&["verify", &torrent])
        },
    ];
    for outcome in &outcomes {
        assert!(!dangerous(outcome.out()) && !dangerous(&outcome.stderr), "{outcome:?}");
    }
    assert_eq!(outcomes[5].exit, Exit::Error);
    assert_eq!(outcomes[5].stderr.lines().count(), 1, "{outcomes:?}");
    assert_eq!(outcomes[6].exit, Exit::Mismatch);
    assert_eq!(outcomes[3].json()["name"], name, "JSON has the exact name");
}

#[test]
fn h79_links_fifos_and_names_that_are_no_text_are_named_and_left_out() {
    let folder = tempdir().unwrap();
    let top = folder.path().join("odd");
    write(&top.join("good"), b"content");
    std::os::unix::fs::symlink("../odd", top.join("loop")).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(top.join("fifo")).status().unwrap();
    assert!(fifo.success());
    let raw = std::ffi::OsString::from_vec(b"bad\xff\x1b".to_vec());
    std::fs::write(top.join(&raw), b"raw").unwrap();
    for follow in [&[][..], &["-F"]] {
        let args = [&["create", "odd", "--force"], follow].concat();
        let outcome = inside(folder.path()).run(&args).done();
        for named in ["loop", "fifo"] {
            assert!(outcome.stderr.lines().any(|line| line.contains(named)), "{named}: {outcome:?}");
        }
        assert!(!outcome.stderr.contains('\u{1b}'), "{outcome:?}");
        assert!(outcome.stderr.lines().all(|line| line.starts_with("warning: ")), "{outcome:?}");
        let torrent = parsed(&folder.path().join("odd.torrent"));
        let raw_path = |file| torrent.info.raw_path(file).collect::<Vec<_>>().concat();
        let raw_paths: Vec<_> = torrent.info.files().iter().map(raw_path).collect();
        // Whether a name that is no text is taken or left out, it is never taken for another.
        let expected: [&[u8]; 2] = [b"bad\xff\x1b", b"good"];
        let told = outcome.stderr.contains("bad");
        assert_eq!(raw_paths, if told { expected[1..].to_vec() } else { expected.to_vec() }, "{outcome:?}");
    }
}

#[test]
fn h80_an_output_file_that_exists_is_kept_unless_forced() {
    let folder = tempdir().unwrap();
    write(&folder.path().join("a"), b"x");
    write(&folder.path().join("a.torrent"), b"something precious");
    inside(folder.path())
        .run(&["create", "a"])
        .failed(Exit::Error, "a.torrent: exists; use --force to overwrite it");
    assert_eq!(std::fs::read(folder.path().join("a.torrent")).unwrap(), b"something precious");
    inside(folder.path()).run(&["create", "a", "--force"]).done();
    assert_eq!(parsed(&folder.path().join("a.torrent")).info.name(), "a");
}

#[test]
fn h80_a_place_that_takes_no_files_is_named_and_nothing_is_left_there() {
    let folder = tempdir().unwrap();
    write(&folder.path().join("a"), b"x");
    inside(folder.path())
        .run(&["create", "a", "-o", "missing/a.torrent"])
        .failed(Exit::Error, "cannot write missing/a.torrent: No such file or directory");
    let outcome = inside(folder.path()).run(&["create", "a", "-o", "/proc/a.torrent", "--force"]);
    assert_eq!(outcome.exit, Exit::Error, "no name can be made there");
    assert!(outcome.stderr.starts_with("error: cannot write /proc/a.torrent: "), "{outcome:?}");
}

#[test]
fn addresses_and_patterns_that_are_none_are_wrong_usage() {
    let folder = tempdir().unwrap();
    photos(folder.path(), 1000);
    for wrong in [["-a", "notaurl"], ["-w", "notaurl"], ["-x", "["]] {
        let outcome = inside(folder.path()).run(&[&["create", "photos"][..], &wrong].concat());
        assert_eq!((outcome.exit, outcome.stderr.lines().count()), (Exit::Usage, 1), "{outcome:?}");
    }
    assert!(!folder.path().join("photos.torrent").exists());
}
