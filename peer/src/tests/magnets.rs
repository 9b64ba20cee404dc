//! Magnet links over real sockets.

use std::net::SocketAddr;

use bytes::Bytes;
use metainfo::{Magnet, MagnetPeer};
use peer_proto::PeerId;
use peer_proto::wire::extension::{
    Extension, ExtensionHandshake, ExtensionIds, HANDSHAKE_ID, METADATA_PIECE_LENGTH, MetadataMessage,
};
use peer_proto::wire::{self, Decoder, Handshake, Item, Message, OUR_RESERVED};
use tempfile::tempdir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::support::{Sample, end, failure, seeder, session, until};
use crate::discovery::tests::{respond, server};
use crate::{AddError, AddMagnet, AddTorrent, Event, FailureKind, Next, Note, OnFound, State};

/// A peer that has this as the metadata of the torrent, and nothing else. It serves until the test ends.
async fn metadata_peer(hash: metainfo::InfoHash, metadata: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, hash, metadata.clone()));
        }
    });
    address
}

/// Serves one connection; what the other side does wrong ends it.
async fn serve(mut stream: TcpStream, info_hash: metainfo::InfoHash, metadata: Vec<u8>) -> Option<()> {
    stream.read_exact(&mut [0; 68]).await.ok()?;
    let hello = Handshake { reserved: OUR_RESERVED, info_hash, peer_id: PeerId([b's'; 20]) };
    let total_size = u32::try_from(metadata.len()).unwrap();
    let ours = ExtensionHandshake {
        extensions: ExtensionIds::ours(&[Extension::Metadata]),
        metadata_size: Some(total_size),
        ..ExtensionHandshake::default()
    };
    let mut out = hello.encode().to_vec();
    // Peers send what they have of a torrent of which the other side does not know the geometry.
    wire::encode(&Message::Bitfield(vec![0xff; 77]), &mut out);
    wire::encode(&Message::Extended(HANDSHAKE_ID, ours.to_bytes().into()), &mut out);
    let (mut decoder, mut buffer) = (Decoder::without_geometry(), [0; 4096]);
    loop {
        stream.write_all(&std::mem::take(&mut out)).await.ok()?;
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        let mut input = &buffer[..count];
        while let Some(item) = decoder.next(&mut input).ok()? {
            let Item::Message(Message::Extended(1, payload)) = item else { continue };
            let Ok(MetadataMessage::Request { piece }) = MetadataMessage::parse(&payload) else { continue };
            let start = (piece * METADATA_PIECE_LENGTH) as usize;
            let end = metadata.len().min(start + METADATA_PIECE_LENGTH as usize);
            let bytes = Bytes::copy_from_slice(&metadata[start..end]);
            let data = MetadataMessage::Data { piece, total_size, bytes };
            wire::encode(&Message::Extended(1, data.to_bytes().into()), &mut out);
        }
    }
}

/// A peer that has the metadata of a sample.
async fn honest(sample: &Sample) -> SocketAddr {
    metadata_peer(sample.torrent.info_hash(), sample.torrent.info.raw().to_vec()).await
}

fn named(address: SocketAddr) -> MagnetPeer {
    MagnetPeer { host: address.ip().to_string(), port: address.port() }
}

fn port(number: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], number))
}

/// A sample whose metadata has several pieces.
fn large() -> Sample {
    Sample::single(40_000_000, 16_384)
}

#[tokio::test]
async fn a_link_with_peers_becomes_the_torrent_and_downloads() {
    let sample = large();
    assert!(sample.torrent.info.raw().len() > 2 * METADATA_PIECE_LENGTH as usize);
    let (seed, peer) = (seeder(&sample).await, honest(&sample).await);
    let (leecher, dir) = (session(), tempdir().unwrap());
    let mut events = leecher.events();
    let peers = vec![named(peer), named(port(seed.port()))];
    let magnet = Magnet { peers, name: Some("by link".to_owned()), ..sample.torrent.magnet() };
    let id = leecher.add_magnet(AddMagnet::new(magnet, dir.path())).await.unwrap();
    let first = leecher.stats(id).unwrap().borrow().clone();
    assert_eq!((first.name.as_str(), first.total_bytes), ("by link", 0));
    assert_eq!(first.state, State::FetchingMetadata);
    let stats = until(&leecher, id, |stats| stats.state == State::Seeding).await;
    assert_eq!((stats.name.as_str(), stats.total_bytes), ("sample.bin", 40_000_000));
    sample.assert_complete_in(dir.path());
    assert!(matches!(events.next().await, Some(Event::Checking { id: of }) if of == id));
    end(&[&leecher, &seed]).await;
}

