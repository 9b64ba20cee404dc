//! One pass over bencode from outside: is it well formed, within the limits, and where does each value lie.
//!
//! Invariant: the pass is a loop, its stack is bounded by [`Limits::depth`], its memory by [`Limits::values`] and
//! the input's size; no length that the input states is believed before it is compared with the bytes that are left.
//!
//! What is kept is not a table of all values, which would be larger than a torrent of many files itself: only where each
//! long list or dictionary ends. A short one is read again to find its end, which its length bounds.

use crate::bencode::Node;
use crate::{Error, ErrorKind};

/// The most bytes a string's length may be written with, its colon included: libtorrent's limit. Seventeen bytes
/// hold any length that memory does, and the number cannot overflow 64 bits.
const MAX_STRING_HEADER: usize = 17;

/// Whether what other clients read in spite of BEP 3 is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `i01e`, `i-0e`, `01:a` and dictionaries with unsorted or repeated keys are read: torrents like that are in
    /// the wild, and their info-hash is that of the bytes as they are.
    Lenient,
    /// Only the one canonical form of each value, as BEP 52 demands of a v2 info dictionary.
    Strict,
}

/// What a scan accepts at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Lists and dictionaries within each other.
    pub depth: usize,
    /// Values in all, keys included.
    pub values: usize,
    /// How strictly BEP 3 is kept.
    pub mode: Mode,
}

impl Limits {
    /// For torrent files: depth as libtorrent has it; three million values are a torrent of 375,000 files, and at most
    /// 24 MB of places where long values end.
    pub const TORRENT: Self = Self { depth: 100, values: 3_000_000, mode: Mode::Lenient };

    /// For messages and tracker replies, which are small: room for ten thousand peers as dictionaries.
    pub const MESSAGE: Self = Self { depth: 100, values: 100_000, mode: Mode::Lenient };

    /// The same limits, read strictly.
    #[must_use]
    pub const fn strict(self) -> Self {
        Self { mode: Mode::Strict, ..self }
    }
}

/// A list or dictionary of so many bytes or more is long: its end is kept. So few are that the table of an ordinary
/// torrent has a handful of entries, and so short is what is left that reading it again costs nothing to speak of.
pub(super) const LONG: usize = 256;

/// Where a long list or dictionary lies. 8 bytes, because a stranger decides how many there are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Long {
    /// Offset of the first byte.
    pub(super) start: u32,
    /// Offset after the last byte.
    pub(super) end: u32,
}

/// A well-formed value at the start of some bytes.
#[derive(Clone, Debug)]
pub struct Document<'a> {
    bytes: &'a [u8],
    /// By their starts.
    long: Vec<Long>,
    values: usize,
    end: usize,
}

impl<'a> Document<'a> {
    /// The outermost value.
    #[must_use]
    pub fn root(&self) -> Node<'_> {
        Node::new(self.bytes, &self.long, 0)
    }

    /// How many values there are, keys included.
    pub(crate) fn values(&self) -> usize {
        self.values
    }

    /// The bytes after the value (BEP 9 puts a piece of metadata there).
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.end..).unwrap_or_default()
    }
}

/// Scans the value at the start of `bytes`; what follows it is left alone.
///
/// # Errors
/// [`ErrorKind::Bencode`] with the offset, if there is no well-formed value within the limits.
pub fn scan<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Document<'a>, Error> {
    if u32::try_from(bytes.len()).is_err() {
        return Err(error(0, "4 GiB or more are not read"));
    }
    let mut scanner =
        Scanner { bytes, at: 0, values: 0, long: Vec::new(), open: Vec::new(), limits: *limits };
    scanner.run()?;
    Ok(Document { bytes, end: scanner.at, values: scanner.values, long: scanner.long })
}

/// Scans `bytes` as one value with nothing after it.
///
/// # Errors
/// As [`scan`], and if bytes are left.
pub fn scan_whole<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Document<'a>, Error> {
    let document = scan(bytes, limits)?;
    match document.rest().len() {
        0 => Ok(document),
        left => Err(error(document.end, format!("{left} bytes follow the end"))),
    }
}

/// A list or dictionary that is not closed yet.
struct Open {
    start: usize,
    expects: Expects,
}

enum Expects {
    Item,
    /// A key or the end; the span of the key before it.
    Key(Option<Span>),
    /// The value of the key with this span.
    Value(Span),
}

/// The content of a string: from, to.
type Span = (usize, usize);

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    /// How many there have been.
    values: usize,
    /// The long ones among those that are closed, and those that are open.
    long: Vec<Long>,
    open: Vec<Open>,
    limits: Limits,
}

