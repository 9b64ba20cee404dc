//! What came of a story.

use peer_proto::Action;
use peer_proto::wire::Message;
use peer_proto::wire::extension::Extension;

/// How often things happened in one story, so that a test can show that they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Pieces that became ours.
    pub good: usize,
    /// Pieces that were wrong.
    pub bad: usize,
    /// Hosts that were banned.
    pub banned: usize,
    /// Links that the engine closed.
    pub closed: usize,
    /// Blocks that were served.
    pub served: usize,
    /// Requests that were refused.
    pub refused: usize,
    /// Pieces whose blocks were compared to find who lied.
    pub compared: usize,
    /// Messages about metadata, about other peers, and about pieces that were lost.
    pub metadata: usize,
    /// See there.
    pub pex: usize,
    /// See there.
    pub lost: usize,
}

impl Seen {
    pub(super) fn count(&mut self, action: &Action) {
        let counter = match action {
            Action::GotPiece(_) => &mut self.good,
            Action::BadPiece(_) => &mut self.bad,
            Action::Banned(_) => &mut self.banned,
            Action::Close(..) => &mut self.closed,
            Action::Upload(..) => &mut self.served,
            Action::Send(_, Message::Reject(_)) => &mut self.refused,
            Action::DigestBlocks(_) => &mut self.compared,
            _ => return,
        };
        *counter += 1;
    }

    pub(super) fn told(&mut self, of: Option<Extension>) {
        let counter = match of {
            Some(Extension::Metadata) => &mut self.metadata,
            Some(Extension::Pex) => &mut self.pex,
            Some(Extension::DontHave) => &mut self.lost,
            None => return,
        };
        *counter += 1;
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            good: self.good + other.good,
            bad: self.bad + other.bad,
            banned: self.banned + other.banned,
            closed: self.closed + other.closed,
            served: self.served + other.served,
            refused: self.refused + other.refused,
            compared: self.compared + other.compared,
            metadata: self.metadata + other.metadata,
            pex: self.pex + other.pex,
            lost: self.lost + other.lost,
        }
    }
}
