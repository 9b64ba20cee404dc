//! `shoal share`: one command to share. It makes the torrent, runs a tracker inside, seeds, and prints the line that
//! another terminal or machine needs.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::{Result, anyhow};
use metainfo::display_safe;
use serde::Serialize;
use tokio::sync::oneshot;
use tracker::{DEFAULT_PORT, Tracker, TrackerConfig, TrackerError, default_addresses};

use super::network::{bound, start};
use super::transfer::{Rules, Transfers};
use super::{Context, block_on, make, seed};
use crate::cli::ShareArgs;
use crate::exit::{Exit, failure, reason};
use crate::output::size::{plural, size};

/// Ports that are tried in order: run again, the same thing is shared at the same address.
const PORTS: RangeInclusive<u16> = DEFAULT_PORT..=DEFAULT_PORT + 10;

/// What others need, for `--json`.
#[derive(Serialize)]
struct Shared<'a> {
    name: &'a str,
    info_hash_v1: String,
    info_hash_v2: Option<String>,
    url: &'a str,
    command: &'a str,
    magnet: String,
}

pub(super) fn run(args: &ShareArgs, context: &mut Context<'_>) -> Result<Exit> {
    let walked = make::walk(&args.path, &args.make, None, context)?;
    let bound = bound(&args.network)?;
    let named = match args.advertise.as_deref() {
        Some(name) => Some(host(name)?),
        // Nobody reaches it by another.
        None => bound.map(in_url),
    };
    block_on(async {
        // Before an hour of hashing, not after it: the port may be taken.
        let session = start(&args.network, context)?;
        let advertise = match &named {
            Some(host) => resolve(host, context).await?,
            None => None,
        };
        let tracker = bind_any(advertise, args.tracker_port, context).await?;
        let port = tracker.local_addrs().first().map_or(DEFAULT_PORT, SocketAddr::port);
        let host = named.unwrap_or_else(own_host);
        let base = format!("http://{host}:{port}");
        let choices =
            make::Choices { first_tiers: vec![vec![format!("{base}/announce")]], ..make::Choices::default() };
        let content = format!("{} in {}", size(walked.total), plural(walked.files.len() as u64, "file"));
        let torrent = make::torrent(walked, &args.make, choices, context)?;
        let name = torrent.info.name().to_owned();
        let path = tracker.register(&name, torrent.to_bytes().into(), torrent.info_hash());
        let url = format!("{base}{path}");
        let (info_hash, magnet) = (torrent.info_hash().to_string(), torrent.magnet().to_string());
        let mut add = seed::own_data(torrent, &args.path, args.make.follow_symlinks, &context.cwd)?;
        // The advertised name may not lead back to this machine from the inside.
        let own = bound.unwrap_or(Ipv4Addr::LOCALHOST.into());
        add.trackers = vec![format!("http://{}/announce", SocketAddr::new(own, port))];
        let (stop, stopping) = oneshot::channel::<()>();
        let serving = tokio::spawn(tracker.run(async move {
            // It is dropped without a word if the command fails: that is a reason to stop too.
            let _ = stopping.await;
        }));
        let rules = Rules { seed: true, ..Rules::default() };
        let mut transfers = Transfers::new(session, rules, context);
        transfers.add(add).await?;

        let command = format!("{} download {url}", program(context));
        if context.json {
            let (url, command) = (url.as_str(), command.as_str());
            let shared =
                Shared { name: &name, info_hash_v1: info_hash, info_hash_v2: None, url, command, magnet };
            context.results.json(&shared)?;
        } else {
            print(&display_safe(&name), &content, &command, &url, args.qr, context)?;
        }
        context.results.flush()?;

        let ended = transfers.run(context).await;
        let _ = stop.send(());
        // It ends by itself within a second.
        let _ = serving.await;
        ended
    })
}

