//! `soak`: processes that are killed, and what they leave.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use object_store_public::DatabaseConfig;
use serde_json::{Value, json};

use crate::output;
use crate::soak::arena::{Arena, DatabaseChoice};
use crate::soak::audit::Audit;
use crate::soak::big::{self, MOST_KIB};
use crate::soak::crowd::{self, SWEEPERS, UPLOADERS};
use crate::soak::history::History;
use crate::soak::journal::Fault;
use crate::soak::kills::{self, Plan};
use crate::soak::plant::Plant;
use crate::stop::Stop;

/// How many details of what is wrong are printed.
const SHOWN: usize = 20;

/// What has a column.
const COLUMNS: [(Fault, &str); 5] = [
    (Fault::Lost, "lost"),
    (Fault::Dangling, "dangling"),
    (Fault::Orphan, "orphans"),
    (Fault::Duplicate, "duplicates"),
    (Fault::Resurrected, "resurrected"),
];

/// Kill processes at work at random moments, and say whether anything was lost or left behind.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
A child process uploads in all ways, commits and rolls back transactions, deletes, reads, lists, sweeps and erases users, \
six things at a time, against an S3 server over HTTP in this process, and writes down what was acknowledged to it. It is \
killed (SIGKILL) up to two seconds after it began, and the next one goes on. After every 25 kills and at the end, sweeps \
run until nothing is due, and all is compared: rows, the objects on disk, the bytes of all files, and what `verify` says.

  lost         acknowledged, and gone or with other bytes
  dangling     a row without object
  orphans      an object or a multipart upload that nothing names
  duplicates   two files of one request
  resurrected  deleted, cancelled or rolled back, and there

Everything is made for the soak and goes with it; when something is wrong it is kept, and its place told. The seed repeats \
the choices and the moments of the kills, not how the threads of a machine take turns.

Exit status: 0 nothing is wrong, 1 something is, or the soak could not run.

Examples:
  cargo xtask soak --minutes 5 --seed 1
  cargo xtask soak --database postgres://localhost/scratch --kills 1000 --minutes 600
  cargo xtask soak --crowd --minutes 1
  cargo xtask soak --big
  cargo xtask soak --kills 5 --database sqlite --plant orphan")]
pub(crate) struct Args {
    /// How long, for each database.
    #[arg(long, value_name = "M", default_value = "5", value_parser = minutes)]
    minutes: Duration,
    /// What the choices are made of.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// `sqlite` (a temporary file), `postgres` (a temporary server), or the URL of a
    /// database, on which the soak makes a schema of its own. Without it the
    /// first two, one after the other.
    #[arg(long, value_name = "DATABASE")]
    database: Option<String>,
    /// End after so many kills on each database.
    #[arg(long, value_name = "N")]
    kills: Option<u64>,
    /// No kills: two processes sweep while four upload, and verifies run among them.
    #[arg(long, conflicts_with_all = ["kills", "big", "plant"])]
    crowd: bool,
    /// Instead, upload a WAV of so many MiB (2048 if not said), with a known length
    /// and without; measure the memory that takes, and kill a second upload
    /// in its middle.
    #[arg(long, value_name = "MIB", num_args = 0..=1, default_missing_value = "2048", conflicts_with_all = ["kills", "plant"])]
    #[arg(value_parser = clap::value_parser!(u64).range(16..=2048))]
    big: Option<u64>,
    /// Break something before the last comparison, to see that it is found.
    #[arg(long, value_name = "WHAT")]
    plant: Option<Plant>,
    /// Print one JSON document, with an entry for each database.
    #[arg(long)]
    json: bool,
}

fn minutes(text: &str) -> Result<Duration, String> {
    let wrong = || "a number of minutes, above 0 and at most 10000".to_owned();
    let minutes: f64 = text.parse().map_err(|_| wrong())?;
    if minutes > 0.0 && minutes <= 10_000.0 { Ok(Duration::from_secs_f64(minutes * 60.0)) } else { Err(wrong()) }
}

