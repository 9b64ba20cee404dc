//! The real program, run as a process whose lines can be awaited.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long something that must come may take on a busy machine. It is no measurement: nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program with this folder as its own, and no configuration of the user's.
pub(crate) fn shoal(cwd: &Path) -> Command {
    prepared(Command::new(env!("CARGO_BIN_EXE_shoal")), cwd)
}

fn prepared(mut command: Command, cwd: &Path) -> Command {
    command
        .current_dir(cwd)
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .env("XDG_STATE_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/state"))
        .env_remove("NO_COLOR");
    command
}

/// Whether these tests run under `nohup`: what they start would ignore that its terminal is closed, as it should.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}

/// A running program.
pub(crate) struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    /// Everything that came, for messages of failed tests.
    seen: Vec<String>,
}

/// Starts the program with JSON progress.
pub(crate) fn start<S: AsRef<OsStr>>(cwd: &Path, args: &[S]) -> Running {
    let mut command = if ignores_hangup() {
        let mut command = Command::new("env");
        command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_shoal")]);
        prepared(command, cwd)
    } else {
        shoal(cwd)
    };
    command.args(args).arg("--progress").arg("json");
    spawn(command)
}

/// Starts a command.
pub(crate) fn spawn(command: Command) -> Running {
    spawn_with(command, Stdio::null(), Stdio::piped())
}

/// Starts a command with streams of one's own.
pub(crate) fn spawn_with(mut command: Command, stdin: Stdio, stderr: Stdio) -> Running {
    let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
    let stdout = lines(child.stdout.take().unwrap());
    let stderr = child.stderr.take().map_or_else(|| channel().1, lines);
    Running { child, stdout, stderr, seen: Vec::new() }
}

fn lines(stream: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

impl Running {
    /// The next line on stdout.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        match self.stdout.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(error) => panic!("no line on stdout ({error}); stderr: {:#?}", self.drain()),
        }
    }

    /// The first JSON object on stderr of which this is true.
    #[track_caller]
    pub(crate) fn object(&mut self, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.stderr.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let object = serde_json::from_str(&line)
                        .unwrap_or_else(|error| panic!("not a JSON object ({error}): {line}"));
                    self.seen.push(line);
                    if wanted(&object) {
                        return object;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("nothing came in time; seen: {:#?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended; seen: {:#?}", self.seen),
            }
        }
    }

    /// The first event of this name.
    #[track_caller]
    pub(crate) fn event(&mut self, name: &str) -> Value {
        self.object(|object| object["event"] == name)
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal by its name, such as `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success(), "kill -{name}");
    }

    /// Waits for its end; its lines on stderr that were not awaited before.
    #[track_caller]
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>) {
        let status = wait(&mut self.child);
        (status, self.drain())
    }

    /// The same with all of its lines on stderr, those that were awaited too.
    #[track_caller]
    pub(crate) fn end_with_all(mut self) -> (ExitStatus, Vec<String>) {
        let status = wait(&mut self.child);
        self.drain();
        (status, std::mem::take(&mut self.seen))
    }

    /// Waits for its end; the code, and the last `progress` object.
    #[track_caller]
    pub(crate) fn finish(mut self) -> (Option<i32>, Value) {
        let status = wait(&mut self.child);
        self.drain();
        let last = self.seen.iter().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let last = last.into_iter().find(|object| object["event"] == "progress");
        (status.code(), last.unwrap_or(Value::Null))
    }

    fn drain(&mut self) -> Vec<String> {
        // The stream ends with the process; what came before is all there then.
        let rest: Vec<String> = match self.child.try_wait() {
            Ok(Some(_)) => self.stderr.iter().collect(),
            _ => self.stderr.try_iter().collect(),
        };
        self.seen.extend(rest.iter().cloned());
        rest
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed must not leave programs behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < deadline, "the program does not end");
        // The standard library has no wait with a deadline.
        std::thread::sleep(Duration::from_millis(10));
    }
}
