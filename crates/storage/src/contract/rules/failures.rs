use std::io;

use futures::StreamExt;

use crate::body::Body;
use crate::contract::harness::{Harness, ensure_error, in_pieces, sample, streamed, text};
use crate::contract::{RuleResult, Violation};
use crate::error::StorageError;
use crate::port::PutOptions;

const MIB: usize = 1024 * 1024;

pub(super) async fn a_wrong_announced_length_stores_nothing(harness: &Harness<'_>) -> RuleResult {
    for (name, actual, announced) in
        [("short", 100_000, 100_001), ("long", 100_001, 100_000), ("none", 0, 10), ("some", 10, 0)]
    {
        let key = harness.key(name)?;
        let body = streamed(in_pieces(sample(actual, 1)), Some(announced));
        let result = harness.storage.put(&key, body, &text()).await;
        let expectation = format!("a body of {actual} bytes announced as {announced} is Corrupted");
        ensure_error(result, &expectation, is_corrupted)?;
        harness.is_absent(&key).await?;
    }
    Ok(())
}

pub(super) async fn a_failing_body_stores_nothing(harness: &Harness<'_>) -> RuleResult {
    for (name, bytes, length) in [
        ("known", 300_000, Some(400_000)),
        // The reader fails where it should have said that it is done.
        ("known-whole", 300_000, Some(300_000)),
        ("unknown", 300_000, None),
        ("at-once", 0, Some(10)),
    ] {
        fails(harness, name, bytes, length).await?;
    }
    Ok(())
}

pub(super) async fn a_failing_large_body_stores_nothing(harness: &Harness<'_>) -> RuleResult {
    fails(harness, "unknown", 20 * MIB, None).await?;
    harness.abort_all_uploads().await
}

async fn fails(harness: &Harness<'_>, name: &str, bytes: usize, length: Option<u64>) -> RuleResult {
    let key = harness.key(name)?;
    let result = harness.storage.put(&key, failing_after(bytes, length), &text()).await;
    ensure_error(result, &format!("a body that fails after {bytes} bytes (length {length:?}) is Body"), |error| {
        matches!(error, StorageError::Body(_))
    })?;
    harness.is_absent(&key).await
}

pub(super) async fn a_wrong_md5_stores_nothing(harness: &Harness<'_>) -> RuleResult {
    wrong_md5(harness, "bytes", sample(300_000, 1).into()).await
}

pub(super) async fn a_wrong_md5_of_a_stream_stores_nothing(harness: &Harness<'_>) -> RuleResult {
    wrong_md5(harness, "known", streamed(in_pieces(sample(300_000, 1)), Some(300_000))).await?;
    wrong_md5(harness, "unknown", streamed(in_pieces(sample(300_000, 1)), None)).await?;
    wrong_md5(harness, "unknown-large", streamed(in_pieces(sample(9 * MIB, 1)), None)).await
}

async fn wrong_md5(harness: &Harness<'_>, name: &str, body: Body) -> RuleResult {
    let key = harness.key(name)?;
    let options = PutOptions { content_md5: Some([7; 16]), ..text() };
    let result = harness.storage.put(&key, body, &options).await;
    ensure_error(result, &format!("a wrong MD5 of a body of {name} is Corrupted"), is_corrupted)?;
    harness.is_absent(&key).await
}

pub(super) async fn a_failed_put_leaves_the_earlier_object(harness: &Harness<'_>) -> RuleResult {
    let key = harness.key("earlier")?;
    harness.put(&key, sample(1_000, 1)).await?;
    let options = PutOptions { content_md5: Some([7; 16]), ..text() };
    let attempts = [
        (failing_after(300_000, Some(400_000)), text()),
        (failing_after(20 * MIB, None), text()),
        (streamed(in_pieces(sample(1_000, 2)), Some(999)), text()),
        (sample(1_000, 2).into(), options),
    ];
    for (body, options) in attempts {
        if harness.storage.put(&key, body, &options).await.is_ok() {
            return Err(Violation::new("a put that cannot be right fails"));
        }
        harness.holds(&key, &sample(1_000, 1)).await?;
    }
    Ok(())
}

fn failing_after(bytes: usize, length: Option<u64>) -> Body {
    let failure = futures::stream::once(async { Err(io::Error::other("the reader broke")) });
    streamed(in_pieces(sample(bytes, 2)).chain(failure), length)
}

fn is_corrupted(error: &StorageError) -> bool {
    matches!(error, StorageError::Corrupted { .. })
}
