//! What geometry costs: naming blocks, and finding the files that hold them where there are many.
//!
//! `cargo bench -p metainfo --bench geometry`

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use metainfo::{Geometry, file_spans};

/// 1 GiB in pieces of 1 MiB, and one byte more so that the last piece is cut.
const CONTENT: (u64, u32) = ((1 << 30) + 1, 1 << 20);
/// Shorter than a block, so that one piece lies in about 85 files.
const FILE_LENGTH: u64 = 12_345;
const FILES: [u64; 3] = [1, 1_000, 100_000];

/// Offset and length of so many files, end to end.
fn files(count: u64) -> Vec<(u64, u64)> {
    (0..count).map(|file| (file * FILE_LENGTH, FILE_LENGTH)).collect()
}

fn blocks(c: &mut Criterion) {
    let geometry = Geometry::new(CONTENT.0, CONTENT.1).expect("a geometry that is allowed");
    let mut group = c.benchmark_group("blocks");
    group.throughput(Throughput::Elements(geometry.total_blocks()));
    group.bench_function("each of 1 GiB: name, check, place", |b| {
        b.iter(|| {
            let mut places = 0u64;
            for piece in 0..geometry.piece_count() {
                for index in 0..geometry.block_count(piece) {
                    let block = black_box(geometry.block(piece, index));
                    assert_eq!(geometry.block_index(block), Some(index));
                    places = places.wrapping_add(geometry.block_offset(block));
                }
            }
            places
        });
    });
    group.finish();
}

fn spans(c: &mut Criterion) {
    let mut group = c.benchmark_group("files");
    for count in FILES {
        let files = files(count);
        let geometry = Geometry::new(count * FILE_LENGTH, CONTENT.1).expect("a geometry that is allowed");
        group.throughput(Throughput::Elements(geometry.total_blocks()));
        group.bench_function(BenchmarkId::new("of each block", count), |b| {
            b.iter(|| {
                let mut bytes = 0;
                for piece in 0..geometry.piece_count() {
                    for index in 0..geometry.block_count(piece) {
                        let block = geometry.block(piece, index);
                        let (offset, length) = (geometry.block_offset(block), u64::from(block.length));
                        let spans = file_spans(black_box(&files), |&extent| extent, offset, length);
                        bytes += spans.map(|span| span.length).sum::<u64>();
                    }
                }
                assert_eq!(bytes, geometry.total());
            });
        });
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("pieces of each", count), |b| {
            b.iter(|| {
                let of = |&(offset, length): &(u64, u64)| geometry.pieces_of(black_box(offset), length).len();
                files.iter().map(of).sum::<usize>()
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20);
    targets = blocks, spans
}
criterion_main!(benches);
