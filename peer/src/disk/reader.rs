//! A thread that reads runs of blocks to be sent.

use std::collections::VecDeque;
use std::sync::Arc;

use metainfo::Block;
use storage::StorageError;

use super::queue::Queue;
use super::{ReadDone, ReadJob, Run, RunPool};

/// Takes jobs until the queue is closed.
pub(super) fn run(queue: &Queue<ReadJob>, runs: &Arc<RunPool>) {
    let mut jobs = VecDeque::new();
    while queue.take_all(&mut jobs, None) {
        for job in jobs.drain(..) {
            serve(job, runs);
        }
    }
}

pub(super) fn serve(job: ReadJob, runs: &Arc<RunPool>) {
    let ReadJob { disk, link, epoch, blocks } = job;
    let answer = |blocks: Vec<Block>, run| {
        disk.inbox.add(|results| results.reads.push(ReadDone { link, epoch, blocks, run }));
    };
    let read = |blocks: &[Block]| -> Result<Run, StorageError> {
        let length: u32 = blocks.iter().map(|block| block.length).sum();
        let mut run = runs.take(usize::try_from(length).unwrap_or(0));
        if let Some(first) = blocks.first() {
            disk.storage.read(disk.info().geometry().block_offset(*first), run.as_mut_slice())?;
        }
        Ok(run)
    };
    match read(&blocks) {
        // One bad sector gives up one piece: the others of the run are read on their own.
        Err(_) if blocks.len() > 1 => {
            for block in blocks {
                let run = read(&[block]);
                answer(vec![block], run);
            }
        }
        run => answer(blocks, run),
    }
}
