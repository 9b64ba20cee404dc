//! A reader and its peer, over a real socket.

use std::time::Duration;

use metainfo::BLOCK_LENGTH;
use peer_proto::Geometry;
use peer_proto::wire::piece_header;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::disk::BlockPool;

const WAIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_reader_without_a_buffer_says_that_it_is_held_up_and_reads_on_once_it_has_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let conn = Conn::new(listener.accept().await.unwrap().0);
    let geometry = Geometry::new(2 * u64::from(BLOCK_LENGTH), BLOCK_LENGTH).unwrap();
    let pool = BlockPool::new(1, 1).share();
    let (to_inputs, mut inputs) = mpsc::channel(4);
    let reading = tokio::spawn({
        let pool = Arc::clone(&pool);
        async move { read(&conn, LinkId(3), Decoder::new(geometry), &pool, &to_inputs).await }
    });
    let mut next = async || tokio::time::timeout(WAIT, inputs.recv()).await.unwrap().unwrap().items;

    let held = pool.try_take().unwrap();
    let block = geometry.block(1, 0);
    peer.write_all(&piece_header(block)).await.unwrap();
    peer.write_all(&[7; BLOCK_LENGTH as usize]).await.unwrap();
    assert!(matches!(next().await[..], [Input::HeldUp(true)]));
    drop(held);
    let items = next().await;
    let (came, items) = match &items[..] {
        // The block may come with a later read.
        [Input::HeldUp(false)] => (false, next().await),
        _ => (true, items),
    };
    let [.., Input::Block(got, buffer)] = &items[..] else { panic!("{items:?}") };
    assert!(!came || matches!(items[..], [Input::HeldUp(false), _]));
    assert_eq!((*got, buffer.as_slice()), (block, &[7; BLOCK_LENGTH as usize][..]));
    drop(peer);
    assert!(reading.await.unwrap().is_none());
}
