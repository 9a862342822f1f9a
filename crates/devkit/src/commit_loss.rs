//! A connection to PostgreSQL that breaks at a COMMIT.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use percent_encoding::percent_decode_str;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinHandle;
use url::Url;

/// What is lost, and the connection with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The COMMIT, on its way to the server: nothing is committed.
    Commit,
    /// The reply: the server has committed.
    Reply,
}

/// What becomes of later connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// They work, and nothing else is lost.
    Serve,
    /// They are closed at once.
    Refuse,
}

/// A proxy in front of a PostgreSQL server that loses the first COMMIT, on whichever connection it comes. Stops when it
/// is dropped.
#[derive(Debug)]
pub struct CommitLoss {
    url: String,
    task: JoinHandle<()>,
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl CommitLoss {
    /// Starts in front of the database at `server_url`, which is reached by TCP or a socket in a directory.
    ///
    /// # Errors
    ///
    /// A URL that cannot be read, or no port to listen on.
    pub async fn start(server_url: &str, lost: Lost, afterwards: Afterwards) -> io::Result<Self> {
        let server = Url::parse(server_url).map_err(io::Error::other)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (user, port) = (server.username(), listener.local_addr()?.port());
        let url = format!("postgres://{user}@127.0.0.1:{port}{}?sslmode=disable", server.path());
        let has_lost = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if has_lost.load(Ordering::SeqCst) && afterwards == Afterwards::Refuse {
                    continue;
                }
                let (server, has_lost) = (server.clone(), has_lost.clone());
                tokio::spawn(async move { serve(client, &server, lost, &has_lost).await });
            }
        });
        Ok(Self { url, task })
    }

    /// The database behind the proxy.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for CommitLoss {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes everything on, but for the COMMIT that is to be lost; then both sides are closed.
async fn serve(mut client: TcpStream, server: &Url, lost: Lost, has_lost: &AtomicBool) -> io::Result<()> {
    let mut server = connect(server).await?;
    let (mut from_client, mut from_server) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let sent = &from_client[..read?];
                if is_commit(sent) && !has_lost.swap(true, Ordering::SeqCst) {
                    if lost == Lost::Reply {
                        server.write_all(sent).await?;
                        // Once it has answered anything, it has committed.
                        server.read_u8().await?;
                    }
                    return Ok(());
                }
                if sent.is_empty() {
                    return Ok(());
                }
                server.write_all(sent).await?;
            }
            read = server.read(&mut from_server) => {
                let sent = &from_server[..read?];
                if sent.is_empty() {
                    return Ok(());
                }
                client.write_all(sent).await?;
            }
        }
    }
}

/// Whether a message of the client is the statement COMMIT (PostgreSQL's documentation, "Message Formats": a query ends
/// in a zero byte).
pub(crate) fn is_commit(sent: &[u8]) -> bool {
    sent.windows(7).any(|window| window == b"COMMIT\0")
}

pub(crate) async fn connect(server: &Url) -> io::Result<Box<dyn Stream>> {
    let host = server.host_str().unwrap_or("127.0.0.1");
    let host = percent_decode_str(host).decode_utf8_lossy();
    let port = server.port().unwrap_or(5432);
    if host.starts_with('/') {
        let socket = PathBuf::from(&*host).join(format!(".s.PGSQL.{port}"));
        return Ok(Box::new(UnixStream::connect(socket).await?));
    }
    Ok(Box::new(TcpStream::connect((&*host, port)).await?))
}
