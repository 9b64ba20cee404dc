//! One run: a session a thread, all ready before the clock starts, all ended after it has stopped.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use peer::{AddTorrent, Listen, PortChoice, Session, SessionConfig, State, Verify};
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::Taken;
use crate::content::Content;

/// More than any run takes on a machine that works.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long a session may take to end once all are complete.
const GRACE: Duration = Duration::from_secs(4);

/// What a session's thread tells the bench.
type News = Result<Stage>;

enum Stage {
    /// It listens on this port.
    Listening(u16),
    /// It has everything.
    Complete,
}

/// A session in a thread of its own.
struct Member {
    /// Gives it its torrent.
    add: Option<oneshot::Sender<AddTorrent>>,
    /// Ends it, by being dropped.
    end: oneshot::Sender<()>,
    news: Receiver<News>,
    thread: JoinHandle<()>,
}

/// A new folder for each leecher.
pub(crate) fn roots(dir: &Path, leechers: u16) -> Result<Vec<TempDir>> {
    let folder = |_| tempfile::tempdir_in(dir).with_context(|| format!("a folder in {}", dir.display()));
    (0..leechers).map(folder).collect()
}

/// Moves the content from where it is to all `roots`, which are empty.
pub(crate) fn transfer(content: &Content, roots: &[TempDir]) -> Result<Taken> {
    let mut members = (0..=roots.len()).map(|_| Member::start()).collect::<Result<Vec<_>>>()?;
    let outcome = run(content, roots, &mut members);
    // All ends are told before the first is waited for.
    let ending: Vec<_> = members
        .into_iter()
        .map(|member| {
            drop((member.end, member.add));
            member.thread
        })
        .collect();
    let ended = ending.into_iter().try_for_each(JoinHandle::join);
    let taken = outcome?;
    ended.map_err(|_| anyhow!("a session's thread panicked"))?;
    Ok(taken)
}

fn run(content: &Content, roots: &[TempDir], members: &mut [Member]) -> Result<Taken> {
    let mut addresses = Vec::new();
    for member in &*members {
        let Stage::Listening(port) = member.next()? else { bail!("complete before it began") };
        addresses.push(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let (seeder, leechers) = members.split_first_mut().context("no session")?;
    let torrent = content.torrent();
    let add = AddTorrent { verify: Verify::Trust, ..AddTorrent::seed(torrent.clone(), content.root()) };
    seeder.begin(add)?;
    let Stage::Complete = seeder.next()? else { bail!("a seeder that does not seed") };
    let downloads: Vec<_> = roots
        .iter()
        .enumerate()
        .map(|(own, root)| {
            // The seeder and those before it: each pair has one link.
            let peers = addresses.iter().take(own + 1).copied().collect();
            AddTorrent { peers, ..AddTorrent::download(torrent.clone(), PathBuf::from(root.path())) }
        })
        .collect();

    let (began, cpu_before) = (Instant::now(), cpu_time());
    for (leecher, download) in leechers.iter_mut().zip(downloads) {
        leecher.begin(download)?;
    }
    for leecher in &*leechers {
        let Stage::Complete = leecher.next()? else { bail!("it listens twice") };
    }
    Ok(Taken { wall: began.elapsed(), cpu: cpu_time().saturating_sub(cpu_before) })
}

impl Member {
    fn start() -> Result<Self> {
        let (add, adding) = oneshot::channel();
        let (end, ending) = oneshot::channel();
        let (sender, news) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("session".to_owned()).spawn(move || {
            if let Err(error) = runtime.block_on(session(adding, ending, &sender)) {
                // Nobody listens any more if another session failed first.
                let _ = sender.send(Err(error));
            }
        })?;
        Ok(Self { add: Some(add), end, news, thread })
    }

    fn begin(&mut self, add: AddTorrent) -> Result<()> {
        let sender = self.add.take().context("it has its torrent already")?;
        sender.send(add).map_err(|_| anyhow!("the session has ended"))
    }

    fn next(&self) -> News {
        match self.news.recv_timeout(PATIENCE) {
            Ok(news) => news,
            Err(RecvTimeoutError::Timeout) => bail!("not complete after {} s", PATIENCE.as_secs()),
            Err(RecvTimeoutError::Disconnected) => bail!("the session has ended"),
        }
    }
}

/// A session's life. It goes on after its torrent is complete, for others may still want something of it.
async fn session(
    adding: oneshot::Receiver<AddTorrent>,
    ending: oneshot::Receiver<()>,
    news: &Sender<News>,
) -> Result<()> {
    let listen = Listen { addresses: vec![Ipv4Addr::LOCALHOST.into()], port: PortChoice::Any };
    let session = Session::start(SessionConfig { listen, ..SessionConfig::default() })?;
    news.send(Ok(Stage::Listening(session.port())))?;
    // It is dropped where another session failed.
    let Ok(add) = adding.await else { return Ok(()) };
    let id = session.add(add).await?;
    let mut stats = session.stats(id).context("the torrent has left the session")?;
    let over = |state: &State| matches!(state, State::Seeding | State::Failed(_));
    let state = stats.wait_for(|stats| over(&stats.state)).await?.state.clone();
    if let State::Failed(failure) = state {
        bail!(failure.message);
    }
    news.send(Ok(Stage::Complete))?;
    // An error: what ends it was dropped, which is how it is told.
    let _ = ending.await;
    session.shutdown(GRACE).await;
    Ok(())
}

/// What all threads of this process have taken of the processor, the kernel's work for them included.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