/// Listens on the first of these ports that is free; `None` if none is.
async fn bind(advertise: Option<IpAddr>, ports: impl IntoIterator<Item = u16>) -> Option<Tracker> {
    for port in ports {
        let http = default_addresses(port);
        let config = TrackerConfig { advertise, http, ..TrackerConfig::embedded() };
        if let Ok(tracker) = Tracker::bind(config).await {
            return Some(tracker);
        }
    }
    None
}

/// Listens on the port that was asked for, else on one of the usual ports, else on any.
async fn bind_any(advertise: Option<IpAddr>, asked: Option<u16>, context: &Context<'_>) -> Result<Tracker> {
    let config =
        |port| TrackerConfig { advertise, http: default_addresses(port), ..TrackerConfig::embedded() };
    if let Some(port) = asked {
        let bound = Tracker::bind(config(port)).await;
        return bound.map_err(|error| anyhow!("--tracker-port {port}: {}", refusal(&error)));
    }
    if let Some(tracker) = bind(advertise, PORTS).await {
        return Ok(tracker);
    }
    let (first, last) = (PORTS.start(), PORTS.end());
    context.screen.warn(&format!("no port from {first} to {last} is free: the link holds for this run only"));
    Tracker::bind(config(0)).await.map_err(|error| anyhow!("{error}"))
}

/// Why there is no tracker on a port that was asked for: the tracker itself would name options that this command has not.
fn refusal(error: &TrackerError) -> String {
    let TrackerError::Listen { address, source } = error else { return error.to_string() };
    let hint = match source.kind() {
        ErrorKind::AddrInUse => "; choose another port (0 = any), or leave the option out",
        ErrorKind::PermissionDenied => "; choose one above 1023",
        _ => "",
    };
    format!("cannot listen on {address}: {}{hint}", reason(source))
}

/// Prints what others are to do: the line alone for a script, with words around it for people.
fn print(
    name: &str,
    content: &str,
    command: &str,
    url: &str,
    qr: bool,
    context: &mut Context<'_>,
) -> Result<()> {
    let style = context.screen.style();
    context.screen.say(&format!("Sharing {} ({content}). In another terminal, run:", style.bold(name)));
    context.screen.say("");
    let line = context.results.style().green(command);
    match context.results.columns() {
        Some(_) => context.results.line(&format!("  {line}"))?,
        None => context.results.line(command)?,
    }
    context.results.flush()?;
    context.screen.say("");
    if qr {
        let code = qrcode::QrCode::new(url.as_bytes()).map_err(|error| anyhow!("no QR code: {error}"))?;
        let code = code.render::<qrcode::render::unicode::Dense1x2>().build();
        context.results.line(&code)?;
        context.results.flush()?;
    }
    context
        .screen
        .say(&style.dim("On another machine, put the path of its own shoal in front. Ctrl-C ends it."));
    Ok(())
}

/// A host as it stands in a URL.
fn host(text: &str) -> Result<String> {
    if let Ok(ip) = bare(text).parse::<Ipv6Addr>() {
        return Ok(format!("[{ip}]"));
    }
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match !text.is_empty() && text.len() <= 253 && text.chars().all(fine) {
        true => Ok(text.to_owned()),
        false => Err(failure(
            Exit::Usage,
            format!("--advertise: '{}' is no host name or address", display_safe(text)),
        )),
    }
}

/// The address that the tracker gives for a peer on this machine: that of this host, as [`host`] returns it.
async fn resolve(host: &str, context: &Context<'_>) -> Result<Option<IpAddr>> {
    if let Ok(ip) = bare(host).parse() {
        return Ok(Some(ip));
    }
    let found = tokio::select! {
        found = tokio::net::lookup_host((host, 0)) => found,
        signal = context.interrupt.wait() => return Err(failure(signal.exit(), "interrupted")),
    };
    let addresses = found.map_err(|error| anyhow!("--advertise {host}: {}", reason(&error)))?;
    Ok(reachable(addresses.map(|address| address.ip())))
}

