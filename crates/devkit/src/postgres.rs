//! A temporary PostgreSQL server, for tests and demonstrations.
//!
//! It lies in a temporary directory and listens on a Unix socket there, on no network. It stops, and its directory
//! goes, when [`TempPostgres`] is dropped, and also when the process is killed: a shell waits for the end of its
//! standard input, which is a pipe from this process, and the operating system closes pipes of whoever dies.
//!
//! PostgreSQL refuses to run as root, so root starts it as `postgres` or `nobody`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, process};

use tempfile::TempDir;

/// Where the server's programs lie, if set: a directory with `initdb`, `pg_ctl` and `psql`.
pub const PROGRAMS_VARIABLE: &str = "OBJECT_STORE_PG_BIN";

/// The URL of a server to use instead of a temporary one, if set. Its user has to be allowed to create databases.
pub const SERVER_VARIABLE: &str = "OBJECT_STORE_TEST_POSTGRES_URL";

/// What is needed of PostgreSQL's programs.
const PROGRAMS: [&str; 3] = ["initdb", "pg_ctl", "psql"];

/// Where Debian, Fedora's PGDG packages and Homebrew (on Apple silicon, on Intel) put them: a directory, and what the
/// names of its versions' folders begin with.
const PLACES: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/opt/homebrew/opt", "postgresql"),
    ("/usr/local/opt", "postgresql"),
];

/// Waits until this process is gone or says so, then stops the server (`$1` `pg_ctl`, `$2` its data) and removes
/// everything (`$3`).
const WATCHDOG: &str = r#"
    cat > /dev/null
    "$1" stop --pgdata "$2" --mode immediate --wait > /dev/null 2>&1
    rm -rf -- "$3"
"#;

/// A server whose databases are for tests alone.
#[derive(Debug)]
pub struct TempPostgres {
    server: Server,
    programs: PathBuf,
    databases: Mutex<Vec<String>>,
}

#[derive(Debug)]
enum Server {
    Temporary(Temporary),
    /// Somebody else's, by its URL.
    External(String),
}

#[derive(Debug)]
struct Temporary {
    dir: TempDir,
    watchdog: Child,
}

impl TempPostgres {
    /// Starts a server, which takes about a second.
    ///
    /// # Errors
    ///
    /// Those of [`TempPostgres::find_programs`], and whatever the programs answer.
    pub fn start() -> io::Result<Self> {
        let programs = Self::find_programs()?;
        let server = Server::Temporary(Temporary::start(&programs)?);
        Ok(Self { server, programs, databases: Mutex::default() })
    }

    /// One server for everybody in this process who asks while another holds it; the last to drop it stops it. If
    /// [`SERVER_VARIABLE`] is set, that server.
    ///
    /// # Errors
    ///
    /// Those of [`TempPostgres::start`].
    pub fn shared() -> io::Result<Arc<Self>> {
        static SHARED: Mutex<Weak<TempPostgres>> = Mutex::new(Weak::new());

        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Ok(server);
        }
        let started = Arc::new(match env::var(SERVER_VARIABLE) {
            Ok(url) => Self::external(url)?,
            Err(_) => Self::start()?,
        });
        *shared = Arc::downgrade(&started);
        Ok(started)
    }

    /// Somebody else's server. Its databases are dropped again, if this process is not killed.
    fn external(url: String) -> io::Result<Self> {
        let programs = find(&["psql"])?;
        Ok(Self { server: Server::External(url), programs, databases: Mutex::default() })
    }

    /// Creates an empty database and returns its URL.
    ///
    /// # Errors
    ///
    /// What the server answers.
    pub fn create_database(&self) -> io::Result<String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);

        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("object_store_test_{}_{}_{number}", process::id(), since_epoch.as_micros());
        self.execute(&format!("CREATE DATABASE {name}"))?;
        let url = self.url(&name);
        self.databases.lock().unwrap_or_else(PoisonError::into_inner).push(name);
        Ok(url)
    }

    /// The server's version, such as `15.18`.
    ///
    /// # Errors
    ///
    /// What the server answers.
    pub fn version(&self) -> io::Result<String> {
        let version = self.execute("SHOW server_version")?;
        // Debian adds its own version in parentheses.
        Ok(version.split_whitespace().next().unwrap_or_default().to_owned())
    }

    /// The directory that holds PostgreSQL's programs: [`PROGRAMS_VARIABLE`], or the first in `PATH`, or the newest
    /// version in the places where Debian, Fedora and Homebrew put them.
    ///
    /// # Errors
    ///
    /// `NotFound`, with a message that says what to install.
    pub fn find_programs() -> io::Result<PathBuf> {
        find(&PROGRAMS)
    }

    /// Runs one statement and returns the rows of its answer as lines.
    fn execute(&self, sql: &str) -> io::Result<String> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"]);
        psql.args(["--command", sql, "--dbname"]).arg(self.url("postgres"));
        run(&mut psql)
    }

    fn url(&self, database: &str) -> String {
        match &self.server {
            Server::Temporary(server) => {
                let host: String = server.dir.path().to_string_lossy().bytes().map(percent_encoded).collect();
                format!("postgres://postgres@{host}/{database}")
            }
            Server::External(url) => with_database(url, database),
        }
    }
}

