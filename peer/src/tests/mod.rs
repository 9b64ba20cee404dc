//! Whole sessions against each other over real sockets on this machine.

mod hostile;
mod support;
mod transfer;
mod trouble;
