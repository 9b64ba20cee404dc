//! `X-Forwarded-For`: who asked the proxy that asks us.
//!
//! Each proxy appends the address that it was asked from, so that only the end of the header is written by those we
//! trust, and all before it can be forged. Read from the right, the first address outside the trusted networks is
//! the client (HOSTILE 56).

use std::net::{IpAddr, SocketAddr};

use super::{Networks, Refusal};

/// The most trusted proxies that one request is followed through: chains have one to three.
pub const MAX_FORWARDERS: usize = 16;

/// The client of a request that came from `direct` with these values of `X-Forwarded-For`, in the order in which the
/// headers came. Of a connection that is not from a trusted network the headers are not looked at.
///
/// If all addresses are trusted the leftmost is the client: somebody within these networks.
///
/// # Errors
/// [`Refusal::Forwarder`] if a trusted proxy wrote what is no address: who asks is not known then, and the proxy's own
/// address, which has privileges, must not stand for it.
pub fn forwarded<'a>(
    direct: IpAddr,
    trusted: &Networks,
    headers: impl DoubleEndedIterator<Item = &'a [u8]>,
) -> Result<IpAddr, Refusal> {
    let mut client = direct.to_canonical();
    let entries = headers.rev().flat_map(|header| header.rsplit(|&byte| byte == b','));
    for (hops, entry) in entries.map(<[u8]>::trim_ascii).enumerate() {
        if !trusted.contains(client) {
            break;
        }
        if hops >= MAX_FORWARDERS {
            return Err(Refusal::Forwarder);
        }
        client = read(entry).ok_or(Refusal::Forwarder)?.to_canonical();
    }
    Ok(client)
}

/// An address, with or without a port, brackets around IPv6 with one.
fn read(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}
