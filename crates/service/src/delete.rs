//! Deleting: the row goes and a purge intent comes in one transaction; the object goes after that.

use std::time::Duration;

use object_store_models::{AudioId, ImageId, IntentPurpose, MediaId, NewIntent, ObjectIntent, UserId};
use object_store_repo::{AudioRepo, Connection, Deadlines, ImageRepo, IntentRepo, Owner, RepoError, UsageRepo};

use crate::actor::Actor;
use crate::authorize;
use crate::error::{ObjectStoreError, Result};
use crate::mutants::{self, Mutant};
use crate::service::ObjectStoreService;
use crate::sweep::Leftovers;
use crate::upload::{may_be_repeated, pause, require_transaction};

/// How often a delete is tried when the database is busy, or when it is not known whether it took effect.
const DELETE_ATTEMPTS: u32 = 3;

impl ObjectStoreService {
    /// Deletes media. When this returns, it is gone for good from every reading; its object is deleted at once if
    /// storage allows, otherwise by a later sweep.
    pub async fn delete(&self, actor: Actor, id: MediaId) -> Result<()> {
        let mut unknown = None;
        let mut attempt = 1;
        loop {
            let counts = self.settings.quota.is_on();
            let deleted = self.database.transaction(async |conn| {
                let intent = delete_row(conn, actor, id, counts).await?;
                if mutants::is(Mutant::DeletesBeforeTheCommit) {
                    let _early = self.remove(&intent.s3_key, Leftovers::ObjectOnly, None).await;
                }
                Ok(intent)
            });
            let failure = match deleted.await {
                Ok(intent) => {
                    self.purge_soon(&intent, Leftovers::ObjectOnly).await;
                    return Ok(());
                }
                // Gone, since a commit whose answer was lost has deleted it. Its purge intent is for the sweep.
                Err(ObjectStoreError::NotFound) if unknown.is_some() => return Ok(()),
                Err(failure) => failure,
            };
            let may_be_repeated = matches!(&failure, ObjectStoreError::Database(error) if may_be_repeated(error));
            if matches!(failure, ObjectStoreError::Database(RepoError::CommitUnknown { .. })) {
                unknown = Some(failure);
            } else if !may_be_repeated || attempt == DELETE_ATTEMPTS {
                // What failed after an unknown commit says nothing about that one.
                return Err(unknown.unwrap_or(failure));
            }
            if let Some(failure) = unknown.take_if(|_| attempt == DELETE_ATTEMPTS) {
                return Err(failure);
            }
            pause(attempt).await;
            attempt += 1;
        }
    }

    /// Deletes media inside the caller's transaction. The object is deleted by a sweep after the commit; rolled back,
    /// nothing has happened. After any error, or when the future was dropped, roll back.
    pub async fn delete_in(&self, conn: &mut Connection<'_>, actor: Actor, id: MediaId) -> Result<()> {
        delete_row(conn, actor, id, self.settings.quota.is_on()).await.map(drop)
    }
}

/// Deletes a row, writes the intent to purge its object, and where `counts` says so takes its bytes from what its owner has.
pub(crate) async fn delete_row(
    conn: &mut Connection<'_>,
    actor: Actor,
    id: MediaId,
    counts: bool,
) -> Result<ObjectIntent> {
    require_transaction(conn)?;
    if counts && let Some(owner) = presumed_owner(conn, actor, id).await? {
        // Before the row, as everybody.
        UsageRepo::lock(conn, owner).await?;
    }
    let (s3_key, user_id, size_bytes) = match id {
        MediaId::Image(id) => delete_image_row(conn, actor, id).await?,
        MediaId::Audio(id) => delete_audio_row(conn, actor, id).await?,
    };
    if let Some(user) = user_id.filter(|_| counts) {
        UsageRepo::shift(conn, user, -size_bytes, 0).await?;
    }
    let intent = NewIntent {
        s3_key: &s3_key,
        purpose: IntentPurpose::Purge,
        media_id: id,
        user_id,
        declared: "{}",
        multipart_upload_id: None,
    };
    // The row said that its object is whole: every write to this key has been answered, so none can still land.
    let deadlines = Deadlines { not_before_in: Duration::ZERO, clears_in: Duration::ZERO };
    Ok(IntentRepo::create_purge(conn, &intent, deadlines).await?)
}

/// Whose the row is, if it is to be deleted. An owner never changes.
async fn presumed_owner(conn: &mut Connection<'_>, actor: Actor, id: MediaId) -> Result<Option<UserId>> {
    Ok(match (actor, id) {
        (Actor::Anonymous, _) => None,
        (Actor::User(user), _) => Some(user),
        (Actor::System, MediaId::Image(id)) => ImageRepo::get(conn, id).await?.and_then(|row| row.user_id),
        (Actor::System, MediaId::Audio(id)) => AudioRepo::get(conn, id).await?.and_then(|row| row.user_id),
    })
}

/// What is left of a row: its key, its owner and its size.
type Deleted = (String, Option<UserId>, i64);

async fn delete_image_row(conn: &mut Connection<'_>, actor: Actor, id: ImageId) -> Result<Deleted> {
    if let Some(owner) = reach(actor)
        && let Some(row) = ImageRepo::delete_owned(conn, id, owner).await?
    {
        return Ok((row.s3_key, row.user_id, row.size_bytes));
    }
    let row = ImageRepo::get(conn, id).await?.ok_or(ObjectStoreError::NotFound)?;
    Err(refusal(actor, row.user_id))
}

async fn delete_audio_row(conn: &mut Connection<'_>, actor: Actor, id: AudioId) -> Result<Deleted> {
    if let Some(owner) = reach(actor)
        && let Some(row) = AudioRepo::delete_owned(conn, id, owner).await?
    {
        return Ok((row.s3_key, row.user_id, row.size_bytes));
    }
    let row = AudioRepo::get(conn, id).await?.ok_or(ObjectStoreError::NotFound)?;
    Err(refusal(actor, row.user_id))
}

/// Whose media the actor may delete: a clause of the one conditional statement that deletes.
fn reach(actor: Actor) -> Option<Owner> {
    match actor {
        Actor::System => Some(Owner::Anyone),
        Actor::User(user) => Some(Owner::User(user)),
        Actor::Anonymous => None,
    }
}

/// Why a row that is there was not deleted.
fn refusal(actor: Actor, owner: Option<UserId>) -> ObjectStoreError {
    match authorize::delete(actor, owner) {
        Err(error) => error,
        // Written between the two statements, under an id that nobody could know yet.
        Ok(()) => ObjectStoreError::NotFound,
    }
}
