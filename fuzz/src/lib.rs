//! What must hold for any bytes from outside.
//!
//! Purpose: each module has one `target`, which takes bytes of a stranger and panics when something that the packages
//! promise does not hold: not only that nothing panics there, but that what is accepted is valid, that what is written is
//! read again, that an engine stays within its bounds and asks its driver for nothing that cannot be.
//!
//! The same targets run under a fuzzer that follows coverage (`libfuzzer/`) and, over their seeds and some thousands of
//! mutations, in `cargo test`. See README.md.
//!
//! Invariant: a target is a function of its bytes alone, so that a file which fails once fails again. It touches no
//! network; only [`config`] and [`journal`] write files, in folders of their own.

pub mod access;
pub mod bencode;
pub mod config;
pub mod extensions;
pub mod fleet;
pub mod http_replies;
pub mod http_requests;
pub mod input;
pub mod journal;
pub mod link;
pub mod magnet;
pub mod marker;
pub mod metadata;
pub mod metainfo;
pub mod snapshot;
pub mod udp;
pub mod wire;

/// Takes bytes and panics if a promise is broken.
pub type Target = fn(&[u8]);

/// Every target under the name that its seeds and its fuzzer have.
pub const TARGETS: [(&str, Target); 16] = [
    ("access", access::target),
    ("bencode", bencode::target),
    ("config", config::target),
    ("extensions", extensions::target),
    ("fleet", fleet::target),
    ("http_replies", http_replies::target),
    ("http_requests", http_requests::target),
    ("journal", journal::target),
    ("link", link::target),
    ("magnet", magnet::target),
    ("marker", marker::target),
    ("metadata", metadata::target),
    ("metainfo", metainfo::target),
    ("snapshot", snapshot::target),
    ("udp", udp::target),
    ("wire", wire::target),
];

/// What a user is shown is one line of bounded length that does nothing to a terminal.
///
/// # Panics
/// If it is not.
#[track_caller]
pub(crate) fn assert_one_line(text: &str) {
    assert!(text.len() < 4096 && !text.chars().any(char::is_control), "{text:?}");
}
