//! What must hold, whatever has happened: at every instant, and at rest.

use std::collections::HashSet;
use std::time::Duration;

use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use object_store_models::{AudioModel, ImageModel, Sha256};
use object_store_repo::{AudioRepo, Backend, Engine, ImageRepo, KeyRepo, Owner, UsageRepo, query};
use object_store_storage::{ObjectKey, ObjectStorage, collect};
use sha2::Digest;

use crate::support::World;

/// What is checked of every row, whatever its kind.
#[derive(Debug)]
pub(crate) struct FinishedRow {
    pub(crate) key: String,
    size_bytes: i64,
    sha256: Option<Sha256>,
    etag: String,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

impl World {
    /// At every instant: each object is named by a row or an intent, each open multipart upload by an intent, and each
    /// row's object is there, whole.
    pub(crate) async fn assert_holds(&self, when: &str) {
        self.assert_named(&[], when).await;
        self.assert_whole(when).await;
    }

    /// Each object is named by a row or an intent, but for those that a test has put there without a name.
    pub(crate) async fn assert_named(&self, nameless: &[String], when: &str) {
        // Storage first: what is written later is named before.
        let keys: Vec<String> = self.memory.keys().into_iter().filter(|key| !nameless.contains(key)).collect();
        let uploads: Vec<String> =
            self.open_uploads().await.into_iter().filter(|key| !nameless.contains(key)).collect();
        let mut conn = self.database.reader().await.unwrap();
        let asked: Vec<&str> = keys.iter().map(String::as_str).collect();
        let named: HashSet<String> = KeyRepo::named(&mut conn, &asked).await.unwrap().into_iter().collect();
        let asked: Vec<&str> = uploads.iter().map(String::as_str).collect();
        let intended: HashSet<String> = KeyRepo::of_intents(&mut conn, &asked).await.unwrap().into_iter().collect();
        let there: HashSet<String> = self.memory.keys().into_iter().collect();
        // What has gone meanwhile needs no name.
        let orphans: Vec<_> = keys.iter().filter(|key| !named.contains(*key) && there.contains(*key)).collect();
        let strays: Vec<_> = uploads.iter().filter(|key| !intended.contains(*key)).collect();
        assert!(orphans.is_empty(), "{when}: nothing names the objects {orphans:?}");
        assert!(strays.is_empty(), "{when}: no intent names the multipart uploads {strays:?}");
    }

    /// Each row's object is there, with the bytes that were validated.
    pub(crate) async fn assert_whole(&self, when: &str) {
        for row in self.finished_rows().await {
            let key = ObjectKey::parse(&row.key).unwrap();
            let download = match self.memory.get(&key, None).await {
                Ok(download) => download,
                Err(error) => panic!("{when}: the object of {row:?} is not there: {error}"),
            };
            let meta = download.meta.clone();
            let bytes = collect(download.stream).await.unwrap();
            assert_eq!(i64::try_from(bytes.len()).unwrap(), row.size_bytes, "{when}: the size of {row:?}");
            assert_eq!(meta.etag, row.etag, "{when}: the entity tag of {row:?}");
            let digest = Sha256::from(<[u8; 32]>::from(sha2::Sha256::digest(&bytes)));
            assert!(row.sha256.is_none_or(|sha256| sha256 == digest), "{when}: the bytes of {row:?}");
        }
    }

    /// At rest: sweeps have nothing left to do, and then there is exactly what rows say. No connection is out, and no
    /// transaction open.
    pub(crate) async fn assert_clean_at_rest(&self, when: &str) {
        self.settle_but_for_the_late(when).await;
        self.let_deadlines_pass().await;
        self.sweep_until_nothing_is_due(when).await;
        self.assert_exact(when).await;
        self.settle_but_for_the_late(when).await;
    }

    /// There is exactly what rows say: no intent, no object and no multipart upload beyond that.
    pub(crate) async fn assert_exact(&self, when: &str) {
        let mut keys: Vec<String> = self.finished_rows().await.into_iter().map(|row| row.key).collect();
        keys.sort();
        assert_eq!(self.memory.keys(), keys, "{when}: objects on the left, rows on the right");
        assert_eq!(self.count().await.intents, 0, "{when}: intents are left");
        let uploads = self.open_uploads().await;
        assert!(uploads.is_empty(), "{when}: multipart uploads are left: {uploads:?}");
        self.assert_whole(when).await;
    }

