//! The records of a journal as bytes.
//!
//! Purpose: a journal is a head and then records, each with its length, the same length with every bit the other way,
//! and a CRC-32 of it all, so that it can be appended to and cut anywhere.
//!
//! Invariants: no number is believed before it is checked against the torrent's own, or a named constant; nothing of a
//! record is taken whose sum is wrong. A file that ends within a record was cut there by a kill or a power cut: what
//! stands before is believed. One that goes on after a wrong record is damaged, and nothing of it is: what was lost may
//! have taken back what stands before. For the same reason a length has its own check: one that was changed must not make
//! all that follows look like a record that was cut off.
//!
//! It is pure: bytes in, bytes out.

use std::ops::Range;

/// The first bytes of a journal.
const MAGIC: [u8; 8] = *b"shoaljnl";

/// A program that writes anything else after the head changes it.
const VERSION: u32 = 2;

/// Bytes of a head.
pub const HEAD: usize = 48;

/// Bytes of a journal that could not take back what it claims, because its disk was full or failed: all is in doubt. To cut
/// it needs no room, and no kill or power cut leaves just its first byte.
pub const DOUBT: u64 = 1;

/// Bytes before a record's body: its length twice, its sum and its kind.
const FRAME: usize = 9;

/// Bytes of a body at most: what two bytes count, so that one record never costs much memory.
const MAX_BODY: usize = u16::MAX as usize;

/// Bytes of a range of pieces, and of a file.
const RANGE: usize = 8;
const FILE: usize = 52;

/// Ranges, or files, in one record at most.
const MAX_RANGES: usize = MAX_BODY / RANGE;
const MAX_FILES: usize = MAX_BODY / FILE;

/// Bytes of a journal that are looked at. The largest torrent, of two million pieces of which every other one is there,
/// and a hundred thousand files, has 22 MiB after it was written anew.
pub(crate) const MAX_JOURNAL: usize = 64 * 1024 * 1024;

/// How often a piece may be named on average. Each is written and synced, in a snapshot or after it, and seldom lost;
/// without a bound a small file could name millions of pieces in every few bytes.
const NAMED_A_PIECE: u64 = 16;

/// How many pieces all records of a journal may name together, each as often as it is named.
pub(super) fn names_allowed(pieces: u32) -> u64 {
    NAMED_A_PIECE.saturating_mul(u64::from(pieces).saturating_add(1024))
}

/// The boot of a kernel. Zeros are that of one that does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BootId(pub [u8; 16]);

/// A moment on the clock of a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Since 1970.
    pub seconds: i64,
    /// Of the second.
    pub nanoseconds: u32,
}

/// What tells a file, as it is, from any other and from itself as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its number in its file system.
    pub inode: u64,
    /// The number of its file system, in this boot.
    pub device: u64,
    /// In bytes.
    pub length: u64,
    /// When its bytes were changed last, as far as programs do not set it back.
    pub modified: Moment,
    /// When anything about it was changed last: no program can set that back.
    pub changed: Moment,
    /// When it was made, if its file system tells. It is in no journal: it tells files apart while a program runs.
    pub born: Option<Moment>,
}

impl Identity {
    /// Whether both are one file, however it has changed. A file's number is given to the next as soon as it is removed.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        let is_born_otherwise = self.born.zip(other.born).is_some_and(|(one, other)| one != other);
        (self.device, self.inode) == (other.device, other.inode) && !is_born_otherwise
    }
}

/// What the torrent of a journal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its name.
    pub info_hash: [u8; 20],
    /// Bytes of a piece.
    pub piece_length: u32,
    /// How many there are.
    pub pieces: u32,
    /// How many files it has.
    pub files: u32,
}

/// What became of pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Hashed right, and every byte was taken by the kernel.
    Written,
    /// And brought to the disk.
    Synced,
    /// Not there any more.
    Lost,
    /// The disk failed while they were brought to it: what is in memory may be right and what is on the disk wrong.
    Doubtful,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Writing begins, in this boot.
    Run(BootId),
    /// So are these files. A later one stands for an earlier.
    Files(Vec<(u32, Identity)>),
    /// So are these pieces, in the order in which they became so.
    Pieces(Mark, Vec<Range<u32>>),
    /// The run has ended: all is synced, and the files are as told last.
    Clean,
}

