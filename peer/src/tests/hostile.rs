//! Strangers that do not keep to the protocol, over real sockets.

use std::time::Duration;

use metainfo::InfoHash;
use peer_proto::PeerId;
use peer_proto::wire::Handshake;
use tempfile::tempdir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::support::{Sample, config, end, seeder, until};
use crate::{Deadlines, Event, Session, SessionConfig, State};

async fn connect(session: &Session) -> TcpStream {
    TcpStream::connect(("127.0.0.1", session.port())).await.unwrap()
}

fn handshake(info_hash: InfoHash) -> [u8; 68] {
    Handshake { reserved: [0; 8], info_hash, peer_id: PeerId([b'x'; 20]) }.encode()
}

/// What comes until the other side closes; a reset is a close too.
async fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut part = [0; 1024];
    while let Ok(count) = stream.read(&mut part).await {
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(&part[..count]);
    }
    bytes
}

#[tokio::test]
async fn h23_another_protocol_and_an_unknown_torrent_are_closed_without_a_word() {
    let sample = Sample::single(20_000, 16_384);
    let seed = seeder(&sample).await;
    let mut web = connect(&seed).await;
    web.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    assert_eq!(until_closed(&mut web).await, b"");
    let mut lost = connect(&seed).await;
    lost.write_all(&handshake(InfoHash::new([7; 20]))).await.unwrap();
    assert_eq!(until_closed(&mut lost).await, b"");
    end(&[&seed]).await;
}

#[tokio::test]
async fn h24_a_handshake_that_never_ends_is_closed_at_the_deadline() {
    let sample = Sample::single(20_000, 16_384);
    let deadlines = Deadlines { handshake: Duration::from_millis(50), ..Deadlines::default() };
    let seed = Session::start(SessionConfig { deadlines, ..config() }).unwrap();
    let id = seed.add(sample.seed()).await.unwrap();
    until(&seed, id, |stats| stats.state == State::Seeding).await;
    // One says nothing, one a byte at a time: neither is waited for beyond the deadline.
    let mut silent = connect(&seed).await;
    let mut slow = connect(&seed).await;
    let hello = handshake(sample.torrent.info_hash());
    slow.write_all(&hello[..20]).await.unwrap();
    let (mut read, mut write) = slow.into_split();
    let drip = tokio::spawn(async move {
        for byte in hello[20..].iter().cycle() {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if write.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
    });
    assert_eq!(until_closed(&mut silent).await, b"");
    let mut bytes = Vec::new();
    // Closed with bytes unread is a reset.
    let _ = read.read_to_end(&mut bytes).await;
    assert_eq!(bytes, b"");
    drip.await.unwrap();
    end(&[&seed]).await;
}

#[tokio::test]
async fn h24_a_peer_that_accepts_and_says_nothing_is_given_up() {
    let sample = Sample::single(20_000, 16_384);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let deadlines = Deadlines { handshake: Duration::from_millis(50), ..Deadlines::default() };
    let leecher = Session::start(SessionConfig { deadlines, ..config() }).unwrap();
    let dir = tempdir().unwrap();
    let port = listener.local_addr().unwrap().port();
    leecher.add(sample.download(dir.path(), &[port])).await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    assert_eq!(until_closed(&mut stream).await.len(), 68, "its handshake and then the end");
    end(&[&leecher]).await;
}

#[tokio::test]
async fn h25_h26_h28_bytes_that_break_the_protocol_close_the_link_and_others_are_served() {
    let sample = Sample::single(200_000, 16_384);
    let seed = seeder(&sample).await;
    let bad: [&[u8]; 4] = [
        &[0xff; 4],
        &[0, 0, 0, 2, 0, 0],
        &[0, 0, 0, 5, 4, 0, 0, 1, 0],
        &[0, 0, 0, 13, 6, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0x40, 0],
    ];
    for bytes in bad {
        let mut stream = connect(&seed).await;
        stream.write_all(&handshake(sample.torrent.info_hash())).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let said = until_closed(&mut stream).await;
        assert!(said.len() >= 68, "it had introduced itself: {} bytes", said.len());
    }
    let (leecher, dir) = (super::support::session(), tempdir().unwrap());
    let id = leecher.add(sample.download(dir.path(), &[seed.port()])).await.unwrap();
    until(&leecher, id, |stats| stats.state == State::Seeding).await;
    end(&[&leecher, &seed]).await;
}

#[tokio::test]
async fn h40_strangers_that_say_nothing_do_not_keep_others_out_for_longer_than_the_deadline() {
    let sample = Sample::single(200_000, 16_384);
    let deadlines = Deadlines { handshake: Duration::from_millis(200), ..Deadlines::default() };
    let seed = Session::start(SessionConfig { deadlines, ..config() }).unwrap();
    let id = seed.add(sample.seed()).await.unwrap();
    until(&seed, id, |stats| stats.state == State::Seeding).await;
    let mut strangers = Vec::new();
    for _ in 0..crate::limits::HALF_OPEN + 10 {
        strangers.push(connect(&seed).await);
    }
    for mut stranger in strangers {
        assert_eq!(until_closed(&mut stranger).await, b"");
    }
    let mut guest = connect(&seed).await;
    guest.write_all(&handshake(sample.torrent.info_hash())).await.unwrap();
    let mut answer = [0; 68];
    guest.read_exact(&mut answer).await.unwrap();
    end(&[&seed]).await;
}

#[tokio::test]
async fn more_peers_than_may_be_half_open_come_at_one_instant_and_all_are_answered() {
    let sample = Sample::single(200_000, 16_384);
    let seed = seeder(&sample).await;
    let mut peers = Vec::new();
    // Nobody speaks before all are connected.
    for _ in 0..2 * crate::limits::HALF_OPEN {
        peers.push(connect(&seed).await);
    }
    for (number, peer) in (0u8..).zip(&mut peers) {
        let mut handshake = handshake(sample.torrent.info_hash());
        handshake[67] = number;
        peer.write_all(&handshake).await.unwrap();
    }
    for (number, peer) in peers.iter_mut().enumerate() {
        let answer = peer.read_exact(&mut [0; 68]).await;
        assert!(answer.is_ok(), "{number}: {answer:?}");
    }
    end(&[&seed]).await;
}

/// The next message of a peer: its number and what it holds.
async fn message(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    loop {
        let length = stream.read_u32().await.unwrap();
        assert!(length < 100_000, "{length}");
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut bytes).await.unwrap();
        if let [number, rest @ ..] = &bytes[..] {
            return (*number, rest.to_vec());
        }
    }
}

