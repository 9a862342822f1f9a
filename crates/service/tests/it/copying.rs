//! Moving a store: all that rows name comes to the other storage, whatever breaks in between.

use std::sync::Arc;

use bytes::Bytes;
use object_store_devkit::faults::{Fault, FaultyStorage, Operation, When};
use object_store_devkit::samples;
use object_store_devkit::suspension::{Ending, Turns, drop_at_suspension};
use object_store_models::MediaId;
use object_store_service::{AudioCreate, CopyStoreOptions, CopyStoreReport, ImageCreate, ObjectStoreService};
use object_store_storage::{Memory, ObjectKey, ObjectStorage, collect};

use crate::support::{World, ann, on_both_databases};

on_both_databases! {
    everything_is_copied_and_copied_once
    what_is_deleted_and_uploaded_meanwhile_is_no_failure
    what_is_missing_or_corrupt_is_named_and_the_rest_is_copied
    what_fails_is_tried_again_and_what_goes_on_failing_ends_it
    dropped_anywhere_the_next_run_completes_it
}

/// Where to.
fn target() -> (Memory, FaultyStorage) {
    let memory = Memory::new();
    (memory.clone(), FaultyStorage::new(Arc::new(memory)).suspending())
}

async fn copy(world: &World, target: &FaultyStorage) -> CopyStoreReport {
    world.service.copy_store(target, &CopyStoreOptions::default()).await.unwrap()
}

async fn fill(world: &World) -> Vec<MediaId> {
    let mut ids = Vec::new();
    for number in 1..=4 {
        let image = ImageCreate::new("a.png");
        let image = world.service.upload_image(ann(), image, samples::png(number, 3).into()).await.unwrap();
        let audio = AudioCreate::new("a.wav");
        let wav = samples::wav(8_000, 1, 16, u32::from(number) * 100);
        let audio = world.service.upload_audio(ann(), audio, wav.into()).await.unwrap();
        ids.extend([MediaId::from(image.id), MediaId::from(audio.id)]);
    }
    ids
}

/// A service on the other storage, with the rows of this one.
fn moved(world: &World, target: &Memory) -> ObjectStoreService {
    world.service_on_storage(Arc::new(target.clone()))
}

async fn assert_same(world: &World, target: &Memory, ids: &[MediaId]) {
    let moved = moved(world, target);
    assert_eq!(target.keys(), world.memory.keys());
    for id in ids {
        let source = world.service.download(ann(), *id, None).await.unwrap();
        let copy = moved.download(ann(), *id, None).await.unwrap();
        assert_eq!(copy.meta.content_type, source.meta.content_type);
        assert_eq!(collect(copy.stream).await.unwrap(), collect(source.stream).await.unwrap());
    }
}

fn key_of(world: &World, id: MediaId) -> ObjectKey {
    let key = world.memory.keys().into_iter().find(|key| key.contains(&id.uuid().to_string())).unwrap();
    ObjectKey::parse(&key).unwrap()
}

async fn everything_is_copied_and_copied_once(world: World) {
    let ids = fill(&world).await;
    let (memory, target) = target();
    let first = copy(&world, &target).await;
    assert_eq!((first.rows, first.copied, first.present, first.failed), (8, 8, 0, 0));
    assert_same(&world, &memory, &ids).await;

    target.forget_calls();
    let second = copy(&world, &target).await;
    assert_eq!((second.rows, second.copied, second.present, second.failed), (8, 0, 8, 0));
    assert_eq!(target.count(Operation::Put), 0);

    // What was written under a key by somebody else is replaced, found by its tag or only by its bytes.
    let key = key_of(&world, ids[0]);
    memory.insert_foreign(key.as_str(), "image/png", samples::png(9, 9));
    assert_eq!(copy(&world, &target).await.copied, 1);
    let options = CopyStoreOptions { rehash: true, ..CopyStoreOptions::default() };
    target.fail(Operation::Get, When::Nth(1), Fault::FlipDownload { at: 30 });
    let rehashed = world.service.copy_store(&target, &options).await.unwrap();
    assert_eq!((rehashed.copied, rehashed.present), (1, 7));
    assert_same(&world, &memory, &ids).await;
}

