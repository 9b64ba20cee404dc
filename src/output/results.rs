//! stdout: what a command was asked for.
//!
//! Invariant: a reader that has gone away (`| head`) is no error, here or for the exit code; any other failure to
//! write is.

use std::io::{self, Write};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::json;
use super::style::Style;
use super::terminal::Terminal;

/// stdout.
pub(crate) struct Results<'a> {
    stdout: &'a mut dyn Write,
    terminal: Terminal,
    style: Style,
}

/// The reader of stdout has gone away: the command ends, quietly.
#[derive(Debug)]
pub(crate) struct ReaderGone;

impl std::fmt::Display for ReaderGone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the reader of the output has gone away")
    }
}

impl std::error::Error for ReaderGone {}

impl<'a> Results<'a> {
    /// Results that go to this stream.
    pub(crate) fn new(stdout: &'a mut dyn Write, terminal: Terminal, style: Style) -> Self {
        Self { stdout, terminal, style }
    }

    /// Columns, if someone looks at a terminal.
    pub(crate) fn columns(&self) -> Option<usize> {
        self.terminal.size().map(|(columns, _)| columns)
    }

    /// The colours of this stream.
    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// Writes a line.
    ///
    /// # Errors
    /// [`ReaderGone`], or that of the stream.
    pub(crate) fn line(&mut self, text: &str) -> Result<()> {
        told(self.stdout.write_all(text.as_bytes()).and_then(|()| self.stdout.write_all(b"\n")))
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// As [`Results::line`].
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        told(self.stdout.write_all(bytes))
    }

    /// Writes a value as one line of JSON.
    ///
    /// # Errors
    /// As [`Results::line`].
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        self.line(&json::encode(value))
    }

    /// Hands on what is buffered.
    ///
    /// # Errors
    /// As [`Results::line`].
    pub(crate) fn flush(&mut self) -> Result<()> {
        told(self.stdout.flush())
    }
}

fn told(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ReaderGone.into()),
        other => other.context("cannot write to stdout"),
    }
}
