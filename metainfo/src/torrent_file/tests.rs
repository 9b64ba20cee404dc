//! Tests of torrent files.
