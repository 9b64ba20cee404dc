//! Going through all that is in memory, to write it to an engine that may have lost it.
//!
//! Invariant: whoever is written was heard by this process itself, and is written with the time of that. Who was known from a
//! snapshot or from the engine is not: they would come back to it after they left.

use metainfo::InfoHash;
use tracker_proto::Time;
use tracker_proto::compact::Compact;
use tracker_proto::fleet::Sighting;
use tracker_proto::swarm::{
    SNAPSHOT_HEADER_BYTES, SnapshotCursor, SnapshotReader, SnapshotWriter, SwarmRecord,
};

use crate::state::State;

/// How far it is; nothing to do at first.
#[derive(Debug, Default)]
pub(super) struct Again {
    place: Option<Place>,
    /// Read and not given yet.
    known: Vec<(InfoHash, Sighting)>,
}

/// Which store, and where in it.
#[derive(Debug, Default)]
struct Place {
    store: usize,
    cursor: Option<SnapshotCursor>,
}

impl Again {
    /// Begins at the beginning.
    pub(super) fn begin(&mut self) {
        *self = Self { place: Some(Place::default()), known: Vec::new() };
    }

    /// Goes on: gives at most `most` peers that are `wanted`. `now` is the moment in both clocks, the tracker's own and seconds
    /// since 1970.
    pub(super) fn step(
        &mut self,
        state: &State,
        now: (Time, u64),
        most: usize,
        wanted: impl Fn(&InfoHash, &Compact) -> bool,
    ) -> Vec<(InfoHash, Sighting)> {
        if self.known.is_empty()
            && let Some(place) = &mut self.place
            && !read(state, place, now, &wanted, &mut self.known)
        {
            self.place = None;
        }
        let rest = self.known.split_off(most.min(self.known.len()));
        std::mem::replace(&mut self.known, rest)
    }
}

/// Reads one block of a store; gives whether there is more.
fn read(
    state: &State,
    place: &mut Place,
    (now, unix_seconds): (Time, u64),
    wanted: &impl Fn(&InfoHash, &Compact) -> bool,
    out: &mut Vec<(InfoHash, Sighting)>,
) -> bool {
    let running = now.saturating_since(Time::ZERO);
    let mut bytes = Vec::new();
    let mut writer = SnapshotWriter::begin(unix_seconds, &mut bytes);
    let Ok(mut reader) = SnapshotReader::begin(&bytes) else { return false };
    match state.write_step(place.store, &mut place.cursor, &mut writer, &mut bytes) {
        Some(true) => {}
        Some(false) => *place = Place { store: place.store + 1, cursor: None },
        None => return false,
    }
    let mut each = |record: SwarmRecord<'_>| {
        for (address, role, age) in record.peers() {
            let peer = Compact::of(address);
            if age <= running && wanted(&record.info_hash, &peer) {
                let heard = unix_seconds.saturating_sub(age.as_secs());
                out.push((record.info_hash, Sighting { peer, role, heard }));
            }
        }
    };
    let mut rest = bytes.get(SNAPSHOT_HEADER_BYTES..).unwrap_or_default();
    while let Ok(length @ 1..) = reader.block(rest, &mut each) {
        rest = rest.get(length..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tracker_proto::http::Event;
    use tracker_proto::swarm::{Announce, Families, Hearsay, Learned, Role};

    use super::*;
    use crate::TrackerConfig;

    fn announce(state: &State, swarm: u8, port: u16) {
        let info_hash = InfoHash::new([swarm; 20]);
        let address = ([192, 0, 2, 1], port).into();
        let announce = Announce { info_hash, address, left: 0, event: Event::Started, numwant: None };
        state.announce_into(&announce, Families::Both, &mut Vec::new()).unwrap();
    }

    /// The ports of those who are given, in steps of three at most.
    fn written(state: &State, again: &mut Again) -> Vec<u16> {
        let now = (state.now(), 1_000_000);
        let mut ports = Vec::new();
        loop {
            let step = again.step(state, now, 3, |_, peer| peer.address().port() != 999);
            assert!(step.len() <= 3);
            for (_, sighting) in &step {
                assert!(sighting.role == Role::Seed && sighting.heard <= 1_000_000);
                ports.push(sighting.peer.address().port());
            }
            if step.is_empty() && again.place.is_none() {
                ports.sort_unstable();
                return ports;
            }
        }
    }

    #[test]
    fn all_who_announced_here_are_given_once_in_small_steps() {
        let state = State::new(TrackerConfig { http_workers: 2, ..TrackerConfig::open() }).unwrap();
        (1..=50).for_each(|n| announce(&state, u8::try_from(n).unwrap(), n));
        announce(&state, 1, 999);
        let mut again = Again::default();
        assert!(written(&state, &mut again).is_empty(), "nothing has begun");
        again.begin();
        assert_eq!(written(&state, &mut again), (1..=50).collect::<Vec<_>>(), "all but the unwanted");
        assert!(written(&state, &mut again).is_empty());
    }

    #[test]
    fn whoever_was_heard_before_this_process_began_is_not_given() {
        let state = State::new(TrackerConfig::open()).unwrap();
        announce(&state, 1, 1);
        let old = Hearsay {
            info_hash: InfoHash::new([1; 20]),
            address: "192.0.2.1:2".parse().unwrap(),
            role: Role::Seed,
            age: Duration::from_secs(600),
        };
        assert_eq!(state.learn(&old, None), Learned::News);
        let mut again = Again::default();
        again.begin();
        assert_eq!(written(&state, &mut again), [1]);
    }
}
