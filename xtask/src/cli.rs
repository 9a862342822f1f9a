//! What the command line looks like. The help texts are held by `tests/it/help.rs`.

use clap::{ArgAction, Parser};
use object_store_public::uuid::Uuid;
use object_store_public::{MediaId, MediaKind, UserId};

use crate::commands::Command;

const ENVIRONMENT: &str = "\
Without configuration, data lie in `.object-store` in the current directory: a SQLite file and an S3 server on loopback.

Environment:
  OBJECT_STORE_DIR           where the embedded defaults keep their data
  OBJECT_STORE_DATABASE_URL  postgres://… or sqlite:PATH; else DATABASE_URL
  OBJECT_STORE_S3_BUCKET     the bucket, and OBJECT_STORE_S3_ENDPOINT, …_REGION,
                             …_ACCESS_KEY_ID, …_SECRET_ACCESS_KEY; else AWS_* for the latter
  RUST_LOG                   what is logged, such as object_store_service=debug;
                             wins over -v
The README has the table of all settings.

Examples:
  cargo xtask dev
  cargo xtask put photo.jpg song.mp3
  cargo xtask ls --kind image --json

Exit status: 0 done, 1 failed, 2 wrong usage. An error is one line `error[code]: message`, then its causes.";

/// The object store's commands for operators.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_long_help = ENVIRONMENT, max_term_width = 110)]
pub(crate) struct Cli {
    /// Log more, to standard error: -v what happens, -vv details, -vvv everything.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A user's id, as an argument.
pub(crate) fn user_id(text: &str) -> Result<UserId, String> {
    text.parse().map_err(|error: object_store_public::ParseIdError| error.to_string())
}

/// The id of an image or of an audio file, as an argument.
pub(crate) fn media_uuid(text: &str) -> Result<Uuid, String> {
    let id: Result<object_store_public::ImageId, _> = text.parse();
    id.map(|id| MediaId::from(id).uuid()).map_err(|error| error.to_string())
}

/// A kind of media, as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Image,
    Audio,
}

impl From<Kind> for MediaKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Image => Self::Image,
            Kind::Audio => Self::Audio,
        }
    }
}
