//! How many blocks to keep requested of one peer, and which are.
//!
//! Purpose: keep the path full without a queue that is longer than it needs. The depth is the delivery rate times
//! the round trip, with room to grow, plus a fixed slice of time that hides the other side's hiccups. The rate is
//! measured as congestion controls do: bytes delivered between a request and its block, over that time, so a path
//! that is limited by the depth shows a rate that asks for more depth, and a path that is full does not.
//!
//! Invariant: a block is outstanding at most once, and at most [`MAX_DEPTH`] are.
//!
//! It decides how many, never which: that is the picker's.

use std::collections::VecDeque;
use std::time::Duration;

use super::reading::ReadingClock;
use crate::{BLOCK_LENGTH, Block, Time};

/// The most requests out at once, however many a peer says that it takes (`reqq` of BEP 10): what libtorrent and we
/// ourselves take, and 160 MB/s over 200 ms.
pub const MAX_DEPTH: usize = 2000;

/// Of a peer that does not say: Transmission drops those over 500.
const UNSAID_LIMIT: usize = 500;

/// The most for the sake of [`HEADROOM`]: beyond it only the path itself asks for more. On a path of next to no length
/// a deeper queue hides nothing, it only spreads over more memory than a cache holds.
const MAX_HEADROOM_DEPTH: usize = 500;

/// Before anything is measured: 1 MiB, which 100 ms of round trip turn into 10 MiB/s.
const START_DEPTH: usize = 64;

/// The least of a link that delivers all: peers that serve their requests in turns of time must find a few.
const MIN_DEPTH: usize = 8;

/// The least of one among many.
const MIN_SHARED_DEPTH: usize = 4;

/// What a peer that went silent is asked for, to see whether it lives.
const SNUBBED_DEPTH: usize = 1;

/// Time of delivery kept requested beyond two round trips of a link that delivers all: hiccups of the other side cost
/// nothing.
const HEADROOM: Duration = Duration::from_millis(150);

/// Time of delivery kept requested beyond a fifth more than the round trip of a link among many. What waits in queues
/// then waits while a rarer piece could come; while one link hiccups the others are faster.
const SHARED_HEADROOM: Duration = Duration::from_millis(20);

/// All of what comes, as a share of one link.
const ALL: u64 = 1000;

/// How much of what comes, in thousandths, comes from one link: the more it is, the deeper its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u32);

impl Share {
    /// The link is all that delivers.
    pub const ALL: Self = Self(1000);

    /// A link that delivers `rate` of `all` bytes a second; where nothing comes yet, an equal part of so many `links`.
    #[must_use]
    pub fn new(rate: u64, all: u64, links: usize) -> Self {
        let links = u64::try_from(links).unwrap_or(u64::MAX).max(1);
        let share = if rate == 0 { ALL / links } else { rate.saturating_mul(ALL) / all.max(1) };
        Self(u32::try_from(share.min(ALL)).unwrap_or(1000))
    }

    /// From `shared` for no share to `whole` for all.
    fn between(self, shared: usize, whole: usize) -> usize {
        shared + (whole - shared) * usize::try_from(self.0).unwrap_or(0) / 1000
    }
}

/// How long the highest rate seen is believed; two such windows overlap.
const RATE_WINDOW: Duration = Duration::from_secs(2);

/// A peer that owes blocks and sent none for so long is snubbed (libtorrent's value).
pub const SNUB_AFTER: Duration = Duration::from_secs(20);

/// A request that was overtaken or forgotten by the peer is given up after so long.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// Blocks that may still arrive though nobody waits for them: they are late, not unasked for.
const MAX_LATE: usize = 2 * MAX_DEPTH;

#[derive(Clone, Copy, Debug)]
struct Request {
    block: Block,
    sent: Time,
    /// The same on the clock that counts how late it is.
    waits_since: Time,
    delivered_before: u64,
}

/// What a block that came, or was refused, was to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It was outstanding.
    Expected,
    /// It was asked for and given up meanwhile.
    Late,
    /// It was never asked for.
    Unasked,
}

/// The requests of one link.
#[derive(Debug)]
pub struct Pipeline {
    outstanding: VecDeque<Request>,
    late: VecDeque<Block>,
    delivered: u64,
    shortest: Option<Duration>,
    best: [u64; 2],
    window_began: Time,
    /// What lateness is measured with.
    clock: ReadingClock,
    /// On that clock.
    last_progress: Time,
    snubbed: bool,
    /// The most that the peer takes.
    limit: usize,
}