#[tokio::test]
async fn a_link_with_a_tracker_announces_once_and_the_torrent_goes_on_with_it() {
    let sample = Sample::single(300_000, 16_384);
    let (seed, peer) = (seeder(&sample).await, honest(&sample).await);
    let compact: Vec<u8> = [peer.port(), seed.port()]
        .iter()
        .flat_map(|port| [&[127, 0, 0, 1][..], &port.to_be_bytes()].concat())
        .collect();
    let body = [b"d8:intervali1800e5:peers12:", &compact[..], b"e"].concat();
    let (address, paths) = server(move |_, _, stream| respond(stream, "200 OK", "", &body));
    let (leecher, dir) = (session(), tempdir().unwrap());
    let trackers = vec![format!("http://{address}/announce")];
    let magnet = Magnet { trackers, ..sample.torrent.magnet() };
    let id = leecher.add_magnet(AddMagnet::new(magnet, dir.path())).await.unwrap();
    until(&leecher, id, |stats| stats.state == State::Seeding).await;
    sample.assert_complete_in(dir.path());
    end(&[&leecher, &seed]).await;
    let paths: Vec<String> = paths.try_iter().collect();
    let started = paths.iter().filter(|path| path.contains("event=started")).count();
    assert_eq!(started, 1, "{paths:?}");
    assert!(paths[0].contains("&left=16384&"), "not a seed, whatever it is: {paths:?}");
}

#[tokio::test]
async fn a_link_that_nobody_answers_for_says_so_and_ends_when_told() {
    let sample = Sample::single(300_000, 16_384);
    let (leecher, dir) = (session(), tempdir().unwrap());
    let id = leecher.add_magnet(AddMagnet::new(sample.torrent.magnet(), dir.path())).await.unwrap();
    until(&leecher, id, |stats| stats.note == Some(Note::NoPeers)).await;
    let again = AddMagnet::new(sample.torrent.magnet(), dir.path());
    assert!(matches!(leecher.add_magnet(again).await, Err(AddError::Duplicate(_))));
    assert!(matches!(leecher.add(sample.download(dir.path(), &[])).await, Err(AddError::Duplicate(_))));
    let stats = leecher.stats(id).unwrap();
    leecher.remove(id).await;
    assert_eq!(stats.borrow().state, State::Stopped);
    end(&[&leecher]).await;
}

#[tokio::test]
async fn a_link_that_rests_goes_on_with_peers_named_meanwhile() {
    let sample = Sample::single(300_000, 16_384);
    let (seed, peer) = (seeder(&sample).await, honest(&sample).await);
    let (leecher, dir) = (session(), tempdir().unwrap());
    let id = leecher.add_magnet(AddMagnet::new(sample.torrent.magnet(), dir.path())).await.unwrap();
    leecher.pause(id).await;
    until(&leecher, id, |stats| stats.state == State::Paused).await;
    leecher.add_peers(id, vec![peer, port(seed.port())]).await;
    leecher.resume(id).await;
    until(&leecher, id, |stats| stats.state == State::Seeding).await;
    sample.assert_complete_in(dir.path());
    end(&[&leecher, &seed]).await;
}

#[tokio::test]
async fn a_peer_that_comes_gives_the_torrent_and_is_dialled_for_the_content() {
    let sample = large();
    let (leecher, dir) = (session(), tempdir().unwrap());
    let id = leecher.add_magnet(AddMagnet::new(sample.torrent.magnet(), dir.path())).await.unwrap();
    // The link names nobody: it is the seed that knows the one who looks for the torrent.
    let seed = session();
    let peers = vec![port(leecher.port())];
    seed.add(AddTorrent { peers, ..sample.seed() }).await.unwrap();
    until(&leecher, id, |stats| stats.state == State::Seeding).await;
    sample.assert_complete_in(dir.path());
    end(&[&leecher, &seed]).await;
}

