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