impl Pipeline {
    /// A pipeline with nothing asked.
    #[must_use]
    pub fn new(now: Time) -> Self {
        Self {
            outstanding: VecDeque::new(),
            late: VecDeque::new(),
            delivered: 0,
            shortest: None,
            best: [0; 2],
            window_began: now,
            clock: ReadingClock::default(),
            last_progress: now,
            snubbed: false,
            limit: UNSAID_LIMIT,
        }
    }

    /// The peer says how many requests it holds before it drops any.
    pub fn set_limit(&mut self, requests: u16) {
        self.limit = usize::from(requests).clamp(1, MAX_DEPTH);
    }

    /// Blocks asked for and not here yet.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// How many may be outstanding now, on a link that delivers this share of what comes.
    #[must_use]
    pub fn depth(&self, share: Share) -> usize {
        if self.snubbed {
            return SNUBBED_DEPTH;
        }
        let least = share.between(MIN_SHARED_DEPTH, MIN_DEPTH);
        let Some(shortest) = self.shortest else {
            return share.between(least, START_DEPTH).min(self.limit);
        };
        let rate = u128::from(self.best[0].max(self.best[1]));
        // From 1.2 round trips to 2.
        let paths = shortest * (1200 + 800 * share.0 / 1000) / 1000;
        let headroom = SHARED_HEADROOM + (HEADROOM - SHARED_HEADROOM) * share.0 / 1000;
        let blocks = |time: Duration| {
            let blocks = rate * time.as_micros() / 1_000_000 / u128::from(BLOCK_LENGTH);
            usize::try_from(blocks).unwrap_or(MAX_DEPTH).min(MAX_DEPTH)
        };
        let depth = blocks(paths).max(blocks(paths + headroom).min(MAX_HEADROOM_DEPTH));
        depth.max(least).min(self.limit)
    }

    /// How many more to ask for.
    #[must_use]
    pub fn room(&self, share: Share) -> usize {
        self.depth(share).saturating_sub(self.outstanding.len())
    }

    /// A request goes out.
    pub fn asked(&mut self, now: Time, block: Block) {
        let waits_since = self.clock.at(now);
        if self.outstanding.is_empty() {
            self.last_progress = waits_since;
        }
        let delivered_before = self.delivered;
        self.outstanding.push_back(Request { block, sent: now, waits_since, delivered_before });
    }

    /// A block came.
    pub fn arrived(&mut self, now: Time, block: Block) -> Arrival {
        let Some(at) = self.outstanding.iter().position(|r| r.block == block) else {
            return self.forget_late(block);
        };
        if let Some(request) = self.outstanding.remove(at) {
            self.delivered += u64::from(block.length);
            self.measure(now, request);
        }
        self.snubbed = false;
        self.last_progress = self.clock.at(now);
        Arrival::Expected
    }

    fn forget_late(&mut self, block: Block) -> Arrival {
        match self.late.iter().position(|&late| late == block) {
            Some(at) => {
                self.late.remove(at);
                Arrival::Late
            }
            None => Arrival::Unasked,
        }
    }

    /// The peer refuses a block (BEP 6): it will not come. Answers what it was to us, as [`Pipeline::arrived`] does.
    pub fn rejected(&mut self, block: Block) -> Arrival {
        match self.outstanding.iter().position(|r| r.block == block) {
            Some(at) => {
                self.outstanding.remove(at);
                Arrival::Expected
            }
            None => self.forget_late(block),
        }
    }

    fn measure(&mut self, now: Time, request: Request) {
        let took = now.saturating_since(request.sent).max(Duration::from_micros(1));
        self.shortest = Some(self.shortest.map_or(took, |shortest| shortest.min(took)));
        if now.saturating_since(self.window_began) >= RATE_WINDOW {
            self.best = [0, self.best[0]];
            self.window_began = now;
        }
        let bytes = u128::from(self.delivered - request.delivered_before);
        let rate = u64::try_from(bytes * 1_000_000 / took.as_micros()).unwrap_or(u64::MAX);
        self.best[0] = self.best[0].max(rate);
    }

    /// Nobody waits for this block any more (cancelled). Answers whether it was outstanding.
    pub fn give_up(&mut self, block: Block) -> bool {
        let Some(at) = self.outstanding.iter().position(|r| r.block == block) else { return false };
        self.outstanding.remove(at);
        self.remember_late(block);
        true
    }

    /// Nothing that is outstanding will come (choked, closing): all of it, oldest first.
    pub fn give_up_all(&mut self) -> Vec<Block> {
        let blocks: Vec<Block> = self.outstanding.drain(..).map(|r| r.block).collect();
        blocks.iter().for_each(|&block| self.remember_late(block));
        blocks
    }

    fn remember_late(&mut self, block: Block) {
        if self.late.len() == MAX_LATE {
            self.late.pop_front();
        }
        self.late.push_back(block);
    }

