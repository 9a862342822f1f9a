//! About how many rows there are, for progress bars.

use diesel::dsl::sql;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;

use crate::{Backend, Connection, Result};

/// What PostgreSQL's statistics say. A table that was never analysed has -1 there, and is small: its rows are counted, so
/// many at most.
const POSTGRES: &str = "\
    (SELECT sum(CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint ELSE 0 END)::bigint \
     FROM pg_class c WHERE c.oid IN ('images'::regclass, 'audios'::regclass)) \
    + (SELECT count(*) FROM (SELECT 1 FROM images i \
       WHERE (SELECT reltuples FROM pg_class WHERE oid = 'images'::regclass) < 0 LIMIT 100000) AS few_images) \
    + (SELECT count(*) FROM (SELECT 1 FROM audios a \
       WHERE (SELECT reltuples FROM pg_class WHERE oid = 'audios'::regclass) < 0 LIMIT 100000) AS few_audios)";

/// Counting in a local file is fast enough.
const SQLITE: &str = "(SELECT count(*) FROM images) + (SELECT count(*) FROM audios)";

/// About how many images and audio files there are. Takes no longer for a large PostgreSQL table than for a small one.
pub async fn estimate_media(conn: &mut Connection<'_>) -> Result<u64> {
    let rows: i64 = match conn.backend() {
        Backend::Postgres(db) => diesel::select(sql::<BigInt>(POSTGRES)).get_result(db).await?,
        Backend::Sqlite(db) => diesel::select(sql::<BigInt>(SQLITE)).get_result(db).await?,
    };
    Ok(u64::try_from(rows).unwrap_or_default())
}
