//! Ways of getting the protocol wrong, which tests switch on to show that they would notice: see
//! `object_store_repo::mutants`. Without the feature `mutants` all of them are off for good.

use std::time::Duration;

use object_store_models::Timestamp;
#[cfg(feature = "mutants")]
use object_store_storage::{Body, ObjectKey, ObjectStorage, PutOptions};

object_store_repo::mutants! {
    /// Bytes are put before the intent is committed that names their key.
    PutsBeforeTheIntent,
    /// An intent goes although its object could not be deleted.
    ForgetsFailedDeletes,
    /// An object is deleted before the delete of its row is committed.
    DeletesBeforeTheCommit,
    /// Whoever has an id may read.
    ReadsForeignMedia,
    /// Whoever has an id may complete and cancel.
    FinishesForeignUploads,
    /// Whoever asks may list.
    ListsForeignMedia,
    /// What was found good is copied without a condition.
    CopiesWhateverIsThere,
    /// A write whose answer was lost is tried again under the same key.
    RepeatsUnderTheSameKey,
    /// A write whose answer was lost is taken for one that did not happen.
    TakesTheLostForFailed,
    /// A commit does not settle its idempotency key.
    SettlesNoKey,
    /// Requests with the same idempotency key are not compared.
    ComparesNoRequests,
    /// An idempotency key is taken from an upload that is still going on.
    TakesKeysFromTheLiving,
    /// An erasure leaves the uploads under way.
    ErasesNoUploads,
    /// An erasure leaves the audio.
    ErasesNoAudio,
    /// What a verify sees for the first time is confirmed.
    ConfirmsAtFirstSight,
    /// A verify judges what is young.
    IgnoresTheGrace,
    /// A verify does not ask for rows and intents.
    AsksForNoNames,
    /// An upload can be completed after its time.
    CompletesTheExpired,
    /// An upload that was cancelled or swept meanwhile is completed all the same.
    CompletesTheEnded,
    /// An upload whose bytes were refused stays open.
    KeepsTheRefused,
    /// An upload that was completed can be cancelled.
    CancelsTheCompleted,
    /// A direct upload has no intent.
    BeginsWithoutIntent,
    /// An upload is due as soon as it begins.
    HasNoFence,
    /// A sweep leaves the parts of multipart uploads.
    LeavesParts,
    /// The object of an upload that was committed is deleted when the upload is given up.
    PurgesBlindly,
    /// The largest file allowed is too large: `<` for `<=`.
    RefusesTheLargest,
}

/// When a verify began, to tell what an earlier one has seen.
pub(crate) fn seen_before(started_at: Timestamp) -> Timestamp {
    let later = if is(Mutant::ConfirmsAtFirstSight) { started_at.checked_add(Duration::from_hours(1)) } else { None };
    later.unwrap_or(started_at)
}

/// Puts something under a key that nothing names yet.
#[cfg(feature = "mutants")]
pub(crate) async fn put_too_early(storage: &dyn ObjectStorage, key: &ObjectKey) {
    if is(Mutant::PutsBeforeTheIntent) {
        let options = PutOptions { content_type: "image/png".to_owned(), content_md5: None };
        let _early = storage.put(key, Body::Bytes("early".into()), &options).await;
    }
}
