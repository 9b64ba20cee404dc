//! The picker against a model that keeps everything in sets and looks at everything each time.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::availability::index;
use super::endgame::MAX_A_LINK;
use super::*;

const BLOCKS: u32 = 3;

#[derive(Clone, Debug)]
enum Step {
    Open(u64),
    Close(usize),
    Have(usize, u32),
    PeerLost(usize, u32),
    Pick(usize, usize),
    Deliver(usize),
    DeliverLate(usize),
    Release(usize),
    Choke(usize),
    Lost(u32),
    Want(u64),
    Sequential(bool),
    /// What is on disk of a failed piece is known.
    Digested(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => prop_oneof![any::<u64>(), Just(u64::MAX), Just(0)].prop_map(Step::Open),
        1 => any::<usize>().prop_map(Step::Close),
        3 => (any::<usize>(), 0u32..20).prop_map(|(n, piece)| Step::Have(n, piece)),
        1 => (any::<usize>(), 0u32..20).prop_map(|(n, piece)| Step::PeerLost(n, piece)),
        8 => (any::<usize>(), 1usize..8).prop_map(|(n, want)| Step::Pick(n, want)),
        16 => any::<usize>().prop_map(Step::Deliver),
        1 => any::<usize>().prop_map(Step::DeliverLate),
        2 => any::<usize>().prop_map(Step::Release),
        1 => any::<usize>().prop_map(Step::Choke),
        1 => (0u32..20).prop_map(Step::Lost),
        1 => prop_oneof![any::<u64>(), Just(u64::MAX)].prop_map(Step::Want),
        1 => any::<bool>().prop_map(Step::Sequential),
        2 => any::<usize>().prop_map(Step::Digested),
    ]
}

type Key = (u32, u32);

struct Model {
    picker: Picker,
    geometry: Geometry,
    rng: ChaCha8Rng,
    links: BTreeMap<LinkId, Bitfield>,
    next: u32,
    ours: BTreeSet<u32>,
    wanted: BTreeSet<u32>,
    sequential: bool,
    received: BTreeMap<Key, LinkId>,
    /// Every link that owes a block, the one asked first in front.
    asked: BTreeMap<Key, Vec<LinkId>>,
    released: Vec<(LinkId, Key)>,
    failures: BTreeSet<u32>,
    withheld: BTreeSet<u32>,
    /// Rolls whether a piece is good.
    dice: u32,
}

impl Model {
    fn new(pieces: u32, seed: u64) -> Self {
        // The last block is cut.
        let geometry =
            Geometry::new(u64::from(pieces * BLOCKS * BLOCK_LENGTH - 5), BLOCKS * BLOCK_LENGTH).unwrap();
        Self {
            picker: Picker::new(geometry, &Bitfield::new(pieces)),
            geometry,
            rng: ChaCha8Rng::seed_from_u64(seed),
            links: BTreeMap::new(),
            next: 0,
            ours: BTreeSet::new(),
            wanted: (0..pieces).collect(),
            sequential: false,
            received: BTreeMap::new(),
            asked: BTreeMap::new(),
            released: Vec::new(),
            failures: BTreeSet::new(),
            withheld: BTreeSet::new(),
            dice: 0,
        }
    }

    fn pieces(&self) -> u32 {
        self.geometry.piece_count()
    }

    fn keys(&self) -> impl Iterator<Item = Key> + use<> {
        (0..self.pieces()).flat_map(|piece| (0..BLOCKS).map(move |at| (piece, at)))
    }

    fn block(&self, (piece, at): Key) -> Block {
        self.geometry.block(piece, at)
    }

    fn availability(&self, piece: u32) -> u32 {
        u32::try_from(self.links.values().filter(|has| has.get(piece)).count()).unwrap()
    }

    fn is_free(&self, key: &Key) -> bool {
        !self.ours.contains(&key.0) && !self.received.contains_key(key) && !self.asked.contains_key(key)
    }

    fn is_untouched(&self, piece: u32) -> bool {
        (0..BLOCKS).all(|at| self.is_free(&(piece, at)))
    }

