//! Requests that come again: one file, one answer.

use std::time::Duration;

use bytes::Bytes;
use object_store_devkit::faults::{Fault, Operation, When};
use object_store_devkit::samples;
use object_store_devkit::suspension::{Turns, drop_at_suspension};
use object_store_repo::{Backend, IdempotencyRepo, query};
use object_store_service::{
    Actor, AudioCreate, DirectUpload, DirectUploadCreate, FileCreate, ImageCreate, ImageRead, ObjectStoreError, Result,
    UploadBody, UploadMethod,
};

use crate::support::{Count, World, ann, ben, dripping, on_both_databases, pieces, user};

on_both_databases! {
    an_upload_that_comes_again_stores_nothing_again
    another_request_with_the_same_key_is_a_conflict
    keys_of_different_owners_have_nothing_to_do_with_each_other
    what_is_no_key_is_refused
    uploads_at_the_same_time_store_one_file
    the_key_of_a_failed_upload_is_free
    the_key_of_an_upload_that_died_is_free_when_its_intent_is_due
    an_upload_whose_key_was_passed_on_cannot_be_committed
    a_long_stream_that_comes_again_stores_nothing_again
    a_file_that_was_deleted_stays_deleted
    staged_again_it_commits_to_the_same_row
    a_key_is_forgotten_when_its_time_is_over
    a_direct_upload_begun_again_has_the_same_id
    a_direct_upload_begun_again_keeps_its_key
    the_key_of_a_long_upload_is_not_forgotten
    a_direct_upload_begun_again_after_completion_is_completed
    a_direct_upload_that_ended_can_be_begun_again
    another_direct_upload_with_the_same_key_is_a_conflict
    direct_uploads_begun_at_the_same_time_have_one_id
    dropped_anywhere_an_upload_can_be_sent_again
}

fn png() -> Vec<u8> {
    samples::png(5, 5)
}

fn keyed(key: &str) -> ImageCreate {
    ImageCreate::new("a.png").declared("image/png").idempotent(key)
}

async fn upload(world: &World, create: ImageCreate, body: impl Into<UploadBody>) -> Result<ImageRead> {
    world.service.upload_image(ann(), create, body.into()).await
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> &'static str {
    result.unwrap_err().code()
}

async fn keys(world: &World) -> i64 {
    IdempotencyRepo::count(&mut world.database.reader().await.unwrap()).await.unwrap()
}

fn one_image() -> Count {
    Count { images: 1, objects: 1, ..Count::default() }
}

async fn an_upload_that_comes_again_stores_nothing_again(world: World) {
    let first = upload(&world, keyed("k"), png()).await.unwrap();
    assert_eq!(upload(&world, keyed("k"), png()).await.unwrap(), first);
    assert_eq!(upload(&world, keyed("k"), dripping(&png())).await.unwrap(), first, "however the bytes come");
    let cleaned = ImageCreate { filename: "dir/a.png".to_owned(), ..keyed("k") };
    assert_eq!(upload(&world, cleaned, png()).await.unwrap(), first, "the cleaned name counts");
    assert_eq!((world.count().await, keys(&world).await), (one_image(), 1));
    world.assert_consistent_after_sweep().await;
    assert_eq!(upload(&world, keyed("k"), png()).await.unwrap(), first);

    upload(&world, ImageCreate::new("a.png"), png()).await.unwrap();
    assert_eq!(keys(&world).await, 1, "an upload without a key has no row");
}

async fn another_request_with_the_same_key_is_a_conflict(world: World) {
    upload(&world, keyed("k"), png()).await.unwrap();
    let conflicts = [
        (ImageCreate { filename: "b.png".to_owned(), ..keyed("k") }, png()),
        (ImageCreate { content_type: None, ..keyed("k") }, png()),
        (keyed("k"), samples::png(5, 6)),
    ];
    for (create, bytes) in conflicts {
        let refused = upload(&world, create, bytes).await.unwrap_err();
        assert!(matches!(refused, ObjectStoreError::Conflict(_)), "{refused:?}");
        assert_eq!((refused.code(), refused.is_retryable()), ("idempotency_key_reused", false));
    }
    let as_file = FileCreate::new("a.png").declared("image/png").idempotent("k");
    assert_eq!(code(world.service.upload_file(ann(), as_file, png().into()).await), "idempotency_key_reused");
    let direct = DirectUploadCreate::image("a.png", "image/png").idempotent("k");
    assert_eq!(code(world.service.begin_direct_upload(ann(), direct).await), "idempotency_key_reused");
    assert_eq!(world.count().await, one_image());
}

