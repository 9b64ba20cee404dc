//! The first 68 bytes each way.

use std::io;

use metainfo::InfoHash;
use peer_proto::PeerId;
use peer_proto::wire::{HANDSHAKE_LENGTH, Handshake, OUR_RESERVED};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::limits;

/// Chokes and cancels must overtake data, and small messages must not wait for large ones. A connection whose other end
/// is gone must break: the peer may be there again, and is only dialled when it is known not to be connected.
pub(super) fn prepare(stream: &TcpStream) {
    // A kernel that lacks this only makes things slower.
    let _ = stream.set_nodelay(true);
    set_unsent_room(stream, limits::NOT_SENT);
    break_if_unheard(stream);
}

/// The kernel asks the other end whether it lives when it has heard nothing for [`limits::PROBE_AFTER`], and again
/// until it answers. It breaks the connection when what it sent was not acknowledged for [`limits::UNHEARD_FOR`].
///
/// It is the kernel's to know: a peer that sends nothing because its uploads are slow acknowledges all the same. Without
/// this a path that was out for a minute is tried again, by a sender that waits twice as long each time, only after two.
fn break_if_unheard(stream: &TcpStream) {
    let socket = socket2::SockRef::from(stream);
    let probes =
        socket2::TcpKeepalive::new().with_time(limits::PROBE_AFTER).with_interval(limits::PROBE_EVERY);
    let _ = socket.set_tcp_keepalive(&probes);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket.set_tcp_user_timeout(Some(limits::UNHEARD_FOR));
}

/// The kernel may hold so many bytes that it has not sent.
pub(super) fn set_unsent_room(stream: &TcpStream, bytes: u32) {
    // A kernel that lacks this only makes things slower.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(bytes);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (stream, bytes);
}

/// Reads a handshake and not a byte more. The caller keeps the deadline.
pub(super) async fn receive(stream: &mut TcpStream) -> io::Result<Handshake> {
    let mut bytes = [0; HANDSHAKE_LENGTH];
    let mut held = 0;
    while let Some(rest) = bytes.get_mut(held..).filter(|rest| !rest.is_empty()) {
        let count = stream.read(rest).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        held += count;
        Handshake::check_prefix(bytes.get(..held).unwrap_or_default()).map_err(invalid)?;
    }
    Handshake::decode(&bytes).map_err(invalid)
}

/// Sends ours.
pub(super) async fn send(stream: &mut TcpStream, info_hash: InfoHash, peer_id: PeerId) -> io::Result<()> {
    stream.write_all(&Handshake { reserved: OUR_RESERVED, info_hash, peer_id }.encode()).await
}

pub(super) fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
