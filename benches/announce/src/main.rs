//! `announce`: see the library.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("error: this program needs Linux");
    std::process::ExitCode::FAILURE
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{BufWriter, Write as _};
    use std::process::ExitCode;

    use announce::{Command, Options};
    use anyhow::Result;
    use clap::Parser as _;

    pub(crate) fn main() -> ExitCode {
        match run(&Options::parse()) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        }
    }

    /// Gives whether all is well.
    fn run(options: &Options) -> Result<bool> {
        let mut out = BufWriter::new(std::io::stdout().lock());
        let good = match &options.command {
            Command::Load(load) => {
                let report = announce::load(load)?;
                if load.json {
                    writeln!(out, "{}", serde_json::to_string(&report)?)?;
                } else {
                    writeln!(out, "{report}")?;
                }
                report.is_good()
            }
            Command::Hashes(hashes) => {
                announce::hashes(hashes).try_for_each(|hash| writeln!(out, "{hash}"))?;
                true
            }
            Command::Dribble(options) => {
                writeln!(out, "{}", announce::dribble(options)?)?;
                true
            }
        };
        out.flush()?;
        Ok(good)
    }
}
