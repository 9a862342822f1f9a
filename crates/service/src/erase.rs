//! Erasing a user: all of their media, and all uploads under way.

use object_store_models::{MediaId, Timestamp, UserId};
use object_store_repo::{
    AudioRepo, Connection, IdempotencyRepo, ImageRepo, IntentRepo, Owner, RepoError, UsageRepo, read_clock,
};
use tracing::warn;

use crate::actor::Actor;
use crate::authorize;
use crate::delete::delete_row;
use crate::dto::EraseReport;
use crate::error::{ConflictError, ObjectStoreError, Result};
use crate::mutants::{self, Mutant};
use crate::service::ObjectStoreService;
use crate::upload::{may_be_repeated, pause};

/// How many rows are deleted in one transaction, and how many keys are read at once.
const PAGE: u16 = 100;

/// How often it is looked for uploads that have moved on meanwhile. One round finds nothing more where none is under way.
const ROUNDS: u32 = 10;

/// How often a page is deleted again when the database was busy or another transaction was in the way.
const ATTEMPTS: u32 = 3;

#[derive(Clone, Copy)]
enum Kind {
    Image,
    Audio,
}

impl ObjectStoreService {
    /// Deletes all media of a user and ends all of their uploads that have begun to write: those under way when this
    /// begins, and those that were staged and not committed. None of them can be committed afterwards.
    ///
    /// Not covered are uploads that begin later, and those whose first bytes have not all arrived: an upload is known to
    /// the database when its body is complete, or longer than 8 MiB. See to it that the user can begin no more, let the
    /// longest request end, and call it again.
    ///
    /// The rows are gone when this returns; the objects go with the next sweep, and once more when no late write can land
    /// any more. Cut short by an error, or dropped, it has done a part: call it again.
    ///
    /// # Errors
    /// [`Forbidden`](ObjectStoreError::Forbidden) unless the actor is the system or that user;
    /// [`Conflict`](ObjectStoreError::Conflict) when other modules' rows refer to some of the media, all the rest being
    /// erased; [`InProgress`](ObjectStoreError::InProgress) when the user's uploads keep changing places.
    pub async fn erase_user(&self, actor: Actor, user: UserId) -> Result<EraseReport> {
        authorize::delete(actor, Some(user))?;
        let began_at = self.database_time().await?;
        let mut report = EraseReport::default();
        let mut kept = None;
        let mut is_still = false;
        for _ in 0..ROUNDS {
            // Uploads first: one that is committed before its turn is a row when the rows have theirs.
            let (uploads, has_moved) = self.erase_uploads(user, began_at).await?;
            report.uploads += uploads;
            report.images += self.erase_media(user, Kind::Image, &mut kept).await?;
            report.audios += self.erase_media(user, Kind::Audio, &mut kept).await?;
            if uploads == 0 && !has_moved {
                is_still = true;
                break;
            }
        }
        self.forget_keys_of(user, began_at).await?;
        if self.settings.quota.is_on() {
            self.database.statements(async |conn| UsageRepo::forget(conn, user).await).await?;
        }
        match kept {
            Some(conflict) => Err(conflict.into()),
            None if !is_still => Err(ObjectStoreError::InProgress),
            None => Ok(report),
        }
    }

    /// Repeated requests of the user begin anew. Those whose uploads began meanwhile keep their keys, or they could not be
    /// committed.
    async fn forget_keys_of(&self, user: UserId, until: Timestamp) -> Result<()> {
        let mut attempt = 1;
        loop {
            match self.database.statements(async |conn| IdempotencyRepo::forget_of_user(conn, user, until).await).await
            {
                Err(error) => repeat(error, &mut attempt).await?,
                Ok(_) => return Ok(()),
            }
        }
    }

    /// Ends the uploads that began before. Returns how many, and whether one was somewhere else when its turn came:
    /// committed, or going on under another key, by which it is found in the next round.
    async fn erase_uploads(&self, user: UserId, until: Timestamp) -> Result<(u64, bool)> {
        if mutants::is(Mutant::ErasesNoUploads) {
            return Ok((0, false));
        }
        let (mut ended, mut has_moved, mut after) = (0, false, None::<String>);
        loop {
            let keys = {
                let mut conn = self.connection().await?;
                IntentRepo::list_uploads_of(&mut conn, user, until, after.as_deref(), PAGE.into()).await?
            };
            for key in &keys {
                // A statement each: two transactions that take several of them in different order would be in each
                // other's way.
                let taken = self.database.statements(async |conn| IntentRepo::take_upload(conn, key).await).await?;
                match taken {
                    Some(purge) => {
                        self.give_back(&purge).await?;
                        ended += 1;
                    }
                    None => has_moved = true,
                }
            }
            match keys.into_iter().nth(usize::from(PAGE) - 1) {
                Some(last) => after = Some(last),
                None => return Ok((ended, has_moved)),
            }
        }
    }

