//! What the workspace consists of.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

/// The folder of the whole repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Cargo, as it was called for this test.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// A member of the workspace.
pub(crate) struct Member {
    /// Its package without `object-store-`, which is its folder's name.
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

pub(crate) struct Dependency {
    pub(crate) package: String,
    pub(crate) is_optional: bool,
    /// `None` for a normal one, else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

impl Dependency {
    /// The name of the member that it is; `None` for a crate from elsewhere.
    pub(crate) fn member(&self) -> Option<&str> {
        short(&self.package)
    }
}

/// All members, by cargo's own reading of the manifests.
pub(crate) fn members() -> Vec<Member> {
    let output = cargo().args(["metadata", "--no-deps", "--offline", "--format-version=1"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 10, "{} members", packages.len());
    packages.iter().map(member).collect()
}

fn member(package: &Value) -> Member {
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    let name = package["name"].as_str().unwrap();
    Member {
        name: short(name).unwrap_or_else(|| panic!("{name} is not named like a member")).to_owned(),
        folder: manifest.parent().unwrap().to_owned(),
        dependencies: package["dependencies"].as_array().unwrap().iter().map(dependency).collect(),
    }
}

fn dependency(dependency: &Value) -> Dependency {
    Dependency {
        package: dependency["name"].as_str().unwrap().to_owned(),
        is_optional: dependency["optional"].as_bool().unwrap(),
        kind: dependency["kind"].as_str().map(str::to_owned),
    }
}

fn short(package: &str) -> Option<&str> {
    if package == "xtask" { Some(package) } else { package.strip_prefix("object-store-") }
}

/// All files that are or will be committed.
pub(crate) fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                if !["target", ".git", ".object-store"].iter().any(|&skipped| name == *skipped) {
                    folders.push(entry.path());
                }
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    assert!(files.len() > 100, "{} files", files.len());
    files
}
