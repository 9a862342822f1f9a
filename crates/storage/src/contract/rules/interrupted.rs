use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::contract::harness::{Harness, OrBroken, ensure, in_pieces, sample, streamed, text};
use crate::contract::{RuleResult, Violation};
use crate::error::StorageError;

const MIB: usize = 1024 * 1024;

/// How long a put is watched before it is dropped or looked at: enough for its first bytes to be on their way.
const UNDER_WAY: Duration = Duration::from_millis(300);

/// How long a multipart upload may take to begin.
const BEGINNING: Duration = Duration::from_secs(30);

pub(super) async fn an_object_is_replaced_at_once(harness: &Harness<'_>) -> RuleResult {
    let key = harness.key("replaced")?;
    harness.put(&key, sample(100_000, 1)).await?;
    let (stream, go_on) = pausing(sample(200_000, 2), sample(200_000, 3));
    let put = harness.put(&key, streamed(stream, Some(400_000)));
    let watch = async {
        sleep(UNDER_WAY).await;
        let before = harness.holds(&key, &sample(100_000, 1)).await;
        let _ = go_on.send(());
        before
    };
    let (put, before) = futures::future::join(put, watch).await;
    before?;
    put?;
    harness.holds(&key, &[sample(200_000, 2), sample(200_000, 3)].concat()).await
}

pub(super) async fn concurrent_writers_leave_one_whole_body(harness: &Harness<'_>) -> RuleResult {
    let key = harness.key("contended")?;
    let bodies: Vec<Bytes> = (1..=8).map(|seed| sample(300_000 + usize::from(seed), seed)).collect();
    let puts = bodies.iter().map(|body| async {
        let length = body.len() as u64;
        match harness.storage.put(&key, streamed(in_pieces(body.clone()), Some(length)), &text()).await {
            Ok(_) => Ok(true),
            // A server need not let all of them win: it may answer 409 or 503 to whoever is in another's way.
            Err(StorageError::Unavailable { .. }) => Ok(false),
            Err(error) => Err(error).or_broken("put succeeds, or may be tried again"),
        }
    });
    let stored = futures::future::try_join_all(puts).await?;
    ensure(stored.contains(&true), || "one of several writers succeeds".to_owned())?;
    let found = harness.read(&key).await?;
    ensure(bodies.contains(&found), || format!("one of the bodies is there; there are {} bytes", found.len()))?;
    let size = harness.storage.head(&key).await.or_broken("head succeeds")?.size_bytes;
    ensure(size == found.len() as u64, || format!("head tells {} bytes; it tells {size}", found.len()))
}

pub(super) async fn a_dropped_put_of_known_length_stores_nothing(harness: &Harness<'_>) -> RuleResult {
    let key = harness.key("dropped")?;
    let (stream, _never) = pausing(sample(3 * MIB, 1), sample(3 * MIB, 2));
    dropped(harness.put(&key, streamed(stream, Some(6 * MIB as u64)))).await?;
    sleep(UNDER_WAY).await;
    harness.is_absent(&key).await
}

pub(super) async fn a_dropped_put_of_unknown_length_stores_nothing(harness: &Harness<'_>) -> RuleResult {
    let key = harness.key("dropped")?;
    let (stream, _never) = pausing(sample(20 * MIB, 1), sample(1, 2));
    dropped(harness.put(&key, streamed(stream, None))).await?;
    harness.abort_all_uploads().await?;
    harness.is_absent(&key).await
}

pub(super) async fn a_put_dropped_at_any_await_is_whole_or_nothing(harness: &Harness<'_>) -> RuleResult {
    let bytes = sample(250_000, 1);
    for polls in 0..40 {
        let key = harness.key(&format!("dropped-{polls:02}"))?;
        let length = if polls % 2 == 0 { Some(250_000) } else { None };
        let options = text();
        let put = harness.storage.put(&key, streamed(in_pieces(bytes.clone()), length), &options);
        polled(polls, put).await;
    }
    sleep(UNDER_WAY).await;
    for object in harness.list(&harness.prefix(), 1_000).await? {
        ensure(object.size_bytes == 250_000, || {
            format!("a dropped put leaves all of its 250000 bytes or none; {} has {}", object.key, object.size_bytes)
        })?;
    }
    Ok(())
}

