//! Connecting to a peer.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use metainfo::InfoHash;
use peer_proto::torrent::Direction;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::{Handshaken, handshake};
use crate::shared::{Place, Shared};

/// Connects and introduces both sides. Waits for its turn among the session's dials first, holding the place that the
/// link will have: so no more dials wait than there are places.
pub(crate) async fn dial(
    shared: Arc<Shared>,
    hash: InfoHash,
    address: SocketAddr,
    place: Place,
) -> io::Result<Handshaken> {
    let dials = Arc::clone(&shared.dials);
    // The permit is held until the handshake is done: a peer that accepts and stays silent occupies it too.
    let _turn = dials.acquire_owned().await.map_err(io::Error::other)?;
    let deadlines = shared.config.deadlines;
    let mut stream = timeout(deadlines.connect, connect(&shared.config.listen.addresses, address)).await??;
    handshake::prepare(&stream);
    let theirs = timeout(deadlines.handshake, async {
        handshake::send(&mut stream, hash, shared.peer_id).await?;
        handshake::receive(&mut stream).await
    })
    .await??;
    if theirs.info_hash != hash {
        return Err(handshake::invalid("it answered for another torrent"));
    }
    let (peer_id, reserved) = (theirs.peer_id, theirs.reserved);
    Ok(Handshaken { stream, address, direction: Direction::Outgoing, peer_id, reserved, place })
}

/// Connects from the address of the same family that we listen on.
async fn connect(ours: &[IpAddr], address: SocketAddr) -> io::Result<TcpStream> {
    let from = ours.iter().find(|ip| ip.is_ipv4() == address.is_ipv4());
    let from =
        from.ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "this address family is not used"))?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if !from.is_unspecified() {
        socket.bind(SocketAddr::new(*from, 0))?;
    }
    socket.connect(address).await
}
