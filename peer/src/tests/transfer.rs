//! Downloads that go well.

use tempfile::tempdir;

use super::support::{Sample, end, seeder, session, until, watched};
use crate::{AddTorrent, Event, State, Verify};

#[tokio::test]
async fn a_download_has_the_bytes_of_its_seed_and_both_count_the_same() {
    let sample = Sample::single(3_000_001, 65_536);
    let seed = seeder(&sample).await;
    let (leecher, dir) = (session(), tempdir().unwrap());
    let mut events = leecher.events();
    let id = leecher.add(sample.download(dir.path(), &[seed.port()])).await.unwrap();
    let stats = until(&leecher, id, |stats| stats.state == State::Seeding).await;
    assert_eq!((stats.done_bytes, stats.downloaded, stats.wasted), (3_000_001, 3_000_001, 0));
    sample.assert_complete_in(dir.path());
    let mut seen = Vec::new();
    loop {
        match events.next().await.unwrap() {
            Event::Checking { .. } => seen.push("checking"),
            Event::Started { done_bytes, .. } => {
                assert_eq!(done_bytes, 0);
                seen.push("started");
            }
            Event::Complete { .. } => seen.push("complete"),
            Event::Seeding { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, ["checking", "started", "complete"]);
    end(&[&leecher, &seed]).await;
}

#[tokio::test]
async fn the_last_numbers_count_all_that_was_sent_and_received() {
    let sample = Sample::single(6_000_000, 65_536);
    let (seed, leecher, dir) = (session(), session(), tempdir().unwrap());
    let seeding = seed.add(sample.seed()).await.unwrap();
    let seeding = seed.stats(seeding).unwrap();
    let id = leecher.add(sample.download(dir.path(), &[seed.port()])).await.unwrap();
    let leeching = leecher.stats(id).unwrap();
    until(&leecher, id, |stats| stats.state == State::Seeding).await;
    end(&[&leecher, &seed]).await;
    assert_eq!(leeching.borrow().downloaded, 6_000_000);
    assert_eq!(seeding.borrow().uploaded, 6_000_000);
}

#[tokio::test]
async fn files_that_straddle_pieces_and_empty_ones_all_arrive() {
    let files = [
        ("a", 100_000),
        ("deep/er/empty", 0),
        ("deep/b", 1),
        ("deep/c", 333_333),
        ("z/empty too", 0),
        ("zz", 5),
    ];
    let sample = Sample::folder(&files, 32_768);
    let seed = seeder(&sample).await;
    let (leecher, dir) = (session(), tempdir().unwrap());
    let id = leecher.add(sample.download(dir.path(), &[seed.port()])).await.unwrap();
    until(&leecher, id, |stats| stats.state == State::Seeding).await;
    sample.assert_complete_in(dir.path());
    end(&[&leecher, &seed]).await;
}

#[tokio::test]
async fn leechers_of_one_seed_give_to_each_other() {
    let sample = Sample::single(6_000_000, 65_536);
    let seed = seeder(&sample).await;
    let (one, two) = (session(), session());
    let dirs = [tempdir().unwrap(), tempdir().unwrap()];
    let first = one.add(sample.download(dirs[0].path(), &[seed.port()])).await.unwrap();
    let second = two.add(sample.download(dirs[1].path(), &[one.port()])).await.unwrap();
    let served = until(&two, second, |stats| stats.state == State::Seeding).await;
    until(&one, first, |stats| stats.state == State::Seeding).await;
    assert_eq!(served.downloaded - served.wasted, 6_000_000, "all of it came from the one who knew the seed");
    until(&one, first, |stats| stats.uploaded >= 6_000_000).await;
    dirs.iter().for_each(|dir| sample.assert_complete_in(dir.path()));
    end(&[&one, &two, &seed]).await;
}

#[tokio::test]
async fn a_stopped_download_goes_on_where_it_was() {
    let sample = Sample::single(4_000_000, 16_384);
    let dir = tempdir().unwrap();
    // Half of it is there, with the marker of a download that was stopped.
    let (leecher, seed) = (session(), seeder(&sample).await);
    let id = leecher.add(sample.download(dir.path(), &[])).await.unwrap();
    until(&leecher, id, |stats| stats.state == State::Downloading).await;
    leecher.shutdown(std::time::Duration::from_secs(5)).await;
    let whole = std::fs::read(sample.dir.path().join("sample.bin")).unwrap();
    std::fs::write(dir.path().join("sample.bin"), &whole[..2_000_000]).unwrap();

    let again = session();
    let id = again.add(sample.download(dir.path(), &[seed.port()])).await.unwrap();
    let stats = until(&again, id, |stats| stats.state == State::Seeding).await;
    let kept = 2_000_000 / 16_384 * 16_384;
    assert_eq!(stats.downloaded, 4_000_000 - kept, "what was right was not fetched again");
    sample.assert_complete_in(dir.path());
    end(&[&again, &seed]).await;
}

#[tokio::test]
async fn a_seeder_that_goes_and_comes_back_finishes_the_download() {
    let sample = Sample::single(2_000_000, 16_384);
    let first = seeder(&sample).await;
    let (leecher, dir) = (session(), tempdir().unwrap());
    let id = leecher.add(sample.download(dir.path(), &[first.port()])).await.unwrap();
    let port = first.port();
    until(&leecher, id, |stats| stats.peers == 1 || stats.state == State::Seeding).await;
    end(&[&first]).await;
    // The system may need a moment to give the port back.
    let second = loop {
        let config = crate::SessionConfig {
            listen: crate::Listen { port: crate::PortChoice::Exact(port), ..super::support::config().listen },
            ..super::support::config()
        };
        match crate::Session::start(config) {
            Ok(session) => break session,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    second.add(sample.seed()).await.unwrap();
    until(&leecher, id, |stats| stats.state == State::Seeding).await;
    sample.assert_complete_in(dir.path());
    end(&[&leecher, &second]).await;
}

#[tokio::test]
async fn a_paused_download_rests_and_then_finishes() {
    let sample = Sample::single(1_000_000, 16_384);
    let seed = seeder(&sample).await;
    let (leecher, dir) = (session(), tempdir().unwrap());
    let id = leecher.add(sample.download(dir.path(), &[])).await.unwrap();
    until(&leecher, id, |stats| stats.state == State::Downloading).await;
    leecher.pause(id).await;
    until(&leecher, id, |stats| stats.state == State::Paused).await;
    leecher.resume(id).await;
    until(&leecher, id, |stats| stats.state == State::Downloading).await;
    leecher.add_peers(id, vec![([127, 0, 0, 1], seed.port()).into()]).await;
    until(&leecher, id, |stats| stats.state == State::Seeding).await;
    sample.assert_complete_in(dir.path());
    leecher.remove(id).await;
    assert!(leecher.stats(id).is_none());
    end(&[&leecher, &seed]).await;
}

#[tokio::test]
async fn a_torrent_that_is_paused_while_it_is_checked_rests_afterwards() {
    let sample = Sample::single(1_000_000, 16_384);
    let session = session();
    let id = session.add(sample.seed()).await.unwrap();
    session.pause(id).await;
    until(&session, id, |stats| stats.state == State::Paused).await;
    session.resume(id).await;
    until(&session, id, |stats| stats.state == State::Seeding).await;
    end(&[&session]).await;
}

#[tokio::test]
async fn a_download_that_is_complete_already_only_makes_what_is_missing() {
    let sample = Sample::folder(&[("a", 50_000), ("empty", 0)], 16_384);
    let dir = tempdir().unwrap();
    sample.write_to(dir.path());
    std::fs::remove_file(dir.path().join("sample/empty")).unwrap();
    let session = session();
    let id = session.add(sample.download(dir.path(), &[])).await.unwrap();
    until(&session, id, |stats| stats.state == State::Seeding).await;
    sample.assert_complete_in(dir.path());
    end(&[&session]).await;
}

#[tokio::test]
async fn a_torrent_without_content_is_complete_at_once() {
    let sample = Sample::folder(&[("empty", 0), ("also/empty", 0)], 16_384);
    let dir = tempdir().unwrap();
    let session = session();
    let id = session.add(sample.download(dir.path(), &[])).await.unwrap();
    until(&session, id, |stats| stats.state == State::Seeding).await;
    sample.assert_complete_in(dir.path());
    end(&[&session]).await;
}

#[tokio::test]
async fn trusted_data_is_seeded_without_being_read() {
    let sample = Sample::single(1_000_000, 16_384);
    std::fs::write(sample.dir.path().join("sample.bin"), vec![0; 1_000_000]).unwrap();
    let session = session();
    let id = session.add(AddTorrent { verify: Verify::Trust, ..sample.seed() }).await.unwrap();
    until(&session, id, |stats| stats.state == State::Seeding).await;
    end(&[&session]).await;
}

#[tokio::test]
async fn the_last_numbers_have_the_peers_that_were_there_and_the_time_until_the_end() {
    let sample = Sample::single(200_000, 16_384);
    let (one, two) = (session(), session());
    let (here, there) = (tempdir().unwrap(), tempdir().unwrap());
    let first = one.add(sample.download(here.path(), &[])).await.unwrap();
    let stats = one.stats(first).unwrap();
    let before = until(&one, first, |stats| stats.state == State::Downloading).await.active;
    let seen = std::time::Instant::now();
    two.add(sample.download(there.path(), &[one.port()])).await.unwrap();
    until(&one, first, |stats| stats.peers == 1).await;
    let lasted = before + seen.elapsed();
    one.remove(first).await;
    let last = watched(stats, |stats| stats.state == State::Stopped).await;
    assert_eq!((last.peers, last.most_peers), (1, 1));
    assert!(last.active >= lasted, "{:?} of {lasted:?}", last.active);
    end(&[&one, &two]).await;
}

#[tokio::test]
async fn the_most_peers_are_known_after_they_have_gone_and_rest_takes_no_time() {
    let sample = Sample::single(200_000, 16_384);
    let seed = seeder(&sample).await;
    let (leecher, dir) = (session(), tempdir().unwrap());
    let id = leecher.add(sample.download(dir.path(), &[seed.port()])).await.unwrap();
    until(&leecher, id, |stats| stats.state == State::Seeding && stats.most_peers == 1).await;
    leecher.pause(id).await;
    let resting = until(&leecher, id, |stats| stats.state == State::Paused).await;
    let stats = leecher.stats(id).unwrap();
    leecher.remove(id).await;
    let last = watched(stats, |stats| stats.state == State::Stopped).await;
    assert_eq!((last.most_peers, last.active), (1, resting.active));
    end(&[&leecher, &seed]).await;
}
