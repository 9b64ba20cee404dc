//! What programs say that a torrent holds, each in its own words, as one type that can be compared.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::programs::{PYTHON, require_libtorrent, run};
use super::{SCRIPTS, SHOAL};

/// A torrent, as one program reads it.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// 40 lower-case hexadecimal digits.
    pub(crate) info_hash: String,
    /// The name of the file or top folder.
    pub(crate) name: String,
    /// The number of pieces.
    pub(crate) pieces: u64,
    /// The comment, empty if there is none.
    pub(crate) comment: String,
    /// The announce URLs, a list a tier.
    pub(crate) tiers: Vec<Vec<String>>,
    /// Paths that start with the torrent's name, in the torrent's order unless `sorted`.
    pub(crate) paths: Vec<String>,
    /// Bytes of each of the paths, where the program tells them exactly.
    pub(crate) lengths: Option<Vec<u64>>,
    /// Whether it is private, where the program tells.
    pub(crate) private: Option<bool>,
    /// Whether the program lists the files by name, not in the torrent's order.
    pub(crate) sorted: bool,
}

impl Reading {
    /// Ends the test unless another program reads the same, as far as it tells.
    ///
    /// The order within a tier is left out: clients shuffle it as they read (BEP 12).
    pub(crate) fn assert_agrees(&self, program: &str, other: &Self) {
        assert_eq!(self.info_hash, other.info_hash, "info-hash by {program}");
        assert_eq!(self.name, other.name, "name by {program}");
        assert_eq!(self.pieces, other.pieces, "number of pieces by {program}");
        assert_eq!(self.comment, other.comment, "comment by {program}");
        assert_eq!(in_any_order(&self.tiers), in_any_order(&other.tiers), "trackers by {program}");
        if let Some(lengths) = &other.lengths {
            assert_eq!(self.lengths.as_ref(), Some(lengths), "lengths by {program}");
        }
        if let Some(private) = other.private {
            assert_eq!(self.private, Some(private), "privacy by {program}");
        }
        let mut paths = self.paths.clone();
        if other.sorted {
            paths.sort();
        }
        assert_eq!(paths, other.paths, "files by {program}");
    }
}

/// The tiers, each sorted.
fn in_any_order(tiers: &[Vec<String>]) -> Vec<Vec<String>> {
    let sorted = |tier: &Vec<String>| {
        let mut tier = tier.clone();
        tier.sort();
        tier
    };
    tiers.iter().map(sorted).collect()
}

/// Makes a torrent with `shoal create`.
pub(crate) fn shoal_create(path: &Path, torrent: &Path, options: &[&str]) {
    run(Command::new(SHOAL).arg("create").arg(path).arg("-o").arg(torrent).args(options));
}

/// Reads `shoal show --json`.
pub(crate) fn shoal_show(torrent: &Path) -> Reading {
    let shown = json(&run(Command::new(SHOAL).args(["show", "--json"]).arg(torrent)));
    let files = array(&shown["files"]);
    Reading {
        info_hash: text(&shown["info_hash_v1"]),
        name: text(&shown["name"]),
        pieces: number(&shown["piece_count"]),
        comment: shown["comment"].as_str().unwrap_or_default().to_owned(),
        tiers: tiers(&shown["announce"]),
        paths: files.iter().map(|file| text(&file["path"])).collect(),
        lengths: Some(files.iter().map(|file| number(&file["length"])).collect()),
        private: Some(shown["private"].as_bool().expect("private is true or false")),
        sorted: false,
    }
}

/// Reads what libtorrent says.
pub(crate) fn libtorrent_show(torrent: &Path) -> Reading {
    let shown = json(&lt_torrent(["show".as_ref(), torrent]));
    let files = array(&shown["files"]);
    Reading {
        info_hash: text(&shown["info_hash"]),
        name: text(&shown["name"]),
        pieces: number(&shown["piece_count"]),
        comment: text(&shown["comment"]),
        tiers: tiers(&shown["trackers"]),
        paths: files.iter().map(|file| text(&file[0])).collect(),
        lengths: Some(files.iter().map(|file| number(&file[1])).collect()),
        private: shown["private"].as_bool(),
        sorted: false,
    }
}

