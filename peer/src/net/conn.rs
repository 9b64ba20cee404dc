//! One connection after the handshake.
//!
//! Purpose: the torrent's task writes to the socket itself, as far as it takes it; only when it is full does a
//! writer task wait for room. A reader task turns what comes into batches.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peer_proto::LinkId;
use peer_proto::wire::Decoder;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;

use super::handshake;
use super::outbox::Outbox;
use super::read::{self, Batch, Input};
use crate::disk::BlockShare;
use crate::shared::Place;

/// The socket and what waits for it, shared by the torrent's task and the two of the link.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(super) stream: TcpStream,
    outbox: Mutex<Outbox>,
    /// Wakes the writer when the socket has become full.
    full: Notify,
}

impl Conn {
    pub(crate) fn new(stream: TcpStream) -> Arc<Self> {
        Arc::new(Self { stream, outbox: Mutex::default(), full: Notify::new() })
    }

    /// The kernel may hold so many bytes unsent: chokes and cancels wait behind no more than this.
    pub(crate) fn set_unsent_room(&self, bytes: u32) {
        handshake::set_unsent_room(&self.stream, bytes);
    }

    /// What waits. Held for no longer than it takes to add to it: the writer needs it too.
    pub(crate) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what the socket takes now; the rest is the writer's. Answers the bytes of blocks that are gone, as
    /// [`Outbox::take_gone`] does.
    ///
    /// # Errors
    /// If the connection is broken.
    pub(crate) fn flush(&self) -> io::Result<u32> {
        let mut outbox = self.outbox();
        if !outbox.blocked && !outbox.flush(|slices| self.stream.try_write_vectored(slices))? {
            outbox.blocked = true;
            self.full.notify_one();
        }
        Ok(outbox.take_gone())
    }

    /// Writes whenever the socket has room again, and tells the torrent's task that something has gone.
    async fn write(&self, link: LinkId, inputs: &mpsc::Sender<Batch>) -> io::Result<()> {
        loop {
            self.full.notified().await;
            loop {
                self.stream.writable().await?;
                let (empty, gone) = {
                    let mut outbox = self.outbox();
                    let empty = outbox.flush(|slices| self.stream.try_write_vectored(slices))?;
                    outbox.blocked = !empty;
                    (empty, outbox.has_gone())
                };
                if gone {
                    let batch = Batch { link, items: vec![Input::Sent] };
                    inputs.send(batch).await.map_err(io::Error::other)?;
                }
                if empty {
                    break;
                }
            }
        }
    }
}

/// The two tasks of a link; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct LinkTasks {
    reader: AbortHandle,
    writer: AbortHandle,
    _place: Place,
}

impl LinkTasks {
    /// Starts reading, and writing what the torrent's task could not.
    pub(crate) fn start(
        conn: &Arc<Conn>,
        link: LinkId,
        decoder: Decoder,
        pool: &Arc<BlockShare>,
        inputs: &mpsc::Sender<Batch>,
        place: Place,
    ) -> Self {
        let reader = tokio::spawn({
            let (conn, pool, inputs) = (Arc::clone(conn), Arc::clone(pool), inputs.clone());
            async move {
                let reason = read::read(&conn, link, decoder, &pool, &inputs).await;
                // If the torrent has gone, nobody needs to know.
                let _ = inputs.send(Batch { link, items: vec![Input::Closed(reason)] }).await;
            }
        });
        let writer = tokio::spawn({
            let (conn, inputs) = (Arc::clone(conn), inputs.clone());
            async move {
                if conn.write(link, &inputs).await.is_err() {
                    let _ = inputs.send(Batch { link, items: vec![Input::Closed(None)] }).await;
                }
            }
        });
        Self { reader: reader.abort_handle(), writer: writer.abort_handle(), _place: place }
    }
}

impl Drop for LinkTasks {
    fn drop(&mut self) {
        self.reader.abort();
        self.writer.abort();
    }
}
