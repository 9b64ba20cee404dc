//! Taking what happened: to the engine what it must know, to the user what he should.

use metainfo::{Info, display_safe, without_os_error};
use peer_proto::candidates::Source;
use peer_proto::canonical::Witness;
use peer_proto::{BlockVerdict, Time};
use storage::{StorageError, StorageErrorKind};
use tokio::task::JoinError;

use super::active::{Active, Dialled};
use super::announces::Answer;
use super::finishing::Finished;
use super::start::human;
use crate::disk::Results;
use crate::net::{Batch, Handshaken, Input};
use crate::{Event, Failure, FailureKind, limits};

impl Active<'_> {
    pub(super) fn take_batch(&mut self, batch: Batch) {
        let (now, link) = (self.now(), batch.link);
        for item in batch.items {
            match item {
                Input::Block(block, buffer) => match self.engine.handle_block(now, link, block) {
                    BlockVerdict::Write => self.to_write.push((block, buffer)),
                    BlockVerdict::Drop => {}
                },
                Input::Message(message) => self.engine.handle_message(now, link, message),
                Input::HeldUp(held_up) => self.engine.handle_held_up(now, link, held_up),
                Input::Sent => self.links.sent(now, &mut self.engine, link),
                Input::Closed(error) => {
                    let address = self.links.address(link);
                    if self.links.close(now, &mut self.engine, link) {
                        match error {
                            Some(error) => tracing::info!("{address}: closed, {error}"),
                            None => tracing::info!("{address}: the other side has closed"),
                        }
                        self.engine.handle_closed(now, link);
                    }
                }
            }
        }
        self.publisher.changed();
    }

    /// Takes the other batches that are there, as many as the channel holds.
    pub(super) fn take_more_batches(&mut self) {
        for _ in 0..limits::BATCHES {
            match self.inputs.try_recv() {
                Ok(batch) => self.take_batch(batch),
                Err(_) => break,
            }
        }
    }

    pub(super) fn submit_writes(&mut self) {
        if !self.to_write.is_empty() {
            self.unwritten += u32::try_from(self.to_write.len()).unwrap_or(0);
            self.context.shared.disk.write(self.disk, &mut self.to_write);
        }
    }

    pub(super) fn take_results(&mut self, now: Time, results: Results) {
        self.unwritten = self.unwritten.saturating_sub(results.written + results.lost);
        self.engine.handle_blocks_written(results.written);
        for (piece, good) in results.pieces {
            self.engine.handle_piece_result(now, piece, good);
        }
        for (piece, digests) in results.digests {
            self.engine.handle_block_digests(now, piece, digests);
        }
        if let Some(error) = results.failed {
            self.fail(&error);
        }
        for read in results.reads {
            let pieces: Vec<u32> = read.blocks.iter().map(|block| block.piece).collect();
            if let Some(error) = self.links.take_read(now, &mut self.engine, read) {
                let lost: Vec<u32> =
                    pieces.into_iter().filter(|piece| !self.engine.have().get(*piece)).collect();
                if !lost.is_empty() {
                    self.context.shared.disk.lost(self.disk, lost);
                }
                if let Some(news) = self.unreadable.news(&error.to_string()) {
                    self.context.warn(news);
                }
            }
        }
        self.publisher.changed();
    }

    /// The disk failed: nothing more is fetched, what is there is served on.
    pub(super) fn fail(&mut self, error: &StorageError) {
        if self.failure.is_some() {
            return;
        }
        let message = match error.io_kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                format!("{}{}", no_room(self.disk.info(), error), self.room_advice())
            }
            _ => error.to_string(),
        };
        self.fail_as(Failure { kind: failure_kind(error), message });
    }

    /// Nothing more is fetched, for this reason; what is there is served on.
    pub(super) fn fail_as(&mut self, failure: Failure) {
        self.engine.set_downloading(false);
        self.failure = Some(failure.clone());
        self.context.shared.tell(Event::Failed { id: self.context.id, failure });
        self.publisher.at_once();
    }

    /// How much room is missing. Of a quota the disk does not tell.
    fn room_advice(&self) -> String {
        let left = human(self.engine.left());
        match self.disk.storage.free_space() {
            Ok(free) => format!(
                "; {left} are still to come and {} are free: free some space and run it again",
                human(free)
            ),
            Err(_) => format!("; {left} are still to come: free some space and run it again"),
        }
    }

    pub(super) fn open(&mut self, handshaken: Handshaken) {
        let now = self.now();
        self.links.open(now, &mut self.engine, self.disk.info().geometry(), handshaken);
        self.publisher.links(self.engine.peer_counts().0);
    }

    pub(super) fn take_dialled(&mut self, dialled: Result<Dialled, JoinError>) {
        match dialled {
            Ok((_, Ok(handshaken))) => self.open(handshaken),
            Ok((address, Err(error))) => {
                tracing::debug!("{address}: {error}");
                self.engine.handle_dial_failed(self.now(), address);
            }
            Err(error) => tracing::error!("a dial ended unexpectedly: {error}"),
        }
    }

    pub(super) fn take_answer(&mut self, answer: Answer) {
        let now = self.now();
        let (peers, news) = self.announces.finish(now, answer);
        if let Some(ip) = self.announces.seen_as.take() {
            let ours = std::net::SocketAddr::new(ip, self.context.shared.port);
            self.engine.handle_seen_as(ours, Witness::Tracker);
        }
        self.engine.handle_candidates(now, &peers, Source::Tracker);
        if let Some(news) = news {
            self.context.warn(news);
        }
        self.publisher.changed();
    }

    /// The files are as they should be, or cannot be made so.
    pub(super) fn take_finished(&mut self, finished: Result<Finished, JoinError>) {
        let now = self.now();
        match finished {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(error))) => self.context.warn(error.to_string()),
            // It is hashed again, what is wrong is fetched, and then the files are completed.
            Ok(Err(error)) if error.kind == StorageErrorKind::NotWhatItWas => return,
            Ok(Err(error)) => return self.fail(&error),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
        if !self.engine.is_finished() {
            // A piece could not be read meanwhile: when it has come again, the files are completed again. Until then it
            // needs a marker, and this one is gone.
            self.marker = None;
            return;
        }
        self.marker = None;
        if std::mem::replace(&mut self.told, true) {
            self.publisher.at_once();
            return;
        }
        // Whoever lacks a piece has not completed the torrent, and must not be counted so.
        if self.engine.is_complete() {
            self.announces.completed(now);
        }
        // The state first: whoever hears the event looks at it.
        self.publisher.at_once();
        self.publish(now);
        let id = self.context.id;
        self.context.shared.tell(Event::Complete { id });
        self.context.shared.tell(Event::Seeding { id });
    }
}

