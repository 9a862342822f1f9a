use std::process::Command;

use crate::servers::{Server, Setup, install};

const PACKAGES: [&str; 1] = ["moto[server,s3]==5.2.1"];

pub(super) async fn start(mut setup: Setup, port: u16) -> anyhow::Result<Server> {
    let bin = install::python("moto", &PACKAGES)?;
    let version = format!("moto {}", install::python_version(&bin, "moto")?);
    let mut server = Command::new(bin.join("moto_server"));
    server.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    setup.children.spawn("moto", &mut server, setup.directory.path())?;
    // It takes every key.
    setup.ready(version, port, ("test", "testsecret")).await
}
