//! Programs of servers, installed where that can be done without asking.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::system;

/// A program of the PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(program)).find(|candidate| candidate.is_file())
}

/// Makes sure that a program is there, by a package of Debian's.
pub(crate) fn provide(program: &str, packages: &[&str]) -> anyhow::Result<PathBuf> {
    if let Some(found) = find(program) {
        return Ok(found);
    }
    if !system::is_root() || !system::is_debian() {
        bail!("{program} is missing: install {}, or what your system calls it", packages.join(" "));
    }
    eprintln!("{program} is missing; installing it from the system's packages");
    system::apt_get(&["update"])?;
    system::apt_get(&[&["install", "--yes", "--no-install-recommends"], packages].concat())?;
    find(program).with_context(|| format!("{program} was installed and is not found"))
}

/// The folder of programs of a virtual environment of Python with these packages. It is made once below `target`.
pub(crate) fn python(name: &str, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in a workspace")?;
    let home = root.join("target/s3-servers").join(name);
    // Another list is another environment.
    let mark = home.join("packages.txt");
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(home.join("bin"));
    }
    let python = provide("python3", &["python3", "python3-venv"])?;
    eprintln!("installing {} for Python into {}", packages.join(" "), home.display());
    if run(Command::new(&python).args(["-m", "venv", "--clear"]).arg(&home)).is_err() {
        // Debian has a Python that cannot make environments.
        if !system::is_root() || !system::is_debian() {
            bail!("python3 makes no virtual environment: install its venv module");
        }
        system::apt_get(&["install", "--yes", "--no-install-recommends", "python3-venv"])?;
        run(Command::new(&python).args(["-m", "venv", "--clear"]).arg(&home))?;
    }
    run(Command::new(home.join("bin/pip")).args(["install", "--quiet", "--disable-pip-version-check"]).args(packages))?;
    std::fs::write(&mark, wanted).with_context(|| format!("{} cannot be written", mark.display()))?;
    Ok(home.join("bin"))
}

/// The version of a package of Python in an environment.
pub(crate) fn python_version(bin: &Path, package: &str) -> anyhow::Result<String> {
    let program = format!("import importlib.metadata as m; print(m.version({package:?}))");
    output(Command::new(bin.join("python")).args(["-c", &program]))
}

/// Runs a program to its end.
///
/// # Errors
/// What it has said, when it fails.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    output(command).map(drop)
}

/// What a program prints.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let shown = format!("{command:?}");
    let done = command.stdin(Stdio::null()).output().with_context(|| format!("{shown} could not be started"))?;
    if !done.status.success() {
        bail!("{shown} failed ({}): {}", done.status, String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}
