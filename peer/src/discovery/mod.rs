//! Where peers are found: trackers over HTTP and UDP for now.
//!
//! When to ask whom is [`peer_proto::announce`]'s to say. A host that has both an IPv4 and an IPv6 address is asked
//! over one of them by HTTP (BEP 7 would ask over both), and over both by UDP.

mod http;
mod tracker;
mod udp;

pub use http::FetchError;
pub use tracker::{TrackerClient, fetch_torrent, scrape};

pub(crate) use tracker::Announced;
pub(crate) use udp::is_udp;

#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod tls_tests;
#[cfg(test)]
mod udp_tests;
