//! A disk that takes nothing until a test lets it.
//!
//! Torrents are told apart by their root folder, so that tests that run at once do not meet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The roots whose gate is closed, and who is told that a writer waits there.
type Closed = BTreeMap<PathBuf, watch::Sender<bool>>;

static GATES: LazyLock<(Mutex<Closed>, Condvar)> = LazyLock::new(Default::default);

/// Writes beneath a root wait for as long as this lives.
#[derive(Debug)]
pub(crate) struct Gate {
    root: PathBuf,
    reached: watch::Receiver<bool>,
}

impl Gate {
    pub(crate) fn close(root: &Path) -> Self {
        let (sender, reached) = watch::channel(false);
        closed().insert(root.to_owned(), sender);
        Self { root: root.to_owned(), reached }
    }

    /// Until a writer waits here.
    pub(crate) async fn reached(&mut self) {
        self.reached.wait_for(|reached| *reached).await.unwrap();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        closed().remove(&self.root);
        GATES.1.notify_all();
    }
}

/// A writer comes by.
pub(super) fn pass(root: &Path) {
    let mut closed = closed();
    while let Some(reached) = closed.get(root) {
        reached.send_replace(true);
        closed = GATES.1.wait(closed).unwrap_or_else(PoisonError::into_inner);
    }
}

fn closed() -> MutexGuard<'static, Closed> {
    GATES.0.lock().unwrap_or_else(PoisonError::into_inner)
}
