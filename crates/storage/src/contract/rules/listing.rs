use futures::TryStreamExt;

use crate::contract::harness::{Harness, ensure, sample};
use crate::contract::{RuleResult, Violation};

/// More than two pages of any size that is tried.
const NAMES: [&str; 11] = ["a", "a-b", "a.b", "a/b", "a/c", "a_b", "aa", "b", "c/d/e", "c/d/f", "z"];

pub(super) async fn a_listing_is_complete_and_ascending_whatever_the_page(harness: &Harness<'_>) -> RuleResult {
    put_names(harness, NAMES.iter().map(ToString::to_string)).await?;
    for limit in [1, 2, 3, 10, 11, 12, 1_000] {
        let listed = names(harness, &harness.prefix(), limit).await?;
        ensure(listed == NAMES, || format!("pages of {limit} list {NAMES:?}; they list {listed:?}"))?;
    }
    Ok(())
}

pub(super) async fn a_listing_goes_over_hundreds_of_pages(harness: &Harness<'_>) -> RuleResult {
    let expected: Vec<String> = (0..230).map(|number| format!("n/{number:03}")).collect();
    put_names(harness, expected.iter().cloned()).await?;
    let listed = names(harness, &harness.prefix(), 1).await?;
    ensure(listed == expected, || format!("230 pages list 230 objects; they list {}", listed.len()))
}

pub(super) async fn a_listing_ends_with_its_prefix(harness: &Harness<'_>) -> RuleResult {
    let all = ["images", "images-old/1", "images/1", "images/2", "images2/1", "imagez"];
    put_names(harness, all.iter().map(ToString::to_string)).await?;
    for (prefix, expected) in [
        ("images/", &["images/1", "images/2"][..]),
        ("images", &["images", "images-old/1", "images/1", "images/2", "images2/1"]),
        ("images2", &["images2/1"]),
        ("images/1", &["images/1"]),
    ] {
        let listed = names(harness, &format!("{}{prefix}", harness.prefix()), 2).await?;
        ensure(listed == expected, || format!("the prefix {prefix:?} lists {expected:?}; it lists {listed:?}"))?;
    }
    Ok(())
}

pub(super) async fn a_listing_starts_after_a_key(harness: &Harness<'_>) -> RuleResult {
    put_names(harness, NAMES.iter().map(ToString::to_string)).await?;
    // Of keys that exist, of keys between and outside them, and of keys that are not ours.
    for after in ["a", "a/b", "a/bb", "0", "z", "zz", "A", "a +%", "a/ü&=?", "b?c=d&e#f"] {
        let key = format!("{}{after}", harness.prefix());
        let page = harness.storage.list_page(&harness.prefix(), Some(&key), 1_000).await;
        let page = page.map_err(|error| Violation::new(format!("list_page succeeds: {error}")))?;
        let expected: Vec<_> = NAMES.iter().filter(|name| **name > after).collect();
        let listed: Vec<_> = page.objects.iter().map(|object| relative(harness, &object.key)).collect();
        ensure(listed.iter().eq(expected.iter().copied()), || {
            format!("after {after:?} come {expected:?}; the page has {listed:?}")
        })?;
    }
    Ok(())
}

pub(super) async fn a_listing_shows_size_and_etag(harness: &Harness<'_>) -> RuleResult {
    let key = harness.key("object")?;
    let etag = harness.put(&key, sample(12_345, 1)).await?.etag;
    let listed = harness.list(&harness.prefix(), 10).await?;
    let object = listed.first().ok_or_else(|| Violation::new("the object is listed"))?;
    ensure(object.size_bytes == 12_345, || format!("the listing tells 12345 bytes; it tells {}", object.size_bytes))?;
    ensure(object.etag == etag, || format!("the listing tells put's entity tag {etag:?}; it tells {:?}", object.etag))
}

pub(super) async fn an_empty_listing_is_empty(harness: &Harness<'_>) -> RuleResult {
    let listed = harness.list(&harness.prefix(), 1_000).await?;
    ensure(listed.is_empty(), || format!("nothing is listed where nothing is; {} objects are", listed.len()))
}

async fn put_names(harness: &Harness<'_>, names: impl Iterator<Item = String>) -> RuleResult {
    futures::stream::iter(names.map(Ok))
        .try_for_each_concurrent(8, async |name: String| {
            harness.put(&harness.key(&name)?, sample(3, 1)).await.map(|_| ())
        })
        .await
}

async fn names(harness: &Harness<'_>, prefix: &str, limit: u16) -> Result<Vec<String>, Violation> {
    let listed = harness.list(prefix, limit).await?;
    Ok(listed.iter().map(|object| relative(harness, &object.key).to_owned()).collect())
}

fn relative<'k>(harness: &Harness<'_>, key: &'k str) -> &'k str {
    key.strip_prefix(&harness.prefix()).unwrap_or(key)
}
