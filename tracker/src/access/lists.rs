//! The files behind the rules.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use metainfo::display_safe;
use thiserror::Error;
use tracker_proto::access::{InfoHashes, LineError, Networks, PasskeyKey, Passkeys, Rules};

/// The largest list that is read: six million info-hashes, which take 125 MiB in memory.
const MAX_LIST_BYTES: u64 = 256 << 20;

/// The files that say who may use a tracker, and whom it believes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessConfig {
    /// Only these swarms are served: an info-hash a line.
    pub allow_hashes: Option<PathBuf>,
    /// These swarms are not served.
    pub deny_hashes: Option<PathBuf>,
    /// Only these networks are served: a network a line.
    pub allow_networks: Option<PathBuf>,
    /// These networks are not served.
    pub deny_networks: Option<PathBuf>,
    /// Only those with one of these passkeys in the path are served: a passkey a line.
    pub passkeys: Option<PathBuf>,
    /// The networks whose `X-Forwarded-For`, `ip=` and PROXY headers are believed.
    pub trusted: Networks,
    /// Whether connections from trusted networks begin with a PROXY header, version 2.
    pub proxy_protocol: bool,
}

/// Why a list cannot be used; names the file, and the line if it is one's fault.
#[derive(Debug, Error)]
pub enum ListError {
    /// The file cannot be read.
    #[error("{}: {source}", display_safe(&.file.to_string_lossy()))]
    Read {
        /// Which.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is longer than a list may be.
    #[error("{}: a list is at most {MAX_LIST_BYTES} bytes long", display_safe(&.file.to_string_lossy()))]
    TooLong {
        /// Which.
        file: PathBuf,
    },
    /// A line is no entry.
    #[error("{}: {}", display_safe(&.file.to_string_lossy()), display_safe(&.source.to_string()))]
    Line {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        source: LineError,
    },
}

/// What became of one list when the lists were read again.
#[derive(Debug)]
pub struct ListReport {
    /// Its file.
    pub file: PathBuf,
    /// What changed, or why the old list stays in force.
    pub outcome: Result<ListChange, ListError>,
}

/// How a list differs from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListChange {
    /// Its entries now.
    pub entries: usize,
    /// Those that were not there before.
    pub new: usize,
    /// Those that are there no longer.
    pub gone: usize,
}

impl fmt::Display for ListReport {
    /// One line for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Ok(ListChange { entries, new, gone }) => {
                let file = display_safe(&self.file.to_string_lossy());
                {
                    let noun = if *entries == 1 { "entry" } else { "entries" };
                    write!(f, "{file}: {entries} {noun}, {new} new, {gone} gone")
                }
            }
            Err(error) => write!(f, "{error}; the list before stays in force"),
        }
    }
}

/// A list of some kind.
trait List: Sized + Clone {
    fn parse(text: &[u8], key: PasskeyKey) -> Result<Self, LineError>;
    fn change(&self, old: &Self) -> ListChange;
}

macro_rules! list {
    ($list:ty, |$text:ident, $key:ident| $parse:expr) => {
        impl List for $list {
            fn parse($text: &[u8], $key: PasskeyKey) -> Result<Self, LineError> {
                $parse
            }

            fn change(&self, old: &Self) -> ListChange {
                let (new, gone) = self.difference(old);
                ListChange { entries: self.len(), new, gone }
            }
        }
    };
}

list!(InfoHashes, |text, _key| InfoHashes::parse(text));
list!(Networks, |text, _key| Networks::parse(text));
list!(Passkeys, |text, key| Passkeys::parse(text, key));

impl AccessConfig {
    /// Reads all lists.
    pub(super) fn load(&self, key: PasskeyKey) -> Result<Rules, ListError> {
        Ok(Rules {
            allowed_hashes: read(self.allow_hashes.as_deref(), key)?,
            denied_hashes: read(self.deny_hashes.as_deref(), key)?,
            allowed_networks: read(self.allow_networks.as_deref(), key)?,
            denied_networks: read(self.deny_networks.as_deref(), key)?,
            passkeys: read(self.passkeys.as_deref(), key)?,
        })
    }

    /// Reads all lists again; those that cannot be read are taken from `old`.
    pub(super) fn reload(&self, old: &Rules, key: PasskeyKey) -> (Rules, Vec<ListReport>) {
        let mut reports = Vec::new();
        let rules = Rules {
            allowed_hashes: again(self.allow_hashes.as_deref(), key, &old.allowed_hashes, &mut reports),
            denied_hashes: again(self.deny_hashes.as_deref(), key, &old.denied_hashes, &mut reports),
            allowed_networks: again(self.allow_networks.as_deref(), key, &old.allowed_networks, &mut reports),
            denied_networks: again(self.deny_networks.as_deref(), key, &old.denied_networks, &mut reports),
            passkeys: again(self.passkeys.as_deref(), key, &old.passkeys, &mut reports),
        };
        (rules, reports)
    }
}

fn again<L: List>(
    file: Option<&Path>,
    key: PasskeyKey,
    old: &Option<L>,
    reports: &mut Vec<ListReport>,
) -> Option<L> {
    let (path, old) = (file?, old.as_ref()?);
    let (list, outcome) = match read::<L>(file, key) {
        Ok(Some(new)) => {
            let change = new.change(old);
            (new, Ok(change))
        }
        Ok(None) => return Some(old.clone()),
        Err(error) => (old.clone(), Err(error)),
    };
    reports.push(ListReport { file: path.to_owned(), outcome });
    Some(list)
}

fn read<L: List>(file: Option<&Path>, key: PasskeyKey) -> Result<Option<L>, ListError> {
    let Some(path) = file else { return Ok(None) };
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_LIST_BYTES + 1).read_to_end(&mut text))
        .map_err(|source| ListError::Read { file: path.to_owned(), source })?;
    if text.len() as u64 > MAX_LIST_BYTES {
        return Err(ListError::TooLong { file: path.to_owned() });
    }
    L::parse(&text, key).map(Some).map_err(|source| ListError::Line { file: path.to_owned(), source })
}
