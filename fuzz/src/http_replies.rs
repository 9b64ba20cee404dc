//! Answers of HTTP trackers: whatever a tracker says, what a client makes of it is within bounds, and what our own
//! tracker writes is read as it was meant.

use std::collections::BTreeSet;
use std::time::Duration;

use tracker_proto::http::{
    AnnounceReply, Failure, MAX_REPLY_PEERS, MAX_SCRAPE_HASHES, MAX_TOKEN_BYTES, ReplyError, ScrapeReply,
    encode_failure,
};
use tracker_proto::{compact, interval};

use crate::input::Input;

/// The first byte chooses the status.
pub fn target(data: &[u8]) {
    let mut input = Input::new(data);
    let status = [200, 200, 200, 204, 302, 400, 404, 503][input.below(8)];
    let body = input.rest();
    match AnnounceReply::parse(status, body) {
        Ok(reply) => announced(&reply),
        Err(error) => refused(&error),
    }
    match ScrapeReply::parse(status, body) {
        Ok(reply) => {
            assert!(reply.files.len() <= MAX_SCRAPE_HASHES);
            assert_eq!(ScrapeReply::parse(200, &reply.encode()).as_ref(), Ok(&reply));
        }
        Err(error) => refused(&error),
    }
}

fn announced(reply: &AnnounceReply) {
    for wait in [Some(reply.interval), reply.min_interval].into_iter().flatten() {
        assert!((interval::MIN..=interval::MAX).contains(&wait), "{wait:?}");
    }
    assert!(reply.peers.len() <= MAX_REPLY_PEERS);
    assert!(reply.peers.iter().all(|&peer| compact::is_dialable(peer)));
    assert!(reply.tracker_id.as_ref().is_none_or(|id| id.len() <= MAX_TOKEN_BYTES));
    reply.warning.as_deref().inspect(|warning| crate::assert_one_line(warning));
    // What is escaped for the eye is not escaped again, nor cut where it was cut: all else is as it was.
    let sent = AnnounceReply { warning: None, ..reply.clone() };
    let sorted = |reply: &AnnounceReply| reply.peers.iter().copied().collect::<BTreeSet<_>>();
    for body in [sent.encode(), sent.encode_dictionaries(&[])] {
        let read = AnnounceReply::parse(200, &body).expect("our own reply is one");
        assert_eq!(sorted(&read), sorted(&sent));
        assert_eq!(
            AnnounceReply { peers: Vec::new(), ..read },
            AnnounceReply { peers: Vec::new(), ..sent.clone() }
        );
    }
}

fn refused(error: &ReplyError) {
    crate::assert_one_line(&error.to_string());
    let ReplyError::Failure(Failure { reason, retry_in }) = error else { return };
    let in_bounds = |wait: Duration| wait == Duration::MAX || (interval::MIN..=interval::MAX).contains(&wait);
    assert!(retry_in.is_none_or(in_bounds), "{retry_in:?}");
    let again = AnnounceReply::parse(200, &encode_failure(reason, *retry_in));
    assert!(matches!(again, Err(ReplyError::Failure(again)) if again.retry_in == *retry_in));
}
