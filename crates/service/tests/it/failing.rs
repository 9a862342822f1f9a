use std::time::Duration;

use futures::StreamExt;
use object_store_devkit::faults::{Fault, Operation, When};
use object_store_devkit::samples;
use object_store_repo::{Database, DatabaseConfig, IntentRepo};
use object_store_service::{
    AudioCreate, ImageCreate, ImageRead, ObjectStoreError, ObjectStoreService, Result, Settings, UploadBody,
};

use crate::support::{Count, World, ann, dripping, on_both_databases, pieces};

on_both_databases! {
    a_passing_failure_of_storage_is_survived
    a_lasting_failure_of_storage_leaves_nothing
    a_write_whose_answer_was_lost_is_cleaned_up_twice
    a_lost_answer_is_retried_under_a_fresh_key
    a_failed_delete_is_finished_by_the_sweep
}

async fn upload(world: &World) -> Result<ImageRead> {
    world.service.upload_image(ann(), ImageCreate::new("a.png"), samples::png(6, 6).into()).await
}

/// What was lost on its way arrives after all.
fn land_late_writes(world: &World) {
    for call in world.storage.calls() {
        if let (Operation::Put, Some(Fault::RequestLost), Some(key)) = (call.operation, call.fault, call.key) {
            world.memory.insert_foreign(key.as_str(), "image/png", samples::png(6, 6));
        }
    }
}

async fn a_passing_failure_of_storage_is_survived(world: World) {
    world.storage.fail(Operation::Put, When::Nth(1), Fault::ReplyLost);
    upload(&world).await.unwrap();
    // The first attempt's object is gone, and its key will be deleted once more.
    assert_eq!(world.count().await, Count { images: 1, objects: 1, intents: 1, ..Count::default() });
    world.assert_consistent_after_sweep().await;
    assert_eq!(world.count().await, Count { images: 1, objects: 1, ..Count::default() });
}

async fn a_lasting_failure_of_storage_leaves_nothing(world: World) {
    for (fault, code, retryable) in [
        (Fault::Unavailable, "storage_unavailable", true),
        (Fault::AccessDenied, "storage_access_denied", false),
        (Fault::BucketMissing, "storage_bucket_missing", false),
    ] {
        world.storage.fail(Operation::Put, When::Always, fault);
        let failed = upload(&world).await.unwrap_err();
        assert_eq!((failed.code(), failed.is_retryable()), (code, retryable));
        world.storage.heal();
    }
    world.assert_empty().await;
}

async fn a_write_whose_answer_was_lost_is_cleaned_up_twice(world: World) {
    world.storage.fail(Operation::Put, When::Always, Fault::RequestLost);
    let failed = upload(&world).await.unwrap_err();
    assert_eq!(failed.code(), "storage_unavailable");
    world.storage.heal();
    let keys = world.count().await;
    assert!(keys.intents > 0 && keys.objects == 0, "{keys:?}");

    // The writes land after the first delete.
    land_late_writes(&world);
    assert!(world.count().await.objects > 0);

    world.assert_consistent_after_sweep().await;
    world.assert_empty().await;
}

async fn a_lost_answer_is_retried_under_a_fresh_key(world: World) {
    world.storage.fail(Operation::Put, When::Nth(1), Fault::RequestLost);
    let image = upload(&world).await.unwrap();

    // The first write lands, and the committed image is what it was.
    land_late_writes(&world);
    world.assert_consistent_after_sweep().await;
    assert!(world.service.download(ann(), image.id.into(), None).await.is_ok());
    assert_eq!(world.count().await, Count { images: 1, objects: 1, ..Count::default() });
}

async fn a_failed_delete_is_finished_by_the_sweep(world: World) {
    for fault in [Fault::Unavailable, Fault::ReplyLost, Fault::AccessDenied, Fault::BucketMissing] {
        let image = upload(&world).await.unwrap();
        world.storage.fail(Operation::Delete, When::Always, fault);
        world.service.delete(ann(), image.id.into()).await.unwrap();
        assert_eq!(world.count().await.intents, 1);

        world.let_deadlines_pass().await;
        assert_eq!(world.service.sweep().await.unwrap().failed, 1);
        let intent = {
            let mut conn = world.database.reader().await.unwrap();
            IntentRepo::list(&mut conn, None, 10).await.unwrap().remove(0)
        };
        assert!(intent.last_error.is_some());
        assert_eq!(world.service.sweep().await.unwrap().claimed, 0, "not at once again");

        world.storage.heal();
        world.assert_consistent_after_sweep().await;
        world.assert_empty().await;
    }
}

const HALF_A_DAY_MS: u32 = 45_000_000;

