//! Requests to a disk that is slower than the peers, and peers that wait for it.

use super::*;

/// A leecher that asks for no more while two blocks wait to be written, with a link that owes it some.
fn with_a_slow_disk() -> (Torrent, LinkId, Vec<Block>) {
    let config = TorrentConfig { disk_backlog: 2, ..leecher().config };
    let mut torrent = Torrent::new(config, Time::ZERO, ChaCha8Rng::seed_from_u64(1));
    let (link, asked) = feeding(&mut torrent, 1);
    (torrent, link, asked)
}

#[test]
fn nothing_is_asked_for_while_too_many_blocks_wait_to_be_written() {
    let (mut torrent, link, asked) = with_a_slow_disk();
    let soon = Time::ZERO + Duration::from_millis(1);
    for &block in &asked[..4] {
        assert_eq!(torrent.handle_block(soon, link, block), BlockVerdict::Write);
    }
    torrent.handle_blocks_written(2);
    assert_eq!(
        requests(&actions(&mut torrent, soon), link),
        [],
        "the budget has room, the disk has enough to do"
    );
    // What is on its way still comes.
    assert_eq!(torrent.handle_block(soon, link, asked[4]), BlockVerdict::Write);
    torrent.handle_blocks_written(1);
    assert_eq!(requests(&actions(&mut torrent, soon), link), []);
    torrent.handle_blocks_written(1);
    assert_eq!(requests(&actions(&mut torrent, soon), link).len(), 4);
}

#[test]
fn a_disk_that_is_behind_is_said_to_be_what_is_waited_for() {
    let (mut torrent, link, asked) = with_a_slow_disk();
    for &block in &asked {
        torrent.handle_block(at(1), link, block);
    }
    assert_eq!(torrent.obstacle(at(100)), Some(Obstacle::DiskBusy));
}

#[test]
fn a_peer_that_we_do_not_read_is_neither_late_nor_silent_however_long_that_takes() {
    let mut torrent = leecher();
    let (link, asked) = feeding(&mut torrent, 1);
    let (other, _) = feeding(&mut torrent, 2);
    torrent.handle_held_up(at(1), link, true);
    for second in 2..1000 {
        // The other one goes on, as one that has no blocks to send.
        torrent.handle_message(at(second), other, Message::KeepAlive);
        torrent.handle_timeout(at(second));
        let done = actions(&mut torrent, at(second));
        assert!(done.iter().all(|action| matches!(action, Action::Send(_, Message::KeepAlive))), "{done:?}");
    }
    torrent.handle_held_up(at(1000), link, false);
    torrent.handle_timeout(at(1018));
    assert_eq!(torrent.handle_block(at(1018), link, asked[0]), BlockVerdict::Write);
    assert_eq!((torrent.totals().wasted, torrent.links[&link].pipeline.is_snubbed()), (0, false));
}

#[test]
fn a_peer_that_stays_silent_once_it_is_read_again_is_snubbed_after_the_same_time_as_any() {
    let mut torrent = leecher();
    let (link, asked) = feeding(&mut torrent, 1);
    torrent.handle_held_up(at(15), link, true);
    torrent.handle_held_up(at(500), link, false);
    assert!(torrent.poll_timeout().is_some_and(|due| due <= at(505)));
    torrent.handle_timeout(at(504));
    assert_eq!(torrent.links[&link].pipeline.outstanding(), asked.len());
    torrent.handle_timeout(at(505));
    assert!(torrent.links[&link].pipeline.is_snubbed());
    let closed = std::iter::from_fn(|| {
        let due = torrent.poll_timeout()?;
        torrent.handle_timeout(due);
        Some(close_reason(&actions(&mut torrent, due)))
    });
    assert_eq!(closed.take(100).flatten().next(), Some(CloseReason::Idle));
}