    /// Deletes the media that are there now, and returns how many.
    async fn erase_media(&self, user: UserId, kind: Kind, kept: &mut Option<ConflictError>) -> Result<u64> {
        if matches!(kind, Kind::Audio) && mutants::is(Mutant::ErasesNoAudio) {
            return Ok(0);
        }
        let until = self.database_time().await?;
        let (mut erased, mut after) = (0, None::<MediaId>);
        loop {
            let page = self.media_of(user, kind, after).await?;
            let ids: Vec<MediaId> = page.iter().filter(|(_, written)| *written <= until).map(|(id, _)| *id).collect();
            if !ids.is_empty() {
                erased += self.erase_page(user, &ids, kept).await?;
            }
            match page.into_iter().nth(usize::from(PAGE) - 1) {
                Some((last, _)) => after = Some(last),
                None => return Ok(erased),
            }
        }
    }

    async fn media_of(&self, user: UserId, kind: Kind, after: Option<MediaId>) -> Result<Vec<(MediaId, Timestamp)>> {
        let (owner, limit) = (Owner::User(user), i64::from(PAGE));
        let mut conn = self.connection().await?;
        Ok(match kind {
            Kind::Image => {
                let after = after.map(|id| id.uuid().into());
                let rows = ImageRepo::list(&mut conn, owner, after, limit).await?;
                rows.into_iter().map(|row| (row.id.into(), row.created_at)).collect()
            }
            Kind::Audio => {
                let after = after.map(|id| id.uuid().into());
                let rows = AudioRepo::list(&mut conn, owner, after, limit).await?;
                rows.into_iter().map(|row| (row.id.into(), row.created_at)).collect()
            }
        })
    }

    /// Deletes rows: all in one transaction, or each in its own where another module's rows refer to one of them, which is
    /// `kept` then.
    async fn erase_page(&self, user: UserId, ids: &[MediaId], kept: &mut Option<ConflictError>) -> Result<u64> {
        match self.erase_together(user, ids).await {
            Err(ObjectStoreError::Conflict(_)) => {}
            done => return done,
        }
        let mut erased = 0;
        for id in ids {
            match self.erase_together(user, &[*id]).await {
                Ok(count) => erased += count,
                Err(ObjectStoreError::Conflict(conflict)) => {
                    warn!(object.id = %id, "not erased: another module's row refers to it");
                    kept.get_or_insert(conflict);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(erased)
    }

    /// Deletes rows in one transaction. Those that are gone already count for whoever deleted them.
    async fn erase_together(&self, user: UserId, ids: &[MediaId]) -> Result<u64> {
        let counts = self.settings.quota.is_on();
        let mut attempt = 1;
        loop {
            match self.database.transaction(async |conn| erase_rows(conn, user, ids, counts).await).await {
                Err(ObjectStoreError::Database(error)) => repeat(error, &mut attempt).await?,
                done => return done,
            }
        }
    }

    async fn database_time(&self) -> Result<Timestamp> {
        Ok(read_clock(&mut self.connection().await?).await?)
    }
}

async fn erase_rows(conn: &mut Connection<'_>, user: UserId, ids: &[MediaId], counts: bool) -> Result<u64> {
    let mut erased = 0;
    for id in ids {
        match delete_row(conn, Actor::User(user), *id, counts).await {
            Ok(_) => erased += 1,
            Err(ObjectStoreError::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(erased)
}

/// Deleting what may be deleted already is safe. Then it is not counted.
async fn repeat(error: RepoError, attempt: &mut u32) -> Result<()> {
    if may_be_repeated(&error) && *attempt < ATTEMPTS {
        pause(*attempt).await;
        *attempt += 1;
        Ok(())
    } else {
        Err(error.into())
    }
}
