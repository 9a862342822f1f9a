//! Reserving bytes of a user's quota for an upload, and giving back what it did not take.
//!
//! What is reserved stands on the upload's intent, and in its owner's counter; both change in one transaction, which locks
//! the counter before anything else. An intent that becomes a purge gives back what it holds before its object is looked
//! at, whoever comes upon it, and whatever that process counts.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use object_store_models::{NewIntent, ObjectIntent, UserId};
use object_store_repo::{Connection, Deadlines, IntentRepo, Reservation, UsageRepo};
use object_store_storage::ByteStream;

use crate::error::{ObjectStoreError, Result};
use crate::quota::Quota;
use crate::service::ObjectStoreService;
use crate::upload::staged::StagedObject;
use crate::upload::write::{INTENT_ATTEMPTS, Intent, may_be_repeated, pause};

/// A stream of unknown length reserves at least so many bytes at a time, where they fit: few transactions, and little that
/// is kept from others for nothing.
const STEP: u64 = 8 << 20;

/// And of what it has sent, one in so many.
const STEP_ONE_OF: u64 = 8;

/// Whose bytes are counted, and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) user: UserId,
    pub(crate) limit: Option<u64>,
}

/// What an intent is to hold from its first instant on.
#[derive(Debug, Clone)]
pub(crate) struct Hold {
    pub(crate) allowance: Allowance,
    pub(crate) bytes: u64,
}

impl ObjectStoreService {
    /// `None` where nobody counts. Not inside a transaction: the host may have to ask others.
    pub(crate) async fn allowance(&self, user_id: Option<UserId>) -> Result<Option<Allowance>> {
        let Some(user) = user_id else { return Ok(None) };
        let limit = match &self.settings.quota {
            Quota::Off => return Ok(None),
            Quota::Counted => None,
            Quota::PerUser(limit) => Some(*limit),
            Quota::ByUser(host) => host.limit(user).await.map_err(ObjectStoreError::QuotaUnknown)?,
        };
        Ok(Some(Allowance { user, limit }))
    }

