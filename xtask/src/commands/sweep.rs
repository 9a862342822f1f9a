//! `sweep`: removes what was left over.

use std::process::ExitCode;

use object_store_public::ObjectStoreProvider;

use crate::output;
use crate::store::Store;

/// Remove from storage what abandoned uploads and deletes have left, as far as it is due.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Run it every few minutes, from as many machines as there are. The exit status is 1 when some object could not be deleted; \
it is tried again later.

Examples:
  cargo xtask sweep
  cargo xtask sweep --json")]
pub(crate) struct Args {
    /// Print one JSON document: `claimed`, `purged`, `waiting`, `superseded`, `failed`.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let report = Store::from_env().await?.module.sweep().await?;
    if args.json {
        output::json(&report)?;
    } else {
        output::line(format!(
            "{} due: {} purged, {} waiting for late writes, {} failed",
            report.claimed, report.purged, report.waiting, report.failed
        ))?;
    }
    Ok(if report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
