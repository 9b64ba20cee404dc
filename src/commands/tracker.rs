//! `shoal tracker`: runs a tracker until it is told to end.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, anyhow};
use serde::Serialize;
use tracker::{Tracker, TrackerConfig};

use super::share::local_address;
use super::{Context, block_on};
use crate::cli::TrackerArgs;
use crate::exit::Exit;
use crate::output::size::plural;

/// Where it listens, for `--json`.
#[derive(Serialize)]
struct Listening {
    http: Vec<String>,
    udp: Vec<String>,
    announce: Vec<String>,
}

pub(super) fn run(args: TrackerArgs, context: &mut Context<'_>) -> Result<Exit> {
    let mut config = TrackerConfig::open();
    // Whoever names an address means that one and no other.
    if !args.http.is_empty() || !args.udp.is_empty() {
        (config.http, config.udp) = (args.http, args.udp);
    }
    config.max_memory = usize::try_from(args.max_memory).unwrap_or(usize::MAX);
    config.state_dir = args.state_dir;
    // Not without a pause: each time all of it is written.
    config.snapshot_interval = args.snapshot_interval.max(Duration::from_secs(1));
    block_on(async {
        let tracker = Tracker::bind(config).await.map_err(|error| anyhow!("{error}"))?;
        let (http, udp) = (tracker.local_addrs().to_vec(), tracker.local_udp_addrs());
        let http_urls = http.iter().filter_map(|address| announce_url("http", address));
        let udp_urls = udp.iter().filter_map(|address| announce_url("udp", address));
        let announce: Vec<_> = http_urls.chain(udp_urls).collect();
        if context.json {
            let texts = |addresses: &[SocketAddr]| addresses.iter().map(ToString::to_string).collect();
            context.results.json(&Listening { http: texts(&http), udp: texts(&udp), announce })?;
        } else {
            announce.iter().try_for_each(|url| context.results.line(url))?;
        }
        context.results.flush()?;
        context.screen.say("the tracker runs at the addresses above; Ctrl-C ends it");
        let handle = tracker.handle();
        let interrupt = context.interrupt.clone();
        tracker
            .run(async move {
                interrupt.wait().await;
            })
            .await;
        let stats = handle.stats();
        context.screen.say(&format!(
            "the tracker ended with {} in {}",
            plural(stats.peers as u64, "peer"),
            plural(stats.swarms as u64, "swarm"),
        ));
        Ok(Exit::Done)
    })
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
