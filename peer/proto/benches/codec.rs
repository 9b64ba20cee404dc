//! What the codec costs: a mebibyte of blocks read, a pipeline of requests written.
//!
//! `cargo bench -p peer-proto --bench codec`

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use peer_proto::wire::{Decoder, Item, Message, encode, piece_header};
use peer_proto::{BLOCK_LENGTH, Block, Geometry};

/// Blocks in a mebibyte, which here is a piece.
const BLOCKS: u32 = (1 << 20) / BLOCK_LENGTH;
/// What one read from a socket gives.
const READ: usize = 64 << 10;
/// The most requests kept out to one peer.
const PIPELINE: u32 = 500;

fn geometry() -> Geometry {
    Geometry::new(1 << 30, 1 << 20).expect("a geometry of whole pieces")
}

/// So many blocks in order.
fn blocks(count: u32) -> impl Iterator<Item = Block> {
    let geometry = geometry();
    (0..count).map(move |index| geometry.block(index / BLOCKS, index % BLOCKS))
}

fn encode_pipeline(out: &mut Vec<u8>) {
    blocks(PIPELINE).for_each(|block| encode(&Message::Request(block), out));
}

fn decode(c: &mut Criterion) {
    let payload = vec![0xa5; BLOCK_LENGTH as usize];
    let stream: Vec<u8> =
        blocks(BLOCKS).flat_map(|block| [&piece_header(block)[..], &payload].concat()).collect();
    let mut requests = Vec::new();
    encode_pipeline(&mut requests);

    let mut group = c.benchmark_group("decode");
    for (name, bytes) in [("1 MiB of blocks in reads of 64 KiB", &stream), ("500 requests", &requests)] {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                let (mut decoder, mut payload, mut items) = (Decoder::new(geometry()), 0, 0);
                for read in black_box(bytes).chunks(READ) {
                    let mut input = read;
                    while let Some(item) = decoder.next(&mut input).expect("a valid stream") {
                        items += 1;
                        if let Item::BlockData(data) = item {
                            payload += data.len();
                        }
                    }
                }
                (payload, items)
            });
        });
    }
    group.finish();
}

fn encode_requests(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Elements(u64::from(PIPELINE)));
    group.bench_function("500 requests", |b| {
        b.iter_batched_ref(|| Vec::with_capacity(16 << 10), encode_pipeline, BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, decode, encode_requests);
criterion_main!(benches);
