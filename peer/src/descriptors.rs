//! How a session gets by with the descriptors that the system gives it.
//!
//! Purpose: every connection takes a descriptor, and so does every open file. Hundreds of peers need more than shells
//! allow by default, so the soft limit is raised to the hard one; where that is low, peers and open files become fewer, and
//! no write fails because a stranger has connected.
//!
//! Invariant: what a session may have open at once, with one torrent, is no more than the limit. Files of further
//! torrents come on top: what is held open for later is given up where one cannot be opened (`storage`).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::SessionConfig;

/// What a process has open besides peers and files of content: its streams and log, the runtime (11), listeners, the
/// torrent's folder, marker and journal (which is written anew beside the old one), the seal, two trackers that are asked,
/// a name that is looked up, and a stranger who is turned away at each listener.
const ALWAYS: usize = 28;

/// One in so many of the rest is for open files.
const FILES: usize = 4;

/// With fewer links there is no swarm, and with fewer files no piece that spans two.
const LEAST: usize = 4;

/// Makes do with what the system gives: raises the limit as far as it goes, and takes fewer peers and files than `config` allows
/// where that is not enough.
pub(crate) fn within_limit(config: SessionConfig) -> SessionConfig {
    raise();
    // None is no limit.
    match getrlimit(Resource::Nofile).current.map(usize::try_from) {
        Some(Ok(limit)) => within(limit, config),
        _ => config,
    }
}

fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
    {
        tracing::info!("cannot raise the limit on open files: {error}");
    }
}

fn within(limit: usize, mut config: SessionConfig) -> SessionConfig {
    // A file that is pushed out of the pool stays open as long as a thread is at it.
    let threads = config.disk_threads.saturating_mul(2);
    let rest = limit.saturating_sub(ALWAYS).saturating_sub(threads);
    let files = config.max_open_files.min((rest / FILES).max(LEAST));
    let peers = config.max_peers.min(rest.saturating_sub(files).max(LEAST));
    if peers < config.max_peers {
        tracing::info!("only {limit} files may be open: {peers} peers at most, not {}", config.max_peers);
    }
    (config.max_open_files, config.max_peers) = (files, peers);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(limit: usize) -> (usize, usize) {
        let config = SessionConfig { disk_threads: 2, ..SessionConfig::default() };
        let config = super::within(limit, config);
        (config.max_peers, config.max_open_files)
    }

    #[test]
    fn h76_with_few_descriptors_there_are_fewer_peers_and_open_files() {
        assert_eq!(within(20_000), (500, 40), "as many as are asked for");
        assert_eq!(within(600), (500, 40));
        assert_eq!(within(256), (184, 40));
        assert_eq!(within(64), (24, 8));
        assert_eq!(within(0), (LEAST, LEAST), "which is to be tried");
    }

    #[test]
    fn h76_what_may_be_open_is_never_more_than_the_limit() {
        for limit in ALWAYS + 4 + 2 * LEAST..2000 {
            let (peers, files) = within(limit);
            assert!(peers + files + 4 + ALWAYS <= limit, "{limit}: {peers} peers, {files} files");
        }
    }
}
