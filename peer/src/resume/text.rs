//! The text of a marker.
//!
//! Purpose: a first line with a version, then a line with the torrent's info-hash; what follows is for people. At the end
//! stands a line for each file that is not ours: somebody has put it there, or changed it, during the download.
//!
//! Invariant: only a marker that names this torrent, in a version that is known here, is one of this torrent.
//!
//! It is pure: bytes in, bytes out.

use std::collections::BTreeSet;

use metainfo::Info;

/// The first line. A program that changes what follows changes the number.
const FIRST_LINE: &str = "shoal download marker, version 1";

/// As it stands in the marker of `info`.
pub fn text(info: &Info) -> String {
    format!(
        "{FIRST_LINE}\ninfo-hash {}\nThe data beside this file is a download that is not complete. Run the same \
         command again to go on.\nThis file goes away when it is complete.\n",
        info.info_hash()
    )
}

/// Bytes of a marker that are looked at: ours has under 300, and 2,000 with all files that it names.
pub const MAX_BYTES: usize = 4096;

/// What stands before the number of a file that is not ours.
const STRANGER: &str = "not-ours ";

/// Files that are named: with more the marker would be longer than anybody reads, and names all.
const MAX_STRANGERS: usize = 100;

/// What is appended when these files were found not to be ours.
pub fn strangers_text(files: &BTreeSet<usize>) -> String {
    if files.len() > MAX_STRANGERS {
        return format!("{STRANGER}all\n");
    }
    files.iter().map(|file| format!("{STRANGER}{file}\n")).collect()
}

/// The files that are not ours by these bytes, of a torrent of so many.
pub fn strangers(bytes: &[u8], count: usize) -> BTreeSet<usize> {
    let text = String::from_utf8_lossy(bytes);
    // A line without an end may be half a number.
    let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    let named: BTreeSet<&str> = lines.filter_map(|line| line.strip_prefix(STRANGER)).collect();
    if bytes.len() >= MAX_BYTES || named.len() > MAX_STRANGERS || named.contains("all") {
        return (0..count).collect();
    }
    named.into_iter().filter_map(|file| file.parse().ok()).filter(|file| *file < count).collect()
}

/// Whether these bytes are a marker of `info`.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn check(bytes: &[u8], info: &Info) -> Result<(), &'static str> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    match lines.next() {
        Some(FIRST_LINE) => {}
        Some(line) if line.starts_with("shoal download marker, version ") => {
            return Err("is from another version of shoal");
        }
        _ => return Err("is damaged"),
    }
    let due = format!("info-hash {}", info.info_hash());
    match lines.find(|line| line.starts_with("info-hash ")) {
        Some(line) if line == due => Ok(()),
        Some(_) => Err("is of another torrent"),
        None => Err("is damaged"),
    }
}

#[cfg(test)]
mod tests;
