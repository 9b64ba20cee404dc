//! Commands run in this process, their streams, folder and environment put in.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use shoal::{Exit, Interrupt, Io, Terminal};

/// A stream that is kept.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// How a command ended, and what it wrote.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Outcome {
    /// stdout as text.
    pub(crate) fn out(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// stdout as one JSON value.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The same, which must have been done.
    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.exit, Exit::Done, "{self:?}");
        self
    }

    /// Asserts that it ended so, with this as its only line of error.
    #[track_caller]
    pub(crate) fn failed(&self, exit: Exit, error: &str) {
        assert_eq!((self.exit, self.stderr.as_str()), (exit, format!("error: {error}\n").as_str()));
    }
}

/// The surroundings of one command.
pub(crate) struct Inside<'a> {
    cwd: &'a Path,
    stdin: Vec<u8>,
    terminal: Terminal,
    env: Vec<(&'static str, OsString)>,
}

/// A command in this folder, with no terminal and no environment.
pub(crate) fn inside(cwd: &Path) -> Inside<'_> {
    Inside { cwd, stdin: Vec::new(), terminal: Terminal::None, env: Vec::new() }
}

impl Inside<'_> {
    /// What it reads from stdin.
    pub(crate) fn stdin(self, bytes: &[u8]) -> Self {
        Self { stdin: bytes.to_vec(), ..self }
    }

    /// Shows both streams on a terminal of so many columns.
    pub(crate) fn terminal(self, columns: usize) -> Self {
        Self { terminal: Terminal::Fixed { columns, rows: 24 }, ..self }
    }

    /// Sets a variable.
    pub(crate) fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// Runs it.
    pub(crate) fn run<S: Into<OsString> + Clone>(self, args: &[S]) -> Outcome {
        let (stdout, stderr) = (Kept::default(), Kept::default());
        let env = self.env;
        let mut io = Io {
            stdin: Box::new(std::io::Cursor::new(self.stdin)),
            stdout: Box::new(stdout.clone()),
            stderr: Box::new(stderr.clone()),
            stdout_terminal: self.terminal,
            stderr_terminal: self.terminal,
            cwd: self.cwd.to_path_buf(),
            env: Box::new(move |name| env.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone())),
            program: "/opt/shoal".into(),
            interrupt: Interrupt::default(),
            owns_process: false,
        };
        let args = std::iter::once("shoal".into()).chain(args.iter().cloned().map(Into::into));
        let exit = shoal::run(args, &mut io);
        let take = |kept: Kept| std::mem::take(&mut *kept.0.lock().unwrap());
        Outcome { exit, stdout: take(stdout), stderr: String::from_utf8(take(stderr)).unwrap() }
    }
}
