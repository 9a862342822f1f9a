//! Which keys have a name.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use object_store_models::schema::{audios, images, object_intents};

use crate::{Connection, Result, query};

/// Statements on the keys of all tables at once.
#[derive(Debug, Clone, Copy)]
pub struct KeyRepo;

impl KeyRepo {
    /// Which of these keys a row or an intent names. One statement, and so one instant: a key whose intent is just
    /// becoming a row, or whose row an intent, is not missed.
    pub async fn named(conn: &mut Connection<'_>, keys: &[&str]) -> Result<Vec<String>> {
        Ok(query!(conn, async |db| {
            let of_images = images::table.select(images::s3_key).filter(images::s3_key.eq_any(keys));
            let of_audios = audios::table.select(audios::s3_key).filter(audios::s3_key.eq_any(keys));
            let of_intents =
                object_intents::table.select(object_intents::s3_key).filter(object_intents::s3_key.eq_any(keys));
            of_images.union(of_audios).union(of_intents).load(db).await
        })?)
    }

    /// Which of these keys a row names.
    pub async fn of_rows(conn: &mut Connection<'_>, keys: &[&str]) -> Result<Vec<String>> {
        Ok(query!(conn, async |db| {
            let of_images = images::table.select(images::s3_key).filter(images::s3_key.eq_any(keys));
            let of_audios = audios::table.select(audios::s3_key).filter(audios::s3_key.eq_any(keys));
            of_images.union(of_audios).load(db).await
        })?)
    }

    /// Which of these keys an intent names.
    pub async fn of_intents(conn: &mut Connection<'_>, keys: &[&str]) -> Result<Vec<String>> {
        Ok(query!(conn, async |db| {
            object_intents::table
                .select(object_intents::s3_key)
                .filter(object_intents::s3_key.eq_any(keys))
                .load(db)
                .await
        })?)
    }
}
