//! What can go wrong, by what the caller can do about it.

use std::error::Error as StdError;
use std::io;

use diesel::ConnectionError;
use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind as Kind, Error as DieselError};
use tokio_postgres::error::SqlState;

/// The result of a repository function.
pub type Result<T, E = RepoError> = std::result::Result<T, E>;

type BoxError = Box<dyn StdError + Send + Sync>;

/// Why the database did not do what it was asked to. A variant is something to do about it.
///
/// No message holds a password, a URL or SQL.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// A unique value is taken, or a row of another table refers to this one.
    #[error("another row is in the way: it has the same unique value, or refers to this one")]
    Conflict {
        /// PostgreSQL's name of the constraint, or SQLite's name of its column. For logs: the two
        /// databases name the same constraint differently.
        constraint: Option<String>,
    },
    /// The database cannot be reached or is busy; nothing was done, and trying again may help.
    #[error("the database is busy or cannot be reached")]
    Unavailable {
        /// What kept it.
        #[source]
        source: BoxError,
    },
    /// Another transaction was in the way; the whole transaction can be tried again.
    #[error("another transaction was in the way of this one")]
    Serialization {
        /// What the database said.
        #[source]
        source: DieselError,
    },
    /// The reply to a commit was lost: look whether it happened before doing anything else.
    #[error("it is unknown whether the transaction was committed")]
    CommitUnknown {
        /// What came instead of the reply.
        #[source]
        source: DieselError,
    },
    /// An earlier statement of the transaction had failed, so that it was rolled back.
    #[error("the transaction was rolled back because a statement in it had failed")]
    Aborted {
        /// What the database said.
        #[source]
        source: DieselError,
    },
    /// The URL names no database that we know.
    #[error("a database URL begins with postgres://, postgresql:// or sqlite:")]
    UnsupportedUrl,
    /// The configuration has to be changed.
    #[error("the database is misconfigured: {what}")]
    Misconfigured {
        /// What is wrong, and what is allowed.
        what: String,
        /// What the database or the operating system said.
        #[source]
        source: Option<BoxError>,
    },
    /// The tables are not there, or not as this version knows them.
    #[error(
        "the tables of the object store are missing or outdated: run its migrations, or put its schema on the \
         connection's search_path"
    )]
    MigrationsPending {
        /// What the database said.
        #[source]
        source: DieselError,
    },
    /// A migration failed; the one before it stands.
    #[error("a migration failed")]
    Migration {
        /// Why.
        #[source]
        source: BoxError,
    },
    /// A query failed in a way that it should not.
    #[error("a query failed")]
    Query {
        /// Why.
        #[source]
        source: DieselError,
    },
}

impl RepoError {
    /// Whether the same call, or the same transaction, may succeed if it is repeated.
    ///
    /// Not so for [`RepoError::CommitUnknown`]: it may have succeeded already.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Serialization { .. })
    }

    pub(crate) fn misconfigured(what: impl Into<String>) -> Self {
        Self::Misconfigured { what: what.into(), source: None }
    }

    pub(crate) fn unavailable(why: &'static str) -> Self {
        Self::Unavailable { source: why.into() }
    }

    pub(crate) fn invalid_url(error: tokio_postgres::Error) -> Self {
        Self::Misconfigured { what: "the database URL cannot be read".to_owned(), source: Some(error.into()) }
    }

    /// From PostgreSQL's refusal of a new connection.
    pub(crate) fn cannot_connect(error: tokio_postgres::Error) -> Self {
        match refusal(&error) {
            Some(what) => Self::Misconfigured { what: what.to_owned(), source: Some(error.into()) },
            None => Self::Unavailable { source: error.into() },
        }
    }

    /// From SQLite's failure to open a file.
    pub(crate) fn cannot_open(error: ConnectionError) -> Self {
        Self::Misconfigured { what: "the SQLite file cannot be opened".to_owned(), source: Some(error.into()) }
    }

    /// From the first statements on a new SQLite connection, which are the first to read the file.
    pub(crate) fn cannot_set_up(error: DieselError) -> Self {
        match Self::from(error) {
            Self::Query { source } => Self::Misconfigured {
                what: "the SQLite file cannot be read or written".to_owned(),
                source: Some(source.into()),
            },
            other => other,
        }
    }

    /// From a statement that does nothing, sent before a commit.
    pub(crate) fn before_commit(error: DieselError) -> Self {
        match Self::from(error) {
            Self::Query { source } => Self::Aborted { source },
            other => other,
        }
    }

    /// From a commit. Everything is unknown unless the database has surely refused it.
    pub(crate) fn at_commit(error: DieselError) -> Self {
        match &error {
            DieselError::DatabaseError(Kind::Unknown, info) if info.message() == SQLITE_BUSY => error.into(),
            DieselError::DatabaseError(Kind::Unknown, info) if info.message() == SQLITE_ROLLED_BACK => {
                Self::Aborted { source: error }
            }
            DieselError::DatabaseError(
                Kind::UniqueViolation
                | Kind::ForeignKeyViolation
                | Kind::SerializationFailure
                | Kind::ReadOnlyTransaction
                | Kind::NotNullViolation
                | Kind::CheckViolation
                | Kind::RestrictViolation
                | Kind::ExclusionViolation,
                _,
            )
            // Found before anything is sent.
            | DieselError::NotInTransaction => error.into(),
            _ => Self::CommitUnknown { source: error },
        }
    }
}

