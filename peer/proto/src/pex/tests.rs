//! Who is told of whom and when, and what is taken.

use super::*;

fn at(seconds: u64) -> Time {
    Time::ZERO + Duration::from_secs(seconds)
}

/// A public address of its own for each number.
fn address(n: u16) -> SocketAddr {
    let [a, b] = n.to_be_bytes();
    SocketAddr::from(([8, 8, a, b], 6881))
}

fn link(n: u16) -> LinkId {
    LinkId(u32::from(n))
}

/// Links of these numbers come, and want to be told.
fn come(exchange: &mut Exchange, now: Time, numbers: impl IntoIterator<Item = u16>) {
    for n in numbers {
        exchange.came(link(n), address(n));
        exchange.listens(now, link(n), address(n));
    }
}

/// Everything that is told until a time, with when.
fn told(exchange: &mut Exchange, end: Time) -> Vec<(Time, LinkId, Pex)> {
    let mut all = Vec::new();
    while let Some(due) = exchange.poll_timeout().filter(|&due| due <= end) {
        while let Some((to, pex)) = exchange.next(due, |_| PexFlags::default()) {
            all.push((due, to, pex));
        }
        assert!(exchange.poll_timeout().is_none_or(|next| next > due), "no deadline that has passed");
    }
    all
}

fn added(pex: &Pex) -> Vec<SocketAddr> {
    pex.added.iter().map(|peer| peer.address).collect()
}

#[test]
fn each_is_soon_told_of_the_others_and_not_of_itself() {
    let mut exchange = Exchange::default();
    come(&mut exchange, at(0), 1..=3);
    let all = told(&mut exchange, at(1000));
    let due = [(1, [2, 3]), (2, [1, 3]), (3, [1, 2])];
    for ((when, to, pex), (n, others)) in all.iter().zip(due) {
        assert_eq!((*when, *to), (Time::ZERO + FIRST_AFTER, link(n)));
        assert_eq!((added(pex), pex.dropped.len()), (others.map(address).to_vec(), 0));
    }
    assert_eq!((all.len(), exchange.poll_timeout()), (3, None), "nothing new, nothing to do");
}

#[test]
fn a_single_peer_hears_nothing_until_there_is_another() {
    let mut exchange = Exchange::default();
    come(&mut exchange, at(0), [1]);
    assert_eq!(told(&mut exchange, at(500)).len(), 0);
    exchange.came(link(2), address(2));
    let due = exchange.poll_timeout().unwrap();
    assert!(due <= at(500), "at once, as it has heard nothing yet");
    assert_eq!(added(&exchange.next(at(500), |_| PexFlags::SEED).unwrap().1), [address(2)]);
}

#[test]
fn one_is_told_no_more_than_once_a_minute_and_what_came_and_went_meanwhile_not_at_all() {
    let mut exchange = Exchange::default();
    come(&mut exchange, at(0), [1]);
    exchange.came(link(2), address(2));
    assert_eq!(told(&mut exchange, at(10)).len(), 1);
    exchange.went(link(2));
    exchange.came(link(3), address(3));
    exchange.came(link(4), address(4));
    exchange.went(link(3));
    let all = told(&mut exchange, at(1000));
    let [(when, _, pex)] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(*when, at(2) + INTERVAL);
    assert_eq!((added(pex), pex.dropped.as_slice()), (vec![address(4)], &[address(2)][..]));
}

#[test]
fn one_that_went_and_came_back_is_not_dropped() {
    let mut exchange = Exchange::default();
    come(&mut exchange, at(0), [1]);
    exchange.came(link(2), address(2));
    told(&mut exchange, at(10));
    exchange.went(link(2));
    exchange.came(link(3), address(2));
    let all = told(&mut exchange, at(1000));
    assert!(all.iter().all(|(_, _, pex)| pex.dropped.is_empty()), "{all:?}");
}

#[test]
fn two_links_that_name_one_address_are_one_peer() {
    let mut exchange = Exchange::default();
    come(&mut exchange, at(0), [1]);
    exchange.came(link(2), address(2));
    exchange.came(link(3), address(2));
    exchange.came(link(2), address(9));
    let all = told(&mut exchange, at(10));
    assert_eq!(added(&all[0].2), [address(2)]);
}

#[test]
fn a_crowd_is_told_of_fifty_at_a_time_until_all_are_named() {
    let mut exchange = Exchange::default();
    come(&mut exchange, at(0), [1]);
    (2..=121).for_each(|n| exchange.came(link(n), address(n)));
    let of = |all: &[(Time, LinkId, Pex)]| {
        all.iter().map(|(_, _, pex)| (pex.added.len(), pex.dropped.len())).collect::<Vec<_>>()
    };
    let all = told(&mut exchange, at(1000));
    assert_eq!(of(&all), [(50, 0), (50, 0), (20, 0)]);
    let named: BTreeSet<SocketAddr> = all.iter().flat_map(|(_, _, pex)| added(pex)).collect();
    assert_eq!(named, (2..=121).map(address).collect());
    (2..=121).for_each(|n| exchange.went(link(n)));
    let all = told(&mut exchange, at(2000));
    assert_eq!(of(&all), [(0, 50), (0, 50), (0, 20)]);
    assert!(all.windows(2).all(|pair| pair[1].0 >= pair[0].0 + INTERVAL));
}

