//! Runs simulated swarms and prints how they did, a line a seed.
//!
//! `cargo run --release -p peer-proto --features simulation --example swarm -- flash --leechers 100 --seeds 1-3`

use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use peer_proto::simulation::network::KernelBuffer;
use peer_proto::simulation::scenario::{Shape, flash};
use peer_proto::simulation::{Report, report};

const USAGE: &str = "swarm SCENARIO [OPTION VALUE]...
scenarios: flash
  --leechers N   --pieces N   --piece BYTES   --seeds A-B   --slots N   --links N   --super on|off
  --rate RATE (up, as 80mbit or bytes a second; 0: no limit)   --down RATE   --burst BYTES
  --latency MS (one way)   --jitter MS   --tick MICROSECONDS   --kernel BYTES   --overhead PERMILLE   --sample N   --limit SECONDS   --threads N";

/// What the command line says.
struct Options {
    shape: Shape,
    seeds: (u64, u64),
    limit: Duration,
    threads: usize,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let scenario = arguments.next();
    let options = parse(arguments);
    match (scenario.as_deref(), options) {
        (Some("flash"), Ok(options)) => run(&options),
        (_, Err(error)) => {
            eprintln!("{error}\n{USAGE}");
            ExitCode::from(2)
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let limit = Duration::from_secs(7200);
    let mut options = Options { shape: Shape::default(), seeds: (1, 1), limit, threads: 1 };
    let shape = &mut options.shape;
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--leechers" => shape.leechers = number(&value)?,
            "--pieces" => shape.pieces.0 = number(&value)?,
            "--piece" => shape.pieces.1 = number(&value)?,
            "--rate" => shape.up = rate(&value)?,
            "--down" => shape.down = rate(&value)?,
            "--burst" => shape.burst = number(&value)?,
            "--latency" => shape.latency = Duration::from_millis(number(&value)?),
            "--tick" => shape.network.tick = number(&value)?,
            "--jitter" => shape.network.jitter = 1000 * number::<u64>(&value)?,
            "--kernel" => shape.network.kernel = KernelBuffer::Fixed(number(&value)?),
            "--overhead" => shape.network.overhead_permille = number(&value)?,
            "--slots" => shape.slots = Some(number(&value)?),
            "--super" => shape.super_seeding = value == "on",
            "--links" => shape.links = number(&value)?,
            "--sample" => shape.tracker.sample = number(&value)?,
            "--limit" => options.limit = Duration::from_secs(number(&value)?),
            "--threads" => options.threads = number(&value)?,
            "--seeds" => {
                let (first, last) = value.split_once('-').unwrap_or((&value, &value));
                options.seeds = (number(first)?, number(last)?);
            }
            _ => return Err(format!("unknown option {name}")),
        }
    }
    Ok(options)
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

/// Runs each seed, as many at once as there are threads, and prints each when it is done.
fn run(options: &Options) -> ExitCode {
    let left = Mutex::new(options.seeds.0..=options.seeds.1);
    let work = || -> Result<Vec<f64>, String> {
        let mut ratios = Vec::new();
        loop {
            let Some(seed) = left.lock().map_err(|error| error.to_string())?.next() else { break };
            ratios.extend(run_one(options, seed)?);
        }
        Ok(ratios)
    };
    let results: Vec<Result<Vec<f64>, String>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..options.threads.max(1)).map(|_| scope.spawn(work)).collect();
        let result = |worker: thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|_| Err("a run panicked".to_owned()))
        };
        workers.into_iter().map(result).collect()
    });
    match results.into_iter().collect::<Result<Vec<_>, _>>() {
        Ok(ratios) => {
            if let Some(ratio) = report::median(ratios.concat()) {
                println!("median last/bound {ratio:.3}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers how much longer than the bound the last node took, if all came to an end.
fn run_one(options: &Options, seed: u64) -> Result<Option<f64>, String> {
    let swarm = options.shape.swarm(seed, &flash(&options.shape));
    let mut swarm = swarm.map_err(|error| error.to_string())?;
    swarm.run(options.limit, |swarm| swarm.incomplete() == 0);
    let report = Report::of(&swarm);
    print_line(seed, &report, swarm.digest());
    Ok(report.last().map(|last| last / report.bound))
}

fn print_line(seed: u64, report: &Report, digest: u64) {
    let show = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
    let unfinished = report.times.iter().filter(|time| time.is_none()).count();
    println!(
        "seed {seed}: last {} s  median {} s  bound {:.2} s  last/bound {}  seed sent {:.2} F, first copy after {} F  wasted {:.2}%  upload use {:.0}%  honest bans {}  unfinished {unfinished}  run {digest:016x}",
        show(report.last()),
        show(report.median()),
        report.bound,
        show(report.last().map(|last| last / report.bound)),
        report.seed_sent,
        show(report.first_copy),
        100.0 * report.wasted,
        100.0 * report.upload_use,
        report.honest_bans,
    );
}
