//! Journals and files made of choices.

use std::ops::Range;

use storage::journal_bytes::{
    BootId, Head, Identity, Mark, Moment, Record, encode_clean, encode_files, encode_pieces, encode_run,
};

use crate::input::Input;

/// When the journal was written last, in seconds.
const WRITTEN: i64 = 1_000;

/// One of a few torrents.
pub(super) fn head(choice: u8) -> Head {
    let (pieces, files) = [(1, 1), (24, 3), (100, 4), (8, 8)][usize::from(choice % 4)];
    Head { info_hash: [7; 20], piece_length: 16_384, pieces, files }
}

/// The pieces of each file: side by side, the last piece of one being the first of the next.
pub(super) fn spans(head: &Head) -> Vec<Range<u32>> {
    let each = head.pieces / head.files;
    (0..head.files)
        .map(|file| {
            let end = if file + 1 == head.files { head.pieces } else { (file + 1) * each + 1 };
            file * each..end.min(head.pieces)
        })
        .collect()
}

/// The boots that there are; the first is that of a kernel that does not tell.
pub(super) fn boot(choice: u8) -> BootId {
    BootId([choice % 3; 16])
}

/// How the files are at a start.
pub(super) struct Files {
    pub(super) boot: BootId,
    pub(super) journal: Moment,
    pub(super) files: Vec<Option<Identity>>,
}

/// For as many files as any torrent has here.
pub(super) fn files(input: &mut Input<'_>) -> Files {
    let boot = boot(input.byte());
    let journal = Moment { seconds: WRITTEN, nanoseconds: 500 };
    let files = (0..8).map(|file| (input.byte() % 8 != 7).then(|| identity(file, input.byte()))).collect();
    Files { boot, journal, files }
}

/// As the file mostly is, or not quite.
pub(super) fn identity(file: u32, choice: u8) -> Identity {
    let at = |later: i64| Moment { seconds: WRITTEN + later, nanoseconds: 0 };
    let mut identity = Identity {
        inode: u64::from(file),
        device: 1,
        length: 100_000,
        modified: at(-9),
        changed: at(-9),
        born: None,
    };
    match choice {
        0..=9 => identity.inode += 1,
        10..=19 => identity.device += 1,
        20..=29 => identity.length -= 1,
        30..=39 => identity.modified = at(i64::from(choice % 10)),
        40..=49 => identity.changed = at(i64::from(choice % 10)),
        50..=54 => identity.modified.seconds = i64::MIN,
        55..=59 => identity.changed.seconds = i64::MAX,
        _ => {}
    }
    identity
}

/// Records that a program could have written, in any order.
pub(super) fn records(head: &Head, input: &mut Input<'_>, most: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while !input.is_empty() && records.len() < most {
        records.push(match input.byte() % 16 {
            0 => Record::Run(boot(input.byte())),
            1 => Record::Clean,
            2 | 3 => {
                let files = (0..=input.below(3)).map(|_| {
                    let file = u32::from(input.byte()) % head.files;
                    (file, identity(file, input.byte()))
                });
                Record::Files(files.collect())
            }
            4 => pieces(head, input, Mark::Lost),
            5 => pieces(head, input, Mark::Doubtful),
            6..=10 => pieces(head, input, Mark::Synced),
            _ => pieces(head, input, Mark::Written),
        });
    }
    records
}

/// Ranges that do not touch each other: others would be written as one.
fn pieces(head: &Head, input: &mut Input<'_>, mark: Mark) -> Record {
    let mut ranges: Vec<Range<u32>> = Vec::new();
    for _ in 0..=input.below(4) {
        let first = u32::from(input.byte()) % head.pieces;
        let end = (first + 1 + u32::from(input.byte() % 16)).min(head.pieces);
        if ranges.last().is_none_or(|last| last.end != first) {
            ranges.push(first..end);
        }
    }
    Record::Pieces(mark, ranges)
}

/// As they are written.
pub(super) fn encode(head: &Head, records: &[Record]) -> Vec<u8> {
    let mut bytes = head.encode();
    for record in records {
        match record {
            Record::Run(boot) => encode_run(*boot, &mut bytes),
            Record::Files(files) => encode_files(files, &mut bytes),
            Record::Pieces(mark, ranges) => {
                encode_pieces(*mark, ranges.iter().cloned().flatten(), &mut bytes);
            }
            Record::Clean => encode_clean(&mut bytes),
        }
    }
    bytes
}

/// Frames of any kind and content with the sums that they should have.
pub(super) fn frames(mut input: Input<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !input.is_empty() {
        let (kind, length) = (input.byte() % 9, u16::from(input.byte()));
        let body = input.take(usize::from(length));
        let length = u16::try_from(body.len()).unwrap_or(length);
        let said = [length.to_le_bytes(), (!length).to_le_bytes()].concat();
        let mut sum = crc32fast::Hasher::new();
        [&said[..], &[kind], body].iter().for_each(|part| sum.update(part));
        bytes.extend_from_slice(&said);
        bytes.extend_from_slice(&sum.finalize().to_le_bytes());
        bytes.push(kind);
        bytes.extend_from_slice(body);
    }
    bytes
}