    /// Gives back what an intent holds that has become a purge.
    pub(crate) async fn give_back(&self, purge: &ObjectIntent) -> Result<()> {
        let Some(user) = purge.user_id.filter(|_| purge.reserved_bytes > 0) else {
            return Ok(());
        };
        let (key, bytes) = (purge.s3_key.as_str(), purge.reserved_bytes);
        let mut attempt = 1;
        loop {
            let given_back = self
                .database
                .transaction(async |conn| {
                    UsageRepo::lock(conn, user).await?;
                    release(conn, user, key, bytes).await
                })
                .await;
            match given_back {
                // Should the first attempt have taken effect after all, this one finds nothing to give back.
                Err(ObjectStoreError::Database(error)) if may_be_repeated(&error) && attempt < INTENT_ATTEMPTS => {
                    pause(attempt).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// The same stream, each piece of which waits until its intent holds as many bytes as have come until then: `held` of
    /// them it has from the beginning, and `most` are never exceeded.
    pub(crate) fn reserving(
        &self,
        stream: ByteStream,
        intent: &Intent,
        allowance: Allowance,
        held: u64,
        most: u64,
    ) -> (ByteStream, Refusal) {
        let refusal = Refusal::default();
        let growing = Growing {
            service: self.clone(),
            intent: intent.clone(),
            allowance,
            held,
            most,
            passed: 0,
            refusal: refusal.clone(),
        };
        let stream = futures::stream::unfold(Some((stream, growing)), async |state| {
            let (mut stream, mut growing) = state?;
            let piece = match stream.next().await? {
                Ok(piece) => growing.admit(piece.len() as u64).await.map(|()| piece),
                Err(error) => Err(error),
            };
            // After an error nothing comes any more.
            let state = piece.is_ok().then_some((stream, growing));
            Some((piece, state))
        });
        (stream.boxed(), refusal)
    }

    /// Makes the intent of an upload under way hold `need` bytes, and up to `want` where they fit. Returns how many it
    /// holds.
    async fn grow(&self, intent: &Intent, allowance: Allowance, need: u64, want: u64) -> Result<u64> {
        let (key, generation) = (intent.key.as_str(), intent.generation);
        let mut attempt = 1;
        loop {
            let grown =
                self.database.transaction(async |conn| grow(conn, key, generation, allowance, need, want).await).await;
            match grown {
                Err(ObjectStoreError::Database(error)) if may_be_repeated(&error) && attempt < INTENT_ATTEMPTS => {
                    pause(attempt).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// Makes the intent of an upload hold what was sent, and no more.
    pub(crate) async fn trim(&self, intent: &Intent, allowance: Allowance, bytes: u64) -> Result<()> {
        let (key, generation) = (intent.key.as_str(), intent.generation);
        self.database
            .transaction(async |conn| {
                UsageRepo::lock(conn, allowance.user).await?;
                let held = IntentRepo::reserved(conn, key, generation).await?;
                let held = held.ok_or(ObjectStoreError::UploadExpired)?;
                let less = held.saturating_sub(stored(bytes));
                if less > 0 {
                    IntentRepo::set_reserved(conn, key, generation, held - less).await?;
                    UsageRepo::shift(conn, allowance.user, 0, -less).await?;
                }
                Ok(())
            })
            .await
    }
}

/// Why a stream was stopped that could not reserve any more, if it was.
#[derive(Clone, Default)]
pub(crate) struct Refusal(Arc<Mutex<Option<ObjectStoreError>>>);

impl Refusal {
    pub(crate) fn take(&self) -> Option<ObjectStoreError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, error: ObjectStoreError) -> io::Error {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        io::Error::other("no more bytes could be reserved")
    }
}

/// A stream under way.
struct Growing {
    service: ObjectStoreService,
    intent: Intent,
    allowance: Allowance,
    /// What the intent holds.
    held: u64,
    most: u64,
    /// How many bytes have come.
    passed: u64,
    refusal: Refusal,
}

impl Growing {
    /// Lets a piece through once it is reserved.
    async fn admit(&mut self, bytes: u64) -> io::Result<()> {
        self.passed = self.passed.saturating_add(bytes);
        let need = self.passed;
        if need <= self.held {
            return Ok(());
        }
        let want = need.saturating_add(STEP.max(need / STEP_ONE_OF)).min(self.most);
        let (service, intent, allowance) = (self.service.clone(), self.intent.clone(), self.allowance);
        // A task of its own: storage may not ask for the next piece for a while, and the transaction must not wait for it.
        let grown = tokio::spawn(async move { service.grow(&intent, allowance, need, want).await });
        match grown.await.unwrap_or(Err(ObjectStoreError::Interrupted("the task that reserves bytes stopped"))) {
            Ok(held) => {
                self.held = held;
                Ok(())
            }
            Err(error) => Err(self.refusal.set(error)),
        }
    }
}

/// Commits nothing: adds to what is reserved, if it fits.
pub(crate) async fn reserve(conn: &mut Connection<'_>, allowance: Allowance, bytes: i64) -> Result<()> {
    let limit = allowance.limit.map(stored);
    match UsageRepo::reserve(conn, allowance.user, bytes, limit).await? {
        Reservation::Made => Ok(()),
        Reservation::Exceeded(usage) => Err(ObjectStoreError::QuotaExceeded {
            limit: allowance.limit.unwrap_or(u64::MAX),
            used: shown(usage.used_bytes),
            reserved: shown(usage.reserved_bytes),
            asked: shown(bytes),
        }),
    }
}

/// Writes an intent that holds bytes, or finds that an earlier attempt has: `repeated` says that there may have been one.
/// In a transaction. Returns its generation.
pub(crate) async fn declare_holding(
    conn: &mut Connection<'_>,
    intent: &NewIntent<'_>,
    deadlines: Deadlines,
    hold: &Hold,
    repeated: bool,
) -> Result<i64> {
    let (user, bytes) = (hold.allowance.user, stored(hold.bytes));
    if repeated {
        // Waits for an attempt whose commit is still under way.
        UsageRepo::lock(conn, user).await?;
        if let Some(written) = IntentRepo::get(conn, intent.s3_key).await? {
            return Ok(written.generation);
        }
    }
    reserve(conn, hold.allowance, bytes).await?;
    match IntentRepo::create_reserving(conn, intent, deadlines, bytes).await? {
        Some(written) => Ok(written.generation),
        // Cannot be: the key is fresh. Nothing stays reserved for it.
        None => Err(ObjectStoreError::UploadExpired),
    }
}

/// Makes an upload's intent hold `need` bytes, and up to `want` where they fit. Returns how many it holds.
pub(crate) async fn grow(
    conn: &mut Connection<'_>,
    s3_key: &str,
    generation: i64,
    allowance: Allowance,
    need: u64,
    want: u64,
) -> Result<u64> {
    let usage = UsageRepo::lock(conn, allowance.user).await?;
    let held = IntentRepo::reserved(conn, s3_key, generation).await?.ok_or(ObjectStoreError::UploadExpired)?;
    let (need, want) = (stored(need), stored(want));
    if held >= need {
        return Ok(shown(held));
    }
    let room = allowance.limit.map_or(i64::MAX, |limit| stored(limit).saturating_sub(usage.total()));
    let holds = want.min(held.saturating_add(room)).max(need);
    reserve(conn, allowance, holds - held).await?;
    if IntentRepo::set_reserved(conn, s3_key, generation, holds).await? {
        Ok(shown(holds))
    } else {
        Err(ObjectStoreError::UploadExpired)
    }
}

/// Hands what a direct upload holds to the intent of its final key, from which the commit takes it; more, if the file has
/// more bytes than were reserved when it began. The counter is locked.
pub(crate) async fn hand_over(
    conn: &mut Connection<'_>,
    allowance: Allowance,
    purge: &mut ObjectIntent,
    object: &StagedObject,
) -> Result<()> {
    let held = purge.reserved_bytes;
    if IntentRepo::release(conn, &purge.s3_key, held).await? {
        purge.reserved_bytes = 0;
    }
    let size = stored(object.size_bytes);
    if size > held {
        reserve(conn, allowance, size - held).await?;
    }
    if IntentRepo::set_reserved(conn, object.key.as_str(), object.generation, held.max(size)).await? {
        Ok(())
    } else {
        Err(ObjectStoreError::UploadExpired)
    }
}

/// Counts a file whose row has come in place of an intent that held `held` bytes.
pub(crate) async fn settle(conn: &mut Connection<'_>, object: &StagedObject, held: i64) -> Result<()> {
    let Some(user) = object.user_id else { return Ok(()) };
    // Where nobody counts, only what somebody has reserved is given back.
    let size = if object.is_counted { stored(object.size_bytes) } else { 0 };
    if (size, held) == (0, 0) {
        return Ok(());
    }
    Ok(UsageRepo::shift(conn, user, size, -held).await?)
}

/// Gives back what an intent holds, unless that was done. The counter is locked.
async fn release(conn: &mut Connection<'_>, user: UserId, s3_key: &str, bytes: i64) -> Result<()> {
    if IntentRepo::release(conn, s3_key, bytes).await? {
        UsageRepo::shift(conn, user, 0, -bytes).await?;
    }
    Ok(())
}

/// No file has as many bytes as a column can tell; a limit that has is none.
fn stored(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn shown(bytes: i64) -> u64 {
    u64::try_from(bytes).unwrap_or_default()
}
