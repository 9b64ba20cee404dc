//! Writing a large document value by value.
//!
//! Purpose: [`Value`](super::Value) is a tree in memory, and the crate's encoder keeps each dictionary until it ends. Here
//! nothing is kept but what has been written.
//!
//! It does not sort: whoever writes a dictionary writes its keys in order.

use std::io::Write as _;

/// A document being written.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// A dictionary begins; keys and values follow, then [`Writer::end`].
    pub(crate) fn dict(&mut self) -> &mut Self {
        self.bytes.push(b'd');
        self
    }

    /// A list begins; its items follow, then [`Writer::end`].
    pub(crate) fn list(&mut self) -> &mut Self {
        self.bytes.push(b'l');
        self
    }

    /// The list or dictionary that began last ends.
    pub(crate) fn end(&mut self) -> &mut Self {
        self.bytes.push(b'e');
        self
    }

    /// A string, or a key.
    pub(crate) fn string(&mut self, content: impl AsRef<[u8]>) -> &mut Self {
        let content = content.as_ref();
        // Writing to a Vec cannot fail.
        let _ = write!(self.bytes, "{}:", content.len());
        self.bytes.extend_from_slice(content);
        self
    }

    /// An integer.
    pub(crate) fn int(&mut self, value: i64) -> &mut Self {
        let _ = write!(self.bytes, "i{value}e");
        self
    }

    /// What was written.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
