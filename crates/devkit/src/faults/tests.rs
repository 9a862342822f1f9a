use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::join_all;
use object_store_storage::contract::{Capabilities, Outcome, rules};
use object_store_storage::{CopyOptions, Memory, PutOptions, RetryClass, collect};
use tokio::time::timeout;

use super::*;
use crate::suspension::{Ending, drop_at_suspension, drop_when};

fn storage() -> (Memory, FaultyStorage) {
    let memory = Memory::new();
    let faulty = FaultyStorage::new(Arc::new(memory.clone()));
    (memory, faulty)
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

async fn put(storage: &FaultyStorage, name: &str) -> StorageResult<()> {
    let options = PutOptions { content_type: "text/plain".to_owned(), content_md5: None };
    storage.put(&key(name), Bytes::from_static(b"0123456789").into(), &options).await.map(|_| ())
}

async fn read(storage: &FaultyStorage, name: &str) -> StorageResult<Bytes> {
    collect(storage.get(&key(name), None).await?.stream).await
}

async fn hangs(call: impl Future) -> bool {
    timeout(Duration::from_millis(20), call).await.is_err()
}

#[tokio::test]
async fn without_faults_it_is_the_storage_behind() {
    let (memory, storage) = storage();
    put(&storage, "a").await.unwrap();
    assert_eq!(read(&storage, "a").await.unwrap(), "0123456789");
    assert_eq!(storage.head(&key("a")).await.unwrap().size_bytes, 10);
    storage.copy(&key("a"), &key("b"), &CopyOptions::default()).await.unwrap();
    assert_eq!(storage.list_page("", None, 10).await.unwrap().objects.len(), 2);
    storage.delete(&key("a")).await.unwrap();
    assert_eq!(memory.keys(), ["b"]);
}

#[tokio::test]
async fn without_faults_it_keeps_every_rule_of_the_port() {
    // Some rules wait for time to pass: all at once, each with a bucket of its own.
    let outcomes = join_all(rules().iter().map(async |rule| {
        let memory = Memory::new();
        let suspending = FaultyStorage::new(Arc::new(memory.clone())).suspending();
        rule.run(&suspending, &memory, &Capabilities::ALL).await
    }))
    .await;
    let broken: Vec<_> = outcomes.iter().filter(|outcome| !matches!(outcome.outcome, Outcome::Held)).collect();
    assert!(broken.is_empty() && !outcomes.is_empty(), "{broken:#?}");
}

#[tokio::test]
async fn calls_are_noted_with_what_they_are_about() {
    let (_, storage) = storage();
    put(&storage, "a").await.unwrap();
    storage.fail(Operation::Copy, When::Always, Fault::Unavailable);
    storage.copy(&key("a"), &key("b"), &CopyOptions::default()).await.unwrap_err();
    storage.list_page("", None, 10).await.unwrap();

    let call = |operation, key, source, fault| Call { operation, key, source, fault };
    assert_eq!(
        storage.calls(),
        [
            call(Operation::Put, Some(key("a")), None, None),
            call(Operation::Copy, Some(key("b")), Some(key("a")), Some(Fault::Unavailable)),
            call(Operation::ListPage, None, None, None),
        ]
    );
    assert_eq!(storage.count(Operation::Put), 1);
    storage.forget_calls();
    assert_eq!(storage.calls(), []);
}

#[tokio::test]
async fn a_fault_says_what_a_caller_may_know_and_has_the_effect_it_should() {
    for (fault, class, happened) in [
        (Fault::Unavailable, RetryClass::Safe, false),
        (Fault::RequestLost, RetryClass::OutcomeUnknown, false),
        (Fault::ReplyLost, RetryClass::OutcomeUnknown, true),
        (Fault::AccessDenied, RetryClass::Never, false),
        (Fault::BucketMissing, RetryClass::Never, false),
        (Fault::Corrupted, RetryClass::Never, false),
    ] {
        let (memory, storage) = storage();
        storage.fail(Operation::Put, When::Always, fault);
        let error = put(&storage, "a").await.unwrap_err();
        assert_eq!(error.retry_class(), class, "{fault:?}");
        assert_eq!(memory.object_count(), usize::from(happened), "{fault:?}");
    }
}

#[tokio::test]
async fn refusals_keep_their_names() {
    for (fault, code) in [
        (Fault::AccessDenied, "access_denied"),
        (Fault::BucketMissing, "bucket_missing"),
        (Fault::Corrupted, "corrupted"),
    ] {
        let (_, storage) = storage();
        storage.fail(Operation::Delete, When::Always, fault);
        assert_eq!(storage.delete(&key("a")).await.unwrap_err().code(), code);
    }
}

#[tokio::test]
async fn a_call_can_hang_on_either_side_of_its_effect() {
    for (fault, happened) in [(Fault::HangBefore, false), (Fault::HangAfter, true)] {
        let (memory, storage) = storage();
        storage.fail(Operation::Put, When::Always, fault);
        assert!(hangs(put(&storage, "a")).await, "{fault:?}");
        assert_eq!(memory.object_count(), usize::from(happened), "{fault:?}");
    }
}

#[tokio::test]
async fn only_the_calls_that_are_meant_fail() {
    let outcomes = async |when| {
        let (_, storage) = storage();
        put(&storage, "before").await.unwrap();
        storage.fail(Operation::Put, when, Fault::Unavailable);
        let mut outcomes = Vec::new();
        for _ in 0..4 {
            storage.head(&key("before")).await.unwrap();
            outcomes.push(put(&storage, "a").await.is_ok());
        }
        outcomes
    };
    assert_eq!(outcomes(When::Nth(2)).await, [true, false, true, true]);
    assert_eq!(outcomes(When::From(3)).await, [true, true, false, false]);
    assert_eq!(outcomes(When::Always).await, [false; 4]);
}

#[tokio::test]
async fn a_fault_can_wait_for_any_operation() {
    let (_, storage) = storage();
    storage.fail_any(When::Nth(2), Fault::Unavailable);
    put(&storage, "a").await.unwrap();
    storage.head(&key("a")).await.unwrap_err();
    storage.head(&key("a")).await.unwrap();
}

#[tokio::test]
async fn the_first_of_several_faults_decides_and_all_count() {
    let (_, storage) = storage();
    storage.fail(Operation::Head, When::Nth(1), Fault::AccessDenied);
    storage.fail(Operation::Head, When::Nth(1), Fault::BucketMissing);
    storage.fail(Operation::Head, When::Nth(2), Fault::Corrupted);
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(storage.head(&key("a")).await.unwrap_err().code());
    }
    assert_eq!(codes, ["access_denied", "corrupted", "object_missing"]);
}

