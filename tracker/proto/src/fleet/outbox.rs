//! What a node has to tell the engine and to ask of it, until somebody takes it there.
//!
//! Invariant: a queue never grows beyond the room that it has from the start, so telling is as quick and takes as little memory
//! when nobody takes anything out of it: what there is no room for is left out and counted.

use std::collections::VecDeque;

use metainfo::InfoHash;

use super::{ASK_EVERY, THIN};
use crate::Time;
use crate::compact::Compact;
use crate::http::{Event, ScrapeStats};
use crate::swarm::{Announce, Role};

/// Swarms of which it is remembered that they were asked about lately. Two that share a place are asked about more often.
const REMEMBERED: usize = 8192;

/// What became of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It is there.
    Here(Role),
    /// It left.
    Left,
}

/// What is to be told of one announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The swarm.
    pub info_hash: InfoHash,
    /// The peer.
    pub peer: Compact,
    /// What became of it.
    pub news: News,
    /// Whether the engine is to be asked for others.
    pub ask: bool,
    /// When it announced.
    pub at: Time,
}

/// The queue of one store's announces.
#[derive(Debug)]
pub struct Outbox {
    queue: VecDeque<Told>,
    capacity: usize,
    asked: Box<[Asked]>,
    dropped: u64,
}

/// That a swarm was asked about; of its info-hash only a part is kept.
#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    tag: u32,
    /// Seconds from the driver's origin, and one: 0 is nobody's.
    second: u32,
}

/// Whether somebody of this role has fewer peers here than it could use.
pub fn is_thin(role: Role, known: &ScrapeStats) -> bool {
    match role {
        // Seeds are of no use to it.
        Role::Seed | Role::PartialSeed => known.incomplete < THIN,
        Role::Downloader => known.complete == 0 || known.complete.saturating_add(known.incomplete) < THIN,
    }
}

impl Outbox {
    /// An empty queue, for `capacity` announces.
    pub fn new(capacity: usize) -> Self {
        let asked = vec![Asked::default(); REMEMBERED].into_boxed_slice();
        Self { queue: VecDeque::with_capacity(capacity), capacity, asked, dropped: 0 }
    }

    /// Takes in what an announce tells, in a swarm of which this is `known` now, and that `replaced` went for the peer: it
    /// leaves the engine too, or one address could have there what it cannot have here. Gives whether the engine will be asked
    /// about the swarm, so that its peers are known soon.
    pub fn tell(
        &mut self,
        now: Time,
        announce: &Announce,
        known: &ScrapeStats,
        replaced: Option<Compact>,
    ) -> bool {
        if let Some(peer) = replaced
            && self.queue.len() < self.capacity
        {
            let info_hash = announce.info_hash;
            self.queue.push_back(Told { info_hash, peer, news: News::Left, ask: false, at: now });
        }
        if self.queue.len() >= self.capacity {
            self.dropped += 1;
            return false;
        }
        let role = announce.role();
        let left = announce.event == Event::Stopped;
        let ask = !left && is_thin(role, known) && self.is_to_be_asked(now, &announce.info_hash);
        let news = if left { News::Left } else { News::Here(role) };
        self.queue.push_back(Told {
            info_hash: announce.info_hash,
            peer: Compact::of(announce.address),
            news,
            ask,
            at: now,
        });
        ask
    }

    /// Moves at most `most` to `out`, those first that came first.
    pub fn take(&mut self, most: usize, out: &mut Vec<Told>) {
        out.extend(self.queue.drain(..most.min(self.queue.len())));
    }

    /// When the first that is still here came.
    pub fn oldest(&self) -> Option<Time> {
        self.queue.front().map(|told| told.at)
    }

