//! Erasing a user: everything that is theirs, and nothing else.

use std::time::Duration;

use futures::StreamExt;
use object_store_devkit::faults::{Fault, Operation, When};
use object_store_devkit::samples;
use object_store_devkit::suspension::{Ending, Turns, drop_at_suspension};
use object_store_models::{AudioId, IntentPurpose, MediaId, ObjectIntent, UserId};
use object_store_repo::{AudioRepo, Connection, ImageRepo, IntentRepo, Owner, query};
use object_store_service::{
    Actor, AudioCreate, DirectUploadCreate, EraseReport, ImageCreate, ObjectStoreError, StagedImage, UploadBody,
};

use crate::support::{Count, World, ann, ben, on_both_databases, pieces, user, with_meanwhile};

on_both_databases! {
    all_of_a_user_goes_and_nothing_of_others
    only_the_user_and_the_system_erase
    a_staged_file_cannot_be_committed_any_more
    a_commit_under_way_is_waited_for_and_erased
    a_direct_upload_cannot_be_completed_any_more
    an_upload_under_way_is_ended
    many_pages_are_erased
    an_erasure_dropped_anywhere_is_finished_by_the_next
    an_erasure_beside_uploads_takes_what_was_there
    an_upload_that_was_ended_does_not_go_on_under_another_key
    what_another_module_refers_to_is_kept_and_the_rest_erased
}

async fn upload(world: &World, actor: Actor) -> MediaId {
    let create = ImageCreate::new("a.png");
    world.service.upload_image(actor, create, samples::png(2, 2).into()).await.unwrap().id.into()
}

async fn upload_audio(world: &World, actor: Actor) -> AudioId {
    let create = AudioCreate::new("a.wav");
    world.service.upload_audio(actor, create, samples::wav(8_000, 1, 16, 50).into()).await.unwrap().id
}

async fn stage(world: &World, actor: Actor) -> StagedImage {
    world.service.stage_image(actor, ImageCreate::new("a.png"), samples::png(2, 2).into()).await.unwrap()
}

async fn erase(world: &World) -> EraseReport {
    world.service.erase_user(Actor::System, user(1)).await.unwrap()
}

async fn intents_of(conn: &mut Connection<'_>, id: MediaId) -> Vec<ObjectIntent> {
    let intents = IntentRepo::list(conn, None, 10_000).await.unwrap();
    intents.into_iter().filter(|intent| intent.media_id == id).collect()
}

/// How many finished media a user has.
async fn media_of(world: &World, user: UserId) -> i64 {
    let mut conn = world.database.reader().await.unwrap();
    ImageRepo::count(&mut conn, Owner::User(user)).await.unwrap()
        + AudioRepo::count(&mut conn, Owner::User(user)).await.unwrap()
}

async fn all_of_a_user_goes_and_nothing_of_others(world: World) {
    for actor in [ann(), ben(), Actor::Anonymous] {
        upload(&world, actor).await;
        upload_audio(&world, actor).await;
        let _staged = stage(&world, actor).await;
    }
    upload(&world, ann()).await;
    let before = world.memory.calls().total();

    let report = erase(&world).await;

    assert_eq!(report, EraseReport { images: 2, audios: 1, uploads: 1 });
    assert_eq!(report.total(), 4);
    assert_eq!(world.memory.calls().total(), before, "the bytes are the sweep's");
    assert_eq!(erase(&world).await, EraseReport::default());
    // The upload's object goes twice: a write could still land.
    let swept = world.service.sweep().await.unwrap();
    assert_eq!((swept.claimed, swept.purged, swept.waiting), (4, 3, 1));
    assert_eq!(world.count().await, Count { images: 2, audios: 2, intents: 3, objects: 6 });
    world.assert_consistent_after_sweep().await;
    assert_eq!(world.count().await, Count { images: 2, audios: 2, intents: 0, objects: 4 });
}

async fn only_the_user_and_the_system_erase(world: World) {
    upload(&world, ann()).await;
    upload(&world, Actor::Anonymous).await;
    for actor in [ben(), Actor::Anonymous] {
        let refused = world.service.erase_user(actor, user(1)).await.unwrap_err();
        assert!(matches!(refused, ObjectStoreError::Forbidden), "{actor}");
    }
    assert_eq!(world.count().await, Count { images: 2, objects: 2, ..Count::default() });
    assert_eq!(world.service.erase_user(ann(), user(1)).await.unwrap().images, 1);
    assert_eq!(world.count().await, Count { images: 1, intents: 1, objects: 2, ..Count::default() });
}

async fn a_staged_file_cannot_be_committed_any_more(world: World) {
    let staged = stage(&world, ann()).await;
    assert_eq!(erase(&world).await.uploads, 1);

    let mut tx = world.service.begin().await.unwrap();
    let expired = world.service.commit_image(&mut tx, &staged).await.unwrap_err();
    assert!(matches!(expired, ObjectStoreError::UploadExpired));
    tx.rollback().await.unwrap();
    world.assert_consistent_after_sweep().await;
    world.assert_empty().await;
}

