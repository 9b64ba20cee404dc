//! A dictionary of a peer, and its values by key and type.
//!
//! A key that is missing is no error here, one of the wrong type is.

use metainfo::bencode::{Document, Limits, Mode, Node, scan};

use super::ExtensionError;

/// What a payload may hold: our own use is two deep and two dozen values, and other clients add keys of their own.
const LIMITS: Limits = Limits { depth: 16, values: 1000, mode: Mode::Lenient };

/// The dictionary of one payload.
pub(super) struct Reader<'a> {
    message: &'static str,
    document: Document<'a>,
}

impl<'a> Reader<'a> {
    /// Reads the dictionary at the start of a payload; `message` is for errors.
    pub(super) fn new(message: &'static str, payload: &'a [u8]) -> Result<Self, ExtensionError> {
        let document = scan(payload, &LIMITS).map_err(|error| ExtensionError::Bencode { message, error })?;
        match document.root().is_dict() {
            true => Ok(Self { message, document }),
            false => Err(ExtensionError::NoDictionary { message }),
        }
    }

    /// What follows the dictionary.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.document.rest()
    }

    pub(super) fn int(&self, key: &'static str) -> Result<Option<i64>, ExtensionError> {
        self.typed(key, "an integer", |node| node.as_int())
    }

    pub(super) fn required_int(&self, key: &'static str) -> Result<i64, ExtensionError> {
        self.int(key)?.ok_or(ExtensionError::Missing { message: self.message, key })
    }

    pub(super) fn bytes(&self, key: &'static str) -> Result<Option<&[u8]>, ExtensionError> {
        self.typed(key, "a string", |node| node.as_bytes())
    }

    pub(super) fn dict(&self, key: &'static str) -> Result<Option<Node<'_>>, ExtensionError> {
        self.typed(key, "a dictionary", |node| node.is_dict().then_some(node))
    }

    pub(super) fn wrong(&self, key: &'static str, due: &'static str) -> ExtensionError {
        ExtensionError::Value { message: self.message, key, due }
    }

    fn typed<'d, T>(
        &'d self,
        key: &'static str,
        due: &'static str,
        read: impl FnOnce(Node<'d>) -> Option<T>,
    ) -> Result<Option<T>, ExtensionError> {
        let Some(node) = self.document.root().get(key) else { return Ok(None) };
        read(node).map(Some).ok_or_else(|| self.wrong(key, due))
    }
}