    /// The peer is not read from now on, for lack of room, or is read again: meanwhile nothing of it is late.
    pub(crate) fn set_held_up(&mut self, now: Time, held_up: bool) {
        self.clock.set_stopped(now, held_up);
    }

    /// Whether the peer is not read for lack of room.
    pub(crate) fn is_held_up(&self) -> bool {
        self.clock.is_stopped()
    }

    /// Whether the peer went silent while it owed blocks.
    #[must_use]
    pub fn is_snubbed(&self) -> bool {
        self.snubbed
    }

    /// Gives up what is overdue: everything where the peer is silent (it is snubbed from here on), single requests
    /// that it seems to have forgotten.
    pub fn overdue(&mut self, now: Time) -> Vec<Block> {
        if self.outstanding.is_empty() {
            return Vec::new();
        }
        let now = self.clock.at(now);
        if now.saturating_since(self.last_progress) >= SNUB_AFTER {
            self.snubbed = true;
            self.last_progress = now;
            return self.give_up_all();
        }
        let forgotten: Vec<Block> = self
            .outstanding
            .iter()
            .filter(|r| now.saturating_since(r.waits_since) >= GIVE_UP_AFTER)
            .map(|r| r.block)
            .collect();
        for &block in &forgotten {
            self.give_up(block);
        }
        forgotten
    }