async fn keys_of_different_owners_have_nothing_to_do_with_each_other(world: World) {
    let mut ids = Vec::new();
    for actor in [ann(), ben(), Actor::Anonymous] {
        for _ in 0..2 {
            ids.push(world.service.upload_image(actor, keyed("k"), png().into()).await.unwrap().id);
        }
    }
    let for_ann = keyed("k").owned_by(user(1));
    ids.push(world.service.upload_image(Actor::System, for_ann, png().into()).await.unwrap().id);
    assert_eq!((ids[0], ids[2], ids[4], ids[0]), (ids[1], ids[3], ids[5], ids[6]));
    assert_eq!(world.count().await.images, 3);
}

async fn what_is_no_key_is_refused(world: World) {
    for key in ["", "a b", "ü", "\n", &"x".repeat(256)] {
        assert_eq!(code(upload(&world, keyed(key), png()).await), "bad_idempotency_key", "{key:?}");
    }
    upload(&world, keyed(&"x".repeat(255)), png()).await.unwrap();
}

async fn uploads_at_the_same_time_store_one_file(world: World) {
    let uploads: Vec<_> = (0..8)
        .map(|_| {
            let service = world.service.clone();
            tokio::spawn(async move {
                loop {
                    match service.upload_image(ann(), keyed("k"), png().into()).await {
                        Err(error) if error.code() == "in_progress" => {
                            assert!(error.is_retryable());
                            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                        }
                        done => return done.unwrap(),
                    }
                }
            })
        })
        .collect();
    let mut answers = Vec::new();
    for upload in uploads {
        answers.push(upload.await.unwrap());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert_eq!(world.count().await, one_image());
    world.assert_consistent_after_sweep().await;
}

async fn the_key_of_a_failed_upload_is_free(world: World) {
    world.storage.fail(Operation::Put, When::Always, Fault::Unavailable);
    assert_eq!(code(upload(&world, keyed("k"), png()).await), "storage_unavailable");
    world.storage.heal();
    assert_eq!(code(upload(&world, keyed("k"), samples::png(9, 9)).await), "idempotency_key_reused");
    let image = upload(&world, keyed("k"), png()).await.unwrap();
    assert_eq!(upload(&world, keyed("k"), png()).await.unwrap(), image);
    world.assert_consistent_after_sweep().await;
    assert_eq!(world.count().await, one_image());
}

async fn the_key_of_an_upload_that_died_is_free_when_its_intent_is_due(world: World) {
    let _dead = world.service.stage_image(ann(), keyed("k"), png().into()).await.unwrap();
    assert_eq!(code(upload(&world, keyed("k"), png()).await), "in_progress");
    world.let_deadlines_pass().await;
    upload(&world, keyed("k"), png()).await.unwrap();
    world.assert_consistent_after_sweep().await;
    assert_eq!(world.count().await, one_image());
}

async fn an_upload_whose_key_was_passed_on_cannot_be_committed(world: World) {
    let slow = world.service.stage_image(ann(), keyed("k"), png().into()).await.unwrap();
    world.let_deadlines_pass().await;
    let image = upload(&world, keyed("k"), png()).await.unwrap();
    assert_ne!(image.id, slow.id());
    let mut tx = world.service.begin().await.unwrap();
    assert_eq!(code(world.service.commit_image(&mut tx, &slow).await), "upload_expired");
    tx.rollback().await.unwrap();
    world.assert_consistent_after_sweep().await;
    assert_eq!(world.count().await, one_image());
}

async fn a_long_stream_that_comes_again_stores_nothing_again(world: World) {
    let wav = samples::wav(48_000, 2, 16, 50_000);
    assert!(wav.len() > 8 << 20);
    let create = || AudioCreate::new("a.wav").idempotent("k");
    let sized = |bytes: &[u8]| UploadBody::from_stream(pieces(bytes), Some(bytes.len() as u64));
    let first = world.service.upload_audio(ann(), create(), sized(&wav)).await.unwrap();
    assert_eq!(world.service.upload_audio(ann(), create(), sized(&wav)).await.unwrap(), first);
    assert_eq!(code(world.service.upload_audio(ann(), create(), dripping(&wav)).await), "idempotency_key_reused");
    let mut other = wav.clone();
    other[1_000_000] ^= 1;
    assert_eq!(code(world.service.upload_audio(ann(), create(), sized(&other)).await), "idempotency_key_reused");
    assert_eq!(world.count().await, Count { audios: 1, objects: 1, ..Count::default() });
}

async fn a_file_that_was_deleted_stays_deleted(world: World) {
    let image = upload(&world, keyed("k"), png()).await.unwrap();
    world.service.delete(ann(), image.id.into()).await.unwrap();
    assert_eq!(code(upload(&world, keyed("k"), png()).await), "not_found");
    world.assert_empty().await;
}

async fn staged_again_it_commits_to_the_same_row(world: World) {
    let image = upload(&world, keyed("k"), png()).await.unwrap();
    let staged = world.service.stage_image(ann(), keyed("k"), png().into()).await.unwrap();
    assert_eq!(staged.id(), image.id);
    let mut tx = world.service.begin().await.unwrap();
    assert_eq!(world.service.commit_image(&mut tx, &staged).await.unwrap(), image);
    tx.commit().await.unwrap();
    world.service.discard(staged).await;
    assert_eq!(world.count().await, one_image(), "discarding what was stored before discards nothing");
}

async fn a_key_is_forgotten_when_its_time_is_over(world: World) {
    upload(&world, keyed("k"), png()).await.unwrap();
    world.service.sweep().await.unwrap();
    assert_eq!(keys(&world).await, 1);
    let_keys_expire(&world).await;
    world.service.sweep().await.unwrap();
    assert_eq!(keys(&world).await, 0);
    upload(&world, keyed("k"), samples::png(9, 9)).await.unwrap();
}

async fn let_keys_expire(world: &World) {
    let mut tx = world.database.begin().await.unwrap();
    let past = match tx.backend() {
        Backend::Postgres(_) => "now() - interval '1 second'",
        Backend::Sqlite(_) => "0",
    };
    let update = format!("UPDATE idempotency_keys SET expires_at = {past}");
    query!(tx, async |db| {
        use diesel_async::RunQueryDsl;
        diesel::sql_query(update).execute(db).await
    })
    .unwrap();
    tx.commit().await.unwrap();
}

fn direct() -> DirectUploadCreate {
    DirectUploadCreate::image("a.png", "image/png").idempotent("k")
}

async fn begin(world: &World) -> DirectUpload {
    world.service.begin_direct_upload(ann(), direct()).await.unwrap()
}

fn send(world: &World, upload: &DirectUpload, bytes: Vec<u8>) {
    let UploadMethod::Post { url, fields, .. } = &upload.method else { panic!("{upload:?}") };
    world.memory.submit_post(url, fields, Bytes::from(bytes)).unwrap();
}

async fn a_direct_upload_begun_again_has_the_same_id(world: World) {
    let (first, second) = (begin(&world).await, begin(&world).await);
    assert_eq!(first.id, second.id);
    assert_eq!(world.count().await, Count { intents: 1, ..Count::default() });
    // Each of the signatures leads to the same place.
    send(&world, &first, samples::html());
    send(&world, &second, png());
    let stored = world.service.complete_upload(ann(), first.id).await.unwrap();
    assert_eq!(stored.id(), first.id);
    world.assert_consistent_after_sweep().await;
}

async fn a_direct_upload_begun_again_keeps_its_key(world: World) {
    let upload = begin(&world).await;
    let_keys_expire(&world).await;
    assert_eq!(begin(&world).await.id, upload.id);
    world.service.sweep().await.unwrap();
    assert_eq!(keys(&world).await, 1);
    send(&world, &upload, png());
    assert_eq!(world.service.complete_upload(ann(), upload.id).await.unwrap().id(), upload.id);
    world.assert_consistent_after_sweep().await;
}

/// The sweep forgets keys in the midst of an upload that takes longer than they are remembered.
async fn the_key_of_a_long_upload_is_not_forgotten(world: World) {
    let service = world.service_with(|settings| {
        settings.timings.upload_fence = Duration::from_secs(1);
        settings.timings.idempotency = Duration::ZERO;
    });
    world.storage.fail(Operation::Put, When::Nth(1), Fault::HangBefore);
    let upload = tokio::spawn(async move { service.upload_image(ann(), keyed("k"), png().into()).await });
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.service.sweep().await.unwrap();
    }
    assert_eq!(keys(&world).await, 1);
    upload.abort();
    let _ = upload.await;
}

