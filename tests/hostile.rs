//! `docs/hostile.md`: each hostile input and fault, and the tests that show what becomes of it.
//!
//! The page is made of [`ROWS`] and of the tests that are named after them, `hNN_…`, wherever they stand in the
//! workspace. It is written anew with `SHOAL_WRITE_DOCS=1`; without, it must be as it would be written.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What a row is about, or the part that has to be there before it can be tested.
enum Row {
    Tested(&'static str),
    Awaits(&'static str, &'static str),
}
use Row::{Awaits, Tested};

const ROWS: &[(u8, Row)] = &[
    (1, Tested("bencode nested beyond a hundred levels")),
    (2, Tested("a list of ten million integers")),
    (3, Tested("strings of impossible lengths")),
    (4, Tested("an integer over 64 bits")),
    (5, Tested("integers and dictionaries that are not canonical")),
    (6, Tested("bytes after the end, a cut file, an empty one")),
    (7, Tested("a torrent file over 64 MiB")),
    (8, Tested("a piece length out of range")),
    (9, Tested("digests that are not as many as the sizes say")),
    (10, Tested("more than two million pieces")),
    (11, Tested("lengths that are negative or overflow")),
    (12, Tested("paths that lead out of the folder")),
    (13, Tested("names that are no text, or act on a terminal")),
    (14, Tested("names too long for the disk or reserved by it")),
    (15, Tested("two files of one path, a file that is also a folder")),
    (16, Tested("more than a hundred folders deep")),
    (17, Tested("links that lead out of the folder or in a loop")),
    (18, Awaits("a hybrid whose two trees differ", "BEP 52")),
    (19, Awaits("piece layers and roots that are wrong or missing", "BEP 52")),
    (20, Tested("a hundred thousand trackers, odd schemes and hosts")),
    (21, Tested("a magnet link without a usable topic")),
    (22, Tested("selections and peers without end in a magnet link")),
    (23, Tested("another protocol, an unknown torrent, ourselves")),
    (24, Tested("a handshake that never ends")),
    (25, Tested("a message of four gigabytes")),
    (26, Tested("a known message of the wrong length")),
    (27, Tested("a bitfield that is wrong, late or sent again")),
    (28, Tested("pieces and blocks past the end")),
    (29, Tested("requests of no bytes or too many")),
    (30, Tested("a hundred thousand requests at once")),
    (31, Tested("requests while choked")),
    (32, Tested("blocks that nobody asked for")),
    (33, Tested("poisoned blocks from one of many peers")),
    (34, Tested("a peer that takes requests and never answers")),
    (35, Tested("extended messages that make no sense")),
    (36, Tested("a queue length that is absurd")),
    (37, Tested("metadata that is huge, wrong or asked for without end")),
    (38, Tested("thousands of peers by peer exchange, every second")),
    (39, Tested("promises and refusals without end")),
    (40, Tested("a thousand connections from one address")),
    (41, Tested("choke and interest that come and go at full speed")),
    (42, Awaits("hash requests and proofs that are huge or wrong", "BEP 52")),
    (43, Awaits("an encrypted handshake that is padded without end", "message stream encryption")),
    (44, Awaits("a spoofed SYN of uTP", "uTP")),
    (45, Tested("a tracker's answer without end, a gzip bomb")),
    (46, Tested("a page, a 404, a failure reason, a warning")),
    (47, Tested("redirects in a loop or to another scheme")),
    (48, Tested("a tracker that stalls, intervals that make no sense")),
    (49, Tested("peers in an answer that make no sense")),
    (50, Tested("UDP answers that are short, late or somebody else's")),
    (51, Tested("a certificate that is not the tracker's")),
    (52, Tested("names that lead to addresses narrower than their giver's")),
    (53, Tested("announces that are wrong")),
    (54, Tested("peers and scrapes without end asked of the tracker")),
    (55, Tested("the address of a victim in an announce")),
    (56, Tested("forged forwarding headers")),
    (57, Tested("ten thousand slow connections, heads without end")),
    (58, Tested("ten million made-up torrents")),
    (59, Tested("forged, stolen and old connection ids")),
    (60, Tested("answers larger than their questions")),
    (61, Tested("a clock that steps")),
    (62, Awaits("junk in the distributed hash table", "BEP 5")),
    (63, Awaits("a flood of queries from one address", "BEP 5")),
    (64, Awaits("announces with a bad or old token", "BEP 5")),
    (65, Awaits("many ids in one network", "BEP 5")),
    (66, Awaits("a flood of stored values", "BEP 5")),
    (67, Tested("a disk that is full, read-only or broken")),
    (68, Tested("a disk that cannot be read in places")),
    (69, Tested("a sync that fails")),
    (70, Tested("files that are edited, cut, replaced or removed after they were hashed")),
    (71, Tested("links, pipes, devices and folders in the way")),
    (72, Tested("somebody else's file where ours would go")),
    (73, Tested("a kill at any moment")),
    (74, Tested("our own files damaged, foreign or newer")),
    (75, Tested("two processes on one folder")),
    (76, Tested("few descriptors, a slow disk")),
    (77, Tested("files of no bytes, a hundred thousand files, a terabyte")),
    (78, Tested("names that look like options or hold escapes")),
    (79, Tested("loops, pipes and files that change while a torrent is made")),
    (80, Tested("an output that exists or cannot be written")),
    (81, Tested("a reader that went away, no terminal, a narrow one")),
    (82, Tested("requests from pages of other sites")),
    (83, Awaits("guessed passwords", "the control API")),
    (84, Awaits("paths and bodies out of bounds", "the control API")),
    (85, Tested("a torrent that is called like markup")),
];

/// The tests of each row, with the file they stand in.
fn tests() -> BTreeMap<u8, Vec<(String, String)>> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut rows: BTreeMap<u8, Vec<(String, String)>> = BTreeMap::new();
    for path in sources(top) {
        let text = std::fs::read_to_string(&path).unwrap();
        let place = path.strip_prefix(top).unwrap().display().to_string();
        for line in text.lines().map(str::trim_start) {
            let line = line.strip_prefix("async ").unwrap_or(line);
            let Some(name) = line.strip_prefix("fn h").and_then(|rest| rest.split(['(', '<']).next()) else {
                continue;
            };
            for part in format!("h{name}").split('_') {
                if let Some(number) = row_number(part) {
                    rows.entry(number).or_default().push((format!("h{name}"), place.clone()));
                }
            }
        }
    }
    rows.values_mut().for_each(|tests| tests.sort());
    rows
}

