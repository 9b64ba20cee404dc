//! The tracker that is asked, and the addresses it is asked from.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};

use anyhow::{Context as _, Result, bail};

use crate::Load;

/// How it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    Udp,
}

/// A tracker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) protocol: Protocol,
    pub(crate) address: SocketAddr,
    /// What the URL says of it.
    pub(crate) authority: String,
    /// Of announces, such as `/announce`.
    pub(crate) path: String,
    /// Of scrapes, by the custom that makes one of the other.
    pub(crate) scrape_path: String,
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let (protocol, rest) = match url.split_once("://") {
            Some(("http", rest)) => (Protocol::Http, rest),
            Some(("udp", rest)) => (Protocol::Udp, rest),
            _ => bail!("{url}: neither http:// nor udp://"),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/announce"),
        };
        let address = authority
            .to_socket_addrs()
            .with_context(|| format!("{url}: it is not of the form HOST:PORT"))?
            .next()
            .with_context(|| format!("{url}: there is no such host"))?;
        let scrape_path = match path.rsplit_once("/announce") {
            Some((before, after)) => format!("{before}/scrape{after}"),
            None => "/scrape".to_owned(),
        };
        Ok(Self { protocol, address, authority: authority.to_owned(), path: path.to_owned(), scrape_path })
    }
}

/// From which addresses it is asked: those that are named, or the one that the system would take.
pub(crate) fn sources(options: &Load, target: &Target) -> Result<Vec<IpAddr>> {
    if let Some(count) = options.sources {
        if !target.address.is_ipv4() || !target.address.ip().is_loopback() {
            bail!("--sources is for trackers at 127.0.0.1: name the addresses with --source");
        }
        let first = u32::from(Ipv4Addr::LOCALHOST);
        return Ok((0..u32::from(count)).map(|n| Ipv4Addr::from_bits(first + n).into()).collect());
    }
    if let Some(other) = options.source.iter().find(|ip| ip.is_ipv4() != target.address.is_ipv4()) {
        bail!("{other} cannot reach {}: it is of the other family", target.address);
    }
    if !options.source.is_empty() {
        return Ok(options.source.clone());
    }
    let any: IpAddr = if target.address.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(target.address).with_context(|| format!("{} cannot be reached", target.address))?;
    Ok(vec![socket.local_addr()?.ip()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_with_and_without_a_path() {
        let target = Target::parse("http://127.0.0.1:6969/x/announce?y=1").unwrap();
        assert_eq!((target.path.as_str(), target.scrape_path.as_str()), ("/x/announce?y=1", "/x/scrape?y=1"));
        let target = Target::parse("udp://[::1]:80").unwrap();
        assert_eq!((target.protocol, target.address), (Protocol::Udp, "[::1]:80".parse().unwrap()));
        for wrong in ["127.0.0.1:80", "https://127.0.0.1:80/", "udp://127.0.0.1", "http:///announce"] {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
    }
}
