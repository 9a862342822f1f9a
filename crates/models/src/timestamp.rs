//! Instants, as precise as both databases keep them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::BigInt;
use diesel::sqlite::{Sqlite, SqliteValue};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::sql::UtcTimestamp;

/// An instant in UTC, to the microsecond. Shown, and in JSON, as RFC 3339
/// (`2026-01-31T08:15:00.000000Z`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = UtcTimestamp)]
pub struct Timestamp(DateTime<Utc>);

/// Text that is not an instant in RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseTimestampError {
    source: chrono::ParseError,
}

/// Microseconds between the Unix epoch and PostgreSQL's epoch, 2000-01-01.
const PG_EPOCH: i64 = 946_684_800_000_000;

impl Timestamp {
    /// The time by this machine's clock. Deadlines in the database are written and compared by the
    /// database's.
    #[must_use]
    pub fn now() -> Self {
        Self::from(Utc::now())
    }

    /// From microseconds since 1970, UTC; `None` beyond the years that chrono knows.
    #[must_use]
    pub fn from_micros(micros: i64) -> Option<Self> {
        DateTime::from_timestamp_micros(micros).map(Self)
    }

    /// Microseconds since 1970, UTC.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0.timestamp_micros()
    }

    /// In RFC 3339, with six digits of a second's fraction and `Z`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    /// Later by `duration`; `None` beyond the years that chrono knows.
    #[must_use]
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        let delta = TimeDelta::from_std(duration).ok()?;
        self.0.checked_add_signed(delta).map(Self::from)
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(value: DateTime<Utc>) -> Self {
        Self(value.trunc_subsecs(6))
    }
}

impl From<Timestamp> for DateTime<Utc> {
    fn from(value: Timestamp) -> Self {
        value.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_rfc3339())
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, ParseTimestampError> {
        DateTime::parse_from_rfc3339(text)
            .map(|instant| Self::from(instant.to_utc()))
            .map_err(|source| ParseTimestampError { source })
    }
}

impl fmt::Display for ParseTimestampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an instant is RFC 3339, such as 2026-01-31T08:15:00Z")
    }
}

impl std::error::Error for ParseTimestampError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

fn from_database(micros: Option<i64>) -> deserialize::Result<Timestamp> {
    micros.and_then(Timestamp::from_micros).ok_or_else(|| "a timestamp out of range".into())
}

impl ToSql<UtcTimestamp, Pg> for Timestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let micros = self.micros().checked_sub(PG_EPOCH).ok_or("a timestamp out of range")?;
        <i64 as ToSql<BigInt, Pg>>::to_sql(&micros, &mut out.reborrow())
    }
}

impl FromSql<UtcTimestamp, Pg> for Timestamp {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        // PostgreSQL's `infinity` is the greatest i64, hence checked.
        from_database(<i64 as FromSql<BigInt, Pg>>::from_sql(value)?.checked_add(PG_EPOCH))
    }
}

impl ToSql<UtcTimestamp, Sqlite> for Timestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.micros());
        Ok(IsNull::No)
    }
}

impl FromSql<UtcTimestamp, Sqlite> for Timestamp {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        from_database(Some(<i64 as FromSql<BigInt, Sqlite>>::from_sql(value)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_reads_back_what_it_shows() {
        for (micros, shown) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
        ] {
            let instant = Timestamp::from_micros(micros).unwrap();
            assert_eq!(instant.to_string(), shown);
            assert_eq!(shown.parse(), Ok(instant));
        }
    }

    #[test]
    fn an_instant_keeps_no_more_than_microseconds() {
        let instant: Timestamp = "2026-01-31T10:15:00.123456789+02:00".parse().unwrap();
        assert_eq!(instant.to_rfc3339(), "2026-01-31T08:15:00.123456Z");
    }

    #[test]
    fn an_instant_out_of_range_is_an_error() {
        assert!(from_database(i64::MAX.checked_add(PG_EPOCH)).is_err());
        assert!(from_database(Some(i64::MAX)).is_err());
        assert_eq!(Timestamp::now().checked_add(Duration::MAX), None);
    }
}
