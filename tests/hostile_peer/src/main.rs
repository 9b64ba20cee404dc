//! Prints what the program under attack answers, row by row.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use hostile_peer::{ROWS, Report, poison};

/// Of so many blocks one is wrong.
const POISON: [u32; 2] = [1, 10];

/// Attacks the program as no honest peer does, while it transfers something with an honest one.
#[derive(Debug, Parser)]
struct Options {
    /// The program that is attacked.
    #[arg(long, default_value = "target/release/shoal")]
    program: PathBuf,
    /// The rows that are played; all without.
    rows: Vec<u8>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let program = options.program.canonicalize().unwrap_or(options.program);
    let is_wanted = |number: u8| options.rows.is_empty() || options.rows.contains(&number);
    let mut failed = false;
    let mut say = |number: u8, behaviour: &str, played: Result<String>| match played {
        Ok(line) => println!("{line}"),
        Err(error) => {
            failed = true;
            println!("| {number} | | {behaviour} | FAILED: {error:#} | | |");
        }
    };
    println!("{}", Report::HEAD);
    for row in ROWS.iter().filter(|row| is_wanted(row.number)) {
        say(row.number, row.behaviour, row.play(&program).map(|report| report.to_string()));
    }
    for every in POISON.into_iter().filter(|_| is_wanted(33)) {
        say(33, "poisons", poison::play(&program, every).map(|report| report.to_string()));
    }
    if !failed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