async fn a_direct_upload_begun_again_after_completion_is_completed(world: World) {
    let upload = begin(&world).await;
    send(&world, &upload, png());
    let stored = world.service.complete_upload(ann(), upload.id).await.unwrap();
    for _ in 0..2 {
        let again = begin(&world).await;
        assert_eq!((again.id, &again.method), (upload.id, &UploadMethod::Completed));
        assert!(again.expires_at > upload.expires_at);
        assert_eq!(world.service.complete_upload(ann(), again.id).await.unwrap(), stored);
        world.assert_consistent_after_sweep().await;
    }
}

async fn a_direct_upload_that_ended_can_be_begun_again(world: World) {
    let cancelled = begin(&world).await;
    world.service.cancel_upload(ann(), cancelled.id).await.unwrap();
    let refused = begin(&world).await;
    send(&world, &refused, samples::html());
    assert_eq!(code(world.service.complete_upload(ann(), refused.id).await), "unsupported_type");
    let expired = begin(&world).await;
    world.let_deadlines_pass().await;
    let last = begin(&world).await;
    let ids = [cancelled.id, refused.id, expired.id, last.id];
    assert!((0..4).all(|index| !ids[..index].contains(&ids[index])), "{ids:?}");
    send(&world, &last, png());
    world.service.complete_upload(ann(), last.id).await.unwrap();
    assert_eq!(keys(&world).await, 1);
    world.assert_consistent_after_sweep().await;
}

