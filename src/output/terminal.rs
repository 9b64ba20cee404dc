//! What a stream is shown on: a terminal of some size, or nothing (a file, a pipe).
//!
//! It writes nothing.

use std::io::IsTerminal;

use crate::io::Environment;

/// The columns and rows of a terminal that does not say.
const USUAL_SIZE: (usize, usize) = (80, 24);

/// Whether the terminal breaks rows into more when it becomes narrower, as most do that are in use. xterm, screen and the
/// console of Linux cut them.
pub(crate) fn breaks_rows(env: &Environment) -> bool {
    let is_console = env("TERM").is_some_and(|term| term == "linux");
    !is_console && env("XTERM_VERSION").is_none() && env("STY").is_none()
}

/// What a stream is shown on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminal {
    /// A file or a pipe.
    None,
    /// A terminal of this size, for tests.
    Fixed {
        /// Columns.
        columns: usize,
        /// Rows.
        rows: usize,
    },
    /// The process's stdout.
    Stdout,
    /// The process's stderr.
    Stderr,
}

impl Terminal {
    /// The process's stdout, if that is a terminal.
    #[must_use]
    pub fn stdout() -> Self {
        if std::io::stdout().is_terminal() { Self::Stdout } else { Self::None }
    }

    /// The process's stderr, if that is a terminal.
    #[must_use]
    pub fn stderr() -> Self {
        if std::io::stderr().is_terminal() { Self::Stderr } else { Self::None }
    }

    /// Whether someone looks at it.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        self != Self::None
    }

    /// Columns and rows now: people pull at windows. `None` if it is no terminal.
    #[must_use]
    pub fn size(self) -> Option<(usize, usize)> {
        let asked = match self {
            Self::None => return None,
            Self::Fixed { columns, rows } => return Some((columns, rows)),
            Self::Stdout => rustix::termios::tcgetwinsize(std::io::stdout()),
            Self::Stderr => rustix::termios::tcgetwinsize(std::io::stderr()),
        };
        match asked {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                Some((usize::from(size.ws_col), usize::from(size.ws_row)))
            }
            _ => Some(USUAL_SIZE),
        }
    }
}
