//! Answers on their way out, as many at once as there are.
//!
//! From a socket that is bound to one address they leave in one system call (`sendmmsg`). One that is bound to every
//! address has to say for each from which it comes, and sends one by one.

use std::io;
use std::net::{IpAddr, SocketAddr};

use quinn_udp::{BATCH_SIZE, Transmit, UdpSockRef};
use tracker_proto::udp::MAX_REPLY_BYTES;

use super::listen::Bound;

/// The answers to one batch. Its buffers are used again.
pub(super) struct Outbox {
    replies: Vec<Reply>,
    /// How many of them are to be sent.
    count: usize,
}

struct Reply {
    packet: Vec<u8>,
    to: SocketAddr,
    /// Which of the machine's addresses was asked.
    from: IpAddr,
}

impl Outbox {
    pub(super) fn new() -> Self {
        let (to, from) = (SocketAddr::from(([0; 4], 0)), IpAddr::from([0; 4]));
        let reply = || Reply { packet: Vec::with_capacity(MAX_REPLY_BYTES), to, from };
        Self { replies: std::iter::repeat_with(reply).take(BATCH_SIZE).collect(), count: 0 }
    }

    /// Lets an answer be written, and keeps it if there is one. Sends what there is when there is no room for more.
    pub(super) fn push(
        &mut self,
        bound: &Bound,
        (to, from): (SocketAddr, IpAddr),
        write: impl FnOnce(&mut Vec<u8>) -> bool,
    ) {
        if self.count == self.replies.len() {
            self.flush(bound);
        }
        if let Some(reply) = self.replies.get_mut(self.count)
            && write(&mut reply.packet)
        {
            (reply.to, reply.from) = (to, from);
            self.count += 1;
        }
    }

    /// Sends all. What the kernel has no room for is lost, as packets are.
    pub(super) fn flush(&mut self, bound: &Bound) {
        let count = std::mem::take(&mut self.count);
        let replies = self.replies.get(..count).unwrap_or_default();
        if bound.local.ip().is_unspecified() || cfg!(not(target_os = "linux")) {
            replies.iter().for_each(|reply| told(reply.to, send_one(bound, reply)));
        } else {
            #[cfg(target_os = "linux")]
            send_all(bound, replies);
        }
    }
}

fn send_one(bound: &Bound, reply: &Reply) -> io::Result<()> {
    let transmit = Transmit {
        destination: reply.to,
        ecn: None,
        contents: &reply.packet,
        segment_size: None,
        src_ip: bound.local.ip().is_unspecified().then_some(reply.from),
    };
    bound.batches.try_send(UdpSockRef::from(&bound.socket), &transmit)
}

#[cfg(target_os = "linux")]
fn send_all(bound: &Bound, replies: &[Reply]) {
    use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};

    let slices: Vec<_> = replies.iter().map(|reply| [io::IoSlice::new(&reply.packet)]).collect();
    let addresses: Vec<_> = replies.iter().map(|reply| SocketAddrAny::from(reply.to)).collect();
    let mut nothing: Vec<_> = replies.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let parts = addresses.iter().zip(&slices).zip(&mut nothing);
    let mut messages: Vec<_> =
        parts.map(|((to, slice), control)| MMsgHdr::new_with_addr(to, slice, control)).collect();
    let mut rest = messages.as_mut_slice();
    while !rest.is_empty() {
        let done = match sendmmsg(&bound.socket, rest, SendFlags::DONTWAIT) {
            Ok(sent) => sent.max(1),
            Err(rustix::io::Errno::INTR) => 0,
            // The first of the rest is the one that failed.
            Err(error) => {
                let at = replies.len() - rest.len();
                replies.get(at).iter().for_each(|reply| told(reply.to, Err(error.into())));
                1
            }
        };
        rest = rest.get_mut(done..).unwrap_or_default();
    }
}

fn told(to: SocketAddr, sent: io::Result<()>) {
    if let Err(error) = sent {
        tracing::debug!("an answer to {to} is lost: {error}");
    }
}
