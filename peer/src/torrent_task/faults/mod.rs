//! Whole downloads on a disk that fails at the n-th operation, for every n and in every way.
//!
//! After each process, what the journal claims is compared with what is there, and in the end the download is complete
//! (see `story`). Between any two operations somebody may edit a file, too. A test that fails says which shape, which fault and which seed it was: `tell` tells that story again.
//! `SHOAL_FAULT_SEEDS=50` tells as many times the stories.

mod edits;
mod life;
mod minding;
mod onlooker;
mod shape;
mod story;
mod swarm;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use storage::{Fault, FaultKind, MemoryDisk};

use edits::shown;
use shape::Shape;
use story::{Planned, tell};

/// Tells a story; one that goes wrong says which it was.
fn told(shape: &Shape, fault: Option<Fault>, seed: u64) -> MemoryDisk {
    told_with(shape, fault, &[], seed)
}

/// The same, with edits.
fn told_with(shape: &Shape, fault: Option<Fault>, edits: &[Planned], seed: u64) -> MemoryDisk {
    let story = AssertUnwindSafe(|| tell(shape, fault, edits, seed));
    catch_unwind(story).unwrap_or_else(|panic| {
        eprintln!("this was Shape::{}(), {fault:?}, {}, seed {seed}", shape.name, shown(edits));
        resume_unwind(panic)
    })
}

fn seeds() -> u64 {
    std::env::var("SHOAL_FAULT_SEEDS").map_or(1, |seeds| seeds.parse().unwrap())
}

/// Every operation of a story fails, in every way, once or, if it `lasts`, from then on too.
fn every_operation_fails(shape: &Shape, lasts: bool) {
    for seed in 0..seeds() {
        let clean = told(shape, None, seed);
        for kind in FaultKind::ALL {
            assert!(clean.count(kind) > 15, "{kind:?} is worth a story");
            let lasts = lasts && !matches!(kind, FaultKind::Short | FaultKind::Death);
            for after in 0..clean.count(kind) {
                told(shape, Some(Fault { kind, after, lasting: false }), seed);
                if lasts {
                    told(shape, Some(Fault { kind, after, lasting: true }), seed);
                }
            }
        }
    }
}

#[test]
fn h67_h68_whatever_operation_fails_one_file_completes_and_nothing_false_is_claimed() {
    every_operation_fails(&Shape::single(), false);
}

#[test]
fn h67_h68_whatever_operation_fails_a_folder_completes_and_nothing_false_is_claimed() {
    every_operation_fails(&Shape::folder(), true);
}

#[test]
fn h67_h68_whatever_operation_fails_padded_files_complete_and_nothing_false_is_claimed() {
    every_operation_fails(&Shape::padded(), false);
}

#[test]
fn h67_h68_whatever_operation_fails_chosen_files_complete_and_nothing_false_is_claimed() {
    every_operation_fails(&Shape::chosen(), true);
}

#[test]
fn h67_h68_whatever_operation_fails_pieces_of_blocks_complete_and_nothing_false_is_claimed() {
    every_operation_fails(&Shape::blocks(), false);
}

#[test]
fn h69_h72_at_whatever_moment_it_dies_nothing_is_claimed_that_is_not_there() {
    for shape in Shape::all() {
        for seed in 0..200 * seeds() {
            let count = told(&shape, None, seed).count(FaultKind::Death);
            // A moment that has nothing to do with what the seed decides otherwise.
            let after = (seed * 7919 + 31) % count;
            told(&shape, Some(Fault { kind: FaultKind::Death, after, lasting: false }), seed);
        }
    }
}

/// Between any two operations of a story somebody does this to a file.
fn whenever_somebody_edits(shape: &Shape) {
    for seed in 0..seeds() {
        let (mut hidden, count) = (0, told(shape, None, seed).operations());
        for after in 0..count {
            let edits = edits::at(shape, after, seed);
            let disk = told_with(shape, None, &edits, seed);
            hidden += usize::from(edits::is_hidden(shape, &disk));
        }
        assert!(hidden * 5 < usize::try_from(count).unwrap(), "{hidden} of {count} edits are worth nothing");
    }
}

#[test]
fn h70_h72_whenever_somebody_edits_one_file_nothing_wrong_is_served_or_claimed_and_nothing_of_his_is_lost() {
    whenever_somebody_edits(&Shape::single());
}

#[test]
fn h70_h72_whenever_somebody_edits_a_folder_nothing_wrong_is_served_or_claimed_and_nothing_of_his_is_lost() {
    whenever_somebody_edits(&Shape::folder());
}

#[test]
fn h70_h72_whenever_somebody_edits_padded_files_nothing_wrong_is_served_or_claimed_and_nothing_of_his_is_lost()
 {
    whenever_somebody_edits(&Shape::padded());
}

#[test]
fn h70_h72_whenever_somebody_edits_chosen_files_nothing_wrong_is_served_or_claimed_and_nothing_of_his_is_lost()
 {
    whenever_somebody_edits(&Shape::chosen());
}

#[test]
fn h70_h72_whenever_somebody_edits_pieces_of_blocks_nothing_wrong_is_served_or_claimed_and_nothing_of_his_is_lost()
 {
    whenever_somebody_edits(&Shape::blocks());
}

#[test]
fn h70_h72_h73_edits_beside_faults_and_deaths_have_nothing_false_claimed() {
    for shape in Shape::all() {
        for seed in 0..100 * seeds() {
            let clean = told(&shape, None, seed);
            let (fault, edits) = edits::by_chance(&shape, &clean, seed);
            told_with(&shape, fault, &edits, seed);
        }
    }
}
