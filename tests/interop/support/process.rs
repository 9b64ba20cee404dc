//! A client or tracker that runs on a host until it is done, told to stop or dropped.
//!
//! Invariant: no process outlives its guard. Dropping it kills its whole process group; and should the test run
//! itself be killed, the kernel kills the process with the thread that started it (`setpriv --pdeathsig`), or, if it
//! changed its user since, the next run does (see [`super::net`]).

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::net::Host;
use super::programs::require;

/// How long a test waits for anything. It only bounds a test that fails: nothing is asserted about time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// How often a condition is looked at that cannot be awaited, such as a file of another program.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Lines of output shown of a process when its test fails.
const SHOWN_LINES: usize = 25;

/// Waits until `look` answers something, or ends the test.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {} s", PATIENCE.as_secs());
        thread::sleep(LOOK_EVERY);
    }
}

/// A running program, its output kept in files.
pub(crate) struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts `command` (program, then arguments) on a host; its output goes to `logs`, and it has no input.
    pub(crate) fn start(host: &Host, name: &str, logs: &Path, command: &[OsString]) -> Self {
        require("setpriv");
        require("ip");
        require(&command[0].to_string_lossy());
        let name = format!("{name}-{}", host.address());
        let log = |stream: &str| logs.join(format!("{name}.{stream}"));
        let (stdout, stderr) = (log("stdout"), log("stderr"));
        let open = |path: &Path| File::create(path).expect("the log file can be made");
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "ip", "netns", "exec", host.name()])
            .args(command)
            .env("SHOAL_PROGRESS", "json")
            .env("XDG_CONFIG_HOME", "/nonexistent")
            .env("XDG_STATE_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/state"))
            .stdin(Stdio::null())
            .stdout(open(&stdout))
            .stderr(open(&stderr))
            .current_dir(logs)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        Self { name, child, stdout, stderr }
    }

    /// What it has printed on stdout so far.
    pub(crate) fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it has printed on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Waits until something is true, and ends the test at once if the process ends before.
    pub(crate) fn until<T>(&mut self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        eventually(&format!("{}: {what}", self.name), || {
            // In this order: what an ended process left behind is still seen.
            let ended = self.ended();
            let found = look(self);
            assert!(found.is_some() || ended.is_none(), "{} ended before: {what}", self.name);
            found
        })
    }

    /// Whether it has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.ended().is_none()
    }

    /// Waits until it ends by itself with exit code 0.
    pub(crate) fn finish(&mut self) {
        let status = eventually(&format!("{} done", self.name), || self.ended());
        assert!(status.success(), "{} ended with {status}", self.name);
    }

    /// Asks it to end as a user at a terminal does, with SIGINT, and waits until it does: clients differ in the exit code.
    pub(crate) fn interrupt(&mut self) {
        self.signal(Signal::INT);
        eventually(&format!("{} ends", self.name), || self.ended());
    }

    /// Asks it to end with SIGTERM, and waits until it does so with exit code 0.
    pub(crate) fn terminate(&mut self) {
        self.signal(Signal::TERM);
        self.finish();
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap_or_else(|error| panic!("{} cannot be waited for: {error}", self.name))
    }

    /// Signals its process group, unless it has ended: its id may then be another's.
    fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            let _ = kill_process_group(Pid::from_child(&self.child), signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
        if thread::panicking() {
            for (stream, text) in [("stdout", self.stdout()), ("stderr", self.stderr())] {
                let lines: Vec<&str> = text.split(['\n', '\r']).filter(|line| !line.is_empty()).collect();
                eprintln!("--- {} {stream}, {} lines", self.name, lines.len());
                lines
                    .iter()
                    .skip(lines.len().saturating_sub(SHOWN_LINES))
                    .for_each(|line| eprintln!("{line}"));
            }
        }
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
