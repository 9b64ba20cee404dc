//! The end of a run: to rest, to try again, or for good.

use std::sync::Arc;
use std::time::Duration;

use peer_proto::Action;

use super::active::Active;

/// How long the disk is waited for.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// And how long until it has what was written, besides what the trackers took meanwhile.
const LAST_SYNC: Duration = Duration::from_secs(3);

impl Active<'_> {
    /// Ends in order: no more connections, what came is written, trackers are told.
    pub(super) async fn wind_down(&mut self) {
        let now = self.now();
        let shared = Arc::clone(&self.context.shared);
        shared.close_swarm(self.disk.info().info_hash());
        self.leave_changes();
        self.submit_writes();
        let ended = shared.disk.end(self.disk);
        self.publish_last();
        self.engine.handle_shutdown(now);
        while let Some(action) = self.engine.poll_action() {
            if let Action::Close(link, _) = action {
                self.links.close(now, &mut self.engine, link);
            }
        }
        // What was paid for and will not move is the other torrents'.
        self.settle(now);
        self.dials.abort_all();
        let standing = self.standing();
        let stop = shared.config.deadlines.stop_announce;
        // A tracker that is slow now forgets us by itself later.
        let _ = tokio::time::timeout(stop, self.announces.stop(now, standing)).await;
        let _ = tokio::time::timeout(LAST_WRITES, self.last_writes()).await;
        // What is still being done about a file comes to nothing.
        self.leave_changes();
        self.leave_strangers().await;
        // A disk that takes longer is synced later or never: the next run then hashes what was written last.
        let _ = tokio::time::timeout(LAST_SYNC, ended).await;
        self.publish_totals();
    }

    async fn last_writes(&mut self) {
        loop {
            let now = self.now();
            if let Some(results) = self.disk.take_results() {
                self.take_results(now, results);
            }
            if self.unwritten == 0 {
                break;
            }
            self.disk.inbox.filled().await;
        }
        while let Some(finished) = self.finishing.join_next().await {
            self.take_finished(finished);
        }
        // It may be about to have a marker again, which then goes with the torrent.
        while let Some(done) = self.rechecks.done().await {
            self.take_done(done);
        }
    }
}
