//! Messages to bytes and back, as the bytes come.
//!
//! Purpose: [`Decoder`] turns a connection's bytes, cut anywhere, into [`Item`]s.
//!
//! Invariant: it holds 17 bytes and at most one partial bitfield, whatever a peer sends. The payload of a block is
//! passed through in slices of the caller's buffer, neither kept nor copied; that of an unknown message is skipped.
//! How the stream is cut changes nothing but how a block's payload is sliced.
//!
//! Asking for the next item costs no allocation, a bitfield excepted.

use super::WireError;
use super::message::{
    BITFIELD, CANCEL, CHOKE, HAVE, INTERESTED, MAX_FRAME, Message, NOT_INTERESTED, PIECE, PORT, REQUEST,
    UNCHOKE,
};
use crate::{BLOCK_LENGTH, Bitfield, Block, Geometry};

/// Bytes of the length prefix.
const PREFIX: usize = 4;
/// The longest message that is gathered whole before it is read: a request or a cancel.
const LONGEST_HEAD: usize = 17;
/// Bytes of a piece message before its payload.
const PIECE_HEAD: usize = 13;
/// The id, the piece and the offset: what a piece message's length counts besides the payload.
const PIECE_OVERHEAD: u32 = 9;

/// Appends a message to `out`. An unknown one is sent without payload.
pub fn encode(message: &Message, out: &mut Vec<u8>) {
    match message {
        Message::KeepAlive => out.extend_from_slice(&[0; PREFIX]),
        Message::Choke => frame(out, CHOKE, &[]),
        Message::Unchoke => frame(out, UNCHOKE, &[]),
        Message::Interested => frame(out, INTERESTED, &[]),
        Message::NotInterested => frame(out, NOT_INTERESTED, &[]),
        Message::Have(piece) => frame(out, HAVE, &piece.to_be_bytes()),
        Message::Bitfield(bytes) => frame(out, BITFIELD, bytes),
        Message::Request(block) => frame(out, REQUEST, block_fields(*block).as_flattened()),
        Message::Cancel(block) => frame(out, CANCEL, block_fields(*block).as_flattened()),
        Message::Port(port) => frame(out, PORT, &port.to_be_bytes()),
        Message::Unknown(id) => frame(out, *id, &[]),
    }
}

fn block_fields(block: Block) -> [[u8; 4]; 3] {
    [block.piece, block.begin, block.length].map(u32::to_be_bytes)
}

