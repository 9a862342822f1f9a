//! S3 servers of other people, started on loopback to test against, and stopped again.

mod children;
mod embedded;
mod garage;
mod install;
mod moto;
mod rgw;
mod swift;

use std::fmt;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::servers::children::Children;

/// How long a server may take to answer at first.
const STARTING_TIME: Duration = Duration::from_secs(90);

/// A server that can be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Name {
    /// The embedded server of this module.
    Embedded,
    /// moto, a mock of AWS; from `PyPI`
    Moto,
    /// Swift of `OpenStack`, with its S3 API; from `PyPI`
    Swift,
    /// Ceph's RADOS gateway, with a monitor and an OSD in memory; from Debian's packages
    Rgw,
    /// Garage, where its program is on the PATH
    Garage,
}

impl Name {
    /// All of them, in the order of tables.
    pub(crate) const ALL: [Self; 5] = [Self::Embedded, Self::Moto, Self::Swift, Self::Rgw, Self::Garage];

    /// As it is written on the command line.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Moto => "moto",
            Self::Swift => "swift",
            Self::Rgw => "rgw",
            Self::Garage => "garage",
        }
    }

    /// Whether it can be started without anything that this program does not install.
    pub(crate) fn is_at_hand(self) -> bool {
        self != Self::Garage || install::find("garage").is_some()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A server that runs until this is dropped.
pub(crate) struct Server {
    /// Such as `moto 5.2.1`.
    pub(crate) version: String,
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) access_key_id: String,
    /// Of no use to anybody: the server is on loopback and ends with this process.
    pub(crate) secret_access_key: String,
    // In the order in which they go.
    _children: Children,
    _module: Option<object_store_public::ObjectStoreModule>,
    _directory: TempDir,
}

/// What is about to become a [`Server`].
struct Setup {
    directory: TempDir,
    children: Children,
}

impl Setup {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A server on this port of loopback, once it answers.
    async fn ready(self, version: String, port: u16, keys: (&str, &str)) -> anyhow::Result<Server> {
        let mut setup = self;
        let endpoint = format!("http://127.0.0.1:{port}");
        setup.wait_for(&endpoint).await?;
        Ok(Server {
            version,
            endpoint,
            region: "us-east-1".to_owned(),
            access_key_id: keys.0.to_owned(),
            secret_access_key: keys.1.to_owned(),
            _children: setup.children,
            _module: None,
            _directory: setup.directory,
        })
    }

    /// Waits until there is any answer.
    async fn wait_for(&mut self, endpoint: &str) -> anyhow::Result<()> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?;
        let deadline = Instant::now() + STARTING_TIME;
        while client.get(endpoint).send().await.is_err() {
            self.children.are_alive()?;
            if Instant::now() > deadline {
                bail!("{endpoint} does not answer after {} s", STARTING_TIME.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

/// Starts a server, on a port that is free unless one is said.
///
/// # Errors
/// What to install, where this cannot install it; what the server has said, when it does not start.
pub(crate) async fn start(name: Name, port: Option<u16>) -> anyhow::Result<Server> {
    let directory = TempDir::with_prefix(format!("{name}-")).context("a temporary directory is needed")?;
    let setup = Setup { directory, children: Children::default() };
    let port = match port {
        Some(port) => port,
        None => free_port()?,
    };
    match name {
        Name::Embedded => embedded::start(setup).await,
        Name::Moto => moto::start(setup, port).await,
        Name::Swift => swift::start(setup, port).await,
        Name::Rgw => rgw::start(setup, port).await,
        Name::Garage => garage::start(setup, port).await,
    }
    .with_context(|| format!("{name} does not start"))
}

/// A port of loopback that nobody has.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port of loopback can be had")?;
    Ok(listener.local_addr()?.port())
}
