//! Trackers' answers: real ones, wrong ones, hostile ones.

use proptest::prelude::*;

use super::*;
use crate::http::encode_failure;

fn parse(body: &[u8]) -> Result<AnnounceReply, ReplyError> {
    AnnounceReply::parse(200, body)
}

fn error(status: u16, body: &[u8]) -> String {
    AnnounceReply::parse(status, body).unwrap_err().to_string()
}

fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn a_compact_reply_is_read() {
    let body = b"d8:completei11e10:downloadedi13772e11:external ip4:\x01\x02\x03\x0410:incompletei19e8:intervali1800e\
                 12:min intervali900e5:peers12:\x0a\0\0\x01\x1a\xe1\xc0\0\x02\x09\0\x506:peers618:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe1\
                 10:tracker id3:xyz15:warning message4:hey!e";
    let reply = parse(body).unwrap();
    assert_eq!(
        reply,
        AnnounceReply {
            interval: Duration::from_secs(1800),
            min_interval: Some(Duration::from_secs(900)),
            complete: Some(11),
            incomplete: Some(19),
            downloaded: Some(13772),
            peers: addresses(&["10.0.0.1:6881", "192.0.2.9:80", "[2001:db8::1]:6881"]),
            external_ip: Some("1.2.3.4".parse().unwrap()),
            warning: Some("hey!".to_owned()),
            tracker_id: Some(b"xyz".to_vec()),
        }
    );
}

#[test]
fn the_original_form_is_read() {
    let body = b"d8:intervali1800e5:peersld2:ip9:192.0.2.97:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti80eed2:ip11:2001:db8::14:porti81eeee";
    assert_eq!(parse(body).unwrap().peers, addresses(&["192.0.2.9:80", "[2001:db8::1]:81"]));
}

#[test]
fn a_newline_after_the_reply_is_no_harm() {
    assert_eq!(parse(b"d5:peers6:\x01\x02\x03\x04\0\x05e\r\n").unwrap().peers, addresses(&["1.2.3.4:5"]));
}

#[test]
fn an_empty_swarm_is_no_error() {
    assert_eq!(parse(b"d8:intervali1800e5:peers0:e").unwrap().peers, []);
    assert_eq!(parse(b"d8:intervali1800e5:peerslee").unwrap().peers, []);
    assert_eq!(parse(b"d8:intervali1800ee").unwrap().peers, []);
}

#[test]
fn h45_an_answer_that_is_too_long_is_not_read() {
    let mut body = b"d8:intervali1800e5:peers0:1:x".to_vec();
    body.extend(format!("{MAX_REPLY_BYTES}:").into_bytes());
    body.resize(body.len() + MAX_REPLY_BYTES, b'x');
    body.push(b'e');
    assert_eq!(error(200, &body), "its answer is longer than 2097152 bytes");
    assert_eq!(ScrapeReply::parse(200, &body), Err(ReplyError::TooLong));
}

#[test]
fn h46_a_web_page_is_shown_as_such() {
    let page = b"\r\n<!DOCTYPE html>\n<html><head><TITLE> Domain for\nsale \x1b[31m</title></head>...";
    assert_eq!(
        error(200, page),
        "it answered with a web page, not as a tracker does: \"Domain for\\u{a}sale \\u{1b}[31m\""
    );
    assert_eq!(error(200, b"<html>"), "it answered with a web page, not as a tracker does");
}

#[test]
fn h46_a_404_is_shown_with_what_it_says() {
    assert_eq!(error(404, b"no such file\n"), "it answered with HTTP status 404: \"no such file\"");
    assert_eq!(error(404, b""), "it answered with HTTP status 404");
    assert_eq!(
        error(404, b"<html><title>Not Found</title>"),
        "it answered with HTTP status 404: \"Not Found\""
    );
    assert_eq!(error(500, b"d8:intervali1800e5:peers0:e"), "it answered with HTTP status 500");
}

#[test]
fn h46_a_failure_reason_is_the_trackers_own_words_whatever_the_status() {
    for status in [200, 400, 403] {
        assert_eq!(error(status, b"d14:failure reason12:unregisterede"), "the tracker says: unregistered");
    }
    // The spelling of BEP 48.
    assert_eq!(
        ScrapeReply::parse(200, b"d14:failure_reason2:noe").unwrap_err().to_string(),
        "the tracker says: no"
    );
    let long = encode_failure(&"é\n".repeat(100_000), None);
    let shown = error(200, &long);
    assert!(shown.len() < 2000 && !shown.contains('\n') && shown.ends_with('…'), "{shown}");
}

#[test]
fn h46_a_warning_comes_with_the_reply() {
    let reply = parse(b"d8:intervali1800e5:peers0:15:warning message8:go\x07 awaye").unwrap();
    assert_eq!(reply.warning.as_deref(), Some("go\\u{7} away"));
}

#[test]
fn a_failure_can_say_when_to_come_back() {
    let retry = |wait: Option<Duration>| match parse(&encode_failure("busy", wait)) {
        Err(ReplyError::Failure(failure)) => failure.retry_in,
        other => panic!("{other:?}"),
    };
    assert_eq!(retry(None), None);
    assert_eq!(retry(Some(Duration::from_secs(601))), Some(Duration::from_secs(11 * 60)));
    assert_eq!(retry(Some(Duration::MAX)), Some(Duration::MAX));
    assert_eq!(retry(Some(Duration::from_secs(1 << 40))), Some(interval::MAX));
}

