//! What a peer takes in memory: fills a store and compares the growth of the process with what the store counts.
//!
//! `cargo run --release -p tracker-proto --example store_memory` prints a table; with `PEERS PEERS_A_SWARM 4|6` one
//! line of it. Peers come to their swarms in turns, as they do in life, so that every swarm grows again and again
//! between others. Linux only: it reads `/proc`.

use std::error::Error;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use metainfo::InfoHash;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tracker_proto::Time;
use tracker_proto::http::Event;
use tracker_proto::swarm::{Announce, CompactPeers, Families, HashKey, Limits, SwarmStore};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments =
        std::env::args().skip(1).map(|word| word.parse::<u32>()).collect::<Result<Vec<_>, _>>()?;
    if let [peers, per_swarm, family] = arguments[..] {
        return fill(peers, per_swarm.max(1), family == 6);
    }
    println!("peers     a swarm  family  bytes a peer: resident  counted");
    for peers in [1_000_000u32, 5_000_000, 10_000_000] {
        for per_swarm in [100u32, 3] {
            for family in [4u32, 6] {
                // A process each: memory that one gave back would hide the growth of the next.
                let words = [peers, per_swarm, family].map(|number| number.to_string());
                Command::new(std::env::current_exe()?).args(words).status()?;
            }
        }
    }
    Ok(())
}

fn fill(peers: u32, per_swarm: u32, v6: bool) -> Result<(), Box<dyn Error>> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let limits = Limits { memory: 8 << 30, ..Limits::for_interval(Duration::from_secs(1800)) };
    let mut store = SwarmStore::new(limits, HashKey::generate(&mut rng));
    let mut out = CompactPeers::default();
    let before = resident()?;
    let swarms = peers / per_swarm;
    for n in 0..swarms * per_swarm {
        let mut info_hash = [0x5a; 20];
        info_hash[..4].copy_from_slice(&(n % swarms).to_be_bytes());
        let address = if v6 {
            SocketAddr::from((Ipv6Addr::from_bits((0x2001_0db8 << 96) + u128::from(n)), 6881))
        } else {
            SocketAddr::from((Ipv4Addr::from_bits(0x0100_0000 + n), 6881))
        };
        let announce = Announce {
            info_hash: InfoHash::new(info_hash),
            address,
            left: u64::from(n % 2),
            event: Event::Started,
            numwant: Some(0),
        };
        out.clear();
        store.announce_into(Time::ZERO, &mut rng, &announce, Families::Own, &mut out);
    }
    let grown = resident()?.saturating_sub(before);
    #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
    let each = |bytes: usize| bytes as f64 / store.peer_count() as f64;
    println!(
        "{:<9} {per_swarm:<8} {:<7} {:>21.1} {:>8.1}",
        store.peer_count(),
        if v6 { "IPv6" } else { "IPv4" },
        each(grown),
        each(store.bytes())
    );
    Ok(())
}

/// Resident memory of this process in bytes.
fn resident() -> Result<usize, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<usize>()? * 1024)
}
