//! One server for all processes that use a directory.
//!
//! Whoever gets the directory's lock serves; the others find the address and credentials in `server.json`. When the
//! serving process ends, one of the others takes over on the same port.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::error::EmbeddedS3Error;
use crate::random::random_hex;
use crate::server::{DirectoryLock, EmbeddedS3, EmbeddedS3Config, INSTANCE_HEADER, lock_directory};

const DESCRIPTION_FILE: &str = "server.json";
const REGION: &str = "us-east-1";

/// How long to wait for the server of another process: it may have the lock and not listen yet.
const ANSWER_TIME: Duration = Duration::from_secs(15);
/// How long one attempt to reach it may take.
const PROBE_TIME: Duration = Duration::from_secs(2);
const PROBE_PAUSE: Duration = Duration::from_millis(50);

/// How often a process that does not serve looks whether it should.
const TAKE_OVER_PAUSE: Duration = Duration::from_millis(200);
/// How long it leaves the directory alone when the port is not free.
const PORT_TAKEN_PAUSE: Duration = Duration::from_secs(2);

/// A server that this process uses, and serves itself if no other does. Dropping it ends both. `Debug` does not show the
/// secret.
///
/// When another process has served and ends, requests fail to connect for about 200 ms, until this one serves.
pub struct Embedded {
    /// Where it serves, such as `http://127.0.0.1:40123`.
    pub endpoint: String,
    /// The access key id to sign with.
    pub access_key_id: String,
    /// The secret to sign with.
    pub secret_access_key: String,
    /// The region to sign for.
    pub region: String,
    serving: Arc<AtomicBool>,
    keeper: Option<Keeper>,
}

enum Keeper {
    Serving(EmbeddedS3),
    Watching { stop: oneshot::Sender<()>, watcher: JoinHandle<()> },
}

impl Embedded {
    /// Whether it is this process that serves. It can become true while the process runs.
    pub fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Acquire)
    }

    /// Stops using the server. If this process serves, requests under way have 5 seconds to end.
    pub async fn shutdown(mut self) {
        match self.keeper.take() {
            Some(Keeper::Serving(server)) => server.shutdown().await,
            Some(Keeper::Watching { stop, mut watcher }) => {
                // Both fail only when the task has ended already, which is what is wanted.
                let _ = stop.send(());
                let _ = (&mut watcher).await;
            }
            None => {}
        }
    }

    fn new(description: Description, keeper: Keeper, serving: Arc<AtomicBool>) -> Self {
        Self {
            endpoint: description.endpoint(),
            access_key_id: description.access_key_id,
            secret_access_key: description.secret_access_key,
            region: description.region,
            serving,
            keeper: Some(keeper),
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some(Keeper::Watching { watcher, .. }) = &self.keeper {
            watcher.abort();
        }
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded")
            .field("endpoint", &self.endpoint)
            .field("access_key_id", &self.access_key_id)
            .field("region", &self.region)
            .field("serving", &self.is_serving())
            .finish_non_exhaustive()
    }
}

/// Uses the server that serves this directory, or starts one. Address and credentials stay the same from run to run as
/// long as the port is free, so that URLs which one run has signed work in the next.
///
/// # Errors
/// [`EmbeddedS3Error`] when the directory cannot be used, or another process serves it and does not answer.
pub async fn connect_or_start(directory: &Path) -> Result<Embedded, EmbeddedS3Error> {
    let deadline = Instant::now() + ANSWER_TIME;
    loop {
        if let Some(lock) = lock_directory(directory)? {
            let (server, description) = start(directory, lock).await?;
            return Ok(Embedded::new(description, Keeper::Serving(server), Arc::new(AtomicBool::new(true))));
        }
        if let Some(description) = Description::read(directory)?
            && answers(&description).await
        {
            let serving = Arc::new(AtomicBool::new(false));
            let (stop, stopped) = oneshot::channel();
            let watch = watch(directory.to_owned(), description.clone(), Arc::clone(&serving), stopped);
            let keeper = Keeper::Watching { stop, watcher: tokio::spawn(watch) };
            return Ok(Embedded::new(description, keeper, serving));
        }
        if Instant::now() >= deadline {
            return Err(EmbeddedS3Error::NotAnswering { path: directory.to_owned(), waited: ANSWER_TIME });
        }
        sleep(PROBE_PAUSE).await;
    }
}

async fn start(directory: &Path, lock: DirectoryLock) -> Result<(EmbeddedS3, Description), EmbeddedS3Error> {
    let mut description = match Description::read(directory)? {
        Some(description) => description,
        None => Description::invent()?,
    };
    if !is_free(description.port).await {
        description.port = 0;
    }
    let server = EmbeddedS3::start_locked(description.config(directory), lock, &description.instance).await?;
    description.port = server.address().port();
    description.pid = std::process::id();
    description.write(directory)?;
    Ok((server, description))
}