    pub(crate) async fn sweep_until_nothing_is_due(&self, when: &str) {
        loop {
            let report = self.service.sweep().await.unwrap();
            assert_eq!(report.failed, 0, "{when}: {report:?}");
            if report.claimed == 0 {
                return;
            }
        }
    }

    /// As [`World::settle`], where a session may be open that waits for a late request to land.
    pub(crate) async fn settle_but_for_the_late(&self, when: &str) {
        for _ in 0..400 {
            if self.database.pool_status().in_use == 0 && self.open_transactions().await == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{when}: {:?}, {} transactions are open", self.database.pool_status(), self.open_transactions().await);
    }

    /// How many transactions and statements are under way. SQLite does not tell: there the next writer waits for
    /// them, in vain.
    async fn open_transactions(&self) -> i64 {
        if self.database.engine() == Engine::Sqlite {
            return 0;
        }
        let mut conn = self.database.reader().await.unwrap();
        let idle = "SELECT count(*) AS number FROM pg_stat_activity \
                    WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()";
        query!(conn, async |db| diesel::sql_query(idle).get_result::<Number>(db).await).unwrap().number
    }

    /// Makes every intent due, while late writes are still possible: what a sweep that comes early sees.
    pub(crate) async fn let_fences_pass(&self) {
        let mut tx = self.database.begin().await.unwrap();
        let past = match tx.backend() {
            Backend::Postgres(_) => "now() - interval '1 second'",
            Backend::Sqlite(_) => "0",
        };
        let waits = "purpose = 'purge' AND not_before = clears_at";
        let update = format!("UPDATE object_intents SET not_before = {past} WHERE NOT ({waits})");
        query!(tx, async |db| diesel::sql_query(update).execute(db).await).unwrap();
        tx.commit().await.unwrap();
    }

    /// Forgets everything, in the database and in storage, so that the next case begins anew.
    pub(crate) async fn clear(&self) {
        self.storage.lose_late_changes();
        self.storage.heal();
        self.storage.forget_calls();
        for key in self.memory.keys() {
            self.memory.lose(&ObjectKey::parse(&key).unwrap());
        }
        let mut tx = self.database.begin().await.unwrap();
        for table in ["images", "audios", "object_intents", "idempotency_keys", "orphan_candidates", "user_usage"] {
            let delete = format!("DELETE FROM {table}");
            query!(tx, async |db| diesel::sql_query(delete).execute(db).await).unwrap();
        }
        tx.commit().await.unwrap();
    }

    /// Makes the counters of all users wrong.
    pub(crate) async fn miscount(&self) {
        let mut tx = self.database.begin().await.unwrap();
        let update = "UPDATE user_usage SET used_bytes = used_bytes + 7";
        query!(tx, async |db| diesel::sql_query(update).execute(db).await).unwrap();
        tx.commit().await.unwrap();
    }

    /// What users have is what their counters say.
    pub(crate) async fn assert_counted(&self, when: &str) {
        let mut conn = self.database.reader().await.unwrap();
        let counters = UsageRepo::compare(&mut conn, None, 100).await.unwrap();
        let wrong: Vec<_> = counters.iter().filter(|counter| !counter.agrees()).collect();
        assert!(wrong.is_empty(), "{when}: {wrong:?}");
        assert!(!counters.is_empty() || !self.counts() || self.finished_rows().await.is_empty(), "{when}: uncounted");
    }

    pub(crate) async fn finished_rows(&self) -> Vec<FinishedRow> {
        let mut conn = self.database.reader().await.unwrap();
        let images = ImageRepo::list(&mut conn, Owner::Anyone, None, 10_000).await.unwrap();
        let audios = AudioRepo::list(&mut conn, Owner::Anyone, None, 10_000).await.unwrap();
        images.into_iter().map(FinishedRow::from).chain(audios.into_iter().map(FinishedRow::from)).collect()
    }

    async fn open_uploads(&self) -> Vec<String> {
        let page = self.memory.list_multipart_uploads("", None).await.unwrap();
        page.uploads.into_iter().map(|upload| upload.key).collect()
    }
}

impl From<ImageModel> for FinishedRow {
    fn from(row: ImageModel) -> Self {
        Self { key: row.s3_key, size_bytes: row.size_bytes, sha256: row.sha256, etag: row.etag }
    }
}

impl From<AudioModel> for FinishedRow {
    fn from(row: AudioModel) -> Self {
        Self { key: row.s3_key, size_bytes: row.size_bytes, sha256: row.sha256, etag: row.etag }
    }
}
