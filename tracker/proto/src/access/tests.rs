use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::prelude::*;

use super::proxy::{HEAD_BYTES, Head, MAX_REST_BYTES, ProxyError};
use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn networks(texts: &[&str]) -> Networks {
    texts.iter().map(|text| text.parse::<Network>().unwrap()).collect()
}

const KEY: PasskeyKey = PasskeyKey([7; 16]);
const GOOD: &[u8] = b"0123456789abcdef0123456789abcdef";

#[test]
fn a_network_is_its_addresses_and_no_others() {
    for (network, inside, outside) in [
        ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
        ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
        ("0.0.0.0/0", "255.255.255.255", "::1"),
        ("::/0", "2001:db8::1", "192.0.2.1"),
        ("2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"),
        ("::ffff:10.0.0.0/104", "10.255.0.1", "11.0.0.0"),
        ("10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"),
    ] {
        let parsed: Network = network.parse().unwrap();
        assert!(parsed.contains(ip(inside)) && !parsed.contains(ip(outside)), "{network}");
        let set = networks(&[network]);
        assert!(set.contains(ip(inside)) && !set.contains(ip(outside)), "{network}");
    }
}

#[test]
fn what_is_no_network_is_told_with_what_to_write_instead() {
    for (text, error) in [
        ("example.org", "'example.org' is not an IP address or network such as 192.0.2.0/24"),
        ("10.0.0.0/33", "'/33' is not a prefix of 32 bits at most"),
        ("::/129", "'/129' is not a prefix of 128 bits at most"),
        ("10.0.0.0/+8", "'/+8' is not a prefix of 32 bits at most"),
        ("10.0.0.0/", "'/' is not a prefix of 32 bits at most"),
        ("10.0.0.1/8", "the network of 10.0.0.1/8 is 10.0.0.0/8: write that, or the address alone"),
        (
            "2001:db8::1/32",
            "the network of 2001:db8::1/32 is 2001:db8::/32: write that, or the address alone",
        ),
    ] {
        assert_eq!(text.parse::<Network>().unwrap_err().to_string(), error);
    }
}

#[test]
fn a_list_has_notes_and_blank_lines_and_an_error_names_its_line() {
    let text = b"# ours\n\n 10.0.0.0/8 # the house\r\n2001:db8::/32";
    assert_eq!(Networks::parse(text).unwrap(), networks(&["10.0.0.0/8", "2001:db8::/32"]));
    let error = Networks::parse(b"# ours\n10.0.0.0/8\nten\n").unwrap_err();
    assert_eq!(error.to_string(), "line 3: 'ten' is not an IP address or network such as 192.0.2.0/24");
    let error = InfoHashes::parse(&[b'a'; MAX_LINE_BYTES + 1]).unwrap_err();
    assert_eq!(error.to_string(), "line 1: longer than 1024 bytes");
    assert_eq!(InfoHashes::parse(b"\xff\xfe").unwrap_err().to_string(), "line 1: not UTF-8 text");
}

#[test]
fn info_hashes_are_listed_in_every_form_that_a_tracker_is_asked_by() {
    let hex = "cab507494d02ebb1178b38f2e9d7be299c86b862";
    let v2 = format!("{hex}{}", "9".repeat(24));
    for line in [hex, "ZK2QOSKNALV3CF4LHDZOTV56FGOINODC", &v2] {
        let list = InfoHashes::parse(line.as_bytes()).unwrap();
        assert!(list.contains(&hex.parse().unwrap()) && list.len() == 1, "{line}");
    }
    let error = InfoHashes::parse(&v2.as_bytes()[1..]).unwrap_err().to_string();
    assert!(error.ends_with("is not an info-hash of 40 or 64 hexadecimal digits"), "{error}");
}

#[test]
fn what_denies_goes_before_what_allows_and_allowing_some_denies_all_else() {
    let hashes = |ids: &[u8]| Some(ids.iter().map(|&id| InfoHash::new([id; 20])).collect());
    let serves = |rules: &Rules, id| rules.judge_swarm(&InfoHash::new([id; 20])).is_ok();
    let rules = Rules { denied_hashes: hashes(&[1]), ..Rules::default() };
    assert_eq!([1, 2].map(|id| serves(&rules, id)), [false, true]);
    let rules = Rules { allowed_hashes: hashes(&[1, 2]), ..rules };
    assert_eq!([1, 2, 3].map(|id| serves(&rules, id)), [false, true, false]);
    let empty = Rules { allowed_hashes: hashes(&[]), ..Rules::default() };
    assert_eq!(empty.judge_swarm(&InfoHash::new([1; 20])), Err(Refusal::Torrent));

    let rules = Rules {
        allowed_networks: Some(networks(&["10.0.0.0/8"])),
        denied_networks: Some(networks(&["10.9.0.0/16"])),
        ..Rules::default()
    };
    let judged = ["10.1.0.1", "10.9.0.1", "192.0.2.1"].map(|from| rules.judge_asker(ip(from), None));
    assert_eq!(judged, [Ok(()), Err(Refusal::Network), Err(Refusal::Network)]);
}

