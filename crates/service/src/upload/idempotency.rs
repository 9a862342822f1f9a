//! Idempotency keys: a request that comes again does nothing again.

use std::time::Duration;

use object_store_models::{
    IntentPurpose, MediaId, NewIdempotencyKey, NewIntent, ObjectIntent, Sha256, Timestamp, UserId,
};
use object_store_repo::{ClaimedKey, Connection, IdempotencyRepo, IntentRepo, UsageRepo};
use object_store_storage::ObjectKey;
use sha2::Digest;

use crate::error::{ConflictError, ObjectStoreError, Result, ValidationError};
use crate::mutants::{self, Mutant};
use crate::service::ObjectStoreService;
use crate::upload::abandon::fresh_key;
use crate::upload::reserve::{Hold, declare_holding};
use crate::upload::staged::StagedObject;
use crate::upload::write::{INTENT_ATTEMPTS, Intent, declare_on, may_be_repeated, pause, upload_of};

/// How many keys are forgotten at once.
const FORGET_BATCH: u16 = 1_000;

/// A key that a client made up: 1 to 255 visible ASCII characters.
#[derive(Clone)]
pub(crate) struct IdempotencyKey(String);

impl IdempotencyKey {
    const MAX_BYTES: usize = 255;

    pub(crate) fn parse(text: String) -> Result<Self, ValidationError> {
        let is_key = (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_key {
            Ok(Self(text))
        } else {
            Err(ValidationError::BadIdempotencyKey { limit: Self::MAX_BYTES, actual: text.len() })
        }
    }
}

/// A key, and what makes a request with it the same.
pub(crate) struct Keyed {
    pub(crate) key: IdempotencyKey,
    pub(crate) hash: Sha256,
}

impl Keyed {
    pub(crate) fn of(&self, id: MediaId, user_id: Option<UserId>) -> NewIdempotencyKey<'_> {
        NewIdempotencyKey::new(id, user_id, &self.key.0, self.hash)
    }
}

/// The digest of a request, part by part. Each part says whether it is there and how long it is, so that no two requests
/// have the same parts strung together.
pub(crate) struct RequestHash(sha2::Sha256);

impl RequestHash {
    pub(crate) fn of(operation: &str) -> Self {
        Self(sha2::Sha256::new()).text(Some(operation))
    }

    pub(crate) fn bytes(mut self, part: Option<&[u8]>) -> Self {
        match part {
            None => self.0.update([0]),
            Some(part) => {
                self.0.update([1]);
                self.0.update((part.len() as u64).to_be_bytes());
                self.0.update(part);
            }
        }
        self
    }

    pub(crate) fn text(self, part: Option<&str>) -> Self {
        self.bytes(part.map(str::as_bytes))
    }

    pub(crate) fn number(self, part: Option<u64>) -> Self {
        self.bytes(part.map(u64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice))
    }

    pub(crate) fn user(self, part: Option<UserId>) -> Self {
        self.bytes(part.as_ref().map(|user| user.uuid().into_bytes()).as_ref().map(<[u8; 16]>::as_slice))
    }

    pub(crate) fn finish(self) -> Sha256 {
        <[u8; 32]>::from(self.0.finalize()).into()
    }
}

/// What an upload that may have a key comes upon.
pub(crate) enum Claim {
    /// Nobody has done it: its intent is committed.
    Declared(Intent),
    /// It was done before.
    StoredBefore(MediaId),
}

/// What a transaction that was to write an intent has come upon.
enum Declared {
    /// The intent, of this generation.
    Written(i64),
    StoredBefore(MediaId),
}

/// Whom a key stands for.
pub(crate) enum Holder {
    /// The request that asks.
    Mine,
    /// An earlier one, which was completed. Until when that is remembered.
    Completed(MediaId, Timestamp),
    /// An earlier one that is still going on, with this intent.
    Open(ObjectIntent),
}

