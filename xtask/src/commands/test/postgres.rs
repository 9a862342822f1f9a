//! PostgreSQL's programs, installed where that can be done.

use std::env;
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use object_store_devkit::postgres::{PROGRAMS_VARIABLE, SERVER_VARIABLE, TempPostgres};

use crate::system::{apt_get, is_debian, is_root};

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
