//! Connections that a trusted load balancer forwards, with a PROXY header before them.

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tracker_proto::access::proxy::{HEAD_BYTES, Head, MAX_REST_BYTES};

use super::Gate;
use crate::state::Link;

impl Gate {
    /// Who is at the other end of a new connection: whom its PROXY header names, if one has to be there. Reads that
    /// header and nothing after it. `None` if the connection is to be closed. The caller sets the deadline.
    pub(crate) async fn link(&self, stream: &mut (impl AsyncRead + Unpin), link: Link) -> Option<Link> {
        if !self.expects_header(link.remote.ip()) {
            return Some(link);
        }
        let mut head = [0; HEAD_BYTES];
        stream.read_exact(&mut head).await.ok()?;
        let head = Head::parse(&head)
            .inspect_err(|error| tracing::warn!("a connection from {}: {error}", link.remote))
            .ok()?;
        let mut rest = [0; MAX_REST_BYTES];
        let rest = rest.get_mut(..head.rest)?;
        stream.read_exact(rest).await.ok()?;
        Some(head.addresses(rest).ok()?.map_or(link, |(remote, local)| Link { remote, local }))
    }
}
