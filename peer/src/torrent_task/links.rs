//! The links of one torrent: what goes out on each, gathered over a turn.
//!
//! Invariants: each link's socket is written to at most once for each decision of the engine; adjacent blocks for one
//! link become one read; every upload that the engine asked for is answered for exactly once, at the latest when its
//! link is closed.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use peer_proto::canonical::Witness;
use peer_proto::scope::Scope;
use peer_proto::torrent::Opened;
use peer_proto::wire::{self, Decoder, Message};
use peer_proto::{Block, Geometry, LinkId, Time, Torrent};
use storage::{StorageError, StorageErrorKind};
use tokio::sync::mpsc;

use crate::disk::{BlockShare, ReadDone, ReadJob, Run, TorrentDisk};
use crate::limits::READ_RUN;
use crate::net::{Batch, Conn, Frame, Handshaken, LinkTasks};
use crate::shared::Shared;

/// One link.
#[derive(Debug)]
struct Link {
    conn: Arc<Conn>,
    address: SocketAddr,
    /// Control messages of this turn.
    control: Vec<u8>,
    /// Whether it is in [`Links::dirty`].
    dirty: bool,
    /// How often its uploads have been forgotten: reads from before are thrown away.
    epoch: u32,
    /// Bytes of uploads that the engine asked for and has no answer for.
    owed: u32,
    /// Blocks that the disk threads are reading for it.
    reading: usize,
    _tasks: LinkTasks,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Links {
    shared: Arc<Shared>,
    inputs: mpsc::Sender<Batch>,
    /// Where the blocks that come are put.
    blocks: Arc<BlockShare>,
    links: BTreeMap<LinkId, Link>,
    /// Those that have something to send.
    dirty: Vec<LinkId>,
    /// Adjacent blocks to be read, and their bytes.
    run: Option<(LinkId, Vec<Block>, u32)>,
}

impl Links {
    pub(super) fn new(shared: Arc<Shared>, inputs: mpsc::Sender<Batch>) -> Self {
        let blocks = shared.blocks.share();
        Self { shared, inputs, blocks, links: BTreeMap::new(), dirty: Vec::new(), run: None }
    }

    /// A connection whose handshakes are done becomes a link, if the engine wants it.
    pub(super) fn open(
        &mut self,
        now: Time,
        engine: &mut Torrent,
        geometry: Geometry,
        handshaken: Handshaken,
    ) {
        let Handshaken { stream, address, direction, peer_id, reserved, place } = handshaken;
        if let Ok(local) = stream.local_addr()
            && Scope::of(local.ip()) == Scope::of(address.ip())
        {
            // Nobody has translated it, as far as one can see.
            engine.handle_seen_as(SocketAddr::new(local.ip(), self.shared.port), Witness::Connection);
        }
        let id = match engine.handle_opened(now, Opened { address, direction, peer_id, reserved }) {
            Ok(id) => id,
            Err(reason) => {
                tracing::debug!("{address}: {reason}");
                return;
            }
        };
        tracing::info!("{address}: connected, {peer_id}");
        let conn = Conn::new(stream);
        let decoder = Decoder::new(geometry);
        let tasks = LinkTasks::start(&conn, id, decoder, &self.blocks, &self.inputs, place);
        let link = Link {
            conn,
            address,
            control: Vec::new(),
            dirty: false,
            epoch: 0,
            owed: 0,
            reading: 0,
            _tasks: tasks,
        };
        self.links.insert(id, link);
    }

    /// Closes a link; whether it was open.
    pub(super) fn close(&mut self, now: Time, engine: &mut Torrent, id: LinkId) -> bool {
        self.sent(now, engine, id);
        let Some(link) = self.links.remove(&id) else { return false };
        if link.owed > 0 {
            engine.handle_upload_sent(now, id, link.owed, false);
        }
        true
    }

    /// A socket took blocks, after waiting.
    pub(super) fn sent(&mut self, now: Time, engine: &mut Torrent, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let bytes = link.conn.outbox().take_gone();
        if bytes > 0 {
            link.owed = link.owed.saturating_sub(bytes);
            engine.handle_upload_sent(now, id, bytes, true);
        }
    }

    /// The other end, for people.
    pub(super) fn address(&self, id: LinkId) -> String {
        self.links.get(&id).map_or_else(|| "a closed link".to_owned(), |link| link.address.to_string())
    }

    /// The kernel may hold so many bytes of a link unsent.
    pub(super) fn set_unsent_room(&self, id: LinkId, bytes: u32) {
        if let Some(link) = self.links.get(&id) {
            link.conn.set_unsent_room(bytes);
        }
    }

    /// Queues a message.
    pub(super) fn send(&mut self, id: LinkId, message: &Message) {
        if let Some(link) = self.links.get_mut(&id) {
            wire::encode(message, &mut link.control);
            mark(&mut self.dirty, id, link);
        }
    }

