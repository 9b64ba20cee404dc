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

/// What travels at once.
#[derive(Debug)]
pub(super) enum Chunk {
    /// What one turn of a driver had to say.
    Control(Vec<Message>),
    /// A block, and whether its bytes are wrong.
    Block(Block, bool),
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
    /// Closed ends send no more, and what reaches them is thrown away.
    pub(super) is_open: bool,
    pub(super) is_dirty: bool,
    pub(super) control: Vec<Message>,
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
            is_open: true,
            is_dirty: false,
            control: Vec::new(),
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
