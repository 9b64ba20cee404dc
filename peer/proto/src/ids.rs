//! Names of links.

/// One connection to a peer, for as long as it lasts. Given by [`crate::Torrent`], never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);
