//! `dev`: a store to try things on.

use std::env;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use object_store_public::Config;

use crate::commands::seed;
use crate::output;
use crate::stop::Stop;
use crate::store::{self, Store};

/// Serve a store with sample media until Ctrl-C: SQLite and an S3 server on loopback, nothing to install.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Data lie in `.object-store`, or in OBJECT_STORE_DIR, and stay there. Other commands and other processes that use the same \
directory find this server. A database or a bucket that the environment names is not used.

Examples:
  cargo xtask dev
  OBJECT_STORE_DIR=\"$HOME/try\" cargo xtask dev")]
pub(crate) struct Args {}

pub(crate) async fn run(_: &Args) -> anyhow::Result<ExitCode> {
    let mut stop = Stop::listen().context("signals cannot be waited for")?;
    tokio::select! {
        started = start() => {
            let store = started?;
            stop.requested().await;
            output::line("stopped")?;
            drop(store);
        }
        () = stop.requested() => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn start() -> anyhow::Result<Store> {
    let ignored = store::configured_elsewhere();
    if !ignored.is_empty() {
        eprintln!("dev uses the embedded defaults and not what the environment names: {}", ignored.join(", "));
    }
    let get = |name: &str| env::var(name).ok().filter(|_| !store::is_elsewhere(name));
    let store = Store::open(Config::from_vars(get)?).await?;
    store.module.migrate().await?;
    let seeded = seed::seed(&store).await?;
    output::line(seeded.to_text())?;
    output::line(settings(&store).await?)?;
    Ok(store)
}

/// What one needs to connect to it.
async fn settings(store: &Store) -> anyhow::Result<String> {
    let info = store.module.bucket_info().await?;
    let directory = directory().context("the directory of the data cannot be named")?;
    let (database, keys) = (directory.join("object-store.db"), directory.join("s3/server.json"));
    Ok(format!(
        "\nServing until Ctrl-C. Other commands find it by its directory:\n  \
           OBJECT_STORE_DIR={}\n\
         Anything else, by these settings:\n  \
           OBJECT_STORE_DATABASE_URL=sqlite:{}\n  \
           OBJECT_STORE_S3_ENDPOINT={}\n  \
           OBJECT_STORE_S3_REGION={}\n  \
           OBJECT_STORE_S3_BUCKET={}\n  \
           OBJECT_STORE_S3_ACCESS_KEY_ID and OBJECT_STORE_S3_SECRET_ACCESS_KEY as in {}",
        directory.display(),
        database.display(),
        info.endpoint,
        info.region,
        info.bucket,
        keys.display(),
    ))
}

/// Where the embedded defaults keep their data.
fn directory() -> io::Result<PathBuf> {
    let configured = env::var_os("OBJECT_STORE_DIR").filter(|directory| !directory.is_empty());
    PathBuf::from(configured.unwrap_or_else(|| ".object-store".into())).canonicalize()
}
