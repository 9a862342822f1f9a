use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, body::Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::backend::{Backend, Store};
use crate::cors;
use crate::error::EmbeddedS3Error;

/// Says which directory's server answers; see `shared.rs`.
pub(crate) const INSTANCE_HEADER: &str = "x-embedded-s3-instance";

const LOCK_FILE: &str = "server.lock";

/// How long `shutdown` waits for requests that are under way.
const GRACE: Duration = Duration::from_secs(5);

/// How long to wait after a connection could not be accepted, for example because there are no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What an embedded server is started with. `Debug` does not show the secret.
#[derive(Clone)]
pub struct EmbeddedS3Config {
    /// Where objects are kept. Made if it does not exist; one server at a time.
    pub directory: PathBuf,
    /// Where to listen. Port 0 is any free port.
    pub bind: SocketAddr,
    /// The access key id that clients sign with.
    pub access_key_id: String,
    /// The secret that clients sign with.
    pub secret_access_key: String,
    /// What `GetBucketLocation` answers. Signatures for any region are accepted.
    pub region: String,
}

impl fmt::Debug for EmbeddedS3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedS3Config")
            .field("directory", &self.directory)
            .field("bind", &self.bind)
            .field("access_key_id", &self.access_key_id)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// A running server. Dropping it stops it at once; [`EmbeddedS3::shutdown`] lets requests finish.
#[derive(Debug)]
pub struct EmbeddedS3 {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl EmbeddedS3 {
    /// Starts a server on the current tokio runtime.
    ///
    /// # Errors
    /// [`EmbeddedS3Error`] when the directory is in use or cannot be written, or the address cannot be listened on.
    pub async fn start(config: EmbeddedS3Config) -> Result<Self, EmbeddedS3Error> {
        let lock = lock_directory(&config.directory)?
            .ok_or_else(|| EmbeddedS3Error::InUse { path: config.directory.clone() })?;
        Self::start_locked(config, lock, "").await
    }

    /// Starts a server in a directory whose lock the caller has.
    pub(crate) async fn start_locked(
        config: EmbeddedS3Config,
        lock: DirectoryLock,
        instance: &str,
    ) -> Result<Self, EmbeddedS3Error> {
        if config.access_key_id.is_empty() || config.secret_access_key.is_empty() {
            return Err(EmbeddedS3Error::EmptyCredentials);
        }
        let store = Store::open(&config.directory)?;
        let bind_error = |source| EmbeddedS3Error::Bind { address: config.bind, source };
        let listener = TcpListener::bind(config.bind).await.map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;

        let mut builder = S3ServiceBuilder::new(Backend::new(store, config.region.clone()));
        builder.set_auth(SimpleAuth::from_single(config.access_key_id.clone(), config.secret_access_key.as_str()));
        // Only a random name of our own making is not a header value that any text could be.
        let instance = HeaderValue::from_str(instance).unwrap_or(HeaderValue::from_static(""));
        let answers = Answers { s3: builder.build(), instance };

        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(serve(listener, answers, stopped, lock));
        Ok(Self { address, stop: Some(stop), serving })
    }

    /// Where it serves, such as `http://127.0.0.1:40123`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, and ends when those under way have ended, after 5 seconds at most.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            // It fails when serving has ended already, and then there is nothing to stop.
            let _ = stop.send(());
        }
        if let Err(error) = (&mut self.serving).await {
            tracing::error!(error = &error as &dyn std::error::Error, "the embedded S3 server ended badly");
        }
    }
}

impl Drop for EmbeddedS3 {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The exclusive right to serve a directory, for as long as it lives. The system takes it back from a process that dies.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    _file: File,
}

/// Makes the directory, and tries to get the right to serve it. `None` when somebody else has it.
pub(crate) fn lock_directory(directory: &Path) -> Result<Option<DirectoryLock>, EmbeddedS3Error> {
    std::fs::create_dir_all(directory).map_err(EmbeddedS3Error::directory(directory))?;
    let path = directory.join(LOCK_FILE);
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(EmbeddedS3Error::directory(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(DirectoryLock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(EmbeddedS3Error::Directory { path, source }),
    }
}

#[derive(Clone)]
struct Answers {
    s3: S3Service,
    instance: HeaderValue,
}

impl Answers {
    async fn answer(self, request: Request<Incoming>) -> Result<s3s::HttpResponse, s3s::HttpError> {
        let mut response = match cors::preflight(&request) {
            Some(response) => response,
            None => self.s3.call(request.map(s3s::Body::from)).await?,
        };
        cors::allow(response.headers_mut());
        response.headers_mut().insert(HeaderName::from_static(INSTANCE_HEADER), self.instance);
        Ok(response)
    }
}

async fn serve(listener: TcpListener, answers: Answers, mut stopped: oneshot::Receiver<()>, lock: DirectoryLock) {
    let graceful = GracefulShutdown::new();
    // Aborts what is left of the connections when it is dropped, and so when this task is.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, answers.clone(), &graceful));
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests to the embedded S3 server were cut off at its shutdown");
    }
    connections.shutdown().await;
    drop(lock);
}

fn connection(
    stream: TcpStream,
    answers: Answers,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + use<> {
    // Without it, small answers wait for the client's acknowledgement of earlier ones. It is worth no error.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answers.clone().answer(request));
    let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    let watched = graceful.watch(connection);
    async move {
        if let Err(error) = watched.await {
            // Mostly clients that went away.
            tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended early");
        }
    }
}
