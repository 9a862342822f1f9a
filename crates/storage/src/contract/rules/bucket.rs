use std::time::Duration;

use crate::contract::RuleResult;
use crate::contract::harness::{Harness, OrBroken, ensure, sample};
use crate::port::ClockSkew;

/// S3 refuses requests whose time is off by more than 15 minutes.
const MOST_SKEW: Duration = Duration::from_mins(15);

pub(super) async fn the_bucket_is_described(harness: &Harness<'_>) -> RuleResult {
    let info = harness.storage.bucket_info().await.or_broken("bucket_info succeeds")?;
    ensure(!info.bucket.is_empty(), || "the bucket has a name".to_owned())?;
    ensure(info.prefix.is_empty() || info.prefix.ends_with('/'), || {
        format!("the prefix is empty or ends in a slash: {:?}", info.prefix)
    })?;
    ensure(!info.endpoint.is_empty() && !info.region.is_empty(), || "endpoint and region are named".to_owned())?;
    let skew = info.clock_skew.map_or(Duration::ZERO, |skew| match skew {
        ClockSkew::Ahead(by) | ClockSkew::Behind(by) => by,
    });
    ensure(skew < MOST_SKEW, || format!("clocks differ by less than {MOST_SKEW:?}, not {skew:?}"))
}

pub(super) async fn ensuring_an_existing_bucket_changes_nothing(harness: &Harness<'_>) -> RuleResult {
    let key = harness.key("kept")?;
    harness.put(&key, sample(10, 1)).await?;
    for _ in 0..2 {
        let created = harness.storage.ensure_bucket().await.or_broken("ensure_bucket succeeds")?;
        ensure(!created, || "a bucket that exists is not created".to_owned())?;
    }
    harness.holds(&key, &sample(10, 1)).await
}
