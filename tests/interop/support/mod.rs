//! What the tests with real clients stand on: hosts, processes, clients, trackers, data and torrents.
//!
//! Nothing here asserts anything about shoal; it only ends a test that cannot go on.

pub(crate) mod asking;
pub(crate) mod clients;
pub(crate) mod data;
pub(crate) mod net;
pub(crate) mod nodes;
pub(crate) mod process;
pub(crate) mod programs;
pub(crate) mod readers;
pub(crate) mod redis;
pub(crate) mod trackers;

/// The shoal that is tested.
pub(crate) const SHOAL: &str = env!("CARGO_BIN_EXE_shoal");

/// Where this module's scripts are.
pub(crate) const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop");
