//! Memory to read into.

/// Where a buffer begins in memory: the kernel copies fastest to a place that is aligned to a page.
const ALIGNMENT: usize = 4096;

/// Aligned memory of a fixed length.
pub(super) struct Buffer {
    memory: Vec<u8>,
    start: usize,
}

impl Buffer {
    pub(super) fn new(length: usize) -> Self {
        let memory = vec![0; length + ALIGNMENT];
        // `usize::MAX` means that it cannot be told; then any place will do.
        let start =
            Some(memory.as_ptr().align_offset(ALIGNMENT)).filter(|&start| start < ALIGNMENT).unwrap_or(0);
        Self { memory, start }
    }

    fn end(&self) -> usize {
        self.start + self.memory.len() - ALIGNMENT
    }

    /// What it holds from its first byte to before the one at `end`.
    pub(super) fn front(&self, end: usize) -> &[u8] {
        self.memory.get(self.start..(self.start + end).min(self.end())).unwrap_or_default()
    }

    /// Its memory from the byte at `start` on.
    pub(super) fn rest(&mut self, start: usize) -> &mut [u8] {
        let range = (self.start + start).min(self.end())..self.end();
        self.memory.get_mut(range).unwrap_or_default()
    }
}
