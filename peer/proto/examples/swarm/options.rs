//! The command line.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use peer_proto::simulation::network::KernelBuffer;
use peer_proto::simulation::scenario::{Rates, Shape};

pub(crate) const USAGE: &str = "swarm SCENARIO|table [OPTION VALUE]...
  --leechers N   --pieces N   --piece BYTES   --seeds A-B   --slots N   --links N   --super on|off
  --rate RATE (up, as 80mbit or bytes a second; 0: no limit)   --down RATE   --burst BYTES
  --rates RATE,RATE... (up, in turns over the nodes, the seed first)
  --latency MS (one way)   --jitter MS   --lasts SECONDS (of connections)   --sample N (of the tracker)
  --tick MICROSECONDS   --kernel BYTES   --overhead PERMILLE   --limit SECONDS   --threads N
  --csv DIRECTORY   --svg FILE   (of the first seed)   --every MS (between looks at a run)
  --only A,B   --without A,B   (of the table's scenarios)";

/// What the command line says.
pub(crate) struct Options {
    pub(crate) seeds: RangeInclusive<u64>,
    /// The most virtual time that a run may take.
    pub(crate) limit: Duration,
    pub(crate) threads: usize,
    pub(crate) csv: Option<PathBuf>,
    pub(crate) svg: Option<PathBuf>,
    /// How often a run is looked at; of itself a hundred times in its bound.
    pub(crate) every: Option<Duration>,
    only: Vec<String>,
    without: Vec<String>,
    /// What is to be otherwise than in a scenario.
    changes: Vec<(String, String)>,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            seeds: 1..=1,
            limit: Duration::from_secs(7200),
            threads: 1,
            csv: None,
            svg: None,
            every: None,
            only: Vec::new(),
            without: Vec::new(),
            changes: Vec::new(),
        };
        let names = |value: &str| value.split(',').map(str::to_owned).collect();
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--limit" => options.limit = Duration::from_secs(number(&value)?),
                "--threads" => options.threads = number(&value)?,
                "--csv" => options.csv = Some(value.into()),
                "--svg" => options.svg = Some(value.into()),
                "--every" => options.every = Some(Duration::from_millis(number(&value)?)),
                "--only" => options.only = names(&value),
                "--without" => options.without = names(&value),
                "--seeds" => {
                    let (first, last) = value.split_once('-').unwrap_or((&value, &value));
                    options.seeds = number(first)?..=number(last)?;
                }
                _ => {
                    change(&mut Shape::default(), &name, &value)?;
                    options.changes.push((name, value));
                }
            }
        }
        Ok(options)
    }

    /// A scenario's shape with what is to be otherwise.
    pub(crate) fn shape(&self, of: &Shape) -> Result<Shape, String> {
        let mut shape = *of;
        for (name, value) in &self.changes {
            change(&mut shape, name, value)?;
        }
        Ok(shape)
    }

    /// Whether a scenario is to be in the table.
    pub(crate) fn wants(&self, name: &str) -> bool {
        let among = |names: &[String]| names.iter().any(|other| other == name);
        (self.only.is_empty() || among(&self.only)) && !among(&self.without)
    }
}

fn change(shape: &mut Shape, name: &str, value: &str) -> Result<(), String> {
    match name {
        "--leechers" => shape.leechers = number(value)?,
        "--pieces" => shape.pieces.0 = number(value)?,
        "--piece" => shape.pieces.1 = number(value)?,
        "--rate" => shape.up = rate(value)?,
        "--rates" => {
            let rates = value.split(',').map(|one| rate(one)?.ok_or_else(|| format!("{one} is no rate")));
            shape.rates = Rates::new(&rates.collect::<Result<Vec<_>, _>>()?)
                .ok_or_else(|| format!("more than {} rates", Rates::MOST))?;
        }
        "--down" => shape.down = rate(value)?,
        "--burst" => shape.burst = number(value)?,
        "--latency" => shape.latency = Duration::from_millis(number(value)?),
        "--lasts" => shape.connections_last = Some(Duration::from_secs(number(value)?)),
        "--tick" => shape.network.tick = number(value)?,
        "--jitter" => shape.network.jitter = 1000 * number::<u64>(value)?,
        "--kernel" => shape.network.kernel = KernelBuffer::Fixed(number(value)?),
        "--overhead" => shape.network.overhead_permille = number(value)?,
        "--slots" => shape.slots = Some(number(value)?),
        "--super" => shape.super_seeding = value == "on",
        "--links" => shape.links = number(value)?,
        "--sample" => shape.tracker.sample = number(value)?,
        _ => return Err(format!("there is no option {name}")),
    }
    Ok(())
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

/// Bytes a second.
fn rate(text: &str) -> Result<Option<u64>, String> {
    let rate = match text.strip_suffix("mbit") {
        Some(megabits) => number::<u64>(megabits)? * 125_000,
        None => number(text)?,
    };
    Ok(Some(rate).filter(|&rate| rate > 0))
}
