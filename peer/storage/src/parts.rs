//! Adjacent parts of memory on their way into files.
//!
//! Invariant: the bytes leave in order, each once, however the files and the kernel cut them.

use std::io::IoSlice;

/// Parts given to the kernel in one call: POSIX promises only 16, Linux and the BSDs take 1024.
pub(crate) const MAX_PARTS: usize = 1024;

/// What is left of the parts to write.
pub(crate) struct Parts<'p> {
    parts: &'p [&'p [u8]],
    /// Bytes of the first part that are done.
    skip: usize,
}

impl<'p> Parts<'p> {
    pub(crate) fn new(parts: &'p [&'p [u8]]) -> Self {
        Self { parts, skip: 0 }
    }

    /// The next bytes, at most `length` of them and at most [`MAX_PARTS`] parts.
    pub(crate) fn front(&self, length: usize) -> Vec<IoSlice<'p>> {
        let mut left = length;
        let mut skip = self.skip;
        let mut slices = Vec::new();
        for part in self.parts {
            if left == 0 || slices.len() == MAX_PARTS {
                break;
            }
            let part = part.get(skip..).unwrap_or_default();
            let part = part.get(..left).unwrap_or(part);
            skip = 0;
            left -= part.len();
            if !part.is_empty() {
                slices.push(IoSlice::new(part));
            }
        }
        slices
    }

    /// Lets go of the next `length` bytes.
    pub(crate) fn advance(&mut self, length: usize) {
        self.skip += length;
        while let Some((first, rest)) = self.parts.split_first()
            && self.skip >= first.len()
        {
            self.skip -= first.len();
            self.parts = rest;
        }
    }
}
