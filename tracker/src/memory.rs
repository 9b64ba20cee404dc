//! How the memory that a tracker may take is shared out.
//!
//! What the operator allows is for the whole process, as the system counts it. Swarms and peers get what the rest does not
//! need at its worst; they are what a stranger can make as many of as he likes.
//!
//! Invariant: the shares add up to what is allowed, unless that is less than [`LEAST`] would leave for swarms.

use crate::TrackerConfig;

/// The program and the tables of the limits.
const PROGRAM: usize = 19 << 20;
/// A thread that answers: its stack, and what the allocator keeps for it.
const THREAD: usize = 1 << 20;
/// What a thread that answers UDP reads packets into: 32 times 64 KiB.
const PACKETS: usize = 2 << 20;
/// What is on its way to a fleet's store and from it.
const FLEET: usize = 16 << 20;
/// A connection in the middle of its request: hyper's buffers, its task and its timers.
const CONNECTION: usize = 26 << 10;
/// What the allocator holds and cannot give back, as a part of what swarms take: they grow and go in no order.
const HELD_PART: usize = 8;
/// Swarms get at least this part of what is allowed, however little that is.
const LEAST: usize = 4;

/// The bytes that swarms and peers may take.
pub(crate) fn for_swarms(config: &TrackerConfig) -> usize {
    let connections = config.max_connections.saturating_mul(CONNECTION);
    let fleet = if config.store.is_some() { FLEET } else { 0 };
    let for_udp = if config.udp.is_empty() { 0 } else { config.udp_workers };
    let threads = config.http_workers.saturating_add(for_udp).saturating_mul(THREAD);
    let packets = for_udp.saturating_mul(PACKETS);
    let left = [PROGRAM, threads, packets, connections, fleet]
        .into_iter()
        .fold(config.max_memory, usize::saturating_sub);
    (left - left / HELD_PART).max(config.max_memory / LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swarms(max_memory: usize, max_connections: usize) -> usize {
        for_swarms(&TrackerConfig { max_memory, max_connections, ..with_workers(2, 1) })
    }

    fn with_workers(http_workers: usize, udp_workers: usize) -> TrackerConfig {
        TrackerConfig { http_workers, udp_workers, ..TrackerConfig::open() }
    }

    #[test]
    fn swarms_get_what_connections_and_the_program_leave() {
        let all = 1 << 30;
        assert_eq!(swarms(all, 0), (all - PROGRAM - 3 * THREAD - PACKETS) / 8 * 7);
        let more = swarms(all, 0) - swarms(all, 10_000);
        assert!(more.abs_diff(10_000 * CONNECTION / 8 * 7) < 10, "{more}");
    }

    #[test]
    fn every_thread_takes_of_what_swarms_get_and_one_for_udp_takes_more() {
        let [two, more_http, more_udp] =
            [(2, 1), (10, 1), (2, 9)].map(|(http, udp)| for_swarms(&with_workers(http, udp)));
        assert_eq!(two >> 20, 157);
        assert_eq!([two - more_http, two - more_udp], [8 * THREAD / 8 * 7, 8 * (THREAD + PACKETS) / 8 * 7]);
        let without_udp = TrackerConfig { udp: Vec::new(), ..with_workers(2, 9) };
        assert_eq!(for_swarms(&without_udp) - two, (THREAD + PACKETS) / 8 * 7);
        assert_eq!(for_swarms(&with_workers(usize::MAX, usize::MAX)), 64 << 20);
    }

    #[test]
    fn however_little_there_is_swarms_get_a_quarter() {
        assert_eq!(swarms(64 << 20, 2048), 16 << 20);
        assert_eq!(swarms(64 << 20, usize::MAX), 16 << 20);
        assert_eq!(swarms(0, 1), 0);
    }
}
