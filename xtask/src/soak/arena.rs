//! Where a soak takes place: a directory with the embedded server's objects, a fresh database, and the children.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, process};

use anyhow::{Context, bail};
use object_store_devkit::postgres::TempPostgres;
use object_store_public::{
    Config, DatabaseConfig, Engine, ObjectStoreModule, ObjectStoreProvider, Settings, Timings, open,
};
use tempfile::TempDir;

use crate::soak::child::Role;
use crate::soak::rows;

/// How a child learns of the database: not by its arguments, which everybody can read.
const DATABASE: &str = "OBJECT_STORE_SOAK_DATABASE";
const SCHEMA: &str = "OBJECT_STORE_SOAK_SCHEMA";

/// How long a child may take to open the module.
const READY: Duration = Duration::from_mins(1);

/// How long sweeps may take until no intent is left, after all have become due.
const REST: Duration = Duration::from_secs(90);

/// Which database a soak is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DatabaseChoice {
    /// A file that goes with the soak.
    Sqlite,
    /// A temporary server.
    Postgres,
    /// A server or a file of the operator's. On a server, the soak makes a schema of its own and drops it at its end.
    Url(String),
}

/// A fresh store.
pub(crate) struct Arena {
    pub(crate) module: ObjectStoreModule,
    pub(crate) database: String,
    directory: TempDir,
    config: Option<DatabaseConfig>,
    schema: Option<String>,
    _postgres: Option<TempPostgres>,
}

/// Deadlines so short that a soak need not wait long for the last of them, and long enough for a machine that is busy:
/// what is written later than `late_write` after it was given up is not covered by any promise.
fn settings() -> Settings {
    Settings {
        timings: Timings {
            upload_fence: Duration::from_secs(3),
            late_write: Duration::from_secs(4),
            sweep_lease: Duration::from_secs(3),
            sweep_retry: Duration::from_millis(200),
            sweep_retry_max: Duration::from_secs(1),
            direct_upload: Duration::from_secs(3),
            ..Timings::default()
        },
        ..Settings::default()
    }
}

fn config(directory: &Path, database: Option<DatabaseConfig>) -> Config {
    let config = Config::embedded(directory).settings(settings());
    match database {
        Some(database) => config.database(database),
        None => config,
    }
}

/// What a child runs on, by its environment.
pub(crate) fn config_of_child(directory: &Path) -> Config {
    let database = env::var(DATABASE).ok().map(|url| {
        let mut database = DatabaseConfig::new(url);
        if let Ok(schema) = env::var(SCHEMA) {
            database.schema = schema;
        }
        database
    });
    config(directory, database)
}

impl Arena {
    /// Makes everything, and serves storage from this process.
    pub(crate) async fn open(choice: &DatabaseChoice) -> anyhow::Result<Self> {
        let directory = TempDir::with_prefix("soak-").context("a temporary directory is needed")?;
        let mut postgres = None;
        let url = match choice {
            DatabaseChoice::Sqlite => None,
            DatabaseChoice::Postgres => {
                let server =
                    TempPostgres::start().context("the soak needs PostgreSQL; `--database sqlite` runs it without")?;
                let url = server.create_database()?;
                postgres = Some(server);
                Some(url)
            }
            DatabaseChoice::Url(url) => Some(url.clone()),
        };
        let mut database = url.map(DatabaseConfig::new);
        let mut schema = None;
        if let Some(database) = &mut database {
            match database.engine().context("--database is sqlite, postgres or a URL")? {
                Engine::Postgres => {
                    database.schema = own_schema();
                    schema = Some(database.schema.clone());
                }
                Engine::Sqlite => refuse_existing(&database.url)?,
            }
        }
        let module = open(config(directory.path(), database.clone())).await?;
        module.migrate().await?;
        rows::create_own_table(&module).await?;
        let name = module.database_version().await?;
        Ok(Self { module, database: name, directory, config: database, schema, _postgres: postgres })
    }

    /// Where the embedded server keeps its data.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The journal of the child of this number.
    pub(crate) fn journal(&self, run: u64) -> PathBuf {
        self.directory().join(format!("run-{run}.jsonl"))
    }

