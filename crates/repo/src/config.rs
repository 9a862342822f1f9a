//! Which database, and within what limits.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{RepoError, Result};

/// Which database to open, and within what limits.
#[derive(Clone)]
pub struct DatabaseConfig {
    /// `postgres://…`, `postgresql://…` or `sqlite:PATH`.
    ///
    /// PostgreSQL's parameters are those of libpq's URLs that `tokio-postgres` knows, and
    /// `sslmode` (`disable`, `prefer`, `require`, `verify-ca`, `verify-full`) with `sslrootcert`
    /// (a PEM file, or `system`).
    pub url: String,
    /// The PostgreSQL schema that the tables lie in; SQLite has none. Default: `public`.
    pub schema: String,
    /// The most connections that are open at once, for PostgreSQL. SQLite has one writer and four
    /// readers whatever this says. Default: 10.
    pub max_connections: usize,
    /// When PostgreSQL cancels a statement; `None` for never. Default: 30 s.
    pub statement_timeout: Option<Duration>,
    /// How long to wait for a free connection, and how long for a new one. Default: 10 s.
    pub acquire_timeout: Duration,
}

/// A database engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// PostgreSQL, from version 12 on.
    Postgres,
    /// SQLite, built in.
    Sqlite,
}

impl DatabaseConfig {
    /// This URL, and the defaults for everything else.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            schema: "public".to_owned(),
            max_connections: 10,
            statement_timeout: Some(Duration::from_secs(30)),
            acquire_timeout: Duration::from_secs(10),
        }
    }

    /// The engine that the URL names.
    ///
    /// # Errors
    ///
    /// [`RepoError::UnsupportedUrl`] if it names none.
    pub fn engine(&self) -> Result<Engine> {
        match self.url.split_once(':') {
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => Ok(Engine::Postgres),
            Some(("sqlite", _)) => Ok(Engine::Sqlite),
            _ => Err(RepoError::UnsupportedUrl),
        }
    }

    /// The file that a `sqlite:` URL names, in a directory that exists.
    pub(crate) fn sqlite_path(&self) -> Result<PathBuf> {
        let path = self.url.strip_prefix("sqlite:").ok_or(RepoError::UnsupportedUrl)?;
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.contains(":memory:") || path.starts_with("file:") || path.contains('\0') {
            return Err(RepoError::misconfigured(
                "a SQLite URL is sqlite:PATH, with the path of a file (not of a database in memory, which is one for each connection)",
            ));
        }
        let path = PathBuf::from(path);
        match path.parent() {
            Some(parent) if parent != Path::new("") && !parent.is_dir() => Err(RepoError::misconfigured(format!(
                "the directory of the SQLite file does not exist: {}",
                parent.display()
            ))),
            _ => Ok(path),
        }
    }

    /// The schema's name, quoted for SQL.
    pub(crate) fn quoted_schema(&self) -> Result<String> {
        let name = &self.schema;
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        // PostgreSQL truncates names at 63 bytes, and keeps the prefix `pg_` for itself.
        if !is_plain || name.is_empty() || name.len() > 63 || name.starts_with("pg_") {
            return Err(RepoError::misconfigured(
                "a schema's name is 1 to 63 ASCII letters, digits and underscores, and does not begin with pg_",
            ));
        }
        Ok(format!("\"{name}\""))
    }
}

impl fmt::Debug for DatabaseConfig {
    /// Of the URL only the scheme: the rest may hold a password, in two places.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, schema, max_connections, statement_timeout, acquire_timeout } = self;
        let scheme = match self.engine() {
            Ok(_) => url.split_once(':').map_or("", |(scheme, _)| scheme),
            Err(_) => "",
        };
        f.debug_struct("DatabaseConfig")
            .field("url", &format_args!("{scheme}:[redacted]"))
            .field("schema", schema)
            .field("max_connections", max_connections)
            .field("statement_timeout", statement_timeout)
            .field("acquire_timeout", acquire_timeout)
            .finish()
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Postgres => "PostgreSQL",
            Self::Sqlite => "SQLite",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_password() {
        for url in ["postgres://user:secret@host/db?password=secret", "secret:secret", "mysql://u:secret@h"] {
            let shown = format!("{:?}", DatabaseConfig::new(url));
            assert!(!shown.contains("secret"), "{shown}");
        }
    }

    #[test]
    fn a_url_names_an_engine_or_is_an_error() {
        for url in ["", "postgres:", "mysql://host/db", "/data/objects.db", "POSTGRES://host"] {
            assert!(matches!(DatabaseConfig::new(url).engine(), Err(RepoError::UnsupportedUrl)), "{url}");
        }
        assert_eq!(DatabaseConfig::new("postgresql://host/db").engine().unwrap(), Engine::Postgres);
        assert_eq!(DatabaseConfig::new("sqlite:a.db").engine().unwrap(), Engine::Sqlite);
    }

    #[test]
    fn a_sqlite_url_names_a_file_in_a_directory_that_exists() {
        let path = |url| DatabaseConfig::new(url).sqlite_path();
        assert_eq!(path("sqlite:a b.db").unwrap(), Path::new("a b.db"));
        assert_eq!(path("sqlite://a.db").unwrap(), Path::new("a.db"));
        assert_eq!(path("sqlite:///a.db").unwrap(), Path::new("/a.db"));
        for url in ["sqlite:", "sqlite://", "sqlite::memory:", "sqlite:file:a?mode=memory", "sqlite:/none/a.db"] {
            assert!(matches!(path(url), Err(RepoError::Misconfigured { .. })), "{url}");
        }
    }

    #[test]
    fn a_schema_is_a_plain_name() {
        let quoted =
            |schema: &str| DatabaseConfig { schema: schema.to_owned(), ..DatabaseConfig::new("") }.quoted_schema();
        assert_eq!(quoted("public").unwrap(), "\"public\"");
        for schema in ["", "a\"b", "a;b", "pg_temp", "ä", &"a".repeat(64)] {
            assert!(quoted(schema).is_err(), "{schema}");
        }
    }
}
