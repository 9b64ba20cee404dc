//! What comes from the store that the trackers of a fleet share: names of keys and answers about peers.
//!
//! What must hold whatever it says: only peers that can be dialled are taken, no more of them than were asked for, and names
//! and peers read the same when they are written again. Bytes come through the reader of the client library.

use std::time::Duration;

use redis::Value;
use tracker_proto::compact;
use tracker_proto::fleet::{Batch, Command, Key, SAMPLE, Sighting, Slices};

use crate::input::Input;

/// When it is, in seconds since 1970.
const NOW: u64 = 1_800_000_000;

/// The first byte chooses a name, a field and its value, or an answer.
pub fn target(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 4 {
        0 => name(input.rest()),
        1 => {
            let length = input.below(20);
            let field = input.take(length);
            sighting(field, input.rest());
        }
        _ => answer(input.rest()),
    }
}

fn name(name: &[u8]) {
    let Some(key) = Key::parse(name) else { return };
    assert_eq!(key.to_string().as_bytes(), name, "a swarm and slice has one name");
    let slices = Slices::for_lifetime(Duration::from_secs(1800));
    let batch = Batch::sampling([key], slices, NOW);
    let alive = slices.alive(NOW).contains(&key.slice);
    assert_eq!(batch.commands, if alive { vec![Command::Sample { key }] } else { Vec::new() });
    // Whenever somebody says that he was heard, it was in the slice in which he stands, or it is taken for that.
    let heard = slices.clamp(key.slice, NOW);
    assert!(slices.at(heard) == key.slice || heard == u64::MAX);
}

fn sighting(field: &[u8], value: &[u8]) {
    if let Some(seen) = Sighting::parse(field, value) {
        assert!(compact::is_dialable(seen.peer.address()));
        assert_eq!((seen.peer.as_bytes(), &seen.value()[..]), (field, value));
    }
}

fn answer(bytes: &[u8]) {
    let slices = Slices::for_lifetime(Duration::from_secs(1800));
    let key = Key { info_hash: ::metainfo::InfoHash::new([1; 20]), slice: slices.at(NOW) };
    let Ok(value) = redis::parse_redis_value(bytes) else { return };
    let mut taken = Vec::new();
    tracker::read_sample(key, &value, &mut |of, seen| {
        assert_eq!(of, key);
        taken.push(seen);
    });
    assert!(taken.len() <= SAMPLE);
    assert!(taken.iter().all(|seen| compact::is_dialable(seen.peer.address())));
    // Written as a store would say it, it is taken again.
    let said =
        |seen: &Sighting| [seen.peer.as_bytes().to_vec(), seen.value().to_vec()].map(Value::BulkString);
    let mut again = Vec::new();
    let value = Value::Array(taken.iter().flat_map(said).collect());
    tracker::read_sample(key, &value, &mut |_, seen| again.push(seen));
    assert_eq!(taken, again);
}
