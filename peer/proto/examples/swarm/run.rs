//! Runs the seeds of a scenario, as many at once as there are threads.

use std::io::{self, Write};
use std::sync::Mutex;
use std::time::Duration;
use std::{fs, thread};

use peer_proto::simulation::report::{Progress, fluid_bound, median, peers_csv, plot, progress_csv};
use peer_proto::simulation::scenario::{Scenario, all};
use peer_proto::simulation::{Report, Swarm};

use super::options::Options;

/// Looks at a run while fluid would need its time.
const LOOKS: u32 = 100;

/// One run.
struct Outcome {
    seed: u64,
    report: Report,
    /// What its bar measures.
    measured: Option<f64>,
    digest: u64,
}

/// Runs a scenario and prints a line a seed.
pub(crate) fn scenario(
    options: &Options,
    scenario: &Scenario,
    out: &mut (impl Write + Send),
) -> io::Result<()> {
    let outcomes = run(options, scenario, |outcome| print_line(out, scenario, outcome))?;
    let ratios: Vec<f64> = outcomes.iter().filter_map(|outcome| outcome.report.ratio()).collect();
    if let Some(ratio) = median(ratios) {
        writeln!(out, "median end/bound {ratio:.3}")?;
    }
    if let Some((value, is_met)) = verdict(scenario, &outcomes) {
        writeln!(out, "{}: {value}, {is_met}", scenario.bar.map_or_else(String::new, |bar| bar.to_string()))?;
    }
    Ok(())
}

/// Runs all scenarios that have a bar and prints a table of them in Markdown.
pub(crate) fn table(options: &Options, out: &mut (impl Write + Send)) -> io::Result<()> {
    writeln!(
        out,
        "| Scenario | Peers | Pieces | Up | One way | What happens | Bar | Reached | Met | End/bound | Seed sent | Wasted | Uplinks used |\n\
         | --- | --: | --: | --: | --: | --- | --- | --: | --- | --: | --: | --: | --: |"
    )?;
    for scenario in all().iter().filter(|scenario| scenario.bar.is_some() && options.wants(scenario.name)) {
        let shape = options.shape(&scenario.shape).map_err(io::Error::other)?;
        let outcomes = run(options, scenario, |_| Ok(()))?;
        let (value, is_met) = verdict(scenario, &outcomes).unwrap_or_default();
        let middle = |of: fn(&Report) -> Option<f64>| {
            median(outcomes.iter().filter_map(|run| of(&run.report)).collect())
        };
        let percent = |value: Option<f64>| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{:.1}%", 100.0 * value))
        };
        writeln!(
            out,
            "| {} | 1 → {} | {} × {} KiB | {} Mbit/s | {} ms | {} | {} | {value} | {is_met} | {} | {} F | {} | {} |",
            scenario.name,
            shape.leechers,
            shape.pieces.0,
            shape.pieces.1 / 1024,
            shape.up.unwrap_or(0) / 125_000,
            shape.latency.as_millis(),
            scenario.what,
            scenario.bar.map_or_else(String::new, |bar| bar.to_string()),
            show(middle(Report::ratio)),
            show(middle(|report| Some(report.seed_sent))),
            percent(middle(|report| Some(report.wasted))),
            percent(middle(|report| Some(report.upload_use))),
        )?;
        out.flush()?;
    }
    Ok(())
}

/// What a scenario reached, and whether that is enough.
fn verdict(scenario: &Scenario, outcomes: &[Outcome]) -> Option<(String, &'static str)> {
    let bar = scenario.bar?;
    let values: Vec<Option<f64>> = outcomes.iter().map(|outcome| outcome.measured).collect();
    Some(match bar.of_runs(&values) {
        Some(value) => (bar.show(value), if bar.is_met(value) { "met" } else { "not met" }),
        None => ("-".to_owned(), "not met"),
    })
}

/// Runs each seed and tells of each when it is done.
fn run(
    options: &Options,
    scenario: &Scenario,
    told: impl FnMut(&Outcome) -> io::Result<()> + Send,
) -> io::Result<Vec<Outcome>> {
    let told = Mutex::new(told);
    let seeds = Mutex::new(options.seeds.clone());
    let work = || -> io::Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        while let Some(seed) = lock(&seeds)?.next() {
            let outcome = run_one(options, scenario, seed)?;
            (lock(&told)?)(&outcome)?;
            outcomes.push(outcome);
        }
        Ok(outcomes)
    };
    let results: Vec<io::Result<Vec<Outcome>>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..options.threads.max(1)).map(|_| scope.spawn(work)).collect();
        let result = |worker: thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|_| Err(io::Error::other("a run panicked")))
        };
        workers.into_iter().map(result).collect()
    });
    Ok(results.into_iter().collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
}

fn lock<T>(mutex: &Mutex<T>) -> io::Result<std::sync::MutexGuard<'_, T>> {
    mutex.lock().map_err(|_| io::Error::other("a run panicked"))
}

fn run_one(options: &Options, scenario: &Scenario, seed: u64) -> io::Result<Outcome> {
    let shape = options.shape(&scenario.shape).map_err(io::Error::other)?;
    let mut swarm = scenario.swarm(&shape, seed).map_err(io::Error::other)?;
    let every = options.every.unwrap_or_else(|| {
        let bound = Duration::try_from_secs_f64(fluid_bound(&swarm)).unwrap_or_default();
        (bound / LOOKS).max(Duration::from_millis(20))
    });
    let progress = Progress::run(&mut swarm, options.limit, every);
    if seed == *options.seeds.start() {
        write_files(options, scenario, &swarm, &progress)?;
    }
    let measured = scenario.bar.and_then(|bar| bar.measure(&swarm, &progress));
    Ok(Outcome { seed, report: Report::of(&swarm), measured, digest: swarm.digest() })
}

#[expect(clippy::disallowed_methods, reason = "a program writes files, only the package must not")]
fn write_files(options: &Options, scenario: &Scenario, swarm: &Swarm, progress: &Progress) -> io::Result<()> {
    if let Some(directory) = &options.csv {
        fs::create_dir_all(directory)?;
        fs::write(directory.join(format!("{}-peers.csv", scenario.name)), peers_csv(swarm))?;
        fs::write(directory.join(format!("{}-progress.csv", scenario.name)), progress_csv(progress))?;
    }
    if let Some(file) = &options.svg {
        fs::write(file, plot(swarm, progress, &format!("{}: {}", scenario.name, scenario.what)))?;
    }
    Ok(())
}

fn show(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}

fn print_line(out: &mut impl Write, scenario: &Scenario, outcome: &Outcome) -> io::Result<()> {
    let Outcome { seed, report, digest, measured } = outcome;
    let reached = scenario
        .bar
        .zip(*measured)
        .map_or_else(String::new, |(bar, value)| format!("reached {}  ", bar.show(value)));
    writeln!(
        out,
        "seed {seed}: {reached}end {} s  median {} s  bound {:.2} s  end/bound {}  seed sent {:.2} F, first copy after {} F  wasted {:.2}%  upload use {:.0}%  honest bans {}  unfinished {}  run {digest:016x}",
        show(report.end),
        show(report.median()),
        report.bound,
        show(report.ratio()),
        report.seed_sent,
        show(report.first_copy),
        100.0 * report.wasted,
        100.0 * report.upload_use,
        report.honest_bans,
        report.unfinished(),
    )
}