/// Appends one frame. Our own payloads are far below [`MAX_FRAME`]: the longest is a bitfield.
fn frame(out: &mut Vec<u8>, id: u8, payload: &[u8]) {
    let length = u32::try_from(1 + payload.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.push(id);
    out.extend_from_slice(payload);
}

/// What goes before a block's payload: length prefix, id 7, piece, offset.
#[must_use]
pub fn piece_header(block: Block) -> [u8; PIECE_HEAD] {
    let [p0, p1, p2, p3] = block.length.saturating_add(PIECE_OVERHEAD).to_be_bytes();
    let [i0, i1, i2, i3] = block.piece.to_be_bytes();
    let [b0, b1, b2, b3] = block.begin.to_be_bytes();
    [p0, p1, p2, p3, PIECE, i0, i1, i2, i3, b0, b1, b2, b3]
}

/// What [`Decoder::next`] gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A whole message.
    Message(Message),
    /// A piece message begins: 1 to [`BLOCK_LENGTH`] bytes that lie within their piece.
    BlockStart(Block),
    /// The next bytes of that block, never none; together as many as [`Item::BlockStart`] said.
    BlockData(&'a [u8]),
    /// That was all of it.
    BlockEnd,
}

/// Where in the stream the decoder stands.
#[derive(Clone, Debug)]
enum State {
    /// In the fixed-size part of a frame.
    Head,
    /// In the payload of a bitfield.
    Bitfield(Vec<u8>),
    /// In the payload of a block, so many bytes before its end.
    Block(u32),
    /// In the payload of an unknown message, so many bytes before its end.
    Skip(u32),
    /// The peer broke the protocol; where the next message begins is not known.
    Failed(WireError),
}

/// Reads one connection's bytes after the handshake.
#[derive(Clone, Debug)]
pub struct Decoder {
    geometry: Geometry,
    state: State,
    head: [u8; LONGEST_HEAD],
    /// How much of `head` has come.
    held: usize,
}

impl Decoder {
    /// At the first byte after the handshake, for a torrent of this geometry.
    #[must_use]
    pub fn new(geometry: Geometry) -> Self {
        Self { geometry, state: State::Head, head: [0; LONGEST_HEAD], held: 0 }
    }

    /// The next item, taking what it needs off the front of `input`; `None` when all of `input` is taken and more is
    /// needed. Call it until it gives `None` before the buffer is used again.
    ///
    /// # Errors
    /// When the peer broke the protocol: see [`WireError`]. From then on every call gives the same error.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Item<'a>>, WireError> {
        let item = self.advance(input);
        if let Err(error) = item {
            self.state = State::Failed(error);
        }
        item
    }

    fn advance<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Item<'a>>, WireError> {
        loop {
            match &mut self.state {
                State::Failed(error) => return Err(*error),
                State::Block(0) => {
                    self.state = State::Head;
                    return Ok(Some(Item::BlockEnd));
                }
                State::Block(left) => {
                    let data = take(input, left);
                    return Ok((!data.is_empty()).then_some(Item::BlockData(data)));
                }
                State::Skip(left) => {
                    take(input, left);
                    if *left > 0 {
                        return Ok(None);
                    }
                    self.state = State::Head;
                }
                State::Bitfield(bytes) => {
                    let due = Bitfield::byte_len(self.geometry.piece_count());
                    let (now, later) = input.split_at(input.len().min(due - bytes.len()));
                    bytes.extend_from_slice(now);
                    *input = later;
                    if bytes.len() < due {
                        return Ok(None);
                    }
                    let bytes = std::mem::take(bytes);
                    self.state = State::Head;
                    Bitfield::check(self.geometry.piece_count(), &bytes)?;
                    return Ok(Some(Item::Message(Message::Bitfield(bytes))));
                }
                State::Head => match self.head(input)? {
                    Some(item) => return Ok(Some(item)),
                    // A bitfield's head gives no item and changes the state; anything else waits for input.
                    None if matches!(self.state, State::Head) => return Ok(None),
                    None => {}
                },
            }
        }
    }

    /// Gathers the fixed-size part of a frame and reads it. Its size is known first from the length prefix, then
    /// from the id.
    fn head<'a>(&mut self, input: &mut &[u8]) -> Result<Option<Item<'a>>, WireError> {
        if !self.gather(input, PREFIX) {
            return Ok(None);
        }
        let length = self.field(0);
        if length == 0 {
            self.held = 0;
            return Ok(Some(Item::Message(Message::KeepAlive)));
        }
        if length > MAX_FRAME {
            return Err(WireError::FrameTooLong(length));
        }
        if !self.gather(input, PREFIX + 1) {
            return Ok(None);
        }
        let id = self.head[PREFIX];
        let size = self.check_length(id, length)?;
        if !self.gather(input, size) {
            return Ok(None);
        }
        self.held = 0;
        self.read(id, length)
    }

    /// Checks a message's length as soon as its id is known; the size of the head it has.
    fn check_length(&self, id: u8, length: u32) -> Result<usize, WireError> {
        let wrong = WireError::MessageLength { id, length };
        let (due, size) = match id {
            CHOKE | UNCHOKE | INTERESTED | NOT_INTERESTED => (1, 5),
            HAVE => (5, 9),
            REQUEST | CANCEL => (13, 17),
            PORT => (3, 7),
            PIECE if length < PIECE_OVERHEAD => return Err(wrong),
            PIECE => match length - PIECE_OVERHEAD {
                1..=BLOCK_LENGTH => return Ok(PIECE_HEAD),
                payload => return Err(WireError::BlockLength(payload)),
            },
            BITFIELD => {
                let got = usize::try_from(length - 1).unwrap_or(usize::MAX);
                return match Bitfield::byte_len(self.geometry.piece_count()) {
                    expected if expected == got => Ok(PREFIX + 1),
                    expected => Err(crate::bitfield::BitfieldError::Size { expected, got }.into()),
                };
            }
            _ => return Ok(PREFIX + 1),
        };
        if length == due { Ok(size) } else { Err(wrong) }
    }

    /// Reads a whole head, and enters the state in which its payload is taken.
    fn read<'a>(&mut self, id: u8, length: u32) -> Result<Option<Item<'a>>, WireError> {
        let message = match id {
            CHOKE => Message::Choke,
            UNCHOKE => Message::Unchoke,
            INTERESTED => Message::Interested,
            NOT_INTERESTED => Message::NotInterested,
            HAVE => {
                let piece = self.field(1);
                if piece >= self.geometry.piece_count() {
                    return Err(WireError::PastEnd { id, piece, begin: 0, length: 0 });
                }
                Message::Have(piece)
            }
            BITFIELD => {
                self.state = State::Bitfield(Vec::new());
                return Ok(None);
            }
            REQUEST => Message::Request(self.block(id, self.field(3))?),
            CANCEL => Message::Cancel(self.block(id, self.field(3))?),
            PIECE => {
                let block = self.block(id, length - PIECE_OVERHEAD)?;
                self.state = State::Block(block.length);
                return Ok(Some(Item::BlockStart(block)));
            }
            PORT => Message::Port(u16::from_be_bytes([self.head[5], self.head[6]])),
            unknown => {
                self.state = State::Skip(length - 1);
                Message::Unknown(unknown)
            }
        };
        Ok(Some(Item::Message(message)))
    }

    /// The block that a request, cancel or piece names, if it lies within its piece. No bytes at all lie within it
    /// too: whether that may be asked for is not the codec's to say.
    fn block(&self, id: u8, length: u32) -> Result<Block, WireError> {
        let (piece, begin) = (self.field(1), self.field(2));
        let inside = piece < self.geometry.piece_count()
            && begin.checked_add(length).is_some_and(|end| end <= self.geometry.piece_size(piece));
        match inside {
            true => Ok(Block { piece, begin, length }),
            false => Err(WireError::PastEnd { id, piece, begin, length }),
        }
    }

    /// Fills the head up to `size` bytes; whether they are all there.
    fn gather(&mut self, input: &mut &[u8], size: usize) -> bool {
        let missing = size.saturating_sub(self.held);
        let (now, later) = input.split_at(missing.min(input.len()));
        if let Some(place) = self.head.get_mut(self.held..self.held + now.len()) {
            place.copy_from_slice(now);
        }
        self.held += now.len();
        *input = later;
        now.len() == missing
    }

    /// A four-byte number of the head: 0 is the length prefix, from 1 on those after the id.
    fn field(&self, number: usize) -> u32 {
        let at = number * 4 + usize::from(number > 0);
        self.head.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_be_bytes(*bytes))
    }
}

/// Splits off the front of `input` what there is of `left` bytes, and counts it.
fn take<'a>(input: &mut &'a [u8], left: &mut u32) -> &'a [u8] {
    let here = u32::try_from(input.len()).unwrap_or(u32::MAX).min(*left);
    let (now, later) = input.split_at(usize::try_from(here).unwrap_or(input.len()).min(input.len()));
    *left -= here;
    *input = later;
    now
}

#[cfg(test)]
mod tests;
