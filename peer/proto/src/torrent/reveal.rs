//! What of ours a peer is shown: everything, or a few pieces at a time while nobody else has them.

use super::Torrent;
use crate::link::Link;
use crate::reveal::{MAX_PIECES, Reveal, Shown};
use crate::wire::Message;
use crate::{LinkId, Time};

impl Torrent {
    /// Whether a new link is shown a few pieces at a time.
    pub(super) fn hides(&mut self) -> bool {
        let geometry = self.config.geometry;
        if !self.config.super_seeding
            || !self.have.is_full()
            || geometry.piece_count() > MAX_PIECES
            || self.links.values().any(Link::is_upload_only)
        {
            return false;
        }
        let rng = &mut self.rng;
        !self.reveal.get_or_insert_with(|| Reveal::new(geometry, rng)).is_over()
    }

    /// Shows everything to everyone once that is best: each piece has left us, or there is another seed, so that
    /// nobody depends on us alone; or a piece was lost, so that we are no seed any more.
    pub(super) fn end_reveal(&mut self, now: Time, touched: &[LinkId]) {
        let Some(reveal) = self.reveal.as_mut().filter(|reveal| !reveal.is_over()) else { return };
        reveal.pass_over(|piece| self.picker.availability(piece) > 0);
        let is_seed = |id: &LinkId| self.links.get(id).is_some_and(Link::is_upload_only);
        let unsent = || self.links.values().any(|link| link.shown.as_ref().is_some_and(Shown::has_unsent));
        if !self.have.is_full() || reveal.should_end(now, unsent) || touched.iter().any(is_seed) {
            self.reveal = Some(Reveal::over());
            let ids: Vec<LinkId> = self.links.keys().copied().collect();
            ids.into_iter().for_each(|id| self.show_all(now, id));
        }
    }

    /// Shows a link more where it needs that.
    pub(super) fn show_more(&mut self, now: Time, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(shown) = &mut link.shown else { return };
        if link.uploads.queued() > 0 || link.uploads.on_the_way() > 0 {
            shown.moved = now;
        }
        match link.we_choke {
            true => self.bait(now, id),
            false => self.give(now, id),
        }
        let due = self.links.get(&id).and_then(Link::shown_in_vain);
        self.links_due = self.links_due.into_iter().chain(due).min();
    }

    /// A peer that does not want what it is shown would get nothing for ever, and may be a seed that hides as well:
    /// it is shown everything.
    pub(super) fn show_all_if_in_vain(&mut self, now: Time, id: LinkId) {
        if self.links.get(&id).and_then(Link::shown_in_vain).is_some_and(|due| due <= now) {
            self.take_back_given(id);
            self.show_all(now, id);
        }
    }

    /// A peer that gets nothing yet must see something that it wants, or it would never ask for a slot.
    fn bait(&mut self, now: Time, id: LinkId) {
        let (Some(link), Some(reveal)) = (self.links.get_mut(&id), &mut self.reveal) else { return };
        let Some(shown) = &mut link.shown else { return };
        if shown.pieces.has_any_not_in(&link.has) {
            return;
        }
        let Some(piece) = reveal.bait(|piece| !link.has.get(piece), &mut self.rng) else { return };
        shown.pieces.set(piece);
        shown.bait = Some(piece);
        shown.moved = now;
        self.send(now, id, Message::Have(piece));
    }

    /// A peer has a piece of ours: who was to pass it on has done so.
    pub(super) fn passed_on(&mut self, id: LinkId, piece: u32) {
        let carer = self.reveal.as_mut().and_then(|reveal| reveal.is_passed_on(piece, id));
        let Some(link) = carer.and_then(|carer| self.links.get_mut(&carer)) else { return };
        if let Some(shown) = &mut link.shown {
            shown.in_care = shown.in_care.saturating_sub(1);
            self.touched.extend(carer);
        }
    }

    /// Pieces that each peer with a slot has in its care on average.
    pub(super) fn average_care(&self) -> u32 {
        let in_care = |link: &Link| link.shown.as_ref().filter(|_| !link.we_choke).map(|shown| shown.in_care);
        let (links, pieces) = self
            .links
            .values()
            .filter_map(in_care)
            .fold((0u32, 0u32), |(links, pieces), care| (links + 1, pieces.saturating_add(care)));
        pieces / links.max(1)
    }

    /// Whether a peer has so many pieces in its care that it is given no more: it passes none on, or slowly.
    pub(super) fn hoards(&self, link: &Link, average: u32) -> bool {
        let shown = link.shown.as_ref();
        shown
            .zip(self.reveal.as_ref())
            .is_some_and(|(shown, reveal)| !reveal.may_give(shown.in_care, average))
    }

    /// Shows a link with a slot pieces that go to no other.
    pub(super) fn give(&mut self, now: Time, id: LinkId) {
        let alone = self.links.len() == 1;
        let needs_more = |link: &Link| {
            let (rate, queued) = (link.up.rate(now), link.uploads.queued_bytes());
            link.shown.as_ref().is_some_and(|shown| shown.needs_more(rate, queued, alone))
        };
        // Most links need nothing: all of them are looked at for the average only where one does.
        if !self.links.get(&id).is_some_and(needs_more) {
            return;
        }
        let average = self.average_care();
        loop {
            let (Some(link), Some(reveal)) = (self.links.get_mut(&id), &mut self.reveal) else { return };
            if !needs_more(link) {
                return;
            }
            let Some(shown) = &mut link.shown else { return };
            if !alone && !reveal.may_give(shown.in_care, average) {
                return;
            }
            if let Some(bait) = shown.bait.take().filter(|&bait| reveal.give_bait(id, bait)) {
                shown.give(bait, self.config.geometry.piece_size(bait));
                // It was shown long ago, and can be asked for only now.
                shown.moved = now;
                continue;
            }
            let picker = &self.picker;
            let piece = reveal.give(id, |piece| !link.has.get(piece), |piece| picker.availability(piece) > 0);
            let Some(piece) = piece else { return };
            let news = !shown.pieces.get(piece);
            shown.give(piece, self.config.geometry.piece_size(piece));
            shown.moved = now;
            if news {
                self.send(now, id, Message::Have(piece));
            }
        }
    }

    /// A link may choose from now on.
    fn show_all(&mut self, now: Time, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(mut shown) = link.shown.take() else { return };
        // What it was given it will ask for all the same.
        shown.take_back();
        let hidden: Vec<u32> =
            self.have.iter_ones_not_in(&shown.pieces, 0).filter(|&piece| !link.has.get(piece)).collect();
        for piece in hidden {
            self.send(now, id, Message::Have(piece));
        }
        self.say_upload_only(now, id);
    }

    /// What a link was given and has not got goes to others: it is choked, or gone.
    pub(super) fn take_back_given(&mut self, id: LinkId) {
        let Some(shown) = self.links.get_mut(&id).and_then(|link| link.shown.as_mut()) else { return };
        let given = shown.take_back();
        if let Some(reveal) = &mut self.reveal {
            given.into_iter().for_each(|piece| reveal.give_back(piece));
        }
    }
}
