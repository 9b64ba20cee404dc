//! Announce queries as clients of the field write them, as nobody should, and mutated at random.

use proptest::prelude::*;

use super::*;

/// As aria2 writes it, shortened.
const QUERY: &str = "info_hash=%CAb%B5%07IM%02%EB%B1%17%8B8%F2%E9%D7%BE%29%9C%86%B8&peer_id=-SH0001-abcdefghijkl\
                     &uploaded=1&downloaded=2&left=3&compact=1&key=9f2c&numwant=50&no_peer_id=1&port=6881\
                     &event=started&supportcrypto=1";

fn parse(query: &str) -> Result<AnnounceRequest, RequestError> {
    AnnounceRequest::parse_query(query.as_bytes())
}

fn with(old: &str, new: &str) -> Result<AnnounceRequest, RequestError> {
    assert!(QUERY.contains(old));
    parse(&QUERY.replace(old, new))
}

#[test]
fn an_announce_is_read() {
    let request = parse(QUERY).unwrap();
    assert_eq!(request.info_hash.to_string(), "ca62b507494d02ebb1178b38f2e9d7be299c86b8");
    assert_eq!(&request.peer_id.0, b"-SH0001-abcdefghijkl");
    assert_eq!((request.uploaded, request.downloaded, request.left, request.port), (1, 2, 3, 6881));
    assert_eq!((request.event, request.numwant, request.compact), (Event::Started, Some(50), true));
    assert_eq!((request.key.as_deref(), request.no_peer_id, request.ip), (Some(&b"9f2c"[..]), true, None));
}

#[test]
fn what_nothing_depends_on_may_be_missing() {
    let request = parse("info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1&left=0").unwrap();
    let expected = AnnounceRequest {
        no_peer_id: false,
        ..AnnounceRequest::new(InfoHash::new([b'a'; 20]), PeerId([b'b'; 20]), 1)
    };
    assert_eq!(request, expected);
}

#[test]
fn unknown_events_and_keys_are_nothing_to_worry_about() {
    assert_eq!(with("started", "resumed").unwrap().event, Event::None);
    assert_eq!(with("started", "").unwrap().event, Event::None);
    assert_eq!(with("supportcrypto=1", "&&=&x&y==%zz&").unwrap(), parse(QUERY).unwrap());
}

#[test]
fn values_that_nobody_uses_refuse_no_announce() {
    let read = |more: &str| {
        let query = QUERY.replace("&uploaded=1&downloaded=2", "").replace("&key=9f2c", "");
        let AnnounceRequest { uploaded, downloaded, key, tracker_id, ip, .. } =
            parse(&format!("{query}{more}")).unwrap();
        (uploaded, downloaded, key, tracker_id, ip)
    };
    let token = |token: &[u8]| Some(token.to_vec());
    assert_eq!(
        read("&uploaded=1&downloaded=2&key=a%00&trackerid=b&ip=%3A%3A1"),
        (1, 2, token(b"a\0"), token(b"b"), Some("::1".parse().unwrap()))
    );
    for (unreadable, why) in [
        ("&uploaded=-1&downloaded=18446744073709551616", "out of range"),
        ("&uploaded=x&downloaded=", "no number"),
        ("&key=%zz&trackerid=%&ip=%1", "badly escaped"),
        ("&ip=example.org", "no address"),
        ("&ip=%FF", "no text"),
        ("&uploaded=1&uploaded=x&key=a&key=%zz&ip=::1&ip=", "the last is unreadable"),
    ] {
        assert_eq!(read(unreadable), (0, 0, None, None, None), "{why}");
    }
    assert_eq!(
        read(
            "&uploaded=x&uploaded=3&downloaded=1&downloaded=4&key=a&key=b&trackerid=c&trackerid=d&ip=x&ip=::2"
        ),
        (3, 4, token(b"b"), token(b"d"), Some("::2".parse().unwrap())),
        "the last holds"
    );
}

