//! Asking trackers, over HTTP (BEP 3, 23, 48) or UDP (BEP 15) as their URL says, and fetching torrent files.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use metainfo::{InfoHash, MAX_TORRENT_BYTES};
use peer_proto::scope::{Scope, may_use};
use tokio::sync::Semaphore;
use tracker_proto::http::{
    AnnounceReply, AnnounceRequest, MAX_REPLY_BYTES, MAX_SCRAPE_HASHES, ReplyError, ScrapeReply,
    ScrapeRequest, scrape_url,
};

use tracker_proto::udp::{Announce, Ask, Reply};

use super::http::{FetchError, Http, Reach};
use super::udp::{Answered, Udp, UdpUrl, is_udp};
use crate::limits::ANNOUNCES;
use crate::{Listen, SessionConfig};

/// Asks trackers. Cheap to make: connections and certificates come when they are needed.
#[derive(Debug)]
pub struct TrackerClient {
    http: Http,
    udp: Udp,
    deadline: Duration,
    /// Announces that may be under way.
    turns: Semaphore,
}

/// A tracker's answer, its peers filtered.
#[derive(Debug)]
pub(crate) struct Announced {
    pub(crate) reply: AnnounceReply,
    /// Peers that a tracker at this address may name.
    pub(crate) peers: Vec<SocketAddr>,
}

impl TrackerClient {
    /// A client that calls itself `user_agent` and waits no longer than `deadline` for an answer as a whole.
    #[must_use]
    pub fn new(user_agent: &str, deadline: Duration) -> Self {
        let ours = Listen::default().addresses;
        Self {
            http: Http::new(user_agent, deadline),
            udp: Udp::new(&ours, deadline),
            deadline,
            turns: Semaphore::new(ANNOUNCES),
        }
    }

    /// UDP trackers are asked from these addresses of ours, and only over a family that has one.
    #[must_use]
    pub fn from_addresses(self, ours: &[IpAddr]) -> Self {
        Self { udp: Udp::new(ours, self.deadline), ..self }
    }

    /// Announces. What the user named is asked wherever it is; what a torrent names may be asked on this machine or
    /// network only if its path ends like an announce.
    pub(crate) async fn announce(
        &self,
        url: &str,
        by_user: bool,
        request: &AnnounceRequest,
    ) -> Result<Announced, FetchError> {
        // Never closed; without a turn it would be asked all the same.
        let _turn = self.turns.acquire().await;
        if is_udp(url) {
            return self.announce_over_udp(url, request).await;
        }
        let reach = if by_user || scrape_url(url).is_some() { Reach::Any } else { Reach::Public };
        let fetched = self.http.get(&request.to_url(url), reach, MAX_REPLY_BYTES).await?;
        let mut reply = AnnounceReply::parse(fetched.status, &fetched.body)?;
        let from = fetched.from.map_or(Scope::Global, |from| Scope::of(from.ip()));
        let peers = usable(&reply.peers, from).collect();
        // What it sees is what peers see that are as far away as it is; anything else is of no use or a lie.
        reply.external_ip = reply.external_ip.filter(|ip| Scope::of(*ip) == from);
        Ok(Announced { reply, peers })
    }

    /// The answers of both families become one: the peers of both, the longer wait, the larger counts.
    async fn announce_over_udp(&self, url: &str, request: &AnnounceRequest) -> Result<Announced, FetchError> {
        let announce = Announce::from(request);
        let ask = |url: &UdpUrl| Ask::Announce { announce, url_data: url.url_data.clone() };
        let mut all: Option<Announced> = None;
        let mut refusal = None;
        for Answered { from, reply } in self.udp.ask(url, ask).await? {
            let reply = match reply {
                Reply::Announce(reply) => reply,
                Reply::Error(error) => {
                    refusal = Some(error);
                    continue;
                }
                Reply::Connect(_) | Reply::Scrape(_) => continue,
            };
            let peers = usable(&reply.peers, Scope::of(from.ip()));
            match &mut all {
                None => all = Some(Announced { peers: peers.collect(), reply }),
                Some(all) => {
                    all.peers.extend(peers);
                    all.reply.interval = all.reply.interval.max(reply.interval);
                    all.reply.complete = all.reply.complete.max(reply.complete);
                    all.reply.incomplete = all.reply.incomplete.max(reply.incomplete);
                }
            }
        }
        let unexpected = ReplyError::Unexpected("it is no answer to an announce");
        all.ok_or_else(|| refusal.unwrap_or(unexpected).into())
    }