/// Why a journal is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Useless {
    /// It says nothing, or something that was not written.
    Damaged,
    /// It was written for another.
    OtherTorrent,
    /// What stands in it is not known here.
    OtherVersion,
}

impl Head {
    /// As it stands at the front of a journal.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.info_hash);
        for number in [self.piece_length, self.pieces, self.files] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
        out
    }
}

/// Appends records that say this of these pieces.
pub fn encode_pieces(mark: Mark, pieces: impl IntoIterator<Item = u32>, out: &mut Vec<u8>) {
    let mut ranges: Vec<Range<u32>> = Vec::new();
    for piece in pieces {
        match ranges.last_mut() {
            Some(last) if last.end == piece => last.end = piece.saturating_add(1),
            _ => ranges.push(piece..piece.saturating_add(1)),
        }
    }
    for ranges in ranges.chunks(MAX_RANGES) {
        let body = ranges.iter().flat_map(|range| {
            let count = range.end.saturating_sub(range.start);
            [range.start, count].into_iter().flat_map(u32::to_le_bytes)
        });
        frame(kind_of(mark), &body.collect::<Vec<_>>(), out);
    }
}

/// Appends records of these files.
pub fn encode_files(files: &[(u32, Identity)], out: &mut Vec<u8>) {
    for files in files.chunks(MAX_FILES) {
        let mut body = Vec::with_capacity(files.len() * FILE);
        for (file, identity) in files {
            body.extend_from_slice(&file.to_le_bytes());
            for number in [identity.inode, identity.device, identity.length] {
                body.extend_from_slice(&number.to_le_bytes());
            }
            for moment in [identity.modified, identity.changed] {
                body.extend_from_slice(&moment.seconds.to_le_bytes());
                body.extend_from_slice(&moment.nanoseconds.to_le_bytes());
            }
        }
        frame(2, &body, out);
    }
}

/// Appends the record of a run's beginning.
pub fn encode_run(boot: BootId, out: &mut Vec<u8>) {
    frame(1, &boot.0, out);
}

/// Appends that of its end.
pub fn encode_clean(out: &mut Vec<u8>) {
    frame(7, &[], out);
}

fn kind_of(mark: Mark) -> u8 {
    match mark {
        Mark::Written => 3,
        Mark::Synced => 4,
        Mark::Lost => 5,
        Mark::Doubtful => 6,
    }
}

fn frame(kind: u8, body: &[u8], out: &mut Vec<u8>) {
    let length = lengths(u16::try_from(body.len()).unwrap_or(u16::MAX));
    let start = out.len();
    out.extend_from_slice(&length);
    out.extend_from_slice(&[0; 4]);
    out.push(kind);
    out.extend_from_slice(body);
    let sum = sum(length, out.get(start + 8..).unwrap_or_default());
    if let Some(place) = out.get_mut(start + 4..start + 8) {
        place.copy_from_slice(&sum.to_le_bytes());
    }
}

/// A length, and the same with every bit the other way.
fn lengths(length: u16) -> [u8; 4] {
    (u32::from(length) | u32::from(!length) << 16).to_le_bytes()
}

fn sum(length: [u8; 4], kind_and_body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(kind_and_body);
    hasher.finalize()
}

