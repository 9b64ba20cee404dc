//! The blocks of one piece that is under way: which are free, asked of a link, or here.
//!
//! Invariant: every block is in exactly one of the three states, and `free`, `received`, each asker's and each sender's
//! count say how many are. A byte a block and a few words a link are all that is kept, however long the piece: a cell
//! is free, names the link that owes the block, or the link that it came from.

use super::availability::index;
use super::contributions::Contributions;
use crate::LinkId;

/// A block that nobody was asked for.
const FREE: u8 = 0;
/// Links that blocks of one piece may be asked of at the same time: half of what a cell can name.
pub(super) const MAX_ASKERS: usize = 126;
/// Cells from here on are blocks that are here: the place of the sender beyond this.
const HERE: u8 = 127;
/// Senders of blocks of one piece that are told apart: the other half.
const MAX_SENDERS: usize = 128;
/// A block that is here from a link that had to give its place to another.
const FORGOTTEN: u8 = u8::MAX;

/// What is known of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody was asked for it.
    Free,
    /// It is on the way from this link.
    Asked(LinkId),
    /// It is here.
    Received,
}

#[derive(Clone, Copy, Debug)]
struct Asker {
    link: LinkId,
    /// Blocks asked of it; the place is free when there are none.
    asked: u32,
}

#[derive(Clone, Copy, Debug)]
struct Sender {
    link: LinkId,
    /// Blocks that came from it.
    sent: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct PieceBlocks {
    /// `FREE`, the place in `askers` plus 1, `HERE` plus the place in `senders`, or `FORGOTTEN`.
    cells: Vec<u8>,
    askers: Vec<Asker>,
    senders: Vec<Sender>,
    free: u32,
    received: u32,
    /// No block before this one is free.
    first_free: usize,
}

impl PieceBlocks {
    /// Becomes a piece of so many blocks, all free. Memory is used again.
    pub(super) fn reset(&mut self, count: u32) {
        self.cells.clear();
        self.cells.resize(index(count), FREE);
        self.askers.clear();
        self.senders.clear();
        (self.free, self.received, self.first_free) = (count, 0, 0);
    }

    /// Number of blocks.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.cells.len()).unwrap_or(u32::MAX)
    }

    /// Blocks that nobody was asked for.
    pub(super) fn free(&self) -> u32 {
        self.free
    }

    /// Blocks that are here.
    pub(super) fn received(&self) -> u32 {
        self.received
    }

    /// Blocks that are on the way.
    pub(super) fn asked(&self) -> u32 {
        self.len() - self.free - self.received
    }

    /// Blocks that are on the way from this link.
    pub(super) fn asked_of(&self, link: LinkId) -> u32 {
        self.askers.iter().filter(|asker| asker.link == link).map(|asker| asker.asked).sum()
    }

    /// Whether all blocks are here.
    pub(super) fn is_complete(&self) -> bool {
        self.received == self.len()
    }

    /// Who delivered which block.
    pub(super) fn contributions(&self) -> Contributions {
        let sender = |cell: u8| {
            let place = cell.checked_sub(HERE).filter(|_| cell != FORGOTTEN)?;
            self.senders.get(usize::from(place)).map(|sender| sender.link)
        };
        Contributions::new(self.cells.iter().map(|&cell| sender(cell)))
    }

    /// What is known of a block. One past the end counts as here: nothing is to be done about it.
    pub(super) fn state(&self, block: u32) -> State {
        match self.cells.get(index(block)).copied().unwrap_or(FORGOTTEN) {
            FREE => State::Free,
            HERE.. => State::Received,
            place => {
                self.askers.get(usize::from(place) - 1).map_or(State::Free, |asker| State::Asked(asker.link))
            }
        }
    }

    /// Whether a block can be asked of this link.
    pub(super) fn has_room_for(&self, link: LinkId) -> bool {
        self.free > 0
            && (self.askers.len() < MAX_ASKERS
                || self.askers.iter().any(|asker| asker.asked == 0 || asker.link == link))
    }

    /// Asks up to `want` free blocks of a link, in order, and names each.
    pub(super) fn ask(&mut self, link: LinkId, want: usize, mut each: impl FnMut(u32)) {
        if want == 0 || self.free == 0 {
            return;
        }
        let Some(place) = self.place_for(link) else { return };
        let mut taken = 0;
        let start = self.first_free.min(self.cells.len());
        for (at, cell) in self.cells.iter_mut().enumerate().skip(start) {
            self.first_free = at;
            if taken == want || self.free == 0 {
                break;
            }
            if *cell == FREE {
                // There are no more places than a cell can name.
                *cell = u8::try_from(place + 1).unwrap_or(HERE - 1);
                self.askers[place].asked += 1;
                self.free -= 1;
                self.first_free = at + 1;
                taken += 1;
                each(u32::try_from(at).unwrap_or(u32::MAX));
            }
        }
    }

