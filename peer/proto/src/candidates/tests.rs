use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(7)
}

const fn s(seconds: u64) -> Time {
    Time::from_micros(seconds * 1_000_000)
}

fn peer(number: u32) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0000 + number)), 6881)
}

fn parse(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

/// A table of so many addresses from trackers.
fn table(count: u32) -> Candidates {
    let mut candidates = Candidates::new();
    (0..count).for_each(|number| assert!(candidates.add(s(0), peer(number), Source::Tracker)));
    candidates
}

/// Takes addresses until none is due.
fn take_all(candidates: &mut Candidates, now: Time, rng: &mut ChaCha8Rng) -> Vec<SocketAddr> {
    std::iter::from_fn(|| {
        let address = candidates.next(now, rng)?;
        candidates.dialling(address);
        Some(address)
    })
    .collect()
}

/// How long after `now` the only address left is due.
fn wait(candidates: &Candidates, now: Time) -> Duration {
    candidates.poll_timeout().unwrap().saturating_since(now)
}

#[test]
fn those_the_user_named_come_first_then_by_source_and_each_once() {
    let mut candidates = Candidates::new();
    for (number, source) in
        [(1, Source::Incoming), (2, Source::Peer), (3, Source::Tracker), (4, Source::User)]
    {
        assert!(candidates.add(s(0), peer(number), source));
    }
    assert!(!candidates.add(s(0), peer(3), Source::Peer), "known already");
    assert_eq!(take_all(&mut candidates, s(0), &mut rng()), [peer(4), peer(3), peer(2), peer(1)]);
    assert_eq!((candidates.len(), candidates.idle(), candidates.poll_timeout()), (4, 0, None));
}

#[test]
fn among_equals_the_order_is_the_generators_while_we_do_not_know_our_address() {
    let orders: BTreeSet<Vec<SocketAddr>> =
        (0..20).map(|seed| take_all(&mut table(5), s(0), &mut ChaCha8Rng::seed_from_u64(seed))).collect();
    assert!(orders.len() > 10, "{} orders from 20 seeds", orders.len());
    let again = || take_all(&mut table(50), s(0), &mut rng());
    assert_eq!(again(), again());
}

#[test]
fn addresses_at_which_nobody_can_listen_are_refused() {
    let mut candidates = Candidates::new();
    for bad in ["11.0.0.1:0", "0.0.0.0:1", "224.0.0.1:1", "255.255.255.255:1", "[::]:1", "[ff02::1]:1"] {
        assert!(!candidates.add(s(0), parse(bad), Source::User), "{bad}");
    }
    assert!(!candidates.add(s(0), parse("[::ffff:224.0.0.1]:1"), Source::User));
    assert!(candidates.is_empty());
}

#[test]
fn an_ipv4_address_within_an_ipv6_one_is_the_same_peer() {
    let mut candidates = Candidates::new();
    assert!(candidates.add(s(0), parse("11.0.0.1:5"), Source::Tracker));
    assert!(!candidates.add(s(0), parse("[::ffff:11.0.0.1]:5"), Source::Tracker));
    candidates.connected(parse("[::ffff:11.0.0.1]:5"));
    assert_eq!(candidates.next(s(0), &mut rng()), None);
    candidates.ban("::ffff:11.0.0.1".parse().unwrap());
    assert!(candidates.is_banned("11.0.0.1".parse().unwrap()) && candidates.is_empty());
}

#[test]
fn failures_wait_longer_each_time_and_then_the_address_is_dropped() {
    let (mut candidates, mut rng) = (table(20), rng());
    (1..20).for_each(|number| candidates.connected(peer(number)));
    let mut now = s(0);
    for middle in [15, 30, 60, 120].map(Duration::from_secs) {
        assert_eq!(candidates.next(now, &mut rng), Some(peer(0)));
        candidates.dialling(peer(0));
        candidates.failed(now, peer(0));
        let wait = wait(&candidates, now);
        assert!(wait >= middle * 3 / 4 && wait <= middle * 5 / 4, "{wait:?} where about {middle:?} was due");
        assert_eq!(candidates.next(now, &mut rng), None, "not due yet");
        now += wait;
    }
    assert_eq!(candidates.next(now, &mut rng), Some(peer(0)));
    candidates.failed(now, peer(0));
    assert_eq!((candidates.len(), candidates.poll_timeout()), (19, None));
}

#[test]
fn the_users_and_the_last_few_are_tried_at_least_every_75_seconds() {
    for (source, others, tries) in [(Source::User, 100, 200), (Source::Tracker, 0, 14)] {
        let (mut candidates, mut rng, mut now) = (table(others), rng(), s(0));
        (0..others).for_each(|number| candidates.connected(peer(number)));
        candidates.add(now, peer(1000), source);
        for _ in 0..tries {
            assert_eq!(candidates.next(now, &mut rng), Some(peer(1000)));
            candidates.dialling(peer(1000));
            candidates.failed(now, peer(1000));
            let wait = wait(&candidates, now);
            assert!(wait <= Duration::from_secs(75), "{wait:?}");
            now += wait;
        }
        assert_eq!(candidates.idle(), 1, "{source:?} is still known");
    }
}

#[test]
fn a_peer_that_was_of_use_is_soon_dialled_again_and_its_failures_are_forgotten() {
    let (mut candidates, mut rng) = (table(20), rng());
    take_all(&mut candidates, s(0), &mut rng);
    (0..3).for_each(|_| candidates.failed(s(0), peer(0)));
    candidates.connected(peer(0));
    candidates.parted(s(10), peer(0), Parting::Useful);
    assert!(wait(&candidates, s(10)) <= Duration::from_secs(7));
    assert_eq!(candidates.next(s(20), &mut rng), Some(peer(0)));
    candidates.failed(s(20), peer(0));
    assert!(wait(&candidates, s(20)) < Duration::from_secs(20), "as after a first failure");
}

#[test]
fn one_of_few_that_has_answered_before_is_tried_at_least_every_19_seconds_for_ten_minutes() {
    for source in [Source::User, Source::Tracker] {
        let (mut candidates, mut rng, mut now) = (table(0), rng(), s(0));
        candidates.add(now, peer(0), source);
        candidates.connected(peer(0));
        candidates.parted(now, peer(0), Parting::CutShort(1));
        now += wait(&candidates, now);
        while now < s(10 * 60) {
            assert_eq!(candidates.next(now, &mut rng), Some(peer(0)), "after {now:?}");
            candidates.dialling(peer(0));
            candidates.failed(now, peer(0));
            let wait = wait(&candidates, now);
            assert!(wait <= Duration::from_secs(19), "{wait:?}");
            now += wait;
        }
    }
}

#[test]
fn a_peer_whose_connection_broke_while_blocks_came_is_dialled_again_at_once() {
    let (mut candidates, mut rng) = (table(20), rng());
    take_all(&mut candidates, s(0), &mut rng);
    for second in 1..100 {
        candidates.connected(peer(0));
        candidates.parted(s(second), peer(0), Parting::CutShort(WORTH_A_DIAL));
        assert!(wait(&candidates, s(second)) < Duration::from_secs(1), "after {second} times");
        assert_eq!(candidates.next(s(second + 1), &mut rng), Some(peer(0)));
        candidates.dialling(peer(0));
    }
}

#[test]
fn a_peer_that_gives_next_to_nothing_and_resets_is_dialled_ever_later_until_it_gives_more() {
    let (mut candidates, mut rng) = (table(1), rng());
    let mut cut = |bytes| {
        candidates.connected(peer(0));
        candidates.parted(s(0), peer(0), Parting::CutShort(bytes));
        let wait = wait(&candidates, s(0));
        assert_eq!(candidates.next(s(100), &mut rng), Some(peer(0)));
        wait.as_millis()
    };
    for least in [375, 750, 1500, 3000, 3750, 3750] {
        let wait = cut(WORTH_A_DIAL - 1);
        assert!((least..=least * 5 / 3).contains(&wait), "{wait} ms, not {least} and up to two thirds more");
    }
    assert!(cut(WORTH_A_DIAL) < 1000, "it gives again");
}

#[test]
fn where_nobody_ever_answered_a_dial_patience_ends_whoever_says_from_elsewhere_that_it_listens_there() {
    let (mut candidates, mut rng, mut now, mut dials) = (table(0), rng(), s(0), 0);
    candidates.add(now, peer(0), Source::Peer);
    while !candidates.is_empty() {
        candidates.is_here(peer(0));
        assert_eq!(candidates.next(now, &mut rng), None, "it is here");
        candidates.parted(now, peer(0), Parting::CutShort(WORTH_A_DIAL));
        let soon = wait(&candidates, now);
        assert!(soon > Duration::from_secs(3), "{soon:?} is for those that have answered");
        now += soon;
        assert_eq!(candidates.next(now, &mut rng), Some(peer(0)));
        candidates.dialling(peer(0));
        candidates.failed(now, peer(0));
        dials += 1;
        assert!(dials < 100);
    }
    assert_eq!(dials, 15, "as many as for any other of few");
}

#[test]
fn among_equals_the_order_is_the_canonical_priority_once_we_know_our_address() {
    let mut candidates = table(50);
    let ours = parse("203.0.113.7:6881");
    let mut due: Vec<SocketAddr> = (0..50).map(peer).collect();
    due.sort_by_key(|&peer| std::cmp::Reverse(crate::canonical::priority(ours, peer)));
    // Some are due before it is known, the rest afterwards.
    assert!(candidates.next(s(0), &mut rng()).is_some());
    candidates.add(s(1), peer(50), Source::User);
    candidates.seen_as(ours, Witness::Tracker);
    assert_eq!(candidates.next(s(1), &mut rng()), Some(peer(50)), "what the user named still comes first");
    candidates.dialling(peer(50));
    assert_eq!(take_all(&mut candidates, s(1), &mut rng()), due);
}

/// Dials one address of twenty until it is dropped, each time with this outcome; the waits.
fn waits_until_dropped(mut outcome: impl FnMut(&mut Candidates, Time)) -> Vec<u64> {
    let (mut candidates, mut rng, mut now, mut waits) = (table(20), rng(), s(0), Vec::new());
    (1..20).for_each(|number| candidates.connected(peer(number)));
    loop {
        assert_eq!(candidates.next(now, &mut rng), Some(peer(0)));
        candidates.dialling(peer(0));
        outcome(&mut candidates, now);
        if candidates.len() < 20 {
            return waits;
        }
        let wait = wait(&candidates, now);
        waits.push(wait.as_secs());
        now += wait;
    }
}

#[test]
fn a_peer_that_is_full_is_asked_ever_more_rarely_and_not_taken_for_dead() {
    let waits = waits_until_dropped(|candidates, now| {
        candidates.connected(peer(0));
        candidates.parted(now, peer(0), Parting::TurnedAway);
    });
    assert!((22..=37).contains(&waits[0]) && waits.iter().all(|&wait| wait <= 1125), "{waits:?}");
    let all: u64 = waits.iter().sum();
    assert!(all > 3600 && waits.len() <= 12, "an hour, and no dial every other minute: {waits:?}");
}

#[test]
fn a_peer_that_has_answered_before_is_tried_sooner_and_longer_than_one_that_never_did() {
    let known = waits_until_dropped(|candidates, now| {
        if now == s(0) {
            candidates.connected(peer(0));
        }
        candidates.failed(now, peer(0));
    });
    let never = waits_until_dropped(|candidates, now| candidates.failed(now, peer(0)));
    assert!(known.len() > never.len() && known[0] < never[0], "{known:?} {never:?}");
    assert!(known.iter().take(3).sum::<u64>() < 60, "one that only starts again is found within a minute");
}

#[test]
fn a_peer_that_has_what_we_have_rests_for_half_an_hour_and_one_that_misbehaved_counts_as_failed() {
    let (mut candidates, mut rng) = (table(20), rng());
    take_all(&mut candidates, s(0), &mut rng);
    candidates.parted(s(0), peer(0), Parting::Unneeded);
    assert!(!candidates.add(s(1), peer(0), Source::Tracker), "known");
    let rest = wait(&candidates, s(0)).as_secs();
    assert!((1350..=2250).contains(&rest), "{rest}, though a tracker names it again");
    candidates.parted(s(0), peer(1), Parting::Misbehaved);
    assert_eq!(candidates.table[&peer(1)].failures, 1);
}

#[test]
fn one_that_we_had_no_room_for_stays_due_and_nothing_is_said_against_it() {
    let (mut candidates, mut rng) = (table(20), rng());
    let first = candidates.next(s(0), &mut rng).unwrap();
    take_all(&mut candidates, s(0), &mut rng);
    candidates.postponed(s(3), first);
    assert_eq!(candidates.next(s(3), &mut rng), Some(first));
    assert_eq!(candidates.table[&first].in_vain(), 0);
}

#[test]
fn one_that_only_connected_to_us_is_dropped_at_its_first_failure() {
    let mut candidates = Candidates::new();
    candidates.add(s(0), peer(1), Source::Incoming);
    candidates.failed(s(0), peer(1));
    assert!(candidates.is_empty());
    candidates.add(s(0), peer(1), Source::Incoming);
    assert!(!candidates.add(s(0), peer(1), Source::Tracker), "known, and trusted more from now on");
    candidates.failed(s(0), peer(1));
    assert_eq!(candidates.len(), 1);
}

#[test]
fn to_be_named_by_the_user_makes_an_address_due_at_once() {
    let (mut candidates, mut rng) = (table(1), rng());
    candidates.failed(s(0), peer(0));
    assert!(wait(&candidates, s(0)) > Duration::ZERO);
    candidates.add(s(0), peer(0), Source::User);
    assert_eq!(candidates.next(s(0), &mut rng), Some(peer(0)));
}

#[test]
fn h33_a_banned_host_is_forgotten_on_every_port_and_not_taken_again() {
    let (mut candidates, mut rng) = (table(3), rng());
    let other_port = SocketAddr::new(peer(1).ip(), 7);
    candidates.add(s(0), other_port, Source::User);
    candidates.connected(peer(1));
    candidates.ban(peer(1).ip());
    assert!(
        !candidates.add(s(0), peer(1), Source::User) && !candidates.add(s(0), other_port, Source::Tracker)
    );
    let mut left = take_all(&mut candidates, s(0), &mut rng);
    left.sort();
    assert_eq!(left, [peer(0), peer(2)]);
    candidates.parted(s(0), peer(1), Parting::Useful);
    assert_eq!(candidates.poll_timeout(), None, "what is said of it afterwards changes nothing");
}

#[test]
fn a_full_table_takes_a_better_address_for_its_worst_and_refuses_others() {
    let mut candidates = table(u32::try_from(MAX_CANDIDATES).unwrap());
    assert!(!candidates.add(s(0), peer(5000), Source::Tracker), "none is worse");
    candidates.failed(s(0), peer(17));
    candidates.failed(s(0), peer(18));
    candidates.failed(s(0), peer(18));
    assert!(candidates.add(s(0), peer(5000), Source::Peer));
    assert!(!candidates.table.contains_key(&peer(18)) && candidates.table.contains_key(&peer(17)));
    assert!(candidates.add(s(0), peer(5001), Source::User), "17 goes");
    assert!(candidates.add(s(0), peer(5002), Source::User), "the one from a peer goes");
    assert!(!candidates.table.contains_key(&peer(5000)));
    assert!(candidates.add(s(0), peer(5003), Source::User), "one from a tracker goes");
    assert_eq!(candidates.len(), MAX_CANDIDATES);
}

#[test]
fn those_in_use_are_never_dropped_to_make_room() {
    let mut candidates = table(u32::try_from(MAX_CANDIDATES).unwrap());
    let all: Vec<_> = candidates.table.keys().copied().collect();
    all.iter().for_each(|&address| candidates.connected(address));
    assert!(!candidates.add(s(0), peer(5000), Source::User));
    assert_eq!(candidates.len(), MAX_CANDIDATES);
}

proptest! {
    #[test]
    fn the_indexes_always_agree_with_the_table(
        steps in prop::collection::vec((0u8..9, 0u32..12, 0u64..40), 0..200),
    ) {
        let (mut candidates, mut rng, mut now) = (Candidates::new(), rng(), s(0));
        for (what, number, pass) in steps {
            now += Duration::from_secs(pass);
            let address = peer(number);
            match what {
                0 => _ = candidates.add(now, address, Source::Tracker),
                1 => _ = candidates.add(now, address, [Source::User, Source::Peer, Source::Incoming][number as usize % 3]),
                2 => candidates.dialling(address),
                3 => candidates.connected(address),
                7 => candidates.is_here(address),
                4 => candidates.failed(now, address),
                5 => {
                    let partings = [
                        Parting::CutShort(u64::from(number) * 40_000),
                        Parting::Useful,
                        Parting::TurnedAway,
                        Parting::Unneeded,
                        Parting::Misbehaved,
                    ];
                    candidates.parted(now, address, partings[number as usize % 5]);
                }
                6 if pass < 5 => candidates.seen_as(peer(100 + number), Witness::Tracker),
                6 if pass > 35 => candidates.ban(address.ip()),
                _ => {
                    if let Some(given) = candidates.next(now, &mut rng) {
                        prop_assert!(candidates.table[&given].is_idle() && !candidates.is_banned(given.ip()));
                    }
                }
            }
            let waiting = candidates.table.iter().filter_map(|(&address, candidate)| match candidate.state {
                State::Waiting(due) => Some((due, address)),
                _ => None,
            });
            prop_assert_eq!(waiting.collect::<BTreeSet<_>>(), candidates.waiting.clone());
            let ready = candidates.table.iter().filter_map(|(&address, candidate)| match candidate.state {
                State::Ready(rank) => Some((rank, address)),
                _ => None,
            });
            prop_assert_eq!(ready.collect::<BTreeSet<_>>(), candidates.ready.clone());
            prop_assert!(candidates.table.keys().all(|address| !candidates.is_banned(address.ip())));
        }
    }
}
