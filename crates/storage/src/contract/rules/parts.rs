//! Multipart uploads whose parts a client sends by signed URLs.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;

use crate::contract::harness::{Harness, MINUTE, OrBroken, ensure, ensure_error, sample};
use crate::contract::{RuleResult, Violation};
use crate::error::StorageError;
use crate::key::ObjectKey;
use crate::parts::{MAX_PARTS, UploadedPart};
use crate::presign::{MAX_PRESIGN_SECONDS, PresignPart, PresignedUrl};

/// The least size of a part that is not the last.
const PART: usize = 5 << 20;

/// The shortest life, and a wait that outlasts it on a server that counts whole seconds.
const SHORT_LIFE: Duration = Duration::from_secs(1);
const UNTIL_EXPIRED: Duration = Duration::from_millis(3_100);

pub(super) async fn parts_in_any_order_become_one_object(harness: &Harness<'_>) -> RuleResult {
    let upload = Upload::begin(harness, "whole").await?;
    let all = sample(2 * PART + 1_000, 1);
    ensure(upload.listed().await?.is_empty(), || "an upload has no parts at first".to_owned())?;
    upload.send(3, all.slice(2 * PART..)).await?;
    upload.send(1, all.slice(..PART)).await?;
    upload.send(2, all.slice(PART..2 * PART)).await?;
    harness.is_absent(&upload.key).await?;

    let parts = upload.listed().await?;
    let told: Vec<_> = parts.iter().map(|part| (part.number, part.size_bytes)).collect();
    let sizes = [(1, PART as u64), (2, PART as u64), (3, 1_000)];
    ensure(told == sizes, || format!("parts are listed with number and size, {sizes:?}; they are {told:?}"))?;
    upload.complete(&parts).await.or_broken("complete_multipart_upload succeeds")?;
    harness.holds(&upload.key, &all).await?;
    let found = harness.storage.head(&upload.key).await.or_broken("head succeeds")?.content_type;
    ensure(found.as_deref() == Some("audio/flac"), || {
        format!("the object has the content type of the upload; it has {found:?}")
    })?;
    let open = harness.multipart_uploads().await?;
    ensure(open.is_empty(), || format!("a completed upload is not listed; {open:?} is"))
}

pub(super) async fn a_part_sent_again_replaces_the_first(harness: &Harness<'_>) -> RuleResult {
    let upload = Upload::begin(harness, "again").await?;
    let signed = upload.sign(1, 1_000).await?;
    for seed in [1, 2] {
        let answer = harness.send_signed("PUT", &signed, sample(1_000, seed)).await?;
        ensure(answer.is_success(), || format!("a part can be sent again; it answers {}", answer.status))?;
    }
    upload.send(1, sample(2_000, 3)).await?;
    let parts = upload.listed().await?;
    ensure(parts.len() == 1 && parts[0].size_bytes == 2_000, || {
        format!("the last of a number is the only one that is listed; {parts:?} is")
    })?;
    upload.complete(&parts).await.or_broken("complete_multipart_upload succeeds")?;
    harness.holds(&upload.key, &sample(2_000, 3)).await
}

pub(super) async fn parts_are_listed_over_pages(harness: &Harness<'_>) -> RuleResult {
    let upload = Upload::begin(harness, "pages").await?;
    let numbers = [1, 2, 3, 7, 500, 1_000];
    for number in numbers {
        upload.send(number, sample(10, 1)).await?;
    }
    for limit in [1, 2, 5, 6, 1_000] {
        let listed: Vec<_> = upload.pages(limit).await?.iter().map(|part| part.number).collect();
        ensure(listed == numbers, || format!("pages of {limit} have parts {numbers:?}; they have {listed:?}"))?;
    }
    for limit in [0, 1_001] {
        let page = harness.storage.list_parts(&upload.key, &upload.id, None, limit).await;
        ensure_error(page, &format!("a page of {limit} parts is InvalidRequest"), is_invalid)?;
    }
    Ok(())
}

pub(super) async fn parts_have_numbers_up_to_10000(harness: &Harness<'_>) -> RuleResult {
    let upload = Upload::begin(harness, "last").await?;
    upload.send(MAX_PARTS, sample(1_000, 1)).await?;
    let parts = upload.listed().await?;
    ensure(parts.len() == 1 && parts[0].number == MAX_PARTS, || {
        format!("the part {MAX_PARTS} is listed; {parts:?} are")
    })?;
    upload.complete(&parts).await.or_broken("complete_multipart_upload succeeds")?;
    harness.holds(&upload.key, &sample(1_000, 1)).await
}

