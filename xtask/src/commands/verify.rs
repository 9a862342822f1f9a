//! `verify`: storage against the database.

use std::num::NonZeroU64;
use std::process::ExitCode;
use std::time::Duration;

use object_store_public::{Finding, ObjectStoreError, ObjectStoreProvider, VerifyOptions, VerifyReport};

use crate::store::Store;
use crate::{failure, output, progress};

/// What a cron job can tell from "something was found".
const COULD_NOT_RUN: u8 = 2;

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(200);

/// Compare storage with the database, both ways, and say what is missing and what nobody knows.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Run it daily. Reported are rows whose object is missing or has another size, objects that no row and no intent names, and \
multipart uploads that nobody goes on with; with quotas, users whose bytes are counted wrong. Objects whose keys this module does not make are counted and never touched. \
Rows are never touched either.

--repair hands to the sweep what an earlier run has seen as well, and nothing at all if that is more than 100 objects and \
more than 1 % of the bucket: then the database is probably not the one of this bucket. Counters that are wrong are counted \
anew.

Exit status: 0 nothing found, 1 something found, repaired or not, 2 could not run, or not to its end: what was found until \
then is printed, and --start-after goes on from the last key that was compared.

Examples:
  cargo xtask verify
  cargo xtask verify --repair; cargo xtask sweep
  cargo xtask verify --rehash 20000000")]
pub(crate) struct Args {
    /// Hand to the sweep what was confirmed.
    #[arg(long)]
    repair: bool,
    /// Read all objects and compare their digests, at so many bytes a second at most.
    #[arg(long, value_name = "BYTES_PER_SECOND")]
    rehash: Option<NonZeroU64>,
    /// How old something without a name has to be to be reported, by the storage's clock [default: 86400].
    #[arg(long, value_name = "SECONDS")]
    grace: Option<u64>,
    /// Hand over so many at most, instead of 100 or 1 %.
    #[arg(long, value_name = "N", requires = "repair")]
    max_orphans: Option<u64>,
    /// Begin after this key, where another run stopped.
    #[arg(long, value_name = "KEY")]
    start_after: Option<String>,
    /// Print one JSON document: counts, and `findings`.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let error = match verify(args).await {
        Ok(report) => {
            print(args, &report)?;
            return Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Err(error) => error,
    };
    // What was found before it stopped is told all the same.
    if let Some(ObjectStoreError::VerifyStopped { report, .. }) = error.downcast_ref() {
        print(args, report)?;
    }
    failure::report(&error);
    Ok(ExitCode::from(COULD_NOT_RUN))
}

fn print(args: &Args, report: &VerifyReport) -> anyhow::Result<()> {
    if args.json {
        output::json(report)?;
    } else {
        output::line(to_text(report))?;
    }
    Ok(())
}

async fn verify(args: &Args) -> anyhow::Result<VerifyReport> {
    let store = Store::from_env().await?;
    let mut options = VerifyOptions {
        repair: args.repair,
        rehash: args.rehash,
        max_orphans: args.max_orphans,
        start_after: args.start_after.clone(),
        ..VerifyOptions::default()
    };
    if let Some(seconds) = args.grace {
        options.grace = Duration::from_secs(seconds);
    }
    let bar = progress::of_steps("verifying", 0);
    let mut tick = tokio::time::interval(TICK);
    let mut verify = std::pin::pin!(store.module.verify(&options));
    let report = loop {
        tokio::select! {
            report = &mut verify => break report,
            _ = tick.tick() => {
                bar.set_length(options.progress.expected_rows());
                bar.set_position(options.progress.rows());
            }
        }
    };
    bar.finish_and_clear();
    Ok(report?)
}

fn to_text(report: &VerifyReport) -> String {
    let mut lines: Vec<String> = report.findings.iter().map(finding).collect();
    let unlisted = report.found().saturating_sub(report.findings.len() as u64);
    if unlisted > 0 {
        lines.push(format!("and {unlisted} more"));
    }
    lines.extend(report.foreign_keys.iter().map(|key| format!("foreign         {key:?}, not touched")));
    lines.push(format!(
        "compared {} objects, {} rows and {} intents; {} foreign objects, {} too young to judge",
        report.objects, report.rows, report.intents, report.foreign, report.young
    ));
    if report.rehashed > 0 {
        lines.push(format!(
            "read {} objects of {} bytes; {} digests noted",
            report.rehashed, report.rehashed_bytes, report.digests_noted
        ));
    }
    lines.push(if report.is_clean() {
        "clean".to_owned()
    } else {
        format!(
            "found {}: {} missing, {} of another size, {} with other bytes, {} unreadable, {} orphans ({} seen before), \
             {} stale uploads, {} wrong counters",
            report.found(),
            report.missing,
            report.size_mismatches,
            report.digest_mismatches,
            report.unreadable,
            report.orphans,
            report.confirmed_orphans,
            report.stale_uploads,
            report.usage_mismatches
        )
    });
    if let Some(key) = &report.compared_until {
        lines.push(format!("compared until {key}"));
    }
    if report.repaired > 0 {
        lines.push(format!("{} handed to the sweep", report.repaired));
    }
    if report.recounted > 0 {
        lines.push(format!("{} users counted anew", report.recounted));
    }
    lines.join("\n")
}

fn finding(finding: &Finding) -> String {
    match finding {
        Finding::Missing { id, key } => format!("missing         {} {id}: no object {key}", id.kind()),
        Finding::SizeMismatch { id, key, row_bytes, object_bytes } => {
            format!("size mismatch   {} {id}: {row_bytes} bytes were stored, {key} has {object_bytes}", id.kind())
        }
        Finding::Orphan { key, size_bytes, first_seen_at, confirmed } => {
            let seen = if *confirmed { "seen before, first" } else { "seen once," };
            format!("orphan          {key}: {size_bytes} bytes, {seen} at {first_seen_at}")
        }
        Finding::StaleUpload { key, upload_id } => format!("stale upload    {key}: {upload_id}"),
        Finding::Unreadable { id, key, code } => format!("unreadable      {} {id}: {key}: {code}", id.kind()),
        Finding::DigestMismatch { id, key, row_sha256, object_sha256 } => {
            format!("digest mismatch {} {id}: {row_sha256} was stored, {key} has {object_sha256}", id.kind())
        }
        Finding::UsageMismatch { user_id, counted_used, counted_reserved, used, reserved } => format!(
            "wrong usage     user {user_id}: {counted_used} bytes used and {counted_reserved} reserved were counted, it \
             is {used} and {reserved}"
        ),
    }
}