/// Somebody may take the port right afterwards; then starting says so.
async fn is_free(port: u16) -> bool {
    port == 0 || tokio::net::TcpListener::bind(loopback(port)).await.is_ok()
}

/// Serves as soon as nobody else does, and until it is told to stop.
async fn watch(
    directory: PathBuf,
    description: Description,
    serving: Arc<AtomicBool>,
    mut stopped: oneshot::Receiver<()>,
) {
    let server = tokio::select! {
        _ = &mut stopped => return,
        server = take_over(&directory, description) => server,
    };
    serving.store(true, Ordering::Release);
    // The sender says so, or is gone: both mean to stop.
    let _ = stopped.await;
    server.shutdown().await;
}

async fn take_over(directory: &Path, mut description: Description) -> EmbeddedS3 {
    loop {
        sleep(TAKE_OVER_PAUSE).await;
        let lock = match lock_directory(directory) {
            Ok(Some(lock)) => lock,
            Ok(None) => continue,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the embedded S3 server cannot be taken over");
                sleep(PORT_TAKEN_PAUSE).await;
                continue;
            }
        };
        // On the same port, or not at all: this process has told its endpoint to others.
        match EmbeddedS3::start_locked(description.config(directory), lock, &description.instance).await {
            Ok(server) => {
                description.pid = std::process::id();
                if let Err(error) = description.write(directory) {
                    // What is written there is right but for the process id.
                    tracing::warn!(error = &error as &dyn std::error::Error, "server.json could not be renewed");
                }
                tracing::info!(endpoint = server.endpoint(), "took over the embedded S3 server");
                return server;
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the embedded S3 server cannot be taken over");
                sleep(PORT_TAKEN_PAUSE).await;
            }
        }
    }
}

/// Whether the server of this directory, and no other program, answers at the port.
async fn answers(description: &Description) -> bool {
    let probe = timeout(PROBE_TIME, instance_at(loopback(description.port))).await;
    matches!(probe, Ok(Ok(Some(instance))) if instance == description.instance)
}

async fn instance_at(address: SocketAddr) -> io::Result<Option<String>> {
    const MOST_BYTES: u64 = 16 * 1024;
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("HEAD / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let headers = answer.lines().filter_map(|line| line.split_once(": "));
    let mut instances = headers.filter(|(name, _)| name.eq_ignore_ascii_case(INSTANCE_HEADER));
    Ok(instances.next().map(|(_, value)| value.trim().to_owned()))
}

/// The content of `server.json`.
#[derive(Clone, Serialize, Deserialize)]
struct Description {
    port: u16,
    access_key_id: String,
    secret_access_key: String,
    region: String,
    /// Tells this directory's server from any other program that may have got its port.
    instance: String,
    /// Of the process that serves, for people who wonder.
    pid: u32,
}

impl Description {
    fn invent() -> Result<Self, EmbeddedS3Error> {
        let random = |bytes| random_hex(bytes).map_err(EmbeddedS3Error::Randomness);
        Ok(Self {
            port: 0,
            access_key_id: format!("EMBEDDED{}", random(6)?.to_uppercase()),
            secret_access_key: random(20)?,
            region: REGION.to_owned(),
            instance: random(8)?,
            pid: std::process::id(),
        })
    }

    fn endpoint(&self) -> String {
        format!("http://{}", loopback(self.port))
    }

    fn config(&self, directory: &Path) -> EmbeddedS3Config {
        EmbeddedS3Config {
            directory: directory.to_owned(),
            bind: loopback(self.port),
            access_key_id: self.access_key_id.clone(),
            secret_access_key: self.secret_access_key.clone(),
            region: self.region.clone(),
        }
    }

    fn read(directory: &Path) -> Result<Option<Self>, EmbeddedS3Error> {
        let path = directory.join(DESCRIPTION_FILE);
        match std::fs::read(&path) {
            Ok(json) => match serde_json::from_slice(&json) {
                Ok(description) => Ok(Some(description)),
                Err(source) => Err(EmbeddedS3Error::Description { path, source }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(EmbeddedS3Error::Directory { path, source }),
        }
    }

    /// Replaces the file as a whole, so that another process never reads half of it.
    fn write(&self, directory: &Path) -> Result<(), EmbeddedS3Error> {
        let path = directory.join(DESCRIPTION_FILE);
        let failed = || EmbeddedS3Error::directory(path.clone());
        let json = serde_json::to_vec_pretty(self).map_err(io::Error::from).map_err(failed())?;
        let temporary = directory.join(format!("{DESCRIPTION_FILE}.new"));
        let mut file = private_file(&temporary).map_err(failed())?;
        file.write_all(&json).and_then(|()| file.sync_all()).map_err(failed())?;
        std::fs::rename(&temporary, &path).map_err(failed())
    }
}

/// A new file that only its owner can read.
fn private_file(path: &Path) -> io::Result<std::fs::File> {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