#[tokio::test]
async fn h33_who_sent_one_wrong_block_of_a_piece_is_banned_and_who_sent_the_others_is_not() {
    // One piece of four blocks, and a peer that sends one of them, wrong, and then chokes.
    let sample = Sample::single(4 * 16_384, 4 * 16_384);
    let (leecher, seed, dir) = (super::support::session(), seeder(&sample).await, tempdir().unwrap());
    let mut events = leecher.events();
    let id = leecher.add(sample.download(dir.path(), &[])).await.unwrap();
    until(&leecher, id, |stats| stats.state == State::Downloading).await;
    let mut liar = connect(&leecher).await;
    liar.write_all(&handshake(sample.torrent.info_hash())).await.unwrap();
    liar.read_exact(&mut [0; 68]).await.unwrap();
    liar.write_all(&[0, 0, 0, 2, 5, 0x80, 0, 0, 0, 1, 1]).await.unwrap();
    let request = loop {
        let (number, rest) = message(&mut liar).await;
        if number == 6 {
            break rest;
        }
    };
    let mut lie = 0x4009u32.to_be_bytes().to_vec();
    lie.push(7);
    lie.extend_from_slice(&request[..8]);
    lie.extend_from_slice(&[0x55; 16_384]);
    lie.extend_from_slice(&[0, 0, 0, 1, 0]);
    liar.write_all(&lie).await.unwrap();
    until(&leecher, id, |stats| stats.downloaded == 16_384).await;

    leecher.add_peers(id, vec![([127, 0, 0, 1], seed.port()).into()]).await;
    until(&leecher, id, |stats| stats.state == State::Seeding).await;
    sample.assert_complete_in(dir.path());
    until_closed(&mut liar).await;
    let mut bans = 0;
    loop {
        match events.next().await.unwrap() {
            Event::PeerBanned { .. } => {
                bans += 1;
                leecher.remove(id).await;
            }
            Event::Stopped { .. } => break,
            _ => {}
        }
    }
    assert_eq!(bans, 1);
    end(&[&leecher, &seed]).await;
}