impl Drop for TempPostgres {
    fn drop(&mut self) {
        // A temporary server goes with all its databases.
        if matches!(self.server, Server::External(_)) {
            let databases = std::mem::take(&mut *self.databases.lock().unwrap_or_else(PoisonError::into_inner));
            for name in databases {
                // `FORCE` is PostgreSQL 13's; a database that is left over on a test server does no harm.
                if let Err(error) = self.execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")) {
                    eprintln!("database {name} could not be dropped: {error}");
                }
            }
        }
    }
}

impl Temporary {
    fn start(programs: &Path) -> io::Result<Self> {
        let dir = TempDir::with_prefix("pg-")?;
        // The directory is ours, so its owner is who runs this.
        let user = match fs::metadata(dir.path())?.uid() {
            0 => Some(unprivileged_user()?),
            _ => None,
        };
        if let Some((uid, gid)) = user {
            chown(dir.path(), Some(uid), Some(gid))?;
        }
        let command = |program: &Path| {
            let mut command = Command::new(program);
            // Not every user may enter the directory that this runs in.
            command.current_dir("/").env("LC_ALL", "C");
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command
        };
        let (data, pg_ctl) = (dir.path().join("data"), programs.join("pg_ctl"));

        // Before there is anything to clean up. In a process group of its own, so that Ctrl-C does not stop it.
        let mut watchdog = command(Path::new("/bin/sh"));
        watchdog.args(["-c", WATCHDOG, "sh"]).args([&pg_ctl, &data]).arg(dir.path());
        watchdog.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self { watchdog: watchdog.spawn()?, dir };

        let mut initdb = command(&programs.join("initdb"));
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]);
        run(initdb.arg("--pgdata").arg(&data))?;
        server.configure(&data)?;
        let log = server.dir.path().join("log");
        let mut start = command(&pg_ctl);
        start.args(["start", "--wait", "--silent", "--pgdata"]).arg(&data).arg("--log").arg(&log);
        run(&mut start).map_err(|error| {
            io::Error::other(format!("{error}; its log: {}", fs::read_to_string(&log).unwrap_or_default().trim()))
        })?;
        Ok(server)
    }

    /// Only the socket, and nothing that would make it survive a power cut.
    fn configure(&self, data: &Path) -> io::Result<()> {
        let socket = self.dir.path().to_string_lossy().replace('\'', "''");
        let mut file: File = OpenOptions::new().append(true).open(data.join("postgresql.conf"))?;
        write!(
            file,
            "listen_addresses = ''\nunix_socket_directories = '{socket}'\nmax_connections = 200\n\
             shared_buffers = 32MB\nfsync = off\nsynchronous_commit = off\nfull_page_writes = off\n"
        )
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // The end of its input tells the watchdog to clean up.
        drop(self.watchdog.stdin.take());
        if let Err(error) = self.watchdog.wait() {
            eprintln!("the temporary PostgreSQL server may still run: {error}");
        }
    }
}

