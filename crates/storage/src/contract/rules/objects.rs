use std::time::{Duration, SystemTime};

use md5::{Digest, Md5};

use crate::body::{Body, collect};
use crate::contract::RuleResult;
use crate::contract::harness::{
    Harness, OrBroken, ensure, ensure_error, in_pieces, is_not_found, sample, streamed, text,
};
use crate::error::StorageError;
use crate::key::ObjectKey;
use crate::port::{ByteRange, PutOptions};

const MIB: usize = 1024 * 1024;

pub(super) async fn bodies_of_every_size_come_back(harness: &Harness<'_>) -> RuleResult {
    for size in [0, 1, 5 * MIB + 1] {
        let key = harness.key(&format!("bytes-{size}"))?;
        comes_back(harness, &key, sample(size, 1).into(), size).await?;
    }
    Ok(())
}

pub(super) async fn streams_of_known_length_come_back(harness: &Harness<'_>) -> RuleResult {
    for size in [0, 1, 300_000, 9 * MIB + 1] {
        let key = harness.key(&format!("known-{size}"))?;
        comes_back(harness, &key, streamed(in_pieces(sample(size, 1)), Some(size as u64)), size).await?;
    }
    Ok(())
}

pub(super) async fn streams_of_unknown_length_come_back(harness: &Harness<'_>) -> RuleResult {
    for size in [0, 1, 300_000] {
        let key = harness.key(&format!("unknown-{size}"))?;
        comes_back(harness, &key, streamed(in_pieces(sample(size, 1)), None), size).await?;
    }
    Ok(())
}

/// Around the sizes at which implementations turn to multipart uploads.
pub(super) async fn large_streams_of_unknown_length_come_back(harness: &Harness<'_>) -> RuleResult {
    for size in [8 * MIB, 8 * MIB + 1, 17 * MIB + 3] {
        let key = harness.key(&format!("unknown-{size}"))?;
        comes_back(harness, &key, streamed(in_pieces(sample(size, 1)), None), size).await?;
        let outstanding = harness.multipart_uploads().await?.len();
        ensure(outstanding == 0, || format!("a finished put leaves no multipart upload; there are {outstanding}"))?;
    }
    Ok(())
}

async fn comes_back(harness: &Harness<'_>, key: &ObjectKey, body: Body, size: usize) -> RuleResult {
    let outcome = harness.put(key, body).await?;
    ensure(outcome.size_bytes == size as u64, || {
        format!("put reports {size} bytes; it reports {}", outcome.size_bytes)
    })?;
    ensure(!outcome.etag.is_empty() && !outcome.etag.contains('"'), || {
        format!("put reports an entity tag without quotes; it reports {:?}", outcome.etag)
    })?;
    harness.holds(key, &sample(size, 1)).await?;

    let meta = harness.storage.head(key).await.or_broken("head succeeds")?;
    ensure(meta.size_bytes == size as u64, || format!("head tells {size} bytes; it tells {}", meta.size_bytes))?;
    ensure(meta.etag == outcome.etag, || {
        format!("head tells put's entity tag {:?}; it tells {:?}", outcome.etag, meta.etag)
    })?;
    if let Some(written) = meta.last_modified {
        let hour = Duration::from_hours(1);
        let now = SystemTime::now();
        ensure(now - hour < written && written < now + hour, || {
            format!("the object was written about now; storage tells {written:?}")
        })?;
    }
    Ok(())
}

pub(super) async fn content_types_are_kept(harness: &Harness<'_>) -> RuleResult {
    for (name, content_type) in [("plain", "image/png"), ("parameters", "audio/mp4; codecs=\"mp4a.40.2, opus\"")] {
        let options = PutOptions { content_type: content_type.to_owned(), content_md5: None };
        let bodies = [
            ("bytes", Body::from(sample(10, 1))),
            ("known", streamed(in_pieces(sample(10, 1)), Some(10))),
            ("unknown", streamed(in_pieces(sample(9 * MIB, 1)), None)),
        ];
        for (body_name, body) in bodies {
            let key = harness.key(&format!("{name}-{body_name}"))?;
            harness.storage.put(&key, body, &options).await.or_broken("put succeeds")?;
            let by_head = harness.storage.head(&key).await.or_broken("head succeeds")?.content_type;
            let by_get = harness.storage.get(&key, None).await.or_broken("get succeeds")?.meta.content_type;
            for found in [by_head, by_get] {
                ensure(found.as_deref() == Some(content_type), || {
                    format!("the content type {content_type:?} of a put of {body_name} is kept; it is {found:?}")
                })?;
            }
        }
    }
    Ok(())
}

pub(super) async fn a_put_replaces_what_was_there(harness: &Harness<'_>) -> RuleResult {
    let key = harness.key("replaced")?;
    let first = harness.put(&key, sample(2_000, 1)).await?;
    let second = harness.put(&key, sample(1_000, 2)).await?;
    ensure(first.etag != second.etag, || "other bytes have another entity tag".to_owned())?;
    harness.holds(&key, &sample(1_000, 2)).await
}

