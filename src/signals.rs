//! Ctrl-C, SIGTERM and SIGHUP: the first ends work in order, the second ends the process at once. SIGHUP never is the
//! second: when a terminal is closed, shell and system both send it. What was started to outlive its terminal (`nohup`) is
//! not ended by it, and a command may have another use for it.
//!
//! A thread of its own listens, so that a command that hashes on the main thread is reached as well as one that
//! waits in a runtime. It does not decide what ending in order means: commands do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::exit::Exit;

/// A request to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal is gone.
    HangUp,
}

impl Signal {
    /// The exit code of work that this signal interrupted.
    #[must_use]
    pub const fn exit(self) -> Exit {
        match self {
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate => Exit::Terminated,
            Self::HangUp => Exit::HungUp,
        }
    }
}

type Hook = Box<dyn Fn() + Send>;

struct Inner {
    first: watch::Sender<Option<Signal>>,
    hooks: Mutex<Vec<Hook>>,
    /// Whether a SIGHUP means something else to the command.
    keeps_hangups: AtomicBool,
}

/// Where a command learns that it is to end. Clones are the same.
#[derive(Clone)]
pub struct Interrupt(Arc<Inner>);

impl Default for Interrupt {
    fn default() -> Self {
        Self(Arc::new(Inner {
            first: watch::Sender::new(None),
            hooks: Mutex::default(),
            keeps_hangups: AtomicBool::new(false),
        }))
    }
}

impl Interrupt {
    /// One that the signals of this process reach.
    #[must_use]
    pub fn of_process() -> Self {
        let interrupt = Self::default();
        let heard = interrupt.clone();
        let (listens, listening) = std::sync::mpsc::channel();
        // Without the thread (no more threads to be had) the default action of a signal ends the process.
        let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(move || listen(&heard, listens));
        // Whoever has seen the first line of a command may signal it: that must not come too early.
        let _ = listening.recv();
        interrupt
    }

    /// Hands a signal over; whether it was the first.
    pub fn deliver(&self, signal: Signal) -> bool {
        let first = self.0.first.send_if_modified(|slot| {
            let is_first = slot.is_none();
            slot.get_or_insert(signal);
            is_first
        });
        if first {
            for hook in self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                hook();
            }
        }
        first
    }

    /// From now on a SIGHUP does not end this command: it listens for it itself.
    pub(crate) fn keep_hangups(&self) {
        self.0.keeps_hangups.store(true, Ordering::Relaxed);
    }

    /// The signal that came, if one did.
    #[must_use]
    pub fn received(&self) -> Option<Signal> {
        *self.0.first.borrow()
    }

    /// Calls this when the first signal comes, at once if it has come.
    pub(crate) fn on_signal(&self, hook: impl Fn() + Send + 'static) {
        let mut hooks = self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        if self.received().is_some() {
            hook();
        }
        hooks.push(Box::new(hook));
    }

    /// Waits for the first signal.
    pub(crate) async fn wait(&self) -> Signal {
        let mut receiver = self.0.first.subscribe();
        let signal = receiver.wait_for(Option::is_some).await.ok().and_then(|signal| *signal);
        // The sender lives as long as `self`, so the wait ends only with a signal.
        signal.unwrap_or(Signal::Terminate)
    }
}

/// Waits for signals until the process ends; drops `listens` once it does.
fn listen(interrupt: &Interrupt, listens: Sender<()>) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    runtime.block_on(async {
        let (Ok(mut int), Ok(mut term)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        // A handler would undo what `nohup` has done.
        let mut hangups = if ignores_hangups() { None } else { signal(SignalKind::hangup()).ok() };
        drop(listens);
        loop {
            let signal = tokio::select! {
                _ = int.recv() => Signal::Interrupt,
                _ = term.recv() => Signal::Terminate,
                Some(()) = next(&mut hangups) => Signal::HangUp,
            };
            if signal == Signal::HangUp && interrupt.0.keeps_hangups.load(Ordering::Relaxed) {
                continue;
            }
            if !interrupt.deliver(signal) && signal != Signal::HangUp {
                end_line();
                std::process::exit(i32::from(signal.exit().code()));
            }
        }
    });
}

/// The next of these; never, where there are none.
async fn next(signals: &mut Option<tokio::signal::unix::Signal>) -> Option<()> {
    match signals {
        Some(signals) => signals.recv().await,
        None => std::future::pending().await,
    }
}

/// Whether this process was started with SIGHUP ignored.
fn ignores_hangups() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_first_signal(&status))
}

/// Whether the signal of number 1, which SIGHUP is, is in the mask of ignored ones of such a file.
fn ignores_first_signal(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// Ends the line in which the terminal has shown `^C`, so that the next prompt has one of its own.
fn end_line() {
    use std::io::{IsTerminal as _, Write as _};
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        // A terminal that is gone misses nothing.
        let _ = stderr.write_all(b"\n");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn the_first_signal_counts_and_calls_hooks_once() {
        let interrupt = Interrupt::default();
        let calls = Arc::new(AtomicU32::new(0));
        let counted = calls.clone();
        interrupt.on_signal(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        assert!(interrupt.deliver(Signal::Terminate));
        assert!(!interrupt.deliver(Signal::Interrupt));
        assert_eq!(interrupt.received(), Some(Signal::Terminate));
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_is_ignored_is_read_from_the_mask() {
        let status = |mask| format!("Name:\tshoal\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\n");
        assert!(ignores_first_signal(&status("0000000000001001")));
        assert!(!ignores_first_signal(&status("0000000000001000")));
        assert!(!ignores_first_signal(""));
    }

    #[test]
    fn a_hook_that_comes_late_is_called_at_once() {
        let interrupt = Interrupt::default();
        interrupt.deliver(Signal::Interrupt);
        let calls = Arc::new(AtomicU32::new(0));
        let counted = calls.clone();
        interrupt.on_signal(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }
}
