//! The files behind the rules.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use metainfo::{display_safe, without_os_error};
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

/// Which list, and where it is: what all that is said of one begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListName {
    /// Its option, such as `--deny-hashes`.
    pub option: &'static str,
    /// Its file.
    pub file: PathBuf,
}

impl fmt::Display for ListName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.option, display_safe(&self.file.to_string_lossy()))
    }
}

/// Why a list cannot be used; names the option and the file, and the line if it is one's fault.
#[derive(Debug, Error)]
#[error("{list}: {fault}")]
pub struct ListError {
    /// Which.
    pub list: ListName,
    /// What is wrong with it.
    #[source]
    pub fault: ListFault,
}

/// What can be wrong with a list.
#[derive(Debug, Error)]
pub enum ListFault {
    /// The file cannot be read.
    #[error("{}", without_os_error(&.0.to_string()))]
    Read(io::Error),
    /// The file is longer than a list may be.
    #[error("a list is at most {MAX_LIST_BYTES} bytes long")]
    TooLong,
    /// A line is no entry.
    #[error("{}", display_safe(&.0.to_string()))]
    Line(LineError),
}

/// What became of one list when the lists were read again.
#[derive(Debug)]
pub struct ListReport {
    /// Which.
    pub list: ListName,
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
                let noun = if *entries == 1 { "entry" } else { "entries" };
                write!(f, "{}: {entries} {noun}, {new} new, {gone} gone", self.list)
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
            allowed_hashes: first(list("--allow-hashes", &self.allow_hashes), key)?,
            denied_hashes: first(list("--deny-hashes", &self.deny_hashes), key)?,
            allowed_networks: first(list("--allow-networks", &self.allow_networks), key)?,
            denied_networks: first(list("--deny-networks", &self.deny_networks), key)?,
            passkeys: first(list("--passkeys", &self.passkeys), key)?,
        })
    }

    /// Reads all lists again; those that cannot be read are taken from `old`.
    pub(super) fn reload(&self, old: &Rules, key: PasskeyKey) -> (Rules, Vec<ListReport>) {
        let mut reports = Vec::new();
        let to = &mut reports;
        let rules = Rules {
            allowed_hashes: again(list("--allow-hashes", &self.allow_hashes), key, &old.allowed_hashes, to),
            denied_hashes: again(list("--deny-hashes", &self.deny_hashes), key, &old.denied_hashes, to),
            allowed_networks: again(
                list("--allow-networks", &self.allow_networks),
                key,
                &old.allowed_networks,
                to,
            ),
            denied_networks: again(
                list("--deny-networks", &self.deny_networks),
                key,
                &old.denied_networks,
                to,
            ),
            passkeys: again(list("--passkeys", &self.passkeys), key, &old.passkeys, to),
        };
        (rules, reports)
    }
}

/// The list of an option that was given.
fn list(option: &'static str, file: &Option<PathBuf>) -> Option<ListName> {
    file.clone().map(|file| ListName { option, file })
}

fn first<L: List>(list: Option<ListName>, key: PasskeyKey) -> Result<Option<L>, ListError> {
    list.map(|list| read(&list.file, key).map_err(|fault| ListError { list, fault })).transpose()
}

fn again<L: List>(
    list: Option<ListName>,
    key: PasskeyKey,
    old: &Option<L>,
    reports: &mut Vec<ListReport>,
) -> Option<L> {
    let (list, old) = (list?, old.as_ref()?);
    let (entries, outcome) = match read::<L>(&list.file, key) {
        Ok(new) => {
            let change = new.change(old);
            (new, Ok(change))
        }
        Err(fault) => (old.clone(), Err(ListError { list: list.clone(), fault })),
    };
    reports.push(ListReport { list, outcome });
    Some(entries)
}

fn read<L: List>(file: &Path, key: PasskeyKey) -> Result<L, ListFault> {
    let mut text = Vec::new();
    File::open(file)
        .and_then(|file| file.take(MAX_LIST_BYTES + 1).read_to_end(&mut text))
        .map_err(ListFault::Read)?;
    if text.len() as u64 > MAX_LIST_BYTES {
        return Err(ListFault::TooLong);
    }
    L::parse(&text, key).map_err(ListFault::Line)
}
