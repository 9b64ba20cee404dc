//! Whether an answer is right.
//!
//! Everything that can be known about an answer is checked, for each of them: a tracker that is fast because it answers
//! wrong is not fast.

use std::net::IpAddr;

use crate::population::{Peer, Population};
use crate::script::Question;

/// Bytes of a compact peer, IPv4 and IPv6 (BEP 23, BEP 7).
const V4: usize = 6;
const V6: usize = 18;

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wrong {
    #[error("it is no answer of HTTP: {0}")]
    Http(&'static str),
    #[error("its status is {0}")]
    Status(u16),
    #[error("its body is wrong: {0}")]
    Body(&'static str),
    #[error("a packet of {0} bytes, which is no answer to that")]
    Packet(usize),
    #[error("it is a failure: {0}")]
    Failure(String),
    #[error("it answers what nobody asked (transaction {0:#010x})")]
    Transaction(u32),
    #[error("interval {0}")]
    Interval(i64),
    #[error("{given} peers where {wanted} were asked for")]
    TooManyPeers { given: usize, wanted: u32 },
    #[error("{ip} port {port} was not announced to this swarm")]
    Stranger { ip: IpAddr, port: u16 },
    #[error("a peer is there twice")]
    Twice,
    #[error("the asker itself is among the peers")]
    Oneself,
    #[error("a seed is given a seed")]
    SeedToSeed,
    #[error("{told} {what} where {announced} were announced")]
    Count { what: &'static str, told: i64, announced: u32 },
    #[error("it tells of another torrent")]
    OtherTorrent,
}

/// The numbers of an answer to an announce.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) interval: i64,
    pub(crate) complete: Option<i64>,
    pub(crate) incomplete: Option<i64>,
}

/// What a right answer gave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) peers: u32,
    /// Of these, such as only a lenient judge accepts.
    pub(crate) useless: u32,
    /// Peers that the tracker says are in the swarm, if it does.
    pub(crate) counted: Option<u32>,
    /// Peers that this run has for the swarm.
    pub(crate) announced: u32,
}

/// Checks answers.
#[derive(Debug)]
pub(crate) struct Judge {
    /// Peers that ordinary announces ask for.
    pub(crate) numwant: u32,
    /// Whether the asker itself and seeds for seeds are counted only.
    pub(crate) lenient: bool,
    /// Memory for the peers of an answer.
    seen: Vec<u32>,
}

impl Judge {
    pub(crate) fn new(numwant: u32, lenient: bool) -> Self {
        Self { numwant, lenient, seen: Vec::new() }
    }

    /// An answer to an announce with compact peers of both families.
    pub(crate) fn announce(
        &mut self,
        population: &Population,
        question: &Question,
        numbers: Numbers,
        (v4, v6): (&[u8], &[u8]),
    ) -> Result<Given, Wrong> {
        if numbers.interval <= 0 {
            return Err(Wrong::Interval(numbers.interval));
        }
        let mut given = counts(population, question.peer.swarm, numbers.complete, numbers.incomplete)?;
        let (peers_v4, rest_v4) = v4.as_chunks::<V4>();
        let (peers_v6, rest_v6) = v6.as_chunks::<V6>();
        if !rest_v4.is_empty() || !rest_v6.is_empty() {
            return Err(Wrong::Body("the peers end in the middle of one"));
        }
        let (count, wanted) = (peers_v4.len() + peers_v6.len(), question.numwant(self.numwant));
        // Some take 0 for no wish at all.
        let unbound = self.lenient && wanted == 0;
        if count > wanted as usize && !unbound {
            return Err(Wrong::TooManyPeers { given: count, wanted });
        }
        self.seen.clear();
        for &[a, b, c, d, high, low] in peers_v4 {
            given.useless += self.peer(population, question.peer, [a, b, c, d].into(), [high, low])?;
        }
        for &[ip @ .., high, low] in peers_v6 {
            given.useless += self.peer(population, question.peer, IpAddr::from(ip), [high, low])?;
        }
        self.seen.sort_unstable();
        if self.seen.array_windows().any(|[one, next]| one == next) {
            return Err(Wrong::Twice);
        }
        given.peers = u32::try_from(count).unwrap_or(u32::MAX);
        Ok(given)
    }

    /// One peer of an answer; 1 if it is of no use to the asker.
    fn peer(
        &mut self,
        population: &Population,
        asker: Peer,
        ip: IpAddr,
        port: [u8; 2],
    ) -> Result<u32, Wrong> {
        let port = u16::from_be_bytes(port);
        let peer = population.find(asker.swarm, ip, port).ok_or(Wrong::Stranger { ip, port })?;
        self.seen.push(peer.index);
        let useless = if peer == asker {
            Wrong::Oneself
        } else if peer.is_seed() && asker.is_seed() {
            Wrong::SeedToSeed
        } else {
            return Ok(0);
        };
        if self.lenient { Ok(1) } else { Err(useless) }
    }
}

/// An answer to a scrape, or the numbers of one to an announce.
pub(crate) fn counts(
    population: &Population,
    swarm: u32,
    complete: Option<i64>,
    incomplete: Option<i64>,
) -> Result<Given, Wrong> {
    let announced = population.size(swarm);
    let seeds = population.seeds(swarm);
    let plausible = |what, told: Option<i64>, announced: u32| match told {
        None => Ok(None),
        Some(told) => match u32::try_from(told) {
            Ok(number) if number <= announced => Ok(Some(number)),
            _ => Err(Wrong::Count { what, told, announced }),
        },
    };
    let complete = plausible("seeders", complete, seeds)?;
    let incomplete = plausible("leechers", incomplete, announced - seeds)?;
    let counted = complete.zip(incomplete).map(|(complete, incomplete)| complete + incomplete);
    Ok(Given { counted, announced, ..Given::default() })
}
