//! Who may use a tracker, and where a request really comes from: rules without I/O.
//!
//! Purpose: [`Rules`] judge an asker (its network, its passkey) and a swarm (its info-hash); [`forwarded`] and
//! [`proxy`] say who speaks through a proxy that the operator trusts.
//!
//! Invariant: what denies goes before what allows, and a list of what is allowed denies all else. Nothing that an asker
//! writes is believed unless the connection comes from a trusted network. A passkey cannot be learnt from how long
//! a wrong one takes to be refused: only keyed hashes of passkeys are kept and compared.
//!
//! Files, their reloading and the log are the driver's.

mod forwarded;
mod list;
mod network;
mod passkey;
pub mod proxy;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use metainfo::InfoHash;

pub use self::forwarded::{MAX_FORWARDERS, forwarded};
pub use self::list::{InfoHashes, LineError, MAX_LINE_BYTES};
pub use self::network::{Network, NetworkError, Networks};
pub use self::passkey::{MAX_PASSKEY_BYTES, MIN_PASSKEY_BYTES, PasskeyKey, Passkeys};

/// Why a request is refused. The text is what the client gets as its failure reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its network is denied, or not among those allowed.
    Network,
    /// A private tracker, and no passkey in the path of the announce URL.
    NoPasskey,
    /// A passkey that nobody has.
    WrongPasskey,
    /// The swarm is denied, or not among those allowed.
    Torrent,
    /// A trusted proxy named nobody who can be read as an address.
    Forwarder,
}

impl Refusal {
    /// What the client is told.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Network => "this tracker does not serve your network",
            Self::NoPasskey => {
                "this tracker needs a passkey: download the torrent again from where you got it"
            }
            Self::WrongPasskey => {
                "this passkey is not valid: download the torrent again from where you got it"
            }
            Self::Torrent => "this tracker does not serve that torrent",
            Self::Forwarder => "the proxy before this tracker does not say who asks",
        }
    }

    /// When to ask again (BEP 31): never (`Duration::MAX`) where no time mends what is wrong, which is the torrent or the
    /// announce URL; where the operator can mend it, that is not said.
    pub const fn retry_in(self) -> Option<Duration> {
        match self {
            Self::Torrent | Self::NoPasskey | Self::WrongPasskey => Some(Duration::MAX),
            Self::Network | Self::Forwarder => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Refusal {}

/// The lists that an operator keeps. A list that is not kept (`None`) says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// The only swarms there are.
    pub allowed_hashes: Option<InfoHashes>,
    /// Swarms that are not served.
    pub denied_hashes: Option<InfoHashes>,
    /// The only networks that are served.
    pub allowed_networks: Option<Networks>,
    /// Networks that are not served.
    pub denied_networks: Option<Networks>,
    /// Private mode: whoever has none of these in the path is not served.
    pub passkeys: Option<Passkeys>,
}

impl Rules {
    /// Whether everybody may do everything: there is no list.
    pub fn are_open(&self) -> bool {
        let Self { allowed_hashes, denied_hashes, allowed_networks, denied_networks, passkeys } = self;
        allowed_hashes.is_none()
            && denied_hashes.is_none()
            && allowed_networks.is_none()
            && denied_networks.is_none()
            && passkeys.is_none()
    }

    /// Judges the asker: its address, and the passkey of its path as it came.
    ///
    /// # Errors
    /// Why it is not served at all.
    pub fn judge_asker(&self, from: IpAddr, passkey: Option<&[u8]>) -> Result<(), Refusal> {
        let is_denied = self.denied_networks.as_ref().is_some_and(|denied| denied.contains(from));
        let is_allowed = self.allowed_networks.as_ref().is_none_or(|allowed| allowed.contains(from));
        if is_denied || !is_allowed {
            return Err(Refusal::Network);
        }
        match (&self.passkeys, passkey) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(Refusal::NoPasskey),
            (Some(known), Some(passkey)) if known.contains(passkey) => Ok(()),
            (Some(_), Some(_)) => Err(Refusal::WrongPasskey),
        }
    }

    /// Judges the swarm.
    ///
    /// # Errors
    /// [`Refusal::Torrent`] if it is not served.
    pub fn judge_swarm(&self, info_hash: &InfoHash) -> Result<(), Refusal> {
        let is_denied = self.denied_hashes.as_ref().is_some_and(|denied| denied.contains(info_hash));
        let is_allowed = self.allowed_hashes.as_ref().is_none_or(|allowed| allowed.contains(info_hash));
        if is_denied || !is_allowed { Err(Refusal::Torrent) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
