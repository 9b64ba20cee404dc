//! The buffers that payload lives in between socket and disk.
//!
//! Invariant: no more than the limit exist, and one that is dropped goes back, so that memory is bounded and a
//! running transfer allocates nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peer_proto::BLOCK_LENGTH;
use tokio::sync::Notify;

const BLOCK_SIZE: usize = BLOCK_LENGTH as usize;

/// Buffers of one block each, for downloads.
#[derive(Debug)]
pub(crate) struct BlockPool {
    free: Mutex<Free>,
    limit: usize,
    returned: Notify,
}

#[derive(Debug, Default)]
struct Free {
    buffers: Vec<Box<[u8]>>,
    made: usize,
}

impl BlockPool {
    /// A pool of at most `limit` buffers, made when they are first needed.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::default(), limit, returned: Notify::new() })
    }

    /// An empty buffer, if one is free.
    pub(crate) fn try_take(self: &Arc<Self>) -> Option<BlockBuffer> {
        let bytes = {
            let mut free = self.lock();
            match free.buffers.pop() {
                Some(bytes) => bytes,
                None if free.made < self.limit => {
                    free.made += 1;
                    vec![0; BLOCK_SIZE].into_boxed_slice()
                }
                None => return None,
            }
        };
        Some(BlockBuffer { bytes, filled: 0, pool: Arc::clone(self) })
    }

    /// An empty buffer, as soon as one is free.
    pub(crate) async fn take(self: &Arc<Self>) -> BlockBuffer {
        loop {
            if let Some(buffer) = self.try_take() {
                return buffer;
            }
            // A buffer given back in between leaves a permit, so that none is missed.
            self.returned.notified().await;
        }
    }

    /// Whether fewer than a quarter of the buffers are free.
    pub(crate) fn is_scarce(&self) -> bool {
        let free = self.lock();
        free.buffers.len() + (self.limit - free.made) < self.limit / 4
    }

    fn lock(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer that holds up to one block, and goes back to its pool when dropped.
#[derive(Debug)]
pub(crate) struct BlockBuffer {
    bytes: Box<[u8]>,
    filled: usize,
    pool: Arc<BlockPool>,
}

impl BlockBuffer {
    /// Appends what fits: the decoder never gives more than a block.
    pub(crate) fn extend(&mut self, data: &[u8]) {
        let end = self.filled.saturating_add(data.len()).min(self.bytes.len());
        let fitting = data.get(..end - self.filled).unwrap_or_default();
        if let Some(place) = self.bytes.get_mut(self.filled..end) {
            place.copy_from_slice(fitting);
        }
        self.filled = end;
    }

    /// What it holds.
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }
}

impl Drop for BlockBuffer {
    fn drop(&mut self) {
        self.pool.lock().buffers.push(std::mem::take(&mut self.bytes));
        self.pool.returned.notify_one();
    }
}

/// Buffers for runs of blocks that are read to be sent. Their number is bounded by the engine's upload budget; the
/// pool only keeps them for the next read.
#[derive(Debug, Default)]
pub(crate) struct RunPool(Mutex<Vec<Vec<u8>>>);

/// Buffers kept, 4 MiB: more are freed.
const KEPT_RUNS: usize = 16;

impl RunPool {
    /// A buffer of `length` bytes that hold anything.
    pub(crate) fn take(self: &Arc<Self>, length: usize) -> Run {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        // Never shrunk: a buffer that has been zeroed once need not be again.
        if bytes.len() < length {
            bytes.resize(length, 0);
        }
        Run { bytes, length, pool: Arc::clone(self) }
    }
}

/// A run of adjacent blocks.
#[derive(Debug)]
pub(crate) struct Run {
    bytes: Vec<u8>,
    length: usize,
    pool: Arc<RunPool>,
}

impl Run {
    /// Its bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Its bytes, to be filled.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.length).unwrap_or_default()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let mut kept = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_RUNS {
            kept.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_buffers_exist_than_the_limit_and_dropped_ones_come_back_empty() {
        let pool = BlockPool::new(2);
        let mut first = pool.try_take().unwrap();
        let second = pool.try_take().unwrap();
        assert!(pool.try_take().is_none());
        first.extend(b"abc");
        first.extend(b"def");
        assert_eq!(first.as_slice(), b"abcdef");
        drop(first);
        assert_eq!(pool.try_take().unwrap().as_slice(), b"");
        drop(second);
    }

    #[test]
    fn buffers_are_scarce_when_fewer_than_a_quarter_are_free() {
        let pool = BlockPool::new(8);
        let mut held: Vec<_> = (0..6).filter_map(|_| pool.try_take()).collect();
        assert!(!pool.is_scarce());
        held.extend(pool.try_take());
        assert!(pool.is_scarce());
        drop(held);
        assert!(!pool.is_scarce());
    }

    #[test]
    fn a_buffer_takes_no_more_than_a_block() {
        let mut buffer = BlockPool::new(1).try_take().unwrap();
        buffer.extend(&vec![1; BLOCK_SIZE - 1]);
        buffer.extend(&[2, 3]);
        assert_eq!(buffer.as_slice().len(), BLOCK_SIZE);
        assert_eq!(buffer.as_slice().last(), Some(&2));
    }

    #[tokio::test]
    async fn who_waits_for_a_buffer_gets_the_one_that_comes_back() {
        let pool = BlockPool::new(1);
        let held = pool.try_take().unwrap();
        let waiting = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move { pool.take().await.as_slice().len() }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(held);
        assert_eq!(waiting.await.unwrap(), 0);
    }

    #[test]
    fn a_run_has_the_length_asked_for_whatever_its_buffer_was_before() {
        let pool = Arc::new(RunPool::default());
        drop(pool.take(100));
        let mut run = pool.take(10);
        run.as_mut_slice().fill(7);
        assert_eq!(run.as_slice(), [7; 10]);
        assert_eq!(pool.take(200).as_slice().len(), 200);
    }
}
