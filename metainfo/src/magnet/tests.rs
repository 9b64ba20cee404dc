//! Tests of magnet links: hostile rows 20-22.

use proptest::prelude::*;

use super::*;
use crate::{ErrorKind, InfoHash, MAX_TRACKERS};

const HEX: &str = "cab507494d02ebb1178b38f2e9d7be299c86b862";
const BASE32: &str = "ZK2QOSKNALV3CF4LHDZOTV56FGOINODC";

fn parse(parameters: &str) -> Result<Magnet, Error> {
    format!("magnet:?{parameters}").parse()
}

fn valid(parameters: &str) -> Magnet {
    parse(&format!("xt=urn:btih:{HEX}&{parameters}")).unwrap()
}

fn error(parameters: &str) -> String {
    parse(parameters).unwrap_err().to_string()
}

#[test]
fn every_parameter_is_read() {
    let magnet = valid(
        "dn=a+na%C3%AFve%20name&tr=http%3A%2F%2Ft.example%2Fannounce&tr.1=udp://u.example:1&x.pe=192.0.2.1:6881\
         &x.pe=[2001:db8::1]:1&x.pe=peer.example:2&ws=https://s.example/a+b&so=0,2,4-6&unknown=1",
    );
    assert_eq!(magnet.hashes, InfoHashes::V1(HEX.parse().unwrap()));
    assert_eq!(magnet.name.as_deref(), Some("a naïve name"));
    assert_eq!(magnet.trackers, ["http://t.example/announce", "udp://u.example:1"]);
    assert_eq!(magnet.web_seeds, ["https://s.example/a+b"]);
    let peers: Vec<_> = magnet.peers.iter().map(|p| (p.host.as_str(), p.port)).collect();
    assert_eq!(peers, [("192.0.2.1", 6881), ("2001:db8::1", 1), ("peer.example", 2)]);
    assert_eq!(magnet.select, [0..=0, 2..=2, 4..=6]);
}

#[test]
fn what_cannot_be_used_is_left_out() {
    let magnet = valid(
        "dn=&tr=file:///etc/passwd&tr=%FF&ws=udp://x.example:1&x.pe=nonsense&x.pe=a:0&x.pe=1:2:3&x.pe=[h]:1&x.pe=[1.2.3.4]:1\
         &so=,x,5-3,-,4294967296&so=%31&tr&&",
    );
    assert_eq!(
        (magnet.name, magnet.trackers.len(), magnet.web_seeds.len(), magnet.peers.len()),
        (None, 0, 0, 0)
    );
    assert_eq!(magnet.select, [1..=1]);
    // A link that someone cut keeps what is left of it.
    assert_eq!(valid("dn=50%25%20off%2").name.as_deref(), Some("50% off%2"));
}

#[test]
fn h21_a_link_names_one_torrent_in_hex_or_base32_or_the_error_says_what_is_wrong() {
    for topic in [HEX.to_owned(), HEX.to_uppercase(), BASE32.to_owned(), BASE32.to_lowercase()] {
        assert_eq!(parse(&format!("xt=urn:btih:{topic}")).unwrap(), valid(""), "{topic}");
        assert_eq!(parse(&format!("dn=x&xt.1=urn%3Abtih%3A{topic}")).unwrap().hashes, valid("").hashes);
    }
    assert_eq!(error("dn=x"), "the link names no torrent: 'xt=urn:btih:…' is missing");
    assert_eq!(error("xt=urn:ed2k:31D6CFE0D16AE931B73C59D7E0C089C0"), error("dn=x"));
    assert_eq!(
        error("xt=urn:btih:ab%1b"),
        "'ab\\u{1b}' is no info-hash: an info-hash is 40 hexadecimal digits or 32 of base32"
    );
    assert!(
        error(&format!("xt=urn:btih:{}", &HEX[1..]))
            .starts_with("'ab507494d02ebb1178b38f2e9d7be299c86b862' is no")
    );
    assert!(error(&format!("xt=urn:btih:{HEX}0")).contains("is no info-hash"));
    let other = "00".repeat(20);
    assert_eq!(
        error(&format!("xt=urn:btih:{HEX}&xt=urn:btih:{other}")),
        format!("the link names two torrents, {HEX} and {other}: give one")
    );
    assert!(
        parse(&format!("xt=urn:btih:{HEX}&xt=urn:btih:{BASE32}&xt=urn:ed2k:1")).is_ok(),
        "the same one twice"
    );
    assert_eq!("http://x".parse::<Magnet>().unwrap_err().to_string(), "a magnet link begins with 'magnet:?'");
    assert!(format!("  MAGNET:?xt=URN:BTIH:{HEX}\n").parse::<Magnet>().is_ok());
}