pub(super) async fn a_running_multipart_upload_is_listed_and_can_be_aborted(harness: &Harness<'_>) -> RuleResult {
    let key = harness.key("running")?;
    let (stream, go_on) = pausing(sample(24 * MIB, 1), sample(1, 2));
    let options = text();
    let put = harness.storage.put(&key, streamed(stream, None), &options);
    let watch = async {
        let aborted = abort_when_listed(harness).await;
        let _ = go_on.send(());
        aborted
    };
    let (put, aborted) = futures::future::join(put, watch).await;
    aborted?;
    ensure(put.is_err(), || "a put whose multipart upload was aborted fails".to_owned())?;
    harness.is_absent(&key).await?;
    harness.abort_all_uploads().await
}

async fn abort_when_listed(harness: &Harness<'_>) -> RuleResult {
    let key = harness.key("running")?;
    let deadline = Instant::now() + BEGINNING;
    loop {
        if let Some(upload) = harness.multipart_uploads().await?.first() {
            ensure(upload.key == key.as_str(), || format!("the upload of {key} is listed; {} is", upload.key))?;
            let aborted = harness.storage.abort_multipart_upload(&key, &upload.upload_id).await;
            return aborted.or_broken("abort_multipart_upload succeeds");
        }
        ensure(Instant::now() < deadline, || "a running multipart upload is listed".to_owned())?;
        sleep(Duration::from_millis(50)).await;
    }
}

/// The name is that of an upload which has existed where the server makes it possible to have one: servers differ in
/// what they say about a name that they could never have made.
pub(super) async fn aborting_an_unknown_multipart_upload_succeeds(harness: &Harness<'_>) -> RuleResult {
    let key = harness.key("aborted")?;
    let (stream, go_on) = pausing(sample(24 * MIB, 1), sample(1, 2));
    let options = text();
    let put = harness.storage.put(&key, streamed(stream, None), &options);
    let watch = async {
        let aborted = abort_twice_when_listed(harness).await;
        let _ = go_on.send(());
        aborted
    };
    let (_, aborted) = futures::future::join(put, watch).await;
    aborted
}

async fn abort_twice_when_listed(harness: &Harness<'_>) -> RuleResult {
    let key = harness.key("aborted")?;
    let deadline = Instant::now() + BEGINNING;
    loop {
        if let Some(upload) = harness.multipart_uploads().await?.first() {
            for _ in 0..2 {
                let aborted = harness.storage.abort_multipart_upload(&key, &upload.upload_id).await;
                aborted.or_broken("aborting twice succeeds twice")?;
            }
            return Ok(());
        }
        ensure(Instant::now() < deadline, || "a running multipart upload is listed".to_owned())?;
        sleep(Duration::from_millis(50)).await;
    }
}

/// Yields `first`, waits until told to go on, then yields `rest`. Ends in an error when the sender is gone.
fn pausing(first: Bytes, rest: Bytes) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static, oneshot::Sender<()>) {
    let (go_on, wait) = oneshot::channel();
    let pause = futures::stream::once(async move {
        let told = wait.await;
        told.map(|()| Bytes::new()).map_err(|_| io::Error::other("nobody waits for the rest"))
    });
    (in_pieces(first).chain(pause).chain(in_pieces(rest)), go_on)
}

/// Drops a put that waits for bytes which do not come.
async fn dropped<T>(put: impl Future<Output = Result<T, Violation>>) -> RuleResult {
    // A put of 20 MiB over a slow link may still be busy; dropping it then is just as good a test.
    match timeout(UNDER_WAY * 5, put).await {
        Err(_) => Ok(()),
        Ok(Err(violation)) => Err(violation),
        Ok(Ok(_)) => Err(Violation::new("a put waits for the rest of its body")),
    }
}

/// Polls a future at most so often, then drops it.
async fn polled<T>(polls: u32, future: impl Future<Output = Result<T, StorageError>>) {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        future.as_mut().poll(context).map(|_| ())
    })
    .await;
}
