//! shoal among the clients and trackers of others: the real programs, each on a host of its own.
//!
//! They are ignored by default, since they need root and Debian packages; `.ci/run` installs those and runs
//! `cargo test --workspace --test integration -- --ignored interop`.

mod descriptors;
mod disks;
mod exchange;
mod faults;
mod fleet;
mod hostile;
mod magnets;
mod status_page;
mod support;
mod swarm;
mod syncs;
mod torrents;
mod tracking;
mod transfer;