async fn a_commit_under_way_is_waited_for_and_erased(world: World) {
    let staged = stage(&world, ann()).await;
    let mut tx = world.service.begin().await.unwrap();
    world.service.commit_image(&mut tx, &staged).await.unwrap();

    let service = world.service.clone();
    let erasure = tokio::spawn(async move { service.erase_user(Actor::System, user(1)).await.unwrap() });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!erasure.is_finished());
    tx.commit().await.unwrap();

    assert_eq!(erasure.await.unwrap(), EraseReport { images: 1, ..EraseReport::default() });
    world.assert_consistent_after_sweep().await;
    world.assert_empty().await;
}

async fn a_direct_upload_cannot_be_completed_any_more(world: World) {
    let create = || DirectUploadCreate::image("a.png", "image/png").idempotent("once");
    let begun = world.service.begin_direct_upload(ann(), create()).await.unwrap();
    let of_ben = world.service.begin_direct_upload(ben(), create()).await.unwrap();
    let key = {
        let mut conn = world.database.reader().await.unwrap();
        intents_of(&mut conn, begun.id).await.remove(0).s3_key
    };
    world.memory.insert_foreign(&key, "image/png", samples::png(2, 2));

    assert_eq!(erase(&world).await, EraseReport { uploads: 1, ..EraseReport::default() });

    let over = world.service.complete_upload(ann(), begun.id).await.unwrap_err();
    assert!(matches!(over, ObjectStoreError::UploadExpired), "{over:?}");
    // The same request again is a new one.
    assert_ne!(world.service.begin_direct_upload(ann(), create()).await.unwrap().id, begun.id);
    assert_eq!(world.service.begin_direct_upload(ben(), create()).await.unwrap().id, of_ben.id);
    world.assert_consistent_after_sweep().await;
    world.assert_empty().await;
}

async fn an_upload_under_way_is_ended(world: World) {
    let service = world.service_with(|settings| settings.timings.upload_fence = Duration::from_secs(1));
    let wav = samples::wav(48_000, 2, 16, 55_000);
    let slow = pieces(&wav).then(|piece| async {
        tokio::time::sleep(Duration::from_millis(25)).await;
        piece
    });
    let body = UploadBody::from_stream(slow.boxed(), None);
    let upload = tokio::spawn(async move { service.upload_audio(ann(), AudioCreate::new("a.wav"), body).await });
    while world.count().await.intents == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    assert_eq!(erase(&world).await, EraseReport { uploads: 1, ..EraseReport::default() });

    let ended = upload.await.unwrap().unwrap_err();
    assert!(matches!(ended, ObjectStoreError::UploadExpired), "{ended:?}");
    world.assert_consistent_after_sweep().await;
    world.assert_empty().await;
}

async fn many_pages_are_erased(world: World) {
    let work: Vec<_> = (0..8)
        .map(|_| {
            let service = world.service.clone();
            tokio::spawn(async move {
                for _ in 0..30 {
                    let create = || ImageCreate::new("a.png");
                    service.upload_image(ann(), create(), samples::png(2, 2).into()).await.unwrap();
                    let _staged = service.stage_image(ann(), create(), samples::png(2, 2).into()).await.unwrap();
                }
            })
        })
        .collect();
    for work in work {
        work.await.unwrap();
    }
    upload(&world, ben()).await;
    assert_eq!(erase(&world).await, EraseReport { images: 240, audios: 0, uploads: 240 });
    world.assert_consistent_after_sweep().await;
    assert_eq!(world.count().await, Count { images: 1, objects: 1, ..Count::default() });
}

async fn an_erasure_dropped_anywhere_is_finished_by_the_next(world: World) {
    upload(&world, ben()).await;
    let mut turns = Turns::default();
    for await_number in 1.. {
        upload(&world, ann()).await;
        upload_audio(&world, ann()).await;
        let _staged = stage(&world, ann()).await;

        let erasure = world.service.erase_user(ann(), user(1));
        let ending = drop_at_suspension(erasure, await_number).await;
        erase(&world).await;

        assert_eq!(media_of(&world, user(1)).await, 0);
        world.assert_consistent_after_sweep().await;
        assert_eq!(world.count().await, Count { images: 1, objects: 1, ..Count::default() });
        let is_over = turns.are_over(await_number, &ending);
        if let Ending::Completed { output, .. } = ending {
            assert_eq!(output.unwrap(), EraseReport { images: 1, audios: 1, uploads: 1 });
        }
        if is_over {
            let dropped = turns.dropped();
            assert!(dropped >= 5, "it waited only {dropped} times");
            return;
        }
    }
}

