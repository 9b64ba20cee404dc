//! What several tests need: folders with data, commands run in-process or as processes, a relay between peers.

pub(crate) mod data;
pub(crate) mod inside;
pub(crate) mod process;
pub(crate) mod relay;