/// 33 of `h33`.
fn row_number(part: &str) -> Option<u8> {
    let digits = part.strip_prefix('h').filter(|digits| digits.len() == 2)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// All of the workspace's own sources.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            let hidden = name.as_encoded_bytes().starts_with(b".");
            if entry.file_type().unwrap().is_dir() {
                if name != "target" && !hidden {
                    folders.push(entry.path());
                }
            } else if entry.path().extension().is_some_and(|ending| ending == "rs") {
                found.push(entry.path());
            }
        }
    }
    found
}

fn page(tests: &BTreeMap<u8, Vec<(String, String)>>) -> String {
    let mut page = "# Hostile inputs and faults, and the tests that show what becomes of them\n\n\
        Made and checked by `tests/hostile.rs`: `SHOAL_WRITE_DOCS=1 cargo test --test integration hostile` writes it anew.\n\n\
        | # | what comes | tests |\n|---|---|---|\n"
        .to_owned();
    for (number, row) in ROWS {
        let (what, shown) = match row {
            Tested(what) => {
                let tests = tests.get(number).into_iter().flatten();
                let links = tests.map(|(name, place)| format!("[`{name}`](../{place})"));
                (what, links.collect::<Vec<_>>().join("<br>"))
            }
            Awaits(what, part) => (what, format!("*not yet: {part} is not there*")),
        };
        writeln!(page, "| {number} | {what} | {shown} |").unwrap();
    }
    page
}

#[test]
fn every_hostile_input_has_a_test_named_after_it_and_the_page_says_which() {
    let tests = tests();
    for (number, row) in ROWS {
        let count = tests.get(number).map_or(0, Vec::len);
        match row {
            Tested(what) => assert!(count > 0, "row {number}, {what}: no test is called h{number:02}_…"),
            Awaits(what, _) => assert_eq!(count, 0, "row {number}, {what}, has tests: say so in ROWS"),
        }
    }
    let known = |number: &&u8| !ROWS.iter().any(|(row, _)| row == *number);
    assert_eq!(tests.keys().find(known), None, "a test is named after a row that there is not");

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/hostile.md");
    let due = page(&tests);
    if std::env::var_os("SHOAL_WRITE_DOCS").is_some() {
        std::fs::write(&path, &due).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == due, "docs/hostile.md is not as the tests are: write it with SHOAL_WRITE_DOCS=1");
}