#[test]
fn h53_a_wrong_request_is_told_why() {
    let hash = "info_hash=%CAb%B5%07IM%02%EB%B1%17%8B8%F2%E9%D7%BE%29%9C%86%B8";
    let long = format!("{QUERY}&x={}", "y".repeat(MAX_QUERY_BYTES));
    let cases = [
        (with(hash, "x=1"), "info_hash is missing"),
        (with(hash, "info_hash="), "info_hash must be 20 bytes, percent-encoded, but has 0"),
        (with("%86%B8", "%86"), "info_hash must be 20 bytes, percent-encoded, but has 19"),
        (with("%86%B8", "%86%B8%B8"), "info_hash must be 20 bytes, percent-encoded, but has 21"),
        (with("%CAb", "%CXb"), "info_hash is not percent-encoded properly"),
        (with("%86%B8", "%86%B"), "info_hash is not percent-encoded properly"),
        (with("supportcrypto", "info_hash"), "info_hash is given twice"),
        (with("peer_id=-SH", "peer_id=SH"), "peer_id must be 20 bytes, percent-encoded, but has 19"),
        (with("&peer_id=", "&peerid="), "peer_id is missing"),
        (with("port=6881", "port=0"), "port 0 cannot be connected to"),
        (with("port=6881", "port=65536"), "port is not a number, is negative or is too large"),
        (with("port=6881", "port=+6881"), "port is not a number, is negative or is too large"),
        (with("port=6881", "p=1"), "port is missing"),
        (with("left=3", "left=-1"), "left is not a number, is negative or is too large"),
        (with("left=3", "left=18446744073709551616"), "left is not a number, is negative or is too large"),
        (with("left=3", "left="), "left is not a number, is negative or is too large"),
        (with("&left=3", ""), "left is missing"),
        (parse(""), "port is missing"),
        (parse(&long), "the query is longer than 8192 bytes"),
    ];
    for (result, reason) in cases {
        assert_eq!(result.unwrap_err().to_string(), reason);
    }
}

#[test]
fn h54_a_numwant_out_of_range_is_no_error() {
    for (numwant, read) in [
        ("-1", None),
        ("", None),
        ("x", None),
        ("0", Some(0)),
        ("2147483648", Some(1 << 31)),
        ("9".repeat(40).as_str(), Some(u32::MAX)),
    ] {
        assert_eq!(with("numwant=50", &format!("numwant={numwant}")).unwrap().numwant, read, "{numwant}");
    }
}

#[test]
fn a_query_is_joined_to_whatever_the_announce_url_has_already() {
    let request = AnnounceRequest::new(InfoHash::new([b'a'; 20]), PeerId([b'b'; 20]), 1);
    for (announce, start) in [
        ("http://t/announce", "http://t/announce?info_hash=aa"),
        ("http://t/announce?passkey=1", "http://t/announce?passkey=1&info_hash=aa"),
        ("http://t/announce?", "http://t/announce?info_hash=aa"),
        ("http://t/announce?p=1&", "http://t/announce?p=1&info_hash=aa"),
        ("http://t/announce#top", "http://t/announce?info_hash=aa"),
        ("http://[::1]:6969/announce?a=b#top?c", "http://[::1]:6969/announce?a=b&info_hash=aa"),
    ] {
        let url = request.to_url(announce);
        assert!(url.starts_with(start), "{url}");
    }
}

fn token() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..=MAX_TOKEN_BYTES))
}

prop_compose! {
    fn request()(
        info_hash: [u8; 20],
        peer_id: [u8; 20],
        port in 1..=u16::MAX,
        (uploaded, downloaded, left) in any::<(u64, u64, u64)>(),
        event in prop_oneof![
            Just(Event::None), Just(Event::Started), Just(Event::Stopped), Just(Event::Completed),
            Just(Event::Paused)
        ],
        (numwant, compact, no_peer_id, ip) in any::<(Option<u32>, bool, bool, Option<IpAddr>)>(),
        (key, tracker_id) in (token(), token()),
    ) -> AnnounceRequest {
        AnnounceRequest {
            info_hash: InfoHash::new(info_hash), peer_id: PeerId(peer_id), port, uploaded, downloaded, left, event, numwant, compact,
            key, no_peer_id, tracker_id, ip,
        }
    }
}

proptest! {
    #[test]
    fn what_a_client_writes_a_tracker_reads(request in request()) {
        prop_assert_eq!(AnnounceRequest::parse_query(request.to_query().as_bytes()), Ok(request));
    }

    #[test]
    fn any_bytes_are_read_or_refused(query: Vec<u8>) {
        if let Ok(request) = AnnounceRequest::parse_query(&query) {
            prop_assert_ne!(request.port, 0);
        }
    }
}
