//! `usage`: how many bytes a user has.

use std::process::ExitCode;

use object_store_public::{Actor, ObjectStoreProvider, UserId};

use crate::store::Store;
use crate::{cli, output};

/// Show how many bytes a user has and may have.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
The limit is that of this environment, OBJECT_STORE_MAX_USER_BYTES; of limits that a host computes nothing is known here.

Examples:
  cargo xtask usage 01890a5d-ac96-774b-bcce-b302099a8057
  cargo xtask usage 01890a5d-ac96-774b-bcce-b302099a8057 --json")]
pub(crate) struct Args {
    /// The user's id.
    #[arg(value_name = "UUID", value_parser = cli::user_id)]
    user: UserId,
    /// Print one JSON document: `user_id`, `used`, `reserved`, `limit`.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let usage = Store::from_env().await?.module.usage(Actor::System, args.user).await?;
    if args.json {
        output::json(&usage)?;
    } else {
        let limit = usage.limit.map_or_else(|| "no limit".to_owned(), |limit| format!("at most {limit}"));
        let (used, reserved) = (usage.used, usage.reserved);
        output::line(format!("{used} bytes used, {reserved} reserved by uploads under way; {limit}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
