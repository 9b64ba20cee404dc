//! Peers that come to us.
//!
//! Invariant: a stranger is read from only while fewer than [`limits::HALF_OPEN`] others have not introduced
//! themselves, and for no longer than the deadline, however slowly it sends. Who comes meanwhile waits in the kernel,
//! in order, and is not turned away: two hundred peers may come at one instant. One listener serves all torrents.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use peer_proto::torrent::Direction;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::{Handshaken, handshake};
use crate::shared::Shared;
use crate::{Listen, PortChoice, SessionError};

/// Connections that the kernel holds for us: a swarm that starts all at once.
const BACKLOG: i32 = 512;

/// After an accept that failed for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// How often a port that is free on one address but not on the next is tried anew.
const ANY_TRIES: usize = 16;

/// The sockets of a session, all on one port.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) sockets: Vec<StdListener>,
    pub(crate) port: u16,
    /// Addresses that this machine cannot listen on.
    pub(crate) skipped: Vec<(IpAddr, io::Error)>,
}

/// Binds one port on every address.
pub(crate) fn bind(listen: &Listen) -> Result<Bound, SessionError> {
    match &listen.port {
        PortChoice::Exact(port) => bind_all(&listen.addresses, *port),
        PortChoice::Any => {
            let mut last = bind_all(&listen.addresses, 0);
            for _ in 1..ANY_TRIES {
                if !is_taken(&last) {
                    break;
                }
                last = bind_all(&listen.addresses, 0);
            }
            last
        }
        PortChoice::FirstFree(range) => {
            for port in range.clone() {
                let bound = bind_all(&listen.addresses, port);
                if !is_taken(&bound) {
                    return bound;
                }
            }
            Err(SessionError::NoFreePort(range.clone()))
        }
    }
}

fn is_taken(bound: &Result<Bound, SessionError>) -> bool {
    matches!(bound, Err(SessionError::Listen { source, .. }) if source.kind() == io::ErrorKind::AddrInUse)
}

/// Binds `port`, or any if it is 0. An address that the machine lacks is skipped if another works.
fn bind_all(addresses: &[IpAddr], port: u16) -> Result<Bound, SessionError> {
    let mut bound = Bound { sockets: Vec::new(), port, skipped: Vec::new() };
    for &ip in addresses {
        let address = SocketAddr::new(ip, bound.port);
        let listening = bind_one(address).and_then(|socket| Ok((socket.local_addr()?.port(), socket)));
        match listening {
            Ok((port, socket)) => {
                bound.port = port;
                bound.sockets.push(socket);
            }
            Err(source) if source.kind() == io::ErrorKind::AddrInUse => {
                return Err(SessionError::Listen { address, source });
            }
            Err(source) => bound.skipped.push((ip, source)),
        }
    }
    match (bound.sockets.is_empty(), bound.skipped.pop()) {
        (false, last) => {
            bound.skipped.extend(last);
            Ok(bound)
        }
        (true, Some((ip, source))) => {
            Err(SessionError::Listen { address: SocketAddr::new(ip, port), source })
        }
        (true, None) => Err(SessionError::NoAddress),
    }
}

fn bind_one(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // IPv4 has a socket of its own: mapped addresses would make one peer look like two.
        socket.set_only_v6(true)?;
    }
    // A port that was ours a moment ago is free at once.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The tasks that accept; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct Listeners(Vec<AbortHandle>);

impl Listeners {
    pub(crate) fn start(shared: &Arc<Shared>, sockets: Vec<StdListener>) -> io::Result<Self> {
        let start = |socket| {
            let listener = TcpListener::from_std(socket)?;
            Ok(tokio::spawn(accept(Arc::clone(shared), listener)).abort_handle())
        };
        sockets.into_iter().map(start).collect::<io::Result<_>>().map(Self)
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!("cannot accept a connection: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // One connection a listener waits here, the others before the accept.
        let Ok(turn) = Arc::clone(&shared.half_open).acquire_owned().await else { return };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let deadline = shared.config.deadlines.handshake;
            if let Ok(Err(error)) | Err(error) =
                timeout(deadline, greet(shared, stream, address)).await.map_err(io::Error::from)
            {
                tracing::debug!("{address}: {error}");
            }
            drop(turn);
        });
    }
}

/// Answers a stranger who knows a torrent of ours, and hands the connection over.
async fn greet(shared: Arc<Shared>, mut stream: TcpStream, address: SocketAddr) -> io::Result<()> {
    let place = shared.place(address).map_err(io::Error::other)?;
    handshake::prepare(&stream);
    let theirs = handshake::receive(&mut stream).await?;
    let unknown = || handshake::invalid("asks for a torrent that is not here");
    let swarm = shared.swarm(theirs.info_hash).ok_or_else(unknown)?;
    handshake::send(&mut stream, theirs.info_hash, shared.peer_id).await?;
    let (peer_id, reserved) = (theirs.peer_id, theirs.reserved);
    let handshaken = Handshaken { stream, address, direction: Direction::Incoming, peer_id, reserved, place };
    swarm.send(handshaken).await.map_err(|_| unknown())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn local(port: PortChoice) -> Listen {
        Listen { addresses: vec![Ipv4Addr::LOCALHOST.into()], port }
    }

    #[test]
    fn a_port_that_is_taken_is_an_error_and_in_a_range_the_next_one_is_used() {
        let first = bind(&local(PortChoice::Any)).unwrap();
        let port = first.port;
        let error = bind(&local(PortChoice::Exact(port))).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot listen on 127.0.0.1:{port}: ")), "{error}");
        let error = bind(&local(PortChoice::FirstFree(port..=port))).unwrap_err().to_string();
        assert_eq!(error, format!("no port from {port} to {port} is free; choose another with --port"));
        let next = bind(&local(PortChoice::FirstFree(port..=u16::MAX))).unwrap();
        assert!(next.port > port);
    }

    #[test]
    fn one_port_is_bound_on_all_addresses_that_the_machine_has() {
        let nowhere = "192.0.2.1".parse().unwrap();
        let addresses = vec![nowhere, Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let bound = bind(&Listen { addresses, port: PortChoice::Any }).unwrap();
        assert!(bound.skipped.iter().any(|(ip, _)| *ip == nowhere));
        assert_eq!(bound.sockets.len() + bound.skipped.len(), 3);
        assert!(bound.sockets.iter().all(|socket| socket.local_addr().unwrap().port() == bound.port));
        let only = Listen { addresses: vec![nowhere], port: PortChoice::Any };
        assert!(matches!(bind(&only), Err(SessionError::Listen { .. })));
        let none = Listen { addresses: vec![], port: PortChoice::Any };
        assert!(matches!(bind(&none), Err(SessionError::NoAddress)));
    }
}
