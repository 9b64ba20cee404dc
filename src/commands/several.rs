//! What the arguments of a command name, where one that cannot be used must not keep the others.

use anyhow::Result;
use metainfo::{InfoHash, display_safe};

use super::Context;
use crate::exit::{Exit, code_of};

/// Torrents that arguments name: those that could be used, each once.
pub(super) struct Several<T> {
    arguments: usize,
    hash: fn(&T) -> InfoHash,
    found: Vec<T>,
    worst: Option<Exit>,
}

impl<T> Several<T> {
    /// Of so many arguments; `hash` says which torrent one is of.
    pub(super) fn new(arguments: usize, hash: fn(&T) -> InfoHash) -> Self {
        Self { arguments, hash, found: Vec::with_capacity(arguments), worst: None }
    }

    /// Takes what an argument names. The same torrent twice, by two names perhaps, is meant once.
    ///
    /// # Errors
    /// If it cannot be used and nothing else was named, or work was interrupted; else the error is told here.
    pub(super) fn take(&mut self, named: Result<T>, context: &Context<'_>) -> Result<()> {
        match named {
            Ok(one) => {
                let hash = (self.hash)(&one);
                if self.found.iter().all(|other| (self.hash)(other) != hash) {
                    self.found.push(one);
                }
                Ok(())
            }
            Err(error) if self.arguments > 1 && context.interrupt.received().is_none() => {
                context.screen.error(&display_safe(&format!("{error:#}")));
                self.worst.get_or_insert(code_of(&error));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// What can be used, in the order of the arguments, and the code of the first error.
    pub(super) fn into_found(self) -> (Vec<T>, Option<Exit>) {
        (self.found, self.worst)
    }
}