pub(super) async fn a_completion_of_other_parts_is_refused_and_can_be_mended(harness: &Harness<'_>) -> RuleResult {
    let upload = Upload::begin(harness, "mended").await?;
    upload.send(1, sample(PART, 1)).await?;
    upload.send(2, sample(1_000, 2)).await?;
    let parts = upload.listed().await?;
    upload.send(2, sample(1_000, 3)).await?;
    let refused = upload.complete(&parts).await;
    ensure_error(refused, "a completion with a part that was replaced is PreconditionFailed", is_other)?;
    let parts = upload.listed().await?;
    let missing = UploadedPart { number: 3, ..parts[1].clone() };
    // In place of the second, which would be too small in the middle.
    let refused = upload.complete(&[&parts[..1], &[missing]].concat()).await;
    ensure_error(refused, "a completion with a part that was not sent is PreconditionFailed", is_other)?;
    harness.is_absent(&upload.key).await?;
    upload.complete(&parts).await.or_broken("a completion as listed succeeds")?;
    harness.holds(&upload.key, &[sample(PART, 1), sample(1_000, 3)].concat()).await
}

pub(super) async fn an_upload_that_ended_has_no_parts(harness: &Harness<'_>) -> RuleResult {
    for name in ["aborted", "completed"] {
        let upload = Upload::begin(harness, name).await?;
        upload.send(1, sample(1_000, 1)).await?;
        let parts = upload.listed().await?;
        let signed = upload.sign(2, 1_000).await?;
        if name == "aborted" {
            let aborted = harness.storage.abort_multipart_upload(&upload.key, &upload.id).await;
            aborted.or_broken("abort_multipart_upload succeeds")?;
        } else {
            upload.complete(&parts).await.or_broken("complete_multipart_upload succeeds")?;
        }
        let listed = harness.storage.list_parts(&upload.key, &upload.id, None, 10).await;
        ensure_error(listed, &format!("parts of an upload that was {name} are UploadMissing"), is_missing)?;
        let sent = harness.send_signed("PUT", &signed, sample(1_000, 2)).await?;
        // By whatever answer: a server that fails takes nothing, either.
        ensure(!sent.is_success(), || format!("an upload that was {name} takes no part; it answers {}", sent.status))?;
        match upload.complete(&parts).await {
            Err(StorageError::UploadMissing { .. }) => {}
            Ok(()) if name == "completed" => {}
            other => {
                ensure_error(other, &format!("an upload that was {name} is UploadMissing"), is_missing)?;
            }
        }
        if name == "completed" {
            harness.holds(&upload.key, &sample(1_000, 1)).await?;
        } else {
            harness.is_absent(&upload.key).await?;
        }
    }
    Ok(())
}

pub(super) async fn an_upload_is_of_one_key(harness: &Harness<'_>) -> RuleResult {
    let upload = Upload::begin(harness, "mine").await?;
    upload.send(1, sample(10, 1)).await?;
    let parts = upload.listed().await?;
    let other = Upload { key: harness.key("other")?, id: upload.id.clone(), harness };
    let listed = harness.storage.list_parts(&other.key, &other.id, None, 10).await;
    ensure_error(listed, "parts under another key are UploadMissing", is_missing)?;
    // Ceph RGW answers 500; that it makes nothing is what counts.
    ensure_error(other.complete(&parts).await, "a completion under another key is UploadMissing", |error| {
        is_missing(error) || matches!(error, StorageError::Unavailable { .. })
    })?;
    harness.is_absent(&other.key).await
}

pub(super) async fn signed_parts_have_numbers_and_lives(harness: &Harness<'_>) -> RuleResult {
    let upload = Upload::begin(harness, "numbers").await?;
    for number in [0, MAX_PARTS + 1, u16::MAX] {
        let signed = harness.storage.presign_part(&upload.key, &upload.part(number, 10)).await;
        ensure_error(signed, &format!("a part with the number {number} is InvalidRequest"), is_invalid)?;
    }
    let most = Duration::from_secs(u64::from(MAX_PRESIGN_SECONDS));
    for expires_in in [Duration::ZERO, most + Duration::from_secs(1)] {
        let part = PresignPart { expires_in, ..upload.part(1, 10) };
        let signed = harness.storage.presign_part(&upload.key, &part).await;
        ensure_error(signed, &format!("a part signed for {expires_in:?} is InvalidRequest"), is_invalid)?;
    }
    for number in [1, MAX_PARTS] {
        upload.sign(number, 10).await?;
    }
    Ok(())
}

pub(super) async fn a_signed_part_of_another_length_is_refused(harness: &Harness<'_>) -> RuleResult {
    let upload = Upload::begin(harness, "length").await?;
    let signed = upload.sign(1, 1_000).await?;
    for size in [0, 999, 1_001, 100_000] {
        let answer = harness.send_signed("PUT", &signed, sample(size, 1)).await?;
        ensure(answer.is_refusal(), || {
            format!("a part of {size} bytes in place of 1000 is refused; it answers {}", answer.status)
        })?;
    }
    is_empty(&upload).await
}

