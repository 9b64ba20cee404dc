//! Opening UDP sockets: one for each worker on every address.
//!
//! IPv6 sockets take IPv6 only, as those for HTTP do. The sockets of one address share its port (`SO_REUSEPORT`), but
//! with each other only: the first is opened without sharing, so that a second tracker on one port is an error
//! and not a thief of half the packets.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use quinn_udp::{UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::TrackerError;

/// What the kernel may hold for a worker that is busy: some tenths of a second's packets. Most systems allow less
/// and give what they allow.
const BUFFER_BYTES: usize = 8 << 20;

/// The sockets of one worker.
#[derive(Debug)]
pub(super) struct Sockets(pub(super) Vec<Bound>);

/// A socket, ready for batches.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) socket: UdpSocket,
    pub(super) batches: UdpSocketState,
    /// The address listened on.
    pub(super) local: SocketAddr,
}

impl Sockets {
    pub(super) fn local_addrs(&self) -> Vec<SocketAddr> {
        self.0.iter().map(|bound| bound.local).collect()
    }
}

/// Opens a socket on each address for each worker. A machine without IPv6 is no reason to fail: `[::]` is left out there when
/// another address remains.
pub(super) fn bind_all(addresses: &[SocketAddr], workers: usize) -> Result<Vec<Sockets>, TrackerError> {
    let mut sockets: Vec<Sockets> = (0..workers).map(|_| Sockets(Vec::new())).collect();
    let mut left_out = None;
    for &address in addresses {
        match bind_shared(address, &mut sockets) {
            Ok(()) => {}
            Err(source) => {
                let missing_ipv6 = address.ip() == IpAddr::from([0; 16])
                    && !matches!(source.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied);
                let error = TrackerError::ListenUdp { address, source };
                if !missing_ipv6 {
                    return Err(error);
                }
                tracing::warn!("{error}: going on without IPv6");
                left_out = Some(error);
            }
        }
    }
    let none = sockets.iter().all(|sockets| sockets.0.is_empty());
    match left_out {
        Some(error) if none => Err(error),
        _ => Ok(sockets),
    }
}

/// Gives each worker the same socket, which somebody else opened and keeps, beside those of its own.
pub(super) fn adopt(workers: &mut [Sockets], given: Vec<UdpSocket>) -> Result<(), TrackerError> {
    for socket in given {
        let address = socket.local_addr();
        let adopted = workers.iter().map(|_| prepare(socket.try_clone()?)).collect::<io::Result<Vec<_>>>();
        let adopted = adopted.map_err(|source| TrackerError::ListenUdp {
            address: address.unwrap_or_else(|_| ([0; 4], 0).into()),
            source,
        })?;
        workers.iter_mut().zip(adopted).for_each(|(sockets, bound)| sockets.0.push(bound));
    }
    Ok(())
}

/// Opens one socket on the address for each worker. Port 0 becomes one that is free.
fn bind_shared(mut address: SocketAddr, workers: &mut [Sockets]) -> io::Result<()> {
    let mut opened = Vec::with_capacity(workers.len());
    for n in 0..workers.len() {
        let bound = bind(address, n > 0)?;
        address = bound.local;
        opened.push(bound);
    }
    workers.iter_mut().zip(opened).for_each(|(sockets, bound)| sockets.0.push(bound));
    Ok(())
}

fn bind(address: SocketAddr, sharing: bool) -> io::Result<Bound> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_port(sharing)?;
    socket.bind(&address.into())?;
    socket.set_reuse_port(true)?;
    prepare(socket.into())
}

fn prepare(socket: UdpSocket) -> io::Result<Bound> {
    let options = SockRef::from(&socket);
    // What the system does not allow is cut by it, without an error.
    options.set_recv_buffer_size(BUFFER_BYTES)?;
    options.set_send_buffer_size(BUFFER_BYTES)?;
    let batches = UdpSocketState::new(UdpSockRef::from(&socket))?;
    let local = socket.local_addr()?;
    Ok(Bound { socket, batches, local })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::default_addresses;

    fn local() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn every_worker_has_a_socket_on_every_address_and_shares_its_port() {
        let sockets = bind_all(&default_addresses(0), 3).unwrap();
        let addresses = sockets[0].local_addrs();
        assert!(addresses.iter().all(|address| address.port() != 0), "{addresses:?}");
        assert!(sockets.iter().all(|sockets| sockets.local_addrs() == addresses));
        assert_eq!(sockets.len(), 3);
    }

    #[test]
    fn a_second_tracker_on_one_port_is_an_error_that_says_what_to_do() {
        let first = bind_all(&[local()], 2).unwrap();
        let address = first[0].local_addrs()[0];
        let error = bind_all(&[address], 2).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "cannot listen on {address} over UDP: Address already in use (is another tracker running? choose another with --udp)"
            )
        );
    }

    #[test]
    fn no_address_is_no_udp() {
        assert!(bind_all(&[], 1).unwrap()[0].local_addrs().is_empty());
    }
}
