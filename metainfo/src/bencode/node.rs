//! A view of one value in a scanned document: its type, its exact bytes, its offset and what it holds.
//!
//! Invariant: a view is only made over a successful scan, so its accessors cannot fail, only find another type.
//! Nothing is copied, and nothing recurses.

use crate::bencode::scan::{Mode, Token, integer, string_content};

/// One value of a [`Document`](crate::bencode::Document). Copying it is cheap.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    bytes: &'a [u8],
    tokens: &'a [Token],
    index: usize,
}

impl<'a> Node<'a> {
    pub(super) const fn new(bytes: &'a [u8], tokens: &'a [Token], index: usize) -> Self {
        Self { bytes, tokens, index }
    }

    fn token(&self) -> Token {
        self.tokens.get(self.index).copied().unwrap_or_default()
    }

    /// Offset of the value's first byte in what was scanned.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.token().start as usize
    }

    /// The exact bytes of the value.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        let token = self.token();
        self.bytes.get(token.start as usize..token.end as usize).unwrap_or_default()
    }

    /// The content, if this is a string.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        let (from, to) = string_content(self.bytes, self.offset(), Mode::Lenient).ok()?;
        self.bytes.get(from..to)
    }

    /// The content, if this is a string of UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// The number, if this is an integer.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        if self.first_byte() != Some(b'i') {
            return None;
        }
        integer(self.bytes, self.offset(), Mode::Lenient).ok().map(|(value, _)| value)
    }

    /// Whether this is a dictionary.
    #[must_use]
    pub fn is_dict(&self) -> bool {
        self.first_byte() == Some(b'd')
    }

    /// The items, if this is a list.
    #[must_use]
    pub fn items(&self) -> Option<Items<'a>> {
        (self.first_byte() == Some(b'l')).then(|| self.children())
    }

    /// The keys and values as they come, repeated ones too; nothing if this is no dictionary.
    #[must_use]
    pub fn entries(&self) -> Entries<'a> {
        let mut items = self.children();
        if !self.is_dict() {
            items.at = items.end;
        }
        Entries { items }
    }

    /// The value of a key: of the first such key, as libtorrent reads it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Self> {
        self.entries().find(|(name, _)| *name == key.as_bytes()).map(|(_, value)| value)
    }

    fn first_byte(&self) -> Option<u8> {
        self.bytes.get(self.offset()).copied()
    }

    fn children(&self) -> Items<'a> {
        let (bytes, tokens) = (self.bytes, self.tokens);
        Items { bytes, tokens, at: self.index + 1, end: self.token().next as usize }
    }
}

/// The items of a list.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    bytes: &'a [u8],
    tokens: &'a [Token],
    at: usize,
    end: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        if self.at >= self.end {
            return None;
        }
        let node = Node::new(self.bytes, self.tokens, self.at);
        self.at = node.token().next as usize;
        Some(node)
    }
}

/// The keys and values of a dictionary.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    items: Items<'a>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], Node<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.items.next()?.as_bytes()?;
        Some((key, self.items.next()?))
    }
}
