//! How long whoever fetches a failed piece alone may take.
//!
//! Purpose: nobody else may help with such a piece, so a peer that sends a block now and then, just often enough not
//! to be snubbed, must not hold it for ever. It gets a time in which a peer that is worth having would be done, then
//! it is another's turn; and the more have had theirs in vain, the longer the next gets, so that a swarm of slow peers
//! comes to an end too.
//!
//! It also says how long a piece stays reserved for those that are trusted.
//!
//! It does not choose: that is the picker's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::{LinkId, Time};

/// What any piece may take: as long as it takes to snub a peer.
const LEAST: Duration = Duration::from_secs(20);

/// Bytes a second that a piece should come at beyond that: a tenth of what a slow home connection sends.
const RATE: u64 = 64 * 1024;

/// So many turns add the first allowance once more.
const PATIENCE: u32 = 4;

/// How long a piece waits for a trusted keeper while others would take it: long enough for one that is busy to have
/// room in its pipeline.
const RESERVED: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
struct Watch {
    /// When this turn ends.
    due: Option<Time>,
    /// Whose turn it is; nobody's while the piece is reserved.
    keeper: Option<LinkId>,
    /// How many there have been.
    turns: u32,
}

/// See the module. It holds an entry for each piece that failed and is not good yet.
#[derive(Debug, Default)]
pub struct Keepers {
    pieces: BTreeMap<u32, Watch>,
    due: BTreeSet<(Time, u32)>,
}

impl Keepers {
    /// A piece is reserved for trusted links from now on.
    pub fn reserved(&mut self, now: Time, piece: u32) {
        self.set(piece, None, now + RESERVED);
    }

    /// A link is asked alone for a piece of so many bytes; if that is so already nothing changes.
    pub fn begins(&mut self, now: Time, piece: u32, link: LinkId, bytes: u32) {
        let watch = self.pieces.entry(piece).or_default();
        if watch.keeper == Some(link) {
            return;
        }
        let first = LEAST + Duration::from_secs(u64::from(bytes) / RATE);
        let due = now + first.saturating_mul(PATIENCE.saturating_add(watch.turns)) / PATIENCE;
        watch.turns = watch.turns.saturating_add(1);
        self.set(piece, Some(link), due);
    }

    fn set(&mut self, piece: u32, keeper: Option<LinkId>, due: Time) {
        let watch = self.pieces.entry(piece).or_default();
        watch.keeper = keeper;
        if let Some(before) = watch.due.replace(due) {
            self.due.remove(&(before, piece));
        }
        self.due.insert((due, piece));
    }

    /// A piece whose time is up, and the link whose turn is over.
    pub fn overdue(&mut self, now: Time) -> Option<(u32, Option<LinkId>)> {
        let &(due, piece) = self.due.first().filter(|(due, _)| *due <= now)?;
        self.due.remove(&(due, piece));
        let watch = self.pieces.get_mut(&piece)?;
        watch.due = None;
        Some((piece, watch.keeper.take()))
    }

    /// The piece is good.
    pub fn forget(&mut self, piece: u32) {
        if let Some(Watch { due: Some(due), .. }) = self.pieces.remove(&piece) {
            self.due.remove(&(due, piece));
        }
    }

    /// When [`Keepers::overdue`] will have something.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.due.first().map(|&(due, _)| due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    const MIB: u32 = 1024 * 1024;

    #[test]
    fn a_keepers_turn_ends_and_asking_more_of_it_does_not_make_it_longer() {
        let mut keepers = Keepers::default();
        keepers.begins(at(0), 3, LinkId(1), MIB);
        keepers.begins(at(30), 3, LinkId(1), MIB);
        assert_eq!(keepers.poll_timeout(), Some(at(36)), "16 s for a MiB beyond the least");
        assert_eq!(keepers.overdue(at(35)), None);
        assert_eq!(keepers.overdue(at(36)), Some((3, Some(LinkId(1)))));
        assert_eq!((keepers.overdue(at(99)), keepers.poll_timeout()), (None, None));
    }

    #[test]
    fn turns_grow_longer_so_that_slow_peers_come_to_an_end_too() {
        let mut keepers = Keepers::default();
        let mut now = at(0);
        let turns: Vec<u64> = (0..9)
            .map(|n| {
                let began = now;
                keepers.begins(now, 0, LinkId(n % 2), 0);
                now = keepers.poll_timeout().unwrap();
                assert_eq!(keepers.overdue(now), Some((0, Some(LinkId(n % 2)))));
                now.saturating_since(began).as_secs()
            })
            .collect();
        assert_eq!(turns, [20, 25, 30, 35, 40, 45, 50, 55, 60]);
        keepers.begins(now, 0, LinkId(0), u32::MAX);
        assert!(keepers.poll_timeout().is_some());
    }

    #[test]
    fn the_only_keeper_there_is_gets_another_turn() {
        let mut keepers = Keepers::default();
        keepers.begins(at(0), 0, LinkId(1), 0);
        assert!(keepers.overdue(at(20)).is_some());
        keepers.begins(at(20), 0, LinkId(1), 0);
        assert_eq!(keepers.poll_timeout(), Some(at(45)));
    }

    #[test]
    fn a_piece_is_reserved_only_for_a_while_and_a_good_one_is_forgotten() {
        let mut keepers = Keepers::default();
        keepers.reserved(at(0), 1);
        keepers.begins(at(0), 2, LinkId(1), 0);
        assert_eq!(keepers.overdue(at(5)), Some((1, None)));
        keepers.reserved(at(6), 1);
        keepers.begins(at(7), 1, LinkId(1), 0);
        keepers.forget(2);
        assert_eq!(keepers.poll_timeout(), Some(at(27)));
        keepers.forget(1);
        assert_eq!(keepers.poll_timeout(), None);
    }
}
