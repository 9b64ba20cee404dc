//! Files that a command writes.
//!
//! Invariant: a file is there whole or not at all, and one that was there is never lost to a half-written one: the
//! bytes go to a temporary file beside it, which then takes its place. Errors name it as the user did.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Result, anyhow};

use super::shown;
use crate::exit::{code_of, failure, reason};

/// What a file is made with before the umask takes its part: as other programs do.
const MODE: u32 = 0o666;

/// Refuses early what [`write`] would refuse in the end.
///
/// # Errors
/// If something is there, unless it may be overwritten, or a folder stands there.
pub(crate) fn check(cwd: &Path, path: &Path, overwrite: bool) -> Result<()> {
    match std::fs::symlink_metadata(cwd.join(path)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // Better now than after an hour of hashing.
            let full = cwd.join(path);
            match full.parent().map(std::fs::metadata) {
                Some(Err(error)) => Err(trouble(path, error)),
                _ => Ok(()),
            }
        }
        Err(error) => Err(trouble(path, error)),
        Ok(there) if there.is_dir() => Err(anyhow!("{}: is a folder; name a file", shown(path))),
        Ok(_) if !overwrite => Err(anyhow!("{}: exists; use --force to overwrite it", shown(path))),
        Ok(_) if is_special(&cwd.join(path)) => {
            Err(anyhow!("{}: is a device, pipe or socket; name a file, or - for stdout", shown(path)))
        }
        Ok(_) => Ok(()),
    }
}

fn trouble(path: &Path, error: std::io::Error) -> anyhow::Error {
    let text = format!("cannot write {}: {}", shown(path), reason(&error));
    failure(code_of(&error.into()), text)
}

/// Whether something stands there, or where a link leads, that is no file: what takes its place would break others.
fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir())
}

/// Writes a file of these parts, one after the other.
///
/// # Errors
/// As [`check`], and if the folder or the disk does not take it.
pub(crate) fn write(cwd: &Path, path: &Path, parts: &[impl AsRef<[u8]>], overwrite: bool) -> Result<()> {
    check(cwd, path, overwrite)?;
    let full = cwd.join(path);
    let folder = full.parent().unwrap_or(cwd);
    let trouble = |error| trouble(path, error);
    let mut file = tempfile::Builder::new()
        .prefix(".shoal-")
        .permissions(std::fs::Permissions::from_mode(MODE))
        .tempfile_in(folder)
        .map_err(trouble)?;
    parts.iter().try_for_each(|part| file.write_all(part.as_ref())).map_err(trouble)?;
    let placed = if overwrite {
        file.persist(&full).map(drop).map_err(|error| error.error)
    } else {
        file.persist_noclobber(&full).map(drop).map_err(|error| error.error)
    };
    placed.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => anyhow!("{}: exists; use --force to overwrite it", shown(path)),
        _ => trouble(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn h80_an_existing_file_is_kept_unless_forced_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let (cwd, path) = (folder.path(), Path::new("a.torrent"));
        let there = || std::fs::read(cwd.join(path)).unwrap();
        write(cwd, path, &[b"one"], false).unwrap();
        let error = write(cwd, path, &[b"two"], false).unwrap_err();
        assert_eq!(error.to_string(), "a.torrent: exists; use --force to overwrite it");
        assert_eq!(there(), b"one");
        write(cwd, path, &[b"two"], true).unwrap();
        assert_eq!(there(), b"two");
        assert_eq!(names(folder.path()), ["a.torrent"]);
    }

    #[test]
    fn h80_a_device_or_socket_is_not_replaced_even_by_force() {
        let folder = tempfile::tempdir().unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        std::os::unix::fs::symlink("socket", folder.path().join("link")).unwrap();
        for name in ["socket", "link"] {
            let error = write(folder.path(), Path::new(name), &[b"x"], true).unwrap_err();
            let due = format!("{name}: is a device, pipe or socket; name a file, or - for stdout");
            assert_eq!(error.to_string(), due);
        }
        assert_eq!(names(folder.path()).len(), 2);
    }

    #[test]
    fn h80_a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(folder.path(), Path::new("no/a.torrent"), &[b"x"], true).unwrap_err();
        assert_eq!(error.to_string(), "cannot write no/a.torrent: No such file or directory");
    }

    #[test]
    fn others_may_read_what_the_umask_lets_them() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, plain) = (folder.path().join("a"), folder.path().join("b"));
        write(folder.path(), &ours, &[b"x"], false).unwrap();
        std::fs::write(&plain, b"x").unwrap();
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }
}
