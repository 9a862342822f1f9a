//! `recount-usage`: counts anew how many bytes users have.

use std::process::ExitCode;

use object_store_public::{ObjectStoreProvider, UserId};

use crate::store::Store;
use crate::{cli, output};

/// Count anew how many bytes users have, where that is limited.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Run it once when quotas are turned on again after they were off, and every process has OBJECT_STORE_MAX_USER_BYTES or a limit \
of its host. Users who were never counted need it not: they are counted at their next upload. `verify` finds counters that \
are wrong, and `verify --repair` counts those anew.

Examples:
  cargo xtask recount-usage
  cargo xtask recount-usage 01890a5d-ac96-774b-bcce-b302099a8057 --json")]
pub(crate) struct Args {
    /// The user's id; all who were ever counted if it is left out.
    #[arg(value_name = "UUID", value_parser = cli::user_id)]
    user: Option<UserId>,
    /// Print one JSON document: `users`, `corrected`.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let report = Store::from_env().await?.module.recount_usage(args.user).await?;
    if args.json {
        output::json(&report)?;
    } else {
        output::line(format!("compared {} users, corrected {}", report.users, report.corrected))?;
    }
    Ok(ExitCode::SUCCESS)
}
