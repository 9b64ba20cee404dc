//! How the memory that a tracker may take is shared out.
//!
//! What the operator allows is for the whole process, as the system counts it. Swarms and peers get what the rest does not
//! need at its worst; they are what a stranger can make as many of as he likes.
//!
//! Invariant: the shares add up to what is allowed, unless that is less than [`LEAST`] would leave for swarms.

use crate::TrackerConfig;

/// The program, its threads' stacks, the tables of the limits and what it reads packets into.
const PROGRAM: usize = 24 << 20;
/// What is on its way to a fleet's store and from it.
const FLEET: usize = 12 << 20;
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
    let left = [PROGRAM, connections, fleet].into_iter().fold(config.max_memory, usize::saturating_sub);
    (left - left / HELD_PART).max(config.max_memory / LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swarms(max_memory: usize, max_connections: usize) -> usize {
        for_swarms(&TrackerConfig { max_memory, max_connections, ..TrackerConfig::open() })
    }

    #[test]
    fn swarms_get_what_connections_and_the_program_leave() {
        let all = 1 << 30;
        assert_eq!(swarms(all, 0), (all - PROGRAM) / 8 * 7);
        let more = swarms(all, 0) - swarms(all, 10_000);
        assert!(more.abs_diff(10_000 * CONNECTION / 8 * 7) < 10, "{more}");
    }

    #[test]
    fn however_little_there_is_swarms_get_a_quarter() {
        assert_eq!(swarms(64 << 20, 2048), 16 << 20);
        assert_eq!(swarms(64 << 20, usize::MAX), 16 << 20);
        assert_eq!(swarms(0, 1), 0);
    }
}