async fn an_erasure_beside_uploads_takes_what_was_there(world: World) {
    let mut before = Vec::new();
    for _ in 0..10 {
        before.push(upload(&world, ann()).await);
    }
    let staged = stage(&world, ann()).await;
    let work: Vec<_> = (0..3)
        .map(|_| {
            let service = world.service.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    let uploaded =
                        service.upload_image(ann(), ImageCreate::new("a.png"), samples::png(2, 2).into()).await;
                    match uploaded {
                        Ok(_) | Err(ObjectStoreError::UploadExpired) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            })
        })
        .collect();

    let report = erase(&world).await;

    assert!(report.images >= 10 && report.uploads >= 1, "{report:?}");
    let mut conn = world.service.connection().await.unwrap();
    for id in before {
        assert!(!world.service.exists(&mut conn, ann(), id).await.unwrap());
    }
    assert!(
        intents_of(&mut conn, staged.id().into()).await.iter().all(|intent| intent.purpose == IntentPurpose::Purge)
    );
    drop(conn);
    for work in work {
        work.await.unwrap();
    }
    world.assert_consistent_after_sweep().await;
    erase(&world).await;
    world.assert_consistent_after_sweep().await;
    world.assert_empty().await;
}

/// An upload whose first write is answered by silence, then by a failure, tries a fresh key; not so when it was ended.
async fn an_upload_that_was_ended_does_not_go_on_under_another_key(world: World) {
    world.storage.fail(Operation::Put, When::Nth(1), Fault::HangBefore);
    let service = world.service_with(|settings| settings.timings.upload_fence = Duration::from_secs(1));
    let upload =
        tokio::spawn(
            async move { service.upload_image(ann(), ImageCreate::new("a.png"), samples::png(2, 2).into()).await },
        );
    while world.storage.calls().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(erase(&world).await.uploads, 1);
    let ended = upload.await.unwrap().unwrap_err();
    assert!(matches!(ended, ObjectStoreError::UploadExpired), "{ended:?}");

    // The failure comes at any moment before or after the end.
    for nth in 1.. {
        world.storage.heal();
        world.storage.fail(Operation::Put, When::Nth(1), Fault::RequestLost);
        let mut had_begun = false;
        let meanwhile = async {
            let intents = IntentRepo::list(&mut world.database.reader().await.unwrap(), None, 10_000).await.unwrap();
            had_begun = intents.iter().any(|intent| intent.purpose == IntentPurpose::Upload);
            erase(&world).await;
        };
        let upload = world.service.upload_image(ann(), ImageCreate::new("a.png"), samples::png(2, 2).into());
        let (_, was_under_way) = Box::pin(with_meanwhile(upload, nth, meanwhile)).await;
        if had_begun {
            assert_eq!(media_of(&world, user(1)).await, 0, "erased at wait {nth}");
        }
        erase(&world).await;
        if !was_under_way {
            assert!(nth > 5, "it waited only {nth} times");
            break;
        }
    }
    assert_eq!(media_of(&world, user(1)).await, 0);
    world.storage.heal();
    world.assert_consistent_after_sweep().await;
    world.assert_empty().await;
}

async fn what_another_module_refers_to_is_kept_and_the_rest_erased(world: World) {
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(upload(&world, ann()).await);
    }
    let audio = upload_audio(&world, ann()).await;
    sql(&world, "CREATE TABLE profiles (picture BLOB_TYPE NOT NULL REFERENCES images (id))").await;
    sql(
        &world,
        "INSERT INTO profiles SELECT min_id FROM (SELECT id AS min_id FROM images ORDER BY id LIMIT 1) AS first",
    )
    .await;

    let kept = world.service.erase_user(Actor::System, user(1)).await.unwrap_err();

    assert_eq!(kept.code(), "conflict");
    let mut conn = world.service.connection().await.unwrap();
    for (index, id) in ids.iter().enumerate() {
        assert_eq!(world.service.exists(&mut conn, ann(), *id).await.unwrap(), index == 0, "{index}");
    }
    assert!(!world.service.exists(&mut conn, ann(), audio.into()).await.unwrap());
    drop(conn);
    sql(&world, "DROP TABLE profiles").await;
    assert_eq!(erase(&world).await, EraseReport { images: 1, ..EraseReport::default() });
    world.assert_consistent_after_sweep().await;
    world.assert_empty().await;
}

async fn sql(world: &World, statement: &str) {
    use diesel_async::RunQueryDsl;
    let mut tx = world.database.begin().await.unwrap();
    let id_type = match tx.backend() {
        object_store_repo::Backend::Postgres(_) => "uuid",
        object_store_repo::Backend::Sqlite(_) => "blob",
    };
    let statement = statement.replace("BLOB_TYPE", id_type);
    query!(tx, async |db| diesel::sql_query(statement).execute(db).await).unwrap();
    tx.commit().await.unwrap();
}
