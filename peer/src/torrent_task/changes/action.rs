//! What the decisions about changed files go by, and what they come to.

use std::ops::Range;

use peer_proto::Bitfield;

use super::jobs::Strangers;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::torrent_task) enum Action {
    /// These pieces are not ours any more: peers are told, and the journal.
    TakeBack(Vec<u32>),
    /// These pieces are ours: they were hashed. The journal is told, after all that was taken back before.
    Offer(Vec<u32>),
    /// The journal must not claim these, which nobody was offered meanwhile.
    Disclaim(Vec<u32>),
    /// Whether anything may be fetched from now on.
    Fetch(bool),
    /// What the user is to hear: good news.
    Tell(String),
    /// And bad.
    Warn(String),
    /// On another thread. There is no second one before what came of it was handed back.
    Do(Job),
}

/// What is done on another thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::torrent_task) enum Job {
    /// This file is taken for what it is now. [`super::Changes::handle_accepted`].
    Accept(usize),
    /// These pieces of this file are hashed. [`super::Changes::handle_hashed`].
    Hash { file: usize, pieces: Range<u32> },
    /// A download that has these pieces gets its marker and journal again, unless a file that must be written to is
    /// somebody's. [`super::Changes::handle_claimed`].
    Claim { have: Bitfield, strangers: Strangers },
    /// The question of the files alone. [`super::Changes::handle_judged`].
    Judge(Strangers),
    /// All files are looked at by their names. [`super::Changes::handle_looked`].
    Look,
}

/// What of the torrent it decides by, as that is now.
#[derive(Clone, Copy, Debug)]
pub(in crate::torrent_task) struct Facts<'a> {
    pub(in crate::torrent_task) have: &'a Bitfield,
    /// Whether all pieces are ours, and all that are wanted.
    pub(in crate::torrent_task) is_complete: bool,
    pub(in crate::torrent_task) is_finished: bool,
    /// Whether a marker stands beside the data.
    pub(in crate::torrent_task) has_marker: bool,
    /// Whether it has ended in a failure, after which nothing is fetched.
    pub(in crate::torrent_task) has_failed: bool,
    /// Whether the files are being completed.
    pub(in crate::torrent_task) is_finishing: bool,
    pub(in crate::torrent_task) has_peers: bool,
    /// Whether storage was told how the files must be.
    pub(in crate::torrent_task) is_watching: bool,
}
