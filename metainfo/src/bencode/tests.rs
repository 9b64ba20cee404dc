//! Tests of bencode.