pub(super) async fn keys_with_every_allowed_character_work(harness: &Harness<'_>) -> RuleResult {
    let names = [
        "abcdefghijklm/nopqrstuvwxyz/0123456789/._-",
        "a.b-c_d/...",
        "-",
        "_/-/.a/a.",
        // Both an object and the beginning of others: a file system has to tell them apart.
        "a",
        "a/b",
        "a/b/c",
    ];
    for (seed, name) in (1..).zip(names) {
        harness.put(&harness.key(name)?, sample(10, seed)).await?;
    }
    for (seed, name) in (1..).zip(names) {
        harness.holds(&harness.key(name)?, &sample(10, seed)).await?;
    }
    let mut expected = names.map(|name| format!("{}{name}", harness.prefix()));
    expected.sort();
    let listed: Vec<_> = harness.list(&harness.prefix(), 1_000).await?.into_iter().map(|object| object.key).collect();
    ensure(listed == expected, || format!("the listing has {expected:?}; it has {listed:?}"))?;

    let (parent, child) = (harness.key("a")?, harness.key("a/b")?);
    harness.storage.delete(&parent).await.or_broken("delete succeeds")?;
    harness.is_absent(&parent).await?;
    harness.holds(&child, &sample(10, 6)).await
}

pub(super) async fn keys_of_the_greatest_length_work(harness: &Harness<'_>) -> RuleResult {
    let room = ObjectKey::MAX_BYTES - harness.prefix().len();
    let key = harness.key(&"k".repeat(room))?;
    harness.put(&key, sample(10, 1)).await?;
    harness.holds(&key, &sample(10, 1)).await?;

    let key = harness.key(&"m".repeat(room))?;
    harness.put(&key, streamed(in_pieces(sample(9 * MIB, 1)), None)).await?;
    harness.holds(&key, &sample(9 * MIB, 1)).await?;

    let listed = harness.list(&harness.prefix(), 1).await?.len();
    ensure(listed == 2, || format!("both are listed; {listed} are"))
}

pub(super) async fn ranges_are_exact(harness: &Harness<'_>) -> RuleResult {
    let key = harness.key("ranged")?;
    let size = 1_000_u64;
    let bytes = sample(1_000, 1);
    harness.put(&key, bytes.clone()).await?;
    // Start, asked length, right length: the first byte, the middle, the last byte, all, the end cut.
    let ranges = [(0, 1, 1), (400, 200, 200), (999, 1, 1), (0, 1_000, 1_000), (990, 100, 10), (1, u64::MAX, 999)];
    for (start, length, right_length) in ranges {
        let range = ByteRange { start, length };
        let download = harness.storage.get(&key, Some(range)).await.or_broken("a ranged get succeeds")?;
        ensure(download.meta.size_bytes == size, || {
            format!("a ranged get tells the size of the whole, {size}; it tells {}", download.meta.size_bytes)
        })?;
        ensure(download.length == right_length, || {
            format!("{range:?} of {size} bytes announces {right_length}; it announces {}", download.length)
        })?;
        let found = collect(download.stream).await.or_broken("the download ends well")?;
        let right = bytes.iter().skip(usize::try_from(start).unwrap_or(usize::MAX)).take(found.len());
        ensure(found.len() as u64 == right_length && found.iter().eq(right), || {
            format!("{range:?} yields its {right_length} bytes; it yields {} or others", found.len())
        })?;
    }
    Ok(())
}

pub(super) async fn ranges_outside_are_refused(harness: &Harness<'_>) -> RuleResult {
    let (key, empty) = (harness.key("ranged")?, harness.key("empty")?);
    harness.put(&key, sample(1_000, 1)).await?;
    harness.put(&empty, sample(0, 1)).await?;
    for (key, start, length) in [(&key, 1_000, 1), (&key, 5_000, 10), (&key, 10, 0), (&empty, 0, 1)] {
        let result = harness.storage.get(key, Some(ByteRange { start, length })).await;
        ensure_error(result, &format!("{length} bytes from {start} are RangeNotSatisfiable"), |error| {
            matches!(error, StorageError::RangeNotSatisfiable)
        })?;
    }
    Ok(())
}

pub(super) async fn reading_what_is_missing_is_not_found(harness: &Harness<'_>) -> RuleResult {
    let key = harness.key("missing")?;
    harness.is_absent(&key).await?;
    let range = ByteRange { start: 0, length: 1 };
    for range in [None, Some(range)] {
        let result = harness.storage.get(&key, range).await;
        ensure_error(result, "get of an absent object answers NotFound", is_not_found)?;
    }
    Ok(())
}

pub(super) async fn deleting_twice_succeeds(harness: &Harness<'_>) -> RuleResult {
    let key = harness.key("deleted")?;
    harness.put(&key, sample(10, 1)).await?;
    for _ in 0..2 {
        harness.storage.delete(&key).await.or_broken("delete succeeds")?;
        harness.is_absent(&key).await?;
    }
    ensure(harness.list(&harness.prefix(), 10).await?.is_empty(), || "what is deleted is not listed".to_owned())
}

pub(super) async fn the_right_md5_is_accepted(harness: &Harness<'_>) -> RuleResult {
    let bytes = sample(300_000, 1);
    let options = PutOptions { content_md5: Some(Md5::digest(&bytes).into()), ..text() };
    let bodies = [
        ("bytes", Body::from(bytes.clone())),
        ("known", streamed(in_pieces(bytes.clone()), Some(300_000))),
        ("unknown", streamed(in_pieces(bytes.clone()), None)),
    ];
    for (name, body) in bodies {
        let key = harness.key(name)?;
        harness.storage.put(&key, body, &options).await.or_broken("put with the right MD5 succeeds")?;
        harness.holds(&key, &bytes).await?;
    }
    Ok(())
}
