//! Who may use this tracker: the operator's lists, read from files and again when told to, and the proxies it trusts.
//!
//! Invariant: an announce is judged by the address that would be entered for it, and by the lists as they were at one
//! moment. A list that cannot be read leaves the one before in force: a slip in a file neither opens nor closes a tracker.
//! A tracker without lists pays one comparison a request.
//!
//! The rules themselves are [`tracker_proto::access`]'s.

mod lists;
mod proxied;
mod refusals;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use metainfo::InfoHash;
use rand::TryRng as _;
use rand::rngs::SysRng;
use tracker_proto::access::{PasskeyKey, Refusal, Rules, forwarded};

pub use self::lists::{AccessConfig, ListChange, ListError, ListFault, ListName, ListReport};
pub(crate) use self::refusals::REASONS;
use self::refusals::Refusals;
use crate::TrackerError;

/// The rules in force.
#[derive(Debug)]
pub(crate) struct Gate {
    config: AccessConfig,
    key: PasskeyKey,
    /// Replaced as a whole; held only to clone or to replace it.
    rules: RwLock<Arc<Rules>>,
    /// Whether there is no list, which no reload changes.
    is_open: bool,
    /// Whether a list could not be read the last time.
    is_stale: AtomicBool,
    refusals: Refusals,
}

impl Gate {
    /// Reads all lists.
    pub(crate) fn new(config: AccessConfig) -> Result<Self, TrackerError> {
        let mut key = [0; 16];
        SysRng.try_fill_bytes(&mut key).map_err(|e| TrackerError::Randomness(e.to_string()))?;
        let key = PasskeyKey(key);
        let rules = config.load(key)?;
        let is_open = rules.are_open();
        Ok(Self {
            config,
            key,
            rules: RwLock::new(Arc::new(rules)),
            is_open,
            is_stale: AtomicBool::new(false),
            refusals: Refusals::default(),
        })
    }

    /// Reads all lists again, and says of each what changed. Reads files: not to be called where that must not block.
    pub(crate) fn reload(&self) -> Vec<ListReport> {
        let old = self.rules();
        let (rules, reports) = self.config.reload(&old, self.key);
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
        self.is_stale.store(reports.iter().any(|report| report.outcome.is_err()), Ordering::Relaxed);
        reports
    }

    /// Whether a list in force is older than its file, because that could not be read.
    pub(crate) fn is_stale(&self) -> bool {
        self.is_stale.load(Ordering::Relaxed)
    }

    /// How many were refused for each of [`REASONS`].
    pub(crate) fn refusals(&self) -> [u64; REASONS.len()] {
        self.refusals.counts()
    }

    /// Whether announce URLs have a passkey in their path.
    pub(crate) fn is_private(&self) -> bool {
        self.config.passkeys.is_some()
    }

    /// Whether what somebody at this address writes of where a request comes from is believed.
    pub(crate) fn believes(&self, direct: IpAddr) -> bool {
        !self.config.trusted.is_empty() && self.config.trusted.contains(direct)
    }

    /// Whether connections from this address begin with a PROXY header.
    pub(crate) fn expects_header(&self, direct: IpAddr) -> bool {
        self.config.proxy_protocol && self.believes(direct)
    }

    /// Who asks, of a request that came from `direct` with these values of `X-Forwarded-For`.
    pub(crate) fn client<'a>(
        &self,
        direct: IpAddr,
        headers: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> Result<IpAddr, Refusal> {
        if self.config.trusted.is_empty() {
            return Ok(direct);
        }
        self.refusals.note(forwarded(direct, &self.config.trusted, headers))
    }

    /// The address to enter for a client that claims one with `ip=`: only those in trusted networks are believed.
    pub(crate) fn entered(&self, client: IpAddr, claimed: Option<IpAddr>) -> IpAddr {
        let is_usable = |ip: &IpAddr| !ip.is_unspecified() && !ip.is_multicast();
        claimed.filter(is_usable).filter(|_| self.config.trusted.contains(client)).unwrap_or(client)
    }

    /// Counts a refusal that was not counted when it was judged, once a request.
    pub(crate) fn count(&self, refusal: Refusal) {
        self.refusals.count(refusal);
    }

    /// Judges an announce, or one swarm of a scrape: the address to be entered, the passkey of the path, the swarm. A
    /// refusal is not counted: see [`Self::count`].
    pub(crate) fn judge(
        &self,
        entered: IpAddr,
        passkey: Option<&[u8]>,
        info_hash: &InfoHash,
    ) -> Result<(), Refusal> {
        if self.is_open {
            return Ok(());
        }
        let rules = self.rules();
        rules.judge_asker(entered, passkey).and_then(|()| rules.judge_swarm(info_hash))
    }

    /// Judges a scrape, and leaves those of its swarms that are served. It is counted as refused, once, if some are not.
    pub(crate) fn judge_scrape(
        &self,
        from: IpAddr,
        passkey: Option<&[u8]>,
        info_hashes: &mut Vec<InfoHash>,
    ) -> Result<(), Refusal> {
        if self.is_open {
            return Ok(());
        }
        let rules = self.rules();
        self.refusals.note(rules.judge_asker(from, passkey))?;
        let asked = info_hashes.len();
        info_hashes.retain(|info_hash| rules.judge_swarm(info_hash).is_ok());
        if info_hashes.len() < asked {
            self.count(Refusal::Torrent);
        }
        Ok(())
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests;
