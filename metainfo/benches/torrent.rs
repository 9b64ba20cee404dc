//! How fast torrents are read and written: many files, many pieces, both. The info-hash is part of it.
//!
//! `cargo bench -p metainfo --bench torrent`

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use metainfo::{BuildFile, Info, InfoBuilder, TorrentBuilder, TorrentFile};

const PIECE_LENGTH: u32 = 16 << 10;
/// Bytes of a SHA-1 digest.
const DIGEST: usize = 20;

/// A torrent of `count` files of one piece each, a hundred in each folder.
fn folder(count: u32) -> Info {
    let file = |number: u32| BuildFile {
        path: vec![
            format!("folder {:04}", number / 100).into(),
            format!("a file of usual name, number {number}.jpeg").into(),
        ],
        length: PIECE_LENGTH.into(),
    };
    let files: Vec<BuildFile> = (0..count).map(file).collect();
    builder().folder(&files, &vec![0xa5; count as usize * DIGEST]).expect("a torrent")
}

/// A torrent of one file of `count` pieces.
fn single(count: u32) -> Info {
    let length = u64::from(count) * u64::from(PIECE_LENGTH);
    builder().single_file(length, &vec![0xa5; count as usize * DIGEST]).expect("a torrent")
}

fn builder() -> InfoBuilder {
    InfoBuilder { name: b"payload".to_vec(), piece_length: PIECE_LENGTH, private: false, source: None }
}

fn torrents(c: &mut Criterion) {
    for (name, info) in [
        ("1 file, 1,000 pieces", single(1_000)),
        ("1 file, 1,000,000 pieces", single(1_000_000)),
        ("100,000 files", folder(100_000)),
    ] {
        let torrent = TorrentBuilder::default().build(info).expect("a torrent");
        let bytes = torrent.to_bytes();
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("read", |b| {
            b.iter(|| TorrentFile::parse(black_box(&bytes)).expect("a torrent").info_hash());
        });
        group.bench_function("write", |b| b.iter(|| black_box(&torrent).to_bytes()));
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(10);
    targets = torrents
}
criterion_main!(benches);
