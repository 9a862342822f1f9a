//! The rules of the storage port, against S3 servers of other people.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::commands::s3::BUCKET;
use crate::commands::test::table;
use crate::servers::{self, Name, Server};
use crate::{output, system};

/// Where the table goes.
const TABLE: &str = "docs/s3-compatibility.md";

/// Which servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// All that can be had, and then the table is written.
    All,
    /// One.
    One(Name),
}

/// What a run of the rules has found.
#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    pub(crate) capabilities: Vec<Found>,
    pub(crate) rules: Vec<Rule>,
}

/// A capability of a server's.
#[derive(Debug, Deserialize)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) purpose: String,
    pub(crate) without: String,
    pub(crate) is_there: bool,
    pub(crate) evidence: String,
}

/// What came of a rule: `held`, or what it lacks or how it was broken.
#[derive(Debug, Deserialize)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) outcome: String,
}

/// A server, and what was found there.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) version: String,
    pub(crate) report: Report,
}

impl Report {
    /// How many rules held, were skipped and were broken.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let count = |start: &str| self.rules.iter().filter(|rule| rule.outcome.starts_with(start)).count();
        (count("held"), count("skipped"), count("broken"))
    }
}

/// A server's name, or `all`, as an argument.
pub(crate) fn choice(text: &str) -> Result<Choice, String> {
    if text == "all" {
        return Ok(Choice::All);
    }
    let name = Name::ALL.into_iter().find(|name| name.as_str() == text);
    name.map(Choice::One).ok_or_else(|| format!("one of all, {}", Name::ALL.map(Name::as_str).join(", ")))
}

/// Runs the rules against each server, all at once.
pub(crate) async fn run(choices: &[Choice], root: &Path) -> anyhow::Result<ExitCode> {
    let is_all = choices.contains(&Choice::All);
    let mut names: Vec<Name> = if is_all {
        Name::ALL.into_iter().filter(|name| name.is_at_hand()).collect()
    } else {
        choices.iter().filter_map(|choice| if let Choice::One(name) = choice { Some(*name) } else { None }).collect()
    };
    names.sort_unstable();
    names.dedup();
    let program = build(root)?;
    let mut servers = Vec::new();
    for name in names {
        let server = servers::start(name, None).await?;
        output::line(format!("{} answers on {}", server.version, server.endpoint))?;
        servers.push(server);
    }
    let columns = all_at_once(&program, servers).await?;
    let mut broken = 0;
    for column in &columns {
        broken += tell(column)?;
    }
    if is_all {
        let path = root.join(TABLE);
        fs::write(&path, table::of(&columns)).with_context(|| format!("{} cannot be written", path.display()))?;
        output::line(format!("{TABLE} is written"))?;
    }
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what a server lacks and breaks, and counts the latter.
fn tell(column: &Column) -> anyhow::Result<usize> {
    output::line(format!("\n{}", column.version))?;
    for found in column.report.capabilities.iter().filter(|found| !found.is_there) {
        output::line(format!("  lacks {}: {}", found.name, found.evidence))?;
    }
    for rule in column.report.rules.iter().filter(|rule| rule.outcome.starts_with("broken")) {
        output::line(format!("  {}: {}", rule.name, rule.outcome))?;
    }
    let (held, skipped, broken) = column.report.counts();
    output::line(format!("  {held} rules held, {broken} broken, {skipped} skipped"))?;
    Ok(broken)
}

async fn all_at_once(program: &Path, servers: Vec<Server>) -> anyhow::Result<Vec<Column>> {
    let running: Vec<_> = servers
        .into_iter()
        .map(|server| {
            let program = program.to_owned();
            tokio::task::spawn_blocking(move || {
                let report = hold(&program, &server).with_context(|| server.version.clone())?;
                Ok(Column { version: server.version.clone(), report })
            })
        })
        .collect();
    let mut columns: Vec<anyhow::Result<Column>> = Vec::new();
    for one in running {
        columns.push(one.await.context("a thread was stopped")?);
    }
    columns.into_iter().collect()
}

/// Runs the rules against one server.
fn hold(program: &Path, server: &Server) -> anyhow::Result<Report> {
    let file = tempfile::NamedTempFile::new().context("a temporary file is needed")?;
    let done = Command::new(program)
        .arg(file.path())
        .env("OBJECT_STORE_S3_ENDPOINT", &server.endpoint)
        .env("OBJECT_STORE_S3_REGION", &server.region)
        .env("OBJECT_STORE_S3_BUCKET", BUCKET)
        .env("OBJECT_STORE_S3_ACCESS_KEY_ID", &server.access_key_id)
        .env("OBJECT_STORE_S3_SECRET_ACCESS_KEY", &server.secret_access_key)
        .stdin(Stdio::null())
        .output()
        .context("the rules could not be started")?;
    // Whether rules were broken stands in the report.
    let report = fs::read(file.path()).ok().and_then(|report| serde_json::from_slice(&report).ok());
    match report {
        Some(report) => Ok(report),
        None => bail!("the rules did not end ({}): {}", done.status, String::from_utf8_lossy(&done.stderr).trim()),
    }
}

/// The program of the rules, built as the tests are.
fn build(root: &Path) -> anyhow::Result<PathBuf> {
    let arguments = ["build", "--locked", "--workspace", "--example", "contract", "--message-format", "json"];
    let built =
        system::cargo(root).args(arguments).stderr(Stdio::inherit()).output().context("cargo could not be started")?;
    if !built.status.success() {
        bail!("the rules could not be built");
    }
    let messages = String::from_utf8_lossy(&built.stdout);
    let program =
        messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).find_map(|message| {
            let is_ours = message["target"]["name"] == "contract";
            message["executable"].as_str().filter(|_| is_ours).map(PathBuf::from)
        });
    program.context("cargo did not say where it has put the rules")
}

#[cfg(test)]
mod tests {
    use super::{Choice, choice};
    use crate::servers::Name;

    #[test]
    fn a_choice_is_a_server_or_all() {
        assert_eq!(choice("all"), Ok(Choice::All));
        assert_eq!(choice("swift"), Ok(Choice::One(Name::Swift)));
        assert_eq!(choice("minio").unwrap_err(), "one of all, embedded, moto, swift, rgw, garage");
    }
}
