//! The attacked program and its honest neighbours, as processes whose words can be awaited.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::PATIENCE;

/// What it has said, and whether more can come.
#[derive(Debug, Default)]
struct Said {
    objects: Vec<Value>,
    over: bool,
}

/// A running program; dropped, it is killed.
#[derive(Debug)]
pub struct Shoal {
    child: Mutex<Child>,
    id: u32,
    said: Arc<(Mutex<Said>, Condvar)>,
}

impl Shoal {
    /// Starts it with all that it logs as JSON objects. Nothing of the user's is read, and state goes to `state`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start<S: AsRef<std::ffi::OsStr>>(program: &Path, state: &Path, args: &[S]) -> Result<Self> {
        let mut child = Command::new(program)
            .args(args)
            .args(["--bind", "127.0.0.1", "--progress", "json", "-vv"])
            .env("XDG_CONFIG_HOME", "/nonexistent")
            .env("XDG_STATE_HOME", state)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        let said = Arc::new((Mutex::new(Said::default()), Condvar::new()));
        let stderr = child.stderr.take().context("it has a stderr")?;
        std::thread::spawn({
            let said = Arc::clone(&said);
            move || listen(stderr, &said)
        });
        Ok(Self { id: child.id(), child: Mutex::new(child), said })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The first object of which this is true, among those that came and those to come.
    ///
    /// # Errors
    /// If it ends before, or takes too long.
    pub fn await_object(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        let (said, more) = &*self.said;
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        let mut looked_at = 0;
        loop {
            if let Some(found) = said.objects.iter().skip(looked_at).find(|object| wanted(object)) {
                return Ok(found.clone());
            }
            looked_at = said.objects.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if said.over || left.is_zero() {
                let why = if said.over { "it has ended" } else { "not in time" };
                let last: Vec<_> = said.objects.iter().rev().take(5).map(ToString::to_string).collect();
                bail!("{what}: {why}; its last words, backwards: {last:#?}");
            }
            said = more.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The first event of this name.
    ///
    /// # Errors
    /// As above.
    pub fn event(&self, name: &str) -> Result<Value> {
        self.await_object(name, |object| object["event"] == name)
    }

    /// The port of one that seeds.
    ///
    /// # Errors
    /// As above.
    pub fn seeding_port(&self) -> Result<u16> {
        let seeding = self.event("seeding")?;
        let port = seeding["message"].as_str().and_then(|message| message.rsplit(' ').next());
        Ok(port.context("seeding names no port")?.parse()?)
    }

    /// Every message that it logged so far.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        let said = self.said.0.lock().unwrap_or_else(PoisonError::into_inner);
        let messages = said.objects.iter().filter_map(|object| object["message"].as_str());
        messages.map(str::to_owned).collect()
    }

    /// What it logs of a connection that it closed; the other end is `ours`.
    ///
    /// # Errors
    /// If it says nothing of it.
    pub fn reason(&self, ours: SocketAddr) -> Result<String> {
        let start = format!("{ours}: ");
        let tells = |object: &Value| {
            let words = object["message"].as_str().and_then(|message| message.strip_prefix(&start));
            words.filter(|words| !words.starts_with("connected")).map(str::to_owned)
        };
        let object = self.await_object("why a connection was closed", |object| tells(object).is_some())?;
        let words = tells(&object).unwrap_or_default();
        Ok(words.strip_prefix("closed, ").unwrap_or(&words).to_owned())
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        !matches!(child.try_wait(), Ok(None))
    }

    /// Waits until it has ended by itself, and well.
    ///
    /// # Errors
    /// If it does not.
    pub fn finish(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let (said, more) = &*self.said;
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        while !said.over {
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "it does not end");
            said = more.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(said);
        let status = self.child.lock().unwrap_or_else(PoisonError::into_inner).wait()?;
        ensure!(status.success(), "it ended with {status}: {:?}", self.log().last());
        Ok(())
    }

    /// Tells it to end, as Ctrl-C does, and waits until it has, and well.
    ///
    /// # Errors
    /// If it does not, or had ended already.
    pub fn interrupt(&self) -> Result<()> {
        ensure!(!self.has_ended(), "it had ended already");
        let sent = Command::new("kill").args(["-INT", &self.id.to_string()]).status()?;
        ensure!(sent.success(), "it cannot be told to end");
        self.finish()
    }
}

impl Drop for Shoal {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn listen(stderr: ChildStderr, said: &(Mutex<Said>, Condvar)) {
    let lines = BufReader::new(stderr).lines().map_while(Result::ok);
    let lock = || said.0.lock().unwrap_or_else(PoisonError::into_inner);
    for object in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
        lock().objects.push(object);
        said.1.notify_all();
    }
    lock().over = true;
    said.1.notify_all();
}
