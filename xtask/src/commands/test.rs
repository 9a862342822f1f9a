//! `test`: all tests, on both databases.

mod cargo;
mod contracts;
mod postgres;
mod table;
mod totals;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use object_store_devkit::postgres::TempPostgres;
use object_store_public::{Config, DatabaseConfig, open};

use crate::commands::test::cargo::Run;
use crate::commands::test::contracts::Choice;
use crate::commands::test::totals::Totals;
use crate::output;

/// Run all tests, on SQLite and PostgreSQL, over real HTTP.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Where PostgreSQL's programs are missing, root on Debian or Ubuntu gets them from the system's packages; elsewhere this says \
what to install. No server has to run: the tests start one of their own, without a port. The last line is \
`N passed, M failed`.

Environment:
  OBJECT_STORE_PG_BIN             the directory of PostgreSQL's programs
  OBJECT_STORE_TEST_POSTGRES_URL  a server to use instead, whose user may create databases

Examples:
  cargo xtask test
  cargo xtask test -- -p object-store-media
  cargo xtask test -- --test it listing
  cargo xtask test --s3 swift
  cargo xtask test --s3 all")]
pub(crate) struct Args {
    /// Instead, hold a server to the rules of the storage port: embedded, moto, swift, rgw, garage, or all that can be
    /// had, and then docs/s3-compatibility.md is written anew. What is missing is installed as for `cargo xtask s3`.
    #[arg(long, value_name = "SERVER", value_parser = contracts::choice, conflicts_with = "cargo_args")]
    s3: Vec<Choice>,
    /// Passed on to `cargo test`; with `-p` only those packages are tested.
    #[arg(last = true, value_name = "CARGO_ARGS")]
    cargo_args: Vec<String>,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in a workspace")?;
    if !args.s3.is_empty() {
        return contracts::run(&args.s3, root).await;
    }
    postgres::provide()?;
    let services = services().await?;

    let mut totals = Totals::default();
    for run in Run::all(&args.cargo_args) {
        output::line(format!("$ {run}"))?;
        totals += run.stream(root)?;
    }

    output::line(format!("\ndatabases: {}", services.join(", ")))?;
    output::line(format!("S3: {}; the storage port's rules also in memory", embedded_s3(root)))?;
    if totals.ignored > 0 {
        output::line(format!("{} ignored", totals.ignored))?;
    }
    if !totals.is_complete {
        output::line("cargo failed: see above; not everything ran")?;
    }
    output::line(format!("{} passed, {} failed", totals.passed, totals.failed))?;
    Ok(if totals.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the databases say they are: asked through the module, so that neither can be missing unnoticed.
async fn services() -> anyhow::Result<Vec<String>> {
    let sqlite = open(Config::ephemeral()).await?.database_version().await?;
    let server = TempPostgres::shared().context("the tests need PostgreSQL")?;
    let url = server.create_database().context("the tests need databases of their own")?;
    let module = open(Config::ephemeral().database(DatabaseConfig::new(url))).await?;
    let postgres = module.database_version().await?;
    drop(module);
    Ok(vec![sqlite, postgres])
}

/// Which embedded server was compiled in, by the lock file.
fn embedded_s3(root: &Path) -> String {
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap_or_default();
    let after_name = lock.split_once("name = \"s3s\"\nversion = \"").map(|(_, rest)| rest);
    let version = after_name.and_then(|rest| rest.split('"').next()).unwrap_or("of unknown version");
    format!("the embedded server (s3s {version}) over HTTP")
}
