//! `sslmode`, with a real handshake.

use object_store_repo::{Database, DatabaseConfig, RepoError, Result};
use tempfile::TempDir;

use crate::proxy::{Behaviour, Proxy, certificate};
use crate::support::TestDatabase;

struct Server {
    test: TestDatabase,
    proxy: Proxy,
    roots: TempDir,
}

impl Server {
    async fn start(behaviour: Behaviour, certificate: &str) -> Self {
        let test = TestDatabase::postgres();
        let proxy = Proxy::start(&test.config.url, behaviour).await;
        let roots = tempfile::tempdir().unwrap();
        std::fs::write(roots.path().join("server.pem"), certificate).unwrap();
        std::fs::write(roots.path().join("other.pem"), crate::proxy::certificate().1).unwrap();
        Self { test, proxy, roots }
    }

    /// Connects to the proxy by this name and with these parameters; `DIR` is where the certificates lie.
    async fn connect(&self, host: &str, parameters: &str) -> Result<String> {
        let (_, database) = self.test.config.url.rsplit_once('/').unwrap();
        let parameters = parameters.replace("DIR", &self.roots.path().to_string_lossy());
        let url = format!("postgres://postgres@{host}:{}/{database}?{parameters}", self.proxy.port);
        Database::open(&DatabaseConfig::new(url))?.server_version().await
    }

    async fn assert_refused(&self, host: &str, parameters: &str) {
        let outcome = self.connect(host, parameters).await;
        let Err(RepoError::Misconfigured { .. }) = outcome else { panic!("{host} {parameters}: {outcome:?}") };
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_proves_as_much_as_it_is_asked_to() {
    let (tls, pem) = certificate();
    let server = Server::start(Behaviour::Tls(tls), &pem).await;
    let mut handshakes = 0;
    for (host, parameters) in [
        ("127.0.0.1", ""),
        ("127.0.0.1", "sslmode=prefer"),
        ("127.0.0.1", "sslmode=require"),
        ("127.0.0.1", "sslmode=require&sslrootcert=DIR/server.pem"),
        ("127.0.0.1", "sslmode=verify-ca&sslrootcert=DIR/server.pem"),
        ("localhost", "sslmode=verify-full&sslrootcert=DIR/server.pem"),
    ] {
        server.connect(host, parameters).await.unwrap();
        handshakes += 1;
        assert_eq!(server.proxy.connections(), handshakes, "{host} {parameters}");
    }
    server.assert_refused("127.0.0.1", "sslmode=verify-full&sslrootcert=DIR/server.pem").await;
    server.assert_refused("localhost", "sslmode=verify-full&sslrootcert=DIR/other.pem").await;
    server.assert_refused("localhost", "sslmode=verify-ca&sslrootcert=DIR/other.pem").await;
    server.assert_refused("localhost", "sslmode=require&sslrootcert=DIR/other.pem").await;
    server.assert_refused("localhost", "sslmode=verify-full&sslrootcert=DIR/none.pem").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_used_only_where_tls_is_not_asked_for() {
    let server = Server::start(Behaviour::Plain, "").await;
    server.connect("127.0.0.1", "sslmode=prefer").await.unwrap();
    assert_eq!(server.proxy.connections(), 1);
    server.assert_refused("127.0.0.1", "sslmode=require").await;
    server.assert_refused("localhost", "sslmode=verify-full&sslrootcert=DIR/other.pem").await;
}
