//! The tracker's swarms as a UDP client sees them.

use std::net::IpAddr;
use std::time::Duration;

use metainfo::InfoHash;
use tracker_proto::address::{Asker, reachable};
use tracker_proto::compact;
use tracker_proto::http::ScrapeStats;
use tracker_proto::swarm::Announce;
use tracker_proto::udp::{Family, Refusal, Swarms, UrlData};

use crate::state::State;

/// What one packet is answered from.
pub(super) struct View<'a> {
    pub(super) state: &'a State,
    /// The tracker's own address on which the packet came in.
    pub(super) local: IpAddr,
}

impl Swarms for View<'_> {
    fn interval(&self) -> Duration {
        self.state.config.interval
    }

    fn announce(
        &mut self,
        announce: &Announce,
        _url_data: UrlData<'_>,
        peers: &mut Vec<u8>,
    ) -> Result<ScrapeStats, Refusal> {
        let answer =
            self.state.announce(announce).ok_or(Refusal("this tracker does not serve that torrent"))?;
        let own = announce.address;
        let asker = Asker { remote: own.ip(), local: self.local };
        let family = Family::of(own.ip());
        let first = peers.len();
        for peer in answer.peers {
            let address = reachable(peer.address, asker, self.state.config.advertise);
            if address == own || Family::of(address.ip()) != family {
                continue;
            }
            let before = peers.len();
            compact::encode(address, peers);
            // A machine known by loopback and by another address would be there twice.
            if address != peer.address
                && let Some((given, this)) =
                    peers.get(first..).and_then(|all| all.split_at_checked(before - first))
                && given.chunks_exact(family.stride()).any(|one| one == this)
            {
                peers.truncate(before);
            }
        }
        Ok(answer.stats)
    }

    fn scrape(&mut self, info_hash: InfoHash) -> ScrapeStats {
        self.state.scrape(&[info_hash]).files.get(&info_hash).copied().unwrap_or_default()
    }
}
