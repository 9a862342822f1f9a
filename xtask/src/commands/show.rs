//! `show`: one file's facts.

use std::process::ExitCode;

use object_store_public::uuid::Uuid;

use crate::store::Store;
use crate::{cli, output, shown};

/// Show all facts of an image or an audio file.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  cargo xtask show 01890a5d-ac96-774b-bcce-b302099a8057
  cargo xtask show 01890a5d-ac96-774b-bcce-b302099a8057 --json | jq .sha256")]
pub(crate) struct Args {
    /// Its id.
    #[arg(value_parser = cli::media_uuid)]
    id: Uuid,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let file = Store::from_env().await?.find(args.id).await?;
    if args.json {
        output::json(&file)?;
    } else {
        output::line(shown::facts(&file, None))?;
    }
    Ok(ExitCode::SUCCESS)
}
