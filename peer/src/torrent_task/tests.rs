//! The edge of a torrent's task.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::SessionConfig;
use crate::disk::DiskThreads;
use crate::tests::support::Sample;

#[tokio::test]
async fn a_panic_ends_one_torrent_and_is_told_without_its_text() {
    let disk = DiskThreads::start(1).unwrap();
    let shared = Arc::new(Shared::new(SessionConfig::default(), 1, disk, ChaCha8Rng::from_seed([0; 32])));
    let mut events = shared.events.subscribe();
    let sample = Sample::single(1, 16_384);
    let (stats, watcher) = watch::channel(first_stats(&sample.seed()));
    catch(async { panic!("the inside") }, &shared, TorrentId(1), &stats).await;
    let State::Failed(failure) = watcher.borrow().state.clone() else { panic!("not failed") };
    assert_eq!(failure.kind, FailureKind::Other);
    assert!(!failure.message.contains("the inside"));
    assert!(matches!(events.recv().await, Ok(Event::Failed { id: TorrentId(1), .. })));
}