async fn another_direct_upload_with_the_same_key_is_a_conflict(world: World) {
    begin(&world).await;
    for other in [
        DirectUploadCreate::image("b.png", "image/png").idempotent("k"),
        DirectUploadCreate::image("a.png", "image/jpeg").idempotent("k"),
        DirectUploadCreate::file("a.png", "image/png").idempotent("k"),
        direct().sized(10),
        direct().sized(10).by_put(None),
        direct().expiring_in(std::time::Duration::from_mins(1)),
    ] {
        let refused = world.service.begin_direct_upload(ann(), other.clone()).await;
        assert_eq!(code(refused), "idempotency_key_reused", "{other:?}");
    }
    assert_eq!(world.count().await, Count { intents: 1, ..Count::default() });
}

async fn direct_uploads_begun_at_the_same_time_have_one_id(world: World) {
    let begun: Vec<_> = (0..8)
        .map(|_| {
            let service = world.service.clone();
            tokio::spawn(async move { service.begin_direct_upload(ann(), direct()).await.unwrap().id })
        })
        .collect();
    let mut ids = Vec::new();
    for one in begun {
        ids.push(one.await.unwrap());
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!((world.count().await.intents, keys(&world).await), (1, 1));
    world.assert_at_rest();
}

async fn dropped_anywhere_an_upload_can_be_sent_again(world: World) {
    let mut turns = Turns::default();
    for await_number in 1.. {
        let key = format!("k{await_number}");
        let ending = drop_at_suspension(upload(&world, keyed(&key), png()), await_number).await;
        world.settle().await;
        world.let_deadlines_pass().await;
        let image = upload(&world, keyed(&key), png()).await.unwrap();
        assert_eq!(upload(&world, keyed(&key), png()).await.unwrap(), image);
        world.assert_consistent_after_sweep().await;
        assert_eq!(world.count().await.images, i64::try_from(await_number).unwrap());
        if turns.are_over(await_number, &ending) {
            return;
        }
    }
}
