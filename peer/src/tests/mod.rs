//! Whole sessions against each other over real sockets on this machine.

mod announcing;
mod changes;
mod edits;
mod hostile;
mod limits;
mod magnets;
mod pex;
mod slow_disk;
mod strange;
pub(crate) mod support;
mod transfer;
mod trouble;
