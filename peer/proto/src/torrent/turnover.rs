//! Who makes room: what [`crate::turnover`] decides, for the links of this torrent.

use std::net::SocketAddr;

use super::{CloseReason, Torrent};
use crate::canonical::Witness;
use crate::turnover::{Standing, gives_way_to};
use crate::{LinkId, Time};

/// One place of so many is left to those who dial us: were all of them filled by dialling, every door in a full swarm
/// would be shut, and those who cannot be dialled would find none.
const KEPT_FOR_INCOMING: usize = 10;

impl Torrent {
    /// Somebody says that peers see us at this address, with the port on which we listen (BEP 10, BEP 40).
    pub fn handle_seen_as(&mut self, ours: SocketAddr, witness: Witness) {
        self.candidates.seen_as(ours, witness);
    }

    /// Most links from now on, in and out together. Of those that are too many, none is closed at once: they go as
    /// turnover does, while nobody needs them.
    pub fn set_max_links(&mut self, most: usize) {
        self.config.max_links = most;
    }

    /// Links up to which we dial.
    pub(super) fn most_dialled(&self) -> usize {
        self.config.max_links - self.config.max_links / KEPT_FOR_INCOMING
    }

    /// Closes links that have been of no use, where their places are wanted.
    pub(super) fn turn_over(&mut self, now: Time) {
        let full = self.links.len() >= self.most_dialled().max(1);
        let waited_for = full && self.candidates.poll_timeout().is_some_and(|due| due <= now);
        let wanted = !self.closing && (waited_for || self.links.len() > self.config.max_links);
        self.turnover.set_wanted(now, wanted);
        if self.turnover.poll_timeout().is_some_and(|due| due <= now) {
            let standings = self.standings();
            for id in self.turnover.look(now, &standings) {
                self.close(now, id, CloseReason::Replaced);
            }
        }
    }

    /// The link that makes room for a newcomer, if one is to.
    pub(super) fn gives_way_to(&self, now: Time, newcomer: SocketAddr) -> Option<LinkId> {
        gives_way_to(now, self.candidates.priority(newcomer)?, &self.standings())
    }

    fn standings(&self) -> Vec<Standing> {
        let standing = |(&id, link): (&LinkId, &crate::link::Link)| {
            let delivers = link.pipeline.outstanding() > 0 && !link.pipeline.is_snubbed();
            let users = link.candidate.is_some_and(|address| self.candidates.is_users(address));
            Standing {
                link: id,
                useful: link.last_useful(),
                stays: delivers || users,
                interest: link.we_are_interested || link.it_is_interested,
                priority: self.candidates.priority(link.address),
            }
        };
        self.links.iter().map(standing).collect()
    }
}
