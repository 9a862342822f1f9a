//! The tables, read by SQL: an audit does not trust the module with what it says about itself.

use object_store_public::diesel::dsl::sql;
use object_store_public::diesel::sql_types::{BigInt, Nullable, Text};
use object_store_public::diesel_async::RunQueryDsl;
use object_store_public::{
    Connection, Engine, ObjectStoreError, ObjectStoreModule, ObjectStoreProvider, diesel, query,
};

/// What is read of a row of finished media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// As hexadecimal digits.
    pub(crate) id: String,
    pub(crate) kind: String,
    /// As hexadecimal digits.
    pub(crate) user: Option<String>,
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) bytes: i64,
    /// As hexadecimal digits.
    pub(crate) sha256: Option<String>,
}

/// All that the tables hold.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) rows: Vec<Row>,
    /// The keys of intents.
    pub(crate) intents: Vec<String>,
    /// The names of files, in the soak's own table.
    pub(crate) siblings: Vec<String>,
}

/// The soak's own table, whose rows come and go with those of staged files.
pub(crate) async fn create_own_table(module: &ObjectStoreModule) -> anyhow::Result<()> {
    execute(module, "CREATE TABLE soak_siblings (name TEXT PRIMARY KEY)").await
}

/// Runs one statement in a transaction.
pub(crate) async fn execute(module: &ObjectStoreModule, statement: &str) -> anyhow::Result<()> {
    let mut tx = module.begin().await?;
    query!(tx, async |db| diesel::sql_query(statement).execute(db).await)?;
    Ok(tx.commit().await?)
}

/// Adds a file's sibling, in the transaction of the file's own row.
pub(crate) async fn add_sibling(conn: &mut Connection<'_>, name: &str) -> diesel::QueryResult<usize> {
    query!(conn, async |db| {
        let insert = diesel::sql_query(format!("INSERT INTO soak_siblings VALUES ('{name}')"));
        insert.execute(db).await
    })
}

/// Removes it, likewise.
pub(crate) async fn remove_sibling(conn: &mut Connection<'_>, name: &str) -> diesel::QueryResult<usize> {
    query!(conn, async |db| {
        let delete = diesel::sql_query(format!("DELETE FROM soak_siblings WHERE name = '{name}'"));
        delete.execute(db).await
    })
}

type Columns = (Text, Text, Nullable<Text>, Text, Text, BigInt, Nullable<Text>);
type Values = (String, String, Option<String>, String, String, i64, Option<String>);

/// Everything, for as few rows as a soak has.
pub(crate) async fn read(module: &ObjectStoreModule) -> anyhow::Result<Tables> {
    let mut conn = module.connection().await?;
    let engine = conn.engine();
    let media = format!("{} UNION ALL SELECT {}", columns(engine, "image"), columns(engine, "audio"));
    let read: diesel::QueryResult<Vec<Values>> =
        query!(conn, async |db| diesel::select(sql::<Columns>(&media)).load(db).await);
    let rows = read?.into_iter().map(|(id, kind, user, name, key, bytes, sha256)| Row {
        id,
        kind,
        user,
        name,
        key,
        bytes,
        sha256,
    });
    Ok(Tables {
        rows: rows.collect(),
        intents: texts(&mut conn, "s3_key FROM object_intents").await?,
        siblings: texts(&mut conn, "name FROM soak_siblings").await?,
    })
}

/// How many intents there are.
pub(crate) async fn count_intents(module: &ObjectStoreModule) -> Result<i64, ObjectStoreError> {
    let mut conn = module.connection().await?;
    let count: diesel::QueryResult<i64> =
        query!(conn, async |db| { diesel::select(sql::<BigInt>("count(*) FROM object_intents")).get_result(db).await });
    count.map_err(|error| object_store_public::RepoError::from(error).into())
}

async fn texts(conn: &mut Connection<'_>, select: &str) -> diesel::QueryResult<Vec<String>> {
    query!(conn, async |db| diesel::select(sql::<Text>(select)).load(db).await)
}

/// The columns of one table; `kind` is `image` or `audio`.
fn columns(engine: Engine, kind: &str) -> String {
    let (id, user, digest) = match engine {
        Engine::Postgres => ("replace(id::text, '-', '')", "replace(user_id::text, '-', '')", "encode(sha256, 'hex')"),
        // `hex` of NULL is the empty text.
        Engine::Sqlite => ("lower(hex(id))", "nullif(lower(hex(user_id)), '')", "nullif(lower(hex(sha256)), '')"),
    };
    format!("{id}, '{kind}', {user}, filename, s3_key, size_bytes, {digest} FROM {kind}s")
}
