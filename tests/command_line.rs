//! Help, usage, completions, manual pages, and what cannot be done yet.

use shoal::Exit;
use tempfile::tempdir;

use crate::support::data::write;
use crate::support::inside::inside;

const COMMANDS: [&str; 11] = [
    "create",
    "show",
    "verify",
    "magnet",
    "seed",
    "download",
    "share",
    "tracker",
    "scrape",
    "completions",
    "man",
];

#[test]
fn every_command_has_help_on_stdout() {
    let folder = tempdir().unwrap();
    let all = inside(folder.path()).run(&["--help"]).done();
    for command in COMMANDS.iter().chain(&["help"]) {
        assert!(all.out().contains(&format!("\n  {command} ")), "{command}");
    }
    for command in COMMANDS {
        let help = inside(folder.path()).run(&[command, "--help"]).done();
        assert!(help.out().contains(&format!("Usage: shoal {command}")), "{help:?}");
        assert!(help.stderr.is_empty());
    }
    inside(folder.path()).run(&["get", "--help"]).done();
    assert_eq!(inside(folder.path()).run(&["--version"]).done().out(), "shoal 0.1.0\n");
}

#[test]
fn wrong_usage_is_code_2_and_says_how_it_goes() {
    let folder = tempdir().unwrap();
    for args in [
        &[][..],
        &["nonsense"],
        &["show"],
        &["download"],
        &["show", "x", "--jsno"],
        &["seed", "x", "--port", "70000"],
    ] {
        let outcome = inside(folder.path()).run(args);
        assert_eq!(outcome.exit, Exit::Usage, "{args:?}");
        assert!(outcome.stdout.is_empty() && !outcome.stderr.is_empty(), "{outcome:?}");
    }
}

#[test]
fn a_limit_of_nothing_or_that_is_no_rate_is_refused_and_says_what_to_write() {
    let folder = tempdir().unwrap();
    for command in ["seed", "download", "share"] {
        for (flag, value, advice) in [
            ("--limit-down", "0", "leave it out for no limit"),
            ("--limit-up", "0MB/s", "leave it out for no limit"),
            ("--limit-up", "fast", "write it like 10MB/s"),
        ] {
            let outcome = inside(folder.path()).run(&[command, "x", flag, value]);
            assert_eq!(outcome.exit, Exit::Usage, "{outcome:?}");
            assert!(outcome.stderr.contains(flag) && outcome.stderr.contains(advice), "{outcome:?}");
        }
        // The value is fine: it comes as far as the missing file.
        let outcome =
            inside(folder.path()).run(&[command, "x", "--limit-up", "10MB/s", "--limit-down", "1.5MiB"]);
        assert_eq!(outcome.exit, Exit::Error, "{outcome:?}");
    }
}

#[test]
fn flags_of_parts_that_are_not_there_yet_are_unknown() {
    let folder = tempdir().unwrap();
    for flag in ["--dht", "--no-lsd"] {
        let outcome = inside(folder.path()).run(&["download", "x.torrent", flag]);
        assert_eq!(outcome.exit, Exit::Usage, "{flag}");
    }
    for flag in ["--v2", "--hybrid"] {
        assert_eq!(inside(folder.path()).run(&["create", "x", flag]).exit, Exit::Usage, "{flag}");
    }
}

#[test]
fn what_download_cannot_do_yet_it_says_in_one_line() {
    let folder = tempdir().unwrap();
    let magnet = format!("magnet:?xt=urn:btmh:1220{}", "ab".repeat(32));
    inside(folder.path()).run(&["download", &magnet]).failed(
        Exit::Error,
        "magnet link: links to torrents that are only v2 (urn:btmh) are not supported yet",
    );
    inside(folder.path())
        .run(&["download", "ftp://example.org/a.torrent"])
        .failed(Exit::Error, "ftp://example.org/a.torrent: only http and https addresses can be fetched");
    inside(folder.path())
        .run(&["download", "gone.torrent"])
        .failed(Exit::Error, "gone.torrent: No such file or directory");
}

#[test]
fn completions_name_every_command() {
    let folder = tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = inside(folder.path()).run(&["completions", shell]).done();
        for command in COMMANDS {
            assert!(script.out().contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let folder = tempdir().unwrap();
    inside(folder.path()).run(&["man", "pages"]).done();
    for command in COMMANDS {
        let page = std::fs::read_to_string(folder.path().join(format!("pages/shoal-{command}.1"))).unwrap();
        assert!(page.contains(".TH"), "{command}");
    }
    write(&folder.path().join("file"), b"");
    let outcome = inside(folder.path()).run(&["man", "file"]);
    assert_eq!(outcome.exit, Exit::Error);
    assert!(outcome.stderr.starts_with("error: file: "), "{outcome:?}");
}
