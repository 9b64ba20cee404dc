//! Why the payload of an extended message makes no sense. All of these are the peer's doing.

/// What was wrong with it. `message` is what people call the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionError {
    /// It is not bencode, or more of it than such a message can need.
    #[error("sent a bad {message}: {error}")]
    Bencode {
        /// Which message.
        message: &'static str,
        /// What is wrong where.
        error: metainfo::Error,
    },
    /// It is bencode, but no dictionary.
    #[error("sent a bad {message}: it is no dictionary")]
    NoDictionary {
        /// Which message.
        message: &'static str,
    },
    /// A key that must be there is not.
    #[error("sent a bad {message}: the key '{key}' is missing")]
    Missing {
        /// Which message.
        message: &'static str,
        /// Which key.
        key: &'static str,
    },
    /// A key has a value of another type, or one that makes no sense.
    #[error("sent a bad {message}: the key '{key}' must be {due}")]
    Value {
        /// Which message.
        message: &'static str,
        /// Which key.
        key: &'static str,
        /// What it must be.
        due: &'static str,
    },
    /// The payload, or the bytes after its dictionary, have another length than they must.
    #[error("sent a bad {message}: {got} bytes where {due} are due")]
    Length {
        /// Which message.
        message: &'static str,
        /// How many bytes there must be.
        due: usize,
        /// How many there are.
        got: usize,
    },
    /// It names a piece that the torrent does not have.
    #[error("sent a bad {message}: there is no piece {piece}")]
    PastEnd {
        /// Which message.
        message: &'static str,
        /// The piece it named.
        piece: u32,
    },
}
