use object_store_devkit::samples;
use object_store_models::{ImageId, MediaId};
use object_store_service::{Actor, ImageCreate, ObjectStoreError};

use crate::support::{Count, World, ann, ben, on_both_databases};

on_both_databases! {
    a_deleted_file_is_gone_everywhere
    a_file_is_deleted_once
    only_the_owner_and_the_system_delete
    ownerless_media_is_deleted_by_the_system
    a_caller_deletes_in_its_own_transaction
    a_caller_who_rolls_back_has_deleted_nothing
}

async fn upload(world: &World, actor: Actor) -> MediaId {
    let create = ImageCreate::new("a.png");
    world.service.upload_image(actor, create, samples::png(2, 2).into()).await.unwrap().id.into()
}

async fn a_deleted_file_is_gone_everywhere(world: World) {
    let id = upload(&world, ann()).await;
    world.service.delete(ann(), id).await.unwrap();
    world.assert_empty().await;
}

async fn a_file_is_deleted_once(world: World) {
    let id = upload(&world, ann()).await;
    world.service.delete(ann(), id).await.unwrap();
    for id in [id, ImageId::new().into()] {
        assert_eq!(world.service.delete(ann(), id).await.unwrap_err().code(), "not_found");
    }
}

async fn only_the_owner_and_the_system_delete(world: World) {
    let id = upload(&world, ann()).await;
    let before = world.memory.calls().total();
    for actor in [ben(), Actor::Anonymous] {
        let refused = world.service.delete(actor, id).await.unwrap_err();
        assert!(matches!(refused, ObjectStoreError::Forbidden), "{actor}");
    }
    assert_eq!(world.memory.calls().total(), before, "no storage call before the ownership check");
    assert_eq!(world.count().await, Count { images: 1, objects: 1, ..Count::default() });

    world.service.delete(Actor::System, id).await.unwrap();
    world.assert_empty().await;
}

async fn ownerless_media_is_deleted_by_the_system(world: World) {
    let id = upload(&world, Actor::Anonymous).await;
    for actor in [ann(), Actor::Anonymous] {
        let refused = world.service.delete(actor, id).await.unwrap_err();
        assert!(matches!(refused, ObjectStoreError::Forbidden), "{actor}");
    }
    world.service.delete(Actor::System, id).await.unwrap();
    world.assert_empty().await;
}

async fn a_caller_deletes_in_its_own_transaction(world: World) {
    let id = upload(&world, ann()).await;
    let mut tx = world.service.begin().await.unwrap();
    world.service.delete_in(&mut tx, ann(), id).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(world.count().await, Count { intents: 1, objects: 1, ..Count::default() });
    assert_eq!(world.service.sweep().await.unwrap().purged, 1);
    world.assert_empty().await;
}

async fn a_caller_who_rolls_back_has_deleted_nothing(world: World) {
    let id = upload(&world, ann()).await;
    let mut tx = world.service.begin().await.unwrap();
    world.service.delete_in(&mut tx, ann(), id).await.unwrap();
    tx.rollback().await.unwrap();

    assert_eq!(world.service.sweep().await.unwrap().claimed, 0);
    assert_eq!(world.count().await, Count { images: 1, objects: 1, ..Count::default() });
    assert!(world.service.download(ann(), id, None).await.is_ok());
}
