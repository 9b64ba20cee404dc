//! One end of a simulated connection: what its driver holds in user space.
//!
//! Invariant, as in the real driver: control messages overtake blocks, and a block that the kernel has not taken can be
//! forgotten.

use std::collections::VecDeque;

use super::network::FlowId;
use crate::wire::Message;
use crate::{Block, LinkId};

/// Bytes of a piece message before its payload.
pub(super) const PIECE_HEAD: u32 = 13;

/// Messages that travel together: most often one, which then needs no memory of its own.
#[derive(Debug, Default)]
pub(super) enum Control {
    #[default]
    Nothing,
    One(Message),
    More(Vec<Message>),
}

impl Control {
    pub(super) fn push(&mut self, message: Message) {
        *self = match std::mem::take(self) {
            Self::Nothing => Self::One(message),
            Self::One(first) => Self::More(vec![first, message]),
            Self::More(mut messages) => {
                messages.push(message);
                Self::More(messages)
            }
        };
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

/// What travels at once.
#[derive(Debug)]
pub(super) enum Chunk {
    /// What one turn of a driver had to say.
    Control(Control),
    /// A block, and what stands for its bytes.
    Block(Block, u64),
    /// Nothing more comes.
    End,
}

/// See the module.
#[derive(Debug)]
pub(super) struct End {
    pub(super) node: u32,
    pub(super) link: LinkId,
    /// The flow that this end sends on.
    pub(super) out: FlowId,
    /// The flow that the other end sends on.
    pub(super) back: FlowId,
    /// Where what this end sends is read: the other end's node and its link, while that is open.
    pub(super) to: Option<(u32, LinkId)>,
    /// Closed ends send no more, and what reaches them is thrown away.
    pub(super) is_open: bool,
    pub(super) is_dirty: bool,
    pub(super) control: Control,
    pub(super) control_bytes: u32,
    blocks: VecDeque<Block>,
}

impl End {
    pub(super) fn new(node: u32, link: LinkId, out: FlowId, back: FlowId) -> Self {
        Self {
            node,
            link,
            out,
            back,
            to: None,
            is_open: true,
            is_dirty: false,
            control: Control::Nothing,
            control_bytes: 0,
            blocks: VecDeque::new(),
        }
    }

    pub(super) fn push_block(&mut self, block: Block) {
        self.blocks.push_back(block);
    }

    pub(super) fn pop_block(&mut self) -> Option<Block> {
        self.blocks.pop_front()
    }

    /// Drops all blocks; answers how many bytes they had.
    pub(super) fn forget(&mut self) -> u32 {
        self.blocks.drain(..).map(|block| block.length).sum()
    }
}
