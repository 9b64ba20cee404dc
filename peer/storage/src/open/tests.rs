use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::*;
use crate::StorageErrorKind;
use crate::system::Extent;
use crate::system::kernel::{Kernel, KernelFolder};
use crate::testing::{fifo, kernel_root};

/// A folder with a root in it, to be opened in both ways, and something outside that must stay as it is.
fn both_ways(test: impl Fn(&Root, &Path)) {
    for element_by_element in [false, true] {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("root");
        fs::create_dir(&inner).unwrap();
        fs::create_dir(outer.path().join("outside")).unwrap();
        fs::write(outer.path().join("outside/secret"), b"secret").unwrap();
        let folder = KernelFolder::open(&inner).unwrap();
        let folder = if element_by_element { folder.without_openat2() } else { folder };
        let root = Root { system: Arc::new(Kernel), folder: Box::new(folder), path: inner.clone() };
        test(&root, &inner);
        assert_eq!(fs::read(outer.path().join("outside/secret")).unwrap(), b"secret");
        assert_eq!(fs::read_dir(outer.path().join("outside")).unwrap().count(), 1);
        assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 2);
    }
}

const ALL: [Purpose; 4] = [Purpose::Read, Purpose::Write, Purpose::Create, Purpose::CreateNew];

fn refusal(root: &Root, path: &str, purpose: Purpose) -> StorageErrorKind {
    root.file(Path::new(path), purpose, Links::Refuse).unwrap_err().kind
}

