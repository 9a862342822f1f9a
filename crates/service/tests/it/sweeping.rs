use object_store_devkit::samples;
use object_store_service::{ImageCreate, StagedImage, SweepReport};
use object_store_storage::ObjectKey;

use crate::support::{Count, World, ann, on_both_databases};

on_both_databases! {
    a_sweep_with_nothing_to_do_does_nothing
    a_sweep_leaves_alone_what_is_not_due
    a_sweep_removes_what_was_abandoned
    a_sweep_aborts_multipart_uploads_of_its_key_alone
    many_sweeps_at_once_do_the_work_once
    a_sweep_is_not_stopped_by_one_that_died
}

async fn stage(world: &World) -> StagedImage {
    world.service.stage_image(ann(), ImageCreate::new("a.png"), samples::png(2, 2).into()).await.unwrap()
}

async fn a_sweep_with_nothing_to_do_does_nothing(world: World) {
    assert_eq!(world.service.sweep().await.unwrap(), SweepReport::default());
    assert_eq!(world.memory.calls().total(), 0);
}

async fn a_sweep_leaves_alone_what_is_not_due(world: World) {
    let _staged = stage(&world).await;
    assert_eq!(world.service.sweep().await.unwrap(), SweepReport::default());
    assert_eq!(world.count().await, Count { intents: 1, objects: 1, ..Count::default() });
}

async fn a_sweep_removes_what_was_abandoned(world: World) {
    for _ in 0..3 {
        let _staged = stage(&world).await;
    }
    world.let_deadlines_pass().await;
    let report = world.service.sweep().await.unwrap();
    assert_eq!(report, SweepReport { claimed: 3, purged: 3, ..SweepReport::default() });
    world.assert_empty().await;
}

async fn a_sweep_aborts_multipart_uploads_of_its_key_alone(world: World) {
    let _staged = stage(&world).await;
    let key = ObjectKey::parse(&world.memory.keys()[0]).unwrap();
    let longer = ObjectKey::parse(&format!("{key}0")).unwrap();
    world.memory.begin_multipart_upload(&key);
    world.memory.begin_multipart_upload(&longer);

    world.let_deadlines_pass().await;
    world.service.sweep().await.unwrap();

    let left = object_store_storage::ObjectStorage::list_multipart_uploads(&world.memory, "", None).await.unwrap();
    let left: Vec<_> = left.uploads.into_iter().map(|upload| upload.key).collect();
    assert_eq!(left, [longer.as_str()]);
}

async fn many_sweeps_at_once_do_the_work_once(world: World) {
    for _ in 0..30 {
        let _staged = stage(&world).await;
    }
    world.let_deadlines_pass().await;
    let sweeps: Vec<_> = (0..4)
        .map(|_| {
            let service = world.service.clone();
            tokio::spawn(async move { service.sweep().await.unwrap() })
        })
        .collect();
    let mut claimed = 0;
    for sweep in sweeps {
        claimed += sweep.await.unwrap().claimed;
    }
    assert_eq!(claimed, 30);
    world.assert_empty().await;
}

async fn a_sweep_is_not_stopped_by_one_that_died(world: World) {
    let _staged = stage(&world).await;
    world.let_deadlines_pass().await;
    // Claimed by a worker that never comes back.
    let lease = std::time::Duration::from_mins(5);
    let claimed = world
        .database
        .transaction(async |conn| object_store_repo::IntentRepo::claim_due(conn, 10, lease).await)
        .await
        .unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(world.service.sweep().await.unwrap().claimed, 0, "leased");
    world.assert_consistent_after_sweep().await;
    world.assert_empty().await;
}