    /// Queues the reading of a block, with those before it if it is adjacent.
    pub(super) fn upload(&mut self, disk: &Arc<TorrentDisk>, id: LinkId, block: Block) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.owed = link.owed.saturating_add(block.length);
        let geometry = disk.info().geometry();
        if let Some((link, blocks, bytes)) = &mut self.run {
            let end = blocks.last().map(|last| geometry.block_offset(*last) + u64::from(last.length));
            let adjacent = *link == id && end == Some(geometry.block_offset(block));
            if adjacent && bytes.saturating_add(block.length) <= READ_RUN {
                blocks.push(block);
                *bytes += block.length;
                return;
            }
        }
        self.submit_reads(disk);
        self.run = Some((id, vec![block], block.length));
    }

    /// Reads what [`Links::upload`] has gathered, if it is in memory, and otherwise hands it to the disk threads: to
    /// wake one of them and to be woken costs more than to copy.
    pub(super) fn submit_reads(&mut self, disk: &Arc<TorrentDisk>) {
        let Some((id, blocks, _)) = self.run.take() else { return };
        let Some(link) = self.links.get_mut(&id) else { return };
        // What is asked for first leaves first.
        if link.reading == 0
            && let Some(run) = self.shared.disk.read_cached(disk, &blocks)
        {
            link.queue(blocks, run);
            mark(&mut self.dirty, id, link);
            return;
        }
        link.reading += blocks.len();
        self.shared.disk.read(ReadJob { disk: Arc::clone(disk), link: id, epoch: link.epoch, blocks });
    }

    /// Drops what is neither begun nor being read; what is being read is dropped when it comes.
    pub(super) fn forget_uploads(&mut self, now: Time, engine: &mut Torrent, id: LinkId) {
        let gathered = self.run.take_if(|(link, _, _)| *link == id).map_or(0, |(_, _, bytes)| bytes);
        let Some(link) = self.links.get_mut(&id) else { return };
        link.epoch = link.epoch.wrapping_add(1);
        let bytes = link.conn.outbox().forget().saturating_add(gathered);
        if bytes > 0 {
            link.owed = link.owed.saturating_sub(bytes);
            engine.handle_upload_sent(now, id, bytes, false);
        }
    }

    /// Queues blocks that were read, or tells the engine that they could not be. Answers why not, unless that says
    /// nothing about the file: then only the request is dropped.
    pub(super) fn take_read(
        &mut self,
        now: Time,
        engine: &mut Torrent,
        read: ReadDone,
    ) -> Option<StorageError> {
        let link = self.links.get_mut(&read.link)?;
        link.reading = link.reading.saturating_sub(read.blocks.len());
        let bytes: u32 = read.blocks.iter().map(|block| block.length).sum();
        let run = match read.run {
            Ok(run) => run,
            Err(error) => {
                link.owed = link.owed.saturating_sub(bytes);
                // Of one that has changed storage keeps note: it is hashed before anybody says what is lost.
                let has_changed = error.kind == StorageErrorKind::NotWhatItWas;
                if has_changed || error.is_shortage() {
                    match has_changed {
                        true => tracing::debug!("{error}"),
                        false => tracing::warn!("{error}"),
                    }
                    read.blocks.iter().for_each(|block| engine.handle_upload_dropped(now, read.link, *block));
                    return None;
                }
                read.blocks.iter().for_each(|block| engine.handle_upload_failed(now, read.link, *block));
                return Some(error);
            }
        };
        if read.epoch != link.epoch {
            link.owed = link.owed.saturating_sub(bytes);
            engine.handle_upload_sent(now, read.link, bytes, false);
            return None;
        }
        link.queue(read.blocks, run);
        mark(&mut self.dirty, read.link, link);
        None
    }

    /// Gives every socket what waits for it. Whether any took blocks, for which there is credit again.
    pub(super) fn flush(&mut self, now: Time, engine: &mut Torrent) -> bool {
        let mut sent = false;
        for id in std::mem::take(&mut self.dirty) {
            let Some(link) = self.links.get_mut(&id) else { continue };
            link.dirty = false;
            let kept_up = link.control.is_empty() || link.conn.outbox().push_control(&mut link.control);
            let flushed = if kept_up { link.conn.flush() } else { Err(io::Error::other("does not read")) };
            match flushed {
                Ok(0) => {}
                Ok(bytes) => {
                    link.owed = link.owed.saturating_sub(bytes);
                    engine.handle_upload_sent(now, id, bytes, true);
                    sent = true;
                }
                Err(error) => {
                    tracing::debug!("{}: {error}", link.address);
                    self.close(now, engine, id);
                    engine.handle_closed(now, id);
                    // Its closing may matter to others: the engine decides again.
                    sent = true;
                }
            }
        }
        sent
    }
}

impl Link {
    /// Queues blocks whose bytes are in `run`, end to end.
    fn queue(&self, blocks: Vec<Block>, run: Run) {
        let run = Arc::new(run);
        let mut outbox = self.conn.outbox();
        let mut start = 0;
        for block in blocks {
            outbox.push_frame(Frame::new(block, Arc::clone(&run), start));
            start += usize::try_from(block.length).unwrap_or(0);
        }
    }
}

fn mark(dirty: &mut Vec<LinkId>, id: LinkId, link: &mut Link) {
    if !std::mem::replace(&mut link.dirty, true) {
        dirty.push(id);
    }
}
