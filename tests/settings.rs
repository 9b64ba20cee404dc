//! Where options come from: flag, variable, file, default.

use shoal::Exit;
use tempfile::{TempDir, tempdir};

use crate::support::data::{noise, write};
use crate::support::inside::inside;
use crate::support::process::shoal;

/// A file to make torrents of, and a configuration that asks for pieces of 32 KiB.
fn folder() -> TempDir {
    let folder = tempdir().unwrap();
    write(&folder.path().join("a.bin"), &noise(1, 100_000));
    write(&folder.path().join("config/shoal/config.toml"), b"[create]\npiece-length = \"32KiB\"\n");
    folder
}

/// The piece length that a process with these arguments and variables uses.
fn piece_length(folder: &TempDir, args: &[&str], variables: &[(&str, &str)]) -> u64 {
    let mut command = shoal(folder.path());
    command.env("XDG_CONFIG_HOME", folder.path().join("config"));
    command.args(["create", "a.bin", "--dry-run", "--json"]).args(args).envs(variables.iter().copied());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    json["piece_length"].as_u64().unwrap()
}

#[test]
fn a_flag_goes_before_its_variable_that_before_the_file_and_that_before_the_default() {
    let folder = folder();
    let variable = [("SHOAL_PIECE_LENGTH", "64KiB")];
    assert_eq!(piece_length(&folder, &["-p", "128KiB"], &variable), 128 << 10);
    assert_eq!(piece_length(&folder, &[], &variable), 64 << 10);
    assert_eq!(piece_length(&folder, &[], &[]), 32 << 10);
    assert_eq!(piece_length(&folder, &[], &[("XDG_CONFIG_HOME", "/nonexistent")]), 16 << 10);
}

#[test]
fn a_named_file_takes_the_place_of_the_usual_one() {
    let folder = folder();
    write(&folder.path().join("other.toml"), b"[create]\npiece-length = \"256KiB\"\n");
    assert_eq!(piece_length(&folder, &["--config", "other.toml"], &[]), 256 << 10);
    assert_eq!(piece_length(&folder, &[], &[("SHOAL_CONFIG", "other.toml")]), 256 << 10);
    inside(folder.path())
        .run(&["create", "a.bin", "--config", "none.toml"])
        .failed(Exit::Error, &format!("{}/none.toml: No such file or directory", folder.path().display()));
}

#[test]
fn variables_of_flags_are_yes_or_no_and_unknown_ones_are_nobodys() {
    let folder = folder();
    let private = |variables: &[(&str, &str)]| {
        let mut command = shoal(folder.path());
        command.args(["create", "a.bin", "-o", "-"]).envs(variables.iter().copied());
        let output = command.output().unwrap();
        output.status.success().then(|| metainfo::TorrentFile::parse(&output.stdout).unwrap().info.private())
    };
    assert_eq!(private(&[("SHOAL_PRIVATE", "true"), ("SHOAL_QUIET", "1")]), Some(true));
    assert_eq!(private(&[("SHOAL_PRIVATE", "no")]), Some(false));
    assert_eq!(private(&[("SHOAL_NO_SUCH_THING", "1")]), Some(false));
    assert_eq!(private(&[("SHOAL_PRIVATE", "perhaps")]), None);
}

#[test]
fn mistakes_in_the_file_name_the_file_the_table_and_the_key() {
    let folder = folder();
    let failed = |text: &str| {
        let path = folder.path().join("bad.toml");
        write(&path, text.as_bytes());
        let outcome = inside(folder.path()).run(&["create", "a.bin", "--config", "bad.toml"]);
        assert_eq!((outcome.exit, outcome.stderr.lines().count()), (Exit::Usage, 1), "{outcome:?}");
        let start = format!("error: {}: ", path.display());
        outcome.stderr.strip_prefix(&start).unwrap_or_else(|| panic!("{outcome:?}")).trim_end().to_owned()
    };
    assert!(failed("[peer]\nprot = 1\n").starts_with("unknown key 'prot' in [peer] (there are advertise, "));
    assert_eq!(
        failed("[swarm]\n"),
        "unknown key 'swarm' (there are [peer], [tracker], [create], [verify], [output])"
    );
    assert_eq!(failed("port = 7000\n"), "'port' belongs into [peer]");
    assert_eq!(failed("quiet = true\n"), "'quiet' belongs into [output]");
    assert!(failed("[peer]\nport = 70000\n").starts_with("[peer] port: invalid value '70000'"));
    assert!(failed("[peer]\n\nport = = 1\n").starts_with("line 3: "));
}

#[test]
fn a_wrong_value_of_a_variable_is_told_with_the_variables_name() {
    let folder = folder();
    let told = |args: &[&str]| {
        let output = shoal(folder.path()).args(args).env("SHOAL_PORT", "many").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let by_variable = told(&["seed", "a.bin"]);
    assert!(
        by_variable.starts_with("error: SHOAL_PORT: invalid value 'many' for '--port <N>'"),
        "{by_variable}"
    );
    assert_eq!(by_variable.lines().count(), 1, "{by_variable}");
    assert!(!told(&["seed", "a.bin", "--port", "much"]).contains("SHOAL_PORT"));
}
