//! Bencode (BEP 3): a checked scan of everything from outside, then views and values.
//!
//! Purpose: turn bytes of a stranger into something that the rest of the program can read without care.
//! [`scan`] reads them once, without recursion, against [`Limits`]; what it returns, a [`Document`], is walked with
//! [`Node`], which knows the exact bytes and the offset of each value (an info-hash is the hash of exact bytes).
//! [`Value`] is the owned form for small documents and for writing.
//!
//! Invariant: no byte reaches the crate that decodes and encodes (`librqbit-bencode`) before [`scan`] accepted it:
//! that crate's number parsing is unchecked, and its decoder recurses.
//!
//! It does not judge what a document means: missing keys and types are the reader's business.

mod node;
mod scan;
mod value;
mod write;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use node::list_of_strings;
pub use node::{Entries, Items, Node};
pub use scan::{Document, Limits, Mode, scan, scan_whole};
pub use value::Value;
pub(crate) use value::{Raw, encode_map};
pub(crate) use write::Writer;
