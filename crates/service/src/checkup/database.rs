use std::time::Duration;

use object_store_models::Timestamp;
use object_store_repo::{Database, RepoError, read_clock};
use object_store_storage::Check;
use tokio::time::timeout;

use super::file_system;
use crate::error::{ObjectStoreError, chain};

/// How long the database may take to answer all of it.
const TIME: Duration = Duration::from_secs(30);

/// From here on clocks should be set. Deadlines are the database's own affair; times that people read are not.
const SKEW_WARNING: Duration = Duration::from_mins(1);

/// What hangs on a database that answers.
const NAMES: [&str; 2] = ["migrations", "database_clock"];

pub(super) async fn look(database: &Database) -> Vec<Check> {
    let mut checks = vec![file(database)];
    if let Ok(answers) = timeout(TIME, ask(database)).await {
        checks.extend(answers);
    } else {
        let found = format!("no answer within {} s", TIME.as_secs());
        checks.push(Check::error("database", found, "Look at the server's load and at the network between"));
    }
    for name in NAMES {
        if !checks.iter().any(|check| check.name == name) {
            checks.push(Check::skipped(name, "hangs on database"));
        }
    }
    checks
}

async fn ask(database: &Database) -> Vec<Check> {
    let version = match database.server_version().await {
        Ok(version) => version,
        Err(error) => return vec![unreachable(error)],
    };
    vec![Check::ok("database", version), migrations(database).await, time(database).await]
}

fn unreachable(error: RepoError) -> Check {
    let found = chain(&ObjectStoreError::from(error));
    let advice = "Check OBJECT_STORE_DATABASE_URL: the host, the port, the user, the password and the name of the database, \
                  or the path of the file and the permissions of its directory";
    Check::error("database", found, advice)
}

async fn migrations(database: &Database) -> Check {
    let status = match database.migration_status().await {
        Ok(status) => status,
        Err(error) => return failed("migrations", error),
    };
    let pending: Vec<&str> =
        status.iter().filter(|one| !one.applied).map(|migration| migration.name.as_str()).collect();
    if pending.is_empty() {
        return Check::ok("migrations", format!("all {} were run", status.len()));
    }
    let found = format!("{} of {} were not run: {}", pending.len(), status.len(), pending.join(", "));
    Check::error("migrations", found, "Run them: `cargo xtask migrate`, or `migrate()` at the start of the program")
}

async fn time(database: &Database) -> Check {
    let theirs = match database.statements(async |conn| read_clock(conn).await).await {
        Ok(theirs) => theirs,
        Err(error) => return failed("database_clock", error),
    };
    let micros = theirs.micros().saturating_sub(Timestamp::now().micros());
    let distance = Duration::from_micros(micros.unsigned_abs());
    let side = if micros < 0 { "behind" } else { "ahead of" };
    let found = format!("the database's clock is {} s {side} ours", distance.as_secs());
    if distance < SKEW_WARNING {
        Check::ok("database_clock", found)
    } else {
        Check::warning("database_clock", found, "Set the clocks of both machines by NTP")
    }
}

fn file(database: &Database) -> Check {
    match database.file() {
        Some(path) => file_system::look(path),
        None => Check::skipped("database_file", "the database is a server"),
    }
}

fn failed(name: &'static str, error: RepoError) -> Check {
    let found = chain(&ObjectStoreError::from(error));
    Check::error(name, found, "Look at the database's log")
}
