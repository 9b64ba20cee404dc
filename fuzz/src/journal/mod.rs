//! The journal of a download: whatever a file holds, nothing is claimed that its records do not say.
//!
//! What must hold: what was written is read as the same; a journal that was cut says what stands before; one in which a
//! bit was changed says nothing, or only lacks its last record; and a start takes for proven only pieces that are claimed, in
//! files that are what they were (`reference` says both in its own words). Beside real data the same comes of it
//! (`beside`).

mod beside;
mod reference;
mod story;

use storage::journal_bytes::{HEAD, Head, Ledger, Record, Useless, decode};

use crate::input::Input;

/// What [`story`] gives at most: enough to make each thing undo each other.
const MAX_RECORDS: usize = 64;

/// The first byte chooses whether the rest is a file, the part after a head that is right, frames whose lengths and sums
/// are right (no mutation finds a sum), or records as a program could have written them.
pub fn target(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte();
    let head = story::head(choice >> 4);
    match choice % 8 {
        0 => read(&head, input.rest(), None),
        1 => {
            let files = story::files(&mut input);
            read(&head, &[&head.encode()[..], input.rest()].concat(), Some(&files));
        }
        2 | 3 => {
            let files = story::files(&mut input);
            read(&head, &[head.encode(), story::frames(input)].concat(), Some(&files));
        }
        4 => beside::target(&mut input),
        _ => {
            let files = story::files(&mut input);
            let spoil = (input.byte(), input.short(), input.byte());
            let records = story::records(&head, &mut input, MAX_RECORDS);
            let bytes = story::encode(&head, &records);
            assert_eq!(records_of(&head, &bytes), Ok(records.clone()), "it is read as it was written");
            read(&head, &bytes, Some(&files));
            spoiled(&head, &records, bytes, spoil);
        }
    }
}

fn records_of(head: &Head, bytes: &[u8]) -> Result<Vec<Record>, Useless> {
    let mut records = Vec::new();
    let whole = decode(head, bytes, |record| records.push(record))?;
    assert!((HEAD..=bytes.len()).contains(&whole));
    Ok(records)
}

/// Whatever this is, what is taken of it is within the torrent, adds up, and reads the same when it is written again.
fn read(head: &Head, bytes: &[u8], files: Option<&story::Files>) {
    let records = records_of(head, bytes);
    let ledger = Ledger::read(head, bytes);
    let records = match (records, &ledger) {
        (Ok(records), Ok(_)) => records,
        (Err(one), Err(other)) => return assert_eq!(one, *other),
        (records, _) => panic!("{records:?}, and it adds up to {ledger:?}"),
    };
    let mut named = 0;
    for record in &records {
        match record {
            Record::Pieces(_, ranges) => {
                assert!(ranges.iter().all(|range| range.start < range.end && range.end <= head.pieces));
                named += ranges.iter().map(|range| u64::from(range.end - range.start)).sum::<u64>();
            }
            Record::Files(files) => assert!(files.iter().all(|(file, _)| *file < head.files)),
            Record::Run(_) | Record::Clean => {}
        }
    }
    assert!(named <= 16 * (u64::from(head.pieces) + 1024), "{named} pieces are named");
    let ledger = ledger.expect("it was just looked at");
    reference::claims(head, &records, &ledger);
    if let Some(files) = files {
        reference::plan(head, &records, &ledger, files);
    }
    let again =
        Ledger::read(head, &story::encode(head, &records)).expect("what is written again is a journal");
    reference::claims(head, &records, &again);
}

/// It is cut, with or without zeros in place of what is gone; or one bit is changed.
fn spoiled(head: &Head, records: &[Record], mut bytes: Vec<u8>, (how, at, bit): (u8, u16, u8)) {
    let at = usize::from(at) % bytes.len();
    if how & 1 == 0 {
        bytes.truncate(at);
        let cut = records_of(head, &bytes);
        bytes.resize(at + usize::from(how), 0);
        for read in [cut, records_of(head, &bytes)] {
            match read {
                Ok(kept) => assert!(at >= HEAD && records.starts_with(&kept), "{kept:?} of {records:?}"),
                Err(useless) => assert!(at < HEAD, "{useless:?}"),
            }
        }
        return;
    }
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << (bit % 8);
    }
    if let Ok(kept) = records_of(head, &bytes) {
        assert!(at >= HEAD && records.starts_with(&kept), "{kept:?} of {records:?}");
        assert_eq!(kept.len() + 1, records.len(), "only the last looks as if it was cut off");
    }
}
