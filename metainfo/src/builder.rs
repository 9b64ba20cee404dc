//! Puts a torrent together from sizes and hashes. It reads no files.
//!
//! What comes out has been through [`Info::parse`], so that shoal writes nothing that it would not read. A torrent of a
//! hundred thousand files is written file by file, and no more than its bytes are kept.

use crate::bencode::Writer;
use crate::{Error, ErrorKind, Info, TorrentFile, check_tracker_url, check_web_seed_url, display_safe};

/// A file to put into a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildFile {
    /// Path elements below the torrent's name, at least one, as raw bytes (a file name need not be UTF-8).
    pub path: Vec<Vec<u8>>,
    /// Bytes.
    pub length: u64,
}

/// Builds an [`Info`].
#[derive(Clone, Debug)]
pub struct InfoBuilder {
    /// Name of the file or folder, as raw bytes.
    pub name: Vec<u8>,
    /// Bytes a piece.
    pub piece_length: u32,
    /// BEP 27.
    pub private: bool,
    /// Site marker.
    pub source: Option<String>,
}

impl InfoBuilder {
    /// A torrent of one file; `digests` are the SHA-1 of its pieces, end to end.
    ///
    /// # Errors
    /// As [`Info::parse`], and if the name is none that a file can have.
    pub fn single_file(self, length: u64, digests: &[u8]) -> Result<Info, Error> {
        let length = size(length)?;
        check_name(&self.name)?;
        let mut writer = Writer::default();
        writer.dict().string("length").int(length);
        Info::from_bytes(self.finish(writer, digests))
    }

    /// A torrent of a folder, its files in the order of their bytes.
    ///
    /// # Errors
    /// As [`Info::parse`], and if a name is none that a file can have.
    pub fn folder(self, files: &[BuildFile], digests: &[u8]) -> Result<Info, Error> {
        let files = files.iter().map(|file| (file.path.iter().map(Vec::as_slice), file.length));
        self.folder_bytes(files, digests).and_then(Info::from_bytes)
    }

    /// The bytes of [`InfoBuilder::folder`] for [`Info::from_bytes`]: between the two, who has very many files can let go
    /// of what they were made of. A file is its path elements and its length.
    ///
    /// # Errors
    /// If a name is none that a file can have, or a length more than 2⁶³.
    pub fn folder_bytes<'a, P>(
        self,
        files: impl Iterator<Item = (P, u64)>,
        digests: &[u8],
    ) -> Result<Vec<u8>, Error>
    where
        P: Iterator<Item = &'a [u8]>,
    {
        check_name(&self.name)?;
        let mut writer = Writer::default();
        writer.dict().string("files").list();
        for (path, length) in files {
            writer.dict().string("length").int(size(length)?).string("path").list();
            for element in path {
                check_name(element)?;
                writer.string(element);
            }
            writer.end().end();
        }
        writer.end();
        Ok(self.finish(writer, digests))
    }

    /// The keys that come after `files` and `length`.
    fn finish(self, mut writer: Writer, digests: &[u8]) -> Vec<u8> {
        writer.string("name").string(&self.name);
        writer.string("piece length").int(self.piece_length.into());
        writer.string("pieces").string(digests);
        if self.private {
            writer.string("private").int(1);
        }
        if let Some(source) = &self.source {
            writer.string("source").string(source);
        }
        writer.end();
        writer.into_bytes()
    }
}

fn size(length: u64) -> Result<i64, Error> {
    i64::try_from(length).map_err(|_| Error::new(ErrorKind::Info(format!("length {length} is not allowed"))))
}

/// A name that a file can have: others would be changed when the torrent is read, and never found again.
fn check_name(element: &[u8]) -> Result<(), Error> {
    if matches!(element, b"" | b"." | b"..") || element.contains(&b'/') || element.contains(&0) {
        let shown = display_safe(&String::from_utf8_lossy(element));
        return Err(Error::new(ErrorKind::Path(format!("'{shown}' is no name of a file or folder"))));
    }
    Ok(())
}

/// Builds a [`TorrentFile`] around an [`Info`].
#[derive(Clone, Debug, Default)]
pub struct TorrentBuilder {
    /// Tracker tiers.
    pub announce: Vec<Vec<String>>,
    /// Web seeds.
    pub web_seeds: Vec<String>,
    /// Free text.
    pub comment: Option<String>,
    /// The program.
    pub created_by: Option<String>,
    /// Seconds since 1970.
    pub creation_date: Option<i64>,
}

impl TorrentBuilder {
    /// The finished torrent file; what is given twice is in it once.
    ///
    /// # Errors
    /// If a tracker or web seed is no URL of a known scheme, or anything else would not be read back.
    pub fn build(self, info: Info) -> Result<TorrentFile, Error> {
        self.announce.iter().flatten().try_for_each(|url| check_tracker_url(url))?;
        self.web_seeds.iter().try_for_each(|url| check_web_seed_url(url))?;
        let draft = TorrentFile {
            info,
            announce: self.announce,
            web_seeds: self.web_seeds,
            http_seeds: Vec::new(),
            nodes: Vec::new(),
            comment: self.comment,
            created_by: self.created_by,
            creation_date: self.creation_date,
            unknown: Vec::new(),
        };
        draft.reread()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> InfoBuilder {
        InfoBuilder { name: b"a".to_vec(), piece_length: 16_384, private: false, source: None }
    }

    #[test]
    fn an_info_dictionary_has_its_keys_in_order_and_nothing_that_was_not_asked_for() {
        let info = builder().single_file(1, &[b'x'; 20]).unwrap();
        let expected = b"d6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:xxxxxxxxxxxxxxxxxxxxe";
        assert_eq!(info.raw().as_ref(), expected);
        let marked = InfoBuilder { private: true, source: Some("S".into()), ..builder() };
        assert!(marked.single_file(1, &[b'x'; 20]).unwrap().raw().ends_with(b"7:privatei1e6:source1:Se"));
    }

    #[test]
    fn names_that_no_file_has_and_digests_that_do_not_fit_are_refused() {
        for bad in [&b""[..], b".", b"..", b"a/b", b"a\0b"] {
            let file = BuildFile { path: vec![bad.to_vec()], length: 0 };
            assert!(matches!(builder().folder(&[file], &[]).unwrap_err().kind(), ErrorKind::Path(_)));
            let named = InfoBuilder { name: bad.to_vec(), ..builder() };
            assert!(named.single_file(0, &[]).is_err());
        }
        assert!(builder().single_file(1, &[]).is_err());
        assert!(builder().single_file(u64::MAX, &[0; 20]).is_err());
        assert!(builder().folder(&[], &[]).is_err());
    }

    #[test]
    fn trackers_are_checked_and_each_is_kept_once() {
        let info = builder().single_file(1, &[0; 20]).unwrap();
        let urls = |urls: &[&str]| urls.iter().map(|&url| url.to_owned()).collect::<Vec<_>>();
        let build = |tiers: Vec<Vec<String>>| {
            TorrentBuilder { announce: tiers, ..TorrentBuilder::default() }.build(info.clone())
        };
        let tiers = vec![urls(&["http://a.example/", "udp://b.example:1"]), urls(&["http://a.example/"])];
        assert_eq!(build(tiers).unwrap().announce, [urls(&["http://a.example/", "udp://b.example:1"])]);
        assert!(build(vec![urls(&["a.example"])]).is_err());
    }
}
