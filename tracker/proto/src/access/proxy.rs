//! The PROXY protocol, version 2: what a load balancer writes before the first byte of a connection that it forwards.
//!
//! 12 bytes of signature, version and command, family and transport, the length of the rest, then the addresses, then
//! extensions that are skipped. Only a trusted network is asked for it, and it has to come first there: guessing
//! whether it is there would let a client write its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;

/// Bytes up to and with the length of the rest.
pub const HEAD_BYTES: usize = 16;
/// The most bytes after those: addresses take 36, extensions (TLS names, ids) some hundreds.
pub const MAX_REST_BYTES: usize = 2048;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, command LOCAL: the balancer itself, asking whether we live.
const LOCAL: u8 = 0x20;
/// Version 2, command PROXY.
const PROXY: u8 = 0x21;
/// A stream over IPv4.
const TCP4: u8 = 0x11;
/// A stream over IPv6.
const TCP6: u8 = 0x21;

/// What the first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    command: u8,
    family: u8,
    /// Bytes that follow, at most [`MAX_REST_BYTES`].
    pub rest: usize,
}

/// Why a connection is not forwarded by this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProxyError {
    /// It does not begin so.
    #[error("no PROXY header of version 2")]
    Signature,
    /// A command of another version, or none that there is.
    #[error("a PROXY header of another version or with an unknown command")]
    Command,
    /// Neither IPv4 nor IPv6 over TCP.
    #[error("a PROXY header of another family than TCP over IPv4 or IPv6")]
    Family,
    /// More than [`MAX_REST_BYTES`], or too little for its addresses.
    #[error("a PROXY header with a wrong length")]
    Length,
}

impl Head {
    /// Reads the first bytes.
    ///
    /// # Errors
    /// If they are not those of a forwarded stream.
    pub fn parse(bytes: &[u8; HEAD_BYTES]) -> Result<Self, ProxyError> {
        let [signature @ .., command, family, high, low] = *bytes;
        if signature != SIGNATURE {
            return Err(ProxyError::Signature);
        }
        let rest = usize::from(u16::from_be_bytes([high, low]));
        let head = Self { command, family, rest };
        match (command, family) {
            _ if rest > MAX_REST_BYTES => Err(ProxyError::Length),
            (LOCAL, _) => Ok(head),
            (PROXY, TCP4) if rest >= 12 => Ok(head),
            (PROXY, TCP6) if rest >= 36 => Ok(head),
            (PROXY, TCP4 | TCP6) => Err(ProxyError::Length),
            (PROXY, _) => Err(ProxyError::Family),
            _ => Err(ProxyError::Command),
        }
    }

    /// The client's address and the one that it connected to; `None` if the connection is the balancer's own.
    ///
    /// # Errors
    /// If `rest` is shorter than its addresses.
    pub fn addresses(&self, rest: &[u8]) -> Result<Option<(SocketAddr, SocketAddr)>, ProxyError> {
        match (self.command, self.family) {
            (LOCAL, _) => Ok(None),
            (_, TCP4) => pair::<4>(rest, |ip| Ipv4Addr::from(ip).into()).map(Some),
            _ => pair::<16>(rest, |ip| Ipv6Addr::from(ip).to_canonical()).map(Some),
        }
    }
}

/// Both addresses, then both ports.
fn pair<const N: usize>(
    rest: &[u8],
    ip: impl Fn([u8; N]) -> IpAddr,
) -> Result<(SocketAddr, SocketAddr), ProxyError> {
    let (source, rest) = rest.split_first_chunk::<N>().ok_or(ProxyError::Length)?;
    let (destination, rest) = rest.split_first_chunk::<N>().ok_or(ProxyError::Length)?;
    let (&[a, b, c, d], _) = rest.split_first_chunk::<4>().ok_or(ProxyError::Length)?;
    let (from, to) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    Ok((SocketAddr::new(ip(*source), from), SocketAddr::new(ip(*destination), to)))
}
