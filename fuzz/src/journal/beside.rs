//! A journal beside data, as a start finds it.
//!
//! What must hold: it claims what its bytes add up to, and what is told of it is one line; and of the data nothing counts that
//! is wrong, unless the journal claims it.

use std::fs;

use storage::journal_bytes::{BootId, DOUBT, Head, Identity, Ledger, Record};
use storage::{Access, Cancel, Sample, Storage, StorageOptions};

use super::story;
use crate::input::Input;

/// Of a file; three lie side by side in six pieces and a half.
const LENGTH: usize = 2 * PIECE + 3_000;
const PIECE: usize = 16_384;
const FILES: usize = 3;
const MAX_RECORDS: usize = 24;

struct Beside {
    folder: tempfile::TempDir,
    sample: Sample,
    boot: BootId,
    /// Which pieces the files have wrong: every third.
    wrong: Vec<bool>,
}

thread_local! {
    static BESIDE: Beside = Beside::new();
}

impl Beside {
    fn new() -> Self {
        let sample = Sample::new(&[LENGTH; FILES], 16_384);
        let mut bytes = sample.content.clone();
        let wrong = (0..bytes.len().div_ceil(PIECE)).map(|piece| piece % 3 == 2).collect();
        bytes.chunks_mut(PIECE).skip(2).step_by(3).for_each(|piece| piece.fill(1));
        let folder = tempfile::tempdir().expect("a folder for three files");
        sample.put(folder.path(), &bytes).expect("the folder takes three files");
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
        let mut boot = BootId::default();
        for (byte, pair) in boot.0.iter_mut().zip(digits.chunks(2)) {
            *byte = pair.iter().fold(0, |byte, digit| byte << 4 | digit.to_be_bytes()[3]);
        }
        Self { folder, sample, boot, wrong }
    }

    fn head(&self) -> Head {
        Head {
            info_hash: *self.sample.info.info_hash().as_bytes(),
            piece_length: 16_384,
            pieces: self.wrong.len().try_into().expect("few"),
            files: FILES.try_into().expect("few"),
        }
    }

    /// How a file is now, as a journal of this program says it.
    fn identity(&self, file: u32) -> Identity {
        use std::os::unix::fs::MetadataExt as _;
        let name = ["a", "b", "c"][usize::try_from(file).expect("few") % FILES];
        let there = fs::metadata(self.sample.path_in(self.folder.path(), name)).expect("it is there");
        let moment = |seconds, nanoseconds: i64| storage::journal_bytes::Moment {
            seconds,
            nanoseconds: nanoseconds.try_into().unwrap_or(0),
        };
        Identity {
            inode: there.ino(),
            device: there.dev(),
            length: there.size(),
            modified: moment(there.mtime(), there.mtime_nsec()),
            changed: moment(there.ctime(), there.ctime_nsec()),
            born: None,
        }
    }
}

/// Half of the choices are of a file as it is, in this boot; the others are as they come.
pub(super) fn target(input: &mut Input<'_>) {
    BESIDE.with(|beside| {
        let head = beside.head();
        let (how, is_cut) = (input.byte(), input.byte());
        let bytes = if how % 4 == 3 {
            let with_head = if how & 4 == 0 { head.encode() } else { Vec::new() };
            [&with_head[..], input.rest()].concat()
        } else {
            let mut records = story::records(&head, input, MAX_RECORDS);
            for record in &mut records {
                match record {
                    Record::Run(boot) if boot.0[0] == 1 => *boot = beside.boot,
                    Record::Files(files) => {
                        for (file, identity) in files.iter_mut().filter(|(_, said)| said.device == 1) {
                            *identity = beside.identity(*file);
                        }
                    }
                    _ => {}
                }
            }
            let mut bytes = story::encode(&head, &records);
            if is_cut & 1 == 1 {
                bytes.truncate(usize::from(is_cut) * bytes.len() / 256);
            }
            bytes
        };
        fs::write(beside.sample.journal_in(beside.folder.path()), &bytes)
            .expect("the folder takes a journal");
        start(beside, &head, &bytes);
    });
}

fn start(beside: &Beside, head: &Head, bytes: &[u8]) {
    let info = &beside.sample.info;
    let options = StorageOptions { access: Access::ReadOnly, ..StorageOptions::default() };
    let storage = Storage::new(beside.folder.path(), info, options).expect("the data is there");
    let (past, said) = storage.past(info);
    if let Some(said) = &said {
        crate::assert_one_line(said);
    }
    let ledger = match (past.is_some(), Ledger::read(head, bytes)) {
        (true, Ok(ledger)) => ledger,
        (false, Err(_)) => return assert!(said.is_some(), "what is wrong with it is told"),
        (true, Err(_)) if bytes.len() as u64 == DOUBT => {
            let claims = past.expect("it was just looked at").claims();
            return assert!(said.is_some() && claims == (Vec::new(), Vec::new()), "all is in doubt");
        }
        (there, ledger) => panic!("{there} and {ledger:?}: {said:?}"),
    };
    let past = past.expect("it was just looked at");
    let (synced, unsynced) = past.claims();
    assert_eq!((&synced, &unsynced), (&ledger.synced().collect(), &ledger.unsynced()));
    // What is in doubt would be written again.
    if ledger.doubtful().next().is_some() {
        return;
    }
    let proof = past.prove(&storage, info, 1, &Cancel::new(), &|_| {}).expect("it can be read");
    assert_eq!(proof.pieces.len(), beside.wrong.len());
    for ((piece, right), wrong) in (0..).zip(&proof.pieces).zip(&beside.wrong) {
        let is_claimed = synced.contains(&piece) || unsynced.contains(&piece);
        assert!(!(*right && *wrong) || is_claimed, "{piece} is wrong, counts, and was never claimed");
        assert!(!proof.synced[usize::try_from(piece).expect("few")] || synced.contains(&piece));
    }
}
