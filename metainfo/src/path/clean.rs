//! One name of a torrent made safe for a file system.
//!
//! Invariant: the result is a name, never a way to another folder: not empty, no `.`, no `..`, no separator, no NUL,
//! at most [`MAX_NAME_BYTES`]. A name that this system holds and that deceives nobody stays as it is.

use super::display::is_deceptive;

/// The longest name that common file systems hold, in bytes (ext4, XFS, Btrfs; NTFS counts UTF-16 units, which
/// are never more).
const MAX_NAME_BYTES: usize = 255;

/// What still counts as an extension when a name is cut, its dot included: `.torrent`, not half a sentence.
const MAX_EXTENSION_BYTES: usize = 32;

/// Whose rules for names hold. An argument, so that all of them are tested everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Platform {
    /// Linux and its kin: any bytes but `/` and NUL, case counts.
    Unix,
    /// Names are UTF-8, and case does not count.
    MacOs,
    /// Many characters and some whole names are reserved, and case does not count.
    Windows,
}

impl Platform {
    /// The one this program was built for.
    pub(crate) const HERE: Self = if cfg!(windows) {
        Self::Windows
    } else if cfg!(target_os = "macos") {
        Self::MacOs
    } else {
        Self::Unix
    };

    /// Whether two names that differ only in case are one file.
    pub(crate) fn folds_case(self) -> bool {
        self != Self::Unix
    }
}

/// The name made safe.
pub(crate) fn clean_element(raw: &[u8], platform: Platform) -> Vec<u8> {
    let mut name = Vec::with_capacity(raw.len().min(MAX_NAME_BYTES));
    for chunk in raw.utf8_chunks() {
        for c in chunk.valid().chars() {
            let c = if is_refused(c, platform) { '_' } else { c };
            name.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        for &byte in chunk.invalid() {
            match platform {
                Platform::Unix => name.push(byte),
                Platform::MacOs | Platform::Windows => {
                    name.extend_from_slice(format!("%{byte:02X}").as_bytes());
                }
            }
        }
    }
    if platform == Platform::Windows && is_reserved_on_windows(&name) {
        name.insert(0, b'_');
    }
    let mut name = cut(&name, MAX_NAME_BYTES);
    if platform == Platform::Windows
        && let Some(last @ (b'.' | b' ')) = name.last_mut()
    {
        *last = b'_';
    }
    match name.as_slice() {
        b"" | b"." | b".." => b"_".to_vec(),
        _ => name,
    }
}

/// Whether [`clean_element`] leaves the name as it is.
pub(crate) fn is_clean_element(raw: &[u8], platform: Platform) -> bool {
    // Nearly all names are so plain that they need not be put together to know it.
    let is_plain =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-' | b'_' | b'(' | b')');
    let is_dotted = |byte: &u8| is_plain(byte) || *byte == b'.';
    let plain = platform == Platform::Unix
        && raw.len() <= MAX_NAME_BYTES
        && raw.iter().all(is_dotted)
        && raw.iter().any(is_plain);
    plain || clean_element(raw, platform) == raw
}

/// The name as it stands, if this system can hold it and it leads nowhere else, deceptive or not. For finding what
/// the user already has, never for making a file.
pub(crate) fn exact_element(raw: &[u8], platform: Platform) -> Option<Vec<u8>> {
    let holds = platform == Platform::Unix
        && raw.len() <= MAX_NAME_BYTES
        && !matches!(raw, b"" | b"." | b"..")
        && !raw.contains(&b'/')
        && !raw.contains(&0);
    holds.then(|| raw.to_vec())
}

/// The name with `.number` before its extension, still no longer than a name may be.
pub(super) fn numbered(name: &[u8], number: u32) -> Vec<u8> {
    let (stem, extension) = split_extension(name);
    let suffix = format!(".{number}");
    let room = MAX_NAME_BYTES.saturating_sub(suffix.len() + extension.len());
    [cut_stem(stem, room), suffix.as_bytes(), extension].concat()
}

/// The name as text: UTF-8 as it is, other bytes as `%E9`.
pub(super) fn text(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

fn is_refused(c: char, platform: Platform) -> bool {
    is_deceptive(c)
        || c == '/'
        || (platform == Platform::Windows && matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|'))
}

/// Device names, alone or with any extension: opening `nul.txt` opens no file.
fn is_reserved_on_windows(name: &[u8]) -> bool {
    let stem = name.split(|&byte| byte == b'.').next().unwrap_or_default();
    let stem = String::from_utf8_lossy(stem).trim_end().to_ascii_uppercase();
    let numbered = |device: &str| {
        stem.strip_prefix(device).is_some_and(|digit| {
            matches!(digit, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
        })
    };
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || numbered("COM")
        || numbered("LPT")
}

fn cut(name: &[u8], max: usize) -> Vec<u8> {
    if name.len() <= max {
        return name.to_vec();
    }
    let (stem, extension) = split_extension(name);
    [cut_stem(stem, max.saturating_sub(extension.len())), extension].concat()
}

/// The first bytes, at most `max`, not ending within a character.
fn cut_stem(stem: &[u8], max: usize) -> &[u8] {
    let is_continuation = |at: usize| stem.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let mut end = max.min(stem.len());
    // A character has at most three continuation bytes; more of them in a row are no UTF-8 anyway.
    for _ in 0..3 {
        if end > 0 && is_continuation(end) {
            end -= 1;
        }
    }
    stem.get(..end).unwrap_or(stem)
}

/// The name and its extension, dot included: empty where there is none or it is too long to be one.
fn split_extension(name: &[u8]) -> (&[u8], &[u8]) {
    match name.iter().rposition(|&byte| byte == b'.') {
        Some(dot) if dot > 0 && name.len() - dot <= MAX_EXTENSION_BYTES => name.split_at(dot),
        _ => (name, &[]),
    }
}
