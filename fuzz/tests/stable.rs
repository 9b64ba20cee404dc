//! The fuzzers' targets without a fuzzer: each over its seeds and over some thousands of mutations of them, on stable.
//!
//! The mutations are the same in every run. A failure names the round and shows the bytes; put them into a file of
//! `seeds/` to keep them.

use std::path::{Path, PathBuf};

use fuzz::{TARGETS, Target};

/// SplitMix64.
struct Generator(u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).expect("it was one")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }
}

/// Longer ones are cut: splices would grow them without end.
const MAX_BYTES: usize = 8192;

/// One to four changes: a bit, a byte, a digit, a run taken out, doubled or zeroed, a piece of another seed put in.
fn mutate(seeds: &[Vec<u8>], random: &mut Generator) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(2) * random.below(4) {
        let at = random.below(bytes.len());
        let end = (at + random.below(24)).min(bytes.len());
        match random.below(10) {
            _ if bytes.is_empty() => bytes.push(random.byte()),
            0..=2 => bytes[at] ^= 1 << random.below(8),
            3 => bytes[at] = random.byte(),
            4 => {
                let digits: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at].is_ascii_digit()).collect();
                if !digits.is_empty() {
                    bytes[digits[random.below(digits.len())]] = b'0' + random.byte() % 10;
                }
            }
            5 => drop(bytes.drain(at..end)),
            6 => {
                let again = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, again));
            }
            7 => bytes[at..end].fill([0, 0xff][random.below(2)]),
            8 => drop(bytes.splice(at..at, (0..random.below(6)).map(|_| random.byte()))),
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                let piece = other[from..(from + random.below(64)).min(other.len())].to_vec();
                drop(bytes.splice(at..end, piece));
            }
        }
    }
    bytes.truncate(MAX_BYTES);
    bytes
}

/// The files of a folder, by their names.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder is read").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a seed is read")).collect()
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds = files(&here.join("seeds").join(name));
    if matches!(name, "bencode" | "metainfo") {
        seeds.extend(files(&here.join("../fixtures")).into_iter().filter(|bytes| bytes.starts_with(b"d")));
    }
    seeds
}

fn run(target: Target, what: &str, bytes: &[u8]) {
    if let Err(panic) = std::panic::catch_unwind(|| target(bytes)) {
        eprintln!("{what}: b\"{}\"", bytes.escape_ascii());
        std::panic::resume_unwind(panic);
    }
}

/// Runs a target over its seeds, over mutations of them, and over `noise` strings of nothing but chance, from which
/// machines make long stories.
fn check(name: &str, mutations: usize, noise: usize) {
    let (_, target) = *TARGETS.iter().find(|(target, _)| *target == name).expect("a target of this name");
    let seeds = seeds(name);
    assert!(!seeds.is_empty(), "{name} has no seeds");
    seeds.iter().enumerate().for_each(|(number, seed)| run(target, &format!("{name}, seed {number}"), seed));
    let mut random = Generator(1);
    for round in 0..mutations {
        run(target, &format!("{name}, mutation {round}"), &mutate(&seeds, &mut random));
    }
    for round in 0..noise {
        let bytes: Vec<u8> = (0..random.below(2000)).map(|_| random.byte()).collect();
        run(target, &format!("{name}, noise {round}"), &bytes);
    }
}

macro_rules! targets {
    ($($name:ident: $mutations:expr, $noise:expr;)*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name), $mutations, $noise);
        })*

        #[test]
        fn every_target_is_run() {
            let run = [$(stringify!($name)),*];
            assert!(TARGETS.iter().map(|(name, _)| *name).eq(run));
        }
    };
}

targets! {
    access: 20_000, 1_000;
    bencode: 20_000, 1_000;
    config: 300, 20;
    extensions: 20_000, 1_000;
    fleet: 20_000, 1_000;
    http_replies: 20_000, 1_000;
    http_requests: 20_000, 1_000;
    journal: 10_000, 2_000;
    link: 1_000, 1_000;
    magnet: 20_000, 1_000;
    marker: 20_000, 1_000;
    metadata: 1_000, 1_000;
    metainfo: 5_000, 1_000;
    snapshot: 2_000, 200;
    udp: 20_000, 2_000;
    wire: 10_000, 1_000;
}

#[test]
fn the_stories_of_the_engine_reach_what_they_are_to_test() {
    let (seeds, mut random) = (seeds("link"), Generator(2));
    let mut stories: Vec<Vec<u8>> = (0..300).map(|_| mutate(&seeds, &mut random)).collect();
    stories.extend((0..100).map(|_| (0..2000).map(|_| random.byte()).collect()));
    let seen = stories
        .iter()
        .map(|story| fuzz::link::story(story))
        .fold(fuzz::link::Seen::default(), fuzz::link::Seen::and);
    let fuzz::link::Seen { good, bad, banned, closed, served, refused, compared, metadata, pex, lost } = seen;
    println!("{seen:?}");
    assert!(
        [good, bad, banned, closed, served, refused, compared, metadata, pex, lost]
            .iter()
            .all(|&times| times >= 20),
        "{seen:?}"
    );
}
