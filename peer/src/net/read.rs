//! From a socket's bytes to batches of messages and blocks.
//!
//! Purpose: as few wake-ups and copies as can be. All readers of a thread share one large buffer; a read of it is
//! decoded at once, each payload is copied once into a pooled buffer, and the whole goes to the torrent's task as
//! one batch.
//!
//! Invariant: the shared buffer is never held across an `await`. When a reader must wait in the middle of it (for a
//! block buffer, or because a batch is full) it first sets the rest aside in memory of its own, and tells the torrent
//! of a wait that a peer could be blamed for.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use peer_proto::wire::{Decoder, Item, Message, WireError};
use peer_proto::{Block, LinkId};
use tokio::sync::mpsc;

use super::conn::Conn;
use crate::disk::{BlockBuffer, BlockShare};
use crate::limits::{BATCH_ITEMS, READ_BUFFER, SCARCE_READ};

/// A wait for a buffer that is worth telling of: far below what makes a peer late, and long enough that telling of it
/// costs nothing.
const HELD_UP_AFTER: Duration = Duration::from_millis(50);

thread_local! {
    static SHARED: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BUFFER]);
}

/// What one link has to say, in order.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) link: LinkId,
    pub(crate) items: Vec<Input>,
}

/// One thing that happened on a link.
#[derive(Debug)]
pub(crate) enum Input {
    /// A message came.
    Message(Message),
    /// A whole block came.
    Block(Block, BlockBuffer),
    /// From now on nothing of it is read, since no buffer is free; or, `false`, it is read again.
    HeldUp(bool),
    /// The socket took blocks; the outbox has counted them.
    Sent,
    /// The connection is over; the peer broke the protocol, if that is why.
    Closed(Option<WireError>),
}

/// Why decoding stopped before the end of the bytes.
enum Pause {
    /// All decoded.
    None,
    /// A block begins and no buffer is free.
    NeedBuffer(Block),
    /// The batch is full.
    Full,
}

/// A link's place in its stream.
struct Reader {
    decoder: Decoder,
    pool: Arc<BlockShare>,
    block: Option<(Block, BlockBuffer)>,
    items: Vec<Input>,
}

/// Reads until the connection is over; answers what the peer did wrong, if it did.
pub(super) async fn read(
    conn: &Conn,
    link: LinkId,
    decoder: Decoder,
    pool: &Arc<BlockShare>,
    inputs: &mpsc::Sender<Batch>,
) -> Option<WireError> {
    let mut reader = Reader { decoder, pool: Arc::clone(pool), block: None, items: Vec::new() };
    let mut aside = Vec::new();
    loop {
        if conn.stream.readable().await.is_err() {
            return None;
        }
        let limit = if pool.is_scarce() { SCARCE_READ } else { READ_BUFFER };
        let read = SHARED.with_borrow_mut(|buffer| {
            let place = buffer.get_mut(..limit).unwrap_or_default();
            let count = conn.stream.try_read(place)?;
            let mut bytes: &[u8] = place.get(..count).unwrap_or_default();
            let pause = reader.decode(&mut bytes);
            aside.extend_from_slice(bytes);
            Ok::<_, io::Error>((count, pause))
        });
        let mut decoded = match read {
            Ok((0, _)) => return None,
            Ok((_, decoded)) => decoded,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return None,
        };
        loop {
            let pause = match decoded {
                Ok(pause) => pause,
                Err(error) => {
                    // What came before the fault still counts.
                    send(link, &mut reader.items, inputs).await;
                    return Some(error);
                }
            };
            if !send(link, &mut reader.items, inputs).await {
                return None;
            }
            match pause {
                Pause::None => break,
                Pause::NeedBuffer(block) => match reader.wait(link, inputs).await {
                    Some(buffer) => reader.block = Some((block, buffer)),
                    None => return None,
                },
                Pause::Full => {}
            }
            let held = std::mem::take(&mut aside);
            let mut bytes = held.as_slice();
            decoded = reader.decode(&mut bytes);
            aside.extend_from_slice(bytes);
        }
        // Let the torrent and the other links have their turn: meanwhile more comes, for one larger read.
        tokio::task::yield_now().await;
    }
}

/// Sends what has been gathered. `false` if nobody is there any more.
async fn send(link: LinkId, items: &mut Vec<Input>, inputs: &mpsc::Sender<Batch>) -> bool {
    items.is_empty() || inputs.send(Batch { link, items: std::mem::take(items) }).await.is_ok()
}

impl Reader {
    /// A buffer, as soon as there is one. `None` if nobody is there any more who needs it.
    async fn wait(&mut self, link: LinkId, inputs: &mpsc::Sender<Batch>) -> Option<BlockBuffer> {
        let taking = self.pool.take();
        tokio::pin!(taking);
        if let Ok(buffer) = tokio::time::timeout(HELD_UP_AFTER, &mut taking).await {
            return Some(buffer);
        }
        inputs.send(Batch { link, items: vec![Input::HeldUp(true)] }).await.ok()?;
        let buffer = taking.await;
        self.items.push(Input::HeldUp(false));
        Some(buffer)
    }

    /// Decodes `bytes` as far as possible and takes what it has used off their front.
    fn decode(&mut self, bytes: &mut &[u8]) -> Result<Pause, WireError> {
        while self.items.len() < BATCH_ITEMS {
            match self.decoder.next(bytes)? {
                None => return Ok(Pause::None),
                Some(Item::Message(message)) => self.items.push(Input::Message(message)),
                Some(Item::BlockStart(block)) => match self.pool.try_take() {
                    Some(buffer) => self.block = Some((block, buffer)),
                    None => return Ok(Pause::NeedBuffer(block)),
                },
                Some(Item::BlockData(data)) => {
                    if let Some((_, buffer)) = &mut self.block {
                        buffer.extend(data);
                    }
                }
                Some(Item::BlockEnd) => {
                    self.items.extend(self.block.take().map(|(block, buffer)| Input::Block(block, buffer)));
                }
            }
        }
        Ok(Pause::Full)
    }
}

#[cfg(test)]
mod tests;
