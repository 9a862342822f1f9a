//! A rule that cannot be broken proves nothing: each fault here, one that real servers or adapters have had, must be
//! found by at least the rule that is about it.

use async_trait::async_trait;
use futures::TryStreamExt;
use object_store_storage::contract::{Capabilities, Outcome, rules};
use object_store_storage::{
    Body, BucketInfo, ByteRange, CopyCondition, Download, ListPage, Memory, MultipartUploadPage, ObjectKey, ObjectMeta,
    ObjectStorage, PresignGet, PresignPost, PresignPut, PresignedPost, PresignedUrl, PutOptions, PutOutcome,
    StorageError, StorageResult,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    StoresWhatCameOfAFailingBody,
    IgnoresTheDigest,
    ForgetsTheContentType,
    IgnoresTheRange,
    IgnoresTheCopyCondition,
    ListsPrefixesAsFolders,
    IncludesTheKeyItStartsAfter,
    SaysThatAllPagesAreTheLast,
    HidesMultipartUploads,
    ForgetsTheChosenHeaders,
    SignsForAnyTime,
    AnswersAbsenceWithAnotherError,
    CountsABodyOfUnknownLengthAsNothing,
    CreatesTheBucketAgain,
}

#[derive(Debug)]
struct Faulty {
    memory: Memory,
    fault: Fault,
}

#[tokio::test]
async fn each_fault_is_found() {
    use Fault::*;
    for (fault, rule) in [
        (StoresWhatCameOfAFailingBody, "a_failing_body_stores_nothing"),
        (StoresWhatCameOfAFailingBody, "a_wrong_announced_length_stores_nothing"),
        (StoresWhatCameOfAFailingBody, "a_failed_put_leaves_the_earlier_object"),
        (IgnoresTheDigest, "a_wrong_md5_stores_nothing"),
        (ForgetsTheContentType, "content_types_are_kept"),
        (IgnoresTheRange, "ranges_are_exact"),
        (IgnoresTheRange, "ranges_outside_are_refused"),
        (IgnoresTheCopyCondition, "a_copy_of_another_etag_does_not_happen"),
        (ListsPrefixesAsFolders, "a_listing_ends_with_its_prefix"),
        (IncludesTheKeyItStartsAfter, "a_listing_starts_after_a_key"),
        (IncludesTheKeyItStartsAfter, "a_listing_is_complete_and_ascending_whatever_the_page"),
        (SaysThatAllPagesAreTheLast, "a_listing_goes_over_hundreds_of_pages"),
        (HidesMultipartUploads, "a_running_multipart_upload_is_listed_and_can_be_aborted"),
        (ForgetsTheChosenHeaders, "a_signed_get_answers_the_chosen_headers"),
        (SignsForAnyTime, "signed_urls_live_1_second_to_7_days"),
        (AnswersAbsenceWithAnotherError, "reading_what_is_missing_is_not_found"),
        (CountsABodyOfUnknownLengthAsNothing, "streams_of_unknown_length_come_back"),
        (CreatesTheBucketAgain, "ensuring_an_existing_bucket_changes_nothing"),
    ] {
        let faulty = Faulty { memory: Memory::new(), fault };
        let rule = rules().into_iter().find(|candidate| candidate.name == rule).expect("the rule exists");
        // The watched time of this rule is long; the test need not be.
        if fault == HidesMultipartUploads {
            tokio::time::pause();
        }
        let outcome = rule.run(&faulty, &faulty.memory, &Capabilities::ALL).await;
        assert!(matches!(outcome.outcome, Outcome::Broken(_)), "{fault:?}: {outcome}");
        if fault == HidesMultipartUploads {
            tokio::time::resume();
        }
    }
}

#[async_trait]
impl ObjectStorage for Faulty {
    async fn put(&self, key: &ObjectKey, body: Body, options: &PutOptions) -> StorageResult<PutOutcome> {
        let mut options = options.clone();
        match self.fault {
            Fault::IgnoresTheDigest => options.content_md5 = None,
            Fault::ForgetsTheContentType => "application/octet-stream".clone_into(&mut options.content_type),
            Fault::StoresWhatCameOfAFailingBody => return self.put_what_comes(key, body, &options).await,
            _ => {}
        }
        let length = body.length();
        let mut outcome = self.memory.put(key, body, &options).await?;
        if self.fault == Fault::CountsABodyOfUnknownLengthAsNothing {
            outcome.size_bytes = length.unwrap_or(0);
        }
        Ok(outcome)
    }