/// The records of the journal of this torrent, in order, each handed to `take`. Answers how many bytes of it are
/// whole; what is beyond was cut off.
///
/// # Errors
/// If it is no journal of this torrent and version, or damaged. What was handed over then counts for nothing.
pub fn decode(due: &Head, bytes: &[u8], mut take: impl FnMut(Record)) -> Result<usize, Useless> {
    let head = bytes.get(..HEAD).ok_or(Useless::Damaged)?;
    let (said, sum_said) = head.split_at(HEAD - 4);
    if said.get(..8) != Some(&MAGIC) {
        return Err(Useless::Damaged);
    }
    if said.get(8..12) != Some(&VERSION.to_le_bytes()) {
        return Err(Useless::OtherVersion);
    }
    if sum_said != crc32fast::hash(said).to_le_bytes() {
        return Err(Useless::Damaged);
    }
    if head != due.encode() {
        return Err(Useless::OtherTorrent);
    }
    let most = names_allowed(due.pieces);
    let (mut at, mut named) = (HEAD, 0u64);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let mut reader = Reader(rest);
        let whole = reader.take::<4>().zip(reader.u32()).zip(reader.u8());
        let Some(((length, sum_said), kind)) = whole else { break };
        let [low, high, ..] = length;
        let length_said = u16::from_le_bytes([low, high]);
        if length != lengths(length_said) {
            // Nobody knows where it ends.
            match is_cut_off(reader.0) {
                true => break,
                false => return Err(Useless::Damaged),
            }
        }
        let length_here = usize::from(length_said);
        // It goes beyond the end: it was cut off.
        let Some(body) = reader.0.get(..length_here) else { break };
        let sum_here = sum(length, rest.get(8..FRAME + length_here).unwrap_or_default());
        let record = (sum_here == sum_said).then(|| parse(due, kind, body)).flatten();
        match record {
            Some(record) => {
                if let Record::Pieces(_, ranges) = &record {
                    named += ranges.iter().map(|range| u64::from(range.end - range.start)).sum::<u64>();
                    if named > most {
                        return Err(Useless::Damaged);
                    }
                }
                take(record);
            }
            None if is_cut_off(rest.get(FRAME + length_here..).unwrap_or_default()) => break,
            None => return Err(Useless::Damaged),
        }
        at += FRAME + length_here;
    }
    Ok(at.min(bytes.len()))
}

/// Whether nothing follows. After a power cut a file can be longer than what came to the disk of it: the rest of it
/// reads as zeros.
fn is_cut_off(rest: &[u8]) -> bool {
    rest.iter().all(|byte| *byte == 0)
}

fn parse(due: &Head, kind: u8, body: &[u8]) -> Option<Record> {
    let mark = match kind {
        1 => return Some(Record::Run(BootId(body.try_into().ok()?))),
        2 => return parse_files(due, body).map(Record::Files),
        3 => Mark::Written,
        4 => Mark::Synced,
        5 => Mark::Lost,
        6 => Mark::Doubtful,
        7 => return body.is_empty().then_some(Record::Clean),
        _ => return None,
    };
    // Nobody writes one that names nothing.
    if body.is_empty() || !body.len().is_multiple_of(RANGE) {
        return None;
    }
    let mut reader = Reader(body);
    let mut ranges = Vec::with_capacity(body.len() / RANGE);
    while let Some((first, count)) = reader.u32().zip(reader.u32()) {
        let end = first.checked_add(count).filter(|end| first < *end && *end <= due.pieces)?;
        ranges.push(first..end);
    }
    Some(Record::Pieces(mark, ranges))
}

fn parse_files(due: &Head, body: &[u8]) -> Option<Vec<(u32, Identity)>> {
    if body.is_empty() || !body.len().is_multiple_of(FILE) {
        return None;
    }
    let mut reader = Reader(body);
    let mut files = Vec::with_capacity(body.len() / FILE);
    while !reader.0.is_empty() {
        let file = reader.u32().filter(|file| *file < due.files)?;
        let (inode, device, length) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let (modified, changed) = (reader.moment()?, reader.moment()?);
        files.push((file, Identity { inode, device, length, modified, changed, born: None }));
    }
    Some(files)
}

/// Takes numbers from the front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*front)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn moment(&mut self) -> Option<Moment> {
        let (seconds, nanoseconds) = (self.take().map(i64::from_le_bytes)?, self.u32()?);
        Some(Moment { seconds, nanoseconds })
    }
}
