//! Torrents made up for tests.
