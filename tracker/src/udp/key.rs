//! The key of connection ids: given, kept from the last start, or made.
//!
//! Invariant: the file is readable for nobody else, since whoever has the key can announce in the name of any address.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rand::TryRng as _;
use rand::rngs::SysRng;

use crate::{TrackerConfig, TrackerError};

type Key = [u8; 16];

/// The file in the folder of the tracker's state.
const NAME: &str = "udp.key";

/// The key that is given, else the one of the state's folder, so that a restart does not make clients wait for their
/// time-out with ids of before; else one for this run.
pub(super) fn of(config: &TrackerConfig) -> Result<Key, TrackerError> {
    if let Some(key) = &config.connection_key {
        return Ok(key.0);
    }
    let Some(folder) = &config.state_dir else { return made() };
    let path = folder.join(NAME);
    if let Some(key) = fs::read(&path).ok().and_then(|bytes| Key::try_from(bytes).ok()) {
        return Ok(key);
    }
    let key = made()?;
    if let Err(error) = keep(&path, &key) {
        tracing::warn!("cannot keep the key of connection ids in {}: {error}", path.display());
    }
    Ok(key)
}

fn keep(path: &Path, key: &Key) -> io::Result<()> {
    // What is there is no key; it may be readable for others.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(key)
}

fn made() -> Result<Key, TrackerError> {
    let mut key = [0; 16];
    SysRng.try_fill_bytes(&mut key).map_err(|e| TrackerError::Randomness(e.to_string()))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::tempdir;

    use super::*;
    use crate::ConnectionKey;

    #[test]
    fn a_key_lasts_as_long_as_the_state_and_is_nobody_elses() {
        let folder = tempdir().unwrap();
        let config = TrackerConfig { state_dir: Some(folder.path().to_owned()), ..TrackerConfig::open() };
        let first = of(&config).unwrap();
        assert_eq!(of(&config).unwrap(), first);
        assert_ne!(of(&TrackerConfig::open()).unwrap(), first);
        let path = folder.path().join(NAME);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let given = TrackerConfig { connection_key: Some(ConnectionKey([7; 16])), ..config };
        assert_eq!(of(&given).unwrap(), [7; 16]);
    }

    #[test]
    fn what_is_no_key_is_replaced() {
        let folder = tempdir().unwrap();
        let config = TrackerConfig { state_dir: Some(folder.path().to_owned()), ..TrackerConfig::open() };
        fs::write(folder.path().join(NAME), "short").unwrap();
        let key = of(&config).unwrap();
        assert_eq!(fs::read(folder.path().join(NAME)).unwrap(), key);
    }
}
