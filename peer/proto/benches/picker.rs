//! What the picker costs a block at 100,000 pieces and 500 peers. The aim is less than 2 µs for each operation.
//!
//! `cargo bench -p peer-proto --bench picker`

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use peer_proto::picker::{Picker, Received};
use peer_proto::{BLOCK_LENGTH, Bitfield, Block, Geometry, LinkId};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const PIECES: u32 = 100_000;
const PEERS: u32 = 500;

struct Swarm {
    picker: Picker,
    peers: Vec<Bitfield>,
    geometry: Geometry,
    rng: ChaCha8Rng,
}

/// Peers that each have every piece with the chance given.
fn swarm(blocks: u32, chance: impl Fn(u32) -> f64) -> Swarm {
    let length = u64::from(PIECES) * u64::from(blocks * BLOCK_LENGTH);
    let geometry = Geometry::new(length, blocks * BLOCK_LENGTH).expect("a geometry that is allowed");
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut picker = Picker::new(geometry, &Bitfield::new(PIECES));
    let peers: Vec<Bitfield> = (0..PEERS)
        .map(|peer| {
            let mut has = Bitfield::new(PIECES);
            for piece in 0..PIECES {
                if rng.random_bool(chance(peer)) {
                    has.set(piece);
                }
            }
            picker.add_peer(&has);
            has
        })
        .collect();
    Swarm { picker, peers, geometry, rng }
}

impl Swarm {
    fn pick(&mut self, peer: u32, want: usize, out: &mut Vec<Block>) {
        let has = &self.peers[peer as usize];
        self.picker.pick(LinkId(peer), has, want, &mut self.rng, out);
    }

    fn deliver(&mut self, peer: u32, block: Block) {
        if let Received::New { piece_complete: true, .. } = self.picker.received(LinkId(peer), block) {
            // As if it were to be fetched again, so that the torrent never ends.
            self.picker.piece_failed(block.piece);
        }
    }
}

fn availability(c: &mut Criterion) {
    let mut swarm = swarm(16, |_| 0.5);
    let mut piece = 0;
    c.bench_function("have: one piece of one peer more", |b| {
        b.iter(|| {
            piece = (piece + 7919) % PIECES;
            swarm.picker.peer_has(black_box(piece));
        });
    });
    let mut swarm = self::swarm(16, |_| 0.5);
    let half = swarm.peers[0].clone();
    c.bench_function("a peer of 50,000 pieces comes and goes", |b| {
        b.iter(|| {
            swarm.picker.add_peer(&half);
            swarm.picker.remove_peer(&half);
        });
    });
}

fn blocks(c: &mut Criterion) {
    for (name, pieces_of, chance) in [
        ("one block: pick, receive (pieces of 16 blocks)", 16, 0.5),
        ("one block: pick, receive (pieces of 1 block)", 1, 0.5),
        ("one block: pick, receive (peers of 1% of the pieces)", 16, 0.01),
        ("one block: pick, receive (peers of 10 pieces)", 16, 0.0001),
    ] {
        let mut swarm = swarm(pieces_of, |_| chance);
        // Every link has 8 blocks on the way all the time.
        let mut owed: Vec<Vec<Block>> = vec![Vec::new(); PEERS as usize];
        for peer in 0..PEERS {
            swarm.pick(peer, 8, &mut owed[peer as usize]);
        }
        let mut peer = 0;
        c.bench_function(name, |b| {
            b.iter(|| {
                peer = (peer + 1) % PEERS;
                let owed = &mut owed[peer as usize];
                if !owed.is_empty() {
                    swarm.deliver(peer, owed.swap_remove(0));
                }
                swarm.pick(peer, 1, owed);
            });
        });
    }
}

fn fresh(c: &mut Criterion) {
    let mut swarm = swarm(16, |_| 0.5);
    let mut out = Vec::new();
    c.bench_function("the first block of a new piece, and its release", |b| {
        b.iter(|| {
            out.clear();
            swarm.pick(3, 1, &mut out);
            swarm.picker.release(LinkId(3), out[0]);
        });
    });
    c.bench_function("500 blocks of whole pieces, and their release", |b| {
        b.iter_batched(
            Vec::new,
            |mut out| {
                swarm.pick(4, 500, &mut out);
                for &block in &out {
                    swarm.picker.release(LinkId(4), block);
                }
            },
            BatchSize::SmallInput,
        );
    });
    let mut common = Bitfield::new(PIECES);
    (0..PIECES).filter(|&piece| swarm.picker.availability(piece) > 260).for_each(|piece| {
        common.set(piece);
    });
    swarm.picker.add_peer(&common);
    swarm.peers.push(common);
    c.bench_function("a new piece for a peer of common pieces only", |b| {
        b.iter(|| {
            out.clear();
            swarm.pick(PEERS, 1, &mut out);
            swarm.picker.release(LinkId(PEERS), out[0]);
        });
    });
    assert_eq!(swarm.geometry.piece_count(), PIECES);
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = availability, blocks, fresh
}
criterion_main!(benches);
