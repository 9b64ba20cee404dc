//! The session that the options about the network ask for.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};
use metainfo::display_safe;
use peer::{Limits, Listen, PortChoice, Session, SessionConfig, SessionError};

use super::Context;
use crate::cli::NetworkArgs;
use crate::exit::{Exit, failure, reason};

/// Addresses of one host name that are tried: more than a peer at home has, and no flood.
const MAX_ADDRESSES: usize = 8;

/// The session that these options ask for.
pub(super) fn start(args: &NetworkArgs, context: &Context<'_>) -> Result<Session> {
    let mut listen = Listen::default();
    if let Some(name) = &args.bind {
        listen.addresses = addresses_of(name)?;
    }
    match args.port {
        None => {}
        Some(0) => listen.port = PortChoice::Any,
        Some(port) => listen.port = PortChoice::Exact(port),
    }
    let max_peers = usize::try_from(args.max_peers).unwrap_or(usize::MAX);
    let limits = Limits { up: args.limit_up, down: args.limit_down };
    let pex = args.pex.on;
    let state_dir = match &args.state_dir {
        Some(folder) => Some(context.cwd.join(folder)),
        None => usual_state(context),
    };
    let config = SessionConfig { listen, max_peers, limits, pex, state_dir, ..SessionConfig::default() };
    Session::start(config).map_err(|error| match error {
        SessionError::Listen { address, source } => {
            let hint = match source.kind() {
                std::io::ErrorKind::AddrInUse => "; choose another with --port (0 = any)",
                std::io::ErrorKind::PermissionDenied => "; choose one above 1023 with --port",
                std::io::ErrorKind::AddrNotAvailable => "; choose one of this machine's with --bind",
                _ => "",
            };
            anyhow!("cannot listen on {address}: {}{hint}", reason(&source))
        }
        other => anyhow!("{other}"),
    })
}

/// The address by which others reach a session that listens on some addresses only: an IPv4 one if there is one. `None`
/// if it listens on every one.
pub(super) fn bound(args: &NetworkArgs) -> Result<Option<IpAddr>> {
    let Some(name) = &args.bind else { return Ok(None) };
    Ok(addresses_of(name)?.into_iter().filter(|ip| !ip.is_unspecified()).min_by_key(IpAddr::is_ipv6))
}

/// The addresses of peers that were named by address or by host name.
pub(super) async fn peers(named: &[String], context: &Context<'_>) -> Result<Vec<SocketAddr>> {
    let mut peers = Vec::with_capacity(named.len());
    for name in named {
        let found = tokio::select! {
            found = tokio::net::lookup_host(name) => found,
            signal = context.interrupt.wait() => return Err(failure(signal.exit(), "interrupted")),
        };
        match found {
            Ok(addresses) => peers.extend(addresses.take(MAX_ADDRESSES)),
            Err(error) => bail!("--peer {}: {}", display_safe(name), reason(&error)),
        }
    }
    Ok(peers)
}

/// `$XDG_STATE_HOME/shoal`, or that below `~/.local/state`; none for a user without a home.
fn usual_state(context: &Context<'_>) -> Option<PathBuf> {
    let set = |name: &str| (context.env)(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // A relative XDG_STATE_HOME is to be ignored, says its specification.
    let base = set("XDG_STATE_HOME").filter(|path| path.is_absolute());
    let base = base.or_else(|| Some(set("HOME")?.join(".local/state")))?;
    Some(base.join("shoal"))
}

/// The address that this is, or those of the network interface of this name.
fn addresses_of(name: &str) -> Result<Vec<IpAddr>> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let interfaces = if_addrs::get_if_addrs().context("cannot list this machine's network interfaces")?;
    // A link-local IPv6 address means nothing without its zone, which peers and trackers cannot be told.
    let addresses: Vec<IpAddr> = interfaces
        .iter()
        .filter(|interface| interface.name == name && !interface.is_link_local())
        .map(if_addrs::Interface::ip)
        .collect();
    if addresses.is_empty() {
        let mut names: Vec<&str> = interfaces.iter().map(|interface| interface.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        return Err(failure(
            Exit::Usage,
            format!(
                "--bind {}: neither an address nor an interface with one (there are {})",
                display_safe(name),
                names.join(", ")
            ),
        ));
    }
    Ok(addresses)
}
