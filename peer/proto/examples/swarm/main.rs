//! Runs simulated swarms and prints how they did, a line a seed; or all of them as a table.
//!
//! `cargo run --release -p peer-proto --features simulation --example swarm -- flash --leechers 100 --seeds 1-3`
//!
//! `cargo run --release -p peer-proto --features simulation --example swarm -- table --seeds 1-20 --tick 1000`

mod options;
mod run;

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use options::Options;
use peer_proto::simulation::scenario;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(error) => return usage(&error),
    };
    let done = match (name.as_str(), scenario::named(&name)) {
        ("table", _) => run::table(&options, &mut io::stdout()),
        (_, Some(scenario)) => run::scenario(&options, &scenario, &mut io::stdout()),
        _ => return usage(&format!("there is no scenario {name:?}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read it has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn usage(error: &str) -> ExitCode {
    let names: Vec<&str> = scenario::all().iter().map(|scenario| scenario.name).collect();
    eprintln!("{error}\n{}\nscenarios: {}", options::USAGE, names.join(" "));
    ExitCode::from(2)
}
