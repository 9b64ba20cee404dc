//! The program as its users meet it: whole commands, in this process or as processes of their own.
//!
//! One binary, a module a theme. Tests named `hNN_…` are rows of the list of hostile inputs.

#![expect(
    clippy::unwrap_used,
    reason = "in a test a panic is the report; the lint knows only functions marked as tests"
)]

mod announce;
mod changes;
mod command_line;
mod connections;
mod create;
mod giants;
mod hostile;
mod hostile_sockets;
mod interop;
mod lifecycle;
mod magnets;
mod obstacles;
mod output;
mod restart;
mod resume;
mod select;
mod settings;
mod show;
mod support;
mod swarm;
mod terminal;
mod tracker;
mod verify;
