//! `shoal completions` and `shoal man`.

use anyhow::Result;

use super::{Context, path_error, shown};
use crate::cli::{self, CompletionsArgs, ManArgs};
use crate::exit::{Exit, code_of, failure, reason};

/// Prints a completion script.
pub(super) fn completions(args: &CompletionsArgs, context: &mut Context<'_>) -> Result<Exit> {
    // The generator panics when its stream fails, so it gets one that cannot.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::command(), "shoal", &mut script);
    context.results.bytes(&script)?;
    Ok(Exit::Done)
}

/// Writes the manual pages.
pub(super) fn man(args: &ManArgs, context: &mut Context<'_>) -> Result<Exit> {
    let folder = context.cwd.join(&args.dir);
    std::fs::create_dir_all(&folder).map_err(|error| path_error(&args.dir, error))?;
    clap_mangen::generate_to(cli::command(), &folder).map_err(|error| {
        let text = format!("cannot write the manual pages into {}: {}", shown(&args.dir), reason(&error));
        failure(code_of(&error.into()), text)
    })?;
    context.screen.say(&format!("the manual pages are in {}", shown(&args.dir)));
    Ok(Exit::Done)
}
