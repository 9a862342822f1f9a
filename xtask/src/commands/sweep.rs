//! `sweep`: removes what was left over.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use object_store_public::{ObjectStoreProvider, SweeperOptions, spawn_sweeper};
use serde_json::json;

use crate::commands::explain;
use crate::output;
use crate::stop::Stop;
use crate::store::Store;

/// How many intents a dry run shows.
const SHOWN: u16 = 100;

/// Remove from storage what abandoned uploads and deletes have left, as far as it is due.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Run it every few minutes, from as many machines as there are, or let it watch. The exit status is 1 when some object could \
not be deleted; it is tried again later.

Examples:
  cargo xtask sweep
  cargo xtask sweep --json
  cargo xtask sweep --dry-run
  cargo xtask sweep --watch 60")]
pub(crate) struct Args {
    /// Sweep again and again, so many seconds apart, until Ctrl-C. Failures do not end it.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    watch: Option<u64>,
    /// Only say what is due.
    #[arg(long, conflicts_with = "watch")]
    dry_run: bool,
    /// Print one JSON document: `claimed`, `purged`, `waiting`, `superseded`,
    /// `failed`; of a dry run `due` and `intents`; of a watch, at
    /// its end, `sweeps`, `failures`, `purged`, `failed`.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let store = Store::from_env().await?;
    match args.watch {
        Some(seconds) => watch(args, store, Duration::from_secs(seconds)).await,
        None if args.dry_run => dry_run(args, &store).await,
        None => sweep(args, &store).await,
    }
}

async fn sweep(args: &Args, store: &Store) -> anyhow::Result<ExitCode> {
    let report = store.module.sweep().await?;
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

async fn dry_run(args: &Args, store: &Store) -> anyhow::Result<ExitCode> {
    let report = store.module.due(SHOWN).await?;
    if args.json {
        output::json(&report)?;
        return Ok(ExitCode::SUCCESS);
    }
    for intent in &report.intents {
        output::line(explain::intent(intent))?;
    }
    output::line(format!("{} due, nothing was done", report.due))?;
    Ok(ExitCode::SUCCESS)
}

async fn watch(args: &Args, store: Store, every: Duration) -> anyhow::Result<ExitCode> {
    let mut stop = Stop::listen().context("signals cannot be waited for")?;
    let sweeper = spawn_sweeper(Arc::new(store.module), SweeperOptions { every, jitter: every / 10 });
    if !args.json {
        output::line(format!("sweeping every {} seconds until Ctrl-C", every.as_secs()))?;
    }
    stop.requested().await;
    let totals = sweeper.shutdown().await;
    if args.json {
        output::json(&json!({
            "sweeps": totals.sweeps,
            "failures": totals.failures,
            "purged": totals.purged,
            "failed": totals.failed,
        }))?;
    } else {
        output::line(format!(
            "{} sweeps went through, {} did not; {} purged, {} attempts failed",
            totals.sweeps, totals.failures, totals.purged, totals.failed
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
