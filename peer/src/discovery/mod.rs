//! Where peers are found: trackers over HTTP for now.
//!
//! When to ask whom is [`peer_proto::announce`]'s to say. A host that has both an IPv4 and an IPv6 address is asked
//! over one of them (BEP 7 would ask over both).

mod http;
mod tracker;

pub use http::FetchError;
pub use tracker::{TrackerClient, fetch_torrent, scrape};

pub(crate) use tracker::Announced;

#[cfg(test)]
pub(crate) mod tests;
