//! What a command has of the outside: streams, working folder, environment, terminals, signals.
//!
//! It knows nothing of commands. [`Io::process`] is the real thing; tests put in buffers.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;

use crate::output::terminal::Terminal;
use crate::signals::Interrupt;

/// Looks up an environment variable.
pub type Environment = Box<dyn Fn(&str) -> Option<OsString>>;

/// The streams and surroundings of one command.
pub struct Io {
    /// Where `-` reads from.
    pub stdin: Box<dyn Read>,
    /// Where results go.
    pub stdout: Box<dyn Write>,
    /// Where progress and logs go; other threads write to it too.
    pub stderr: Box<dyn Write + Send>,
    /// What stdout is shown on.
    pub stdout_terminal: Terminal,
    /// What stderr is shown on.
    pub stderr_terminal: Terminal,
    /// The folder that relative paths start from; absolute.
    pub cwd: PathBuf,
    /// Environment variables other than `SHOAL_*`.
    pub env: Environment,
    /// The program itself, for the line that `share` prints.
    pub program: PathBuf,
    /// Ctrl-C and SIGTERM.
    pub interrupt: Interrupt,
    /// Whether logs of the whole process go to this command's stderr.
    pub owns_process: bool,
}

impl Io {
    /// The streams, folder, environment and signals of this process.
    #[must_use]
    pub fn process() -> Self {
        Self {
            stdin: Box::new(std::io::stdin()),
            stdout: Box::new(std::io::BufWriter::new(std::io::stdout())),
            stderr: Box::new(std::io::stderr()),
            stdout_terminal: Terminal::stdout(),
            stderr_terminal: Terminal::stderr(),
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            env: Box::new(|name| std::env::var_os(name)),
            program: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("shoal")),
            interrupt: Interrupt::of_process(),
            owns_process: true,
        }
    }

    /// Prints an error when nothing that could print it better is there yet.
    pub(crate) fn complain(&mut self, error: &anyhow::Error) {
        // If stderr is gone too there is nobody left to tell.
        let _ = writeln!(self.stderr, "error: {error:#}");
    }
}