    async fn scrape_over_udp(&self, url: &str, hashes: &[InfoHash]) -> Result<ScrapeReply, FetchError> {
        let mut all = ScrapeReply::default();
        for hashes in hashes.chunks(MAX_SCRAPE_HASHES) {
            let answers = self.udp.ask(url, |_| Ask::Scrape(hashes.to_vec())).await?;
            // One tracker says the same at both of its addresses.
            match answers.into_iter().next().map(|answer| answer.reply) {
                Some(Reply::Scrape(stats)) => all.files.extend(hashes.iter().copied().zip(stats)),
                Some(Reply::Error(error)) => return Err(error.into()),
                _ => return Err(ReplyError::Unexpected("it is no answer to a scrape").into()),
            }
        }
        Ok(all)
    }

    /// Asks how many peers these swarms have. `url` is the announce URL or the scrape URL. Swarms that the tracker
    /// does not know are not in the answer; over UDP they are there with zeros.
    ///
    /// # Errors
    /// If it cannot be asked or gives no proper answer.
    pub async fn scrape(&self, url: &str, hashes: &[InfoHash]) -> Result<ScrapeReply, FetchError> {
        if is_udp(url) {
            return self.scrape_over_udp(url, hashes).await;
        }
        let path = url.split(['?', '#']).next().unwrap_or(url);
        let is_scrape = path.rsplit('/').next().is_some_and(|last| last.starts_with("scrape"));
        let url = if is_scrape { Some(url.to_owned()) } else { scrape_url(url) };
        let url = url.ok_or(FetchError::NoScrape)?;
        let mut all = ScrapeReply::default();
        for hashes in hashes.chunks(MAX_SCRAPE_HASHES) {
            let request = ScrapeRequest { info_hashes: hashes.to_vec() };
            let fetched = self.http.get(&request.to_url(&url), Reach::Any, MAX_REPLY_BYTES).await?;
            all.files.extend(ScrapeReply::parse(fetched.status, &fetched.body)?.files);
        }
        Ok(all)
    }

    /// Fetches a torrent file from an http or https URL that the user named.
    ///
    /// # Errors
    /// If it cannot be fetched, or has more than [`MAX_TORRENT_BYTES`]. Whether it is a torrent is not looked at.
    pub async fn fetch_torrent(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        let fetched = self.http.get(url, Reach::Any, MAX_TORRENT_BYTES).await?;
        match fetched.status {
            200..=299 => Ok(fetched.body),
            status => Err(FetchError::Status(status)),
        }
    }
}

/// Those of the peers that a tracker of this scope may name.
fn usable(peers: &[SocketAddr], from: Scope) -> impl Iterator<Item = SocketAddr> {
    peers.iter().copied().filter(move |peer| may_use(from, Scope::of(peer.ip())))
}

impl Default for TrackerClient {
    fn default() -> Self {
        let config = SessionConfig::default();
        Self::new(&config.user_agent, config.deadlines.tracker)
    }
}

/// [`TrackerClient::scrape`] with the usual client.
///
/// # Errors
/// As there.
pub async fn scrape(url: &str, hashes: &[InfoHash]) -> Result<ScrapeReply, FetchError> {
    TrackerClient::default().scrape(url, hashes).await
}

/// [`TrackerClient::fetch_torrent`] with the usual client. A whole minute is given to it: torrents can be large.
///
/// # Errors
/// As there.
pub async fn fetch_torrent(url: &str) -> Result<Vec<u8>, FetchError> {
    const DEADLINE: Duration = Duration::from_secs(60);
    TrackerClient::new(&SessionConfig::default().user_agent, DEADLINE).fetch_torrent(url).await
}