#[test]
fn h12_a_path_that_leads_out_of_the_folder_is_refused() {
    both_ways(|root, _| {
        for path in ["../outside/secret", "/etc/passwd", "", ".", "..", "a/../../outside/new", "a\0b"] {
            for purpose in ALL {
                let kind = refusal(root, path, purpose);
                assert_eq!(kind, StorageErrorKind::Unsafe(Obstacle::Outside), "{path:?} {purpose:?}");
            }
            let found = root.inspect(Path::new(path), Links::Refuse).unwrap();
            assert_eq!(found, Found::InTheWay(Obstacle::Outside), "{path:?}");
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn h12_the_kernel_refuses_too_should_a_bad_path_ever_get_there() {
    both_ways(|_, inner| {
        let folder = KernelFolder::open(inner).unwrap();
        let opened = folder.open(Path::new("../outside/secret"), Purpose::Read, Links::Refuse);
        assert_eq!(Errno::from_io_error(&opened.unwrap_err()), Some(Errno::XDEV));
    });
}

#[test]
fn h71_a_symbolic_link_in_the_way_is_refused_as_the_file_and_as_a_folder() {
    both_ways(|root, inner| {
        symlink("../outside/secret", inner.join("file")).unwrap();
        symlink("nowhere", inner.join("dangling")).unwrap();
        symlink("../outside", inner.join("folder")).unwrap();
        for path in ["file", "dangling", "folder/secret", "folder/new", "folder/deep/new"] {
            for purpose in ALL {
                let error = root.file(Path::new(path), purpose, Links::Refuse).unwrap_err();
                assert_eq!(
                    error.kind,
                    StorageErrorKind::Unsafe(Obstacle::SymbolicLink),
                    "{path} {purpose:?}"
                );
                let first = path.split('/').next().unwrap();
                assert_eq!(error.path, inner.join(first), "the error names the link itself");
            }
            let found = root.inspect(Path::new(path), Links::Refuse).unwrap();
            assert_eq!(found, Found::InTheWay(Obstacle::SymbolicLink), "{path}");
        }
        assert!(!inner.join("nowhere").exists());
    });
}

#[test]
fn h71_a_fifo_or_a_socket_in_the_way_is_refused_and_does_not_block() {
    both_ways(|root, inner| {
        fifo(&inner.join("fifo"));
        let _listener = UnixListener::bind(inner.join("socket")).unwrap();
        for path in ["fifo", "socket", "fifo/below"] {
            for purpose in ALL {
                let kind = refusal(root, path, purpose);
                assert_eq!(kind, StorageErrorKind::Unsafe(Obstacle::Special), "{path} {purpose:?}");
            }
            let found = root.inspect(Path::new(path), Links::Refuse).unwrap();
            assert_eq!(found, Found::InTheWay(Obstacle::Special), "{path}");
        }
    });
}

#[test]
fn h71_a_device_is_refused() {
    let dev = kernel_root(Path::new("/dev"));
    assert_eq!(refusal(&dev, "null", Purpose::Read), StorageErrorKind::Unsafe(Obstacle::Special));
    assert_eq!(refusal(&dev, "null", Purpose::Write), StorageErrorKind::Unsafe(Obstacle::Special));
}

#[test]
fn h15_h71_a_folder_where_a_file_must_be_and_the_reverse_are_refused() {
    both_ways(|root, inner| {
        fs::create_dir(inner.join("folder")).unwrap();
        fs::write(inner.join("file"), b"x").unwrap();
        for purpose in ALL {
            assert_eq!(refusal(root, "folder", purpose), StorageErrorKind::Unsafe(Obstacle::Folder));
            assert_eq!(refusal(root, "file/below", purpose), StorageErrorKind::Unsafe(Obstacle::NotAFolder));
        }
        assert_eq!(
            root.inspect(Path::new("folder"), Links::Refuse).unwrap(),
            Found::InTheWay(Obstacle::Folder)
        );
        assert_eq!(
            root.inspect(Path::new("file/below"), Links::Refuse).unwrap(),
            Found::InTheWay(Obstacle::NotAFolder)
        );
    });
}

#[test]
fn links_are_followed_to_read_when_asked_and_never_to_write() {
    both_ways(|root, inner| {
        symlink("../outside", inner.join("folder")).unwrap();
        let path = Path::new("folder/secret");
        let (_, status) = root.file(path, Purpose::Read, Links::Follow).unwrap();
        assert_eq!(status.identity.length, 6);
        assert!(matches!(root.inspect(path, Links::Follow).unwrap(), Found::Present { length: 6, .. }));
        for purpose in [Purpose::Write, Purpose::Create, Purpose::CreateNew] {
            let error = root.file(path, purpose, Links::Follow).unwrap_err();
            assert_eq!(error.kind, StorageErrorKind::Unsafe(Obstacle::SymbolicLink));
        }
    });
}

#[test]
fn a_file_and_its_folders_are_made_when_asked_and_only_then() {
    both_ways(|root, inner| {
        let path = Path::new("a/b/c");
        for purpose in [Purpose::Read, Purpose::Write] {
            let error = root.file(path, purpose, Links::Refuse).unwrap_err();
            assert_eq!(error.io_kind(), io::ErrorKind::NotFound);
        }
        assert_eq!(root.inspect(path, Links::Refuse).unwrap(), Found::Missing);
        assert!(!inner.join("a").exists());
        root.file(path, Purpose::CreateNew, Links::Refuse).unwrap();
        let again = root.file(path, Purpose::CreateNew, Links::Refuse).unwrap_err();
        assert_eq!(again.io_kind(), io::ErrorKind::AlreadyExists);
        assert!(matches!(root.inspect(path, Links::Refuse).unwrap(), Found::Present { length: 0, .. }));
    });
}

#[test]
fn the_parts_of_a_sparse_file_are_told_apart() {
    let file = KernelFile::holding(tempfile::tempfile().unwrap());
    file.set_length(3 << 20).unwrap();
    file.write_all_at(&[1; 4096], 1 << 20).unwrap();
    assert_eq!(file.extent_at(0), Extent { hole: true, end: 1 << 20 });
    assert_eq!(file.extent_at(1 << 20), Extent { hole: false, end: (1 << 20) + 4096 });
    let length = file.length().unwrap();
    assert_eq!(file.extent_at(2 << 20), Extent { hole: true, end: length });
    let none = Extent { hole: false, end: u64::MAX };
    assert_eq!(file.extent_at(length), none, "what a file does not have is no hole in it");
    file.set_length(2 << 20).unwrap();
    assert_eq!(file.extent_at(2 << 20), none, "nor what it has lost");
}