    /// How many announces were left out for want of room.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether a swarm was not asked about lately; it counts as asked about from now on.
    fn is_to_be_asked(&mut self, now: Time, info_hash: &InfoHash) -> bool {
        let Some(&[a, b, c, d, e, f, g, h]) = info_hash.as_bytes().first_chunk() else { return false };
        let (place, tag) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        let second = u32::try_from(now.as_micros() / 1_000_000 + 1).unwrap_or(u32::MAX);
        let Some(asked) = self.asked.get_mut(place as usize % REMEMBERED) else { return false };
        let lately = u64::from(second.saturating_sub(asked.second)) < ASK_EVERY.as_secs();
        if asked.tag == tag && asked.second > 0 && lately {
            return false;
        }
        *asked = Asked { tag, second };
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn announce(swarm: u8, port: u16, left: u64, event: Event) -> Announce {
        let info_hash = InfoHash::new([swarm; 20]);
        Announce { info_hash, address: ([192, 0, 2, 1], port).into(), left, event, numwant: None }
    }

    fn known(complete: u32, incomplete: u32) -> ScrapeStats {
        ScrapeStats { complete, incomplete, ..ScrapeStats::default() }
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    fn taken(outbox: &mut Outbox) -> Vec<Told> {
        let mut told = Vec::new();
        outbox.take(usize::MAX, &mut told);
        told
    }

    #[test]
    fn announces_are_told_in_their_order_with_what_the_peer_does() {
        let mut outbox = Outbox::new(10);
        outbox.tell(at(1), &announce(1, 1, 5, Event::Started), &known(0, 1), None);
        outbox.tell(at(2), &announce(1, 1, 5, Event::Paused), &known(0, 1), None);
        outbox.tell(at(3), &announce(1, 1, 0, Event::Completed), &known(1, 0), None);
        outbox.tell(at(4), &announce(1, 1, 0, Event::Stopped), &known(0, 0), None);
        assert_eq!(outbox.oldest(), Some(at(1)));
        let told = taken(&mut outbox);
        let news: Vec<_> = told.iter().map(|told| told.news).collect();
        let here = News::Here;
        assert_eq!(news, [here(Role::Downloader), here(Role::PartialSeed), here(Role::Seed), News::Left]);
        assert_eq!(told[3].peer, Compact::V4([192, 0, 2, 1, 0, 1]));
        assert_eq!((outbox.oldest(), outbox.dropped()), (None, 0));
    }

    #[test]
    fn whoever_went_for_a_neighbour_leaves_before_the_neighbour_comes() {
        let mut outbox = Outbox::new(3);
        let place = |port| Compact::V4([192, 0, 2, 1, 0, port]);
        outbox.tell(at(0), &announce(1, 2, 1, Event::Started), &known(0, 1), Some(place(1)));
        outbox.tell(at(0), &announce(1, 3, 1, Event::Started), &known(0, 1), Some(place(2)));
        assert_eq!(outbox.dropped(), 1);
        let told: Vec<_> = taken(&mut outbox).iter().map(|told| (told.peer, told.news)).collect();
        let here = News::Here(Role::Downloader);
        assert_eq!(told, [(place(1), News::Left), (place(2), here), (place(2), News::Left)]);
    }

    #[test]
    fn what_there_is_no_room_for_is_left_out_and_counted() {
        let mut outbox = Outbox::new(3);
        for port in 1..=5 {
            outbox.tell(at(0), &announce(1, port, 1, Event::Started), &known(0, 1), None);
        }
        assert_eq!(outbox.dropped(), 2);
        let mut told = Vec::new();
        outbox.take(2, &mut told);
        assert_eq!(told.len(), 2);
        outbox.tell(at(0), &announce(1, 6, 1, Event::Started), &known(0, 1), None);
        assert_eq!((taken(&mut outbox).len(), outbox.dropped()), (2, 2));
    }

    #[test]
    fn a_thin_swarm_is_asked_about_once_in_a_while() {
        let mut outbox = Outbox::new(100);
        let mut asks = |second, swarm| {
            outbox.tell(at(second), &announce(swarm, 1, 1, Event::Started), &known(0, 1), None)
        };
        assert!(asks(0, 1));
        assert!(asks(1, 2), "another");
        assert!(!asks(14, 1));
        assert!(asks(15, 1));
        assert!(!asks(29, 1));
        assert!(asks(30, 1));
        assert!(
            !outbox.tell(at(90), &announce(1, 1, 1, Event::Stopped), &known(0, 1), None),
            "who leaves needs nobody"
        );
        assert_eq!(taken(&mut outbox).iter().filter(|told| told.ask).count(), 4);
    }

    #[test]
    fn a_swarm_is_thin_for_whom_it_has_few_of_use() {
        assert!(is_thin(Role::Downloader, &known(1, 1)));
        assert!(is_thin(Role::Downloader, &known(0, 1000)), "nobody here has it all");
        assert!(!is_thin(Role::Downloader, &known(1, 49)));
        assert!(is_thin(Role::Seed, &known(1000, 49)));
        assert!(!is_thin(Role::Seed, &known(0, 50)));
        assert!(!is_thin(Role::PartialSeed, &known(0, 50)));
        assert!(!is_thin(Role::Downloader, &known(u32::MAX, u32::MAX)));
    }
}
