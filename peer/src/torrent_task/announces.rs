//! One torrent's conversation with its trackers.
//!
//! When to ask whom is the [`Announcer`]'s to say; this sends what it asks for and keeps what people want to know.
//! Invariant: at most one announce is under way; each complaint of a tracker is told once until it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use metainfo::{InfoHash, display_safe};
use peer_proto::announce::Announcer;
use peer_proto::{PeerId, Time};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use tokio::task::{JoinError, JoinSet};
use tracker_proto::http::{AnnounceRequest, Event, ReplyError};

use crate::TrackerStatus;
use crate::discovery::{Announced, FetchError, TrackerClient, is_udp};

/// Where a torrent stands, for its trackers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) uploaded: u64,
    pub(crate) downloaded: u64,
    pub(crate) left: u64,
    /// It lacks something and wants no more.
    pub(crate) is_partial_seed: bool,
}

/// Whom to ask about which torrent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trackers<'a> {
    pub(crate) info_hash: InfoHash,
    /// Those that the user named, each a tier of its own, before all others.
    pub(crate) by_user: &'a [String],
    pub(crate) tiers: &'a [Vec<String>],
}

/// What came of an announce.
pub(crate) type Answer = Result<(String, Result<Announced, FetchError>), JoinError>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Announces {
    announcer: Announcer,
    client: Arc<TrackerClient>,
    by_user: BTreeSet<String>,
    /// What an announce is made of that never changes.
    request: AnnounceRequest,
    /// What each tracker told us to tell it (BEP 3); no more entries than trackers.
    tracker_ids: BTreeMap<String, Vec<u8>>,
    running: JoinSet<(String, Result<Announced, FetchError>)>,
    /// What each tracker complained of last.
    complaints: BTreeMap<String, String>,
    pub(crate) status: TrackerStatus,
    /// The address under which the last tracker that answered sees us, if it said so.
    pub(crate) seen_as: Option<std::net::IpAddr>,
}

impl Announces {
    /// The trackers of a torrent, those that the user named first. Also what to tell the user about them.
    pub(crate) fn new(
        trackers: Trackers<'_>,
        client: Arc<TrackerClient>,
        (peer_id, port): (PeerId, u16),
        mut rng: ChaCha8Rng,
    ) -> (Self, Option<String>) {
        let user = trackers.by_user.iter().map(|url| vec![url.clone()]);
        let mut skipped = Vec::new();
        let mut tiers = Vec::new();
        for tier in user.chain(trackers.tiers.iter().cloned()) {
            let (usable, other): (Vec<_>, Vec<_>) =
                tier.into_iter().partition(|url| is_http(url) || is_udp(url));
            skipped.extend(other);
            tiers.extend(Some(usable).filter(|tier| !tier.is_empty()));
        }
        let usable = tiers.iter().flatten().collect::<BTreeSet<_>>().len();
        let mut request = AnnounceRequest::new(trackers.info_hash, peer_id, port);
        // So that the tracker knows us when our address changes.
        request.key = Some(format!("{:08x}", rng.next_u32()).into_bytes());
        let this = Self {
            announcer: Announcer::new(tiers, rng),
            client,
            by_user: trackers.by_user.iter().cloned().collect(),
            request,
            tracker_ids: BTreeMap::new(),
            running: JoinSet::new(),
            complaints: BTreeMap::new(),
            status: TrackerStatus { usable, ..TrackerStatus::default() },
            seen_as: None,
        };
        (this, note_of_skipped(&skipped))
    }

    /// Starts the announce that is due, if one is.
    pub(crate) fn start(&mut self, now: Time, standing: Standing) {
        let Some(announce) = self.announcer.poll(now) else { return };
        let mut request = self.request.clone();
        request.event = event(announce.event, standing);
        request.numwant = Some(announce.numwant);
        request.uploaded = standing.uploaded;
        request.downloaded = standing.downloaded;
        request.left = standing.left;
        request.tracker_id = self.tracker_ids.get(&announce.url).cloned();
        let client = Arc::clone(&self.client);
        let by_user = self.by_user.contains(&announce.url);
        self.running.spawn(async move {
            let answer = client.announce(&announce.url, by_user, &request).await;
            (announce.url, answer)
        });
    }

