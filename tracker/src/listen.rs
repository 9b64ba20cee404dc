//! Opening the listening sockets.
//!
//! One socket an address family: IPv6 sockets take IPv6 only, so that `[::]` and `0.0.0.0` can both have the port
//! and a peer's address is never an IPv4 address in IPv6 clothes. Each thread that answers has a socket of its own on
//! every address, among which the kernel spreads the connections (`SO_REUSEPORT`); the first is opened without sharing,
//! so that a second tracker on the port is an error and not a thief of half the connections.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::TrackerError;

/// Connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 1024;
/// How often a port that is free in one family may be taken in the other before it is an error.
const PORT_ATTEMPTS: usize = 32;

/// Binds all addresses as often as there are workers; gives each worker its listeners, and the addresses. Those with
/// port 0 share one port, unless they are the same address.
///
/// A machine without IPv6 is no reason to fail: `[::]` is left out there when another address remains.
pub(crate) fn bind_all(addresses: &[SocketAddr], workers: usize) -> Result<Bound, TrackerError> {
    let first = bind_first(addresses)?;
    let mut bound = Bound { addresses: Vec::with_capacity(first.len()), listeners: Vec::new() };
    for listener in &first {
        let address = listener.local_addr().map_err(|source| listen_error(None, source))?;
        bound.addresses.push(address);
    }
    bound.listeners.push(first);
    for _ in 1..workers {
        let share = |address: &SocketAddr| {
            bind(*address, true).map_err(|source| listen_error(Some(*address), source))
        };
        let listeners = bound.addresses.iter().map(share).collect::<Result<_, _>>()?;
        bound.listeners.push(listeners);
    }
    Ok(bound)
}

/// Gives each worker the same listeners, which somebody else opened and keeps, beside those of its own.
pub(crate) fn adopt(bound: &mut Bound, given: Vec<TcpListener>, workers: usize) -> Result<(), TrackerError> {
    for listener in given {
        let address = listener.local_addr();
        let adopted = listener.set_nonblocking(true).and_then(|()| {
            SockRef::from(&listener).set_tcp_nodelay(true)?;
            let copies = (1..workers).map(|_| listener.try_clone()).collect::<io::Result<Vec<_>>>()?;
            Ok((listener.local_addr()?, copies))
        });
        let (local, copies) = adopted.map_err(|source| listen_error(address.ok(), source))?;
        bound.addresses.push(local);
        bound.listeners.resize_with(workers, Vec::new);
        let each = std::iter::once(listener).chain(copies);
        bound.listeners.iter_mut().zip(each).for_each(|(listeners, listener)| listeners.push(listener));
    }
    Ok(())
}

/// The listeners of a tracker.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    /// The addresses listened on.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Those of each worker, in the order of the addresses.
    pub(crate) listeners: Vec<Vec<TcpListener>>,
}

fn listen_error(address: Option<SocketAddr>, source: io::Error) -> TrackerError {
    TrackerError::Listen { address: address.unwrap_or_else(|| ([0; 4], 0).into()), source }
}

fn bind_first(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, TrackerError> {
    let mut attempt = 1;
    loop {
        match try_bind_all(addresses) {
            Err(TrackerError::Listen { source, .. })
                if source.kind() == io::ErrorKind::AddrInUse
                    && attempt < PORT_ATTEMPTS
                    && any_port(addresses) =>
            {
                attempt += 1;
            }
            result => return result,
        }
    }
}

fn any_port(addresses: &[SocketAddr]) -> bool {
    addresses.iter().any(|address| address.port() == 0)
}

fn try_bind_all(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, TrackerError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    let mut shared_port = 0;
    let mut sharing: Vec<IpAddr> = Vec::new();
    let mut left_out = None;
    for address in addresses {
        let mut wanted = *address;
        if wanted.port() == 0 && !sharing.contains(&wanted.ip()) {
            wanted.set_port(shared_port);
            sharing.push(wanted.ip());
        }
        let bound = bind(wanted, false).and_then(|listener| Ok((listener.local_addr()?, listener)));
        match bound {
            Ok((local, listener)) => {
                if address.port() == 0 && shared_port == 0 {
                    shared_port = local.port();
                }
                listeners.push(listener);
            }
            Err(source) => {
                let error = TrackerError::Listen { address: wanted, source };
                if !is_missing_ipv6(&error) {
                    return Err(error);
                }
                tracing::warn!("{error}: going on without IPv6");
                left_out = Some(error);
            }
        }
    }
    if listeners.is_empty() { Err(left_out.unwrap_or(TrackerError::NoAddress)) } else { Ok(listeners) }
}

/// Whether the address was every IPv6 address and the system has none.
fn is_missing_ipv6(error: &TrackerError) -> bool {
    let TrackerError::Listen { address, source } = error else { return false };
    address.is_ipv6()
        && address.ip().is_unspecified()
        && !matches!(source.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

/// Listens on one address.
pub(crate) fn bind(address: SocketAddr, sharing: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A tracker that was just stopped may start again at once: its old connections do not hold the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(sharing)?;
    // Replies are small and complete: there is nothing to wait for. Connections have it from their listener.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::default_addresses;

    #[test]
    fn the_default_pair_has_one_port_in_both_families() {
        let listeners = bind_all(&default_addresses(0), 2).unwrap();
        let locals = &listeners.addresses;
        assert!(locals.iter().any(SocketAddr::is_ipv4));
        assert!(
            locals.iter().all(|local| local.port() == locals[0].port() && local.port() != 0),
            "{locals:?}"
        );
    }

    #[test]
    fn one_address_can_be_asked_for_two_free_ports() {
        let address = "127.0.0.1:0".parse().unwrap();
        let bound = bind_all(&[address, address], 1).unwrap();
        assert_ne!(bound.addresses[0], bound.addresses[1]);
    }

    #[test]
    fn a_port_that_is_taken_is_named_with_what_to_do() {
        let taken = bind_all(&["127.0.0.1:0".parse().unwrap()], 2).unwrap();
        let address = taken.addresses[0];
        let error = bind_all(&[address], 2).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "cannot listen on {address}: Address already in use (is another tracker running? choose another with --http)"
            )
        );
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        let error = bind_all(&["192.0.2.1:0".parse().unwrap()], 1).unwrap_err().to_string();
        assert!(error.starts_with("cannot listen on 192.0.2.1:0: "), "{error}");
        assert!(error.ends_with("choose another with --http)"), "{error}");
    }

    #[test]
    fn no_address_is_an_error() {
        assert!(matches!(bind_all(&[], 1), Err(TrackerError::NoAddress)));
    }
}