#[test]
fn h21_a_v2_topic_alone_is_not_supported_and_beside_a_v1_one_is_a_hybrid_read_as_v1() {
    let v2 = format!("xt=urn:btmh:1220{}", "ab".repeat(32));
    let e = parse(&v2).unwrap_err();
    assert!(matches!(e.kind(), ErrorKind::Unsupported(_)));
    assert_eq!(e.to_string(), "links to torrents that are only v2 (urn:btmh) are not supported yet");
    assert_eq!(valid(&v2), valid(""));
}

#[test]
fn h22_a_selection_is_capped_sorted_and_joined() {
    assert_eq!(valid("so=0-4294967295").select, [0..=MAX_SELECTED_FILES - 1]);
    assert_eq!(valid("so=4294967295,5,3-4,0").select, [0..=0, 3..=5, u32::MAX..=u32::MAX]);
    assert_eq!(valid("so=0-9997,20000-30000").select, [0..=9997, 20_000..=20_001]);
    assert_eq!(valid("so=0-9999,20000").select, [0..=9999]);
}

#[test]
fn a_selection_names_the_files_that_exist_and_none_of_them_stands_for_all() {
    let builder =
        crate::InfoBuilder { name: b"top".into(), piece_length: 16_384, private: false, source: None };
    let file = |name: &str| crate::BuildFile { path: vec![name.into()], length: 1 };
    let info = builder.folder(&["a", "b", "c", "d"].map(file), &[0; 20]).unwrap();
    assert_eq!(valid("so=0,2-4294967295").selected_files(&info), Some(vec![0, 2, 3]));
    assert_eq!(valid("so=4,17").selected_files(&info), None);
    assert_eq!(valid("dn=x").selected_files(&info), None);
}

#[test]
fn h20_h22_trackers_and_peers_of_a_link_are_capped_and_kept_once() {
    let trackers: String = (0..1000).map(|n| format!("&tr=http://t{}.example/", n / 2)).collect();
    assert_eq!(valid(&trackers).trackers.len(), MAX_TRACKERS);
    let peers: String = (0..1000).map(|n| format!("&x.pe=192.0.2.1:{}", n / 2 + 1)).collect();
    assert_eq!(valid(&peers).peers.len(), MAX_MAGNET_PEERS);
    assert!(valid("tr=http://tr%D0%B0cker.example/").trackers.is_empty(), "a Cyrillic letter");
    let e = parse(&"x".repeat(MAX_MAGNET_BYTES)).unwrap_err();
    assert_eq!(e.to_string(), "a magnet link of 131080 bytes is too long");
}

prop_compose! {
    fn any_magnet()(
        hash in any::<[u8; 20]>(),
        name in proptest::option::of("\\PC{1,20}"),
        trackers in proptest::collection::btree_set("(http|udp|wss)://[a-z]{1,5}\\.example:[1-9]/[!-~]{0,9}", 0..4),
        web_seeds in proptest::collection::btree_set("https?://[a-z0-9]{1,5}/é?[!-~]{0,9}", 0..4),
        peers in proptest::collection::btree_map(
            prop_oneof!["[a-z]{1,9}", any::<std::net::IpAddr>().prop_map(|ip| ip.to_string())], 1u16.., 0..4),
        select in proptest::collection::btree_set(0u32..100, 0..20),
    ) -> Magnet {
        Magnet {
            hashes: InfoHashes::V1(InfoHash::new(hash)),
            name,
            trackers: trackers.into_iter().collect(),
            peers: peers.into_iter().map(|(host, port)| MagnetPeer { host, port }).collect(),
            web_seeds: web_seeds.into_iter().collect(),
            // Every other index at most, so that no two ranges touch.
            select: select.into_iter().map(|n| 2 * n..=2 * n).collect(),
        }
    }
}

proptest! {
    #[test]
    fn a_link_that_was_written_reads_as_the_same(magnet in any_magnet()) {
        let text = magnet.to_string();
        prop_assert!(text.is_ascii() && !text.contains(char::is_whitespace));
        prop_assert_eq!(text.parse::<Magnet>().unwrap(), magnet);
    }
}