    /// Starts a child.
    pub(crate) fn spawn(&self, role: Role, arguments: &[String], stdout: Stdio) -> anyhow::Result<Offspring> {
        let role = clap::ValueEnum::to_possible_value(&role).context("every role has a name")?;
        let log = File::options().create(true).append(true).open(self.directory().join("children.log"))?;
        let mut command = Command::new(env::current_exe()?);
        command.args(["soak-child", role.get_name(), "--directory"]).arg(self.directory()).args(arguments);
        command.stdin(Stdio::piped()).stdout(stdout).stderr(log);
        if let Some(config) = &self.config {
            command.env(DATABASE, &config.url).env(SCHEMA, &config.schema);
        }
        Ok(Offspring(Some(command.spawn().context("the soak's own binary cannot be started")?)))
    }

    /// Starts a child that writes a journal.
    pub(crate) fn spawn_writing(&self, role: Role, run: u64, seed: u64) -> anyhow::Result<Offspring> {
        let mut arguments = vec![
            format!("--journal={}", self.journal(run).display()),
            format!("--seed={seed}"),
            format!("--run={run}"),
        ];
        let known = self.directory().join(format!("known-{run}.json"));
        if known.exists() {
            arguments.push(format!("--known={}", known.display()));
        }
        self.spawn(role, &arguments, Stdio::null())
    }

    /// Waits until a child has opened the module.
    pub(crate) async fn wait_until_ready(&self, child: &mut Offspring, run: u64) -> anyhow::Result<()> {
        let began = Instant::now();
        let journal = self.journal(run);
        while !fs::metadata(&journal).is_ok_and(|file| file.len() > 0) {
            child.is_alive().with_context(|| self.log())?;
            if began.elapsed() > READY {
                bail!("a child did not begin to work within {READY:?}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Sweeps until there is nothing left to be swept, which takes until the last deadline has passed. How many intents
    /// are left all the same.
    pub(crate) async fn rest(&self) -> anyhow::Result<i64> {
        let began = Instant::now();
        loop {
            self.module.sweep().await?;
            let intents = rows::count_intents(&self.module).await?;
            if intents == 0 || began.elapsed() > REST {
                return Ok(intents);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// What children have complained about.
    pub(crate) fn log(&self) -> String {
        let log = fs::read_to_string(self.directory().join("children.log")).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(20).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        format!("the last that children logged:\n{}", tail.join("\n"))
    }

    /// Removes everything; with `keep`, only says where it is.
    pub(crate) async fn close(self, keep: bool) -> anyhow::Result<Option<PathBuf>> {
        if keep {
            return Ok(Some(self.directory.keep()));
        }
        if let Some(schema) = &self.schema {
            rows::execute(&self.module, &format!("DROP SCHEMA {schema} CASCADE")).await?;
        }
        drop(self.module);
        self.directory.close().context("the temporary directory could not be removed")?;
        Ok(None)
    }
}

/// A name that no other soak has.
fn own_schema() -> String {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("object_store_soak_{}_{}", process::id(), since_epoch.as_micros())
}

/// A soak sweeps and erases: never what somebody has.
fn refuse_existing(url: &str) -> anyhow::Result<()> {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    if Path::new(path).exists() {
        bail!("a soak makes a fresh database, and there is a file {path}");
    }
    Ok(())
}

/// A child process, which is killed when this is dropped.
pub(crate) struct Offspring(Option<Child>);

impl Offspring {
    /// Kills it with SIGKILL.
    ///
    /// # Errors
    /// It has ended by itself.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.is_alive()?;
        self.end();
        Ok(())
    }

    /// # Errors
    /// It has ended by itself.
    pub(crate) fn is_alive(&mut self) -> anyhow::Result<()> {
        if let Some(child) = &mut self.0
            && let Some(status) = child.try_wait()?
        {
            bail!("a child ended by itself ({status})");
        }
        Ok(())
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> anyhow::Result<ExitStatus> {
        let mut child = self.0.take().context("a child is stopped once")?;
        drop(child.stdin.take());
        Ok(child.wait()?)
    }

    /// Waits until it has done its work. Its status, and what it printed.
    pub(crate) async fn finish(mut self) -> anyhow::Result<process::Output> {
        let mut child = self.0.take().context("a child finishes once")?;
        // Its standard input stays open until then.
        let stdin = child.stdin.take();
        let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await??;
        drop(stdin);
        Ok(output)
    }

    fn end(&mut self) {
        if let Some(mut child) = self.0.take() {
            // Both fail only where it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Offspring {
    fn drop(&mut self) {
        self.end();
    }
}
