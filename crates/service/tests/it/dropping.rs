//! A caller that goes away: each use case is dropped at each of its awaits.

use std::future::Future;

use object_store_devkit::samples;
use object_store_devkit::suspension::{Turns, drop_at_suspension};
use object_store_models::ImageId;
use object_store_repo::Owner;
use object_store_service::{AudioCreate, ImageCreate, ObjectStoreService, PageRequest, StagedImage};

use crate::support::{World, ann, dripping, on_both_databases, user};

on_both_databases! {
    an_upload_dropped_anywhere_leaves_no_orphan
    a_long_upload_dropped_anywhere_leaves_no_orphan
    a_delete_dropped_anywhere_is_whole_or_nothing
    a_sweep_dropped_anywhere_is_finished_by_the_next
    a_commit_dropped_anywhere_is_rolled_back
    staging_and_discarding_dropped_anywhere_leave_no_orphan
    a_delete_in_a_transaction_dropped_anywhere_is_whole_or_nothing
    a_reading_dropped_anywhere_leaves_nothing_open
}

/// Does `when` again and again, each time on what `given` prepares, dropped one await later each time, until it finishes;
/// and checks after each.
async fn drop_everywhere<T, F: Future>(
    world: &World,
    given: impl AsyncFn() -> T,
    when: impl Fn(ObjectStoreService, T) -> F,
) {
    let mut turns = Turns::default();
    for await_number in 1.. {
        let prepared = given().await;
        let ending = drop_at_suspension(when(world.service.clone(), prepared), await_number).await;
        world.settle().await;
        world.assert_consistent_after_sweep().await;
        if turns.are_over(await_number, &ending) {
            assert!(turns.dropped() >= 1, "it never waited for anything");
            return;
        }
    }
}

async fn an_upload_dropped_anywhere_leaves_no_orphan(world: World) {
    drop_everywhere(
        &world,
        async || (),
        async |service, ()| {
            service.upload_image(ann(), ImageCreate::new("a.png"), samples::png(2, 2).into()).await.unwrap()
        },
    )
    .await;
}

async fn a_long_upload_dropped_anywhere_leaves_no_orphan(world: World) {
    let wav = samples::wav(48_000, 2, 16, 45_000);
    drop_everywhere(
        &world,
        async || dripping(&wav),
        async |service, body| service.upload_audio(ann(), AudioCreate::new("a.wav"), body).await.unwrap(),
    )
    .await;
}

async fn a_delete_dropped_anywhere_is_whole_or_nothing(world: World) {
    let given = async || uploaded(&world).await;
    drop_everywhere(&world, given, async |service, id| service.delete(ann(), id.into()).await.unwrap()).await;
}

async fn uploaded(world: &World) -> ImageId {
    let create = ImageCreate::new("a.png");
    world.service.upload_image(ann(), create, samples::png(2, 2).into()).await.unwrap().id
}

async fn staged(world: &World) -> StagedImage {
    world.service.stage_image(ann(), ImageCreate::new("a.png"), samples::png(2, 2).into()).await.unwrap()
}

async fn a_sweep_dropped_anywhere_is_finished_by_the_next(world: World) {
    let given = async || {
        let _abandoned = staged(&world).await;
        world.let_deadlines_pass().await;
    };
    drop_everywhere(&world, given, async |service, ()| service.sweep().await.unwrap()).await;
}

async fn a_commit_dropped_anywhere_is_rolled_back(world: World) {
    drop_everywhere(
        &world,
        async || staged(&world).await,
        async |service, staged| {
            let mut tx = service.begin().await.unwrap();
            service.commit_image(&mut tx, &staged).await.unwrap();
            tx.commit().await.unwrap();
        },
    )
    .await;
}

async fn staging_and_discarding_dropped_anywhere_leave_no_orphan(world: World) {
    drop_everywhere(
        &world,
        async || (),
        async |service, ()| {
            let create = ImageCreate::new("a.png");
            let staged = service.stage_image(ann(), create, samples::png(2, 2).into()).await.unwrap();
            service.discard(staged).await;
        },
    )
    .await;
    world.assert_empty().await;
}

async fn a_delete_in_a_transaction_dropped_anywhere_is_whole_or_nothing(world: World) {
    let given = async || uploaded(&world).await;
    drop_everywhere(&world, given, async |service, id| {
        let mut tx = service.begin().await.unwrap();
        service.delete_in(&mut tx, ann(), id.into()).await.unwrap();
        tx.commit().await.unwrap();
    })
    .await;
}

async fn a_reading_dropped_anywhere_leaves_nothing_open(world: World) {
    let given = async || uploaded(&world).await;
    drop_everywhere(&world, given, async |service, id| {
        let mut conn = service.connection().await.unwrap();
        let mine = Owner::User(user(1));
        service.list_images(&mut conn, ann(), mine, &PageRequest::default()).await.unwrap();
        service.exists(&mut conn, ann(), id.into()).await.unwrap();
        drop(conn);
        let download = service.download(ann(), id.into(), None).await.unwrap();
        crate::support::read(download).await;
    })
    .await;
}
