//! Tests of magnet links.
