//! Bytes to messages, as the bytes come.
//!
//! Purpose: [`Decoder`] turns a connection's bytes, cut anywhere, into [`Item`]s.
//!
//! Invariant: it holds 17 bytes and at most one partial bitfield or extended message, whatever a peer sends, and
//! never memory for bytes that have not come. The payload of a block is passed through in slices of the caller's
//! buffer, neither kept nor copied; that of an unknown message is skipped. How the stream is cut changes nothing but
//! how a block's payload is sliced.
//!
//! Asking for the next item costs no allocation, bitfields and extended messages excepted.

mod head;

use bytes::Bytes;

use self::head::{Head, PREFIX, PREFIX_AND_ID};
use super::WireError;
use super::message::{
    ALLOWED_FAST, BITFIELD, CANCEL, CHOKE, EXTENDED, HAVE, HAVE_ALL, HAVE_NONE, INTERESTED, MAX_EXTENDED,
    MAX_FRAME, Message, NOT_INTERESTED, PIECE, PIECE_OVERHEAD, PORT, REJECT, REQUEST, SUGGEST, UNCHOKE,
};
use crate::{BLOCK_LENGTH, Bitfield, Block, Geometry};

/// What an extended message's length counts besides the payload: the id and the extended id.
const EXTENDED_OVERHEAD: u32 = 2;

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
    /// In a payload that is gathered whole: what has come of it, and how many bytes are still to come.
    Gather(Gathered, Vec<u8>, u32),
    /// In the payload of a block, so many bytes before its end.
    Block(u32),
    /// In the payload of an unknown message, so many bytes before its end.
    Skip(u32),
    /// The peer broke the protocol; where the next message begins is not known.
    Failed(WireError),
}

/// Whose payload is gathered.
#[derive(Clone, Copy, Debug)]
enum Gathered {
    Bitfield,
    /// With its extended id.
    Extended(u8),
}

/// Reads one connection's bytes after the handshake.
#[derive(Clone, Debug)]
pub struct Decoder {
    /// What the messages are held against; `None` while it is not known.
    geometry: Option<Geometry>,
    state: State,
    head: Head,
}

impl Decoder {
    /// At the first byte after the handshake, for a torrent of this geometry.
    #[must_use]
    pub fn new(geometry: Geometry) -> Self {
        Self { geometry: Some(geometry), state: State::Head, head: Head::default() }
    }

