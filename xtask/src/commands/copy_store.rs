//! `copy-store`: all objects to another bucket.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use object_store_public::{CopyStoreOptions, CopyStoreReport, S3Config, S3Credentials};

use crate::store::Store;
use crate::{output, progress};

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(200);

/// What a script can tell from "some objects could not be copied".
const COULD_NOT_RUN: u8 = 2;

/// Copy the object of every row to another bucket or another provider, compared by SHA-256.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Nothing here changes. Uploads and deletes may go on; run it again for what came in between, and once more after the last \
write: docs/moving.md has all the steps. What is there already is passed over, so a run that was stopped goes on where it was.

Environment:
  OBJECT_STORE_TO_S3_ACCESS_KEY_ID, …_SECRET_ACCESS_KEY, …_SESSION_TOKEN
                             the target's credentials; else AWS_*, profile, web identity, container, instance

Exit status: 0 everything is there, 1 some objects could not be copied, 2 could not run.

Examples:
  cargo xtask copy-store --to new-media --to-region eu-central-1
  cargo xtask copy-store --to media --to-endpoint https://s3.example.org --at-once 32")]
pub(crate) struct Args {
    /// The target's bucket. It must exist.
    #[arg(long, value_name = "BUCKET")]
    to: String,
    /// The target's server; AWS if not said.
    #[arg(long, value_name = "URL")]
    to_endpoint: Option<String>,
    /// The target's region.
    #[arg(long, value_name = "REGION", default_value = "us-east-1")]
    to_region: String,
    /// What all keys start with in the target; ends in `/`.
    #[arg(long, value_name = "PREFIX", default_value = "")]
    to_prefix: String,
    /// Whether the target's bucket is in the path or in the host name; in the path with an endpoint if not said.
    #[arg(long, value_name = "BOOL")]
    to_path_style: Option<bool>,
    /// How many objects are on their way at once.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    at_once: u16,
    /// Read what is in the target already, too, and compare its SHA-256.
    #[arg(long)]
    rehash: bool,
    /// Print one JSON document: counts, and `failures`.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match copy(args).await {
        Ok(report) => {
            if args.json {
                output::json(&report)?;
            } else {
                output::line(to_text(&report))?;
            }
            Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(error) => {
            crate::failure::report(&error);
            Ok(ExitCode::from(COULD_NOT_RUN))
        }
    }
}

async fn copy(args: &Args) -> anyhow::Result<CopyStoreReport> {
    let target = target(args, |name| env::var(name).ok().filter(|value| !value.is_empty()))?;
    let store = Store::from_env().await?;
    let options = CopyStoreOptions { at_once: args.at_once.into(), rehash: args.rehash, ..CopyStoreOptions::default() };
    let bar = progress::of_steps(format!("copying to {}", args.to), 0);
    let mut tick = tokio::time::interval(TICK);
    let mut copying = std::pin::pin!(store.module.copy_store_to(target, &options));
    let report = loop {
        tokio::select! {
            report = &mut copying => break report,
            _ = tick.tick() => {
                bar.set_length(options.progress.expected_rows());
                bar.set_position(options.progress.rows());
            }
        }
    };
    bar.finish_and_clear();
    Ok(report?)
}

fn target(args: &Args, get: impl Fn(&str) -> Option<String>) -> anyhow::Result<S3Config> {
    let id = get("OBJECT_STORE_TO_S3_ACCESS_KEY_ID");
    let secret = get("OBJECT_STORE_TO_S3_SECRET_ACCESS_KEY");
    let credentials = match (id, secret) {
        (Some(access_key_id), Some(secret_access_key)) => {
            let session_token = get("OBJECT_STORE_TO_S3_SESSION_TOKEN");
            S3Credentials::Static { access_key_id, secret_access_key, session_token }
        }
        (None, None) => S3Credentials::Default,
        (Some(_), None) => bail!("OBJECT_STORE_TO_S3_SECRET_ACCESS_KEY is missing: its id is set"),
        (None, Some(_)) => bail!("OBJECT_STORE_TO_S3_ACCESS_KEY_ID is missing: its secret is set"),
    };
    let mut config = S3Config::new(args.to_endpoint.clone(), &args.to_region, &args.to, credentials);
    config.prefix.clone_from(&args.to_prefix);
    if let Some(path_style) = args.to_path_style {
        config.path_style = path_style;
    }
    Ok(config)
}

fn to_text(report: &CopyStoreReport) -> String {
    let mut lines: Vec<String> =
        report.failures.iter().map(|failure| format!("{:<16} {}", failure.code, failure.key)).collect();
    let unlisted = report.failed.saturating_sub(report.failures.len() as u64);
    if unlisted > 0 {
        lines.push(format!("and {unlisted} more"));
    }
    lines.push(format!(
        "{} rows: {} copied ({} bytes), {} there already, {} deleted meanwhile, {} failed",
        report.rows, report.copied, report.copied_bytes, report.present, report.deleted_meanwhile, report.failed
    ));
    lines.join("\n")
}