/// What a download has failed of.
pub(super) fn failure_kind(error: &StorageError) -> FailureKind {
    match error.kind {
        StorageErrorKind::TooLong | StorageErrorKind::NotOurs => FailureKind::DataMismatch,
        _ => FailureKind::Disk,
    }
}

/// That there is no room left, as one who knows no more than what is downloaded understands it: nobody else knows the names
/// of our own files beside it.
fn no_room(info: &Info, error: &StorageError) -> String {
    let file = error.path.file_name().unwrap_or_default().to_string_lossy();
    if !file.starts_with(&storage::name_beside(info, "")) {
        return error.to_string();
    }
    let reason = error.source.to_string();
    format!("{}: {}", display_safe(info.name()), without_os_error(&reason))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn h67_that_there_is_no_room_is_said_of_the_download_and_not_of_our_own_files() {
        let builder =
            metainfo::InfoBuilder { name: b"a".into(), piece_length: 16_384, private: false, source: None };
        let info = builder.single_file(1, &[0; 20]).unwrap();
        let said = |file: &str| {
            let (path, source) = (PathBuf::from("/disk").join(file), std::io::ErrorKind::StorageFull.into());
            let (kind, operation) = (StorageErrorKind::Io, "write");
            no_room(&info, &StorageError { path, operation, kind, source })
        };
        assert_eq!(said(&storage::name_beside(&info, "journal.new")), "a: no storage space");
        assert_eq!(said("a"), "cannot write /disk/a: no storage space");
        assert_eq!(said(".a.other"), "cannot write /disk/.a.other: no storage space");
    }
}