    /// The earliest time at which [`Pipeline::overdue`] can have something.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        // They stand in the order in which they were asked for.
        let oldest = self.outstanding.front()?.waits_since;
        self.clock.when((self.last_progress + SNUB_AFTER).min(oldest + GIVE_UP_AFTER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(n: u32) -> Block {
        Block { piece: n, begin: 0, length: BLOCK_LENGTH }
    }

    /// A path that delivers `rate` bytes a second after `latency`, driven for `seconds`: the depth at the end and
    /// the bytes delivered in the last second.
    fn run(rate: u64, latency: Duration, seconds: u64) -> (usize, u64) {
        run_to(None, rate, latency, seconds)
    }

    /// As [`run`] does, to a peer that says how many requests it takes.
    fn run_to(reqq: Option<u16>, rate: u64, latency: Duration, seconds: u64) -> (usize, u64) {
        let mut pipeline = Pipeline::new(Time::ZERO);
        reqq.into_iter().for_each(|requests| pipeline.set_limit(requests));
        let mut sending: VecDeque<(Time, Block)> = VecDeque::new();
        let per_block = Duration::from_micros(u64::from(BLOCK_LENGTH) * 1_000_000 / rate);
        let (mut now, mut next, mut free, mut last) = (Time::ZERO, 0, Time::ZERO, 0);
        let end = Time::ZERO + Duration::from_secs(seconds);
        while now < end {
            while pipeline.room(Share::ALL) > 0 {
                next += 1;
                pipeline.asked(now, block(next));
                free = free.max(now + latency / 2) + per_block;
                sending.push_back((free + latency / 2, block(next)));
            }
            let (at, arrived) = sending.pop_front().unwrap();
            now = at;
            assert_eq!(pipeline.arrived(now, arrived), Arrival::Expected);
            if now + Duration::from_secs(1) >= end {
                last += u64::from(BLOCK_LENGTH);
            }
        }
        (pipeline.depth(Share::ALL), last)
    }

    #[test]
    fn a_long_path_is_filled() {
        // 10 MB/s over 200 ms hold 122 blocks.
        let (depth, last) = run(10_000_000, Duration::from_millis(200), 10);
        assert!(depth > 122, "{depth}");
        assert!(last > 9_500_000, "{last}");
    }

    #[test]
    fn the_depth_follows_the_rate_and_stays_short_on_slow_paths() {
        let slow = run(500_000, Duration::from_millis(20), 10).0;
        let fast = run(20_000_000, Duration::from_millis(20), 10).0;
        let local = run(800_000_000, Duration::from_micros(200), 2).0;
        assert_eq!(slow, MIN_DEPTH);
        assert!((200..400).contains(&fast), "{fast}");
        assert_eq!(local, MAX_HEADROOM_DEPTH, "headroom, not path");
    }

    #[test]
    fn only_a_long_fast_path_is_asked_for_as_much_as_a_peer_says_that_it_takes() {
        let (rate, latency) = (150_000_000, Duration::from_millis(100));
        let (unsaid, (depth, last)) = (run_to(None, rate, latency, 5), run_to(Some(2000), rate, latency, 5));
        assert_eq!(unsaid.0, UNSAID_LIMIT);
        // The path holds 915 blocks.
        assert!((915..=MAX_DEPTH).contains(&depth), "{depth}");
        assert!(last > 149_000_000, "{last}");
    }

    #[test]
    fn a_long_path_is_full_after_a_few_round_trips() {
        // 128 MiB at 100 ms are eight round trips if each but the first few brings as much as peers let wait.
        let (_, first) = run_to(Some(2000), 1_000_000_000, Duration::from_millis(100), 1);
        assert!(first > 128 << 20, "{first}");
    }

    #[test]
    fn a_silent_peer_is_snubbed_and_asked_for_one_block_until_it_answers() {
        let mut pipeline = Pipeline::new(Time::ZERO);
        (0..10).for_each(|n| pipeline.asked(Time::ZERO, block(n)));
        let deadline = pipeline.deadline().unwrap();
        assert_eq!(deadline, Time::ZERO + SNUB_AFTER);
        assert!(pipeline.overdue(Time::ZERO + SNUB_AFTER / 2).is_empty());
        assert_eq!(pipeline.overdue(deadline).len(), 10);
        assert_eq!((pipeline.is_snubbed(), pipeline.room(Share::ALL)), (true, 1));
        pipeline.asked(deadline, block(11));
        assert_eq!(pipeline.arrived(deadline, block(3)), Arrival::Late);
        assert_eq!(pipeline.arrived(deadline, block(3)), Arrival::Unasked);
        assert_eq!(pipeline.arrived(deadline, block(11)), Arrival::Expected);
        assert!(!pipeline.is_snubbed());
    }

    #[test]
    fn a_request_that_the_peer_forgot_is_given_up_while_others_arrive() {
        let mut pipeline = Pipeline::new(Time::ZERO);
        pipeline.asked(Time::ZERO, block(0));
        for second in 1..60u32 {
            let now = Time::ZERO + Duration::from_secs(u64::from(second));
            pipeline.asked(now, block(second));
            assert_eq!(pipeline.arrived(now, block(second)), Arrival::Expected);
            assert!(pipeline.overdue(now).is_empty());
        }
        assert_eq!(pipeline.deadline(), Some(Time::ZERO + GIVE_UP_AFTER));
        assert_eq!(pipeline.overdue(Time::ZERO + GIVE_UP_AFTER), [block(0)]);
        assert!(!pipeline.is_snubbed());
    }

    #[test]
    fn h36_a_peer_that_takes_few_requests_gets_no_more_and_one_that_claims_to_take_many_no_more_than_others()
    {
        let mut pipeline = Pipeline::new(Time::ZERO);
        pipeline.set_limit(5);
        assert_eq!((pipeline.depth(Share::ALL), pipeline.room(Share::ALL)), (5, 5));
        pipeline.asked(Time::ZERO, block(0));
        pipeline.arrived(Time::ZERO + Duration::from_micros(1), block(0));
        assert_eq!(pipeline.depth(Share::ALL), 5, "however fast it is");
        pipeline.set_limit(0);
        assert_eq!(pipeline.depth(Share::ALL), 1);
        pipeline.set_limit(u16::MAX);
        assert_eq!(pipeline.depth(Share::ALL), MAX_HEADROOM_DEPTH, "its path is short");
        // A path as long as a peer likes: it answers late, and all at once.
        let late = Time::ZERO + Duration::from_secs(10);
        let mut pipeline = Pipeline::new(Time::ZERO);
        pipeline.set_limit(u16::MAX);
        (0..5000).for_each(|n| pipeline.asked(Time::ZERO, block(n)));
        (0..5000).for_each(|n| assert_eq!(pipeline.arrived(late, block(n)), Arrival::Expected));
        assert_eq!(pipeline.depth(Share::ALL), MAX_DEPTH);
    }

    #[test]
    fn a_refused_block_is_not_waited_for() {
        let mut pipeline = Pipeline::new(Time::ZERO);
        (0..2).for_each(|n| pipeline.asked(Time::ZERO, block(n)));
        assert_eq!(pipeline.rejected(block(0)), Arrival::Expected);
        assert_eq!((pipeline.outstanding(), pipeline.rejected(block(0))), (1, Arrival::Unasked));
        pipeline.give_up(block(1));
        assert_eq!(pipeline.rejected(block(1)), Arrival::Late, "it was cancelled meanwhile");
        assert_eq!(pipeline.rejected(block(1)), Arrival::Unasked);
    }

    #[test]
    fn what_is_remembered_as_late_is_bounded() {
        let mut pipeline = Pipeline::new(Time::ZERO);
        for n in 0..5000 {
            pipeline.asked(Time::ZERO, block(n));
            pipeline.give_up_all();
        }
        assert_eq!(pipeline.late.len(), MAX_LATE);
        assert_eq!(pipeline.deadline(), None);
    }
}
