use std::fs;

use anyhow::Context;
use object_store_public::{Config, open};

use crate::servers::{Server, Setup};

/// On a port of its own choice: other processes find it by its directory.
pub(super) async fn start(setup: Setup) -> anyhow::Result<Server> {
    let module = open(Config::embedded(setup.directory.path())).await?;
    let info = module.bucket_info().await?;
    let path = setup.path("s3/server.json");
    let text = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let settings: serde_json::Value = serde_json::from_slice(&text)?;
    let text = |name: &str| settings[name].as_str().map(ToOwned::to_owned).context("the server's file has no keys");
    Ok(Server {
        version: format!("embedded {}", env!("CARGO_PKG_VERSION")),
        endpoint: info.endpoint,
        region: info.region,
        access_key_id: text("access_key_id")?,
        secret_access_key: text("secret_access_key")?,
        _children: setup.children,
        _module: Some(module),
        _directory: setup.directory,
    })
}