#[tokio::test]
async fn a_link_whose_torrent_is_not_wanted_ends_and_leaves_its_tracker() {
    let sample = Sample::single(300_000, 16_384);
    let seed = seeder(&sample).await;
    let body = [&b"d8:intervali1800e5:peers6:\x7f\0\0\x01"[..], &seed.port().to_be_bytes(), b"e"].concat();
    let (address, paths) = server(move |_, _, stream| respond(stream, "200 OK", "", &body));
    let (leecher, dir) = (session(), tempdir().unwrap());
    let magnet = Magnet { trackers: vec![format!("http://{address}/announce")], ..sample.torrent.magnet() };
    let info = sample.torrent.info.raw().clone();
    let on_found = OnFound::new(move |torrent| {
        assert_eq!(*torrent.info.raw(), info);
        Next::End
    });
    let add = AddMagnet { on_found: Some(on_found), ..AddMagnet::new(magnet, dir.path()) };
    let id = leecher.add_magnet(add).await.unwrap();
    until(&leecher, id, |stats| stats.state == State::Stopped).await;
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let paths: Vec<String> = paths.try_iter().collect();
    assert!(matches!(paths.as_slice(), [_, last] if last.contains("event=stopped")), "{paths:?}");
    end(&[&leecher, &seed]).await;
}

#[tokio::test]
async fn a_link_whose_torrent_cannot_be_stored_leaves_its_tracker_when_it_ends() {
    let sample = Sample::single(300_000, 16_384);
    let seed = seeder(&sample).await;
    let body = [&b"d8:intervali1800e5:peers6:\x7f\0\0\x01"[..], &seed.port().to_be_bytes(), b"e"].concat();
    let (address, paths) = server(move |_, _, stream| respond(stream, "200 OK", "", &body));
    let (leecher, dir) = (session(), tempdir().unwrap());
    std::fs::write(dir.path().join("sample.bin"), "mine").unwrap();
    let magnet = Magnet { trackers: vec![format!("http://{address}/announce")], ..sample.torrent.magnet() };
    let id = leecher.add_magnet(AddMagnet::new(magnet, dir.path())).await.unwrap();
    assert_eq!(failure(&leecher, id).await.kind, FailureKind::DataMismatch);
    leecher.remove(id).await;
    let paths: Vec<String> = paths.try_iter().collect();
    assert!(matches!(paths.as_slice(), [_, last] if last.contains("event=stopped")), "{paths:?}");
    end(&[&leecher, &seed]).await;
}

#[tokio::test]
async fn h37_a_peer_that_lies_about_the_torrent_is_banned_and_told_of() {
    let sample = Sample::single(300_000, 16_384);
    let mut wrong = sample.torrent.info.raw().to_vec();
    wrong[40] ^= 1;
    let liar = metadata_peer(sample.torrent.info_hash(), wrong).await;
    let (leecher, dir) = (session(), tempdir().unwrap());
    let mut events = leecher.events();
    let magnet = Magnet { peers: vec![named(liar)], ..sample.torrent.magnet() };
    let id = leecher.add_magnet(AddMagnet::new(magnet, dir.path())).await.unwrap();
    until(&leecher, id, |stats| stats.note == Some(Note::AllBanned { peers: 1 })).await;
    assert!(matches!(events.next().await, Some(Event::PeerBanned { address, .. }) if address == liar.ip()));
    end(&[&leecher]).await;
}

#[tokio::test]
async fn a_torrent_that_cannot_be_used_is_an_error_of_the_link() {
    // It has the right digest, and is no torrent.
    let metadata = b"d4:name1:a12:piece lengthi0ee".to_vec();
    let hash = metainfo::InfoHash::new(<sha1::Sha1 as sha1::Digest>::digest(&metadata).into());
    let peer = metadata_peer(hash, metadata).await;
    let (leecher, dir) = (session(), tempdir().unwrap());
    let magnet: Magnet = format!("magnet:?xt=urn:btih:{hash}&dn=odd&x.pe={peer}").parse().unwrap();
    let id = leecher.add_magnet(AddMagnet::new(magnet, dir.path())).await.unwrap();
    let failure = failure(&leecher, id).await;
    assert_eq!(failure.kind, FailureKind::Other);
    assert!(failure.message.starts_with("odd: the torrent of this link cannot be used: "), "{failure}");
    end(&[&leecher]).await;
}
