//! When things are decided: after each batch of inputs, and at deadlines.

use super::{Action, CloseReason, Torrent};
use crate::reveal::Reveal;
use crate::wire::Message;
use crate::{LinkId, Time};

impl Torrent {
    /// Lets every touched link decide; call once after a batch of `handle_*`.
    pub fn plan(&mut self, now: Time) {
        self.tell_news(now);
        self.tell_upload_only(now);
        let mut touched: Vec<LinkId> = if std::mem::take(&mut self.all_touched) {
            self.touched.clear();
            self.links.keys().copied().collect()
        } else {
            std::mem::take(&mut self.touched).into_iter().collect()
        };
        // A short budget must not always go to the same links first.
        let split = touched.partition_point(|&id| id <= self.turn);
        touched.rotate_left(split);
        if let Some(&first) = touched.first() {
            self.turn = first;
        }
        self.end_reveal(now, &touched);
        for &id in &touched {
            self.update_interest(now, id);
            self.close_if_pointless(now, id);
        }
        self.share_slots(now);
        for &id in &touched {
            self.show_more(now, id);
        }
        self.move_blocks(now, touched);
        self.tell_of_peers(now);
        self.turn_over(now);
        self.dial(now);
    }

    fn tell_news(&mut self, now: Time) {
        for piece in std::mem::take(&mut self.news) {
            for (&id, link) in &mut self.links {
                link.last_said = now;
                self.actions.push_back(Action::Send(id, Message::Have(piece)));
            }
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        self.change_keepers(now);
        if self.links_due.is_none_or(|due| now < due) {
            return;
        }
        let ids: Vec<LinkId> = self.links.keys().copied().collect();
        for id in ids {
            self.look_at(now, id);
        }
        self.links_due = self.links.values().map(crate::link::Link::deadline).min();
    }

    fn look_at(&mut self, now: Time, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.is_idle(now) {
            self.close(now, id, CloseReason::Idle);
            return;
        }
        self.show_all_if_in_vain(now, id);
        let Some(link) = self.links.get_mut(&id) else { return };
        let keep_alive = link.keep_alive_due(now);
        let overdue = link.pipeline.overdue(now);
        if link.fast.as_mut().is_some_and(|fast| fast.expire(now)) {
            link.starved = false;
            self.touched.insert(id);
        }
        link.part_at = link.part_at.filter(|&due| due > now);
        self.release(id, &overdue);
        self.serve_metadata(now, id);
        if keep_alive {
            self.send(now, id, Message::KeepAlive);
        }
        self.close_if_pointless(now, id);
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Torrent::handle_timeout`] and then [`Torrent::plan`] are due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let choker = self.choker_matters().then(|| self.choker.poll_timeout());
        let due = if self.may_dial() { self.candidates.poll_timeout() } else { None };
        let dial = due.map(|due| due.max(self.no_dials_before));
        let reveal = self.reveal.as_ref().and_then(Reveal::poll_timeout);
        let others =
            [self.turnover.poll_timeout(), self.meters.due(), self.keepers.poll_timeout(), self.slots_due];
        let dues = [self.links_due, choker, dial, reveal, self.exchange.poll_timeout()];
        dues.into_iter().chain(others).flatten().min()
    }
}
