//! The connection to PostgreSQL breaks at a COMMIT: the database knows whether it was committed, and we find out.

use object_store_devkit::commit_loss::{Afterwards, CommitLoss, Lost};
use object_store_devkit::request_loss::{Effect, Fate, RequestLoss, Sender};
use object_store_devkit::samples;
use object_store_repo::{Database, DatabaseConfig};
use object_store_service::{ImageCreate, ImageRead, ObjectStoreService, Result, Settings};

use crate::support::{Count, World, ann};

/// A service that reaches the world's database through a proxy.
async fn through(world: &World, lost: Lost, afterwards: Afterwards) -> (ObjectStoreService, CommitLoss) {
    let proxy = CommitLoss::start(&world.url, lost, afterwards).await.unwrap();
    let database = Database::open(&DatabaseConfig::new(proxy.url())).unwrap();
    (ObjectStoreService::new(database, world.storage.clone(), Settings::default()), proxy)
}

async fn upload(service: &ObjectStoreService) -> Result<ImageRead> {
    service.upload_image(ann(), ImageCreate::new("a.png"), samples::png(2, 2).into()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_commit_was_lost_is_stored_once() {
    for lost in [Lost::Commit, Lost::Reply] {
        let world = World::postgres().await;
        let (service, _proxy) = through(&world, lost, Afterwards::Serve).await;
        let image = upload(&service).await.unwrap();
        assert_eq!(world.count().await, Count { images: 1, objects: 1, ..Count::default() }, "{lost:?}");
        assert!(world.service.download(ann(), image.id.into(), None).await.is_ok());
        world.assert_consistent_after_sweep().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_outcome_cannot_be_found_out_says_so() {
    for (lost, images) in [(Lost::Commit, 0), (Lost::Reply, 1)] {
        let world = World::postgres().await;
        let (service, _proxy) = through(&world, lost, Afterwards::Refuse).await;
        let failed = upload(&service).await.unwrap_err();
        // Uploaded again, it might be there twice.
        assert_eq!((failed.code(), failed.is_retryable()), ("database_commit_unknown", false));
        world.assert_consistent_after_sweep().await;
        assert_eq!(world.count().await.images, images, "{lost:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_whose_commit_was_lost_has_deleted() {
    for lost in [Lost::Commit, Lost::Reply] {
        let world = World::postgres().await;
        let image = upload(&world.service).await.unwrap();
        let (service, _proxy) = through(&world, lost, Afterwards::Serve).await;
        service.delete(ann(), image.id.into()).await.unwrap();
        assert_eq!(world.count().await.images, 0, "{lost:?}");
        world.assert_consistent_after_sweep().await;
        world.assert_empty().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_whose_outcome_cannot_be_found_out_says_so() {
    for (lost, images) in [(Lost::Commit, 1), (Lost::Reply, 0)] {
        let world = World::postgres().await;
        let image = upload(&world.service).await.unwrap();
        let (service, _proxy) = through(&world, lost, Afterwards::Refuse).await;
        let failed = service.delete(ann(), image.id.into()).await.unwrap_err();
        assert_eq!(failed.code(), "database_commit_unknown");
        world.assert_consistent_after_sweep().await;
        assert_eq!(world.count().await.images, images, "{lost:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_that_is_written_late_takes_no_finished_image() {
    let world = World::postgres().await;
    let proxy = RequestLoss::start(&world.url).await.unwrap();
    let upload_through_proxy = async || {
        let database = Database::open(&DatabaseConfig::new(proxy.url())).unwrap();
        upload(&ObjectStoreService::new(database, world.storage.clone(), Settings::default())).await.unwrap()
    };
    proxy.fail(usize::MAX, Fate::Lost, Sender::SeesTheEnd);
    upload_through_proxy().await;
    let of_intent = proxy.effects().iter().position(|effect| *effect == Effect::Statement).unwrap() + 1;

    proxy.fail(of_intent, Fate::Late, Sender::SeesTheEnd);
    let image = upload_through_proxy().await;
    assert!(proxy.has_failed());
    proxy.land().await;

    assert_eq!(world.count().await, Count { images: 2, objects: 2, intents: 1, ..Count::default() });
    world.assert_consistent_after_sweep().await;
    assert!(world.service.download(ann(), image.id.into(), None).await.is_ok());
}
