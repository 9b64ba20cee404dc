//! Sockets that a service manager opened and keeps open, so that a restart loses nobody (systemd's socket activation).
//!
//! While the tracker is not there, connections and packets wait in the kernel for the next one. Every worker accepts
//! from the same socket: a socket of its own on the port would be closed with the tracker, and who waits there lost.
//!
//! Invariant: what was handed over is used or an error; none of it is silently left.
//!
//! Does not keep the swarms, which the snapshot does.

use std::net::{TcpListener, UdpSocket};

use listenfd::ListenFd;
use socket2::SockRef;

use crate::TrackerError;

/// Listening sockets of a tracker that it did not open itself.
#[derive(Debug, Default)]
pub struct GivenSockets {
    /// Those for HTTP.
    pub http: Vec<TcpListener>,
    /// Those for UDP.
    pub udp: Vec<UdpSocket>,
}

impl GivenSockets {
    /// The sockets that this process was started with (`LISTEN_FDS`): TCP ones are for HTTP. None is usual. They are
    /// given once: a second call finds none.
    ///
    /// # Errors
    /// When one of them is neither a TCP listener nor a UDP socket.
    pub fn from_service_manager() -> Result<Self, TrackerError> {
        let mut passed = ListenFd::from_env();
        let mut given = Self::default();
        for number in 0..passed.len() {
            let wrong = |reason| TrackerError::Given { number: number + 1, reason };
            let takes_both = if let Ok(Some(listener)) = passed.take_tcp_listener(number) {
                let takes_both = takes_both_families(&SockRef::from(&listener));
                given.http.push(listener);
                takes_both
            } else if let Ok(Some(socket)) = passed.take_udp_socket(number) {
                let takes_both = takes_both_families(&SockRef::from(&socket));
                given.udp.push(socket);
                takes_both
            } else {
                return Err(wrong("is neither TCP nor UDP"));
            };
            if takes_both {
                return Err(wrong(
                    "takes IPv4 over IPv6, which would make two peers of one: \
                     say BindIPv6Only=ipv6-only and name both addresses",
                ));
            }
        }
        Ok(given)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.http.is_empty() && self.udp.is_empty()
    }
}

fn takes_both_families(socket: &SockRef<'_>) -> bool {
    let is_ipv6 = socket.local_addr().is_ok_and(|address| address.as_socket().is_some_and(|a| a.is_ipv6()));
    is_ipv6 && !socket.only_v6().unwrap_or(false)
}
