//! What is answered to an announce and to a scrape: from a query to the bytes of a reply.
//!
//! Invariant: the reply is written straight from the store, and its memory is the caller's and used again. Whatever is
//! wrong with a request is told in the tracker's own way (a bencoded failure) and counts nothing.
//!
//! Knows nothing of HTTP: heads are for [`crate::quick`] and [`crate::routes`].

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tracker_proto::access::Refusal;
use tracker_proto::address::{Asker, reachable};
use tracker_proto::compact::{IPV4_LENGTH, IPV6_LENGTH};
use tracker_proto::http::{AnnounceReply, AnnounceRequest, ScrapeRequest, encode_failure_into};
use tracker_proto::swarm::{Announce, CompactPeers, Families, PeerSink};

use crate::limits::TOO_OFTEN;
use crate::metrics::Outcome;
use crate::state::{Announced, Link, State};

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender<'a> {
    pub(crate) link: Link,
    /// The client, behind the proxies that are trusted.
    pub(crate) client: IpAddr,
    /// What stands in the path before the last part.
    pub(crate) passkey: Option<&'a [u8]>,
}

impl Sender<'_> {
    /// Whoever is at the other end of the connection.
    pub(crate) fn direct(link: Link) -> Self {
        Self { link, client: link.remote.ip(), passkey: None }
    }
}

/// Memory that answers use again.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The reply, bencoded.
    pub(crate) body: Vec<u8>,
    peers: CompactPeers,
}

impl Answer {
    /// Answers an announce.
    pub(crate) fn announce(&mut self, state: &State, sender: Sender<'_>, query: &[u8]) -> Outcome {
        self.body.clear();
        let request = match AnnounceRequest::parse_query(query) {
            Ok(request) => request,
            Err(error) => return self.failure(&error.to_string()),
        };
        if let Err(wait) = state.limits.admit(state.clock.lately(), sender.client) {
            encode_failure_into(TOO_OFTEN, Some(wait), &mut self.body);
            return Outcome::Limited;
        }
        // `ip=` and forwarding headers can name a victim: they are believed of those whom the operator trusts.
        let own = SocketAddr::new(state.gate.entered(sender.client, request.ip), request.port);
        if let Err(refusal) = state.gate.judge(own.ip(), sender.passkey, &request.info_hash) {
            state.gate.count(refusal);
            return self.refused(refusal);
        }
        let announce = Announce {
            info_hash: request.info_hash,
            address: own,
            left: request.left,
            event: request.event,
            numwant: request.numwant,
        };
        self.peers.clear();
        let asker = Asker { remote: own.ip(), local: sender.link.local.ip() };
        let mut reachable = Reachable {
            peers: &mut self.peers,
            as_they_are: asker.remote.is_loopback(),
            asker,
            own,
            advertise: state.config.advertise,
        };
        let announced = state.announce_into(&announce, Families::Both, &mut reachable);
        let Some(Announced { stats, wait }) = announced else {
            state.gate.count(Refusal::Torrent);
            // It may be registered in a moment.
            return self.failed(Refusal::Torrent.reason(), None);
        };
        let mut reply = AnnounceReply {
            interval: wait.interval,
            min_interval: Some(wait.least),
            tracker_id: Some(state.id.to_vec()),
            complete: Some(stats.complete),
            incomplete: Some(stats.incomplete),
            downloaded: Some(stats.downloaded),
            external_ip: Some(own.ip()).filter(says_something),
            ..AnnounceReply::default()
        };
        if request.compact {
            reply.encode_with(&self.peers, &mut self.body);
        } else {
            reply.peers = self.peers.addresses().collect();
            self.body = reply.encode_dictionaries(&[]);
        }
        Outcome::Answered
    }

    /// Answers a scrape.
    pub(crate) fn scrape(&mut self, state: &State, sender: Sender<'_>, query: &[u8]) -> Outcome {
        let mut request = match ScrapeRequest::parse_query(query) {
            Ok(request) => request,
            Err(error) => return self.failure(&error.to_string()),
        };
        match state.gate.judge_scrape(sender.client, sender.passkey, &mut request.info_hashes) {
            Ok(()) => self.body = state.scrape(&request.info_hashes).encode(),
            Err(refusal) => return self.refused(refusal),
        }
        Outcome::Answered
    }

    /// Answers a request that is wrong.
    pub(crate) fn failure(&mut self, reason: &str) -> Outcome {
        self.body.clear();
        encode_failure_into(reason, None, &mut self.body);
        Outcome::Invalid
    }

    /// Answers a request that the operator's rules do not allow.
    pub(crate) fn refused(&mut self, refusal: Refusal) -> Outcome {
        self.failed(refusal.reason(), refusal.retry_in())
    }

    fn failed(&mut self, reason: &str, retry_in: Option<Duration>) -> Outcome {
        self.body.clear();
        encode_failure_into(reason, retry_in, &mut self.body);
        Outcome::Refused
    }
}

/// Takes peers as the asker can reach them.
struct Reachable<'a> {
    peers: &'a mut CompactPeers,
    /// Whoever asks from loopback is told every address as it is.
    as_they_are: bool,
    asker: Asker,
    /// Where the asker itself is.
    own: SocketAddr,
    advertise: Option<IpAddr>,
}

impl Reachable<'_> {
    fn rewritten(&mut self, peer: SocketAddr) {
        let address = reachable(peer, self.asker, self.advertise);
        // A machine known by loopback and by another address would be there twice, or be the asker.
        if address != self.own && self.peers.addresses().all(|given| given != address) {
            self.peers.push(address);
        }
    }
}

impl PeerSink for Reachable<'_> {
    fn ipv4(&mut self, peer: &[u8; IPV4_LENGTH]) {
        if self.as_they_are || peer[0] != 127 {
            self.peers.ipv4(peer);
        } else {
            self.rewritten(tracker_proto::compact::address_v4(peer));
        }
    }

    fn ipv6(&mut self, peer: &[u8; IPV6_LENGTH]) {
        const LOOPBACK: [u8; 16] = std::net::Ipv6Addr::LOCALHOST.octets();
        if self.as_they_are || !peer.starts_with(&LOOPBACK) {
            self.peers.ipv6(peer);
        } else {
            self.rewritten(tracker_proto::compact::address_v6(peer));
        }
    }
}

/// Whether a client learns something from being told that this is its address.
fn says_something(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_private() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unique_local() && !ip.is_unicast_link_local(),
    }
}
