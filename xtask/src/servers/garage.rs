use std::fs;
use std::process::Command;

use anyhow::Context;

use crate::servers::{Server, Setup, free_port, install};

const ACCESS_KEY_ID: &str = "GK000000000000000000000001";
const SECRET: &str = "0000000000000000000000000000000000000000000000000000000000000001";

/// Garage's licence is the AGPL: it is run where it is, and neither built nor linked here.
pub(super) async fn start(mut setup: Setup, port: u16) -> anyhow::Result<Server> {
    let garage = install::find("garage").context("its program is not on the PATH: `cargo install garage --locked`")?;
    let version = install::output(Command::new(&garage).arg("--version"))?;
    let (metadata, data) = (setup.path("metadata"), setup.path("data"));
    let config = format!(
        "metadata_dir = \"{}\"\ndata_dir = \"{}\"\ndb_engine = \"sqlite\"\nreplication_factor = 1\n\
         rpc_bind_addr = \"127.0.0.1:{rpc}\"\nrpc_public_addr = \"127.0.0.1:{rpc}\"\nrpc_secret = \"{SECRET}\"\n\
         [s3_api]\ns3_region = \"us-east-1\"\napi_bind_addr = \"127.0.0.1:{port}\"\nroot_domain = \".localhost\"\n",
        metadata.display(),
        data.display(),
        rpc = free_port()?,
    );
    let path = setup.path("garage.toml");
    fs::write(&path, config).with_context(|| format!("{} cannot be written", path.display()))?;
    let mut server = Command::new(garage);
    server.arg("-c").arg(&path).args(["server", "--single-node", "--default-bucket"]);
    server.env("GARAGE_DEFAULT_ACCESS_KEY", ACCESS_KEY_ID).env("GARAGE_DEFAULT_SECRET_KEY", SECRET);
    server.env("GARAGE_DEFAULT_BUCKET", crate::commands::s3::BUCKET);
    setup.children.spawn("garage", &mut server, setup.directory.path())?;
    setup.ready(version, port, (ACCESS_KEY_ID, SECRET)).await
}
