//! A proxy in front of PostgreSQL that speaks TLS, or says that it does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, pki_types::CertificateDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_postgres::config::Host;
use tokio_rustls::TlsAcceptor;

/// Listens on a port of this machine as long as the test runs.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    pub(crate) connections: Arc<AtomicUsize>,
}

/// What the proxy does with a connection.
#[derive(Clone)]
pub(crate) enum Behaviour {
    /// Answers that it speaks TLS, and does.
    Tls(Arc<ServerConfig>),
    /// Answers that it does not speak TLS.
    Plain,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Proxy {
    pub(crate) async fn start(server_url: &str, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (url, count) = (server_url.to_owned(), connections.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (url, behaviour, count) = (url.clone(), behaviour.clone(), count.clone());
                tokio::spawn(async move { serve(client, &url, behaviour, &count).await });
            }
        });
        Self { port, connections }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(mut client: TcpStream, url: &str, behaviour: Behaviour, count: &AtomicUsize) -> std::io::Result<()> {
    let mut server = connect(url).await?;
    match behaviour {
        Behaviour::Tls(config) => {
            ssl_request(&mut client).await?;
            client.write_all(b"S").await?;
            let mut client = TlsAcceptor::from(config).accept(client).await?;
            count.fetch_add(1, Ordering::SeqCst);
            copy_bidirectional(&mut client, &mut server).await?;
        }
        Behaviour::Plain => {
            ssl_request(&mut client).await?;
            client.write_all(b"N").await?;
            count.fetch_add(1, Ordering::SeqCst);
            copy_bidirectional(&mut client, &mut server).await?;
        }
    }
    Ok(())
}

async fn ssl_request(client: &mut TcpStream) -> std::io::Result<()> {
    let mut request = [0; 8];
    client.read_exact(&mut request).await?;
    // PostgreSQL's documentation, "Message Formats", SSLRequest.
    assert_eq!(u32::from_be_bytes([request[4], request[5], request[6], request[7]]), 80_877_103);
    Ok(())
}

async fn connect(url: &str) -> std::io::Result<Box<dyn Stream>> {
    let config: tokio_postgres::Config = url.parse().unwrap();
    let port = config.get_ports().first().copied().unwrap_or(5432);
    Ok(match &config.get_hosts()[0] {
        Host::Unix(dir) => Box::new(UnixStream::connect(dir.join(format!(".s.PGSQL.{port}"))).await?),
        Host::Tcp(host) => Box::new(TcpStream::connect((host.as_str(), port)).await?),
    })
}

/// A certificate for `localhost` that vouches for itself: TLS with it, and its PEM.
pub(crate) fn certificate() -> (Arc<ServerConfig>, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![made.cert.der().clone()];
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (Arc::new(config), made.cert.pem())
}