#[test]
fn one_is_not_told_of_addresses_that_it_would_not_take_from_us() {
    let mut exchange = Exchange::default();
    let addresses: Vec<SocketAddr> =
        ["127.0.0.1:1", "10.0.0.1:2", "8.8.8.8:3", "[2001:db8::1]:4"].map(|a| a.parse().unwrap()).to_vec();
    for (n, &address) in (0..).zip(&addresses) {
        exchange.came(link(n), address);
    }
    for (n, from) in [(10, "9.9.9.9:1"), (11, "192.168.0.1:1"), (12, "127.0.0.2:1")] {
        exchange.listens(at(0), link(n), from.parse().unwrap());
    }
    let all = told(&mut exchange, at(10));
    let names: Vec<Vec<SocketAddr>> = all.iter().map(|(_, _, pex)| added(pex)).collect();
    assert_eq!(names, [addresses[2..].to_vec(), addresses[1..].to_vec(), addresses.clone()]);
    exchange.went(link(0));
    assert_eq!(told(&mut exchange, at(500)).len(), 1, "nor of their going");
}

#[test]
fn one_that_does_not_ask_or_is_gone_is_told_nothing_and_one_that_asks_again_nothing_twice() {
    let mut exchange = Exchange::default();
    come(&mut exchange, at(0), 1..=2);
    exchange.came(link(3), address(3));
    exchange.went(link(2));
    let all = told(&mut exchange, at(10));
    assert_eq!(all.iter().map(|(_, to, _)| *to).collect::<Vec<_>>(), [link(1)]);
    assert_eq!(added(&all[0].2), [address(3)]);
    exchange.listens(at(20), link(1), address(1));
    assert_eq!(told(&mut exchange, at(1000)), []);
}

#[test]
fn what_is_remembered_of_those_that_went_is_bounded() {
    let mut exchange = Exchange::default();
    for n in 0..10_000 {
        come(&mut exchange, at(0), [n]);
        exchange.went(link(n));
    }
    assert_eq!(exchange.gone.len(), MAX_GONE);
    assert!(exchange.here.is_empty() && exchange.came.is_empty() && exchange.listeners.is_empty());
}

fn message(addresses: impl IntoIterator<Item = SocketAddr>) -> Pex {
    let added = addresses.into_iter().map(|address| PexPeer { address, flags: PexFlags::default() });
    Pex { added: added.collect(), dropped: Vec::new() }
}

#[test]
fn a_peer_that_tells_once_a_minute_is_listened_to_for_ever() {
    let mut intake = Intake::default();
    let first = intake.take(at(0), address(1), &message((1000..1200).map(address))).unwrap();
    assert_eq!(first.len(), 200, "a first message may be longer");
    for minute in 1..500 {
        // It is held up now and then, and what follows comes early.
        let now = at(60 * minute - if minute % 2 == 0 { 30 } else { 0 });
        let names = message((0..50).map(|n| address(u16::try_from(minute * 50 + n).unwrap())));
        let taken = intake.take(now, address(1), &names).unwrap().len();
        assert!(taken >= 25, "{minute}: {taken}");
    }
}

#[test]
fn h38_a_peer_that_tells_every_second_is_ignored_and_then_refused() {
    let mut intake = Intake::default();
    let names = |second: u64| message((0..200).map(|n| address(u16::try_from(second * 200 + n).unwrap())));
    let mut taken = 0;
    let refused = (0..300).find(|&second| match intake.take(at(second), address(1), &names(second)) {
        Ok(peers) => {
            taken += peers.len();
            false
        }
        Err(_) => true,
    });
    assert!(refused.is_some_and(|second| second <= 22), "{refused:?}");
    assert!(taken <= 220, "{taken}");
}

#[test]
fn h38_one_that_keeps_to_the_rules_names_fifty_a_minute_in_the_long_run() {
    let mut intake = Intake::default();
    let taken: usize = (0..100)
        .map(|n| {
            let names = message((0..200).map(|k| address(u16::try_from(n * 200 + k).unwrap())));
            intake.take(at(n * 20), address(1), &names).unwrap().len()
        })
        .sum();
    assert!((1600..=200 + 50 * 34).contains(&taken), "{taken}");
}

#[test]
fn h38_private_addresses_are_taken_only_from_those_beside_us() {
    let names =
        message(["127.0.0.1:1", "10.0.0.1:2", "8.8.8.8:3", "[fd00::1]:4"].map(|a| a.parse().unwrap()));
    for (from, due) in [("9.9.9.9:1", 1), ("192.168.1.1:1", 3), ("127.0.0.1:5", 4)] {
        let taken = Intake::default().take(at(0), from.parse().unwrap(), &names).unwrap();
        assert_eq!(taken.len(), due, "{from}");
    }
}

#[test]
fn h38_many_ports_of_one_host_in_the_world_are_one_peer_and_beside_us_they_may_be_many() {
    let ports = |host: [u8; 4]| message((1..100).map(|port| SocketAddr::from((host, port))));
    let from = address(1);
    assert_eq!(Intake::default().take(at(0), from, &ports([8, 8, 8, 8])).unwrap().len(), 1);
    let beside = SocketAddr::from(([10, 0, 0, 9], 1));
    assert_eq!(Intake::default().take(at(0), beside, &ports([10, 0, 0, 1])).unwrap().len(), 99);
}
