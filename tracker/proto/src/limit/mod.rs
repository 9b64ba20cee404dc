//! What one address or network may take of a tracker, so that nobody crowds out the others.
//!
//! Purpose: [`AnnounceLimit`] says who announces too often; [`Exempt`] says for whom no limit holds. How many peers of
//! one swarm may be in one network is the store's: [`Crowding`](crate::swarm::Crowding).
//!
//! Invariant: an asker is held by two prefixes of its address, a narrow one that is about one line (an IPv4 address, an
//! IPv6 /64) and a wide one that is about one customer who bought many (a /24, a /48). The wide one has a multiple of
//! what the narrow one has, because lines are shared and neighbours are not one person. Memory is fixed, whoever asks.
//!
//! Knows no clock: the caller says what time it is.

mod announces;
mod exempt;

pub use self::announces::{
    AnnounceLimit, AnnounceRate, BURST, DEFAULT_RATE, LIMIT_BYTES, NETWORK_RATE_FACTOR, RateError,
};
pub use self::exempt::Exempt;

#[cfg(test)]
mod tests;
