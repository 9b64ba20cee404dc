//! A long fast path is full after a few round trips.

use super::*;
use crate::wire::extension::{ExtensionHandshake, HANDSHAKE_ID};

const ROUND_TRIP: Duration = Duration::from_millis(200);

/// A leecher of 256 MiB in pieces of 1 MiB, and a seed at the other end of such a path.
fn far_from_a_seed(reqq: Option<u16>) -> (Torrent, LinkId) {
    let geometry = Geometry::new(256 << 20, 1 << 20).unwrap();
    let pieces = geometry.piece_count();
    let config = TorrentConfig {
        geometry,
        have: Bitfield::new(pieces),
        disk_budget: 3072,
        disk_backlog: 512,
        ..leecher().config
    };
    let mut torrent = Torrent::new(config, Time::ZERO, ChaCha8Rng::seed_from_u64(1));
    let link = torrent.handle_opened(Time::ZERO, speaking(1, Direction::Outgoing)).unwrap();
    torrent.handle_message(Time::ZERO, link, Message::HaveAll);
    let said = ExtensionHandshake { reqq, ..ExtensionHandshake::default() };
    torrent.handle_message(Time::ZERO, link, Message::Extended(HANDSHAKE_ID, said.to_bytes().into()));
    torrent.handle_message(Time::ZERO, link, Message::Unchoke);
    (torrent, link)
}

/// How many blocks come in each of so many round trips, a read of 16 at a time.
fn bursts(reqq: Option<u16>, round_trips: u32) -> Vec<usize> {
    let (mut torrent, link) = far_from_a_seed(reqq);
    let mut asked = requests(&actions(&mut torrent, Time::ZERO), link);
    let mut bursts = Vec::new();
    for n in 1..=round_trips {
        let now = Time::ZERO + ROUND_TRIP * n;
        bursts.push(asked.len());
        let mut next = Vec::new();
        for read in std::mem::take(&mut asked).chunks(16) {
            for &block in read {
                assert_eq!(torrent.handle_block(now, link, block), BlockVerdict::Write);
            }
            torrent.handle_blocks_written(u32::try_from(read.len()).unwrap());
            next.extend(requests(&actions(&mut torrent, now), link));
        }
        asked = next;
    }
    bursts
}

#[test]
fn requests_double_with_each_round_trip_up_to_what_a_far_peer_takes() {
    let bursts = bursts(Some(2000), 7);
    assert!(bursts.windows(2).all(|pair| pair[1] >= (2 * pair[0]).min(2000)), "{bursts:?}");
    assert_eq!(bursts.last(), Some(&2000));
}

#[test]
fn a_far_peer_that_does_not_say_what_it_takes_is_asked_for_no_more_than_old_ones_take() {
    assert_eq!(bursts(None, 7).into_iter().max(), Some(500));
}
