//! Doing an operation with its trouble.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use object_store_devkit::faults::{Fault, Operation, When};
use object_store_models::MediaId;
use object_store_service::{DirectUpload, FileUploadResult, Result, UploadMethod};
use object_store_storage::ObjectKey;

use super::Violation;
use super::sample::Sample;
use super::step::{Other, Span, Trouble, Who};
use super::world::World;

/// How an operation ended.
pub(crate) struct Outcome<T> {
    /// `None`: dropped.
    pub(crate) result: Option<Result<T>>,
    /// Nothing went wrong in the course of it.
    pub(crate) is_calm: bool,
    pub(crate) meanwhile: Option<Meanwhile>,
}

/// What was done meanwhile, and its result.
#[derive(Debug)]
pub(crate) enum Meanwhile {
    /// How much time has passed.
    Lapsed(Duration),
    /// Whether storage has taken it.
    Resent(Sample, bool),
    Completed(Box<Result<FileUploadResult>>),
    Cancelled(Result<()>),
    Deleted(Result<()>),
}

/// Whom what is done meanwhile is done to.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) id: MediaId,
    pub(crate) upload: Option<DirectUpload>,
}

/// A write that had not happened when its caller was told that it might have, or was dropped.
pub(crate) struct LateWrite {
    pub(crate) key: ObjectKey,
    pub(crate) age: Duration,
}

/// How long something else is waited for alone. After that it goes on beside what it interrupts, which may have what it
/// waits for.
const ALONE: Duration = Duration::from_millis(30);

pub(crate) async fn perform<T>(
    world: &World,
    trouble: Trouble,
    target: Option<&Target>,
    work: impl Future<Output = Result<T>>,
) -> std::result::Result<Outcome<T>, Violation> {
    world.storage.forget_calls();
    let mut work = Box::pin(work);
    let mut meanwhile = None;
    let result = match trouble {
        Trouble::Calm => Some(work.as_mut().await),
        Trouble::Fault(operation, nth, fault) => {
            world.storage.fail(operation, When::Nth(nth.into()), fault);
            let result = work.as_mut().await;
            world.storage.heal();
            Some(result)
        }
        Trouble::Crash(at) => until_it_waits(&mut work, at).await,
        Trouble::Meanwhile(at, other) => match until_it_waits(&mut work, at).await {
            Some(result) => Some(result),
            None if !is_possible(other, target) => Some(work.as_mut().await),
            None => {
                let mut other = Box::pin(do_other(world, other, target));
                let (result, done) = match tokio::time::timeout(ALONE, &mut other).await {
                    Ok(done) => (work.as_mut().await, done),
                    Err(_) => futures::future::join(work.as_mut(), other).await,
                };
                meanwhile = done;
                Some(result)
            }
        },
    };
    // What is dropped, is dropped here.
    drop(work);
    world.settle(result.is_none()).await?;
    let was_hit = world.storage.calls().iter().any(|call| call.fault.is_some());
    let is_calm = result.is_some() && meanwhile.is_none() && !was_hit;
    Ok(Outcome { result, is_calm, meanwhile })
}

/// `None` where it waits for the n-th time.
async fn until_it_waits<F: Future>(work: &mut Pin<Box<F>>, nth: u8) -> Option<F::Output> {
    let mut waits = 0;
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => {
            waits += 1;
            if waits == nth { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}

fn is_possible(other: Other, target: Option<&Target>) -> bool {
    match other {
        Other::Lapse => true,
        Other::Delete => target.is_some(),
        Other::Resend(_) | Other::Complete | Other::Cancel => target.is_some_and(|target| target.upload.is_some()),
    }
}

async fn do_other(world: &World, other: Other, target: Option<&Target>) -> Option<Meanwhile> {
    let (service, system) = (&world.service, Who::System.actor());
    Some(match (other, target) {
        (Other::Lapse, target) => {
            // What is sent through us must not land later than a fence and a late write after its intent: that is the
            // bound of the protocol. What a client has sent can be copied only as long as it is there.
            let is_direct = target.is_some_and(|target| target.upload.is_some());
            let time = if is_direct { Span::Direct } else { Span::Fence }.time();
            world.advance(time).await;
            // Should it fail, the next one does it.
            let _swept = service.sweep().await;
            Meanwhile::Lapsed(time)
        }
        (Other::Resend(what), Some(target)) => {
            let upload = target.upload.as_ref()?;
            Meanwhile::Resent(what, send(world, upload, what))
        }
        (Other::Complete, Some(target)) => {
            Meanwhile::Completed(Box::new(service.complete_upload(system, target.id).await))
        }
        (Other::Cancel, Some(target)) => Meanwhile::Cancelled(service.cancel_upload(system, target.id).await),
        (Other::Delete, Some(target)) => Meanwhile::Deleted(service.delete(system, target.id).await),
        (_, None) => return None,
    })
}

/// Does what a client does with what it was given. Whether storage has taken it.
pub(crate) fn send(world: &World, upload: &DirectUpload, what: Sample) -> bool {
    let bytes: Bytes = what.content().bytes.clone();
    match &upload.method {
        UploadMethod::Post { url, fields, .. } => world.memory.submit_post(url, fields, bytes).is_ok(),
        UploadMethod::Put { url, headers } => world.memory.submit_put(url, headers, bytes).is_ok(),
        UploadMethod::Parts { .. } | UploadMethod::Completed => false,
    }
}

/// The key to which a client sends.
pub(crate) fn staging_key(upload: &DirectUpload) -> Option<String> {
    match &upload.method {
        UploadMethod::Post { fields, .. } => fields.iter().find(|(name, _)| name == "key").map(|(_, key)| key.clone()),
        UploadMethod::Put { url, .. } => {
            let path = url.split('?').next()?;
            path.find("staging/").map(|start| path[start..].to_owned())
        }
        UploadMethod::Parts { .. } | UploadMethod::Completed => None,
    }
}

/// The writes of the last operation that may still land: requests that were lost, and whatever was under way when the
/// caller was dropped. For the latter the parts of a multipart upload lie in storage.
pub(crate) fn late_writes(world: &World, was_dropped: bool) -> Vec<LateWrite> {
    let calls = world.storage.calls();
    let is_write = |operation| matches!(operation, Operation::Put | Operation::Copy);
    let lost = calls.iter().filter(|call| is_write(call.operation) && call.fault == Some(Fault::RequestLost));
    let mut late: Vec<ObjectKey> = lost.filter_map(|call| call.key.clone()).collect();
    if was_dropped
        && let Some(call) = calls.last().filter(|call| is_write(call.operation) && call.fault.is_none())
        && let Some(key) = &call.key
        && !world.memory.keys().contains(&key.to_string())
    {
        world.memory.begin_multipart_upload(key);
        late.push(key.clone());
    }
    late.into_iter().map(|key| LateWrite { key, age: Duration::ZERO }).collect()
}
