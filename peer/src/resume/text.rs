//! The text of a marker.
//!
//! Purpose: a first line with a version, then a line with the torrent's info-hash; what follows is for people.
//!
//! Invariant: only a marker that names this torrent, in a version that is known here, is one of this torrent.
//!
//! It is pure: bytes in, bytes out.

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
