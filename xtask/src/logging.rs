//! Logs, for people at a terminal.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error. `RUST_LOG` wins over the number of `-v`.
///
/// The embedded server logs an error whenever it answers with one, which its client knows and tells itself.
pub(crate) fn start(verbose: u8) {
    let level = match verbose {
        0 => "warn,s3s=off",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}
