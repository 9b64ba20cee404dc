//! A peer with a fixed number of upload slots: what the simulated swarm is held against with a bad setting.
//!
//! `SLOTS=4 fixed_slots seed|download TORRENT -d DIR --port N`: the arguments that benchmarks give to `shoal`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use peer::{AddTorrent, PortChoice, Session, SessionConfig, State};

type Failure = Box<dyn std::error::Error>;

/// As `shoal download`: what others have asked for is finished, for so long at most.
const LINGER: Duration = Duration::from_secs(2);

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [mode, torrent, dash_d, dir, dash_port, port] = args.as_slice() else {
        return Err("usage: SLOTS=N fixed_slots seed|download TORRENT -d DIR --port N".into());
    };
    if dash_d != "-d" || dash_port != "--port" {
        return Err("the options are -d DIR --port N, in this order".into());
    }
    let slots = std::env::var("SLOTS")?.parse()?;
    let torrent = metainfo::TorrentFile::parse(&std::fs::read(torrent)?)?;
    let folder = PathBuf::from(dir);
    let add = match mode.as_str() {
        "seed" => AddTorrent::seed(torrent, folder),
        _ => AddTorrent::download(torrent, folder),
    };
    let mut config = SessionConfig { upload_slots: Some(slots), ..SessionConfig::default() };
    config.listen.port = PortChoice::Exact(port.parse()?);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(
        config,
        add,
        mode == "seed",
    ))
}

async fn run(config: SessionConfig, add: AddTorrent, seeds: bool) -> Result<(), Failure> {
    let session = Session::start(config)?;
    let id = session.add(add).await?;
    let mut stats = session.stats(id).ok_or("the torrent has left the session")?;
    let over =
        stats.wait_for(|stats| matches!(stats.state, State::Failed(_)) || stats.state == State::Seeding);
    if let State::Failed(failure) = &over.await?.state {
        return Err(failure.message.clone().into());
    }
    if seeds {
        tokio::signal::ctrl_c().await?;
    }
    let complete = Instant::now();
    while !seeds && stats.borrow().owes_uploads && complete.elapsed() < LINGER {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    session.shutdown(Duration::from_secs(4)).await;
    Ok(())
}
