//! The buffers that payload lives in between socket and disk.
//!
//! Invariant: no more than the limit exist, no torrent has more than its share, and one that is dropped goes back, so
//! that memory is bounded, one disk that hangs does not stop torrents on others (two may), and a running transfer allocates nothing.

use std::sync::{Arc, Mutex, PoisonError};

use peer_proto::BLOCK_LENGTH;
use tokio::sync::Semaphore;

const BLOCK_SIZE: usize = BLOCK_LENGTH as usize;

/// Buffers of one block each, for downloads.
#[derive(Debug)]
pub(crate) struct BlockPool {
    buffers: Mutex<Vec<Box<[u8]>>>,
    free: Permits,
    share: usize,
}

impl BlockPool {
    /// A pool of at most `limit` buffers, made when they are first needed; one torrent has at most `share` of them.
    pub(crate) fn new(limit: usize, share: usize) -> Arc<Self> {
        Arc::new(Self { buffers: Mutex::default(), free: Permits::new(limit), share: share.min(limit) })
    }

    /// What one torrent takes its buffers from.
    pub(crate) fn share(self: &Arc<Self>) -> Arc<BlockShare> {
        Arc::new(BlockShare { free: Permits::new(self.share), pool: Arc::clone(self) })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Box<[u8]>>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most that were ever taken at once, once all have come back.
    #[cfg(test)]
    pub(crate) fn made(&self) -> usize {
        self.lock().len()
    }
}

/// How many more buffers may be taken. Those who wait get them in the order in which they came.
#[derive(Debug)]
struct Permits {
    left: Semaphore,
    limit: usize,
}

impl Permits {
    fn new(limit: usize) -> Self {
        Self { left: Semaphore::new(limit), limit }
    }

    fn is_scarce(&self) -> bool {
        self.left.available_permits() < self.limit / 4
    }
}

/// A torrent's share of the buffers.
#[derive(Debug)]
pub(crate) struct BlockShare {
    pool: Arc<BlockPool>,
    free: Permits,
}

impl BlockShare {
    /// An empty buffer, if one is free.
    pub(crate) fn try_take(self: &Arc<Self>) -> Option<BlockBuffer> {
        let own = self.free.left.try_acquire().ok()?;
        let any = self.pool.free.left.try_acquire().ok()?;
        own.forget();
        any.forget();
        Some(self.buffer())
    }

    /// An empty buffer, as soon as one is free. Nothing is lost when this is dropped.
    pub(crate) async fn take(self: &Arc<Self>) -> BlockBuffer {
        let (Ok(own), Ok(any)) = (self.free.left.acquire().await, self.pool.free.left.acquire().await) else {
            // They are never closed.
            return std::future::pending().await;
        };
        own.forget();
        any.forget();
        self.buffer()
    }

    /// For those who have taken it from both counts.
    fn buffer(self: &Arc<Self>) -> BlockBuffer {
        let used = self.pool.lock().pop();
        let bytes = used.unwrap_or_else(|| vec![0; BLOCK_SIZE].into_boxed_slice());
        BlockBuffer { bytes, filled: 0, share: Arc::clone(self) }
    }

    /// Whether fewer than a quarter of the buffers are free, of all or of its own.
    pub(crate) fn is_scarce(&self) -> bool {
        self.free.is_scarce() || self.pool.free.is_scarce()
    }
}

/// A buffer that holds up to one block, and goes back to its pool when dropped.
#[derive(Debug)]
pub(crate) struct BlockBuffer {
    bytes: Box<[u8]>,
    filled: usize,
    share: Arc<BlockShare>,
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
        let pool = &self.share.pool;
        pool.lock().push(std::mem::take(&mut self.bytes));
        pool.free.left.add_permits(1);
        self.share.free.left.add_permits(1);
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

    fn pool(limit: usize) -> Arc<BlockShare> {
        BlockPool::new(limit, limit).share()
    }

    #[test]
    fn no_more_buffers_exist_than_the_limit_and_dropped_ones_come_back_empty() {
        let pool = pool(2);
        let mut first = pool.try_take().unwrap();
        let second = pool.try_take().unwrap();
        assert!(pool.try_take().is_none());
        first.extend(b"abc");
        first.extend(b"def");
        assert_eq!(first.as_slice(), b"abcdef");
        drop(first);
        assert_eq!(pool.try_take().unwrap().as_slice(), b"");
        drop(second);
        assert_eq!(pool.pool.made(), 2);
    }

    #[test]
    fn one_torrent_leaves_buffers_for_others() {
        let pool = BlockPool::new(5, 3);
        let (one, other) = (pool.share(), pool.share());
        let held: Vec<_> = std::iter::from_fn(|| one.try_take()).collect();
        assert_eq!(held.len(), 3);
        assert_eq!(std::iter::from_fn(|| other.try_take()).collect::<Vec<_>>().len(), 2);
        drop(held);
        assert_eq!(std::iter::from_fn(|| other.try_take()).collect::<Vec<_>>().len(), 3);
    }

    #[test]
    fn buffers_are_scarce_when_fewer_than_a_quarter_are_free() {
        let pool = BlockPool::new(16, 8);
        let (share, other) = (pool.share(), pool.share());
        let mut held: Vec<_> = (0..6).filter_map(|_| share.try_take()).collect();
        assert!(!share.is_scarce());
        held.extend(share.try_take());
        assert!(share.is_scarce() && !other.is_scarce());
        held.extend((0..6).filter_map(|_| other.try_take()));
        assert!(other.is_scarce(), "it has some left of its own, but all together have not");
        drop(held);
        assert!(!share.is_scarce() && !other.is_scarce());
    }

    #[test]
    fn a_buffer_takes_no_more_than_a_block() {
        let mut buffer = pool(1).try_take().unwrap();
        buffer.extend(&vec![1; BLOCK_SIZE - 1]);
        buffer.extend(&[2, 3]);
        assert_eq!(buffer.as_slice().len(), BLOCK_SIZE);
        assert_eq!(buffer.as_slice().last(), Some(&2));
    }

    #[tokio::test]
    async fn those_who_wait_for_a_buffer_get_it_in_turn_and_one_who_stops_waiting_takes_none_along() {
        let pool = BlockPool::new(1, 1);
        let (one, other) = (pool.share(), pool.share());
        let held = one.try_take().unwrap();
        let wait = |share: &Arc<BlockShare>| {
            let share = Arc::clone(share);
            tokio::spawn(async move { share.take().await.as_slice().len() })
        };
        let (first, second, third) = (wait(&one), wait(&other), wait(&other));
        tokio::task::yield_now().await;
        assert!(!first.is_finished() && !second.is_finished());
        second.abort();
        assert!(second.await.is_err());
        drop(held);
        assert_eq!((first.await.unwrap(), third.await.unwrap()), (0, 0));
        assert!(one.try_take().is_some());
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
