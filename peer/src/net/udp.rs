//! One UDP socket that several use at once.
//!
//! A reader of its own hands each packet to those who wait for packets from its sender; what nobody waits for is
//! dropped. Today UDP trackers are all there is; uTP and DHT, which hear from strangers, come in here as well.
//!
//! Invariant: whoever is slow to take his packets loses some, as the network would, and holds up nobody.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Packets that wait for one taker: more than any question has answers.
const QUEUE: usize = 8;

/// See the module.
#[derive(Debug)]
pub(crate) struct SharedSocket {
    socket: Arc<UdpSocket>,
    takers: Arc<Takers>,
    reader: AbortHandle,
}

/// Who waits for packets from where. Bounded by the questions that are under way.
#[derive(Debug, Default)]
struct Takers(Mutex<BTreeMap<SocketAddr, Vec<mpsc::Sender<Bytes>>>>);

impl Takers {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Vec<mpsc::Sender<Bytes>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_out(&self, from: SocketAddr, packet: &[u8]) {
        let mut all = self.lock();
        let Some(takers) = all.get_mut(&from) else { return };
        let packet = Bytes::copy_from_slice(packet);
        for taker in takers {
            // Full or gone: lost.
            let _ = taker.try_send(packet.clone());
        }
    }
}

impl SharedSocket {
    /// A socket on any port of this address of ours. To be called within a tokio runtime.
    pub(crate) async fn bind(ours: IpAddr) -> io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind(SocketAddr::new(ours, 0)).await?);
        let takers = Arc::new(Takers::default());
        let reader = tokio::spawn(read(Arc::clone(&socket), Arc::clone(&takers))).abort_handle();
        Ok(Self { socket, takers, reader })
    }

    pub(crate) async fn send_to(&self, packet: &[u8], to: SocketAddr) -> io::Result<()> {
        self.socket.send_to(packet, to).await.map(|_| ())
    }

    /// Takes packets from this sender from now on.
    pub(crate) fn packets_from(&self, from: SocketAddr) -> Packets {
        let (taker, packets) = mpsc::channel(QUEUE);
        self.takers.lock().entry(from).or_default().push(taker);
        Packets { from, packets, takers: Arc::clone(&self.takers) }
    }
}

impl Drop for SharedSocket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// The packets from one sender, for one who waits for them.
#[derive(Debug)]
pub(crate) struct Packets {
    from: SocketAddr,
    packets: mpsc::Receiver<Bytes>,
    takers: Arc<Takers>,
}

impl Packets {
    /// The next one; `None` if the socket is gone.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        self.packets.recv().await
    }
}

impl Drop for Packets {
    fn drop(&mut self) {
        self.packets.close();
        let mut all = self.takers.lock();
        if let Some(takers) = all.get_mut(&self.from) {
            takers.retain(|taker| !taker.is_closed());
            if takers.is_empty() {
                all.remove(&self.from);
            }
        }
    }
}

async fn read(socket: Arc<UdpSocket>, takers: Arc<Takers>) {
    let mut buffer = vec![0; tracker_proto::udp::MAX_PACKET_BYTES];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, from)) => takers.hand_out(from, buffer.get(..length).unwrap_or_default()),
            // About a packet of ours that did not arrive; the one who sent it will notice.
            Err(error) => tracing::debug!("reading UDP packets: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn local() -> SharedSocket {
        SharedSocket::bind([127, 0, 0, 1].into()).await.unwrap()
    }

    #[tokio::test]
    async fn a_packet_goes_to_all_who_wait_for_its_sender_and_to_nobody_else() {
        let (ours, theirs, others) = (local().await, local().await, local().await);
        let address = |socket: &SharedSocket| socket.socket.local_addr().unwrap();
        let (mut one, mut two) = (ours.packets_from(address(&theirs)), ours.packets_from(address(&theirs)));
        let mut other = ours.packets_from(address(&others));
        theirs.send_to(b"hello", address(&ours)).await.unwrap();
        others.send_to(b"other", address(&ours)).await.unwrap();
        assert_eq!((one.next().await.unwrap(), two.next().await.unwrap()), ("hello".into(), "hello".into()));
        assert_eq!(other.next().await.unwrap(), "other");
        drop(one);
        assert_eq!(ours.takers.lock().len(), 2, "one still waits");
        drop((two, other));
        assert!(ours.takers.lock().is_empty());
    }

    #[tokio::test]
    async fn one_who_does_not_take_his_packets_loses_some_and_holds_up_nobody() {
        let (ours, theirs) = (local().await, local().await);
        let (to, from) = (ours.socket.local_addr().unwrap(), theirs.socket.local_addr().unwrap());
        let mut slow = ours.packets_from(from);
        for n in 0..=u8::try_from(QUEUE).unwrap() {
            theirs.send_to(&[n], to).await.unwrap();
            let mut quick = ours.packets_from(from);
            theirs.send_to(b"next", to).await.unwrap();
            while quick.next().await.unwrap() != "next" {}
        }
        let mut taken = 0;
        while slow.packets.try_recv().is_ok() {
            taken += 1;
        }
        assert_eq!(taken, QUEUE);
        assert!(!slow.packets.is_closed());
    }
}
