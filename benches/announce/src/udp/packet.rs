//! Packets of BEP 15, written and read without the project's own reader: it shall not share the mistakes of what it
//! checks.

use std::net::IpAddr;

use crate::check::{self, Given, Judge, Numbers, Wrong};
use crate::population::Population;
use crate::script::{Kind, Question};

const PROTOCOL: u64 = 0x0417_2710_1980;
const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const SCRAPE: u32 = 2;
const ERROR: u32 = 3;

pub(super) fn write_connect(out: &mut Vec<u8>, transaction: u32) {
    out.clear();
    out.extend_from_slice(&PROTOCOL.to_be_bytes());
    out.extend_from_slice(&CONNECT.to_be_bytes());
    out.extend_from_slice(&transaction.to_be_bytes());
}

pub(super) fn write(
    out: &mut Vec<u8>,
    (connection, transaction): (u64, u32),
    question: &Question,
    (population, numwant): (&Population, u32),
) {
    out.clear();
    let scrape = question.kind == Kind::Scrape;
    out.extend_from_slice(&connection.to_be_bytes());
    out.extend_from_slice(&(if scrape { SCRAPE } else { ANNOUNCE }).to_be_bytes());
    out.extend_from_slice(&transaction.to_be_bytes());
    out.extend_from_slice(&population.info_hash(question.peer.swarm));
    if scrape {
        return;
    }
    let event: u32 = match question.kind {
        Kind::Started => 2,
        Kind::Stopped => 3,
        Kind::Announce | Kind::Scrape => 0,
    };
    let (_, port) = population.address(question.peer);
    out.extend_from_slice(b"-LG0001-");
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&question.peer.index.to_be_bytes());
    out.extend_from_slice(&0u64.to_be_bytes());
    out.extend_from_slice(&question.left().to_be_bytes());
    out.extend_from_slice(&0u64.to_be_bytes());
    out.extend_from_slice(&event.to_be_bytes());
    // The address is that of the packet; the key means nothing.
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&question.numwant(numwant).to_be_bytes());
    out.extend_from_slice(&port.to_be_bytes());
}

/// An answer by its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    action: u32,
    pub(super) transaction: u32,
}

pub(super) fn head(packet: &[u8]) -> Option<(Head, &[u8])> {
    let (action, rest) = packet.split_first_chunk()?;
    let (transaction, rest) = rest.split_first_chunk()?;
    let (action, transaction) = (u32::from_be_bytes(*action), u32::from_be_bytes(*transaction));
    Some((Head { action, transaction }, rest))
}

/// The connection id in the answer to a connect.
pub(super) fn connected(head: Head, body: &[u8]) -> Result<u64, Wrong> {
    refused(head, body)?;
    match <[u8; 8]>::try_from(body) {
        Ok(id) if head.action == CONNECT => Ok(u64::from_be_bytes(id)),
        _ => Err(Wrong::Packet(body.len() + 8)),
    }
}

/// Judges the rest of an answer.
pub(super) fn judged(
    head: Head,
    body: &[u8],
    question: &Question,
    source: Option<IpAddr>,
    (population, judge): (&Population, &mut Judge),
) -> Result<Given, Wrong> {
    refused(head, body)?;
    let wrong = Wrong::Packet(body.len() + 8);
    let expected = if question.kind == Kind::Scrape { SCRAPE } else { ANNOUNCE };
    let Some((numbers, peers)) = body.split_first_chunk::<12>().filter(|_| head.action == expected) else {
        return Err(wrong);
    };
    let (numbers, _) = numbers.as_chunks::<4>();
    let &[first, second, third] = numbers else { return Err(wrong) };
    let [first, second, third] = [first, second, third].map(|bytes| i64::from(u32::from_be_bytes(bytes)));
    if expected == SCRAPE {
        // Seeders, completed, leechers.
        if !peers.is_empty() {
            return Err(wrong);
        }
        return check::counts(population, question.peer.swarm, Some(first), Some(third));
    }
    // Interval, leechers, seeders.
    let numbers = Numbers { interval: first, complete: Some(third), incomplete: Some(second) };
    let both = if source.is_none_or(|ip| ip.is_ipv4()) { (peers, &[][..]) } else { (&[][..], peers) };
    judge.announce(population, question, numbers, both)
}

fn refused(head: Head, body: &[u8]) -> Result<(), Wrong> {
    if head.action != ERROR {
        return Ok(());
    }
    Err(Wrong::Failure(String::from_utf8_lossy(body).into_owned()))
}