    /// Whether an answer is waited for.
    pub(crate) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// The next answer; `None` if none is waited for.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        self.running.join_next().await
    }

    /// Takes an answer. Gives the peers in it, and a line for the user if there is news.
    pub(crate) fn finish(
        &mut self,
        now: Time,
        answer: Answer,
    ) -> (Vec<std::net::SocketAddr>, Option<String>) {
        let (url, answer) = match answer {
            Ok(answer) => answer,
            // The request itself broke: to the schedule that is one more tracker that did not answer.
            Err(error) => {
                let error = format!("an announce ended unexpectedly: {error}");
                self.announcer.handle_failure(now, &error, None);
                return (Vec::new(), Some(error));
            }
        };
        match answer {
            Ok(Announced { reply, peers }) => {
                self.status.answered = true;
                self.seen_as = reply.external_ip;
                self.status.last_error = None;
                self.status.refusal = None;
                self.status.counts = reply.complete.zip(reply.incomplete);
                if let Some(id) = reply.tracker_id {
                    self.tracker_ids.insert(url.clone(), id);
                }
                let found = metainfo::plural(peers.len() as u64, "peer");
                tracing::info!("{url}: {found}, again in {} s", reply.interval.as_secs());
                self.announcer.handle_reply(now, reply.interval, reply.min_interval, peers.len());
                let news =
                    self.complain(&url, reply.warning.map(|text| format!("the tracker warns: {text}")));
                (peers, news)
            }
            Err(error) => {
                let failure = match &error {
                    FetchError::Reply(ReplyError::Failure(failure)) => Some(failure),
                    _ => None,
                };
                let retry_in = failure.and_then(|failure| failure.retry_in);
                self.status.refusal = failure.map(|failure| failure.reason.clone());
                let is_silence = matches!(error, FetchError::TimedOut(_));
                let error = error.to_string();
                tracing::info!("{url}: {error}");
                match is_silence && is_udp(&url) {
                    true => self.announcer.handle_silence(now, &error),
                    false => self.announcer.handle_failure(now, &error, retry_in),
                }
                self.status.last_error = Some(format!("{}: {error}", display_safe(&url)));
                (Vec::new(), self.complain(&url, Some(error)))
            }
        }
    }

    /// Remembers what a tracker complains of; a line for the user if that is new.
    fn complain(&mut self, url: &str, complaint: Option<String>) -> Option<String> {
        let Some(complaint) = complaint else {
            self.complaints.remove(url);
            return None;
        };
        if self.complaints.get(url) == Some(&complaint) {
            return None;
        }
        let line = format!("{}: {complaint}", display_safe(url));
        self.complaints.insert(url.to_owned(), complaint);
        Some(line)
    }

    /// More peers would be of use.
    pub(crate) fn request_more(&mut self, now: Time) {
        self.announcer.request_more(now);
    }

    /// The download is complete.
    pub(crate) fn completed(&mut self, now: Time) {
        self.announcer.handle_completed(now);
    }

    /// We leave: what is under way no longer matters, and the trackers that know us are told.
    pub(crate) async fn stop(&mut self, now: Time, standing: Standing) {
        self.running.abort_all();
        while self.running.join_next().await.is_some() {}
        self.announcer.handle_stopped(now);
        loop {
            self.start(now, standing);
            let Some(answer) = self.running.join_next().await else { break };
            self.finish(now, answer);
        }
    }

    /// When [`Announces::start`] is due.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        if self.is_running() { None } else { self.announcer.poll_timeout() }
    }
}

/// What to say: where there is nothing else, a partial seed says that it is one, each time (BEP 21).
fn event(event: Event, standing: Standing) -> Event {
    match event {
        Event::None if standing.is_partial_seed => Event::Paused,
        event => event,
    }
}

fn is_http(url: &str) -> bool {
    let scheme = url.split("://").next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

/// One line for all trackers that cannot be asked.
fn note_of_skipped(skipped: &[String]) -> Option<String> {
    let first = skipped.first()?;
    let scheme = display_safe(first.split("://").next().unwrap_or_default());
    let more = match skipped.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!("{scheme} trackers are not supported yet: {}{more} will not be asked", display_safe(first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_seed_says_so_in_every_announce_that_is_for_nothing_else() {
        let said = |is_partial_seed| {
            let standing = Standing { uploaded: 0, downloaded: 0, left: 1, is_partial_seed };
            [Event::Started, Event::None, Event::Stopped].map(|due| event(due, standing))
        };
        assert_eq!(said(true), [Event::Started, Event::Paused, Event::Stopped]);
        assert_eq!(said(false), [Event::Started, Event::None, Event::Stopped]);
    }

    #[test]
    fn trackers_that_cannot_be_asked_are_named_in_one_line() {
        assert_eq!(note_of_skipped(&[]), None);
        let urls = ["ws://a:1/announce".to_owned(), "wss://b/".to_owned()];
        assert_eq!(
            note_of_skipped(&urls).unwrap(),
            "ws trackers are not supported yet: ws://a:1/announce and 1 more will not be asked"
        );
        assert!(is_http("HTTPS://x/announce") && !is_http("ws://x") && !is_http(""));
    }
}
