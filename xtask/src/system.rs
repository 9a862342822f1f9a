//! The system that this runs on, and its packages.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// Cargo, as a shell would call it: without the variables by which it tells a program that it runs what package it is of.
/// Build scripts that look at them (that of ring) would run again, and all that depends on them would be compiled again.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).stdin(Stdio::null());
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(&name);
        }
    }
    command
}

/// Calls `apt-get`; what it says goes to standard error.
pub(crate) fn apt_get(arguments: &[&str]) -> anyhow::Result<()> {
    let shown = format!("apt-get {}", arguments.join(" "));
    eprintln!("$ {shown}");
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Keeps the file that is there when the package brings its own.
        .env("UCF_FORCE_CONFFOLD", "1")
        .stdin(Stdio::null())
        // Standard output is for results.
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("{shown} could not be started"))?;
    if !status.success() {
        bail!("{shown} failed ({status}); install what it names by hand");
    }
    Ok(())
}

/// Linux shows the effective user as the owner of a process's own folder. Elsewhere there is no `apt-get` to call.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|folder| folder.uid() == 0)
}

/// Whether there is `apt-get`.
pub(crate) fn is_debian() -> bool {
    Path::new("/etc/debian_version").exists()
        && env::split_paths(&env::var_os("PATH").unwrap_or_default())
            .any(|directory| directory.join("apt-get").is_file())
}