/// What a part of the soak found.
struct Part {
    is_well: bool,
    text: String,
    document: Value,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut stop = Stop::listen().context("signals cannot be waited for")?;
    let (mut is_well, mut documents) = (true, Vec::new());
    for choice in choices(args.database.as_deref())? {
        let part = run_on(args, &choice, &mut stop).await?;
        is_well &= part.is_well;
        if args.json {
            documents.push(part.document);
        } else {
            output::line(part.text)?;
        }
    }
    if args.json {
        output::json(&json!({ "seed": args.seed, "is_well": is_well, "databases": documents }))?;
    }
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn choices(database: Option<&str>) -> anyhow::Result<Vec<DatabaseChoice>> {
    Ok(match database {
        None => vec![DatabaseChoice::Sqlite, DatabaseChoice::Postgres],
        Some("sqlite") => vec![DatabaseChoice::Sqlite],
        Some("postgres") => vec![DatabaseChoice::Postgres],
        Some(url) => {
            DatabaseConfig::new(url).engine().context("--database is `sqlite`, `postgres` or a URL")?;
            vec![DatabaseChoice::Url(url.to_owned())]
        }
    })
}

async fn run_on(args: &Args, choice: &DatabaseChoice, stop: &mut Stop) -> anyhow::Result<Part> {
    let arena = Arena::open(choice).await?;
    // Whatever ends it, what was made for it goes.
    let part = tokio::select! {
        part = run_in(args, &arena) => part,
        () = stop.requested() => Err(anyhow::anyhow!("stopped before the end")),
    };
    let mut part = match part {
        Ok(part) => part,
        Err(error) => {
            let error = error.context(arena.log());
            arena.close(false).await?;
            return Err(error);
        }
    };
    // What was planted need not be looked at.
    let keep = !part.is_well && args.plant.is_none();
    if let Some(kept) = arena.close(keep).await? {
        part.text = format!("{}\nkept in {}", part.text, kept.display());
    }
    Ok(part)
}

async fn run_in(args: &Args, arena: &Arena) -> anyhow::Result<Part> {
    match args.big {
        Some(mebibytes) => big(arena, mebibytes << 20).await,
        None if args.crowd => crowd(arena, args).await,
        None => kill(arena, args).await,
    }
}

async fn kill(arena: &Arena, args: &Args) -> anyhow::Result<Part> {
    let plan =
        Plan { time: args.minutes, most_kills: args.kills.unwrap_or(u64::MAX), seed: args.seed, plant: args.plant };
    let outcome = kills::soak(arena, &plan).await?;
    let (history, audit) = (&outcome.history, &outcome.audit);
    let text = format!(
        "{}: {} operations ({} acknowledged), {} kills, {}\n  {} audits; the last read {} files of {} bytes; repeat \
         with --seed {}\n  not done: {}{}",
        arena.database,
        history.operations,
        history.acknowledged,
        outcome.kills,
        columns(audit),
        outcome.audits,
        audit.files,
        audit.bytes,
        args.seed,
        errors(history),
        details(audit),
    );
    let document = json!({
        "database": arena.database,
        "operations": history.operations,
        "acknowledged": history.acknowledged,
        "kills": outcome.kills,
        "audits": outcome.audits,
        "errors": history.errors,
        "faults": faults(audit),
        "details": audit.faults,
    });
    Ok(Part { is_well: audit.is_clean(), text, document })
}

async fn crowd(arena: &Arena, args: &Args) -> anyhow::Result<Part> {
    let outcome = crowd::crowd(arena, args.minutes, args.seed).await?;
    let (history, audit) = (&outcome.history, &outcome.audit);
    let text = format!(
        "{}: {UPLOADERS} processes uploaded while {SWEEPERS} swept: {} operations ({} acknowledged), {}\n  {} verifies \
         meanwhile and one after it: {}{}",
        arena.database,
        history.operations,
        history.acknowledged,
        columns(audit),
        outcome.verifies,
        if audit.is_clean() { "clean" } else { "NOT clean" },
        details(audit),
    );
    let document = json!({
        "database": arena.database,
        "operations": history.operations,
        "acknowledged": history.acknowledged,
        "verifies": outcome.verifies,
        "errors": history.errors,
        "faults": faults(audit),
        "details": audit.faults,
    });
    Ok(Part { is_well: audit.is_clean(), text, document })
}

async fn big(arena: &Arena, bytes: u64) -> anyhow::Result<Part> {
    let (mut lines, mut documents, mut is_well) = (Vec::new(), Vec::new(), true);
    for is_whole in [true, false] {
        let outcome = big::try_out(arena, bytes, is_whole).await?;
        is_well &= outcome.is_well();
        lines.push(format!(
            "{}, {}: {} bytes in {:.1} s; at most {} KiB, idle {} KiB: {} KiB above (allowed: {MOST_KIB}); facts {}; \
             killed after {} bytes, {} left after sweeps",
            arena.database,
            outcome.way,
            outcome.bytes,
            outcome.seconds,
            outcome.peak_kib,
            outcome.idle_kib,
            outcome.above_idle_kib(),
            if outcome.wrong.is_empty() { "right".to_owned() } else { outcome.wrong.join(", ") },
            outcome.killed_at,
            outcome.left,
        ));
        documents.push(serde_json::to_value(&outcome)?);
    }
    let document = json!({ "database": arena.database, "is_well": is_well, "uploads": documents });
    Ok(Part { is_well, text: lines.join("\n"), document })
}

fn columns(audit: &Audit) -> String {
    COLUMNS.map(|(fault, name)| format!("{} {name}", audit.count(fault))).join(", ")
}

fn faults(audit: &Audit) -> Value {
    let all = COLUMNS.into_iter().chain([(Fault::Other, "other")]);
    all.map(|(fault, name)| (name.to_owned(), Value::from(audit.count(fault))))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// How often each error was the answer.
fn errors(history: &History) -> String {
    if history.errors.is_empty() {
        return "nothing".to_owned();
    }
    let errors: Vec<String> = history.errors.iter().map(|(code, count)| format!("{code} {count}")).collect();
    errors.join(", ")
}

fn details(audit: &Audit) -> String {
    let all = audit.faults.iter().flat_map(|(fault, details)| details.iter().map(move |detail| (fault, detail)));
    let shown = all.take(SHOWN).map(|(fault, detail)| format!("\n  {fault:?}: {detail}"));
    shown.collect()
}
