//! What records say and what follows of it, in other words than the code that is tested: looked up for each piece from the
//! end, where that adds up from the beginning.

use storage::journal_bytes::{BootId, Head, Identity, Ledger, Mark, Now, Record};

use super::story::{Files, spans};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    None,
    Written,
    Synced,
    Doubtful,
}

/// What records claim of a piece.
fn claim(records: &[Record], piece: u32) -> Claim {
    let mark_at = |record: &Record| match record {
        Record::Pieces(mark, ranges) if ranges.iter().any(|range| range.contains(&piece)) => Some(*mark),
        _ => None,
    };
    let last = records.iter().enumerate().rev().find_map(|(at, record)| match mark_at(record) {
        Some(mark) if mark != Mark::Synced => Some((at, mark)),
        _ => None,
    });
    let (before, after) = match last {
        None | Some((_, Mark::Lost)) => return Claim::None,
        Some((_, Mark::Doubtful)) => return Claim::Doubtful,
        Some((at, _)) => records.split_at(at + 1),
    };
    let boot = last_boot(before);
    let moved = after.iter().position(|record| matches!(record, Record::Run(other) if *other != boot));
    let same_boot = after.get(..moved.unwrap_or(after.len())).unwrap_or_default();
    match same_boot.iter().any(|record| mark_at(record) == Some(Mark::Synced)) {
        true => Claim::Synced,
        false if moved.is_some() => Claim::None,
        false => Claim::Written,
    }
}

fn last_boot(records: &[Record]) -> BootId {
    let boots = records.iter().rev();
    boots
        .filter_map(|record| match record {
            Record::Run(boot) => Some(*boot),
            _ => None,
        })
        .next()
        .unwrap_or_default()
}

fn known(records: &[Record], wanted: u32) -> Option<Identity> {
    records.iter().rev().find_map(|record| match record {
        Record::Files(files) => files.iter().rev().find(|(file, _)| *file == wanted).map(|(_, file)| *file),
        _ => None,
    })
}

/// Panics unless exactly what the records claim is claimed.
pub(super) fn claims(head: &Head, records: &[Record], ledger: &Ledger) {
    let due = |wanted| (0..head.pieces).filter(move |piece| claim(records, *piece) == wanted);
    let mut unsynced = ledger.unsynced();
    unsynced.sort_unstable();
    assert!(unsynced.iter().copied().eq(due(Claim::Written)), "{unsynced:?} are written, by {records:?}");
    assert!(ledger.synced().eq(due(Claim::Synced)), "{:?} are synced", ledger.synced().collect::<Vec<_>>());
    assert!(ledger.doubtful().eq(due(Claim::Doubtful)));
    assert_eq!(ledger.is_clean(), records.last() == Some(&Record::Clean));
}

/// Panics if a start takes for proven what is not, or hashes neither.
pub(super) fn plan(head: &Head, records: &[Record], ledger: &Ledger, now: &Files) {
    let spans = spans(head);
    let files = now.files.get(..spans.len()).unwrap_or_default();
    let plan = ledger.plan(&Now {
        boot: now.boot,
        journal: now.journal,
        files,
        spans: &spans,
        piece_length: head.piece_length,
    });
    let pieces = usize::try_from(head.pieces).unwrap_or(0);
    assert!([&plan.proven, &plan.hash, &plan.due, &plan.synced].iter().all(|flags| flags.len() == pieces));
    let same_boot = now.boot == last_boot(records) && now.boot != BootId::default();
    let is_clean = ledger.is_clean();
    for piece in 0..head.pieces {
        let is = |flags: &[bool]| usize::try_from(piece).ok().and_then(|at| flags.get(at)) == Some(&true);
        let claim = claim(records, piece);
        let counts = claim == Claim::Synced || (claim == Claim::Written && same_boot);
        assert!(!is(&plan.proven) || counts, "{piece} is not claimed in {plan:?}");
        assert!(!is(&plan.due) || counts);
        assert!(!is(&plan.synced) || claim == Claim::Synced);
        assert!(!(is(&plan.proven) && is(&plan.hash)));
        assert!(
            is(&plan.proven) || is(&plan.hash) || claim == Claim::None,
            "{piece} is forgotten in {plan:?}"
        );
        assert_eq!(plan.doubtful.contains(&piece), claim == Claim::Doubtful);
        if !same_boot && !is_clean {
            assert!(is(&plan.hash) || is(&plan.proven), "what another boot wrote may be there");
        }
        assert!(is(&plan.due) || !is(&plan.proven));
        // What should be right lies in files that are what they were.
        if is(&plan.due) || is(&plan.synced) {
            let of = (0..).zip(files.iter().zip(&spans)).filter(|(_, (_, span))| span.contains(&piece));
            for (file, (there, _)) in of {
                let (Some(then), Some(there)) = (known(records, file), there) else {
                    panic!("{piece} should be right, and nothing is known of file {file}");
                };
                assert!(then.inode == there.inode && then.length == there.length);
                assert!(then.device == there.device || !same_boot);
                let latest = now.journal.seconds + 5;
                match is_clean {
                    true => assert!(then.modified == there.modified && then.changed == there.changed),
                    false => assert!(there.modified.seconds <= latest && there.changed.seconds <= latest),
                }
            }
        }
    }
    // One piece of each file of which any should be right is hashed, unless the run ended in order.
    for span in spans {
        let mut due = span.filter_map(|piece| {
            let at = usize::try_from(piece).ok()?;
            plan.due.get(at).is_some_and(|due| *due).then(|| plan.hash.get(at).copied().unwrap_or(false))
        });
        let first = due.next();
        assert!(is_clean || first.is_none() || first == Some(true) || due.any(|hashed| hashed));
    }
}