    /// A block on the way is another link's to deliver now.
    pub(super) fn hand_over(&mut self, block: u32, to: LinkId) {
        self.forget_asker(block);
        let Some(place) = self.place_for(to) else { return };
        if let Some(cell) = self.cells.get_mut(index(block)).filter(|cell| **cell == FREE) {
            *cell = u8::try_from(place + 1).unwrap_or(HERE - 1);
            self.askers[place].asked += 1;
            self.free -= 1;
        }
    }

    /// A block is here.
    pub(super) fn deliver(&mut self, link: LinkId, block: u32) {
        self.forget_asker(block);
        if self.cells.get(index(block)) != Some(&FREE) {
            return;
        }
        let place = self.sender_place(link);
        let Some(cell) = self.cells.get_mut(index(block)) else { return };
        self.free -= 1;
        self.received += 1;
        // There are no more places than a cell can name.
        let here = HERE.saturating_add(u8::try_from(place).unwrap_or(FORGOTTEN));
        *cell = here;
    }

    /// Nobody is asked for a block any more, if anybody was.
    pub(super) fn forget_asker(&mut self, block: u32) {
        let at = index(block);
        let Some(cell) = self.cells.get_mut(at) else { return };
        if *cell == FREE || *cell >= HERE {
            return;
        }
        if let Some(asker) = self.askers.get_mut(usize::from(*cell) - 1) {
            asker.asked -= 1;
        }
        *cell = FREE;
        self.free += 1;
        self.first_free = self.first_free.min(at);
    }

    /// Blocks that fit without asking for memory.
    pub(super) fn capacity(&self) -> u64 {
        u64::try_from(self.cells.capacity()).unwrap_or(u64::MAX)
    }

    /// Gives the memory of the blocks back.
    pub(super) fn shrink(&mut self) {
        self.cells = Vec::new();
    }

    /// The place of a link among the askers: its own, an unused one, or a new one.
    fn place_for(&mut self, link: LinkId) -> Option<usize> {
        let own = self.askers.iter().position(|asker| asker.link == link);
        let unused = || self.askers.iter().position(|asker| asker.asked == 0);
        if let Some(place) = own.or_else(unused) {
            self.askers[place].link = link;
            return Some(place);
        }
        (self.askers.len() < MAX_ASKERS).then(|| {
            self.askers.push(Asker { link, asked: 0 });
            self.askers.len() - 1
        })
    }

    /// The place of a link among the senders, with one block more: its own, a new one, or that of the link that sent
    /// least. Who is pushed out sent hardly anything, and for that at least so many others must have sent something.
    fn sender_place(&mut self, link: LinkId) -> usize {
        if let Some(place) = self.senders.iter().position(|sender| sender.link == link) {
            self.senders[place].sent += 1;
            return place;
        }
        let new = Sender { link, sent: 1 };
        if self.senders.len() < MAX_SENDERS {
            self.senders.push(new);
            return self.senders.len() - 1;
        }
        let least = self.senders.iter().zip(0u8..).min_by_key(|(sender, _)| sender.sent);
        let place = least.map_or(0, |(_, place)| place);
        let named = HERE + place;
        self.cells.iter_mut().filter(|cell| **cell == named).for_each(|cell| *cell = FORGOTTEN);
        self.senders[usize::from(place)] = new;
        usize::from(place)
    }

    /// Panics unless the invariants hold.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let count = |cell| self.cells.iter().filter(|&&c| c == cell).count();
        let here = self.cells.iter().filter(|&&cell| cell >= HERE).count();
        assert_eq!((count(FREE), here), (index(self.free), index(self.received)));
        for (place, sender) in self.senders.iter().enumerate() {
            assert_eq!(count(HERE + u8::try_from(place).unwrap()), index(sender.sent));
        }
        for (place, asker) in self.askers.iter().enumerate() {
            assert_eq!(count(u8::try_from(place + 1).unwrap()), index(asker.asked));
        }
        let first_free = self.cells.iter().position(|&cell| cell == FREE).unwrap_or(self.cells.len());
        assert!(self.first_free <= first_free);
    }
}