#[test]
fn a_private_tracker_serves_those_who_have_a_passkey() {
    let passkeys = Passkeys::parse(GOOD, KEY).unwrap();
    let rules = Rules { passkeys: Some(passkeys), ..Rules::default() };
    let judge = |passkey| rules.judge_asker(ip("192.0.2.1"), passkey);
    assert_eq!(judge(Some(GOOD)), Ok(()));
    assert_eq!(judge(None), Err(Refusal::NoPasskey));
    for wrong in [&GOOD[1..], b"", b"0123456789abcdef0123456789abcdeF", &[b'a'; 65]] {
        assert_eq!(judge(Some(wrong)), Err(Refusal::WrongPasskey));
    }
    assert_eq!(Rules::default().judge_asker(ip("192.0.2.1"), Some(b"anything")), Ok(()));
}

#[test]
fn a_passkey_is_long_enough_not_to_be_guessed_and_never_repeated_in_an_error() {
    for bad in ["0123456789abcde", "0123456789abcdef/../announce", &"a".repeat(65)] {
        let error = Passkeys::parse(bad.as_bytes(), KEY).unwrap_err().to_string();
        assert_eq!(error, "line 1: a passkey is 16 to 64 letters, digits, '-' or '_'");
    }
    let debug = format!("{:?}", Passkeys::parse(GOOD, KEY).unwrap());
    assert!(!debug.contains("0123456789") && debug.contains("PasskeyKey(..)"), "{debug}");
}

#[test]
fn what_changed_between_two_lists_is_counted() {
    let list = |text: &[u8]| Passkeys::parse(text, KEY).unwrap();
    let old = list(b"aaaaaaaaaaaaaaaa\nbbbbbbbbbbbbbbbb\n");
    let new = list(b"bbbbbbbbbbbbbbbb\ncccccccccccccccc\ndddddddddddddddd\n");
    assert_eq!(new.difference(&old), (2, 1));
    let hashes = |ids: &[u8]| ids.iter().map(|&id| InfoHash::new([id; 20])).collect::<InfoHashes>();
    assert_eq!(hashes(&[2, 3, 3]).difference(&hashes(&[1, 2])), (1, 1));
    let old = networks(&["10.0.0.0/8", "2001:db8::/32"]);
    assert_eq!(networks(&["10.0.0.0/8", "192.0.2.0/24", "::1"]).difference(&old), (2, 1));
}

#[test]
fn h56_the_client_is_the_rightmost_address_that_is_not_trusted() {
    let trusted = networks(&["10.0.0.0/8", "::1"]);
    let client = |direct: &str, headers: &[&str]| {
        forwarded(ip(direct), &trusted, headers.iter().map(|header| header.as_bytes()))
    };
    for (direct, headers, expected) in [
        // Nobody whom we trust: whatever it writes is its own.
        ("203.0.113.5", &["198.51.100.66"][..], "203.0.113.5"),
        ("10.0.0.1", &[], "10.0.0.1"),
        ("10.0.0.1", &["203.0.113.5"], "203.0.113.5"),
        // Everything left of the client is the client's own work.
        ("10.0.0.1", &["198.51.100.66, 203.0.113.5"], "203.0.113.5"),
        ("10.0.0.1", &["junk, 203.0.113.5, 10.0.0.2"], "203.0.113.5"),
        ("10.0.0.1", &["198.51.100.66", "203.0.113.5,10.0.0.2"], "203.0.113.5"),
        ("::1", &["203.0.113.5:4711"], "203.0.113.5"),
        ("::1", &["[2001:db8::9]:4711"], "2001:db8::9"),
        ("::1", &["[2001:db8::9]"], "2001:db8::9"),
        ("::ffff:10.0.0.1", &["::ffff:203.0.113.5"], "203.0.113.5"),
        // Somebody of ours.
        ("10.0.0.1", &["10.0.0.7, 10.0.0.2"], "10.0.0.7"),
    ] {
        assert_eq!(client(direct, headers), Ok(ip(expected)), "{direct} {headers:?}");
    }
    for unreadable in ["", "unknown", "203.0.113.5, ", "198.51.100.66, _hidden"] {
        assert_eq!(client("10.0.0.1", &[unreadable]), Err(Refusal::Forwarder), "{unreadable}");
    }
    let loop_of_proxies = vec!["10.0.0.2"; MAX_FORWARDERS + 1].join(",");
    assert_eq!(client("10.0.0.1", &[&loop_of_proxies]), Err(Refusal::Forwarder));
}

/// A PROXY header as a balancer writes it.
fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[command, family], &length, rest].concat()
}

fn addresses(header: &[u8]) -> Result<Option<(SocketAddr, SocketAddr)>, ProxyError> {
    let (head, rest) = header.split_first_chunk::<HEAD_BYTES>().unwrap();
    let head = Head::parse(head)?;
    assert_eq!(head.rest, rest.len());
    head.addresses(rest)
}

