//! What the engine says of the peers of a swarm.

use redis::Value;
use tracker_proto::fleet::{Key, SAMPLE, Sighting};

/// Reads fields and values in turn, at most as many as were asked for. What no node would have written is left out.
pub fn read_sample(key: Key, value: &Value, learn: &mut impl FnMut(Key, Sighting)) {
    let Value::Array(items) = value else { return };
    for pair in items.as_chunks().0.iter().take(SAMPLE) {
        if let [Value::BulkString(field), Value::BulkString(value)] = pair
            && let Some(sighting) = Sighting::parse(field, value)
        {
            learn(key, sighting);
        }
    }
}
