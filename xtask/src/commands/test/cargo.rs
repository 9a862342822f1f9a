//! Running `cargo test` and counting what it says.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::thread;

use anyhow::Context;

use crate::commands::test::totals::Totals;
use crate::{output, system};

/// Name of the variable by which a test binary is told how many tests it runs at once.
const TEST_THREADS: &str = "RUST_TEST_THREADS";

/// Tests of crashes and faults mostly wait, so even two processors have time for this many.
const LEAST_TEST_THREADS: usize = 6;

/// One call of cargo.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    arguments: Vec<String>,
}

impl Run {
    /// What has to be called for all tests; `extra` comes from the command line.
    ///
    /// The workspace is built with all that its members ask of each other, so the public crate has its feature
    /// `embedded` there. Siblings build it without, hence again. The mutants are in no build but their own.
    pub(crate) fn all(extra: &[String]) -> Vec<Self> {
        let chosen = ["-p", "--package", "--workspace", "--exclude"];
        let is_chosen = |argument: &String| {
            chosen.iter().any(|option| {
                argument.strip_prefix(option).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
            })
        };
        // What follows cargo's own `--` is for the tests.
        let cargos = || extra.iter().take_while(|argument| *argument != "--");
        if cargos().any(is_chosen) {
            return vec![Self::of(&[], extra)];
        }
        let mut all = vec![Self::of(&["--workspace"], extra), Self::of(&["--package", "object-store-public"], extra)];
        // Who names a target wants that one.
        if !cargos().any(|argument| argument.starts_with('-')) {
            // Of the workspace, so that what it depends on is built once.
            let mutants = ["--workspace", "--features", "object-store-service/mutants", "--test", "mutants"];
            all.push(Self::of(&mutants, extra));
        }
        all
    }

    fn of(packages: &[&str], extra: &[String]) -> Self {
        let fixed = ["test", "--locked", "--no-fail-fast"].iter().chain(packages);
        Self { arguments: fixed.map(|argument| (*argument).to_owned()).chain(extra.iter().cloned()).collect() }
    }

    /// Calls it, shows what it prints and counts the results.
    pub(crate) fn stream(&self, root: &Path) -> anyhow::Result<Totals> {
        let mut child = system::cargo(root)
            .args(&self.arguments)
            .env(TEST_THREADS, test_threads())
            .stdout(Stdio::piped())
            .spawn()
            .context("cargo could not be started")?;
        let mut totals = Totals::default();
        let mut output = BufReader::new(child.stdout.take().context("cargo has no output")?);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).context("cargo's output could not be read")? > 0 {
            let text = String::from_utf8_lossy(&line);
            totals.count(text.trim_end());
            output::line(text.trim_end_matches('\n'))?;
            line.clear();
        }
        let status = child.wait().context("cargo could not be waited for")?;
        // A failed test is counted; anything else that fails means that something did not run.
        totals.is_complete = status.success() || totals.failed > 0;
        Ok(totals)
    }
}

/// How many tests a binary runs at once: what the caller says, otherwise what suits tests that wait.
fn test_threads() -> OsString {
    let own = || thread::available_parallelism().map_or(1, usize::from).max(LEAST_TEST_THREADS).to_string().into();
    env::var_os(TEST_THREADS).unwrap_or_else(own)
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cargo {}", self.arguments.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(extra: &[&str]) -> Vec<String> {
        let extra: Vec<String> = extra.iter().map(|&argument| argument.to_owned()).collect();
        Run::all(&extra).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_is_the_workspace_and_the_public_crate_as_siblings_build_it() {
        assert_eq!(
            shown(&["--test", "it", "--", "-p"]),
            [
                "cargo test --locked --no-fail-fast --workspace --test it -- -p",
                "cargo test --locked --no-fail-fast --package object-store-public --test it -- -p",
            ]
        );
    }

    #[test]
    fn all_includes_the_mutants() {
        let mutants = "--workspace --features object-store-service/mutants --test mutants";
        assert_eq!(shown(&[]).last().unwrap(), &format!("cargo test --locked --no-fail-fast {mutants}"));
        assert_eq!(shown(&["--", "-p"]).len(), 3);
    }

    #[test]
    fn chosen_packages_are_all() {
        for chosen in [&["-p", "object-store-media"][..], &["--package=xtask"]] {
            assert_eq!(shown(chosen), [format!("cargo test --locked --no-fail-fast {}", chosen.join(" "))]);
        }
    }
}
