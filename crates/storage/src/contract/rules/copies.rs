use crate::contract::RuleResult;
use crate::contract::harness::{Harness, OrBroken, ensure, ensure_error, is_not_found, sample};
use crate::error::StorageError;
use crate::port::{CopyCondition, PutOptions};

pub(super) async fn a_copy_has_the_same_bytes_and_type(harness: &Harness<'_>) -> RuleResult {
    let options = PutOptions { content_type: "image/webp".to_owned(), content_md5: None };
    for size in [0, 300_000] {
        let (from, to) = (harness.key(&format!("from-{size}"))?, harness.key(&format!("to-{size}"))?);
        harness.storage.put(&from, sample(size, 1).into(), &options).await.or_broken("put succeeds")?;
        let copied = harness.storage.copy(&from, &to, &CopyCondition::default()).await.or_broken("copy succeeds")?;
        harness.holds(&to, &sample(size, 1)).await?;
        harness.holds(&from, &sample(size, 1)).await?;
        let meta = harness.storage.head(&to).await.or_broken("head succeeds")?;
        ensure(meta.content_type.as_deref() == Some("image/webp"), || {
            format!("a copy keeps the content type image/webp; it has {:?}", meta.content_type)
        })?;
        ensure(copied.etag == meta.etag && copied.size_bytes == size as u64, || {
            format!("copy tells what head tells, {meta:?}; it tells {copied:?}")
        })?;
    }
    Ok(())
}

pub(super) async fn copying_what_is_missing_is_not_found(harness: &Harness<'_>) -> RuleResult {
    let (from, to) = (harness.key("from")?, harness.key("to")?);
    let result = harness.storage.copy(&from, &to, &CopyCondition::default()).await;
    ensure_error(result, "copy of an absent object answers NotFound", is_not_found)?;
    harness.is_absent(&to).await
}

pub(super) async fn a_copy_replaces_what_was_there(harness: &Harness<'_>) -> RuleResult {
    let (from, to) = (harness.key("from")?, harness.key("to")?);
    harness.put(&from, sample(1_000, 1)).await?;
    harness.put(&to, sample(5_000, 2)).await?;
    harness.storage.copy(&from, &to, &CopyCondition::default()).await.or_broken("copy succeeds")?;
    harness.holds(&to, &sample(1_000, 1)).await
}

pub(super) async fn a_copy_of_the_expected_etag_happens(harness: &Harness<'_>) -> RuleResult {
    let (from, to) = (harness.key("from")?, harness.key("to")?);
    let etag = harness.put(&from, sample(1_000, 1)).await?.etag;
    let condition = CopyCondition { if_match: Some(etag) };
    harness.storage.copy(&from, &to, &condition).await.or_broken("copy of the expected entity tag succeeds")?;
    harness.holds(&to, &sample(1_000, 1)).await
}

pub(super) async fn a_copy_of_another_etag_does_not_happen(harness: &Harness<'_>) -> RuleResult {
    let (from, to) = (harness.key("from")?, harness.key("to")?);
    let earlier = harness.put(&from, sample(1_000, 1)).await?.etag;
    harness.put(&from, sample(1_000, 2)).await?;
    let condition = CopyCondition { if_match: Some(earlier) };
    let result = harness.storage.copy(&from, &to, &condition).await;
    ensure_error(result, "copy of another entity tag answers PreconditionFailed", |error| {
        matches!(error, StorageError::PreconditionFailed)
    })?;
    harness.is_absent(&to).await
}