#[test]
fn a_proxy_header_that_is_wrong_in_any_part_is_refused() {
    let good = header(0x21, 0x11, &[0; 12]);
    let mut unsigned = good.clone();
    unsigned[0] = b'G';
    for (bytes, error) in [
        (unsigned, ProxyError::Signature),
        (header(0x11, 0x11, &[0; 12]), ProxyError::Command),
        (header(0x22, 0x11, &[0; 12]), ProxyError::Command),
        (header(0x21, 0x12, &[0; 12]), ProxyError::Family),
        (header(0x21, 0x31, &[0; 216]), ProxyError::Family),
        (header(0x21, 0x11, &[0; 11]), ProxyError::Length),
        (header(0x21, 0x21, &[0; 35]), ProxyError::Length),
        (header(0x21, 0x11, &[0; MAX_REST_BYTES + 1]), ProxyError::Length),
        (header(0x20, 0x00, &[0; MAX_REST_BYTES + 1]), ProxyError::Length),
    ] {
        assert_eq!(addresses(&bytes), Err(error));
    }
    assert_eq!(addresses(&header(0x20, 0x00, &[1, 2, 3])), Ok(None), "the balancer asks for itself");
}

fn any_ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)).to_canonical()),
        // Near each other, so that networks meet.
        (0u32..64).prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | bits))),
        (0u128..64).prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits((0x2001 << 112) | bits))),
    ]
}

proptest! {
    #[test]
    fn a_network_reads_back_as_it_is_written(ip in any_ip(), prefix in 0u8..=128) {
        let network = Network::of(ip, prefix);
        prop_assert_eq!(network.to_string().parse::<Network>(), Ok(network));
        prop_assert!(network.contains(ip));
    }

    #[test]
    fn a_set_of_networks_contains_what_any_of_them_does(
        networks in prop::collection::vec((any_ip(), 0u8..=128), 0..20),
        asked in prop::collection::vec(any_ip(), 1..20),
    ) {
        let networks: Vec<_> = networks.into_iter().map(|(ip, prefix)| Network::of(ip, prefix)).collect();
        let set: Networks = networks.iter().copied().collect();
        prop_assert!(set.len() <= networks.len());
        for ip in asked {
            prop_assert_eq!(set.contains(ip), networks.iter().any(|network| network.contains(ip)));
        }
    }

    #[test]
    fn a_list_of_hashes_contains_what_stands_in_it(
        listed in prop::collection::vec(any::<[u8; 20]>(), 0..50),
        other in any::<[u8; 20]>(),
    ) {
        let text: String = listed.iter().map(|hash| format!("{}\n", InfoHash::new(*hash))).collect();
        let list = InfoHashes::parse(text.as_bytes()).unwrap();
        for hash in &listed {
            prop_assert!(list.contains(&InfoHash::new(*hash)));
        }
        prop_assert_eq!(list.contains(&InfoHash::new(other)), listed.contains(&other));
    }

    #[test]
    fn no_bytes_make_a_list_or_a_header_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (Networks::parse(&text), InfoHashes::parse(&text), Passkeys::parse(&text, KEY));
        let trusted = networks(&["0.0.0.0/0", "::/0"]);
        let _ = forwarded(ip("10.0.0.1"), &trusted, std::iter::once(text.as_slice()));
        if let Some((head, rest)) = text.split_first_chunk::<HEAD_BYTES>()
            && let Ok(head) = Head::parse(head)
        {
            let _ = head.addresses(rest);
        }
    }

    #[test]
    fn h56_what_a_client_writes_before_its_address_changes_nothing(
        forged in "[ -~]{0,40}",
        client in any_ip(),
        proxies in 0usize..4,
    ) {
        let trusted = networks(&["192.0.2.0/24"]);
        prop_assume!(!trusted.contains(client));
        let chain = ", 192.0.2.2".repeat(proxies);
        let header = format!("{forged}, {client}{chain}");
        let found = forwarded(ip("192.0.2.1"), &trusted, std::iter::once(header.as_bytes()));
        prop_assert_eq!(found, Ok(client));
    }

    #[test]
    fn a_proxy_header_says_the_addresses_that_were_written(
        (source, destination) in prop_oneof![
            (any::<[u8; 4]>(), any::<[u8; 4]>()).prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b))),
            (any::<[u8; 16]>(), any::<[u8; 16]>()).prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b))),
        ],
        ports in any::<(u16, u16)>(),
        extensions in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let (family, mut rest) = match (source, destination) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (0x11, [a.octets(), b.octets()].concat()),
            (IpAddr::V6(a), IpAddr::V6(b)) => (0x21, [a.octets(), b.octets()].concat()),
            _ => unreachable!("both are made of one family"),
        };
        rest.extend([ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat());
        rest.extend(extensions);
        let expected = (
            SocketAddr::new(source.to_canonical(), ports.0),
            SocketAddr::new(destination.to_canonical(), ports.1),
        );
        prop_assert_eq!(addresses(&header(0x21, family, &rest)), Ok(Some(expected)));
    }
}