/// Runs our script of libtorrent's torrent maker and reader.
pub(crate) fn lt_torrent<'a>(arguments: impl IntoIterator<Item = &'a Path>) -> String {
    require_libtorrent();
    run(Command::new(PYTHON).arg(Path::new(SCRIPTS).join("lt_torrent.py")).args(arguments))
}

/// Reads `transmission-show`: a line a value, then a section a list.
pub(crate) fn transmission_show(torrent: &Path) -> Reading {
    let shown = run(Command::new("transmission-show").arg(torrent));
    let section = |title: &str| {
        let after = shown.split_once(&format!("\n{title}\n\n")).map_or("", |(_, after)| after);
        after.lines().take_while(|line| line.is_empty() || line.starts_with("  "))
    };
    let value = |key: &str| value_after(section("GENERAL"), &format!("  {key}: "));
    let mut tiers = Vec::new();
    for line in section("TRACKERS").map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with("Tier #") {
            tiers.push(Vec::new());
        } else {
            tiers.last_mut().expect("a tier has a title").push(line.to_owned());
        }
    }
    // The length is rounded: `  name (98.30 kB)`.
    let path = |line: &str| line.trim().rsplit_once(" (").map(|(path, _)| path.to_owned());
    Reading {
        info_hash: value("Hash"),
        name: value("Name"),
        pieces: value("Piece Count").parse().expect("a number of pieces"),
        comment: value("Comment"),
        tiers,
        paths: section("FILES").filter_map(path).collect(),
        lengths: None,
        private: Some(value("Privacy") == "Private torrent"),
        sorted: true,
    }
}

/// Reads `aria2c --show-files`: a line a value, indented lists, and a table of the files.
pub(crate) fn aria2_show(torrent: &Path) -> Reading {
    let shown = run(Command::new("aria2c").args(["--no-conf", "--show-files"]).arg(torrent));
    let value = |key: &str| value_after(shown.lines(), &format!("{key}: "));
    let announce = shown.lines().skip_while(|line| *line != "Announce:").skip(1);
    let tier = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    let (mut paths, mut lengths) = (Vec::new(), Vec::new());
    // Two lines a file: `  1|./name` and `   |96KiB (98,304)`.
    for line in shown.lines() {
        if let Some((_, path)) = line.split_once("|./") {
            paths.push(path.to_owned());
        } else if let Some((_, exact)) = line.strip_prefix("   |").and_then(|length| length.split_once('(')) {
            let digits = exact.replace([',', ')'], "");
            lengths.push(digits.parse().expect("a number of bytes"));
        }
    }
    Reading {
        info_hash: value("Info Hash"),
        name: value("Name"),
        pieces: value("The Number of Pieces").parse().expect("a number of pieces"),
        comment: value("Comment"),
        tiers: announce.take_while(|line| line.starts_with(' ')).map(tier).collect(),
        paths,
        lengths: Some(lengths),
        private: None,
        sorted: false,
    }
}

/// The rest of the first line that starts so, or nothing.
fn value_after<'a>(mut lines: impl Iterator<Item = &'a str>, start: &str) -> String {
    lines.find_map(|line| line.strip_prefix(start)).unwrap_or_default().to_owned()
}

fn json(shown: &str) -> Value {
    serde_json::from_str(shown).unwrap_or_else(|error| panic!("not JSON: {error}\n{shown}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is text")).to_owned()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is a number"))
}

fn array(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is a list"))
}

fn tiers(value: &Value) -> Vec<Vec<String>> {
    array(value).iter().map(|tier| array(tier).iter().map(text).collect()).collect()
}
