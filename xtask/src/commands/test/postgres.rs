//! PostgreSQL's programs, installed where that can be done.

use std::env;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use object_store_devkit::postgres::{PROGRAMS_VARIABLE, SERVER_VARIABLE, TempPostgres};

/// Keeps Debian's packages from making a cluster and starting it on the default port.
const NO_CLUSTER: (&str, &str) = ("/etc/postgresql-common/createcluster.conf", "create_main_cluster = false\n");

/// Makes sure that there is a PostgreSQL to test on.
///
/// # Errors
/// What to install, where this cannot install it.
pub(crate) fn provide() -> anyhow::Result<()> {
    if env::var_os(SERVER_VARIABLE).is_some() {
        return Ok(());
    }
    let Err(missing) = TempPostgres::find_programs() else { return Ok(()) };
    // Whoever says where they are does not want others.
    if env::var_os(PROGRAMS_VARIABLE).is_some() || !is_root() || !is_debian() {
        return Err(missing).context("the tests need PostgreSQL");
    }
    eprintln!("PostgreSQL's programs are missing; installing them from the system's packages");
    install()?;
    TempPostgres::find_programs().map(drop).context("PostgreSQL was installed and is not found")
}

fn install() -> anyhow::Result<()> {
    keep_from_starting().with_context(|| format!("{} could not be written", NO_CLUSTER.0))?;
    apt_get(&["update"])?;
    apt_get(&["install", "--yes", "--no-install-recommends", "postgresql"])
}

/// An existing configuration is left alone.
fn keep_from_starting() -> std::io::Result<()> {
    let (path, content) = NO_CLUSTER;
    if let Some(directory) = Path::new(path).parent() {
        fs::create_dir_all(directory)?;
    }
    match fs::File::create_new(path) {
        Ok(mut file) => file.write_all(content.as_bytes()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn apt_get(arguments: &[&str]) -> anyhow::Result<()> {
    let shown = format!("apt-get {}", arguments.join(" "));
    eprintln!("$ {shown}");
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Keeps the file that is there when the package brings its own.
        .env("UCF_FORCE_CONFFOLD", "1")
        .stdin(Stdio::null())
        // Standard output is for the tests' results.
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("{shown} could not be started"))?;
    if !status.success() {
        bail!("{shown} failed ({status}); install postgresql by hand");
    }
    Ok(())
}

/// Linux shows the effective user as the owner of a process's own folder. Elsewhere there is no `apt-get` to call.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|folder| folder.uid() == 0)
}

fn is_debian() -> bool {
    Path::new("/etc/debian_version").exists()
        && env::split_paths(&env::var_os("PATH").unwrap_or_default())
            .any(|directory| directory.join("apt-get").is_file())
}
