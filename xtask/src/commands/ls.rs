//! `ls`: listings.

use std::process::ExitCode;

use object_store_public::{Cursor, FileUploadResult, MediaKind, Owner, UserId};
use serde::Serialize;

use crate::cli::{self, Kind};
use crate::store::Store;
use crate::{output, shown};

/// List images and audio files, newest first.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Images and audio files are listed apart: each kind has its own pages and its own cursor.

Examples:
  cargo xtask ls
  cargo xtask ls --nobody --all --json
  cargo xtask ls --kind image --limit 10 --after CURSOR")]
pub(crate) struct Args {
    /// Only what this user owns.
    #[arg(long, value_name = "UUID", value_parser = cli::user_id, conflicts_with = "nobody")]
    user: Option<UserId>,
    /// Only what nobody owns.
    #[arg(long)]
    nobody: bool,
    /// Only this kind.
    #[arg(long)]
    kind: Option<Kind>,
    /// How many of each kind at most.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Go on where an earlier listing of this kind ended.
    #[arg(long, value_name = "CURSOR", requires = "kind")]
    after: Option<Cursor>,
    /// Everything, however much it is.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Print one JSON document: `images`, `audios`, and `next` with a cursor for each kind that has more.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    files: shown::ByKind<'a>,
    next: Next,
}

#[derive(Debug, Default, Serialize)]
struct Next {
    image: Option<Cursor>,
    audio: Option<Cursor>,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let store = Store::from_env().await?;
    let limit = if args.all { None } else { Some(usize::try_from(args.limit)?) };
    let wanted = |kind| args.kind.is_none_or(|only| only == kind);
    let (mut files, mut next) = (Vec::new(), Next::default());
    if wanted(Kind::Image) {
        let listing = store.list(MediaKind::Image, args.owner(), args.after, limit).await?;
        files.extend(listing.media);
        next.image = listing.next;
    }
    if wanted(Kind::Audio) {
        let listing = store.list(MediaKind::Audio, args.owner(), args.after, limit).await?;
        files.extend(listing.media);
        next.audio = listing.next;
    }
    print(args, &files, next)?;
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn owner(&self) -> Owner {
        match self.user {
            Some(user) => Owner::User(user),
            None if self.nobody => Owner::Nobody,
            None => Owner::Anyone,
        }
    }
}

fn print(args: &Args, files: &[FileUploadResult], next: Next) -> anyhow::Result<()> {
    if args.json {
        return output::json(&Document { files: shown::ByKind::of(files), next });
    }
    if files.is_empty() {
        return Ok(output::line("nothing")?);
    }
    output::line(shown::table(files))?;
    for (kind, cursor) in [("image", next.image), ("audio", next.audio)] {
        if let Some(cursor) = cursor {
            output::line(format!("more: --kind {kind} --after {cursor}"))?;
        }
    }
    Ok(())
}
