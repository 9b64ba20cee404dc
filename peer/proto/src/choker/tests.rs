use std::collections::BTreeSet;

use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;

fn at(seconds: u64) -> Time {
    Time::ZERO + Duration::from_secs(seconds)
}

/// A choked old link that wants something and gives `down_rate`.
fn peer(link: u32, down_rate: u64) -> Standing {
    Standing {
        link: LinkId(link),
        interested: true,
        unchoked: false,
        snubs_us: false,
        down_rate,
        up_rate: 0,
        since: Time::ZERO,
        last_unchoked: None,
    }
}

/// A choker with the standings it looks at, which follow what it decides.
struct Rig {
    choker: Choker,
    standings: Vec<Standing>,
    rng: ChaCha8Rng,
}

impl Rig {
    fn new(seed: u64, slots: usize, standings: Vec<Standing>) -> Self {
        Self { choker: Choker::new(slots, Time::ZERO), standings, rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    fn round(&mut self, now: Time, seeding: bool) -> Vec<u32> {
        let chosen = self.choker.rechoke(now, &self.standings, seeding, &mut self.rng);
        for standing in &mut self.standings {
            let unchoked = chosen.contains(&standing.link);
            if unchoked && !standing.unchoked {
                standing.last_unchoked = Some(now);
            }
            standing.unchoked = unchoked;
        }
        chosen.iter().map(|link| link.0).collect()
    }
}

// --- downloading ---

#[test]
fn those_that_send_us_most_have_the_slots_and_one_more_is_taken_at_random() {
    let mut optimistic = BTreeSet::new();
    for seed in 0..40 {
        let standings = (0..6).map(|n| peer(n, u64::from(n) * 1000)).collect();
        let chosen = Rig::new(seed, 3, standings).round(at(1000), false);
        assert_eq!(chosen[..2], [5, 4]);
        optimistic.insert(chosen[2]);
    }
    assert_eq!(optimistic, BTreeSet::from([0, 1, 2, 3]));
}

#[test]
fn the_optimistic_one_keeps_its_slot_for_half_a_minute_and_then_it_goes_to_another() {
    for seed in 0..40 {
        let mut rig = Rig::new(seed, 2, (0..5).map(|n| peer(n, u64::from(n))).collect());
        let held: Vec<u32> = (10..16).map(|round| rig.round(at(round * 10), false)[1]).collect();
        assert!(held[0] == held[1] && held[1] == held[2], "{held:?}");
        assert!(held[3] != held[2] && held[3] == held[4] && held[4] == held[5], "{held:?}");
    }
}

#[test]
fn one_that_earns_a_slot_leaves_the_optimistic_one_to_another() {
    let mut rig = Rig::new(1, 2, (0..4).map(|n| peer(n, u64::from(n))).collect());
    let first = rig.round(at(1000), false)[1];
    rig.standings[index(first)].down_rate = 1_000_000;
    let chosen = rig.round(at(1010), false);
    assert_eq!(chosen[0], first);
    assert_ne!(chosen[1], first);
}

#[test]
fn one_that_loses_interest_or_leaves_makes_room_at_once() {
    let mut rig = Rig::new(1, 2, (0..4).map(|n| peer(n, 0)).collect());
    let first = rig.round(at(1000), false);
    rig.standings.retain(|s| s.link.0 != first[1]);
    let second = rig.round(at(1010), false);
    assert_eq!(second.len(), 2);
    assert!(!second.contains(&first[1]));
    rig.standings.iter_mut().filter(|s| s.link.0 == second[0]).for_each(|s| s.interested = false);
    assert_eq!(rig.round(at(1020), false).len(), 2);
    assert!(!rig.round(at(1030), false).contains(&second[0]));
}

#[test]
fn a_new_link_is_three_times_as_likely_to_be_the_optimistic_one() {
    let mut chosen_new = 0;
    for seed in 0..1000 {
        let mut standings: Vec<Standing> = (0..4).map(|n| peer(n, 0)).collect();
        standings[0].down_rate = 1;
        standings[2].since = at(995);
        let chosen = Rig::new(seed, 2, standings).round(at(1000), false);
        chosen_new += u32::from(chosen[1] == 2);
    }
    // Three chances of five.
    assert!((550..650).contains(&chosen_new), "{chosen_new}");
}

#[test]
fn one_that_snubs_us_earns_nothing_by_its_rate() {
    let mut standings: Vec<Standing> = (0..3).map(|n| peer(n, 10)).collect();
    standings[1].down_rate = 1_000_000;
    standings[1].snubs_us = true;
    for seed in 0..20 {
        let chosen = Rig::new(seed, 2, standings.clone()).round(at(1000), false);
        assert_eq!(chosen[0], 0);
    }
    let chosen = Rig::new(1, 3, standings).round(at(1000), false);
    assert_eq!(chosen.len(), 3, "but no slot is left empty");
}

#[test]
fn a_single_slot_goes_to_who_gives_and_to_chance_while_nobody_does() {
    let giving = vec![peer(0, 0), peer(1, 5), peer(2, 0)];
    assert!((0..20).all(|seed| Rig::new(seed, 1, giving.clone()).round(at(1000), false) == [1]));
    let none: Vec<Standing> = (0..3).map(|n| peer(n, 0)).collect();
    let chosen: BTreeSet<Vec<u32>> =
        (0..40).map(|seed| Rig::new(seed, 1, none.clone()).round(at(1000), false)).collect();
    assert_eq!(chosen.len(), 3);
}

#[test]
fn equals_keep_the_slots_they_have() {
    let mut rig = Rig::new(1, 4, (0..9).map(|n| peer(n, 7)).collect());
    let first = rig.round(at(1000), false);
    for round in 1..3 {
        assert_eq!(rig.round(at(1000 + 10 * round), false)[..3], first[..3]);
    }
}

// --- seeding ---

#[test]
fn while_seeding_everybody_gets_a_turn_and_keeps_it_for_a_minute() {
    let mut rig = Rig::new(1, 3, (0..10).map(|n| peer(n, 0)).collect());
    let mut rounds = [0; 10];
    for round in 0..24 {
        for link in rig.round(at(round * 10), true) {
            rounds[index(link)] += 1;
        }
    }
    // Four minutes are twelve turns of six rounds.
    assert_eq!(rounds.iter().sum::<i32>(), 72);
    assert!(rounds.iter().all(|&n| n == 6 || n == 12), "{rounds:?}");
}

#[test]
fn while_seeding_nobody_is_choked_for_the_sake_of_an_empty_slot() {
    let mut rig = Rig::new(1, 4, (0..4).map(|n| peer(n, 0)).collect());
    for round in 0..30 {
        assert_eq!(rig.round(at(round * 10), true).len(), 4);
        assert!(rig.standings.iter().all(|s| s.last_unchoked == Some(at(0))));
    }
}

#[test]
fn while_seeding_those_that_were_never_served_come_before_those_that_were() {
    let mut standings = vec![peer(0, 0), peer(1, 0), peer(2, 0)];
    standings[0].last_unchoked = Some(at(5));
    standings[1].last_unchoked = Some(at(3));
    let mut rig = Rig::new(1, 1, standings);
    assert_eq!(rig.round(at(100), true), [2]);
    assert_eq!(rig.round(at(160), true), [1]);
    assert_eq!(rig.round(at(220), true), [0]);
}

#[test]
fn while_seeding_the_fastest_stays_when_the_turns_of_all_are_over() {
    let mut standings: Vec<Standing> = (0..3).map(|n| peer(n, 0)).collect();
    for (n, standing) in (1..).zip(&mut standings) {
        (standing.unchoked, standing.last_unchoked, standing.up_rate) = (true, Some(at(0)), n * 100);
    }
    standings.push(peer(3, 0));
    assert_eq!(Rig::new(1, 3, standings).round(at(100), true), [3, 2, 1]);
}

// --- both ---

#[test]
fn a_round_is_due_every_ten_seconds() {
    let mut rig = Rig::new(1, 2, vec![]);
    assert_eq!(rig.choker.poll_timeout(), at(10));
    rig.round(at(17), false);
    assert_eq!(rig.choker.poll_timeout(), at(27));
}

#[test]
fn a_free_slot_is_given_at_once() {
    let choker = Choker::new(2, Time::ZERO);
    assert!(choker.may_unchoke_now(1));
    assert!(!choker.may_unchoke_now(2));
}

#[test]
fn who_has_no_slots_gives_none() {
    let choker = Choker::new(0, Time::ZERO);
    assert!(!choker.may_unchoke_now(0));
    let mut rig = Rig { choker, standings: vec![peer(0, 9)], rng: ChaCha8Rng::seed_from_u64(1) };
    assert_eq!(rig.round(at(10), false), [0; 0]);
    assert_eq!(rig.round(at(20), true), [0; 0]);
}

fn index(n: u32) -> usize {
    usize::try_from(n).unwrap()
}

fn standing() -> impl Strategy<Value = Standing> {
    (any::<[bool; 3]>(), 0u64..5, 0u64..5, 0u64..2000, prop::option::of(0u64..2000)).prop_map(
        |([interested, unchoked, snubs_us], down_rate, up_rate, since, last)| Standing {
            interested,
            unchoked,
            snubs_us,
            up_rate,
            since: at(since),
            last_unchoked: last.map(at),
            ..peer(0, down_rate)
        },
    )
}

proptest! {
    #[test]
    fn slots_are_filled_with_distinct_interested_links_whatever_the_standings(
        slots in 0usize..6,
        rounds in prop::collection::vec((prop::collection::vec(standing(), 0..12), any::<bool>()), 1..8),
        seed: u64,
    ) {
        let mut choker = Choker::new(slots, Time::ZERO);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for (now, (mut standings, seeding)) in (100..).step_by(10).zip(rounds) {
            (0..).zip(&mut standings).for_each(|(n, standing)| standing.link = LinkId(n));
            let chosen = choker.rechoke(at(now), &standings, seeding, &mut rng);
            let interested: BTreeSet<LinkId> =
                standings.iter().filter(|s| s.interested).map(|s| s.link).collect();
            let distinct: BTreeSet<LinkId> = chosen.iter().copied().collect();
            prop_assert_eq!(chosen.len(), slots.min(interested.len()));
            prop_assert_eq!(distinct.len(), chosen.len());
            prop_assert!(distinct.is_subset(&interested));
        }
    }
}
