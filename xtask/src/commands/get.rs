//! `get`: a file's bytes.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use object_store_public::uuid::Uuid;
use object_store_public::{Actor, Download, ObjectStoreProvider};
use tempfile::NamedTempFile;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio_util::io::StreamReader;

use crate::output::OutputError;
use crate::store::Store;
use crate::{cli, progress};

/// Read the bytes of an image or an audio file, and check that they are those that were uploaded.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
A FILE appears whole or not at all. Without one, the bytes go to standard output, unless that is a terminal.

Examples:
  cargo xtask get 01890a5d-ac96-774b-bcce-b302099a8057 -o photo.jpg
  cargo xtask get 01890a5d-ac96-774b-bcce-b302099a8057 | sha256sum")]
pub(crate) struct Args {
    /// Its id.
    #[arg(value_parser = cli::media_uuid)]
    id: Uuid,
    /// Where to put it; `-` is standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite FILE if it exists.
    #[arg(long, requires = "output")]
    force: bool,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match args.output.as_deref().filter(|path| *path != Path::new("-")) {
        Some(path) => to_file(args, path).await?,
        None => to_stdout(args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn to_stdout(args: &Args) -> anyhow::Result<()> {
    if io::stdout().is_terminal() {
        bail!("standard output is a terminal, and media are not for reading: say -o FILE, or use a pipe");
    }
    let store = Store::from_env().await?;
    let download = download(&store, args.id).await?;
    copy(download, &mut tokio::io::stdout(), OutputError).await
}

/// Into a temporary file beside it, which then gets its name.
async fn to_file(args: &Args, path: &Path) -> anyhow::Result<()> {
    // Before anything is read; the rename makes sure of it again.
    if !args.force && path.symlink_metadata().is_ok() {
        bail!(exists(path));
    }
    let store = Store::from_env().await?;
    let download = download(&store, args.id).await?;
    let unwritable = || format!("{} could not be written", path.display());
    let temporary = temporary_beside(path).with_context(unwritable)?;
    let mut file = tokio::fs::File::from_std(temporary.reopen().with_context(unwritable)?);
    copy(download, &mut file, |error| anyhow::Error::from(error).context(unwritable())).await?;
    file.sync_all().await.with_context(unwritable)?;
    if args.force {
        temporary.persist(path).map_err(|error| error.error).with_context(unwritable)?;
        return Ok(());
    }
    match temporary.persist_noclobber(path).map_err(|error| error.error) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => bail!(exists(path)),
        result => result.map(drop).with_context(unwritable),
    }
}

fn exists(path: &Path) -> String {
    format!("{} exists; --force overwrites it", path.display())
}

fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    let directory = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".object-store-");
    // As for any new file: the umask takes away what it takes.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(directory)
}

async fn download(store: &Store, id: Uuid) -> anyhow::Result<Download> {
    let file = store.find(id).await?;
    Ok(store.module.download(Actor::System, file.id(), None).await?)
}

/// Copies the stream, and tells errors of reading from those of writing.
async fn copy<E: Into<anyhow::Error>>(
    download: Download,
    out: &mut (impl AsyncWrite + Unpin),
    unwritable: impl Fn(io::Error) -> E,
) -> anyhow::Result<()> {
    let bar: ProgressBar = progress::of_bytes("reading", download.length);
    let mut reader = bar.wrap_async_read(StreamReader::new(download.stream));
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = tokio::io::AsyncReadExt::read(&mut reader, &mut buffer).await.map_err(unreadable)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        out.write_all(bytes).await.map_err(|error| unwritable(error).into())?;
    }
    bar.finish_and_clear();
    out.flush().await.map_err(|error| unwritable(error).into())
}

fn unreadable(error: io::Error) -> anyhow::Error {
    anyhow::Error::from(error).context("the bytes could not be read from storage")
}
