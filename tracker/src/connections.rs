//! The connections of a tracker: how many there may be, and who makes room.
//!
//! Invariant: never more than the limit. A new connection takes the place of the oldest one, so that thousands of
//! connections that never say anything cannot keep out those that do: an announce takes one round trip, and those
//! who are cut off in a keep-alive come back.

use std::collections::VecDeque;
use std::future::Future;

use tokio::task::{AbortHandle, JoinSet};

#[derive(Debug)]
pub(crate) struct Connections {
    limit: usize,
    tasks: JoinSet<()>,
    /// In the order of their coming, with some that have ended: at most twice the limit.
    ages: VecDeque<AbortHandle>,
}

impl Connections {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), tasks: JoinSet::new(), ages: VecDeque::new() }
    }

    /// Runs a connection, cutting off the oldest one if there are too many.
    pub(crate) fn add(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        while self.tasks.try_join_next().is_some() {}
        if self.tasks.len() >= self.limit {
            self.drop_oldest();
        }
        if self.ages.len() >= self.limit.saturating_mul(2) {
            self.ages.retain(|handle| !handle.is_finished());
        }
        self.ages.push_back(self.tasks.spawn(connection));
    }

    /// Cuts off the connection that has been there longest.
    pub(crate) fn drop_oldest(&mut self) {
        while let Some(oldest) = self.ages.pop_front() {
            if !oldest.is_finished() {
                oldest.abort();
                return;
            }
        }
    }

    /// Waits until all have ended.
    pub(crate) async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}
