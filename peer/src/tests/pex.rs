//! Peer exchange over real sockets.

use std::num::NonZeroU64;

use tempfile::tempdir;

use super::support::{Sample, config, end, seeder, session, until};
use crate::{Limits, Session, SessionConfig, State};

#[tokio::test]
async fn one_that_knows_of_the_seed_only_by_another_peer_completes() {
    let sample = Sample::single(3_000_000, 65_536);
    let seed = seeder(&sample).await;
    // So slow that it would take hours both to get everything and to give it on.
    let slow = NonZeroU64::new(100);
    let limits = Limits { up: slow, down: slow };
    let between = Session::start(SessionConfig { limits, ..config() }).unwrap();
    let last = session();
    let dirs = [tempdir().unwrap(), tempdir().unwrap()];
    let first = between.add(sample.download(dirs[0].path(), &[seed.port()])).await.unwrap();
    until(&between, first, |stats| stats.peers == 1).await;
    let second = last.add(sample.download(dirs[1].path(), &[between.port()])).await.unwrap();
    until(&last, second, |stats| stats.state == State::Seeding).await;
    sample.assert_complete_in(dirs[1].path());
    let of_the_other = between.stats(first).unwrap().borrow().uploaded;
    assert!(of_the_other < 1_000_000, "{of_the_other}");
    end(&[&last, &between, &seed]).await;
}