    async fn get(&self, key: &ObjectKey, range: Option<ByteRange>) -> StorageResult<Download> {
        let range = if self.fault == Fault::IgnoresTheRange { None } else { range };
        self.memory.get(key, range).await.map_err(|error| self.absence(error))
    }

    async fn head(&self, key: &ObjectKey) -> StorageResult<ObjectMeta> {
        self.memory.head(key).await.map_err(|error| self.absence(error))
    }

    async fn copy(&self, from: &ObjectKey, to: &ObjectKey, condition: &CopyCondition) -> StorageResult<ObjectMeta> {
        let ignored = CopyCondition::default();
        let condition = if self.fault == Fault::IgnoresTheCopyCondition { &ignored } else { condition };
        self.memory.copy(from, to, condition).await
    }

    async fn delete(&self, key: &ObjectKey) -> StorageResult<()> {
        self.memory.delete(key).await
    }

    async fn list_page(&self, prefix: &str, after: Option<&str>, limit: u16) -> StorageResult<ListPage> {
        let mut page = self.memory.list_page(prefix, after, limit).await?;
        match self.fault {
            Fault::ListsPrefixesAsFolders => {
                let folder = format!("{}/", prefix.trim_end_matches('/'));
                page.objects.retain(|object| object.key.starts_with(&folder));
            }
            Fault::IncludesTheKeyItStartsAfter => {
                if let Some(after) = after {
                    let before = self.memory.list_page(prefix, None, 1_000).await?.objects;
                    let repeated = before.into_iter().find(|object| object.key == after);
                    page.objects.splice(0..0, repeated);
                    page.objects.truncate(usize::from(limit));
                }
            }
            Fault::SaysThatAllPagesAreTheLast => page.has_more = false,
            _ => {}
        }
        Ok(page)
    }

    async fn list_multipart_uploads(&self, prefix: &str, marker: Option<&str>) -> StorageResult<MultipartUploadPage> {
        let mut page = self.memory.list_multipart_uploads(prefix, marker).await?;
        if self.fault == Fault::HidesMultipartUploads {
            page.uploads.clear();
        }
        Ok(page)
    }

    async fn abort_multipart_upload(&self, key: &ObjectKey, upload_id: &str) -> StorageResult<()> {
        self.memory.abort_multipart_upload(key, upload_id).await
    }

    async fn presign_get(&self, key: &ObjectKey, options: &PresignGet) -> StorageResult<PresignedUrl> {
        let mut options = options.clone();
        match self.fault {
            Fault::ForgetsTheChosenHeaders => options.content_disposition = None,
            Fault::SignsForAnyTime => options.expires_in = std::time::Duration::from_mins(1),
            _ => {}
        }
        self.memory.presign_get(key, &options).await
    }

    async fn presign_put(&self, key: &ObjectKey, options: &PresignPut) -> StorageResult<PresignedUrl> {
        self.memory.presign_put(key, options).await
    }

    async fn presign_post(&self, key: &ObjectKey, options: &PresignPost) -> StorageResult<PresignedPost> {
        self.memory.presign_post(key, options).await
    }

    async fn bucket_info(&self) -> StorageResult<BucketInfo> {
        self.memory.bucket_info().await
    }

    async fn ensure_bucket(&self) -> StorageResult<bool> {
        Ok(self.memory.ensure_bucket().await? || self.fault == Fault::CreatesTheBucketAgain)
    }
}

impl Faulty {
    async fn put_what_comes(&self, key: &ObjectKey, body: Body, options: &PutOptions) -> StorageResult<PutOutcome> {
        let length = body.length();
        let (mut stream, mut bytes) = (body.into_stream(), Vec::new());
        let failure = loop {
            match stream.try_next().await {
                Ok(Some(piece)) => bytes.extend_from_slice(&piece),
                Ok(None) => break None,
                Err(error) => break Some(StorageError::Body(error)),
            }
        };
        let wrong = length.is_some_and(|length| length != bytes.len() as u64);
        let outcome = self.memory.put(key, bytes.into(), options).await?;
        match failure {
            Some(failure) => Err(failure),
            None if wrong => Err(StorageError::Corrupted { reason: "the length differs" }),
            None => Ok(outcome),
        }
    }

    fn absence(&self, error: StorageError) -> StorageError {
        match error {
            StorageError::NotFound { .. } if self.fault == Fault::AnswersAbsenceWithAnotherError => {
                StorageError::AccessDenied { code: "AccessDenied".to_owned() }
            }
            error => error,
        }
    }
}
