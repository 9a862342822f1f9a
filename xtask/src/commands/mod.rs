//! One file a command.

mod copy_store;
mod dev;
mod doctor;
mod erase_user;
mod explain;
mod get;
mod ls;
mod migrate;
mod probe;
mod put;
mod recount_usage;
mod rm;
pub(crate) mod s3;
mod seed;
mod show;
mod soak;
mod sweep;
mod test;
mod url;
mod usage;
mod verify;

use std::process::ExitCode;

use clap::Subcommand;

use crate::soak::child;

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    CopyStore(copy_store::Args),
    Dev(dev::Args),
    Doctor(doctor::Args),
    Test(test::Args),
    Migrate(migrate::Args),
    Seed(seed::Args),
    Put(put::Args),
    Ls(ls::Args),
    Show(show::Args),
    Url(url::Args),
    Get(get::Args),
    Rm(rm::Args),
    Sweep(sweep::Args),
    Verify(verify::Args),
    Explain(explain::Args),
    EraseUser(erase_user::Args),
    Usage(usage::Args),
    RecountUsage(recount_usage::Args),
    Probe(probe::Args),
    S3(s3::Args),
    Soak(soak::Args),
    #[command(hide = true)]
    SoakChild(child::Args),
}

/// Does it.
pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::CopyStore(args) => copy_store::run(&args).await,
        Command::Dev(args) => dev::run(&args).await,
        Command::Doctor(args) => doctor::run(&args).await,
        Command::Test(args) => test::run(&args).await,
        Command::Migrate(args) => migrate::run(&args).await,
        Command::Seed(args) => seed::run(&args).await,
        Command::Put(args) => put::run(&args).await,
        Command::Ls(args) => ls::run(&args).await,
        Command::Show(args) => show::run(&args).await,
        Command::Url(args) => url::run(&args).await,
        Command::Get(args) => get::run(&args).await,
        Command::Rm(args) => rm::run(&args).await,
        Command::Sweep(args) => sweep::run(&args).await,
        Command::Verify(args) => verify::run(&args).await,
        Command::Explain(args) => explain::run(&args).await,
        Command::EraseUser(args) => erase_user::run(&args).await,
        Command::Usage(args) => usage::run(&args).await,
        Command::RecountUsage(args) => recount_usage::run(&args).await,
        Command::Probe(args) => probe::run(&args),
        Command::S3(args) => s3::run(&args).await,
        Command::Soak(args) => soak::run(&args).await,
        Command::SoakChild(args) => child::run(&args).await,
    }
}
