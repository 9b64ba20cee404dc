//! The arguments of `completions` and `man`.

use std::path::PathBuf;

/// `shoal completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// `shoal man`.
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// The folder to write into; it is made if it is not there.
    pub(crate) dir: PathBuf,
}
