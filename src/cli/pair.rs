//! Pairs of options that switch one thing on and off: `--pex` and `--no-pex`.
//!
//! Invariant: of the two, the one from the stronger source decides (command line, variable, then file and default); on
//! the command line that is the last one.

use std::marker::PhantomData;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches};

/// What a pair switches.
pub(crate) trait Switched {
    /// The option that switches it on, as it is by default, and what is said of it.
    const ON: (&'static str, &'static str);
    /// The same of the one that switches it off.
    const OFF: (&'static str, &'static str);
}

/// Peer exchange.
#[derive(Debug)]
pub(crate) struct PeerExchange;

impl Switched for PeerExchange {
    const ON: (&'static str, &'static str) = (
        "pex",
        "Tell peers of each other and ask those that they tell of; not of private torrents [default]",
    );
    const OFF: (&'static str, &'static str) = ("no-pex", "Do neither");
}

/// Whether it is on.
#[derive(Debug)]
pub(crate) struct Pair<S> {
    /// See the type.
    pub(crate) on: bool,
    what: PhantomData<S>,
}

impl<S: Switched> clap::Args for Pair<S> {
    fn augment_args(command: clap::Command) -> clap::Command {
        let option = |(name, help): (&'static str, &'static str), other: &'static str| {
            Arg::new(name).long(name).help(help).action(ArgAction::SetTrue).overrides_with(other)
        };
        command.arg(option(S::ON, S::OFF.0).default_value("true")).arg(option(S::OFF, S::ON.0))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl<S: Switched> clap::FromArgMatches for Pair<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let [on, off] = [S::ON.0, S::OFF.0];
        let source = |name| matches.value_source(name).unwrap_or(ValueSource::DefaultValue);
        let on = match source(on).cmp(&source(off)) {
            std::cmp::Ordering::Greater => matches.get_flag(on),
            std::cmp::Ordering::Less => !matches.get_flag(off),
            std::cmp::Ordering::Equal => matches.get_flag(on) && !matches.get_flag(off),
        };
        Ok(Self { on, what: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