    /// For a torrent that is only known by its hash yet (BEP 9): what can only be understood with the geometry
    /// (bitfields, blocks, piece numbers) is skipped and given as [`Message::Unknown`].
    #[must_use]
    pub fn without_geometry() -> Self {
        Self { geometry: None, state: State::Head, head: Head::default() }
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
                State::Gather(whose, bytes, left) => {
                    bytes.extend_from_slice(take(input, left));
                    if *left > 0 {
                        return Ok(None);
                    }
                    let (whose, bytes) = (*whose, std::mem::take(bytes));
                    self.state = State::Head;
                    return self.gathered(whose, bytes).map(|message| Some(Item::Message(message)));
                }
                State::Head => match self.head(input)? {
                    Some(item) => return Ok(Some(item)),
                    // The head of a message that is gathered gives no item and changes the state; anything else
                    // waits for input.
                    None if matches!(self.state, State::Head) => return Ok(None),
                    None => {}
                },
            }
        }
    }

    /// Gathers the fixed-size part of a frame and reads it. Its size is known first from the length prefix, then
    /// from the id.
    fn head<'a>(&mut self, input: &mut &[u8]) -> Result<Option<Item<'a>>, WireError> {
        if !self.head.gather(input, PREFIX) {
            return Ok(None);
        }
        let length = self.head.field(0);
        if length == 0 {
            self.head.clear();
            return Ok(Some(Item::Message(Message::KeepAlive)));
        }
        if length > MAX_FRAME {
            return Err(WireError::FrameTooLong(length));
        }
        if !self.head.gather(input, PREFIX_AND_ID) {
            return Ok(None);
        }
        let id = self.head.id();
        if self.geometry.is_none() && needs_geometry(id) {
            self.head.clear();
            self.state = State::Skip(length - 1);
            return Ok(Some(Item::Message(Message::Unknown(id))));
        }
        let size = self.check_length(id, length)?;
        if !self.head.gather(input, size) {
            return Ok(None);
        }
        self.head.clear();
        self.read(id, length)
    }

    /// Checks a message's length as soon as its id is known; the size of the head it has.
    fn check_length(&self, id: u8, length: u32) -> Result<usize, WireError> {
        let wrong = WireError::MessageLength { id, length };
        let (due, size) = match id {
            CHOKE | UNCHOKE | INTERESTED | NOT_INTERESTED | HAVE_ALL | HAVE_NONE => (1, PREFIX_AND_ID),
            HAVE | SUGGEST | ALLOWED_FAST => (5, 9),
            REQUEST | CANCEL | REJECT => (13, 17),
            PORT => (3, 7),
            PIECE if length < PIECE_OVERHEAD => return Err(wrong),
            PIECE => match length - PIECE_OVERHEAD {
                1..=BLOCK_LENGTH => return Ok(13),
                payload => return Err(WireError::BlockLength(payload)),
            },
            BITFIELD => {
                let got = usize::try_from(length - 1).unwrap_or(usize::MAX);
                return match Bitfield::byte_len(self.piece_count()) {
                    expected if expected == got => Ok(PREFIX_AND_ID),
                    expected => Err(crate::bitfield::BitfieldError::Size { expected, got }.into()),
                };
            }
            EXTENDED if length < EXTENDED_OVERHEAD => return Err(wrong),
            EXTENDED => match length - EXTENDED_OVERHEAD {
                0..=MAX_EXTENDED => return Ok(6),
                payload => return Err(WireError::ExtendedTooLong(payload)),
            },
            _ => return Ok(PREFIX_AND_ID),
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
            HAVE => Message::Have(self.piece(id)?),
            BITFIELD => {
                self.state = State::Gather(Gathered::Bitfield, Vec::new(), length - 1);
                return Ok(None);
            }
            REQUEST => Message::Request(self.block(id, self.head.field(3))?),
            CANCEL => Message::Cancel(self.block(id, self.head.field(3))?),
            PIECE => {
                let block = self.block(id, length - PIECE_OVERHEAD)?;
                self.state = State::Block(block.length);
                return Ok(Some(Item::BlockStart(block)));
            }
            PORT => Message::Port(u16::from_be_bytes([self.head.byte(5), self.head.byte(6)])),
            SUGGEST => Message::Suggest(self.piece(id)?),
            HAVE_ALL => Message::HaveAll,
            HAVE_NONE => Message::HaveNone,
            REJECT => Message::Reject(self.block(id, self.head.field(3))?),
            ALLOWED_FAST => Message::AllowedFast(self.piece(id)?),
            EXTENDED => {
                let whose = Gathered::Extended(self.head.byte(5));
                self.state = State::Gather(whose, Vec::new(), length - EXTENDED_OVERHEAD);
                return Ok(None);
            }
            unknown => {
                self.state = State::Skip(length - 1);
                Message::Unknown(unknown)
            }
        };
        Ok(Some(Item::Message(message)))
    }

    /// Reads a payload that was gathered whole.
    fn gathered(&self, whose: Gathered, bytes: Vec<u8>) -> Result<Message, WireError> {
        match whose {
            Gathered::Bitfield => {
                Bitfield::check(self.piece_count(), &bytes)?;
                Ok(Message::Bitfield(bytes))
            }
            Gathered::Extended(id) => Ok(Message::Extended(id, Bytes::from(bytes))),
        }
    }

    /// Without geometry nothing that counts pieces is read.
    fn piece_count(&self) -> u32 {
        self.geometry.map_or(0, |geometry| geometry.piece_count())
    }

    /// The piece that a have, suggest or allowed-fast message names, if the torrent has it.
    fn piece(&self, id: u8) -> Result<u32, WireError> {
        match self.head.field(1) {
            piece if piece < self.piece_count() => Ok(piece),
            piece => Err(WireError::PastEnd { id, piece, begin: 0, length: 0 }),
        }
    }

    /// The block that a request, cancel, reject or piece names, if it lies within its piece. No bytes at all lie
    /// within it too: whether that may be asked for is not the codec's to say.
    fn block(&self, id: u8, length: u32) -> Result<Block, WireError> {
        let (piece, begin) = (self.head.field(1), self.head.field(2));
        let inside = self.geometry.is_some_and(|geometry| {
            piece < geometry.piece_count()
                && begin.checked_add(length).is_some_and(|end| end <= geometry.piece_size(piece))
        });
        match inside {
            true => Ok(Block { piece, begin, length }),
            false => Err(WireError::PastEnd { id, piece, begin, length }),
        }
    }
}

/// Whether a message speaks of the torrent's pieces.
const fn needs_geometry(id: u8) -> bool {
    matches!(id, HAVE | BITFIELD | REQUEST | PIECE | CANCEL | SUGGEST | REJECT | ALLOWED_FAST)
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
