//! Disks that are slower than the network.

use tempfile::tempdir;

use super::support::{Sample, config, end, seeder, session, until};
use crate::disk::gate::Gate;
use crate::{Session, SessionConfig, State, limits};

const BLOCK: u64 = 16_384;
const PIECE: u32 = 1 << 20;

/// What every torrent has on disk from the start.
const THERE: usize = 4 << 20;

/// A sample whose first pieces are in a folder already.
fn begun(length: usize) -> (Sample, tempfile::TempDir) {
    let (sample, dir) = (Sample::single(length, PIECE), tempdir().unwrap());
    let whole = std::fs::read(sample.dir.path().join("sample.bin")).unwrap();
    std::fs::write(dir.path().join("sample.bin"), &whole[..THERE]).unwrap();
    (sample, dir)
}

/// Where each torrent has a disk thread of its own.
fn with_two_disks() -> Session {
    Session::start(SessionConfig { disk_threads: 2, ..config() }).unwrap()
}

#[tokio::test]
async fn h76_a_disk_that_hangs_stops_the_requests_and_neither_uploads_nor_other_torrents() {
    let (sample, dir) = begun(32 << 20);
    let (other, other_dir, third_dir) =
        (Sample::single(6_000_000, 65_536), tempdir().unwrap(), tempdir().unwrap());
    let (seed, leecher) = (seeder(&sample).await, with_two_disks());
    // On a busy machine it would hear of the seed before it has got what the other has.
    let third = Session::start(SessionConfig { pex: false, ..config() }).unwrap();
    seed.add(other.seed()).await.unwrap();

    let mut gate = Gate::close(dir.path());
    let id = leecher.add(sample.download(dir.path(), &[seed.port()])).await.unwrap();
    gate.reached().await;
    // More is asked for until so many blocks wait for the disk.
    let backlog = u64::from(limits::DISK_BACKLOG) * BLOCK;
    until(&leecher, id, |stats| stats.downloaded >= backlog).await;
    let quick = leecher.add(other.download(other_dir.path(), &[seed.port()])).await.unwrap();
    until(&leecher, quick, |stats| stats.state == State::Seeding).await;
    other.assert_complete_in(other_dir.path());
    let served = third.add(sample.download(third_dir.path(), &[leecher.port()])).await.unwrap();
    let got = until(&third, served, |stats| stats.done_bytes >= THERE as u64).await;
    assert_eq!(got.done_bytes, THERE as u64, "nothing is offered before it is written");
    let held_up = leecher.stats(id).unwrap().borrow().clone();
    assert!(held_up.downloaded <= limits::TORRENT_BUFFERS as u64 * BLOCK, "{held_up:?}");
    assert_eq!(held_up.peers, 2);

    drop(gate);
    let stats = until(&leecher, id, |stats| stats.state == State::Seeding).await;
    let due = u64::try_from((32 << 20) - THERE).unwrap();
    assert_eq!((stats.downloaded, stats.wasted), (due, 0), "nothing was asked for twice");
    until(&third, served, |stats| stats.state == State::Seeding).await;
    sample.assert_complete_in(dir.path());
    sample.assert_complete_in(third_dir.path());
    end(&[&leecher, &third, &seed]).await;
    assert!(leecher.shared.blocks.made() <= limits::BLOCK_BUFFERS);
}

#[tokio::test]
async fn h76_links_that_wait_for_the_same_slow_disk_all_go_on_when_it_does() {
    let (sample, dir) = begun(32 << 20);
    let seeds = [seeder(&sample).await, seeder(&sample).await, seeder(&sample).await];
    let leecher = session();
    let ports: Vec<u16> = seeds.iter().map(Session::port).collect();
    // It takes a little, and stands still again.
    for _ in 0..3 {
        let mut gate = Gate::close(dir.path());
        if leecher.stats(crate::TorrentId(1)).is_none() {
            leecher.add(sample.download(dir.path(), &ports)).await.unwrap();
        }
        gate.reached().await;
    }
    let id = crate::TorrentId(1);
    let stats = until(&leecher, id, |stats| stats.state == State::Seeding).await;
    assert_eq!(stats.downloaded - stats.wasted, u64::try_from((32 << 20) - THERE).unwrap());
    sample.assert_complete_in(dir.path());
    end(&[&leecher]).await;
    assert!(leecher.shared.blocks.made() <= limits::TORRENT_BUFFERS);
    end(&seeds.iter().collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn h76_without_a_free_buffer_a_download_waits_and_then_goes_on_as_if_nothing_had_been() {
    let (sample, dir) = begun(8 << 20);
    let (seed, leecher) = (seeder(&sample).await, session());
    let takers = [leecher.shared.blocks.share(), leecher.shared.blocks.share()];
    let mut taken: Vec<_> = takers.iter().flat_map(|share| std::iter::from_fn(|| share.try_take())).collect();
    assert_eq!(taken.len(), limits::BLOCK_BUFFERS);
    let id = leecher.add(sample.download(dir.path(), &[seed.port()])).await.unwrap();
    until(&leecher, id, |stats| stats.peers == 1).await;
    // One is enough to go on with, though slowly.
    taken.pop();
    until(&leecher, id, |stats| stats.downloaded >= BLOCK).await;
    drop(taken);
    let stats = until(&leecher, id, |stats| stats.state == State::Seeding).await;
    assert_eq!((stats.downloaded, stats.wasted), (u64::try_from((8 << 20) - THERE).unwrap(), 0));
    sample.assert_complete_in(dir.path());
    end(&[&leecher, &seed]).await;
}
