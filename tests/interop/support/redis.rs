//! A real Redis of a test's own, at a socket in the test's folder.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::process::eventually;
use super::programs::{require, run};

/// A running server; it keeps nothing on disk, so that one that starts again knows nothing.
pub(crate) struct Redis {
    folder: PathBuf,
    arguments: Vec<String>,
    child: Child,
}

impl Redis {
    /// Starts one, with arguments of redis-server's own.
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        let child = spawn(folder, &arguments);
        let redis = Self { folder: folder.to_owned(), arguments, child };
        redis.wait();
        redis
    }

    /// Where trackers find it.
    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", socket(&self.folder).display())
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("redis-server can be killed");
        self.child.wait().expect("redis-server can be waited for");
    }

    /// Starts it again after it was killed.
    pub(crate) fn again(&mut self) {
        self.child = spawn(&self.folder, &self.arguments);
        self.wait();
    }

    /// Lets it hang.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// What it answers to a command, a line an element.
    pub(crate) fn ask(&self, command: &[&str]) -> Vec<String> {
        let answer = run(Command::new("redis-cli").arg("-s").arg(socket(&self.folder)).args(command));
        answer.lines().map(str::to_owned).collect()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("redis-server can be signalled");
    }

    fn wait(&self) {
        let socket = socket(&self.folder);
        eventually("redis-server answers", || {
            let pong = Command::new("redis-cli").arg("-s").arg(&socket).arg("ping").output().ok()?;
            // One with a password says so, which is an answer too.
            (!pong.stdout.is_empty()).then_some(())
        });
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("redis.sock")
}

fn spawn(folder: &Path, arguments: &[String]) -> Child {
    require("redis-server");
    require("redis-cli");
    require("setpriv");
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", "redis-server", "--port", "0", "--save", ""])
        .arg("--unixsocket")
        .arg(socket(folder))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("redis-server can be started")
}
