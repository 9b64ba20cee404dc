//! `shoal tracker`: runs a tracker until it is told to end.

use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, anyhow};
use metainfo::display_safe;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tracker::{AccessConfig, ConnectionKey, GivenSockets, StoreUrl, Tracker, TrackerConfig, TrackerHandle};

use super::share::local_address;
use super::{Context, block_on};
use crate::cli::TrackerArgs;
use crate::exit::{Exit, failure, reason};
use crate::logging::LogFile;
use crate::output::screen::Screen;
use crate::output::size::plural;

/// Of a key's file so much is read; a key has 32 digits.
const MAX_KEY_FILE_BYTES: u64 = 1024;

/// Where it listens, for `--json`.
#[derive(Serialize)]
struct Listening {
    http: Vec<String>,
    udp: Vec<String>,
    announce: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<String>,
}

pub(super) fn run(args: TrackerArgs, context: &mut Context<'_>) -> Result<Exit> {
    if args.print_config {
        context.results.bytes(super::print_config::tracker().as_bytes())?;
        return Ok(Exit::Done);
    }
    if args.access.proxy_protocol && args.access.trust.is_empty() {
        let reason =
            "--proxy-protocol needs the network that it is to be expected from: name it with --trust";
        return Err(failure(Exit::Usage, reason));
    }
    // It is for the lists and the log, see below.
    context.interrupt.keep_hangups();
    // Before there is another thread: it takes them out of the environment.
    let given = GivenSockets::from_service_manager().map_err(|error| anyhow!("{error}"))?;
    let config = config(args, given.is_empty(), context)?;
    block_on(async {
        let tracker = Tracker::bind_with(config, given).await.map_err(|error| anyhow!("{error}"))?;
        let (http, udp) = (tracker.local_addrs().to_vec(), tracker.local_udp_addrs());
        let http_urls = http.iter().filter_map(|address| announce_url("http", address));
        let udp_urls = udp.iter().filter_map(|address| announce_url("udp", address));
        let announce: Vec<_> = http_urls.chain(udp_urls).collect();
        if context.json {
            let texts = |addresses: &[SocketAddr]| addresses.iter().map(ToString::to_string).collect();
            let metrics = tracker.metrics_addr().map(|address| address.to_string());
            context.results.json(&Listening { http: texts(&http), udp: texts(&udp), announce, metrics })?;
        } else {
            announce.iter().try_for_each(|url| context.results.line(url))?;
        }
        context.results.flush()?;
        context.screen.say("the tracker runs at the addresses above; Ctrl-C ends it");
        if let Some(address) = tracker.metrics_addr() {
            context.screen.say(&format!(
                "how it fares is at http://{address}/, for programs at http://{address}/metrics"
            ));
        }
        let handle = tracker.handle();
        let interrupt = context.interrupt.clone();
        let ended = tracker.run(async move {
            interrupt.wait().await;
        });
        tokio::select! {
            () = ended => {}
            () = reload_on_hangup(&handle, context.log.as_ref(), &context.screen) => {}
        }
        let stats = handle.stats();
        context.screen.say(&format!(
            "the tracker ended with {} in {}",
            plural(stats.peers as u64, "peer"),
            plural(stats.swarms as u64, "swarm"),
        ));
        Ok(Exit::Done)
    })
}

fn config(args: TrackerArgs, by_default: bool, context: &Context<'_>) -> Result<TrackerConfig> {
    let cwd = &context.cwd;
    let mut config = TrackerConfig::open();
    // Whoever names an address or gives a socket means that one and no other.
    if !by_default || !args.http.is_empty() || !args.udp.is_empty() {
        (config.http, config.udp) = (args.http, args.udp);
    }
    config.max_memory = usize::try_from(args.max_memory).unwrap_or(usize::MAX);
    config.state_dir = args.state_dir;
    // Not without a pause: each time all of it is written.
    config.snapshot_interval = args.snapshot_interval.max(Duration::from_secs(1));
    // Not by the option's own parser, whose message would repeat a password.
    let store = args.store.map(|url| url.parse::<StoreUrl>()).transpose();
    config.store = store.map_err(|error| failure(Exit::Usage, format!("--store: {error}")))?;
    config.metrics = args.metrics;
    config.interval = args.interval;
    config.max_connections = usize::try_from(args.max_connections).unwrap_or(usize::MAX);
    config.limit_announces = args.limits.limit_announces.0;
    config.limit_swarm_peers = args.limits.limit_swarm_peers.0;
    config.connection_key = args.udp_key.map(|path| read_key(context, &path)).transpose()?;
    let access = args.access;
    let file = |path: Option<PathBuf>| path.map(|path| cwd.join(path));
    config.lists = AccessConfig {
        allow_hashes: file(access.allow_hashes),
        deny_hashes: file(access.deny_hashes),
        allow_networks: file(access.allow_networks),
        deny_networks: file(access.deny_networks),
        passkeys: file(access.passkeys),
        trusted: access.trust.into_iter().collect(),
        proxy_protocol: access.proxy_protocol,
    };
    Ok(config)
}

/// Reads the key that a fleet shares, and warns where others may read it too. The file is
/// small: what is longer is none, and is not read to its end.
fn read_key(context: &Context<'_>, path: &Path) -> Result<ConnectionKey> {
    let name = display_safe(&path.to_string_lossy());
    let mut text = String::new();
    let read = File::open(context.cwd.join(path)).and_then(|file| {
        let is_secret = tracker::is_secret(&file)?;
        file.take(MAX_KEY_FILE_BYTES).read_to_string(&mut text)?;
        Ok(is_secret)
    });
    let is_secret = read.map_err(|error| anyhow!("{name}: {}", reason(&error)))?;
    let key = text.parse().map_err(|error| failure(Exit::Usage, format!("{name}: {error}")))?;
    if !is_secret {
        let advice = "who has it can announce for any address: chmod o=";
        context.screen.warn(&format!("others may read {name}; {advice} {name}"));
    }
    Ok(key)
}

/// Opens the log file and reads the lists again whenever a SIGHUP comes, and says what changed. Never ends.
async fn reload_on_hangup(handle: &TrackerHandle, log: Option<&LogFile>, screen: &Screen) {
    if let Ok(mut hangups) = signal(SignalKind::hangup()) {
        while hangups.recv().await.is_some() {
            if let Some(Err(error)) = log.map(LogFile::reopen) {
                screen.warn(&format!("the log file cannot be opened again: {}", reason(&error)));
            }
            let handle = handle.clone();
            // Reading a large list must not keep requests waiting.
            let Ok(reports) = tokio::task::spawn_blocking(move || handle.reload()).await else { continue };
            if reports.is_empty() && log.is_none() {
                screen.say("there is no list to read again");
            }
            for report in reports {
                match &report.outcome {
                    Ok(_) => screen.say(&report.to_string()),
                    Err(_) => screen.warn(&report.to_string()),
                }
            }
        }
    }
    std::future::pending::<()>().await;
}

/// The announce URL by which a listening address is reached; `None` for IPv6 on a machine that has none.
fn announce_url(scheme: &str, address: &SocketAddr) -> Option<String> {
    let host = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => local_address(false).unwrap_or(std::net::Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(_) => local_address(true)?,
    };
    Some(format!("{scheme}://{}/announce", SocketAddr::new(host, address.port())))
}
