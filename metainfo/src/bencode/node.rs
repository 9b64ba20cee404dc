//! A view of one value in a scanned document: its type, its exact bytes, its offset and what it holds.
//!
//! Invariant: a view is only made over a successful scan, so its accessors cannot fail, only find another type.
//! Nothing is copied, and nothing recurses.

use crate::bencode::scan::{Long, Mode, integer, string_content};

/// One value of a [`Document`](crate::bencode::Document). Copying it is cheap.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    bytes: &'a [u8],
    long: &'a [Long],
    at: usize,
}

impl<'a> Node<'a> {
    pub(super) const fn new(bytes: &'a [u8], long: &'a [Long], at: usize) -> Self {
        Self { bytes, long, at }
    }

    /// Offset of the value's first byte in what was scanned.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.at
    }

    /// The exact bytes of the value.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.bytes.get(self.at..self.end()).unwrap_or_default()
    }

    /// Offset after the value's last byte.
    fn end(&self) -> usize {
        let is_list_or_dict = matches!(self.first_byte(), Some(b'l' | b'd'));
        let kept = || {
            let start = u32::try_from(self.at).ok()?;
            let index = self.long.binary_search_by_key(&start, |long| long.start).ok()?;
            self.long.get(index).map(|long| long.end as usize)
        };
        match is_list_or_dict.then(kept).flatten() {
            Some(end) => end,
            None => short_end(self.bytes, self.at),
        }
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
            items.at = usize::MAX;
        }
        Entries { items }
    }

    /// The value of a key: of the first such key, as libtorrent reads it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Self> {
        self.entries().find(|(name, _)| *name == key.as_bytes()).map(|(_, value)| value)
    }

    fn first_byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn children(&self) -> Items<'a> {
        Items { bytes: self.bytes, long: self.long, at: self.at + 1 }
    }
}

/// The strings of the list that these bytes begin with, of a document that was scanned before. Ends at the first item that
/// is none.
pub(crate) fn list_of_strings(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let list = Node::new(bytes, &[], 0);
    // Strings end where their own lengths say, so that no ends need to be kept.
    list.items().into_iter().flatten().map_while(|item| item.as_bytes())
}

/// Where the value at this offset ends, found by reading it: a string, an integer, or a short list or dictionary.
fn short_end(bytes: &[u8], mut at: usize) -> usize {
    let mut open = 0usize;
    loop {
        let next = match bytes.get(at) {
            Some(b'l' | b'd') => {
                open += 1;
                Some(at + 1)
            }
            Some(b'e') => {
                open = open.saturating_sub(1);
                Some(at + 1)
            }
            Some(b'i') => integer(bytes, at, Mode::Lenient).ok().map(|(_, end)| end),
            Some(_) => string_content(bytes, at, Mode::Lenient).ok().map(|(_, end)| end),
            None => None,
        };
        // After a successful scan there always is one.
        let Some(next) = next else { return bytes.len() };
        at = next;
        if open == 0 {
            return at;
        }
    }
}

/// The items of a list.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    bytes: &'a [u8],
    long: &'a [Long],
    at: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        if matches!(self.bytes.get(self.at), None | Some(b'e')) {
            return None;
        }
        let node = Node::new(self.bytes, self.long, self.at);
        self.at = node.end();
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