impl Scanner<'_> {
    fn run(&mut self) -> Result<(), Error> {
        loop {
            let start = self.at;
            let first = *self.bytes.get(start).ok_or_else(|| ends_early(start))?;
            let key_expected = matches!(self.open.last(), Some(Open { expects: Expects::Key(_), .. }));
            if key_expected && first != b'e' && !first.is_ascii_digit() {
                return Err(error(start, format!("{} starts no dictionary key", Shown(first))));
            }
            let mut string = None;
            match first {
                b'e' => self.close()?,
                b'l' | b'd' => {
                    self.open(first)?;
                    continue;
                }
                b'i' => {
                    let (_, end) = integer(self.bytes, start, self.limits.mode)?;
                    self.leaf(end)?;
                }
                b'0'..=b'9' => {
                    let content = string_content(self.bytes, start, self.limits.mode)?;
                    self.leaf(content.1)?;
                    string = Some(content);
                }
                _ => return Err(error(start, format!("{} starts no bencoded value", Shown(first)))),
            }
            if !self.advance(start, string)? {
                return Ok(());
            }
        }
    }

    fn count(&mut self) -> Result<(), Error> {
        if self.values >= self.limits.values {
            return Err(error(self.at, format!("more than {} values", self.limits.values)));
        }
        self.values += 1;
        Ok(())
    }

    fn leaf(&mut self, end: usize) -> Result<(), Error> {
        self.count()?;
        self.at = end;
        Ok(())
    }

    fn open(&mut self, first: u8) -> Result<(), Error> {
        if self.open.len() >= self.limits.depth {
            return Err(error(self.at, format!("nested more than {} deep", self.limits.depth)));
        }
        let expects = if first == b'd' { Expects::Key(None) } else { Expects::Item };
        self.count()?;
        self.open.push(Open { start: self.at, expects });
        // Its end is not known yet, nor whether it is long.
        self.long.push(Long { start: narrow(self.at), end: 0 });
        self.at += 1;
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        match self.open.pop() {
            None => Err(error(self.at, "'e' starts no bencoded value")),
            Some(Open { expects: Expects::Value(_), .. }) => Err(error(self.at, "a key has no value")),
            Some(open) => {
                self.at += 1;
                if self.at - open.start < LONG {
                    // What is within it is shorter still and has left already: its own entry is the last.
                    self.long.pop();
                } else {
                    let start = narrow(open.start);
                    if let Ok(index) = self.long.binary_search_by_key(&start, |long| long.start)
                        && let Some(long) = self.long.get_mut(index)
                    {
                        long.end = narrow(self.at);
                    }
                }
                Ok(())
            }
        }
    }

    /// Notes that a value is complete. False if it was the outermost.
    fn advance(&mut self, start: usize, string: Option<Span>) -> Result<bool, Error> {
        let Some(open) = self.open.last_mut() else { return Ok(false) };
        open.expects = match (&open.expects, string) {
            (Expects::Item, _) => Expects::Item,
            (Expects::Value(key), _) => Expects::Key(Some(*key)),
            (Expects::Key(before), Some(key)) => {
                let content = |(from, to): Span| self.bytes.get(from..to).unwrap_or_default();
                if self.limits.mode == Mode::Strict && before.is_some_and(|b| content(b) >= content(key)) {
                    return Err(error(start, "dictionary keys are not sorted or not unique"));
                }
                Expects::Value(key)
            }
            // `run` lets only a string or the end come where a key is expected.
            (Expects::Key(_), None) => return Err(error(start, "a dictionary key must be a string")),
        };
        Ok(true)
    }
}

/// Reads `i…e` at `start`: the number and the offset after it.
pub(super) fn integer(bytes: &[u8], start: usize, mode: Mode) -> Result<(i64, usize), Error> {
    let mut at = start + 1;
    let negative = bytes.get(at) == Some(&b'-');
    at += usize::from(negative);
    let first = at;
    let mut value = 0i64;
    loop {
        match bytes.get(at) {
            None => return Err(ends_early(at)),
            Some(b'e') => break,
            Some(digit @ b'0'..=b'9') => {
                let digit = i64::from(digit - b'0');
                let signed = if negative { -digit } else { digit };
                value = value
                    .checked_mul(10)
                    .and_then(|v| v.checked_add(signed))
                    .ok_or_else(|| error(start, "an integer does not fit in 64 bits"))?;
                at += 1;
            }
            Some(&other) => return Err(error(at, format!("{} is no digit of an integer", Shown(other)))),
        }
    }
    if at == first {
        return Err(error(start, "an integer has no digits"));
    }
    let leading_zero = bytes.get(first) == Some(&b'0') && (at - first > 1 || negative);
    if leading_zero && mode == Mode::Strict {
        return Err(error(start, "an integer is not written in its shortest form"));
    }
    Ok((value, at + 1))
}

/// Reads the header of the string at `start`: where its content begins and ends.
pub(super) fn string_content(bytes: &[u8], start: usize, mode: Mode) -> Result<Span, Error> {
    let mut length = 0u64;
    let mut at = start;
    loop {
        match bytes.get(at) {
            None => return Err(ends_early(at)),
            Some(b':') => break,
            Some(digit @ b'0'..=b'9') if at - start < MAX_STRING_HEADER - 1 => {
                // Sixteen digits cannot overflow.
                length = length * 10 + u64::from(digit - b'0');
                at += 1;
            }
            Some(b'0'..=b'9') => return Err(error(start, "the length of a string has too many digits")),
            Some(&other) => return Err(error(at, format!("{} is no digit of a length", Shown(other)))),
        }
    }
    if mode == Mode::Strict && bytes.get(start) == Some(&b'0') && at - start > 1 {
        return Err(error(start, "the length of a string is not written in its shortest form"));
    }
    let from = at + 1;
    let left = bytes.len().saturating_sub(from);
    match usize::try_from(length) {
        Ok(length) if length <= left => Ok((from, from + length)),
        _ => {
            Err(error(start, format!("a string of {length} bytes does not fit in the {left} that are left")))
        }
    }
}

/// Offsets fit: `scan` refuses 4 GiB.
fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn error(offset: usize, text: impl Into<String>) -> Error {
    Error::at(ErrorKind::Bencode(text.into()), offset)
}

fn ends_early(offset: usize) -> Error {
    error(offset, if offset == 0 { "there is nothing to read" } else { "the data ends too early" })
}

/// A byte as an error shows it.
struct Shown(u8);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            byte @ b'!'..=b'~' => write!(f, "'{}'", char::from(byte)),
            byte => write!(f, "byte 0x{byte:02x}"),
        }
    }
}
