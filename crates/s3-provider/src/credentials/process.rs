//! A program that prints credentials (AWS SDKs and Tools Reference Guide, "Process credential provider").

use std::process::Stdio;

use s3::creds::Credentials;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::error::{CredentialsError, CredentialsOrigin};
use super::keys::Keys;

const ORIGIN: CredentialsOrigin = CredentialsOrigin::CredentialProcess;

/// The most that is read of what the program prints.
const MAX_OUTPUT_BYTES: u64 = 64 * 1024;

/// Runs it in a shell, as others do. What it has to say about a failure goes where our own errors go.
pub(super) async fn run(command_line: &str) -> Result<Credentials, CredentialsError> {
    let unusable = |reason| CredentialsError::Unusable { origin: ORIGIN, reason };
    let (shell, flag) = if cfg!(windows) { ("cmd.exe", "/C") } else { ("sh", "-c") };
    let mut child = Command::new(shell)
        .args([flag, command_line])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|_| unusable("no shell could be started"))?;
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let read = stdout.take(MAX_OUTPUT_BYTES).read_to_end(&mut output).await;
        read.map_err(|_| unusable("its output cannot be read"))?;
    }
    let status = child.wait().await.map_err(|_| unusable("its end cannot be seen"))?;
    if !status.success() {
        return Err(unusable("it has failed"));
    }
    Keys::from_json(&output, "SessionToken").ok_or(unusable("what it prints is no JSON"))?.given_by(ORIGIN)
}
