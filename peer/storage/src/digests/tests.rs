use std::io;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::system::kernel::KernelFile;
use crate::testing::{content, naive_digests};

/// Two files of 1,000 bytes; what opening each gives is made up.
struct Made {
    fail: Option<usize>,
    fatal: bool,
    opened: AtomicUsize,
    put: Mutex<Vec<(u32, Option<Digest>)>>,
}

const GEOMETRY: fn() -> Geometry = || Geometry::new(2_000, 300).unwrap();

impl Made {
    fn new(fail: Option<usize>, fatal: bool) -> Self {
        Self { fail, fatal, opened: AtomicUsize::new(0), put: Mutex::default() }
    }

    fn run(&self, threads: usize) -> Result<Vec<Option<Digest>>, StorageError> {
        digest_pieces(self, GEOMETRY(), threads, &Cancel::new(), &|_| ())?;
        let mut put = self.put.lock().unwrap();
        put.sort_unstable();
        assert!(put.iter().map(|(piece, _)| *piece).eq(0..7), "each piece is put once: {put:?}");
        Ok(put.iter().map(|(_, digest)| *digest).collect())
    }
}

impl Job for Made {
    fn extent(&self, file: usize) -> Option<(u64, u64)> {
        (file < 2).then_some((file as u64 * 1_000, 1_000))
    }

    fn file_at(&self, offset: u64) -> usize {
        usize::try_from(offset / 1_000).unwrap()
    }

    fn path(&self, file: usize) -> PathBuf {
        format!("file {file}").into()
    }

    fn open(&self, file: usize) -> Result<Source, StorageError> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        if self.fail == Some(file) {
            return Err(StorageError::io("read", &self.path(file), io::Error::from_raw_os_error(5)));
        }
        let made = KernelFile::holding(tempfile::tempfile().unwrap());
        made.write_all_at(&content(1_000), 0).unwrap();
        let status = made.status().unwrap();
        Ok(Source::File(made, status))
    }

    fn close(&self, _file: usize, _handle: Handle, _opened: &Status) -> Result<(), StorageError> {
        Ok(())
    }

    fn wanted(&self, piece: u32) -> bool {
        piece != 1
    }

    fn failed(&self, _file: usize, error: StorageError) -> Result<(), StorageError> {
        if self.fatal { Err(error) } else { Ok(()) }
    }

    fn put(&self, first: u32, digests: &[Option<Digest>]) {
        self.put.lock().unwrap().extend((first..).zip(digests.iter().copied()));
    }
}

fn expected() -> Vec<Option<Digest>> {
    let all = [content(1_000), content(1_000)].concat();
    naive_digests(&all, 300).chunks(20).map(|digest| digest.try_into().ok()).collect()
}

#[test]
fn pieces_that_are_not_wanted_are_put_without_a_digest_and_the_rest_with_theirs() {
    for threads in [1, 3] {
        let mut wanted = expected();
        wanted[1] = None;
        assert_eq!(Made::new(None, true).run(threads).unwrap(), wanted);
    }
}

#[test]
fn h68_a_read_error_costs_the_pieces_it_touches_and_no_other() {
    for threads in [1, 3] {
        let pieces = Made::new(Some(0), false).run(threads).unwrap();
        // Pieces 0 to 3 have bytes of the first file; 4 to 6 lie in the second.
        assert_eq!(pieces[..4], [None; 4]);
        assert_eq!(pieces[4..], expected()[4..]);
    }
}

#[test]
fn a_fatal_error_is_told_and_ends_the_work() {
    for threads in [1, 3] {
        let error = Made::new(Some(1), true).run(threads).unwrap_err();
        assert_eq!(error.to_string(), "cannot read file 1: Input/output error");
    }
}

#[test]
fn each_lane_of_a_worker_opens_a_file_once_at_most() {
    let made = Made::new(None, true);
    made.run(1).unwrap();
    assert!((2..=2 * lanes()).contains(&made.opened.into_inner()));
}
