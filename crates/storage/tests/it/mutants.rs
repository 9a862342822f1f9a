//! A rule that cannot be broken proves nothing: each fault here, one that real servers or adapters have had, must be
//! found by at least the rule that is about it.

use async_trait::async_trait;
use futures::TryStreamExt;
use object_store_storage::contract::{Capabilities, Outcome, rules};
use object_store_storage::{
    Body, BucketInfo, ByteRange, Check, CheckupOptions, CopyOptions, Download, Fix, ListPage, Memory,
    MultipartUploadPage, ObjectKey, ObjectMeta, ObjectStorage, PartPage, PresignGet, PresignPart, PresignPost,
    PresignPut, PresignedPost, PresignedUrl, ProbedCapability, PutOptions, PutOutcome, StorageError, StorageResult,
    UploadedPart,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    StoresWhatCameOfAFailingBody,
    IgnoresTheDigest,
    ForgetsTheContentType,
    IgnoresTheRange,
    IgnoresTheCopyCondition,
    CopiesTheTypeOfTheSource,
    CopiesAllHeaders,
    ListsPrefixesAsFolders,
    IncludesTheKeyItStartsAfter,
    SaysThatAllPagesAreTheLast,
    HidesMultipartUploads,
    ForgetsTheChosenHeaders,
    SignsForAnyTime,
    AnswersAbsenceWithAnotherError,
    CountsABodyOfUnknownLengthAsNothing,
    CreatesTheBucketAgain,
    ListsAllPartsOnEachPage,
    ShowsTheFirstPageOfPartsOnly,
    JoinsWhateverIsThere,
    FindsPartsUnderAnyKey,
    SignsPartsForAnyNumber,
    SignsPartsForAnyLength,
    KeepsAnUploadThatWasCompleted,
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
        (CopiesTheTypeOfTheSource, "a_copy_has_the_same_bytes_and_the_type_that_is_said"),
        (CopiesAllHeaders, "a_copy_has_nothing_else_that_its_source_was_sent_with"),
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
        (ListsAllPartsOnEachPage, "parts_are_listed_over_pages"),
        (ShowsTheFirstPageOfPartsOnly, "parts_are_listed_over_pages"),
        (JoinsWhateverIsThere, "a_completion_of_other_parts_is_refused_and_can_be_mended"),
        (FindsPartsUnderAnyKey, "an_upload_is_of_one_key"),
        (SignsPartsForAnyNumber, "signed_parts_have_numbers_and_lives"),
        (SignsPartsForAnyLength, "a_signed_part_of_another_length_is_refused"),
        (KeepsAnUploadThatWasCompleted, "an_upload_that_ended_has_no_parts"),
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

    async fn copy(&self, from: &ObjectKey, to: &ObjectKey, options: &CopyOptions) -> StorageResult<ObjectMeta> {
        let mut options = options.clone();
        match self.fault {
            Fault::IgnoresTheCopyCondition => options.if_match = None,
            Fault::CopiesTheTypeOfTheSource => {
                options.content_type = self.memory.head(from).await?.content_type.unwrap_or_default();
            }
            Fault::CopiesAllHeaders => return self.copy_as_sent(from, to, &options).await,
            _ => {}
        }
        self.memory.copy(from, to, &options).await
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

    async fn create_multipart_upload(&self, key: &ObjectKey, content_type: &str) -> StorageResult<String> {
        self.memory.create_multipart_upload(key, content_type).await
    }

    async fn list_parts(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        after: Option<u16>,
        limit: u16,
    ) -> StorageResult<PartPage> {
        let key = if self.fault == Fault::FindsPartsUnderAnyKey { self.key_of(upload_id).await? } else { key.clone() };
        let after = if self.fault == Fault::ListsAllPartsOnEachPage { None } else { after };
        let mut page = self.memory.list_parts(&key, upload_id, after, limit).await?;
        page.has_more &= self.fault != Fault::ShowsTheFirstPageOfPartsOnly;
        Ok(page)
    }

    async fn complete_multipart_upload(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        parts: &[UploadedPart],
    ) -> StorageResult<()> {
        match self.fault {
            Fault::JoinsWhateverIsThere => {
                let parts = self.memory.list_parts(key, upload_id, None, 1_000).await?.parts;
                self.memory.complete_multipart_upload(key, upload_id, &parts).await
            }
            Fault::KeepsAnUploadThatWasCompleted => {
                // What comes of it is right, but for that it goes on.
                let options = PutOptions { content_type: "audio/flac".to_owned(), content_md5: None };
                self.memory.put(key, vec![0; 1_000].into(), &options).await.map(drop)
            }
            _ => self.memory.complete_multipart_upload(key, upload_id, parts).await,
        }
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

    async fn presign_part(&self, key: &ObjectKey, options: &PresignPart) -> StorageResult<PresignedUrl> {
        let mut options = options.clone();
        match self.fault {
            Fault::SignsPartsForAnyNumber => options.part_number = options.part_number.clamp(1, 10_000),
            Fault::SignsPartsForAnyLength => options.content_length = 999,
            _ => {}
        }
        self.memory.presign_part(key, &options).await
    }

    async fn presign_post(&self, key: &ObjectKey, options: &PresignPost) -> StorageResult<PresignedPost> {
        self.memory.presign_post(key, options).await
    }

    async fn probe_capabilities(&self) -> StorageResult<Vec<ProbedCapability>> {
        self.memory.probe_capabilities().await
    }

    async fn check_up(&self, options: &CheckupOptions) -> Vec<Check> {
        self.memory.check_up(options).await
    }

    async fn apply_fix(&self, fix: &Fix) -> StorageResult<()> {
        self.memory.apply_fix(fix).await
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

    /// Through a signed URL, which alone can set the headers that a client may send.
    async fn copy_as_sent(&self, from: &ObjectKey, to: &ObjectKey, options: &CopyOptions) -> StorageResult<ObjectMeta> {
        let minute = std::time::Duration::from_mins(1);
        let get = PresignGet { expires_in: minute, ..PresignGet::default() };
        let url = self.memory.presign_get(from, &get).await?.url;
        let fetched = self.memory.fetch(&url).unwrap();
        let put = PresignPut {
            expires_in: minute,
            content_type: options.content_type.clone(),
            content_length: fetched.bytes.len() as u64,
            content_md5: None,
        };
        let signed = self.memory.presign_put(to, &put).await?;
        let headers = [signed.headers, fetched.headers].concat();
        self.memory.submit_put(&signed.url, &headers, fetched.bytes).unwrap();
        self.memory.head(to).await
    }

    async fn key_of(&self, upload_id: &str) -> StorageResult<ObjectKey> {
        let uploads = self.memory.list_multipart_uploads("", None).await?.uploads;
        let found = uploads.into_iter().find(|upload| upload.upload_id == upload_id).unwrap();
        Ok(ObjectKey::parse(&found.key).unwrap())
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
