//! The arguments, as clap reads them: one file a group of commands.
//!
//! Invariant: every option has a variable `SHOAL_NAME` and a key in the configuration file, made from its long
//! name here and nowhere else. Nothing is done here.

mod create;
mod inspect;
mod misc;
mod pair;
mod track;
mod transfer;
pub(crate) mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub(crate) use create::{CreateArgs, MakeArgs};
pub(crate) use inspect::{MagnetArgs, ShowArgs, VerifyArgs};
pub(crate) use misc::{CompletionsArgs, ManArgs};
pub(crate) use track::{ScrapeArgs, TrackerArgs};
pub(crate) use transfer::{DownloadArgs, NetworkArgs, SeedArgs, ShareArgs};

use crate::config;
use crate::exit::{self, Exit};
use crate::io::Io;

/// BitTorrent in one binary: make a torrent, run a tracker, seed, download.
#[derive(Debug, Parser)]
#[command(name = "shoal", version, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "Each option has a variable (--max-peers is SHOAL_MAX_PEERS) and a key in \
    $XDG_CONFIG_HOME/shoal/config.toml. An option goes before its variable, that before the file.\n\
    \n\
    Exit codes: 0 done, 1 error, 2 usage, 3 data does not match, 4 timed out, 5 disk, 129/130/143 interrupted.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is there to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a torrent of a file or folder.
    Create(CreateArgs),
    /// Show everything that a torrent or magnet link says.
    Show(ShowArgs),
    /// Hash the data and name each bad file and piece.
    Verify(VerifyArgs),
    /// Print the magnet link of a torrent.
    Magnet(MagnetArgs),
    /// Seed torrents, or files and folders that are made into torrents first.
    Seed(SeedArgs),
    /// Download torrents, uploading at the same time.
    #[command(alias = "get")]
    Download(DownloadArgs),
    /// Share a file or folder with one command: torrent, tracker and seed together.
    Share(ShareArgs),
    /// Run a tracker.
    Tracker(TrackerArgs),
    /// Ask trackers for the numbers of seeders, leechers and completed downloads.
    Scrape(ScrapeArgs),
    /// Print a script that completes shoal's arguments in a shell.
    Completions(CompletionsArgs),
    /// Write the manual pages into a folder.
    Man(ManArgs),
}

/// Options of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct GlobalArgs {
    /// Say nothing but results and errors.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more; twice, much more.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Keep what is said in this file as well, and the log there instead of on stderr; with --json an object a line.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,
    /// Print results as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colour (NO_COLOR is obeyed).
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        hide_possible_values = true
    )]
    pub(crate) color: When,
    /// How to show progress: auto, bar, plain, json or none.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "KIND",
        hide_possible_values = true
    )]
    pub(crate) progress: ProgressKind,
    /// Read this configuration file.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How to show progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressKind {
    /// Bars on a terminal, else plain lines.
    #[default]
    Auto,
    /// Bars.
    Bar,
    /// A line now and then.
    Plain,
    /// One JSON object a line.
    Json,
    /// Nothing.
    None,
}

/// The whole command as clap knows it, variables included.
pub(crate) fn command() -> clap::Command {
    with_variables(Cli::command())
}

/// The variable of an option.
fn variable(long: &str) -> String {
    format!("SHOAL_{}", long.replace('-', "_").to_uppercase())
}

/// Gives each option of a command and its subcommands its variable.
fn with_variables(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| {
            let Some(long) = arg.get_long().map(str::to_owned) else { return arg };
            if matches!(
                arg.get_action(),
                ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
            ) {
                return arg;
            }
            let arg = arg.env(variable(&long)).hide_env(true);
            if matches!(arg.get_action(), ArgAction::SetTrue) {
                arg.value_parser(BoolishValueParser::new())
            } else {
                arg
            }
        })
        .mut_subcommands(with_variables)
}

/// Reads the arguments; help, version and mistakes are printed, and end the run.
pub(crate) fn parse(args: &[OsString], io: &mut Io) -> Result<Cli, Exit> {
    let named = command()
        .ignore_errors(true)
        .try_get_matches_from(args)
        .ok()
        .and_then(|matches| matches.get_one::<PathBuf>("config").cloned());
    let command = config::load(named.as_deref(), io)
        .and_then(|file| config::apply(command(), file.as_ref()))
        .map_err(|error| {
            io.complain(&error);
            exit::code_of(&error)
        })?;
    let matches = command.try_get_matches_from(args).and_then(|matches| Cli::from_arg_matches(&matches));
    matches.map_err(|error| match variable_of(&error, args, io) {
        Some(variable) => {
            let text = error.render().to_string();
            let line = text.lines().next().unwrap_or_default();
            io.complain(&anyhow::anyhow!("{variable}: {}", line.strip_prefix("error: ").unwrap_or(line)));
            Exit::Usage
        }
        None => report(&error, io),
    })
}

/// The variable that a wrong value comes from, if it is not one of the arguments: clap does not say.
fn variable_of(error: &clap::Error, args: &[OsString], io: &Io) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (option, value) = (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue)?);
    let long = option.strip_prefix("--")?.split(' ').next()?;
    let variable = variable(long);
    let given = args.iter().any(|arg| arg.to_string_lossy().ends_with(value));
    (!given && (io.env)(&variable).is_some_and(|there| there == value)).then_some(variable)
}

/// Prints what clap has to say, which may be the help that was asked for.
fn report(error: &clap::Error, io: &mut Io) -> Exit {
    let no_color = (io.env)("NO_COLOR").is_some_and(|value| !value.is_empty());
    let terminal = if error.use_stderr() { io.stderr_terminal } else { io.stdout_terminal };
    let text = match terminal.is_terminal() && !no_color {
        true => error.render().ansi().to_string(),
        false => error.render().to_string(),
    };
    // A reader that has gone away (`| head`) wanted no more of it.
    if error.use_stderr() {
        let _ = io.stderr.write_all(text.as_bytes());
        Exit::Usage
    } else {
        let _ = io.stdout.write_all(text.as_bytes()).and_then(|()| io.stdout.flush());
        Exit::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_option_has_a_variable() {
        fn check(command: &clap::Command) {
            for arg in command.get_arguments() {
                if let Some(long) = arg.get_long().filter(|long| !matches!(*long, "help" | "version")) {
                    let variable = arg.get_env().and_then(|name| name.to_str()).unwrap_or_default();
                    assert_eq!(variable, format!("SHOAL_{}", long.replace('-', "_").to_uppercase()));
                }
            }
            command.get_subcommands().for_each(check);
        }
        check(&command());
    }
}