/// More than 8 MiB, with its duration on the last page.
fn long_ogg() -> Vec<u8> {
    let ogg = samples::ogg_opus(HALF_A_DAY_MS, "", "");
    assert!(ogg.len() > 8 << 20);
    ogg
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_are_read_back_from_storage() {
    let world = World::sqlite().await;
    let ogg = long_ogg();
    let audio = world.service.upload_audio(ann(), AudioCreate::new("a.ogg"), dripping(&ogg)).await.unwrap();
    assert_eq!(audio.duration_ms, Some(HALF_A_DAY_MS.into()));
    assert!(world.storage.count(Operation::Get) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_that_cannot_be_read_back_are_not_a_broken_file() {
    let world = World::sqlite().await;
    world.storage.fail(Operation::Get, When::Always, Fault::Unavailable);
    let upload = world.service.upload_audio(ann(), AudioCreate::new("a.ogg"), dripping(&long_ogg())).await;
    assert_eq!(upload.unwrap_err().code(), "storage_unavailable");
    world.storage.heal();
    world.assert_consistent_after_sweep().await;
    world.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_whose_reading_breaks_off_may_be_read_another_time() {
    let world = World::sqlite().await;
    world.storage.fail(Operation::Get, When::Always, Fault::CutDownload { after_bytes: 20 });
    let upload = world.service.upload_audio(ann(), AudioCreate::new("a.ogg"), dripping(&long_ogg())).await;
    let failed = upload.unwrap_err();
    assert_eq!((failed.code(), failed.is_retryable()), ("storage_unavailable", true));
    world.storage.heal();
    world.assert_consistent_after_sweep().await;
    world.assert_empty().await;
}

/// 10 MiB that take about four seconds to arrive.
fn slow_wav() -> UploadBody {
    // The first 8 MiB, which are read before anything is written, come at once; the rest takes five seconds.
    let slow = pieces(&samples::wav(48_000, 2, 16, 110_000)).enumerate().then(|(index, piece)| async move {
        if index >= 128 {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        piece
    });
    UploadBody::from_stream(slow.boxed(), None)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_swept_under_way_is_expired() {
    let world = World::sqlite().await;
    let service = world.service_with(|settings| settings.timings.upload_fence = Duration::from_secs(1));
    let body = slow_wav();
    let upload = tokio::spawn(async move { service.upload_audio(ann(), AudioCreate::new("a.wav"), body).await });
    while world.count().await.intents == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.let_deadlines_pass().await;
    assert_eq!(world.service.sweep().await.unwrap().claimed, 1);

    assert_eq!(upload.await.unwrap().unwrap_err().code(), "upload_expired");
    world.assert_consistent_after_sweep().await;
    world.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_ends_when_storage_fails() {
    let world = World::sqlite().await;
    for _ in 0..40 {
        let staged = world.service.stage_image(ann(), ImageCreate::new("a.png"), samples::png(2, 2).into()).await;
        drop(staged.unwrap());
    }
    world.let_deadlines_pass().await;
    world.storage.fail(Operation::Delete, When::Always, Fault::Unavailable);
    let report = world.service.sweep().await.unwrap();
    assert!(report.failed > 0 && report.claimed < 40, "{report:?}");
    world.storage.heal();
    world.assert_consistent_after_sweep().await;
    world.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_fail_hold_up_no_others() {
    let world = World::sqlite().await;
    for _ in 0..40 {
        let staged = world.service.stage_image(ann(), ImageCreate::new("a.png"), samples::png(2, 2).into()).await;
        drop(staged.unwrap());
    }
    world.let_deadlines_pass().await;
    for nth in [1, 2, 20, 40] {
        world.storage.fail(Operation::Delete, When::Nth(nth), Fault::AccessDenied);
    }
    let report = world.service.sweep().await.unwrap();
    assert_eq!((report.claimed, report.failed, report.purged), (40, 4, 36));
    world.assert_consistent_after_sweep().await;
    world.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_upload_is_not_swept() {
    let world = World::sqlite().await;
    // Renewed at a third of it: long enough for a machine with much else to do.
    let service = world.service_with(|settings| settings.timings.upload_fence = Duration::from_secs(3));
    let sweeper = world.service.clone();
    let body = slow_wav();

    let upload = tokio::spawn(async move { service.upload_audio(ann(), AudioCreate::new("a.wav"), body).await });
    while !upload.is_finished() {
        assert_eq!(sweeper.sweep().await.unwrap().claimed, 0);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    upload.await.unwrap().unwrap();
    world.assert_consistent_after_sweep().await;
    assert_eq!(world.count().await.audios, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_an_error_before_storage_is_asked() {
    let world = World::sqlite().await;
    let gone = Database::open(&DatabaseConfig::new("postgres://nobody@127.0.0.1:1/none")).unwrap();
    let service = ObjectStoreService::new(gone, world.storage.clone(), Settings::default());
    let failed = service.upload_image(ann(), ImageCreate::new("a.png"), samples::png(6, 6).into()).await.unwrap_err();
    assert_eq!((failed.code(), failed.is_retryable()), ("database_unavailable", true));
    assert_eq!(world.memory.calls().total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_missing_are_an_error_that_says_what_to_do() {
    let directory = tempfile::TempDir::new().unwrap();
    let url = format!("sqlite:{}", directory.path().join("empty.db").display());
    let world = World::sqlite().await;
    let database = Database::open(&DatabaseConfig::new(url)).unwrap();
    let service = ObjectStoreService::new(database, world.storage.clone(), Settings::default());
    let failed = service.upload_image(ann(), ImageCreate::new("a.png"), samples::png(6, 6).into()).await.unwrap_err();
    assert_eq!(failed.code(), "database_migrations_pending");
    let ObjectStoreError::Database(cause) = failed else { panic!("{failed:?}") };
    assert!(cause.to_string().contains("migrations"), "{cause}");
    assert_eq!(world.memory.calls().total(), 0);
}
