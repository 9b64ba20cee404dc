//! Who is refused, and who is not whatever others do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::Time;
use crate::access::Networks;
use crate::swarm::HashKey;

const START: Time = Time::from_micros(1_000_000_000);

fn limit(rate: &str) -> AnnounceLimit {
    AnnounceLimit::new(rate.parse().unwrap(), HashKey::new([7; 16]))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// How many of `tries` announces at once are admitted.
fn admitted(limit: &AnnounceLimit, now: Time, from: IpAddr, tries: usize) -> usize {
    (0..tries).filter(|_| limit.admit(now, from).is_ok()).count()
}

#[test]
fn an_address_may_announce_a_minutes_worth_at_once_and_then_at_its_rate() {
    let limit = limit("5/s");
    for address in ["192.0.2.1", "2001:db8::1"].map(ip) {
        assert_eq!(admitted(&limit, START, address, 1000), 300);
        assert_eq!(limit.admit(START, address), Err(Duration::from_millis(200)));
        assert_eq!(admitted(&limit, START + Duration::from_secs(10), address, 1000), 50);
        assert_eq!(admitted(&limit, START + Duration::from_secs(1000), address, 1000), 300);
    }
}

#[test]
fn a_network_may_announce_sixteen_times_as_much_as_an_address() {
    let limit = limit("60/min");
    let of = |n: u32, size: u32| IpAddr::from(Ipv4Addr::from_bits(0xc000_0200 + n % size));
    let all = (0..200_u32).map(|n| admitted(&limit, START, of(n, 200), 1000)).sum::<usize>();
    assert_eq!(all, 60 * 16);
    assert_eq!(admitted(&limit, START, ip("192.0.3.1"), 1000), 60, "the next network is another");
    let of = |n: u16| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 7, n, 0, 0, 0, 1));
    let all = (0..200).map(|n| admitted(&limit, START, of(n), 1000)).sum::<usize>();
    assert_eq!(all, 60 * 16);
    assert_eq!(admitted(&limit, START, ip("2001:db8:8::1"), 1000), 60);
}

#[test]
fn the_addresses_of_a_slash_64_are_one_asker_and_so_are_both_ways_to_write_an_ipv4_address() {
    let limit = limit("60/min");
    assert_eq!(admitted(&limit, START, ip("2001:db8::1"), 1000), 60);
    assert_eq!(admitted(&limit, START, ip("2001:db8::ffff:1"), 1000), 0);
    assert_eq!(admitted(&limit, START, ip("192.0.2.1"), 1000), 60);
    assert_eq!(admitted(&limit, START, ip("::ffff:192.0.2.1"), 1000), 0);
}

#[test]
fn who_is_refused_takes_nothing_from_his_neighbours() {
    let limit = limit("60/min");
    admitted(&limit, START, ip("192.0.2.1"), 100_000);
    assert_eq!(admitted(&limit, START, ip("192.0.2.2"), 1000), 60);
}

#[test]
fn a_flood_from_thousands_of_networks_refuses_fewer_than_one_innocent_in_a_thousand() {
    let limit = limit("1/s");
    // What 150,000 announces a second can keep empty at the default rate, and a few more.
    let attacker = |n: u32| IpAddr::from(Ipv4Addr::from_bits(0x0b00_0000 + n * 256));
    let taken = (0..3_200).map(|n| admitted(&limit, START, attacker(n), 61)).sum::<usize>();
    assert!((191_800..=192_000).contains(&taken), "{taken}: all but those who share both cells with others");
    let innocent = |n: u32| IpAddr::from(Ipv4Addr::from_bits(0x6400_0000 + n * 256 + 7));
    let refused = (0..20_000).filter(|&n| limit.admit(START, innocent(n)).is_err()).count();
    assert!(refused < 20, "{refused} of 20,000");
}

#[test]
fn a_clock_at_either_end_of_time_neither_panics_nor_refuses_for_ever() {
    let limit = limit("1/min");
    let address = ip("192.0.2.1");
    assert_eq!(limit.admit(Time::ZERO, address), Ok(()));
    assert_eq!(limit.admit(Time::MAX, address), Ok(()));
    let limit = self::limit("1/min");
    for at in [2, 3, 4] {
        let now = Time::ZERO + Duration::from_secs(at * 60);
        assert_eq!((admitted(&limit, now, address, 9), limit.admit(Time::ZERO, address).is_err()), (1, true));
    }
}

#[test]
fn rates_are_read_as_people_write_them() {
    for (text, per_minute) in [("50/s", 3000), ("3000/min", 3000), ("7/m", 7), ("600/h", 10), (" 1/min ", 1)]
    {
        assert_eq!(text.parse(), Ok(AnnounceRate::per_minute(per_minute)), "{text}");
    }
    for text in ["", "50", "/s", "+5/s", "5/d", "five/s", "5/s/s"] {
        assert_eq!(text.parse::<AnnounceRate>(), Err(RateError::Form), "{text}");
    }
    for text in ["0/s", "59/h", "1000001/s", "18446744073709551615/s"] {
        assert_eq!(text.parse::<AnnounceRate>(), Err(RateError::Range), "{text}");
    }
}

#[test]
fn this_machine_and_trusted_networks_are_exempt_and_nobody_else() {
    let exempt = Exempt::new(Networks::parse(b"10.0.0.0/8\n2001:db8::/32").unwrap());
    for inside in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "10.1.2.3", "2001:db8::7"] {
        assert!(exempt.contains(ip(inside)), "{inside}");
    }
    for outside in ["192.0.2.1", "11.0.0.1", "::2", "2001:db9::7"] {
        assert!(!exempt.contains(ip(outside)), "{outside}");
        assert!(!Exempt::default().contains(ip(outside)), "{outside}");
    }
    assert!(!Exempt::default().contains(ip("10.1.2.3")));
}

proptest! {
    #[test]
    fn nobody_ever_gets_more_than_a_full_bucket_and_what_filled_it_since(
        rate in 1_u32..5000, steps in proptest::collection::vec((0_u64..3_000_000, 0_usize..40), 1..60)
    ) {
        let limit = AnnounceLimit::new(AnnounceRate::per_minute(rate), HashKey::new([7; 16]));
        let (mut now, mut count) = (START, 0);
        for (micros, tries) in steps {
            now += Duration::from_micros(micros);
            count += admitted(&limit, now, ip("192.0.2.1"), tries);
            let passed = now.saturating_since(START).as_micros() + BURST.as_micros();
            prop_assert!(count as u128 <= passed * u128::from(rate) / 60_000_000 + 1, "{count} in {passed}");
        }
    }

    #[test]
    fn who_keeps_to_the_rate_is_never_refused(rate in 1_u32..5000, count in 1_u64..500) {
        let limit = AnnounceLimit::new(AnnounceRate::per_minute(rate), HashKey::new([7; 16]));
        for n in 0..count {
            let now = START + Duration::from_micros((n * 60_000_000).div_ceil(u64::from(rate)));
            prop_assert_eq!(limit.admit(now, ip("192.0.2.1")), Ok(()));
        }
    }
}
