//! Sockets: who comes in, who is dialled, and what goes over a connection.
//!
//! It knows the handshake and how to cut bytes into messages; what they mean is the engine's business.

mod conn;
mod dial;
mod handshake;
mod listen;
mod outbox;
mod read;
mod udp;

use std::net::SocketAddr;

use peer_proto::PeerId;
use peer_proto::torrent::Direction;
use tokio::net::TcpStream;

use crate::shared::Place;

pub(crate) use conn::{Conn, LinkTasks};
pub(crate) use dial::dial;
pub(crate) use listen::{Listeners, bind};
pub(crate) use outbox::Frame;
pub(crate) use read::{Batch, Input};
pub(crate) use udp::SharedSocket;

/// A connection on which both sides have introduced themselves.
#[derive(Debug)]
pub(crate) struct Handshaken {
    pub(crate) stream: TcpStream,
    pub(crate) address: SocketAddr,
    pub(crate) direction: Direction,
    pub(crate) peer_id: PeerId,
    pub(crate) reserved: [u8; 8],
    pub(crate) place: Place,
}
