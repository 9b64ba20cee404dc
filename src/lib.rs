//! The command line of shoal: arguments in, results on stdout, progress and logs on stderr, an exit code out.
//!
//! Invariant: nothing here reads the process's streams or working folder by itself. They come in as an [`Io`],
//! so that a test runs a whole command without a process. (Two things stay the process's own: `SHOAL_*`
//! variables, which the argument parser reads, and signals, which [`Io::process`] hooks up.)
//!
//! It decides nothing about the protocol: that is `metainfo`, `storage`, `tracker` and `peer`.

mod cli;
mod commands;
mod config;
mod exit;
mod io;
mod logging;
mod output;
mod signals;

use std::ffi::OsString;

pub use exit::Exit;
pub use io::{Environment, Io};
pub use output::terminal::Terminal;
pub use signals::{Interrupt, Signal};

/// Runs one command line, the program's name first, and says how it ended.
///
/// Errors are printed as one line on stderr; none is returned.
pub fn run(args: impl IntoIterator<Item = OsString>, io: &mut Io) -> Exit {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match cli::parse(&args, io) {
        Ok(cli) => cli,
        Err(exit) => return exit,
    };
    let mut context = match commands::Context::new(&cli.global, io) {
        Ok(context) => context,
        Err(error) => {
            io.complain(&error);
            return exit::code_of(&error);
        }
    };
    let ended = commands::run(cli.command, &mut context);
    context.finish(ended)
}
