//! Pieces that came wrong: who is to blame, and how they come right.

use super::{Action, CloseReason, Torrent};
use crate::blame::{Finding, PieceDigests};
use crate::picker::Contributions;
use crate::who::Who;
use crate::{Block, LinkId, Time};

/// A peer that stands in so many open cases is not trusted with a piece alone while another can have it. Of those in
/// one case each, most are victims.
const DISTRUSTED_FROM: u32 = 2;

impl Torrent {
    /// A piece does not hash right.
    pub(super) fn failed(&mut self, now: Time, piece: u32) {
        self.totals.wasted += u64::from(self.config.geometry.piece_size(piece));
        let contributions = self.picker.piece_failed(piece);
        self.actions.push_back(Action::BadPiece(piece));
        let who: Vec<Option<Who>> = contributions.links().iter().map(|&link| self.who(link)).collect();
        match who[..] {
            [] => {}
            // One alone, though it may have come back on another link meanwhile.
            [Some(culprit), ref others @ ..]
                if contributions.is_known() && others.iter().all(|other| *other == Some(culprit)) =>
            {
                self.convict(now, culprit, contributions.links().last().copied());
            }
            _ => self.suspect(piece, contributions, who),
        }
        self.judge_trust();
        self.reserve(now, piece);
        self.feed_starved();
    }

    /// With several contributors nobody can be named yet: what they sent is kept in mind, before the piece is sent
    /// again by one alone.
    fn suspect(&mut self, piece: u32, contributions: Contributions, who: Vec<Option<Who>>) {
        if self.blame.piece_failed(piece, contributions, who) {
            self.picker.withhold(piece);
            self.actions.push_back(Action::DigestBlocks(piece));
        }
    }

    /// A piece became ours that may have been in dispute.
    pub(super) fn settle_disputes(&mut self, piece: u32) {
        self.keepers.forget(piece);
        if self.blame.piece_good(piece) {
            self.actions.push_back(Action::DigestBlocks(piece));
        }
    }

    /// What [`Action::DigestBlocks`] asked for: once for each, `None` if it cannot be read.
    pub fn handle_block_digests(&mut self, now: Time, piece: u32, digests: Option<PieceDigests>) {
        match self.blame.answer(piece, digests) {
            Finding::Nothing => return,
            Finding::Noted => {
                self.picker.offer_again(piece);
                self.reserve(now, piece);
            }
            Finding::Liars(liars) => liars.into_iter().for_each(|liar| self.convict(now, liar, None)),
        }
        self.judge_trust();
        self.feed_starved();
    }

    /// Who is or was behind a link.
    fn who(&self, id: LinkId) -> Option<Who> {
        let open = self.links.get(&id).map(|link| Who::new(link.address, link.peer_id));
        open.or_else(|| self.former.iter().find(|(former, _)| *former == id).map(|&(_, who)| who))
    }

    /// Whether nobody of this name is spoken to.
    pub(super) fn is_banned(&self, who: &Who) -> bool {
        match who {
            Who::Host(ip) => self.candidates.is_banned(*ip),
            Who::Local(..) => self.local_bans.contains(who),
        }
    }

    /// Speaks no more to somebody, on whatever link. If only one link is to blame, that is `culprit`.
    fn convict(&mut self, now: Time, who: Who, culprit: Option<LinkId>) {
        if self.is_banned(&who) {
            return;
        }
        match who {
            Who::Host(ip) => self.candidates.ban(ip),
            Who::Local(..) => self.local_bans.insert(who),
        }
        self.blame.convicted(who);
        self.actions.push_back(Action::Banned(who.ip()));
        let links = self.links.iter().filter(|(_, link)| Who::new(link.address, link.peer_id) == who);
        let links: Vec<LinkId> = links.map(|(&id, _)| id).collect();
        for id in links {
            if let Some(address) = self.links.get_mut(&id).and_then(|link| link.candidate.take()) {
                self.candidates.forget(address);
            }
            let is_culprit = culprit.is_none_or(|culprit| culprit == id);
            self.close(now, id, if is_culprit { CloseReason::BadPiece } else { CloseReason::Banned });
        }
    }

    /// Tells the picker who is trusted with a piece alone.
    pub(super) fn judge_trust(&mut self) {
        if !self.picker.has_suspects() {
            return;
        }
        let suspicion = |who| self.blame.suspicion(&who);
        let suspects = self
            .links
            .iter()
            .filter(|(_, link)| suspicion(Who::new(link.address, link.peer_id)) >= DISTRUSTED_FROM);
        self.picker.distrust(suspects.map(|(&id, _)| id));
    }

    /// Has a piece that is to come from one alone wait for one who is trusted, if there is any.
    fn reserve(&mut self, now: Time, piece: u32) {
        if !self.picker.is_suspect(piece) {
            return;
        }
        let is_there = self.links.iter().any(|(&id, link)| {
            let can = link.may_ask() && !link.pipeline.is_snubbed() && link.askable().get(piece);
            can && self.picker.is_trusted(piece, id)
        });
        self.picker.reserve(piece, is_there);
        if is_there {
            self.keepers.reserved(now, piece);
        }
    }

    /// A link was asked for these blocks: if it is alone in that, its time runs.
    pub(super) fn watch_keeper(&mut self, now: Time, id: LinkId, asked: &[Block]) {
        if !self.picker.has_suspects() {
            return;
        }
        for blocks in asked.chunk_by(|a, b| a.piece == b.piece) {
            let Some(piece) = blocks.first().map(|block| block.piece) else { continue };
            if self.picker.keeper(piece) == Some(id) {
                self.picker.reserve(piece, false);
                self.keepers.begins(now, piece, id, self.config.geometry.piece_size(piece));
            }
        }
    }

    /// Gives pieces to others whose keepers took too long, and to anybody those that no trusted link took.
    pub(super) fn change_keepers(&mut self, now: Time) {
        while let Some((piece, keeper)) = self.keepers.overdue(now) {
            match keeper {
                None => self.picker.reserve(piece, false),
                Some(keeper) if self.picker.keeper(piece) == Some(keeper) => {
                    for block in self.picker.dismiss(piece) {
                        self.cancel(now, keeper, block);
                        self.picker.release(keeper, block);
                    }
                    self.reserve(now, piece);
                }
                // It has sent everything, or has left already.
                Some(_) => continue,
            }
            self.feed_starved();
        }
    }
}
