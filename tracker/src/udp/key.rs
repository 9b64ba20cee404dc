//! The key of connection ids: given, kept from the last start, or made.
//!
//! Whoever has the key can announce in the name of any address. So a file that we make is readable for nobody else, and one
//! that others may read is taken, but with a warning.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
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
    if let Ok((key, is_secret)) = kept(&path) {
        if !is_secret {
            tracing::warn!("others may read the key of connection ids in {0}: chmod o= {0}", path.display());
        }
        return Ok(key);
    }
    let key = made()?;
    if let Err(error) = keep(&path, &key) {
        tracing::warn!("cannot keep the key of connection ids in {}: {error}", path.display());
    }
    Ok(key)
}

/// The key in a file, and whether it [is secret](is_secret).
fn kept(path: &Path) -> io::Result<(Key, bool)> {
    let file = File::open(path)?;
    let is_secret = is_secret(&file)?;
    let mut bytes = Vec::new();
    // A byte more than a key has: what is longer is none.
    file.take(17).read_to_end(&mut bytes)?;
    let key = Key::try_from(bytes).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok((key, is_secret))
}

/// Whether only the file's owner and its group may read it.
///
/// # Errors
/// When the system does not say.
pub fn is_secret(file: &File) -> io::Result<bool> {
    const READ_BY_OTHERS: u32 = 0o004;
    Ok(file.metadata()?.permissions().mode() & READ_BY_OTHERS == 0)
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
    fn a_key_that_others_may_read_is_taken_and_is_no_secret() {
        let folder = tempdir().unwrap();
        let config = TrackerConfig { state_dir: Some(folder.path().to_owned()), ..TrackerConfig::open() };
        let key = of(&config).unwrap();
        let path = folder.path().join(NAME);
        for (mode, is_secret) in [(0o600, true), (0o640, true), (0o644, false), (0o604, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(kept(&path).unwrap(), (key, is_secret), "{mode:o}");
            assert_eq!(of(&config).unwrap(), key);
        }
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