#[tokio::test]
async fn a_healed_storage_works() {
    let (_, storage) = storage();
    storage.fail_any(When::Always, Fault::Unavailable);
    put(&storage, "a").await.unwrap_err();
    storage.heal();
    put(&storage, "a").await.unwrap();
}

#[tokio::test]
async fn a_cut_download_breaks_after_its_bytes() {
    for after_bytes in [0, 4, 10, 99] {
        let (_, storage) = storage();
        put(&storage, "a").await.unwrap();
        storage.fail(Operation::Get, When::Always, Fault::CutDownload { after_bytes });

        let mut download = storage.get(&key("a"), None).await.unwrap();
        assert_eq!(download.length, 10);
        let mut arrived = Vec::new();
        let error = loop {
            match download.stream.next().await.unwrap() {
                Ok(bytes) => arrived.extend_from_slice(&bytes),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
        assert_eq!(arrived, &b"0123456789"[..usize::try_from(after_bytes).unwrap().min(10)]);
        assert!(download.stream.next().await.is_none());
    }
}

#[tokio::test]
async fn a_flipped_download_differs_in_one_bit() {
    for (at, expected) in [(0, "1123456789"), (9, "0123456788"), (10, "0123456789")] {
        let (_, storage) = storage();
        put(&storage, "a").await.unwrap();
        storage.fail(Operation::Get, When::Nth(1), Fault::FlipDownload { at });
        assert_eq!(read(&storage, "a").await.unwrap(), expected);
        assert_eq!(read(&storage, "a").await.unwrap(), "0123456789");
    }
}

#[test]
#[should_panic(expected = "can only happen to a get")]
fn a_fault_of_downloads_is_not_for_other_calls() {
    storage().1.fail(Operation::Put, When::Always, Fault::CutDownload { after_bytes: 0 });
}

#[tokio::test]
async fn a_suspending_storage_can_be_left_on_either_side_of_the_effect() {
    for (nth, happened) in [(1, false), (2, true)] {
        let memory = Memory::new();
        let storage = FaultyStorage::new(Arc::new(memory.clone())).suspending();
        assert!(matches!(drop_at_suspension(put(&storage, "a"), nth).await, Ending::Dropped));
        assert_eq!(memory.object_count(), usize::from(happened), "dropped at {nth}");
    }
}

#[tokio::test]
async fn a_change_whose_caller_goes_away_can_land_later_or_never() {
    for lands in [false, true] {
        let memory = Memory::new();
        let storage = FaultyStorage::new(Arc::new(memory.clone())).suspending();
        storage.keep_late_changes();
        assert!(matches!(drop_at_suspension(put(&storage, "a"), 1).await, Ending::Dropped));
        assert_eq!((memory.object_count(), storage.late_changes()), (0, 1));
        if lands {
            assert_eq!(storage.land_late_changes().await, 1);
        } else {
            storage.lose_late_changes();
        }
        assert_eq!((memory.object_count(), storage.late_changes()), (usize::from(lands), 0));
    }
}

#[tokio::test]
async fn only_what_may_have_been_sent_is_kept() {
    for (fault, kept) in
        [(Fault::RequestLost, 1), (Fault::ReplyLost, 0), (Fault::Unavailable, 0), (Fault::AccessDenied, 0)]
    {
        let (_, storage) = storage();
        storage.keep_late_changes();
        storage.fail(Operation::Put, When::Always, fault);
        put(&storage, "a").await.unwrap_err();
        assert_eq!(storage.late_changes(), kept, "{fault:?}");
    }
    let (memory, storage) = storage();
    storage.keep_late_changes();
    put(&storage, "a").await.unwrap();
    assert_eq!((memory.object_count(), storage.late_changes()), (1, 0));
}

#[tokio::test]
async fn it_is_known_which_changes_are_under_way() {
    let storage = FaultyStorage::new(Arc::new(Memory::new())).suspending();
    put(&storage, "a").await.unwrap();
    assert_eq!((storage.changes_begun(), storage.is_under_way(1), storage.is_under_way(2)), (1, false, false));
    let second = drop_when(put(&storage, "b"), |_| storage.is_under_way(2)).await;
    assert!(matches!(second, Ending::Dropped) && !storage.is_under_way(2));
    storage.forget_calls();
    let first = drop_when(put(&storage, "c"), |_| storage.is_under_way(1)).await;
    assert!(matches!(first, Ending::Dropped));
    assert_eq!(storage.changes_begun(), 1);
}

#[tokio::test]
async fn a_multipart_upload_of_a_caller_that_went_away_stays_open() {
    let memory = Memory::new();
    let storage = FaultyStorage::new(Arc::new(memory.clone())).suspending();
    storage.keep_late_changes();
    let large = Bytes::from(vec![0; Memory::MULTIPART_THRESHOLD + 1]);
    let pieces = futures::stream::once(async { Ok(large) }).chain(futures::stream::pending());
    let body = object_store_storage::Body::Stream { stream: pieces.boxed(), length: None };
    let (to, options) = (key("a"), PutOptions::default());
    let ending = drop_at_suspension(storage.put(&to, body, &options), 2).await;
    assert!(matches!(ending, Ending::Dropped));
    let open = async || memory.list_multipart_uploads("", None).await.unwrap().uploads.len();
    assert_eq!(open().await, 1);
    storage.fail(Operation::ListMultipartUploads, When::Nth(1), Fault::CutListing { after_objects: 0 });
    assert!(storage.list_multipart_uploads("", None).await.unwrap().uploads.is_empty());
    assert_eq!(storage.list_multipart_uploads("", None).await.unwrap().uploads.len(), 1);
    storage.lose_late_changes();
    assert_eq!(open().await, 0);
}
