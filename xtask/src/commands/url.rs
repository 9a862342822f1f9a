//! `url`: a signed URL.

use std::process::ExitCode;
use std::time::Duration;

use object_store_public::uuid::Uuid;
use object_store_public::{Actor, Disposition, ObjectStoreProvider, UrlOptions};

use crate::store::Store;
use crate::{cli, output};

/// Print a URL with which anyone can read a file until it expires, and nothing else.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  curl -O \"$(cargo xtask url 01890a5d-ac96-774b-bcce-b302099a8057)\"
  cargo xtask url 01890a5d-ac96-774b-bcce-b302099a8057 --expires 3600 --download")]
pub(crate) struct Args {
    /// The id of an image or an audio file.
    #[arg(value_parser = cli::media_uuid)]
    id: Uuid,
    /// How long it works: 1 to 604800, which is 7 days. Without it, `OBJECT_STORE_URL_SECONDS`, or 900.
    #[arg(long, value_name = "SECONDS")]
    expires: Option<u64>,
    /// A browser saves the file instead of showing it.
    #[arg(long)]
    download: bool,
    /// The same URL for as long as it works at least, for browsers and CDNs to cache; --expires is then at most 302400.
    #[arg(long)]
    cacheable: bool,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let store = Store::from_env().await?;
    let file = store.find(args.id).await?;
    let options = UrlOptions {
        expires_in: args.expires.map(Duration::from_secs),
        is_cacheable: args.cacheable,
        disposition: if args.download { Disposition::Attachment } else { Disposition::Inline },
    };
    let url = store.module.signed_url(Actor::System, (&file).into(), &options).await?;
    output::line(url.url)?;
    Ok(ExitCode::SUCCESS)
}
