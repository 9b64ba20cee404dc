//! Bencode (BEP 3): a checked scan of everything from outside, then the crate that decodes it.
