//! What operators run, as `cargo xtask`: parses, calls the module, prints.
//!
//! **Architecture invariant:** nothing here decides what may be stored or who may read it. Everything goes through
//! `object-store-public`, as the system actor; this binary alone reads arguments and the terminal.

mod cli;
mod commands;
mod confirm;
mod failure;
mod logging;
mod output;
mod progress;
mod servers;
mod shown;
mod soak;
mod stop;
mod store;
mod system;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.verbose);
    match run(cli) {
        Ok(code) => code,
        Err(error) if failure::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            failure::report(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(commands::run(cli.command))
}
