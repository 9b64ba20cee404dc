//! A hostile peer: what no honest peer does, done to the real program over real sockets.
//!
//! Purpose: [`ROWS`] are the rows 23 to 41 of the list of hostile inputs. [`Row::play`] starts the program, has it
//! transfer a torrent with an honest neighbour, does what the row says to it meanwhile, and says what it answered. An
//! answer that is not as it must be is an error, and so is a transfer beside it that does not come right. [`poison`]
//! is the peer that sends wrong blocks.
//!
//! Invariant: the transfer cannot end before the attack has been played once from beginning to end, and the attack
//! goes on until the transfer has ended.
//!
//! It imports none of the project's packages, so that it does not share the mistakes of what it attacks, and connects
//! to nothing but what it has started.

mod gate;
pub mod guest;
mod memory;
pub mod poison;
mod program;
mod row;
mod rows;
mod sample;

pub use program::Shoal;
pub use row::{Report, Row};
pub use rows::ROWS;
pub use sample::Sample;

use std::time::Duration;

/// How long something that must come may take on a busy machine. It is no measurement: nothing waits for it to pass.
pub const PATIENCE: Duration = Duration::from_secs(60);
