//! `migrate`: the tables and the bucket.

use std::process::ExitCode;

use anyhow::bail;

use crate::confirm::confirmed;
use crate::output;
use crate::store::Store;

/// Bring the tables up to date, and create the bucket if it is missing.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
The embedded defaults are brought up to date by every command; this one is for a database of your own.

Examples:
  OBJECT_STORE_DATABASE_URL=postgres://app@db.example.org/app cargo xtask migrate
  cargo xtask migrate --status
  cargo xtask migrate --revert 1 --yes")]
pub(crate) struct Args {
    /// Only say which migrations there are and whether each is applied.
    #[arg(long, conflicts_with = "revert")]
    status: bool,
    /// Take back the newest N migrations, with the data that they hold.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    revert: Option<u32>,
    /// Do not ask before taking back.
    #[arg(long, requires = "revert")]
    yes: bool,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let store = Store::from_env().await?;
    match args.revert {
        Some(count) => revert(&store, usize::try_from(count)?, args.yes).await?,
        None if args.status => status(&store).await?,
        None => migrate(&store).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn migrate(store: &Store) -> anyhow::Result<()> {
    let applied = store.module.migrate().await?;
    let version = store.module.database_version().await?;
    for name in &applied {
        output::line(format!("applied {name}"))?;
    }
    output::line(format!("{version}: {} applied, the tables are up to date", applied.len()))?;
    ensure_bucket(store).await
}

async fn ensure_bucket(store: &Store) -> anyhow::Result<()> {
    let created = store.module.ensure_bucket().await?;
    let info = store.module.bucket_info().await?;
    let what = if created { "created" } else { "is there" };
    Ok(output::line(format!("bucket {} at {}: {what}", info.bucket, info.endpoint))?)
}

async fn status(store: &Store) -> anyhow::Result<()> {
    output::line(store.module.database_version().await?)?;
    for migration in store.module.migration_status().await? {
        let state = if migration.applied { "applied" } else { "pending" };
        output::line(format!("{state}  {}", migration.name))?;
    }
    Ok(())
}

async fn revert(store: &Store, count: usize, yes: bool) -> anyhow::Result<()> {
    let version = store.module.database_version().await?;
    if !yes && !confirmed(&format!("Take back {count} migrations on {version}, with the data that they hold?"))? {
        bail!("nothing was taken back");
    }
    let reverted = store.module.revert_migrations(count).await?;
    for name in &reverted {
        output::line(format!("reverted {name}"))?;
    }
    Ok(output::line(format!("{version}: {} taken back", reverted.len()))?)
}
