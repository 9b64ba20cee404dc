//! What waits to go out on one connection.
//!
//! Invariant: control messages overtake blocks, but only between two messages. Blocks are bounded by the engine's
//! upload budget, control bytes by [`CONTROL_BYTES`].

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

use peer_proto::Block;
use peer_proto::wire;

use crate::disk::Run;
use crate::limits::CONTROL_BYTES;

/// Pieces of memory given to the kernel at once: 31 blocks and their headers, half a megabyte.
const SLICES: usize = 64;

/// One block as a piece message.
#[derive(Debug)]
pub(crate) struct Frame {
    header: [u8; 13],
    run: Arc<Run>,
    /// Where in the run the block begins.
    start: usize,
    length: usize,
    /// Bytes that are gone already, header included.
    sent: usize,
}

impl Frame {
    /// The message for `block`, whose bytes are in `run` from `start`.
    pub(crate) fn new(block: Block, run: Arc<Run>, start: usize) -> Self {
        let length = usize::try_from(block.length).unwrap_or(0);
        Self { header: wire::piece_header(block), run, start, length, sent: 0 }
    }

    fn left(&self) -> usize {
        self.header.len() + self.length - self.sent
    }

    fn slices(&self) -> [&[u8]; 2] {
        let header = self.header.get(self.sent..).unwrap_or_default();
        let from = self.start + self.sent.saturating_sub(self.header.len());
        [header, self.run.as_slice().get(from..self.start + self.length).unwrap_or_default()]
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    control: Vec<u8>,
    control_sent: usize,
    frames: VecDeque<Frame>,
    /// See [`Outbox::take_gone`].
    gone: u32,
    /// The socket took no more; its writer waits until it does.
    pub(crate) blocked: bool,
}

impl Outbox {
    /// Queues control messages, and leaves `bytes` empty. `false` if the peer has left too many unread.
    pub(crate) fn push_control(&mut self, bytes: &mut Vec<u8>) -> bool {
        // What has gone must not pile up while a peer reads just enough for something to be always left.
        if self.control_sent > self.control.len() / 2 {
            self.control.drain(..self.control_sent);
            self.control_sent = 0;
        }
        if self.control.is_empty() {
            std::mem::swap(&mut self.control, bytes);
        } else {
            self.control.append(bytes);
        }
        self.control.len() - self.control_sent <= CONTROL_BYTES
    }

    /// Queues a block.
    pub(crate) fn push_frame(&mut self, frame: Frame) {
        self.frames.push_back(frame);
    }

    /// Drops the blocks of which nothing has been sent. Answers how many bytes of payload they had.
    pub(crate) fn forget(&mut self) -> u32 {
        let mut dropped = 0;
        self.frames.retain(|frame| {
            let begun = frame.sent > 0;
            dropped += if begun { 0 } else { frame.length };
            begun
        });
        u32::try_from(dropped).unwrap_or(u32::MAX)
    }

    /// Bytes of blocks whose messages are gone altogether, since this was asked last.
    ///
    /// They are counted here, where a connection that breaks or is closed cannot lose them.
    pub(crate) fn take_gone(&mut self) -> u32 {
        std::mem::take(&mut self.gone)
    }

    /// Whether [`Outbox::take_gone`] has something.
    pub(crate) fn has_gone(&self) -> bool {
        self.gone > 0
    }

