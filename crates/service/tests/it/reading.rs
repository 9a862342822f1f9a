use object_store_devkit::samples;
use object_store_models::{AudioId, ImageId};
use object_store_service::{Actor, AudioCreate, ImageCreate, ObjectStoreError};
use object_store_storage::{ByteRange, ObjectKey, ObjectStorage};

use crate::support::{World, ann, ben, on_both_databases, read, with_meanwhile};

on_both_databases! {
    media_is_read_by_its_owner_and_the_system
    ownerless_media_is_read_by_anyone
    what_is_not_there_is_not_found
    bytes_come_back_as_they_were_uploaded
    a_range_of_bytes_comes_back
    foreign_bytes_are_refused_before_storage_is_asked
    bytes_that_changed_in_storage_are_noticed
    what_is_deleted_while_it_is_read_is_there_or_not_found
    an_object_that_is_gone_from_storage_is_named
}

async fn upload(world: &World, actor: Actor) -> ImageId {
    let create = ImageCreate::new("a.png");
    world.service.upload_image(actor, create, samples::png(9, 8).into()).await.unwrap().id
}

async fn media_is_read_by_its_owner_and_the_system(world: World) {
    let id = upload(&world, ann()).await;
    let mut conn = world.service.connection().await.unwrap();
    for actor in [ann(), Actor::System] {
        assert_eq!(world.service.get_image(&mut conn, actor, id).await.unwrap().id, id);
        assert!(world.service.exists(&mut conn, actor, id.into()).await.unwrap());
    }
    for actor in [ben(), Actor::Anonymous] {
        let refused = world.service.get_image(&mut conn, actor, id).await.unwrap_err();
        assert!(matches!(refused, ObjectStoreError::Forbidden));
        assert!(!world.service.exists(&mut conn, actor, id.into()).await.unwrap());
    }
}

async fn what_is_deleted_while_it_is_read_is_there_or_not_found(world: World) {
    for nth in 1.. {
        let id = upload(&world, ann()).await;
        let reading = async {
            let download = world.service.download(ann(), id.into(), None).await?;
            object_store_storage::collect(download.stream).await.map_err(ObjectStoreError::from)
        };
        let deleting = async { world.service.delete(ann(), id.into()).await.unwrap() };
        let (outcome, was_under_way) = with_meanwhile(reading, nth, deleting).await;
        match outcome {
            Ok(bytes) => assert_eq!(bytes, samples::png(9, 8)),
            Err(error) => assert!(matches!(error, ObjectStoreError::NotFound), "at its wait {nth}: {error:?}"),
        }
        if !was_under_way {
            assert!(nth > 2, "it waited only {nth} times");
            return;
        }
    }
}

async fn an_object_that_is_gone_from_storage_is_named(world: World) {
    let id = upload(&world, ann()).await;
    for object in world.memory.list_page("", None, 10).await.unwrap().objects {
        world.memory.delete(&ObjectKey::parse(&object.key).unwrap()).await.unwrap();
    }
    let lost = world.service.download(ann(), id.into(), None).await.map(drop).unwrap_err();
    assert_eq!(lost.code(), "storage_object_missing");
}

async fn ownerless_media_is_read_by_anyone(world: World) {
    let id = upload(&world, Actor::Anonymous).await;
    let mut conn = world.service.connection().await.unwrap();
    for actor in [ann(), Actor::Anonymous, Actor::System] {
        assert_eq!(world.service.get_image(&mut conn, actor, id).await.unwrap().user_id, None);
    }
}

async fn what_is_not_there_is_not_found(world: World) {
    let image = upload(&world, ann()).await;
    // An image's id names no audio.
    let audio = AudioId::from(image.uuid());
    let mut conn = world.service.connection().await.unwrap();
    for actor in [ann(), Actor::System] {
        let missing = world.service.get_image(&mut conn, actor, ImageId::new()).await.unwrap_err();
        assert_eq!(missing.code(), "not_found");
        let missing = world.service.get_audio(&mut conn, actor, audio).await.unwrap_err();
        assert_eq!(missing.code(), "not_found");
        assert!(!world.service.exists(&mut conn, actor, audio.into()).await.unwrap());
    }
    drop(conn);
    let missing = world.service.download(ann(), audio.into(), None).await.unwrap_err();
    assert_eq!(missing.code(), "not_found");
}

async fn bytes_come_back_as_they_were_uploaded(world: World) {
    let mp3 = samples::mp3(300, "Title", "Artist");
    let create = AudioCreate::new("a.mp3");
    let audio = world.service.upload_audio(ann(), create, mp3.clone().into()).await.unwrap();
    let download = world.service.download(ann(), audio.id.into(), None).await.unwrap();
    assert_eq!(download.length, mp3.len() as u64);
    assert_eq!(read(download).await, mp3);
    world.assert_at_rest();
}

async fn a_range_of_bytes_comes_back(world: World) {
    let png = samples::png(9, 8);
    let id = upload(&world, ann()).await;
    let range = |start, length| Some(ByteRange { start, length });
    let size = png.len() as u64;

    let part = world.service.download(ann(), id.into(), range(1, 3)).await.unwrap();
    assert_eq!(&read(part).await[..], b"PNG");
    let rest = world.service.download(ann(), id.into(), range(size - 2, 100)).await.unwrap();
    assert_eq!(read(rest).await, png[png.len() - 2..]);
    for outside in [range(size, 1), range(0, 0), range(u64::MAX, 1)] {
        let refused = world.service.download(ann(), id.into(), outside).await.unwrap_err();
        assert_eq!(refused.code(), "bad_range");
    }
}

async fn foreign_bytes_are_refused_before_storage_is_asked(world: World) {
    let id = upload(&world, ann()).await;
    let before = world.memory.calls().total();
    let refused = world.service.download(ben(), id.into(), None).await.unwrap_err();
    assert!(matches!(refused, ObjectStoreError::Forbidden));
    assert_eq!(world.memory.calls().total(), before);
}

async fn bytes_that_changed_in_storage_are_noticed(world: World) {
    let id = upload(&world, ann()).await;
    let key = world.memory.keys().remove(0);
    let mut tampered = samples::png(9, 8);
    tampered[20] ^= 1;
    world.memory.insert_foreign(&key, "image/png", tampered.clone());

    let download = world.service.download(ann(), id.into(), None).await.unwrap();
    assert!(object_store_storage::collect(download.stream).await.is_err(), "same length, other bytes");

    tampered.push(0);
    world.memory.insert_foreign(&key, "image/png", tampered);
    let refused = world.service.download(ann(), id.into(), None).await.unwrap_err();
    assert_eq!(refused.code(), "storage_corrupted");
}