impl From<DieselError> for RepoError {
    fn from(source: DieselError) -> Self {
        let DieselError::DatabaseError(kind, info) = &source else {
            return Self::Query { source };
        };
        match kind {
            Kind::UniqueViolation | Kind::ForeignKeyViolation | Kind::RestrictViolation => {
                Self::Conflict { constraint: constraint(info.as_ref()) }
            }
            Kind::SerializationFailure => Self::Serialization { source },
            Kind::ClosedConnection | Kind::UnableToSendCommand => Self::Unavailable { source: source.into() },
            Kind::Unknown => match meaning(info.as_ref()) {
                Meaning::Busy => Self::Unavailable { source: source.into() },
                Meaning::Deadlock => Self::Serialization { source },
                Meaning::NoSuchTable => Self::MigrationsPending { source },
                Meaning::Other => Self::Query { source },
            },
            _ => Self::Query { source },
        }
    }
}

const SQLITE_BUSY: &str = "database is locked";
const SQLITE_ROLLED_BACK: &str = "cannot commit - no transaction is active";

/// What PostgreSQL's primary messages begin with when it is busy or going down: SQLSTATE classes
/// 53 and 57. Diesel hides the code.
const POSTGRES_BUSY: [&str; 8] = [
    "canceling statement due to",
    "terminating connection",
    "the database system is",
    "sorry, too many clients",
    "remaining connection slots",
    "too many connections",
    "out of memory",
    "could not extend file",
];

const TABLES: [&str; 5] = ["images", "audios", "object_intents", "idempotency_keys", "orphan_candidates"];

/// What an error of unknown kind means to us.
enum Meaning {
    Busy,
    Deadlock,
    NoSuchTable,
    Other,
}

/// Diesel keeps PostgreSQL's SQLSTATE and SQLite's error code to itself, so that only the message
/// is left to go by. SQLite's are always English; PostgreSQL's are in the server's language, in
/// which case the worst is `Other`, except for missing tables: there the name and the position in
/// the statement are enough.
fn meaning(info: &dyn DatabaseErrorInformation) -> Meaning {
    let message = info.message();
    if message == SQLITE_BUSY || message == "database table is locked" || message == "database schema is locked: main" {
        return Meaning::Busy;
    }
    if POSTGRES_BUSY.iter().any(|start| message.starts_with(start)) {
        return Meaning::Busy;
    }
    if message == "deadlock detected" {
        return Meaning::Deadlock;
    }
    let missing_in_sqlite = ["no such table: ", "no such column: "].iter().any(|start| message.starts_with(start));
    let missing_in_postgres = info.statement_position().is_some() && TABLES.iter().any(|table| message.contains(table));
    let missing_elsewhere = message.starts_with("relation \"") && message.ends_with("\" does not exist");
    if missing_in_sqlite || missing_in_postgres || missing_elsewhere {
        return Meaning::NoSuchTable;
    }
    Meaning::Other
}

/// SQLite names the columns in its message only.
fn constraint(info: &dyn DatabaseErrorInformation) -> Option<String> {
    let named = info.constraint_name();
    let named = named.or_else(|| info.message().strip_prefix("UNIQUE constraint failed: "));
    named.map(str::to_owned)
}

/// What is wrong with the configuration if PostgreSQL refuses a connection; `None` if trying again
/// may help.
fn refusal(error: &tokio_postgres::Error) -> Option<&'static str> {
    if let Some(code) = error.code() {
        return match *code {
            SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                Some("the server does not accept the user or the password")
            }
            SqlState::INVALID_CATALOG_NAME => Some("there is no such database on the server"),
            SqlState::INSUFFICIENT_PRIVILEGE => Some("the user may not connect to the database"),
            _ => None,
        };
    }
    if error.is_closed() {
        return None;
    }
    match io_error(error) {
        Some(error) if is_tls(error) => Some("the server's certificate or its TLS is not accepted"),
        Some(_) => None,
        // A password that is missing, a method of authentication or TLS that the server lacks.
        None => Some("the server and the database URL do not agree on TLS or on how to log in"),
    }
}

fn io_error(error: &tokio_postgres::Error) -> Option<&io::Error> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        source = error.source();
    }
    None
}

fn is_tls(error: &io::Error) -> bool {
    matches!(error.get_ref(), Some(inner) if inner.is::<rustls::Error>())
}
