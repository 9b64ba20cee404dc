//! The links of one fetch of metadata: sockets, and what goes out on each.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use peer_proto::LinkId;
use peer_proto::wire::{self, Decoder, Message};
use tokio::sync::mpsc;

use crate::disk::BlockShare;
use crate::net::{Batch, Conn, Handshaken, LinkTasks};
use crate::shared::Shared;

#[derive(Debug)]
struct Link {
    conn: Arc<Conn>,
    address: SocketAddr,
    /// Messages of this turn.
    control: Vec<u8>,
    _tasks: LinkTasks,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Links {
    inputs: mpsc::Sender<Batch>,
    /// Of which none is used: without a torrent there are no blocks.
    blocks: Arc<BlockShare>,
    links: BTreeMap<LinkId, Link>,
}

impl Links {
    pub(super) fn new(shared: &Arc<Shared>, inputs: mpsc::Sender<Batch>) -> Self {
        Self { blocks: shared.blocks.share(), inputs, links: BTreeMap::new() }
    }

    /// The engine has taken a connection as this link.
    pub(super) fn open(&mut self, id: LinkId, handshaken: Handshaken) {
        let Handshaken { stream, address, place, .. } = handshaken;
        let conn = Conn::new(stream);
        let decoder = Decoder::without_geometry();
        let tasks = LinkTasks::start(&conn, id, decoder, &self.blocks, &self.inputs, place);
        self.links.insert(id, Link { conn, address, control: Vec::new(), _tasks: tasks });
    }

    /// Closes a link; whether it was open.
    pub(super) fn close(&mut self, id: LinkId) -> bool {
        self.links.remove(&id).is_some()
    }

    /// The other end, for people.
    pub(super) fn address(&self, id: LinkId) -> String {
        self.links.get(&id).map_or_else(|| "a closed link".to_owned(), |link| link.address.to_string())
    }

    /// Queues a message.
    pub(super) fn send(&mut self, id: LinkId, message: &Message) {
        if let Some(link) = self.links.get_mut(&id) {
            wire::encode(message, &mut link.control);
        }
    }

    /// Gives every socket what waits for it. Answers the links that are broken, which are closed.
    pub(super) fn flush(&mut self) -> Vec<LinkId> {
        let flush = |link: &mut Link| {
            if link.control.is_empty() {
                return Ok(0);
            }
            let kept_up = link.conn.outbox().push_control(&mut link.control);
            if kept_up { link.conn.flush() } else { Err(io::Error::other("does not read")) }
        };
        let mut broken = Vec::new();
        for (&id, link) in &mut self.links {
            if let Err(error) = flush(link) {
                tracing::debug!("{}: {error}", link.address);
                broken.push(id);
            }
        }
        broken.iter().for_each(|id| _ = self.links.remove(id));
        broken
    }
}