#[test]
fn h48_an_interval_out_of_range_is_clamped_and_none_is_the_customary_one() {
    for (interval, wait) in [("-1", 60), ("0", 60), ("1", 60), ("90", 90), ("9223372036854775807", 3600)] {
        let reply = parse(format!("d8:intervali{interval}e5:peers0:e").as_bytes()).unwrap();
        assert_eq!(reply.interval, Duration::from_secs(wait), "{interval}");
    }
    assert_eq!(parse(b"d5:peers0:e").unwrap().interval, interval::DEFAULT);
    assert_eq!(parse(b"d8:interval4:soon5:peers0:e").unwrap().interval, interval::DEFAULT);
    assert!(matches!(parse(b"d8:intervali9223372036854775808e5:peers0:e"), Err(ReplyError::NotBencode(_))));
}

#[test]
fn h49_bad_peers_are_skipped_and_are_an_error_only_when_all_are() {
    let good = |body: &[u8]| parse(body).unwrap().peers;
    assert_eq!(good(b"d5:peers7:\x01\x02\x03\x04\0\x05\x06e"), addresses(&["1.2.3.4:5"]));
    assert_eq!(good(b"d5:peers12:\x01\x02\x03\x04\0\0\x01\x02\x03\x04\0\x05e"), addresses(&["1.2.3.4:5"]));
    assert_eq!(
        good(b"d5:peersli5e4:junkleded2:ip4:host4:porti1eed2:ip7:1.2.3.44:porti5eed2:ip7:1.2.3.44:porti65536eeee"),
        addresses(&["1.2.3.4:5"])
    );
    assert_eq!(good(b"d5:peers3:abc6:peers618:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe1e").len(), 1);
    let bad = "its answer is not a tracker's: none of its peers has an address that makes sense";
    for body in [
        &b"d5:peers5:\x01\x02\x03\x04\0e"[..],
        b"d5:peers6:\x01\x02\x03\x04\0\0e",
        b"d5:peersli5e4:junkee",
        b"d5:peersi5ee",
    ] {
        assert_eq!(error(200, body), bad);
    }
}

#[test]
fn no_more_peers_are_taken_than_anybody_needs() {
    let many = [1, 2, 3, 4, 5, 6].repeat(20_000);
    let mut body = format!("d5:peers{}:", many.len()).into_bytes();
    body.extend(&many);
    let many6 = [0x20; 18].repeat(5_000);
    body.extend(format!("6:peers6{}:", many6.len()).into_bytes());
    body.extend(&many6);
    body.push(b'e');
    assert_eq!(parse(&body).unwrap().peers.len(), MAX_REPLY_PEERS);
}

#[test]
fn bencode_that_is_no_trackers_is_refused() {
    assert_eq!(error(200, b"i5e"), "its answer is not a tracker's: it is no dictionary");
    assert_eq!(error(200, b"de"), "its answer is not a tracker's: it has neither peers nor an interval");
    assert!(error(200, b"").starts_with("its answer is not bencode: "));
    assert!(error(200, b"d8:interval").starts_with("its answer is not bencode: "));
    assert_eq!(
        ScrapeReply::parse(200, b"d8:intervali1ee").unwrap_err().to_string(),
        "its answer is not a tracker's: it has no files"
    );
}

#[test]
fn a_scrape_reply_with_junk_in_it_is_read_without_the_junk() {
    let body =
        b"d5:filesd3:abcd8:completei1ee20:aaaaaaaaaaaaaaaaaaaad8:completei5e10:incompletei-1eee5:flagsdee";
    let reply = ScrapeReply::parse(200, body).unwrap();
    let stats = ScrapeStats { complete: 5, incomplete: 0, downloaded: 0, downloaders: None };
    assert_eq!(reply.files.into_iter().collect::<Vec<_>>(), [(InfoHash::new([b'a'; 20]), stats)]);
}

fn seconds() -> impl Strategy<Value = Duration> {
    (60..=3600u64).prop_map(Duration::from_secs)
}

fn peer() -> impl Strategy<Value = SocketAddr> {
    any::<(IpAddr, u16)>()
        .prop_map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port))
        .prop_filter("one that can be dialled", |address| compact::is_dialable(*address))
}

prop_compose! {
    fn reply()(
        interval in seconds(),
        min_interval in proptest::option::of(seconds()),
        (complete, incomplete, downloaded) in any::<(Option<u32>, Option<u32>, Option<u32>)>(),
        mut peers in proptest::collection::vec(peer(), 0..40),
        external_ip in proptest::option::of(any::<IpAddr>().prop_map(|ip| ip.to_canonical())),
        warning in proptest::option::of("[a-z ]{0,100}"),
        tracker_id in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..=MAX_TOKEN_BYTES)),
    ) -> AnnounceReply {
        // The compact form has the families apart.
        peers.sort_by_key(SocketAddr::is_ipv6);
        AnnounceReply {
            interval, min_interval, complete, incomplete, downloaded, peers, external_ip, warning, tracker_id,
        }
    }
}

proptest! {
    #[test]
    fn what_a_tracker_writes_a_client_reads(reply in reply()) {
        prop_assert_eq!(parse(&reply.encode()), Ok(reply.clone()));
        prop_assert_eq!(parse(&reply.encode_dictionaries(&[])), Ok(reply.clone()));
        let ids = vec![crate::PeerId([7; 20]); reply.peers.len()];
        prop_assert_eq!(parse(&reply.encode_dictionaries(&ids)), Ok(reply));
    }

    #[test]
    fn any_bytes_are_read_or_refused(status: u16, body: Vec<u8>) {
        if let Ok(reply) = AnnounceReply::parse(status, &body) {
            prop_assert!(reply.peers.iter().all(|peer| peer.port() != 0));
        }
    }
}