    /// Writes until the socket takes no more. Whether nothing is left.
    ///
    /// # Errors
    /// If the connection is broken.
    pub(crate) fn flush(
        &mut self,
        mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<bool> {
        loop {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut wanted = 0;
            let mut places = slices.iter_mut();
            for part in self.parts().filter(|part| !part.is_empty()) {
                let Some(place) = places.next() else { break };
                wanted += part.len();
                *place = IoSlice::new(part);
            }
            let unused = places.len();
            if wanted == 0 {
                return Ok(true);
            }
            match write(slices.get(..SLICES - unused).unwrap_or_default()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.gone = self.gone.saturating_add(self.advance(count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// All that waits, in the order in which it goes: the rest of a block that has begun, control, blocks.
    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let begun = self.frames.front().filter(|frame| frame.sent > 0);
        let control = self.control.get(self.control_sent..).unwrap_or_default();
        let others = self.frames.iter().skip(usize::from(begun.is_some()));
        let begun = begun.into_iter().flat_map(Frame::slices);
        begun.chain([control]).chain(others.flat_map(Frame::slices))
    }

    /// So many bytes of [`Outbox::parts`] are gone. Answers the payload of the blocks that ended in them.
    fn advance(&mut self, mut count: usize) -> u32 {
        let mut payload = 0;
        if self.frames.front().is_some_and(|frame| frame.sent > 0) {
            payload += self.advance_frame(&mut count);
        }
        let control = count.min(self.control.len() - self.control_sent);
        self.control_sent += control;
        count -= control;
        if self.control_sent == self.control.len() {
            self.control.clear();
            self.control_sent = 0;
        }
        while count > 0 && !self.frames.is_empty() {
            payload += self.advance_frame(&mut count);
        }
        u32::try_from(payload).unwrap_or(u32::MAX)
    }

    fn advance_frame(&mut self, count: &mut usize) -> usize {
        let Some(frame) = self.frames.front_mut() else { return 0 };
        let part = frame.left().min(*count);
        frame.sent += part;
        *count -= part;
        if frame.left() > 0 {
            return 0;
        }
        let length = frame.length;
        self.frames.pop_front();
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RunPool;

    fn frame(piece: u32, fill: u8) -> Frame {
        let mut run = Arc::new(RunPool::default()).take(4);
        run.as_mut_slice().fill(fill);
        Frame::new(Block { piece, begin: 0, length: 4 }, Arc::new(run), 0)
    }

    /// Takes so many bytes in all, then blocks.
    fn socket<'a>(room: usize, to: &'a mut Vec<u8>) -> impl FnMut(&[IoSlice<'_>]) -> io::Result<usize> + 'a {
        let end = to.len() + room;
        move |slices| {
            let before = to.len();
            for slice in slices {
                let part = slice.len().min(end - to.len());
                to.extend_from_slice(&slice[..part]);
            }
            if to.len() == before { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(to.len() - before) }
        }
    }

    #[test]
    fn control_overtakes_blocks_but_never_cuts_one_in_two() {
        let mut outbox = Outbox::default();
        outbox.push_frame(frame(1, b'a'));
        outbox.push_frame(frame(2, b'b'));
        let mut wire = Vec::new();
        assert!(!outbox.flush(socket(14, &mut wire)).unwrap());
        assert_eq!(outbox.take_gone(), 0);
        assert!(outbox.push_control(&mut b"CHOKE".to_vec()));
        assert!(outbox.flush(socket(1000, &mut wire)).unwrap());
        assert_eq!(outbox.take_gone(), 8);
        assert_eq!(&wire[13..22], b"aaaaCHOKE");
        assert_eq!((wire.len(), &wire[35..]), (39, &b"bbbb"[..]));
    }

    #[test]
    fn whatever_the_socket_takes_at_a_time_the_bytes_are_the_same() {
        let fill = |outbox: &mut Outbox| {
            assert!(outbox.push_control(&mut b"control".to_vec()));
            (0..100).for_each(|n| outbox.push_frame(frame(n, b'x')));
        };
        let mut whole = Vec::new();
        let mut outbox = Outbox::default();
        fill(&mut outbox);
        assert!(outbox.flush(socket(10_000, &mut whole)).unwrap());
        assert_eq!(outbox.take_gone(), 400);
        for step in [1, 2, 3, 7, 17, 18, 100] {
            let (mut wire, mut payload) = (Vec::new(), 0);
            fill(&mut outbox);
            while wire.len() < whole.len() {
                outbox.flush(socket(step, &mut wire)).unwrap();
                payload += outbox.take_gone();
            }
            assert_eq!((&wire, payload), (&whole, 400), "{step} bytes at a time");
        }
    }

    #[test]
    fn blocks_not_begun_can_be_forgotten() {
        let mut outbox = Outbox::default();
        (0..3).for_each(|n| outbox.push_frame(frame(n, b'x')));
        let mut wire = Vec::new();
        outbox.flush(socket(1, &mut wire)).unwrap();
        assert_eq!(outbox.forget(), 8);
        assert!(outbox.flush(socket(1000, &mut wire)).unwrap());
        assert_eq!((outbox.take_gone(), wire.len()), (4, 17));
    }

    #[test]
    fn what_went_before_a_connection_broke_is_counted() {
        let mut outbox = Outbox::default();
        (0..3).for_each(|n| outbox.push_frame(frame(n, b'x')));
        let mut room = [Ok(17 + 16), Err(io::ErrorKind::ConnectionReset.into())].into_iter();
        assert!(outbox.flush(|_| room.next().unwrap()).is_err());
        assert_eq!((outbox.take_gone(), outbox.take_gone()), (4, 0));
    }

    #[test]
    fn control_that_has_gone_does_not_pile_up_while_some_is_always_left() {
        let mut outbox = Outbox::default();
        let mut wire = Vec::new();
        assert!(outbox.push_control(&mut vec![0; 100]));
        for _ in 0..1000 {
            assert!(outbox.push_control(&mut vec![0; 100]));
            assert!(!outbox.flush(socket(100, &mut wire)).unwrap(), "some is always left");
        }
        assert!(outbox.control.len() <= 500, "{}", outbox.control.len());
    }

    #[test]
    fn control_that_is_never_read_is_bounded() {
        let mut outbox = Outbox::default();
        assert!(outbox.push_control(&mut vec![0; CONTROL_BYTES]));
        assert!(!outbox.push_control(&mut vec![0; 1]));
    }
}
