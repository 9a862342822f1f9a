//! `s3`: a server of somebody else's, to try things on.

use std::process::ExitCode;

use anyhow::Context;

use crate::output;
use crate::servers::{self, Name, Server};
use crate::stop::Stop;

/// The bucket that examples name, and that [`Name::Garage`] makes at its start.
pub(crate) const BUCKET: &str = "object-store";

/// Run an S3 server on loopback until Ctrl-C, with nothing in it and nothing kept.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
What is missing is installed: packages of Python into `target/s3-servers`, and, for root on Debian or Ubuntu, packages of the \
system. Elsewhere this says what to install.

Examples:
  cargo xtask s3 swift
  cargo xtask s3 rgw --port 9000")]
pub(crate) struct Args {
    /// Which one.
    #[arg(value_enum, value_name = "SERVER")]
    name: Name,
    /// Where on 127.0.0.1; a free port if not said. The embedded server always chooses its own.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut stop = Stop::listen().context("signals cannot be waited for")?;
    let server = tokio::select! {
        started = servers::start(args.name, args.port) => started?,
        () = stop.requested() => return Ok(ExitCode::SUCCESS),
    };
    output::line(settings(&server))?;
    stop.requested().await;
    drop(server);
    output::line("stopped")?;
    Ok(ExitCode::SUCCESS)
}

fn settings(server: &Server) -> String {
    let Server { version, endpoint, region, access_key_id, secret_access_key, .. } = server;
    format!(
        "{version}, until Ctrl-C. Use it by these settings; `cargo xtask migrate` makes the bucket:\n  \
           OBJECT_STORE_S3_ENDPOINT={endpoint}\n  \
           OBJECT_STORE_S3_REGION={region}\n  \
           OBJECT_STORE_S3_BUCKET={BUCKET}\n  \
           OBJECT_STORE_S3_ACCESS_KEY_ID={access_key_id}\n  \
           OBJECT_STORE_S3_SECRET_ACCESS_KEY={secret_access_key}"
    )
}
