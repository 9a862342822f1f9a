//! `rm`: deletes.

use std::process::ExitCode;

use object_store_public::uuid::Uuid;
use object_store_public::{Actor, MediaId, ObjectStoreProvider, Result};

use crate::store::Store;
use crate::{cli, failure, output};

/// Delete images and audio files, for good.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
The bytes go at once, or with the next sweep if storage does not answer. An id that names nothing is an error; the others \
are deleted all the same, and the exit status is 1.

Examples:
  cargo xtask rm 01890a5d-ac96-774b-bcce-b302099a8057")]
pub(crate) struct Args {
    /// Their ids.
    #[arg(required = true, value_name = "ID", value_parser = cli::media_uuid)]
    ids: Vec<Uuid>,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let store = Store::from_env().await?;
    let mut code = ExitCode::SUCCESS;
    for id in &args.ids {
        match delete(&store, *id).await {
            Ok(id) => output::line(format!("deleted {} {id}", id.kind()))?,
            Err(error) => {
                failure::report_about(&id.to_string(), &error.into());
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

async fn delete(store: &Store, id: Uuid) -> Result<MediaId> {
    let id = store.find(id).await?.id();
    store.module.delete(Actor::System, id).await?;
    Ok(id)
}
