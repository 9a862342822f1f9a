//! Objects that nothing names.

use std::collections::HashSet;

use futures::future::try_join_all;
use object_store_models::{NewOrphanCandidate, OrphanCandidate, Timestamp};
use object_store_repo::{CandidateRepo, KeyRepo, RepoError};
use object_store_storage::{ListedObject, StorageError};

use crate::error::Result;
use crate::mutants::{self, Mutant};
use crate::verify::doubts::AT_ONCE;
use crate::verify::listing::Range;
use crate::verify::report::Finding;
use crate::verify::shape::OwnKey;
use crate::verify::{PAGE, Run};

impl Run<'_> {
    /// Looks at the objects of a range that neither a row nor an intent seemed to name, and notes those that are orphans.
    pub(super) async fn examine_unnamed(&mut self, range: &Range, unnamed: Vec<&ListedObject>) -> Result<()> {
        let mut own = Vec::new();
        for object in unnamed {
            match OwnKey::parse(&object.key) {
                Some(key) => own.push((key, object)),
                None => self.report.add_foreign(&object.key),
            }
        }
        let nameless = self.nameless(own).await?;
        let (old, young): (Vec<_>, Vec<_>) = nameless.into_iter().partition(|(_, object)| self.is_old(object));
        self.report.young += young.len() as u64;
        if self.is_beyond_doubt() {
            self.report.orphans += old.len() as u64;
            return Ok(());
        }
        let mut orphans = Vec::new();
        for some in old.chunks(AT_ONCE) {
            let asked: Vec<_> = some.iter().map(|(own, object)| self.still_there(own, object)).collect();
            orphans.extend(try_join_all(asked).await?.into_iter().flatten());
        }
        self.note(range, &orphans).await
    }

    /// Whether so much has no name that this cannot be the database of this bucket: then it is only counted, rather than
    /// looked at object by object and written into the database.
    fn is_beyond_doubt(&self) -> bool {
        self.report.orphans > self.removal_limit().saturating_add(PAGE.into())
    }

    /// Those of which one statement says that nothing names them. Rows and intents were read one after the other, so a
    /// key that went from one to the other meanwhile may have been missed.
    async fn nameless<'o>(&self, own: Vec<(OwnKey, &'o ListedObject)>) -> Result<Vec<(OwnKey, &'o ListedObject)>> {
        if own.is_empty() {
            return Ok(own);
        }
        let named: HashSet<String> = {
            let keys: Vec<&str> = own.iter().map(|(own, _)| own.key.as_str()).collect();
            let mut conn = self.service.connection().await?;
            KeyRepo::named(&mut conn, &keys).await?.into_iter().collect()
        };
        let is_named = |own: &OwnKey| named.contains(own.key.as_str()) && !mutants::is(Mutant::AsksForNoNames);
        Ok(own.into_iter().filter(|(own, _)| !is_named(own)).collect())
    }

    /// Whether an object is older than the grace period; also where storage does not say, since then the time at which it
    /// was first seen counts.
    fn is_old(&self, object: &ListedObject) -> bool {
        object.last_modified.is_none_or(|written| written <= self.old_until)
    }

    /// Asked after nothing named it: an object that is there then is an orphan. One that a purge has just removed, with
    /// its intent, is not there, whatever an old listing says.
    async fn still_there<'o>(&self, own: &OwnKey, object: &'o ListedObject) -> Result<Option<&'o ListedObject>> {
        match self.service.storage.head(&own.key).await {
            Ok(meta) => Ok((meta.size_bytes == object.size_bytes).then_some(object)),
            Err(StorageError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Notes the orphans of a range, and forgets those that were noted earlier and are none any more.
    async fn note(&mut self, range: &Range, orphans: &[&ListedObject]) -> Result<()> {
        self.forget_others(range, orphans).await?;
        if orphans.is_empty() {
            return Ok(());
        }
        let noted: Vec<OrphanCandidate> = self
            .service
            .database
            .transaction(async |conn| {
                let mut noted = Vec::with_capacity(orphans.len());
                for object in orphans {
                    noted.push(CandidateRepo::note(conn, &candidate(object)).await?);
                }
                Ok::<_, RepoError>(noted)
            })
            .await?;
        for (object, noted) in orphans.iter().zip(noted) {
            self.report.add(Finding::Orphan {
                key: noted.s3_key,
                size_bytes: object.size_bytes,
                first_seen_at: noted.first_seen_at,
                confirmed: self.is_confirmed(noted.first_seen_at, object.last_modified.is_some()),
            });
        }
        Ok(())
    }

    /// Whether an orphan may go: an earlier run has seen it too, and that long enough ago if storage does not say how old
    /// it is.
    pub(super) fn is_confirmed(&self, first_seen_at: Timestamp, is_age_known: bool) -> bool {
        let judged_at = if is_age_known { Some(first_seen_at) } else { first_seen_at.checked_add(self.options.grace) };
        judged_at.is_some_and(|judged_at| judged_at < self.started_at)
    }

    async fn forget_others(&self, range: &Range, orphans: &[&ListedObject]) -> Result<()> {
        let mut after = range.after.clone();
        loop {
            let noted = {
                let mut conn = self.service.connection().await?;
                CandidateRepo::list_keys(&mut conn, after.as_deref(), range.until.as_deref(), PAGE.into()).await?
            };
            after = noted.get(usize::from(PAGE) - 1).cloned();
            let is_orphan = |key: &String| orphans.binary_search_by(|orphan| orphan.key.cmp(key)).is_ok();
            let others: Vec<String> = noted.into_iter().filter(|key| !is_orphan(key)).collect();
            if !others.is_empty() {
                self.service.database.statements(async |conn| CandidateRepo::delete(conn, &others).await).await?;
            }
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

fn candidate(object: &ListedObject) -> NewOrphanCandidate<'_> {
    NewOrphanCandidate {
        s3_key: &object.key,
        etag: &object.etag,
        size_bytes: i64::try_from(object.size_bytes).unwrap_or(i64::MAX),
    }
}