impl ObjectStoreService {
    /// Commits the intent to write a fresh key for `id`, unless a request with the same idempotency key was here before.
    pub(crate) async fn declare_keyed(
        &self,
        id: MediaId,
        user_id: Option<UserId>,
        keyed: Option<&Keyed>,
        hold: Option<&Hold>,
    ) -> Result<Claim> {
        let Some(keyed) = keyed else {
            return self.declare_with(id, user_id, hold).await.map(Claim::Declared);
        };
        let key = fresh_key(id.kind().as_str(), id.uuid())?;
        let intent = upload_of(&key, id, user_id);
        let mut attempt = 1;
        loop {
            match self.declare_keyed_once(&intent, keyed, hold, attempt > 1).await {
                Ok(Declared::Written(generation)) => {
                    return Ok(Claim::Declared(Intent { key, generation, keyed_as: Some(id) }));
                }
                Ok(Declared::StoredBefore(id)) => return Ok(Claim::StoredBefore(id)),
                Err(ObjectStoreError::Database(error)) if may_be_repeated(&error) && attempt < INTENT_ATTEMPTS => {
                    pause(attempt).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn declare_keyed_once(
        &self,
        intent: &NewIntent<'_>,
        keyed: &Keyed,
        hold: Option<&Hold>,
        repeated: bool,
    ) -> Result<Declared> {
        let deadlines = self.upload_deadlines();
        let expires_in = self.upload_key_expiry();
        let new_key = keyed.of(intent.media_id, intent.user_id);
        self.database
            .transaction(async |conn| {
                if let Some(hold) = hold {
                    // Before the idempotency key, as whoever commits.
                    UsageRepo::lock(conn, hold.allowance.user).await?;
                }
                match holder(conn, &new_key, expires_in, IntentPurpose::Upload).await? {
                    Holder::Mine => {
                        let generation = match hold {
                            None => declare_on(conn, intent, deadlines).await?,
                            Some(hold) => declare_holding(conn, intent, deadlines, hold, repeated).await?,
                        };
                        Ok(Declared::Written(generation))
                    }
                    Holder::Completed(id, _) => Ok(Declared::StoredBefore(id)),
                    Holder::Open(_) => Err(ObjectStoreError::InProgress),
                }
            })
            .await
    }

    /// How long a key is remembered from the moment at which the fence of its upload begins anew.
    pub(crate) fn upload_key_expiry(&self) -> Duration {
        self.settings.timings.upload_fence + self.settings.timings.idempotency
    }

    /// Notes that the upload which a key stands for is being committed. The first statement of its transaction, so that
    /// whoever has the key locked waits for nothing that this transaction has.
    ///
    /// # Errors
    /// [`ObjectStoreError::UploadExpired`] when the key stands for another upload by now, or was forgotten.
    pub(crate) async fn settle_key(&self, conn: &mut Connection<'_>, id: MediaId, object: &StagedObject) -> Result<()> {
        let expires_in = self.settings.timings.idempotency;
        if mutants::is(Mutant::SettlesNoKey) {
            return Ok(());
        }
        if object.is_keyed && !IdempotencyRepo::settle(conn, id, expires_in).await? {
            return Err(ObjectStoreError::UploadExpired);
        }
        Ok(())
    }

    /// Forgets the keys whose time is over.
    pub(crate) async fn forget_idempotency_keys(&self) -> Result<()> {
        loop {
            let forgotten = self
                .database
                .transaction(async |conn| IdempotencyRepo::forget_expired(conn, FORGET_BATCH.into()).await)
                .await?;
            if forgotten < usize::from(FORGET_BATCH) {
                return Ok(());
            }
        }
    }
}

/// Makes a key stand for a new upload, or tells which one it stands for. An upload that was given up loses its key to the
/// same request; should it be committed all the same, [`ObjectStoreService::settle_key`] refuses.
pub(crate) async fn holder(
    conn: &mut Connection<'_>,
    new: &NewIdempotencyKey<'_>,
    expires_in: Duration,
    purpose: IntentPurpose,
) -> Result<Holder> {
    let row = match IdempotencyRepo::claim(conn, new, expires_in).await? {
        Some(ClaimedKey::Fresh) => return Ok(Holder::Mine),
        Some(ClaimedKey::Taken(row)) => row,
        // Forgotten at this very moment.
        None => return Err(ObjectStoreError::InProgress),
    };
    let id = row.media_id();
    if row.request_hash != new.request_hash && !mutants::is(Mutant::ComparesNoRequests) {
        return Err(ConflictError::IdempotencyKey.into());
    }
    if id == new.media_id() {
        return Ok(Holder::Mine);
    }
    if row.stored_at.is_some() {
        return Ok(Holder::Completed(id, row.expires_at));
    }
    let directory = match purpose {
        IntentPurpose::Direct => ObjectKey::staging_directory(&id.to_string()),
        IntentPurpose::Upload | IntentPurpose::Purge => {
            ObjectKey::object_directory(id.kind().as_str(), &id.to_string())
        }
    };
    let intents = IntentRepo::under(conn, &directory).await?;
    let open = intents.into_iter().find(|(intent, is_due)| intent.purpose == purpose && !is_due);
    if let Some((open, _)) = open.filter(|_| !mutants::is(Mutant::TakesKeysFromTheLiving)) {
        return Ok(Holder::Open(open));
    }
    if IdempotencyRepo::pass_on(conn, id, new, expires_in).await? {
        Ok(Holder::Mine)
    } else {
        Err(ObjectStoreError::InProgress)
    }
}

#[cfg(test)]
mod tests {
    use super::{IdempotencyKey, RequestHash};

    #[test]
    fn a_key_has_1_to_255_visible_ascii_characters() {
        for key in ["a", "~", &"x".repeat(255), "0193-a/b:c"] {
            assert!(IdempotencyKey::parse(key.to_owned()).is_ok(), "{key}");
        }
        for key in ["", &"x".repeat(256), "a b", "a\n", "é", "\0", "\u{7f}"] {
            assert!(IdempotencyKey::parse(key.to_owned()).is_err(), "{key:?}");
        }
    }

    #[test]
    fn requests_with_different_parts_have_different_digests() {
        let hash = |a: Option<&str>, b: Option<&str>| RequestHash::of("test").text(a).text(b).finish();
        let all = [
            hash(None, None),
            hash(Some(""), None),
            hash(None, Some("")),
            hash(Some("ab"), Some("c")),
            hash(Some("a"), Some("bc")),
            RequestHash::of("other").text(None).text(None).finish(),
            RequestHash::of("test").number(Some(0)).number(None).finish(),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(all[..index].iter().all(|other| other != one), "{index}");
        }
        assert_eq!(hash(Some("a"), None), hash(Some("a"), None));
    }
}
