//! How fast a torrent may move payload.
//!
//! Purpose: a [`Bucket`] holds one limit; a torrent has one of its own in each direction, and the session has one for
//! all of them. A block moves only with credit of both: a `Meter` holds a torrent's own bucket beside what the
//! session has granted it, and lets the links that wait take turns.
//!
//! Invariant: all that moves is paid for. A block moves as soon as there is any credit, and takes the balance into
//! debt by what it is longer: so no size of block is starved, whatever the rate.
//!
//! It does not decide who is granted what of the session's limit: that is [`crate::allocator`]'s.

mod bucket;
mod meter;

pub use bucket::Bucket;
pub(crate) use meter::Meter;

use std::num::NonZeroU64;

/// The most bytes of payload a second in each direction; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// What may go out.
    pub up: Option<NonZeroU64>,
    /// What may be asked for, and so come in.
    pub down: Option<NonZeroU64>,
}
