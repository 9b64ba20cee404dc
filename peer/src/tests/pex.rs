//! Peer exchange over real sockets.

use std::num::NonZeroU64;

use peer_proto::PeerId;
use peer_proto::wire::extension::{Extension, ExtensionHandshake, HANDSHAKE_ID};
use peer_proto::wire::{Decoder, Handshake, Item, Message, OUR_RESERVED};
use tempfile::tempdir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::support::{Sample, config, end, seeder, session, until};
use crate::{AddMagnet, Limits, Session, SessionConfig, State};

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

/// What the next one that connects says of itself by the extension protocol.
async fn introduction(listener: &TcpListener, info_hash: metainfo::InfoHash) -> ExtensionHandshake {
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.read_exact(&mut [0; 68]).await.unwrap();
    let hello = Handshake { reserved: OUR_RESERVED, info_hash, peer_id: PeerId([b's'; 20]) };
    stream.write_all(&hello.encode()).await.unwrap();
    let (mut decoder, mut buffer) = (Decoder::without_geometry(), [0; 4096]);
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "it left without a word");
        let mut input = &buffer[..count];
        while let Some(item) = decoder.next(&mut input).unwrap() {
            if let Item::Message(Message::Extended(HANDSHAKE_ID, payload)) = item {
                return ExtensionHandshake::parse(&payload).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_magnet_link_is_fetched_with_peer_exchange_unless_it_is_switched_off() {
    let sample = Sample::single(20_000, 16_384);
    for pex in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let session = Session::start(SessionConfig { pex, ..config() }).unwrap();
        let dir = tempdir().unwrap();
        let peers = vec![listener.local_addr().unwrap()];
        let add = AddMagnet { peers, ..AddMagnet::new(sample.torrent.magnet(), dir.path()) };
        session.add_magnet(add).await.unwrap();
        let said = introduction(&listener, sample.torrent.info_hash()).await;
        assert_eq!(said.extensions.id(Extension::Pex).is_some(), pex);
        assert!(said.extensions.id(Extension::Metadata).is_some());
        end(&[&session]).await;
    }
}
