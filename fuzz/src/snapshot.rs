//! Snapshots of a tracker: whatever a file holds, what is entered stays within the store's bounds, and what a store
//! writes is read as the same.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tracker_proto::Time;
use tracker_proto::swarm::{
    HashKey, Limits, MAX_SNAPSHOT_BLOCK_BYTES, MIN_MEMORY, SNAPSHOT_HEADER_BYTES, SnapshotReader,
    SnapshotWriter, SwarmStore,
};

use crate::input::Input;

/// The first byte chooses whether the rest is a file, or the payloads of blocks whose lengths and sums are right: no
/// mutation finds a sum.
pub fn target(data: &[u8]) {
    let mut input = Input::new(data);
    if input.flag() {
        read(input.rest(), Duration::ZERO);
        return;
    }
    let away = Duration::from_secs(u64::from(input.short()));
    let mut file = Vec::new();
    SnapshotWriter::begin(1_800_000_000, &mut file);
    while !input.is_empty() {
        let length = usize::from(input.short()) % MAX_SNAPSHOT_BLOCK_BYTES;
        let payload = input.take(length);
        file.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
        file.extend_from_slice(&crc32fast::hash(payload).to_be_bytes());
        file.extend_from_slice(payload);
    }
    read(&file, away);
}

fn store(memory: usize, peers_per_swarm: usize) -> SwarmStore {
    let limits = Limits { memory, peers_per_swarm, ..Limits::for_interval(Duration::from_secs(1800)) };
    SwarmStore::new(limits, HashKey::new([5; 16]))
}

fn read(file: &[u8], away: Duration) {
    let now = Time::ZERO + Duration::from_secs(1 << 20);
    let mut roomy = store(64 << 20, 250_000);
    let mut narrow = store(MIN_MEMORY, 3);
    let mut entered = 0;
    let header = file.get(..SNAPSHOT_HEADER_BYTES).unwrap_or(file);
    let mut reader = match SnapshotReader::begin(header) {
        Ok(reader) => reader,
        Err(error) => return crate::assert_one_line(&error.to_string()),
    };
    let mut rest = file.get(SNAPSHOT_HEADER_BYTES..).unwrap_or_default();
    loop {
        let each = |record: tracker_proto::swarm::SwarmRecord<'_>| {
            entered += roomy.restore(now, away, &record);
            narrow.restore(now, away, &record);
            assert!(narrow.bytes() <= MIN_MEMORY, "{} bytes", narrow.bytes());
            assert!(narrow.peer_count() <= 6 * narrow.swarm_count());
        };
        match reader.block(rest, each) {
            Ok(0) => break,
            Ok(length) => {
                assert!(length <= MAX_SNAPSHOT_BLOCK_BYTES);
                rest = rest.get(length..).expect("a block is no longer than what there is");
            }
            Err(error) => {
                crate::assert_one_line(&error.to_string());
                break;
            }
        }
    }
    assert_eq!(roomy.peer_count(), entered, "each peer is entered once");
    if roomy.swarm_count() > 0 {
        again(now, &roomy);
    }
    let left = narrow.peer_count();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    narrow.announce(now, &mut rng, &announce());
    assert!(narrow.peer_count() <= left + 1 && narrow.bytes() <= MIN_MEMORY);
}

fn announce() -> tracker_proto::swarm::Announce {
    tracker_proto::swarm::Announce {
        info_hash: ::metainfo::InfoHash::new([1; 20]),
        address: ([192, 0, 2, 1], 6881).into(),
        left: 1,
        event: tracker_proto::http::Event::Started,
        numwant: None,
    }
}

/// What a store writes, another reads.
fn again(now: Time, store_before: &SwarmStore) {
    let mut file = Vec::new();
    let mut writer = SnapshotWriter::begin(1_800_000_000, &mut file);
    let mut cursor = store_before.snapshot_cursor();
    while writer.step(store_before, &mut cursor, &mut file) {}
    writer.end(&mut file);

    let mut after = store(64 << 20, 250_000);
    let mut reader = SnapshotReader::begin(&file).expect("our header is one");
    let mut rest = &file[SNAPSHOT_HEADER_BYTES..];
    while !rest.is_empty() {
        let enter = |record: tracker_proto::swarm::SwarmRecord<'_>| {
            after.restore(now, Duration::ZERO, &record);
        };
        let length = reader.block(rest, enter).expect("our block is one");
        rest = &rest[length..];
    }
    reader.end().expect("our snapshot is whole");
    assert_eq!(after.peer_count(), store_before.peer_count());
    assert_eq!(after.swarm_count(), store_before.swarm_count());
}
