//! What a run is told.

use std::net::IpAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, value_parser};

/// Asks a tracker as many peers would, and checks every answer.
#[derive(Debug, Parser)]
#[command(name = "announce")]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Asks, checks the answers, prints rate and latency; fails if an answer was wrong or did not come.
    #[command(args_override_self = true)]
    Load(Load),
    /// Prints the info-hashes that a load asks about, for trackers that serve only those in a list.
    Hashes(Hashes),
    /// Holds many connections open on which a request comes a byte at a time and never ends.
    Dribble(Dribble),
}

/// Which requests are made, of whom, and how.
#[derive(Debug, Clone, Args)]
pub struct Load {
    /// The tracker, as http://127.0.0.1:6969/announce or udp://127.0.0.1:6969.
    pub url: String,
    /// A new connection for each request (HTTP).
    #[arg(long)]
    pub close: bool,
    /// Connections, or sockets for UDP.
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u32).range(1..=20_000))]
    pub connections: u32,
    /// Requests under way on each at once; more than one needs UDP.
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u8).range(1..=128))]
    pub depth: u8,
    /// Requests a second, whether or not those before were answered: an open loop, whose latencies begin when a request
    /// was due. Otherwise each answer is followed by the next request.
    #[arg(long, value_parser = value_parser!(u32).range(1..=10_000_000))]
    pub rate: Option<u32>,
    /// How long requests are made.
    #[arg(long, default_value = "6", value_parser = seconds)]
    pub seconds: Duration,
    /// The most requests that are made, besides --preload and --warm-up.
    #[arg(long, value_name = "N")]
    pub requests: Option<u64>,
    /// How long the same is done before, without being counted.
    #[arg(long, default_value = "0", value_parser = seconds)]
    pub warm_up: Duration,
    /// Peers, over all swarms but the giant.
    #[arg(long, default_value_t = 100_000)]
    pub peers: u32,
    /// Swarms, each of nearly the same size.
    #[arg(long, default_value_t = 10_000)]
    pub swarms: u32,
    /// Peers of one more swarm.
    #[arg(long, default_value_t = 0, value_name = "PEERS")]
    pub giant: u32,
    /// Announces every peer once at first.
    #[arg(long)]
    pub preload: bool,
    /// Announces a second while doing so, as with --rate; otherwise as many as are answered.
    #[arg(long, value_name = "RATE", requires = "preload", value_parser = value_parser!(u32).range(1..=10_000_000))]
    pub preload_rate: Option<u32>,
    /// Where to announce them, if the tracker has a faster way in.
    #[arg(long, value_name = "URL", requires = "preload")]
    pub preload_by: Option<String>,
    /// Peers that each announce asks for; at first none are.
    #[arg(long, default_value_t = 50)]
    pub numwant: u32,
    /// How many requests in a hundred are scrapes.
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = value_parser!(u8).range(0..=100))]
    pub scrapes: u8,
    /// How many announces in a hundred say that a peer stops.
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = value_parser!(u8).range(0..=100))]
    pub stops: u8,
    /// Asks from so many addresses, 127.0.0.1 and the next ones.
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1000), conflicts_with = "source")]
    pub sources: Option<u16>,
    /// Asks from this address of the machine's, and others that are named.
    #[arg(long, value_name = "ADDRESS")]
    pub source: Vec<IpAddr>,
    /// Another number is another population. A tracker that was asked with other numbers of peers, swarms or sources before
    /// has to be asked with another one, or its answers seem wrong.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// After how long a request counts as lost.
    #[arg(long, default_value = "5", value_parser = seconds)]
    pub timeout: Duration,
    /// How many requests may be lost or fail before the run does.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub may_lose: u64,
    /// Does not take for wrong what some trackers do: they give an asker to itself, seeds to seeds, or peers to who
    /// wants none, and end their answers with an empty line.
    #[arg(long)]
    pub lenient: bool,
    /// The tracker's process, to tell what it took of the processor and of memory.
    #[arg(long)]
    pub pid: Option<u32>,
    /// Prints one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Which info-hashes.
#[derive(Debug, Clone, Args)]
pub struct Hashes {
    /// As for the load.
    #[arg(long, default_value_t = 10_000)]
    pub swarms: u32,
    /// That of the giant too.
    #[arg(long)]
    pub giant: bool,
    /// As for the load.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Slow connections.
#[derive(Debug, Clone, Args)]
pub struct Dribble {
    /// The tracker, as http://127.0.0.1:6969/announce.
    pub url: String,
    /// How many at once; this process and the tracker need as many descriptors.
    #[arg(long, default_value_t = 10_000, value_parser = value_parser!(u32).range(1..=100_000))]
    pub connections: u32,
    /// How long.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub seconds: Duration,
}

/// Seconds, whole or not.
fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 =
        text.trim_end_matches('s').parse().map_err(|_| format!("'{text}' is no number of seconds"))?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_options_are_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn seconds_may_have_a_fraction_and_a_unit() {
        assert_eq!(seconds("1.5s"), Ok(Duration::from_millis(1500)));
        assert!(seconds("-1").is_err() && seconds("soon").is_err());
    }
}
