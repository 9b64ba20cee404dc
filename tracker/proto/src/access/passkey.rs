//! Passkeys: the secrets that stand in the paths of a private tracker's announce URLs (`/PASSKEY/announce`).
//!
//! Threat: somebody without a passkey tries to find one, by guessing or by timing. Guessing is hopeless from
//! [`MIN_PASSKEY_BYTES`] random characters on. Timing tells nothing about the passkeys: they are found by a keyed hash
//! of 128 bits, whose bits an asker can neither choose nor know. Nor are the passkeys themselves kept in memory.

use std::fmt;

use siphasher::sip128::SipHasher24;

use super::LineError;
use super::list::{entries, entry};

/// The shortest passkey: 16 characters of base 16 are 64 bits, more than can be tried over a network.
pub const MIN_PASSKEY_BYTES: usize = 16;
/// The longest passkey, twice the field's custom of 32 characters.
pub const MAX_PASSKEY_BYTES: usize = 64;

/// The secret under which passkeys are kept; made anew by each process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PasskeyKey(pub [u8; 16]);

impl fmt::Debug for PasskeyKey {
    /// Keeps the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasskeyKey(..)")
    }
}

/// A set of passkeys, 16 bytes each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkeys {
    key: PasskeyKey,
    /// Hashes in order, each once.
    sorted: Vec<u128>,
}

impl Passkeys {
    /// Reads a list: a passkey a line, of 16 to 64 letters, digits, `-` and `_`.
    ///
    /// # Errors
    /// The first line that is none; the error does not repeat it.
    pub fn parse(text: &[u8], key: PasskeyKey) -> Result<Self, LineError> {
        let mut sorted = Vec::new();
        for (number, line) in entries(text) {
            if !is_passkey(entry(number, line)?.as_bytes()) {
                let reason = format!(
                    "a passkey is {MIN_PASSKEY_BYTES} to {MAX_PASSKEY_BYTES} letters, digits, '-' or '_'"
                );
                return Err(LineError::new(number, reason));
            }
            sorted.push(key.hash(line));
        }
        sorted.sort_unstable();
        sorted.dedup();
        sorted.shrink_to_fit();
        Ok(Self { key, sorted })
    }

    /// Whether it is one of them.
    pub fn contains(&self, passkey: &[u8]) -> bool {
        is_passkey(passkey) && self.sorted.binary_search(&self.key.hash(passkey)).is_ok()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// How many are new here, and how many of the old are gone. Both must have been read under one key.
    #[must_use]
    pub fn difference(&self, old: &Self) -> (usize, usize) {
        let is_in = |list: &Self, hash: &u128| list.sorted.binary_search(hash).is_ok();
        let new = self.sorted.iter().filter(|hash| !is_in(old, hash)).count();
        let gone = old.sorted.iter().filter(|hash| !is_in(self, hash)).count();
        (new, gone)
    }
}

impl PasskeyKey {
    fn hash(&self, passkey: &[u8]) -> u128 {
        SipHasher24::new_with_key(&self.0).hash(passkey).as_u128()
    }
}

fn is_passkey(text: &[u8]) -> bool {
    (MIN_PASSKEY_BYTES..=MAX_PASSKEY_BYTES).contains(&text.len())
        && text.iter().all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
