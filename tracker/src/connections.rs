//! The connections of a tracker: how many there may be, and who makes room.
//!
//! Invariant: never more than the limit, but for the moment in which the oldest ends. A new connection takes the place of
//! the oldest one, so that thousands of connections that never say anything cannot keep out those that do: an announce
//! takes one round trip, and those who are cut off in a keep-alive come back.

use std::collections::VecDeque;
use std::future::Future;

use tokio::task::{AbortHandle, JoinSet};

#[derive(Debug)]
pub(crate) struct Connections {
    limit: usize,
    tasks: JoinSet<()>,
    /// In the order of their coming, with some that have ended: at most twice as many as there are, or [`FEW`].
    ages: VecDeque<AbortHandle>,
}

/// Connections that are not worth looking through for those that have ended. Each that is remembered holds the memory of
/// its task, a kilobyte or two.
const FEW: usize = 64;

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
        // As many must come again before the next time: a step or two each.
        if self.ages.len() >= self.tasks.len().max(FEW.min(self.limit)).saturating_mul(2) {
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

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::{self, Receiver, Sender};

    use super::*;

    /// A connection that says nothing until `Sender` does; it is gone when the sender finds nobody to tell.
    fn silent(connections: &mut Connections) -> Sender<()> {
        let (tell, told): (Sender<()>, Receiver<()>) = oneshot::channel();
        connections.add(async { drop(told.await) });
        tell
    }

    #[tokio::test]
    async fn h57_the_oldest_connection_makes_room_for_a_new_one() {
        let mut connections = Connections::new(3);
        let mut tellers: Vec<_> = (0..3).map(|_| silent(&mut connections)).collect();
        tellers.push(silent(&mut connections));
        tellers[0].closed().await;
        tokio::task::yield_now().await;
        let open: Vec<_> = tellers.iter().map(|teller| !teller.is_closed()).collect();
        assert_eq!(open, [false, true, true, true]);
    }

    #[tokio::test]
    async fn h57_ten_thousand_connections_are_never_more_than_the_limit() {
        let mut connections = Connections::new(5);
        let mut tellers = Vec::new();
        for _ in 0..10_000 {
            tellers.push(silent(&mut connections));
            tokio::task::yield_now().await;
            assert!(connections.tasks.len() <= 6 && connections.ages.len() <= 10);
        }
        assert_eq!(tellers.iter().filter(|teller| !teller.is_closed()).count(), 5);
    }

    #[tokio::test]
    async fn of_connections_that_have_ended_few_are_remembered_whatever_the_limit() {
        let mut connections = Connections::new(100_000);
        let _lasting = silent(&mut connections);
        for _ in 0..10_000 {
            silent(&mut connections).send(()).unwrap();
            tokio::task::yield_now().await;
            assert!(connections.ages.len() <= 2 * FEW);
        }
    }

    #[tokio::test]
    async fn a_connection_that_has_ended_leaves_its_place_without_cutting_anybody_off() {
        let mut connections = Connections::new(2);
        let lasting = silent(&mut connections);
        for _ in 0..100 {
            silent(&mut connections).send(()).unwrap();
            tokio::task::yield_now().await;
        }
        assert!(!lasting.is_closed());
        drop(lasting);
        connections.ended().await;
        assert_eq!(connections.tasks.len(), 0);
    }
}
