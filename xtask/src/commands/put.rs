//! `put`: uploads files.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use indicatif::ProgressFinish;
use object_store_public::{
    Actor, FileCreate, FileUploadResult, ObjectStoreError, ObjectStoreProvider, SignedUrl, UploadBody, UserId,
};
use serde::Serialize;

use crate::store::{self, Store};
use crate::{cli, failure, output, progress, shown};

/// Upload files. Their bytes decide whether they are images or audio.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
A file that is not accepted is an error with a code, such as `unsupported_type`; the others are uploaded all the same, \
and the exit status is 1.

Examples:
  cargo xtask put photo.jpg song.mp3
  cargo xtask put --user 11111111-1111-4111-8111-111111111111 --type image/jpeg photo.jpg
  cargo xtask put --json *.flac | jq -r '.audios[].duration_ms'")]
pub(crate) struct Args {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Whose they will be; nobody's without it.
    #[arg(long, value_name = "UUID", value_parser = cli::user_id)]
    user: Option<UserId>,
    /// The content type that a client would declare. One that contradicts the bytes is an error.
    #[arg(long = "type", value_name = "TYPE")]
    declared: Option<String>,
    /// Print one JSON document: `images`, `audios`, `errors`.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    files: shown::ByKind<'a>,
    errors: Vec<Refused>,
}

#[derive(Serialize)]
struct Refused {
    file: String,
    code: &'static str,
    message: String,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let store = Store::from_env().await?;
    let (mut files, mut urls, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for path in &args.files {
        match put(&store, args, path).await {
            Ok((file, url)) => {
                if !args.json {
                    output::line(format!("{}\n", shown::facts(&file, Some(&url))))?;
                }
                files.push(file);
                urls.push(url);
            }
            Err(error) => {
                let file = path.display().to_string();
                failure::report_about(&file, &error);
                errors.push(Refused { file, code: failure::code(&error), message: failure::message(&error) });
            }
        }
    }
    let failed = !errors.is_empty();
    if args.json {
        output::json(&Document { files: shown::ByKind::signed(&files, &urls), errors })?;
    } else if !files.is_empty() && store::is_storage_embedded() {
        output::line("The embedded S3 server answers while `cargo xtask dev` runs.")?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn put(store: &Store, args: &Args, path: &Path) -> anyhow::Result<(FileUploadResult, SignedUrl)> {
    let mut create = FileCreate::new(filename(path));
    create.owner = args.user;
    create.content_type.clone_from(&args.declared);
    let body = body(path).await.map_err(ObjectStoreError::Body)?;
    let file = store.module.upload_file(Actor::System, create, body).await?;
    let urls = store.sign(std::slice::from_ref(&file)).await?;
    let url = urls.into_iter().next().context("no URL was signed")?;
    Ok((file, url))
}

/// The file as a stream, which a progress bar watches.
async fn body(path: &Path) -> io::Result<UploadBody> {
    let file = tokio::fs::File::open(path).await?;
    let metadata = file.metadata().await?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let bar = progress::of_bytes(filename(path), metadata.len()).with_finish(ProgressFinish::AndClear);
    Ok(UploadBody::from_reader(bar.wrap_async_read(file), Some(metadata.len())))
}

fn filename(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
