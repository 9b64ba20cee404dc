//! What people and scripts see: results, bars, plain lines, JSON.
//!
//! Invariant: text that a stranger chose (names, comments, reasons of trackers) passes through
//! [`metainfo::display_safe`] before it is printed. Rendering is pure (values and a width in, text out);
//! only [`screen`] (with its [`canvas`]) and [`results`] write.

pub(crate) mod bar;
mod canvas;
pub(crate) mod date;
pub(crate) mod job;
pub(crate) mod json;
pub(crate) mod plain;
pub(crate) mod results;
pub(crate) mod screen;
pub(crate) mod size;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod terminal;
pub(crate) mod transfer;
pub(crate) mod view;
