//! The commands as somebody at a shell runs them, and the rules that hold for the whole workspace.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod arrows;
mod commands;
mod copy_store;
mod dev;
mod doctor;
mod help;
mod operating;
mod shell;
mod soak;
mod tidy;
mod tree;
mod workspace;
