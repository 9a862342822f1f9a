//! Connecting to PostgreSQL.

use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleResult};
use diesel::ConnectionError;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode as Negotiation;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::pool::Recycler;
use crate::tls::{self, RootCertificates, SslMode};
use crate::{DatabaseConfig, RepoError, Result};

pub(crate) struct PostgresManager {
    config: Config,
    tls: MakeRustlsConnect,
    /// What makes a session ours: the schema, and the limit of a statement's time.
    setup: String,
    recycler: Recycler<AsyncPgConnection>,
}

/// How long a connection may be silent where the server owes an answer.
const SILENCE: Duration = Duration::from_secs(30);

impl PostgresManager {
    pub(crate) fn new(config: &DatabaseConfig) -> Result<Self> {
        let url = Url::parse(&config.url)?;
        let setup = session_setup(&config.quoted_schema()?, config.statement_timeout);
        let mut parsed: Config = url.without_tls.parse().map_err(RepoError::invalid_url)?;
        parsed.ssl_mode(url.ssl_mode.negotiation());
        if parsed.get_application_name().is_none() {
            parsed.application_name("object-store");
        }
        if parsed.get_connect_timeout().is_none() {
            parsed.connect_timeout(config.acquire_timeout);
        }
        // A server or proxy that has gone without a word is noticed; the server's own timeout of statements cannot help.
        if parsed.get_tcp_user_timeout().is_none() {
            parsed.tcp_user_timeout(SILENCE);
        }
        parsed.keepalives_idle(SILENCE);
        let tls = MakeRustlsConnect::new(tls::client_config(url.ssl_mode, &url.roots)?);
        Ok(Self { config: parsed, tls, setup, recycler: Recycler::new() })
    }
}

impl PostgresManager {
    async fn connect(&self) -> Result<AsyncPgConnection> {
        let (client, connection) = self.config.connect(self.tls.clone()).await.map_err(RepoError::cannot_connect)?;
        let mut conn =
            AsyncPgConnection::try_from_client_and_connection(client, connection).await.map_err(set_up_failed)?;
        conn.batch_execute(&self.setup).await?;
        Ok(conn)
    }
}

impl Manager for PostgresManager {
    type Type = AsyncPgConnection;
    type Error = RepoError;

    async fn create(&self) -> Result<AsyncPgConnection> {
        // Boxed, since it is seldom needed, and large, and part of the future of every use of the pool.
        Box::pin(self.connect()).await
    }

    async fn recycle(&self, conn: &mut AsyncPgConnection, metrics: &Metrics) -> RecycleResult<RepoError> {
        self.recycler.recycle(conn, metrics).await
    }
}

fn set_up_failed(error: ConnectionError) -> RepoError {
    match error {
        ConnectionError::CouldntSetupConfiguration(error) => error.into(),
        other => RepoError::Unavailable { source: other.into() },
    }
}

/// `pg_temp` last, so that no temporary table can stand in for ours. The statements are written for the isolation level that
/// is set, and a database or a role may have another by default.
fn session_setup(schema: &str, statement_timeout: Option<Duration>) -> String {
    let timeout = statement_timeout.map_or(0, |limit| limit.as_millis().clamp(1, i32::MAX.unsigned_abs().into()));
    format!(
        "SET search_path TO {schema}, pg_temp; SET statement_timeout = {timeout}; \
         SET default_transaction_isolation = 'read committed'"
    )
}

/// A URL, apart from the parameters that `tokio-postgres` does not know as libpq does.
struct Url {
    without_tls: String,
    ssl_mode: SslMode,
    roots: RootCertificates,
}

impl Url {
    fn parse(url: &str) -> Result<Self> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut others = Vec::new();
        let mut ssl_mode = None;
        let mut roots = RootCertificates::System;
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = percent_decode_str(value)
                .decode_utf8()
                .map_err(|_| RepoError::misconfigured("a parameter of the database URL is not UTF-8"))?;
            match name {
                "sslmode" => ssl_mode = Some(value.parse()?),
                "sslrootcert" if value == "system" => roots = RootCertificates::System,
                "sslrootcert" => roots = RootCertificates::File(value.as_ref().into()),
                "sslcert" | "sslkey" | "sslpassword" | "sslcrl" => {
                    return Err(RepoError::misconfigured(format!("{name} is not supported in a database URL")));
                }
                _ => others.push(parameter),
            }
        }
        // As in libpq: with a root certificate, `require` verifies the chain.
        let ssl_mode = match (ssl_mode.unwrap_or(SslMode::Prefer), &roots) {
            (SslMode::Require, RootCertificates::File(_)) => SslMode::VerifyCa,
            (mode, _) => mode,
        };
        let without_tls = if others.is_empty() { base.to_owned() } else { format!("{base}?{}", others.join("&")) };
        Ok(Self { without_tls, ssl_mode, roots })
    }
}

impl SslMode {
    fn negotiation(self) -> Negotiation {
        match self {
            Self::Disable => Negotiation::Disable,
            Self::Prefer => Negotiation::Prefer,
            Self::Require | Self::VerifyCa | Self::VerifyFull => Negotiation::Require,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_parameters_are_taken_out_of_the_url() {
        let url =
            Url::parse("postgres://u:p%40@h,i:1/d?sslmode=verify-full&application_name=a%20b&sslrootcert=%2Fca.pem")
                .unwrap();
        assert_eq!(url.without_tls, "postgres://u:p%40@h,i:1/d?application_name=a%20b");
        assert_eq!(url.ssl_mode, SslMode::VerifyFull);
        assert_eq!(url.roots, RootCertificates::File("/ca.pem".into()));
        assert!(url.without_tls.parse::<Config>().is_ok());
    }

    #[test]
    fn tls_is_preferred_unless_said_otherwise() {
        for (query, mode) in [
            ("", SslMode::Prefer),
            ("?sslmode=disable", SslMode::Disable),
            ("?sslmode=require", SslMode::Require),
            ("?sslmode=require&sslrootcert=ca.pem", SslMode::VerifyCa),
            ("?sslmode=require&sslrootcert=system", SslMode::Require),
        ] {
            assert_eq!(Url::parse(&format!("postgres://h/d{query}")).unwrap().ssl_mode, mode, "{query}");
        }
    }

    #[test]
    fn a_bad_url_is_an_error_that_does_not_repeat_it() {
        for url in [
            "postgres://u:secret@h/d?sslmode=secret",
            "postgres://u:secret@h:secret/d",
            "postgres://u:secret@h/d?secret=1",
            "postgres://u:secret@h/d?sslcert=secret",
            "postgres://u:secret@h/d?sslmode=verify-full&sslrootcert=/none/secret",
        ] {
            let Err(error) = PostgresManager::new(&DatabaseConfig::new(url)) else {
                panic!("{url} was accepted");
            };
            assert!(matches!(error, RepoError::Misconfigured { .. }), "{url}: {error:?}");
            assert!(!error.to_string().contains("u:secret"), "{error}");
        }
    }

    #[test]
    fn a_session_knows_its_schema_and_its_limit() {
        assert_eq!(
            session_setup("\"media\"", Some(Duration::from_micros(1))),
            "SET search_path TO \"media\", pg_temp; SET statement_timeout = 1; \
             SET default_transaction_isolation = 'read committed'"
        );
        assert!(session_setup("\"media\"", Some(Duration::MAX)).contains("statement_timeout = 2147483647;"));
        assert!(session_setup("\"media\"", None).contains("statement_timeout = 0;"));
    }
}