    /// Whether a free block of a piece may be asked for: pieces that are not wanted are finished, but not begun.
    fn may_fetch(&self, piece: u32) -> bool {
        self.wanted.contains(&piece) || !self.is_untouched(piece)
    }

    fn link(&self, n: usize) -> Option<LinkId> {
        let count = self.links.len();
        (count > 0).then(|| *self.links.keys().nth(n % count).unwrap())
    }

    fn owed(&self, n: usize) -> Option<(LinkId, Key)> {
        let owed: Vec<_> =
            self.asked.iter().flat_map(|(key, links)| links.iter().map(|link| (*link, *key))).collect();
        (!owed.is_empty()).then(|| owed[n % owed.len()])
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Open(bits) => {
                let mut has = Bitfield::new(self.pieces());
                (0..self.pieces()).filter(|piece| bits >> piece & 1 == 1).for_each(|piece| {
                    has.set(piece);
                });
                self.picker.add_peer(&has);
                self.links.insert(LinkId(self.next), has);
                self.next += 1;
            }
            Step::Close(n) => {
                let Some(link) = self.link(n) else { return };
                self.release_all(link);
                self.picker.remove_peer(&self.links.remove(&link).unwrap());
            }
            Step::Have(n, piece) => {
                let Some(link) = self.link(n) else { return };
                if self.links.get_mut(&link).unwrap().set(piece) {
                    self.picker.peer_has(piece);
                }
            }
            Step::PeerLost(n, piece) => {
                let Some(link) = self.link(n) else { return };
                self.picker.peer_lost(&self.links[&link], piece);
                self.links.get_mut(&link).unwrap().clear(piece);
            }
            Step::Pick(n, want) => {
                if let Some(link) = self.link(n) {
                    self.pick(link, want);
                }
            }
            Step::Deliver(n) => {
                if let Some((link, key)) = self.owed(n) {
                    self.deliver(link, key);
                }
            }
            Step::DeliverLate(n) => {
                if !self.released.is_empty() {
                    let (link, key) = self.released.swap_remove(n % self.released.len());
                    self.deliver(link, key);
                }
            }
            Step::Release(n) => {
                if let Some((link, key)) = self.owed(n) {
                    self.release(link, key);
                }
            }
            Step::Choke(n) => {
                if let Some(link) = self.link(n) {
                    self.release_all(link);
                }
            }
            Step::Lost(piece) => {
                self.picker.lost(piece);
                self.ours.remove(&piece);
            }
            Step::Want(bits) => {
                self.wanted = (0..self.pieces()).filter(|piece| bits >> piece & 1 == 1).collect();
                let mut wanted = Bitfield::new(self.pieces());
                self.wanted.iter().for_each(|&piece| {
                    wanted.set(piece);
                });
                self.picker.set_wanted(&wanted);
            }
            Step::Sequential(on) => {
                self.sequential = on;
                self.picker.set_sequential(on);
            }
            Step::Digested(n) => {
                let count = self.withheld.len();
                let Some(piece) = (count > 0).then(|| *self.withheld.iter().nth(n % count).unwrap()) else {
                    return;
                };
                self.withheld.remove(&piece);
                self.picker.offer_again(piece);
            }
        }
    }

    fn release(&mut self, link: LinkId, key: Key) {
        self.picker.release(link, self.block(key));
        self.forget_asker(link, key);
        self.released.push((link, key));
    }

    fn forget_asker(&mut self, link: LinkId, key: Key) {
        if let Some(links) = self.asked.get_mut(&key) {
            links.retain(|other| *other != link);
            if links.is_empty() {
                self.asked.remove(&key);
            }
        }
    }

    fn release_all(&mut self, link: LinkId) {
        let owed: Vec<Key> =
            self.asked.iter().filter(|(_, links)| links.contains(&link)).map(|(key, _)| *key).collect();
        owed.into_iter().for_each(|key| self.release(link, key));
    }

    fn pick(&mut self, link: LinkId, want: usize) {
        let has = self.links[&link].clone();
        let free = |model: &Self, key: &Key| model.is_free(key) && has.get(key.0) && model.may_fetch(key.0);
        let could = self.keys().filter(|key| free(self, key) && !self.failures.contains(&key.0)).count();
        let fresh: Vec<u32> = (0..self.pieces())
            .filter(|piece| has.get(*piece) && self.wanted.contains(piece) && self.is_untouched(*piece))
            .filter(|piece| !self.failures.contains(piece))
            .collect();
        let rarest = fresh.iter().map(|&piece| self.availability(piece)).min();
        let mut out = Vec::new();
        self.picker.pick(link, &has, want, &mut self.rng, &mut out);
        assert!(out.len() <= want);
        // Exclusive pieces apart, whatever can be asked for is.
        assert!(out.len() >= want.min(could), "{} of {could}", out.len());
        let mut begun = None;
        for (n, block) in out.iter().enumerate() {
            let key = (block.piece, block.begin / BLOCK_LENGTH);
            assert_eq!(*block, self.block(key));
            assert!(has.get(key.0) && !self.ours.contains(&key.0) && !self.received.contains_key(&key));
            if self.is_untouched(key.0) && begun.is_none() && !self.failures.contains(&key.0) {
                begun = Some(key.0);
                let avail = self.availability(key.0);
                let foremost = self.sequential && fresh.first() == Some(&key.0);
                assert!(
                    foremost || Some(avail) == rarest,
                    "piece {} of {avail}, the rarest {rarest:?}",
                    key.0
                );
            }
            assert!(self.may_fetch(key.0), "piece {} is begun and not wanted", key.0);
            assert!(!self.withheld.contains(&key.0), "piece {} is withheld", key.0);
            let unasked = self.keys().any(|key| {
                self.is_free(&key)
                    && self.may_fetch(key.0)
                    && self.availability(key.0) > 0
                    && !self.failures.contains(&key.0)
            });
            let links = self.asked.entry(key).or_default();
            if !links.is_empty() {
                assert!(!unasked, "block {n} of {out:?} is asked for twice before the end game");
                assert!(!self.failures.contains(&key.0));
            }
            assert!(!links.contains(&link), "twice of the same link");
            links.push(link);
            assert!(links.len() <= 2);
        }
        let doubled = self.asked.values().filter(|links| links.get(1) == Some(&link)).count();
        assert!(doubled <= index(MAX_A_LINK));
    }

    fn deliver(&mut self, link: LinkId, key: Key) {
        let answer = self.picker.received(link, self.block(key));
        self.released.retain(|released| *released != (link, key));
        if self.ours.contains(&key.0) || self.received.contains_key(&key) {
            assert_eq!(answer, Received::Duplicate);
            self.forget_asker(link, key);
            return;
        }
        let asked = self.asked.get(&key).is_some_and(|links| links.contains(&link));
        if answer == Received::Unasked {
            assert!(
                !asked && self.failures.contains(&key.0),
                "only a suspicious piece is refused, and only late"
            );
            return;
        }
        let others: Vec<LinkId> =
            self.asked.remove(&key).unwrap_or_default().into_iter().filter(|other| *other != link).collect();
        self.released.extend(others.iter().map(|other| (*other, key)));
        self.received.insert(key, link);
        let of_piece = |model: &Self| -> Vec<LinkId> {
            model.received.range((key.0, 0)..(key.0 + 1, 0)).map(|(_, link)| *link).collect()
        };
        let contributors = of_piece(self);
        let piece_complete = contributors.len() == index(BLOCKS);
        assert_eq!(answer, Received::New { piece_complete, cancel: others });
        if piece_complete {
            self.dice += 1;
            self.received.retain(|(piece, _), _| *piece != key.0);
            if self.dice.is_multiple_of(3) {
                let distinct: BTreeSet<LinkId> = contributors.iter().copied().collect();
                if distinct.len() > 1 {
                    self.failures.insert(key.0);
                }
                let due = Contributions::new(contributors.into_iter().map(Some));
                assert!(due.links().iter().eq(&distinct));
                assert_eq!(self.picker.piece_failed(key.0), due);
                if self.dice.is_multiple_of(2) && distinct.len() > 1 {
                    self.picker.withhold(key.0);
                    self.withheld.insert(key.0);
                }
            } else {
                self.picker.piece_good(key.0);
                self.failures.remove(&key.0);
                self.ours.insert(key.0);
            }
        }
    }

    fn check(&self) {
        self.picker.check();
        for piece in 0..self.pieces() {
            assert_eq!(self.picker.availability(piece), self.availability(piece));
        }
        for key in self.keys() {
            let state = self.picker.partials.slot(key.0).map(|slot| self.picker.partials.get(slot));
            let expected = match (self.received.contains_key(&key), self.asked.get(&key)) {
                (true, _) => State::Received,
                (false, Some(links)) => State::Asked(links[0]),
                (false, None) => State::Free,
            };
            assert_eq!(state.map_or(State::Free, |partial| partial.blocks.state(key.1)), expected);
        }
        let bytes: u64 = self.received.keys().map(|key| u64::from(self.block(*key).length)).sum();
        assert_eq!(self.picker.partial_bytes(), bytes);
        let missing: Vec<u32> = self.wanted.difference(&self.ours).copied().collect();
        assert_eq!(index(self.picker.missing_pieces()), missing.len());
        for has in self.links.values() {
            let interesting = missing.iter().any(|&piece| has.get(piece));
            assert_eq!(self.picker.is_interesting(has), interesting);
        }
    }

    /// From here on one seed that delivers what it is asked for.
    fn finish(&mut self) {
        let all: Vec<LinkId> = self.links.keys().copied().collect();
        all.iter().for_each(|&link| self.release_all(link));
        self.run(&Step::Open(u64::MAX));
        let seed = LinkId(self.next - 1);
        for _ in 0..1000 {
            if self.picker.missing_pieces() == 0 {
                return;
            }
            (0..self.withheld.len()).for_each(|_| self.run(&Step::Digested(0)));
            self.pick(seed, 4);
            let owed: Vec<Key> = self.asked.keys().copied().collect();
            owed.into_iter().for_each(|key| self.deliver(seed, key));
        }
        panic!("left over: {:?}", self.picker.partials);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn it_does_what_the_model_says_and_always_comes_to_an_end(
        pieces in 1u32..20,
        seed: u64,
        steps in prop::collection::vec(step(), 1..250),
    ) {
        let mut model = Model::new(pieces, seed);
        for step in &steps {
            model.run(step);
            model.check();
        }
        model.finish();
        model.check();
    }

    #[test]
    fn the_buckets_stay_sorted_whatever_comes_and_goes(
        pieces in 1u32..300,
        steps in prop::collection::vec((0u8..6, any::<u64>(), 1u64..40), 1..60),
    ) {
        let mut availability = Availability::new(&Bitfield::new(pieces));
        let mut peers: Vec<Bitfield> = Vec::new();
        for (kind, number, every) in steps {
            let piece = u32::try_from(number % u64::from(pieces)).unwrap();
            match (kind, peers.len()) {
                (0, _) | (1, 0) | (2, 0) => {
                    let mut has = Bitfield::new(pieces);
                    (0..pieces).filter(|&n| (u64::from(n) ^ number).is_multiple_of(every)).for_each(|n| {
                        has.set(n);
                    });
                    availability.add(&has);
                    peers.push(has);
                }
                (1, count) => {
                    let gone = peers.swap_remove(usize::try_from(number).unwrap() % count);
                    availability.remove(&gone);
                }
                (2, count) => {
                    // Up to a seed, one by one.
                    let peer = &mut peers[usize::try_from(number).unwrap() % count];
                    (0..pieces).filter(|n| every % 2 == 0 || n % 2 == 0).for_each(|n| {
                        if peer.set(n) {
                            availability.increment(n);
                        }
                    });
                }
                (3, _) => availability.offer(piece),
                _ => availability.withdraw(piece),
            }
            availability.check();
            for piece in 0..pieces {
                let count = peers.iter().filter(|has| has.get(piece)).count();
                prop_assert_eq!(index(availability.of(piece)), count);
            }
        }
    }
}
