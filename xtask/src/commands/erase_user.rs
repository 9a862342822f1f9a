//! `erase-user`: deletes all that is a user's.

use std::process::ExitCode;

use anyhow::bail;
use object_store_public::{Actor, ObjectStoreProvider, UserId};

use crate::confirm::confirmed;
use crate::store::Store;
use crate::{cli, output};

/// Delete all images and audio files of a user, for good, and end all of their uploads.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
See to it first that the user cannot begin another upload. What was begun before is covered, and cannot be finished \
afterwards. The bytes go with the next sweeps. Cut short, call it again.

Examples:
  cargo xtask erase-user 01890a5d-ac96-774b-bcce-b302099a8057 --yes && cargo xtask sweep")]
pub(crate) struct Args {
    /// The user's id.
    #[arg(value_name = "UUID", value_parser = cli::user_id)]
    user: UserId,
    /// Do not ask before deleting.
    #[arg(long)]
    yes: bool,
    /// Print one JSON document: `images`, `audios`, `uploads`.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let store = Store::from_env().await?;
    if !args.yes && !confirmed(&format!("Delete everything of user {}, for good?", args.user))? {
        bail!("nothing was deleted");
    }
    let report = store.module.erase_user(Actor::System, args.user).await?;
    if args.json {
        output::json(&report)?;
    } else {
        output::line(format!(
            "deleted {} images and {} audio files, ended {} uploads; the next sweep removes their bytes",
            report.images, report.audios, report.uploads
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
