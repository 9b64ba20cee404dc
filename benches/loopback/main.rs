//! Moves a torrent from one session to others in this process, over real sockets of the loopback interface and real
//! files, and says how fast that was and how much of the processor it took.
//!
//! `cargo bench --bench loopback -- --size 1GiB --files 2000 --leechers 4`
//!
//! It is a gauge for work on the data path: one command, no root, nothing to install. What it cannot say is how shoal
//! compares with other programs; `docs/performance.md` tells how that is measured. Each session has a thread and a
//! runtime of its own, as a process of `shoal` has. What is measured begins when the sessions wait for peers and ends
//! when the last leecher is complete: no hashing at the seeder, no start of a process, no tracker. Afterwards all that
//! came is hashed once more and has to be right.

mod content;
mod swarm;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;

use content::{Content, Shape};

const MEBIBYTE: f64 = 1_048_576.0;
const GIBIBYTE: f64 = 1024.0 * MEBIBYTE;

/// Moves a torrent between sessions in one process over loopback sockets; prints MB/s and CPU-seconds a GiB.
#[derive(Parser)]
#[command(name = "loopback")]
struct Options {
    /// Bytes of content, as 512MiB or 4GiB.
    #[arg(long, default_value = "512MiB", value_parser = size)]
    size: u64,
    /// Bytes of a piece, as 64KiB or 16MiB; by default what `shoal create` would take.
    #[arg(long, value_parser = size)]
    piece: Option<u64>,
    /// Files of equal length; 1 is a torrent of a single file.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    files: u32,
    /// Sessions that download, all at once.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=200))]
    leechers: u16,
    /// How often.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Where the temporary folders are made, to measure another disk.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,
    /// What `cargo bench` adds; it means nothing.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Bytes, with a binary unit or none.
fn size(text: &str) -> Result<u64, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let shift = match unit {
        "" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(format!("'{text}' is no size; write it like 64KiB, 512MiB or 4GiB")),
    };
    let number: u64 = number.parse().map_err(|_| format!("'{text}' begins with no number"))?;
    number.checked_mul(1 << shift).filter(|&bytes| bytes > 0).ok_or_else(|| format!("'{text}' is too much"))
}

/// What one run took.
#[derive(Clone, Copy, Debug)]
struct Taken {
    /// From when all might begin until the last was complete.
    wall: Duration,
    /// Of all threads of this process in that time: both sides, and the kernel's work for them.
    cpu: Duration,
}

/// One run in the figures that are printed. `moved` is what all leechers together received, in bytes.
#[derive(Clone, Copy)]
struct Figures {
    megabytes_per_second: f64,
    cpu_seconds_per_gibibyte: f64,
}

impl Figures {
    fn new(taken: Taken, moved: f64) -> Self {
        Self {
            megabytes_per_second: moved / 1e6 / taken.wall.as_secs_f64(),
            cpu_seconds_per_gibibyte: taken.cpu.as_secs_f64() / (moved / GIBIBYTE),
        }
    }
}

fn main() -> ExitCode {
    match bench(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench(options: &Options) -> Result<()> {
    let piece_length = match options.piece {
        Some(bytes) => u32::try_from(bytes).context("pieces that long are not allowed")?,
        None => metainfo::automatic_piece_length(options.size),
    };
    let shape = Shape { length: options.size, files: options.files, piece_length };
    let content = Content::make(&options.dir, shape)?;
    #[expect(clippy::cast_precision_loss, reason = "figures of three digits are made of it")]
    let moved = options.size as f64 * f64::from(options.leechers);
    println!(
        "{:.1} MiB in {} file(s) and pieces of {} KiB, 1 seeder, {} leecher(s)",
        moved / f64::from(options.leechers) / MEBIBYTE,
        options.files,
        piece_length >> 10,
        options.leechers
    );
    let mut runs = Vec::new();
    // Emptied after each run, so that every run has memory for its files that was used before; deleted after all, since
    // ext4 passes over files deleted in the last minutes one by one when it makes new ones.
    let mut kept = Vec::new();
    for run in 1..=options.runs {
        let roots = swarm::roots(&options.dir, options.leechers)?;
        let taken = swarm::transfer(&content, &roots)?;
        for root in &roots {
            if !content.is_all_in(root.path())? {
                bail!("run {run}: what came is not what was sent");
            }
        }
        let figures = Figures::new(taken, moved);
        print_line(&format!("run {run}"), figures);
        runs.push(figures);
        roots.iter().try_for_each(|root| content::empty(root.path()))?;
        kept.push(roots);
    }
    let median_of = |figure: fn(&Figures) -> f64| median(runs.iter().map(figure).collect());
    print_line(
        "median",
        Figures {
            megabytes_per_second: median_of(|run| run.megabytes_per_second),
            cpu_seconds_per_gibibyte: median_of(|run| run.cpu_seconds_per_gibibyte),
        },
    );
    Ok(())
}

fn print_line(name: &str, figures: Figures) {
    let Figures { megabytes_per_second, cpu_seconds_per_gibibyte } = figures;
    println!(
        "{name:8} {megabytes_per_second:8.1} MB/s {cpu_seconds_per_gibibyte:8.2} CPU-seconds a GiB, all good"
    );
}

/// The middle one, or the mean of the two that are; of at least one.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    let upper = figures.get(middle).copied().unwrap_or(f64::NAN);
    match figures.get(middle.wrapping_sub(1)) {
        Some(lower) if figures.len().is_multiple_of(2) => f64::midpoint(*lower, upper),
        _ => upper,
    }
}
