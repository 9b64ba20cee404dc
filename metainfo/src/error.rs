//! What can be wrong with a torrent file or a magnet link.

use thiserror::Error;

/// An error in a torrent file or magnet link: what is wrong and, where known, at which byte.
///
/// The text is one line, meant for a user; the caller puts the object's name in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    offset: Option<usize>,
}

/// The kinds of [`struct@Error`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are not bencode.
    #[error("{0}")]
    Bencode(String),
    /// A key that must be there is not.
    #[error("the key '{0}' is missing")]
    Missing(&'static str),
    /// A key has a value of another type than it must have.
    #[error("the key '{0}' must be {1}")]
    WrongType(&'static str, &'static str),
    /// A piece length that is 0, negative or over the limit.
    #[error("piece length {0} is not allowed")]
    PieceLength(i64),
    /// More pieces than [`crate::MAX_PIECE_COUNT`].
    #[error("{0} pieces are more than the {max} allowed", max = crate::MAX_PIECE_COUNT)]
    TooManyPieces(u64),
    /// The info dictionary contradicts itself or a limit.
    #[error("{0}")]
    Info(String),
    /// A path that cannot be made safe.
    #[error("{0}")]
    Path(String),
    /// A URL that a torrent may not carry.
    #[error("{0}")]
    Url(String),
    /// Something is wrong with a magnet link.
    #[error("{0}")]
    Magnet(String),
    /// A kind of torrent that is not supported.
    #[error("{0}")]
    Unsupported(String),
}

impl Error {
    /// An error with no place.
    #[must_use]
    pub const fn new(kind: ErrorKind) -> Self {
        Self { kind, offset: None }
    }

    /// An error at a byte of the input.
    #[must_use]
    pub const fn at(kind: ErrorKind, offset: usize) -> Self {
        Self { kind, offset: Some(offset) }
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The byte of the input at which it is, where known.
    #[must_use]
    pub const fn offset(&self) -> Option<usize> {
        self.offset
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.offset {
            Some(offset) => write!(f, "{} (offset {offset})", self.kind),
            None => self.kind.fmt(f),
        }
    }
}

impl std::error::Error for Error {}
