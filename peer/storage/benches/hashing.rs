//! How fast content is hashed for `create` and checked for `verify`: one large file, and many small ones.
//!
//! `cargo bench -p storage`. Everything comes from the page cache. To compare with another program, run `mktorrent`
//! and `shoal create` on the same files in turn: one thread here is one core of SHA-1, nothing else should show.

use std::hint::black_box;
use std::path::Path;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use metainfo::{Info, InfoBuilder};
use storage::sha::{MOST_LANES, Sha1, update_all};
use storage::{Cancel, Storage, StorageOptions, WalkOptions, Walked, check, hash_files, walk};

const PIECE_LENGTH: u32 = 1 << 20;

/// A folder of `count` files of `length` bytes.
fn tree(folder: &Path, count: usize, length: usize) -> Walked {
    let bytes: Vec<u8> =
        (0u32..).flat_map(|word| word.wrapping_mul(0x9e37_79b9).to_le_bytes()).take(length).collect();
    for number in 0..count {
        let below = folder.join(format!("{:03}", number / 100));
        std::fs::create_dir_all(&below).expect("a folder");
        std::fs::write(below.join(format!("{:02}", number % 100)), &bytes).expect("a file");
    }
    walk(folder, &WalkOptions::default()).expect("a walk")
}

fn info_of(walked: &Walked, digests: &[u8]) -> Info {
    let files = walked.files.iter().map(|file| (file.elements(), file.length));
    let builder =
        InfoBuilder { name: walked.name.clone(), piece_length: PIECE_LENGTH, private: false, source: None };
    let bytes = builder.folder_bytes(files, digests).expect("names that files have");
    Info::from_bytes(bytes).expect("a torrent")
}

fn hashing(criterion: &mut Criterion) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    for (name, count, length) in [("one file", 1, 256 << 20), ("small files", 4_000, 16 << 10)] {
        let folder = tempfile::tempdir().expect("a folder");
        let walked = tree(folder.path(), count, length);
        let hash =
            |threads| hash_files(&walked, PIECE_LENGTH, threads, &Cancel::new(), &|_| ()).expect("digests");
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10).throughput(Throughput::Bytes(walked.total));
        for threads in [1, cores] {
            group.bench_with_input(BenchmarkId::new("hash", threads), &threads, |bencher, &threads| {
                bencher.iter(|| black_box(hash(threads)));
            });
        }
        let info = info_of(&walked, &hash(cores));
        let root = folder.path().parent().expect("a parent");
        let storage = Storage::new(root, &info, StorageOptions::default()).expect("a storage");
        group.bench_function(BenchmarkId::new("check", cores), |bencher| {
            bencher.iter(|| {
                let report = check(&storage, &info, cores, &Cancel::new(), &|_| ()).expect("a report");
                assert!(report.is_complete());
            });
        });
        group.bench_function("walk", |bencher| {
            bencher.iter(|| black_box(walk(folder.path(), &WalkOptions::default()).expect("a walk")));
        });
        group.finish();
    }
}

/// One core: hashes one after another, and in turns.
fn lanes(criterion: &mut Criterion) {
    const LENGTH: usize = 64 << 10;
    let data: Vec<u8> = (0..=255).cycle().take(MOST_LANES * LENGTH).collect();
    let mut group = criterion.benchmark_group("lanes");
    fn bench<const N: usize>(group: &mut BenchmarkGroup<'_, WallTime>, data: &[u8]) {
        group.throughput(Throughput::Bytes((N * LENGTH) as u64));
        group.bench_function(N.to_string(), |bencher| {
            let mut hashes: [Sha1; N] = std::array::from_fn(|_| Sha1::default());
            bencher.iter(|| {
                let mut parts = data.chunks_exact(LENGTH);
                update_all(hashes.each_mut().map(|hash| (hash, parts.next().expect("a part"))));
            });
        });
    }
    bench::<1>(&mut group, &data);
    bench::<2>(&mut group, &data);
    bench::<3>(&mut group, &data);
    bench::<MOST_LANES>(&mut group, &data);
    group.finish();
}

criterion_group!(benches, lanes, hashing);
criterion_main!(benches);