async fn what_is_deleted_and_uploaded_meanwhile_is_no_failure(world: World) {
    let ids = fill(&world).await;
    let (memory, target) = target();
    let options = CopyStoreOptions { at_once: 1, ..CopyStoreOptions::default() };
    let copying = world.service.copy_store(&target, &options);
    let changing = async {
        while target.count(Operation::Put) == 0 {
            tokio::task::yield_now().await;
        }
        for id in &ids[..6] {
            world.service.delete(ann(), *id).await.unwrap();
        }
        fill(&world).await
    };
    let (report, fresh) = tokio::join!(copying, changing);
    let report = report.unwrap();
    assert_eq!(report.failed, 0, "{report:?}");
    assert_eq!(copy(&world, &target).await.failed, 0);
    let kept: Vec<_> = ids[6..].iter().chain(&fresh).copied().collect();
    for id in &kept {
        assert!(memory.keys().contains(&key_of(&world, *id).as_str().to_owned()));
    }
    // What was copied before its row went is an orphan of the target's, which a verify there finds.
    assert!(memory.keys().len() >= kept.len());
}

async fn what_is_missing_or_corrupt_is_named_and_the_rest_is_copied(world: World) {
    let ids = fill(&world).await;
    world.memory.lose(&key_of(&world, ids[0]));
    let corrupt = key_of(&world, ids[3]);
    let mut bytes = collect(world.memory.get(&corrupt, None).await.unwrap().stream).await.unwrap().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    world.memory.insert_foreign(corrupt.as_str(), "audio/wav", Bytes::from(bytes));
    let shorter = key_of(&world, ids[4]);
    world.memory.insert_foreign(shorter.as_str(), "image/png", Bytes::from_static(b"short"));

    let (memory, target) = target();
    let report = copy(&world, &target).await;
    let mut failures: Vec<_> = report.failures.iter().map(|failure| (failure.id, failure.code)).collect();
    failures.sort_unstable();
    let mut expected = vec![(ids[0], "missing"), (ids[3], "corrupt"), (ids[4], "corrupt")];
    expected.sort_unstable();
    assert_eq!(failures, expected);
    assert_eq!((report.copied, report.failed, report.is_complete()), (5, 3, false));
    assert_eq!(memory.object_count(), 5, "what is wrong is not stored");
}

async fn what_fails_is_tried_again_and_what_goes_on_failing_ends_it(world: World) {
    let ids = fill(&world).await;
    let (memory, target) = target();
    for fault in [Fault::Unavailable, Fault::RequestLost, Fault::ReplyLost] {
        target.fail(Operation::Put, When::Nth(1), fault);
    }
    world.storage.fail(Operation::Get, When::Nth(2), Fault::CutDownload { after_bytes: 20 });
    assert_eq!(copy(&world, &target).await.failed, 0);
    world.storage.heal();
    assert_same(&world, &memory, &ids).await;

    for number in 0..6 {
        assert_eq!(fill(&world).await.len(), 8, "{number}");
    }
    target.fail(Operation::Put, When::Always, Fault::AccessDenied);
    let away = world.service.copy_store(&target, &CopyStoreOptions::default()).await.unwrap_err();
    assert_eq!(away.code(), "storage_access_denied");
    target.heal();
    memory.set_bucket_missing(true);
    let missing = world.service.copy_store(&target, &CopyStoreOptions::default()).await.unwrap_err();
    assert_eq!(missing.code(), "storage_bucket_missing");
}

async fn dropped_anywhere_the_next_run_completes_it(world: World) {
    let ids = fill(&world).await;
    let before = world.memory.keys();
    let options = CopyStoreOptions { at_once: 2, ..CopyStoreOptions::default() };
    let mut turns = Turns::default();
    for await_number in (1..).step_by(3) {
        let (memory, target) = target();
        let ending = drop_at_suspension(world.service.copy_store(&target, &options), await_number).await;
        if let Ending::Completed { output, .. } = &ending {
            assert!(output.as_ref().unwrap().is_complete());
        }
        assert_eq!(copy(&world, &target).await.failed, 0);
        assert_same(&world, &memory, &ids).await;
        if turns.are_over(await_number, &ending) {
            assert!(turns.dropped() >= 20);
            break;
        }
    }
    assert_eq!(world.memory.keys(), before);
}
