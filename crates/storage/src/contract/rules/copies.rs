use bytes::Bytes;

use crate::contract::RuleResult;
use crate::contract::harness::{Harness, MINUTE, OrBroken, ensure, ensure_error, is_not_found, sample};
use crate::error::StorageError;
use crate::port::{CopyOptions, PutOptions};
use crate::presign::PresignPut;

pub(super) async fn a_copy_has_the_same_bytes_and_the_type_that_is_said(harness: &Harness<'_>) -> RuleResult {
    let stored = PutOptions { content_type: "image/webp".to_owned(), content_md5: None };
    for size in [0, 300_000] {
        for content_type in ["image/webp", "audio/flac"] {
            let (from, to) = (harness.key(&format!("from-{size}"))?, harness.key(&format!("to-{size}"))?);
            harness.storage.put(&from, sample(size, 1).into(), &stored).await.or_broken("put succeeds")?;
            let copied = harness.storage.copy(&from, &to, &of_type(content_type)).await.or_broken("copy succeeds")?;
            harness.holds(&to, &sample(size, 1)).await?;
            harness.holds(&from, &sample(size, 1)).await?;
            let meta = harness.storage.head(&to).await.or_broken("head succeeds")?;
            ensure(meta.content_type.as_deref() == Some(content_type), || {
                format!("a copy has the content type {content_type}; it has {:?}", meta.content_type)
            })?;
            ensure(copied.etag == meta.etag && copied.size_bytes == size as u64, || {
                format!("copy tells what head tells, {meta:?}; it tells {copied:?}")
            })?;
        }
    }
    Ok(())
}

/// A signature of ours does not cover these headers, so that whoever has it may send them.
pub(super) async fn a_copy_has_nothing_else_that_its_source_was_sent_with(harness: &Harness<'_>) -> RuleResult {
    let (from, to) = (harness.key("from")?, harness.key("to")?);
    let bytes = sample(1_000, 1);
    let options = PresignPut {
        expires_in: MINUTE,
        content_type: "image/png".to_owned(),
        content_length: bytes.len() as u64,
        content_md5: None,
    };
    let signed = harness.storage.presign_put(&from, &options).await.or_broken("presign_put succeeds")?;
    let standard = [("cache-control", "max-age=31536000"), ("content-encoding", "gzip"), ("content-language", "tlh")];
    let headers = |more: &[(&str, &str)]| {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        signed.headers.iter().cloned().chain(more).collect::<Vec<_>>()
    };
    let with_metadata = headers(&[&standard[..], &[("x-amz-meta-note", "mine")]].concat());
    let mut answer = harness.send("PUT", &signed.url, &with_metadata, bytes.clone()).await?;
    if answer.is_refusal() {
        // AWS takes no `x-amz-` header that is not signed.
        answer = harness.send("PUT", &signed.url, &headers(&standard), bytes.clone()).await?;
    }
    ensure(answer.is_success(), || format!("a signed PUT is accepted; it answers {}", answer.status))?;

    harness.storage.copy(&from, &to, &of_type("image/png")).await.or_broken("copy succeeds")?;
    let answer = harness.send_signed("GET", &harness.sign_get(&to).await?, Bytes::new()).await?;
    ensure(answer.status == 200 && answer.body == bytes, || {
        format!("a copy can be read; it answers {}", answer.status)
    })?;
    for name in ["cache-control", "content-encoding", "content-language", "x-amz-meta-note"] {
        let found = answer.header(name);
        ensure(found.is_none(), || format!("a copy has no {name} of its source; it has {found:?}"))?;
    }
    Ok(())
}

fn of_type(content_type: &str) -> CopyOptions {
    CopyOptions { content_type: content_type.to_owned(), if_match: None }
}

pub(super) async fn copying_what_is_missing_is_not_found(harness: &Harness<'_>) -> RuleResult {
    let (from, to) = (harness.key("from")?, harness.key("to")?);
    let result = harness.storage.copy(&from, &to, &CopyOptions::default()).await;
    ensure_error(result, "copy of an absent object answers NotFound", is_not_found)?;
    harness.is_absent(&to).await
}

pub(super) async fn a_copy_replaces_what_was_there(harness: &Harness<'_>) -> RuleResult {
    let (from, to) = (harness.key("from")?, harness.key("to")?);
    harness.put(&from, sample(1_000, 1)).await?;
    harness.put(&to, sample(5_000, 2)).await?;
    harness.storage.copy(&from, &to, &CopyOptions::default()).await.or_broken("copy succeeds")?;
    harness.holds(&to, &sample(1_000, 1)).await
}

pub(super) async fn a_copy_of_the_expected_etag_happens(harness: &Harness<'_>) -> RuleResult {
    let (from, to) = (harness.key("from")?, harness.key("to")?);
    let etag = harness.put(&from, sample(1_000, 1)).await?.etag;
    let condition = CopyOptions { if_match: Some(etag), ..of_type("text/plain") };
    harness.storage.copy(&from, &to, &condition).await.or_broken("copy of the expected entity tag succeeds")?;
    harness.holds(&to, &sample(1_000, 1)).await
}

pub(super) async fn a_copy_of_another_etag_does_not_happen(harness: &Harness<'_>) -> RuleResult {
    let (from, to) = (harness.key("from")?, harness.key("to")?);
    let earlier = harness.put(&from, sample(1_000, 1)).await?.etag;
    harness.put(&from, sample(1_000, 2)).await?;
    let condition = CopyOptions { if_match: Some(earlier), ..of_type("text/plain") };
    let result = harness.storage.copy(&from, &to, &condition).await;
    ensure_error(result, "copy of another entity tag answers PreconditionFailed", |error| {
        matches!(error, StorageError::PreconditionFailed)
    })?;
    harness.is_absent(&to).await
}