pub(super) async fn a_signed_part_is_for_one_number_of_one_upload(harness: &Harness<'_>) -> RuleResult {
    let upload = Upload::begin(harness, "one").await?;
    let other = Upload { id: upload.create_another().await?, key: upload.key.clone(), harness };
    let signed = upload.sign(17, 1_000).await?.url;
    let of_other = other.sign(17, 1_000).await?.url;
    let whole = harness.sign_get(&upload.key).await?;
    let tampered = [
        ("another number", signed.replacen("umber=17", "umber=18", 1)),
        ("another upload", with_value_of(&signed, &of_other, "id=")),
        ("no upload", signed.split('?').next().unwrap_or_default().to_owned()),
        ("the signature of a GET", whole.url),
    ];
    for (what, url) in tampered {
        ensure(url != signed && url != of_other, || format!("the rule can make a URL with {what}"))?;
        let answer = harness.send("PUT", &url, &[], sample(1_000, 1)).await?;
        ensure(answer.is_refusal(), || format!("a part with {what} is refused; it answers {}", answer.status))?;
    }
    is_empty(&upload).await?;
    is_empty(&other).await?;
    harness.is_absent(&upload.key).await
}

pub(super) async fn an_expired_signed_part_is_refused(harness: &Harness<'_>) -> RuleResult {
    let upload = Upload::begin(harness, "expired").await?;
    let part = PresignPart { expires_in: SHORT_LIFE, ..upload.part(1, 1_000) };
    let signed = harness.storage.presign_part(&upload.key, &part).await.or_broken("presign_part succeeds")?;
    sleep(UNTIL_EXPIRED).await;
    let answer = harness.send_signed("PUT", &signed, sample(1_000, 1)).await?;
    ensure(answer.is_refusal(), || format!("an expired part is refused; it answers {}", answer.status))?;
    is_empty(&upload).await
}

async fn is_empty(upload: &Upload<'_>) -> RuleResult {
    let parts = upload.listed().await?;
    ensure(parts.is_empty(), || format!("what was refused is no part; {parts:?} is"))
}

/// An upload of this rule, which the harness aborts when the rule is over.
struct Upload<'a> {
    key: ObjectKey,
    id: String,
    harness: &'a Harness<'a>,
}

impl<'a> Upload<'a> {
    async fn begin(harness: &'a Harness<'a>, name: &str) -> Result<Self, Violation> {
        let upload = Self { key: harness.key(name)?, id: String::new(), harness };
        Ok(Self { id: upload.create_another().await?, ..upload })
    }

    async fn create_another(&self) -> Result<String, Violation> {
        let created = self.harness.storage.create_multipart_upload(&self.key, "audio/flac").await;
        created.or_broken("create_multipart_upload succeeds")
    }

    fn part(&self, part_number: u16, content_length: u64) -> PresignPart {
        PresignPart { expires_in: MINUTE, upload_id: self.id.clone(), part_number, content_length }
    }

    async fn sign(&self, number: u16, length: u64) -> Result<PresignedUrl, Violation> {
        let signed = self.harness.storage.presign_part(&self.key, &self.part(number, length)).await;
        signed.or_broken("presign_part succeeds")
    }

    async fn send(&self, number: u16, bytes: Bytes) -> RuleResult {
        let signed = self.sign(number, bytes.len() as u64).await?;
        let answer = self.harness.send_signed("PUT", &signed, bytes).await?;
        ensure(answer.is_success(), || format!("a signed part {number} is accepted; it answers {}", answer.status))
    }

    async fn listed(&self) -> Result<Vec<UploadedPart>, Violation> {
        self.pages(1_000).await
    }

    async fn pages(&self, limit: u16) -> Result<Vec<UploadedPart>, Violation> {
        let mut all: Vec<UploadedPart> = Vec::new();
        loop {
            let after = all.last().map(|part| part.number);
            let page = self.harness.storage.list_parts(&self.key, &self.id, after, limit).await;
            let page = page.or_broken("list_parts succeeds")?;
            ensure(page.parts.len() <= usize::from(limit), || {
                format!("a page has at most {limit} parts, not {}", page.parts.len())
            })?;
            let moves_on = !page.parts.is_empty();
            for part in page.parts {
                let ascending = all.last().is_none_or(|last| last.number < part.number);
                ensure(ascending, || format!("the numbers of parts ascend; {} does not", part.number))?;
                all.push(part);
            }
            if !page.has_more {
                return Ok(all);
            }
            ensure(moves_on, || "a page of parts with more to come has some".to_owned())?;
        }
    }

    async fn complete(&self, parts: &[UploadedPart]) -> Result<(), StorageError> {
        self.harness.storage.complete_multipart_upload(&self.key, &self.id, parts).await
    }
}

/// `url` with the value that `other` has after the first `name`, whatever the case of both; the same URL if one has none.
fn with_value_of(url: &str, other: &str, name: &str) -> String {
    let value = |url: &str| {
        let start = url.to_ascii_lowercase().find(name)? + name.len();
        let length = url.get(start..)?.find('&').unwrap_or(url.len() - start);
        Some(start..start + length)
    };
    match (value(url), value(other)) {
        (Some(mine), Some(theirs)) => format!("{}{}{}", &url[..mine.start], &other[theirs], &url[mine.end..]),
        _ => url.to_owned(),
    }
}

fn is_missing(error: &StorageError) -> bool {
    matches!(error, StorageError::UploadMissing { .. })
}

fn is_other(error: &StorageError) -> bool {
    matches!(error, StorageError::PreconditionFailed)
}

fn is_invalid(error: &StorageError) -> bool {
    matches!(error, StorageError::InvalidRequest { .. })
}
