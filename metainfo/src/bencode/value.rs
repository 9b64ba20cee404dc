//! Bencode as an owned tree: for small documents, and for everything that is written.
//!
//! Invariant: the crate's decoder sees only what the scan accepted, and every integer is read as `i64`, the width
//! that the scan checked (the crate's own number parsing overflows). Dictionaries are written sorted.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::bencode::{Limits, scan};
use crate::{Error, ErrorKind};

/// One bencoded value. A dictionary has each key once, in order; of repeated keys the first was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `i…e`
    Int(i64),
    /// A string of bytes, text or not.
    Bytes(Vec<u8>),
    /// `l…e`
    List(Vec<Self>),
    /// `d…e`
    Dict(BTreeMap<Vec<u8>, Self>),
}

impl Value {
    /// Reads the whole of `bytes` as one value.
    ///
    /// # Errors
    /// As [`scan_whole`](crate::bencode::scan_whole).
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        crate::bencode::scan_whole(bytes, limits)?;
        decode(bytes)
    }

    /// Reads the value at the start of `bytes`; returns it and the bytes after it.
    ///
    /// # Errors
    /// As [`scan`].
    pub fn parse_prefix<'a>(bytes: &'a [u8], limits: &Limits) -> Result<(Self, &'a [u8]), Error> {
        let rest = scan(bytes, limits)?.rest();
        let value = decode(bytes.get(..bytes.len() - rest.len()).unwrap_or_default())?;
        Ok((value, rest))
    }

    /// A dictionary of these keys and values.
    #[must_use]
    pub fn dict<'k>(entries: impl IntoIterator<Item = (&'k str, Self)>) -> Self {
        Self::Dict(entries.into_iter().map(|(key, value)| (key.as_bytes().to_vec(), value)).collect())
    }

    /// The bytes of this value.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// The value of a key, if this is a dictionary that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_dict()?.get(key.as_bytes())
    }

    /// The number, if this is an integer.
    #[must_use]
    pub const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The content, if this is a string.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The content, if this is a string of UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// The items, if this is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The keys and values, if this is a dictionary.
    #[must_use]
    pub const fn as_dict(&self) -> Option<&BTreeMap<Vec<u8>, Self>> {
        match self {
            Self::Dict(entries) => Some(entries),
            _ => None,
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<Vec<Self>> for Value {
    fn from(items: Vec<Self>) -> Self {
        Self::List(items)
    }
}

/// Bytes that are bencode already and are written as they are.
pub(crate) struct Raw<'a>(pub(crate) &'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        bencode::raw_value::RawValue(self.0).serialize(serializer)
    }
}

/// Writes a dictionary of values that are bencode already, its keys sorted.
pub(crate) fn encode_map(entries: &BTreeMap<&[u8], Raw<'_>>) -> Vec<u8> {
    struct Map<'m, 'a>(&'m BTreeMap<&'a [u8], Raw<'a>>);
    impl Serialize for Map<'_, '_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(Some(self.0.len()))?;
            for (key, value) in self.0 {
                map.serialize_entry(serde_bytes::Bytes::new(key), value)?;
            }
            map.end()
        }
    }
    encode(&Map(entries))
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    bencode::bencode_serialize_to_writer(value, &mut bytes)
        .expect("a Vec takes every byte, and only types that bencode has are written");
    bytes
}

fn decode(scanned: &[u8]) -> Result<Value, Error> {
    bencode::from_bytes(scanned).map_err(|e| Error::new(ErrorKind::Bencode(e.kind().to_string())))
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Dict(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(serde_bytes::Bytes::new(key), value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyValue;
        impl<'de> Visitor<'de> for AnyValue {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a bencoded value")
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Int(value))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
                Ok(Value::Bytes(bytes.to_vec()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Value::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<serde_bytes::ByteBuf, Value>()? {
                    entries.entry(key.into_vec()).or_insert(value);
                }
                Ok(Value::Dict(entries))
            }
        }
        deserializer.deserialize_any(AnyValue)
    }
}
