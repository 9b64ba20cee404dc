//! What each command does: one file a command, and what several share.
//!
//! A command takes its arguments and a [`Context`], writes results and progress there, and says how it ended.

mod add;
mod create;
mod download;
mod files;
mod load;
mod magnet;
mod make;
mod misc;
mod network;
mod output_file;
mod print_config;
mod progress;
mod scrape;
mod seed;
mod several;
mod share;
mod show;
mod summary;
mod tracker;
mod transfer;
mod verify;

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use metainfo::display_safe;

use crate::cli::{Command, GlobalArgs, When};
use crate::exit::{Exit, code_of, failure, reason};
use crate::io::{Environment, Io};
use crate::logging::{self, LogFile};
use crate::output::results::{ReaderGone, Results};
use crate::output::screen::{Mode, Screen};
use crate::output::style::Style;
use crate::output::terminal::{self, Terminal};
use crate::signals::Interrupt;

/// What a command works with.
pub(crate) struct Context<'a> {
    /// stdout.
    pub(crate) results: Results<'a>,
    /// stderr.
    pub(crate) screen: Screen,
    /// What `-` reads.
    pub(crate) stdin: &'a mut dyn Read,
    /// Where relative paths start.
    pub(crate) cwd: PathBuf,
    /// Environment variables.
    pub(crate) env: &'a Environment,
    /// This program.
    pub(crate) program: &'a Path,
    /// Ctrl-C and SIGTERM.
    pub(crate) interrupt: Interrupt,
    /// Whether results are to be JSON.
    pub(crate) json: bool,
    /// Where the log is kept, if in a file.
    pub(crate) log: Option<LogFile>,
}

impl<'a> Context<'a> {
    /// The surroundings of a command, by the options that all commands have.
    ///
    /// # Errors
    /// If the log file cannot be opened.
    pub(crate) fn new(global: &GlobalArgs, io: &'a mut Io) -> Result<Self> {
        let no_color = (io.env)("NO_COLOR").is_some_and(|value| !value.is_empty());
        let style = |terminal: Terminal| {
            Style::new(match global.color {
                When::Always => true,
                When::Never => false,
                When::Auto => terminal.is_terminal() && !no_color,
            })
        };
        let mode = Mode::choose(global.progress, global.quiet, io.stderr_terminal);
        let log = global.log_file.as_ref().map(|path| open_log(io.cwd.join(path))).transpose()?;
        let stderr = std::mem::replace(&mut io.stderr, Box::new(std::io::sink()));
        let style_of_screen = style(io.stderr_terminal);
        let breaks_rows = terminal::breaks_rows(&io.env);
        let screen =
            Screen::new(stderr, io.stderr_terminal, mode, global.quiet, style_of_screen, breaks_rows);
        if io.owns_process {
            logging::install(&screen, log.clone(), global.json, logging::level(global.quiet, global.verbose));
        }
        Ok(Self {
            results: Results::new(&mut *io.stdout, io.stdout_terminal, style(io.stdout_terminal)),
            screen,
            stdin: &mut *io.stdin,
            cwd: io.cwd.clone(),
            env: &io.env,
            program: &io.program,
            interrupt: io.interrupt.clone(),
            json: global.json,
            log,
        })
    }

    /// Ends a command: says what went wrong, and which code that is.
    pub(crate) fn finish(&mut self, ended: Result<Exit>) -> Exit {
        let ended = ended.and_then(|exit| self.results.flush().map(|()| exit));
        match ended {
            Ok(exit) => exit,
            Err(error) if error.is::<ReaderGone>() => Exit::Done,
            Err(error) => {
                // What was found before it went wrong is still worth having.
                let _ = self.results.flush();
                self.screen.error(&display_safe(&format!("{error:#}")));
                code_of(&error)
            }
        }
    }

    /// A flag for work on other threads that the first signal sets.
    pub(crate) fn cancel_on_signal(&self) -> storage::Cancel {
        let cancel = storage::Cancel::new();
        let set = cancel.clone();
        self.interrupt.on_signal(move || set.cancel());
        cancel
    }

    /// An error about files as one about the command: with its code, and in one line.
    pub(crate) fn storage_error(&self, error: &storage::StorageError) -> anyhow::Error {
        match (error.kind, self.interrupt.received()) {
            (storage::StorageErrorKind::Interrupted, Some(signal)) => failure(signal.exit(), "interrupted"),
            _ => {
                let io = std::io::Error::new(error.io_kind(), "");
                let code = match error.source.raw_os_error() {
                    Some(number) => code_of(&std::io::Error::from_raw_os_error(number).into()),
                    None => code_of(&io.into()),
                };
                // As the user named it, who need not know where the command was started.
                let near =
                    error.path.strip_prefix(&self.cwd).ok().filter(|near| !near.as_os_str().is_empty());
                let text = match near {
                    Some(near) => error.to_string().replacen(&shown(&error.path), &shown(near), 1),
                    None => error.to_string(),
                };
                failure(code, text)
            }
        }
    }
}

/// A path as it can be printed.
pub(crate) fn shown(path: &Path) -> String {
    display_safe(&path.to_string_lossy())
}

/// An argument as it can be printed. One without letters, such as a variable that is not set, is there to be seen.
pub(crate) fn shown_argument(argument: &OsString) -> String {
    if argument.is_empty() { "''".to_owned() } else { display_safe(&argument.to_string_lossy()) }
}

/// An error of the system about a path.
pub(crate) fn path_error(path: &Path, error: std::io::Error) -> anyhow::Error {
    let text = format!("{}: {}", shown(path), reason(&error));
    failure(code_of(&error.into()), text)
}

fn open_log(path: PathBuf) -> Result<LogFile> {
    let name = shown(&path);
    LogFile::open(path)
        .map_err(|error| anyhow!("{name}: {}", reason(&error)))
        .context("cannot write the log file")
}

/// Threads that hash, unless told otherwise: one a core.
pub(crate) fn threads(asked: Option<u16>) -> usize {
    asked.map_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get), usize::from)
}

/// Runs an asynchronous command on a runtime of its own: one thread, as everything is written for.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| anyhow!("cannot start: {}", reason(&error)))?;
    let ended = runtime.block_on(work);
    // A name look-up that hangs on a thread of the runtime must not keep the process.
    runtime.shutdown_background();
    ended
}

/// Runs a command.
pub(crate) fn run(command: Command, context: &mut Context<'_>) -> Result<Exit> {
    match command {
        Command::Create(args) => create::run(&args, context),
        Command::Show(args) => show::run(&args, context),
        Command::Verify(args) => verify::run(&args, context),
        Command::Magnet(args) => magnet::run(&args, context),
        Command::Seed(args) => seed::run(&args, context),
        Command::Download(args) => download::run(&args, context),
        Command::Share(args) => share::run(&args, context),
        Command::Tracker(args) => tracker::run(args, context),
        Command::Scrape(args) => scrape::run(&args, context),
        Command::Completions(args) => misc::completions(&args, context),
        Command::Man(args) => misc::man(&args, context),
    }
}