fn find(programs: &[&str]) -> io::Result<PathBuf> {
    let has_all = |dir: &Path| programs.iter().all(|program| dir.join(program).is_file());
    if let Some(dir) = env::var_os(PROGRAMS_VARIABLE).map(PathBuf::from) {
        return if has_all(&dir) {
            Ok(dir)
        } else {
            Err(not_found(programs, &format!("in {} ({PROGRAMS_VARIABLE})", dir.display())))
        };
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .filter_map(|dir| resolved(&dir.join(programs.first()?)))
        .chain(installed())
        .find(|dir| has_all(dir))
        .ok_or_else(|| not_found(programs, "in PATH or where Debian, Fedora or Homebrew put them"))
}

/// The directory of the program that a link in `PATH` leads to, where its companions are.
fn resolved(program: &Path) -> Option<PathBuf> {
    Some(program.canonicalize().ok()?.parent()?.to_owned())
}

/// Directories of programs outside `PATH`, the newest version first.
fn installed() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (place, prefix) in PLACES {
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(version) = name.to_str().and_then(|name| name.strip_prefix(prefix)) else { continue };
            let version: u32 = version.trim_start_matches('@').parse().unwrap_or(0);
            found.push((version, entry.path().join("bin")));
        }
    }
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, bin)| bin).collect()
}

fn not_found(programs: &[&str], place: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!(
            "PostgreSQL's programs ({}) were not found {place}. Install PostgreSQL: `apt-get install postgresql` on \
             Debian and Ubuntu, `dnf install postgresql-server` on Fedora, `brew install postgresql@17` on macOS. Or \
             set {PROGRAMS_VARIABLE} to the directory that holds them, or {SERVER_VARIABLE} to the URL of a server \
             whose user may create databases",
            programs.join(", ")
        ),
    )
}

/// Whom the server runs as when root starts it, by `/etc/passwd`.
fn unprivileged_user() -> io::Result<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd")?;
    ids(&passwd, "postgres").or_else(|| ids(&passwd, "nobody")).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            "PostgreSQL refuses to run as root, and there is neither a user postgres nor a user nobody to run it as",
        )
    })
}

fn ids(passwd: &str, user: &str) -> Option<(u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(user) {
            return None;
        }
        let mut ids = fields.skip(1);
        Some((ids.next()?.parse().ok()?, ids.next()?.parse().ok()?))
    })
}

/// Runs a program and returns what it prints; an error has what it complained about.
fn run(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program} failed ({}): {}", output.status, complaint.trim())))
}

/// A byte of a path as it stands in a URL's host.
fn percent_encoded(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    }
}

/// The URL with another database in it.
fn with_database(url: &str, database: &str) -> String {
    let (url, parameters) = url.split_once('?').map_or((url, String::new()), |(url, rest)| (url, format!("?{rest}")));
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let host = rest.split('/').next().unwrap_or_default();
    format!("{scheme}://{host}/{database}{parameters}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gets_another_database() {
        assert_eq!(with_database("postgres://u:p@h:1/a?sslmode=require", "b"), "postgres://u:p@h:1/b?sslmode=require");
        assert_eq!(with_database("postgresql://h", "b"), "postgresql://h/b");
    }

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\npostgres2:x:1:2::/:\npostgres:x:104:112::/:/bin/bash\n";
        assert_eq!(ids(passwd, "postgres"), Some((104, 112)));
        assert_eq!(ids(passwd, "nobody"), None);
    }

    #[test]
    fn missing_programs_say_what_to_install() {
        let error = not_found(&PROGRAMS, "here");
        assert!(error.to_string().contains("apt-get install postgresql"), "{error}");
    }

    #[test]
    fn a_server_starts_creates_databases_and_leaves_nothing() {
        let server = TempPostgres::start().unwrap();
        let (first, second) = (server.create_database().unwrap(), server.create_database().unwrap());
        assert_ne!(first, second);
        assert!(server.version().unwrap().split('.').next().unwrap().parse::<u32>().unwrap() >= 12);
        let Server::Temporary(temporary) = &server.server else { panic!("started") };
        let dir = temporary.dir.path().to_owned();
        assert!(dir.join("data/postmaster.pid").exists());
        drop(server);
        assert!(!dir.exists());
    }
}