/// Of a name's addresses the one that others reach, an IPv4 one if there is one: more of them have that.
///
/// `None` if all mean the machine that asks, as the own name does in many a hosts file: the address by which
/// somebody came to the tracker is better then.
fn reachable(addresses: impl Iterator<Item = IpAddr>) -> Option<IpAddr> {
    addresses.filter(|ip| !ip.is_loopback() && !ip.is_unspecified()).min_by_key(IpAddr::is_ipv6)
}

/// A host without the brackets that an IPv6 address has in a URL.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// An address of this machine that others may reach, as it stands in a URL.
fn own_host() -> String {
    let address = local_address(false).or_else(|| local_address(true)).unwrap_or(Ipv4Addr::LOCALHOST.into());
    in_url(address)
}

/// An address as it stands in a URL.
fn in_url(address: IpAddr) -> String {
    match address {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// The address from which this machine would speak to the world; `None` if it would not. Nothing is sent: a UDP
/// socket that is connected only looks up a route.
pub(super) fn local_address(v6: bool) -> Option<IpAddr> {
    // Addresses for documentation: no packet ever goes there.
    let (own, far): (SocketAddr, SocketAddr) = match v6 {
        false => ((Ipv4Addr::UNSPECIFIED, 0).into(), (Ipv4Addr::new(192, 0, 2, 1), 9).into()),
        true => {
            ((Ipv6Addr::UNSPECIFIED, 0).into(), (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into())
        }
    };
    let socket = UdpSocket::bind(own).ok()?;
    socket.connect(far).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified() && !ip.is_loopback()).then_some(ip)
}

/// How this program is called in a shell: by its name if that finds it, else by its path.
fn program(context: &Context<'_>) -> String {
    let real = |path: &Path| path.canonicalize().ok();
    let paths = (context.env)("PATH").unwrap_or_default();
    let own = real(context.program);
    let first = std::env::split_paths(&paths).map(|folder| folder.join("shoal")).find(|path| path.is_file());
    if own.is_some() && first.as_deref().and_then(real) == own {
        return "shoal".to_owned();
    }
    quoted(&context.program.to_string_lossy())
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_where_a_shell_would_split_it() {
        assert_eq!(quoted("/usr/bin/shoal"), "/usr/bin/shoal");
        assert_eq!(quoted("/my files/shoal"), "'/my files/shoal'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("a$(b)"), "'a$(b)'");
    }

    #[tokio::test]
    async fn the_first_free_port_is_taken() {
        let held = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let busy = held.local_addr().unwrap().port();
        assert!(bind(None, [busy]).await.is_none());
        let tracker = bind(None, [busy, 0]).await.unwrap();
        assert!(tracker.local_addrs().iter().all(|address| address.port() != busy));
        assert_eq!((PORTS.start(), PORTS.end()), (&6969, &6979));
    }

    #[test]
    fn an_advertised_host_fits_into_a_url() {
        assert_eq!(host("example.org").unwrap(), "example.org");
        assert_eq!(host("::1").unwrap(), "[::1]");
        assert_eq!(host("[fe80::1]").unwrap(), "[fe80::1]");
        for bad in ["", "a b", "a/b", "a:1", "a\nb", "[::1", "::1]", "[a]"] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn of_a_names_addresses_the_tracker_gets_one_that_others_reach() {
        let chosen = |texts: &[&str]| {
            reachable(texts.iter().map(|text| text.parse().unwrap())).map(|ip| ip.to_string())
        };
        assert_eq!(chosen(&["2001:db8::7", "192.0.2.7", "192.0.2.8"]).as_deref(), Some("192.0.2.7"));
        assert_eq!(chosen(&["127.0.1.1", "2001:db8::7"]).as_deref(), Some("2001:db8::7"));
        assert_eq!(chosen(&["127.0.1.1", "::1", "0.0.0.0"]), None);
    }
}
