use object_store_devkit::samples;
use object_store_models::MediaKind;
use object_store_service::{
    Actor, AudioCreate, FileCreate, FileUploadResult, ImageCreate, ObjectStoreError, StagedFile, UploadBody,
};
use sha2::Digest;

use crate::support::{Count, World, ann, dripping, on_both_databases, pieces, read, user};

on_both_databases! {
    an_image_is_stored_with_its_facts
    audio_is_stored_with_its_facts
    the_bytes_decide_what_a_file_is
    a_long_stream_is_stored_with_its_facts
    a_long_stream_of_known_length_is_stored_as_well
    the_owner_is_who_uploads_unless_the_system_says_otherwise
    a_caller_commits_its_own_row_and_the_file_as_one
    a_caller_who_rolls_back_leaves_nothing
    a_staged_file_that_was_swept_is_expired
    only_an_open_transaction_commits_and_deletes
    a_staged_file_is_committed_once
    a_discarded_file_leaves_nothing
    discarding_a_committed_file_changes_nothing
}

async fn an_image_is_stored_with_its_facts(world: World) {
    let jpeg = samples::jpeg_with_orientation(64, 48, 6);
    let create = ImageCreate::new("C:\\photos\\me.jpg").declared("IMAGE/JPG");

    let image = world.service.upload_image(ann(), create, jpeg.clone().into()).await.unwrap();

    assert_eq!((image.width, image.height, image.orientation, image.frame_count), (48, 64, 6, 1));
    assert_eq!((image.content_type.as_str(), image.format.as_str()), ("image/jpeg", "jpeg"));
    assert_eq!((image.filename.as_str(), image.user_id), ("me.jpg", Some(user(1))));
    assert_eq!(image.size_bytes, jpeg.len() as u64);
    assert_eq!(*image.sha256.unwrap().as_bytes(), <[u8; 32]>::from(sha2::Sha256::digest(&jpeg)));
    let mut conn = world.service.connection().await.unwrap();
    assert_eq!(world.service.get_image(&mut conn, ann(), image.id).await.unwrap(), image);
    drop(conn);
    assert_eq!(world.count().await, Count { images: 1, objects: 1, ..Count::default() });
    world.assert_at_rest();
}

async fn audio_is_stored_with_its_facts(world: World) {
    let wav = samples::wav(44_100, 2, 16, 500);
    let create = AudioCreate::new("note.wav").declared("audio/x-wav; codecs=1");

    let audio = world.service.upload_audio(ann(), create, wav.into()).await.unwrap();

    assert_eq!((audio.duration_ms, audio.sample_rate, audio.channels), (Some(500), 44_100, 2));
    assert_eq!((audio.bit_depth, audio.content_type.as_str()), (Some(16), "audio/wav"));
    assert_eq!(world.count().await, Count { audios: 1, objects: 1, ..Count::default() });
}

async fn the_bytes_decide_what_a_file_is(world: World) {
    let upload = |bytes: Vec<u8>| {
        let service = world.service.clone();
        async move { service.upload_file(ann(), FileCreate::new("file"), bytes.into()).await.unwrap() }
    };
    assert_eq!(upload(samples::png(3, 2)).await.kind(), MediaKind::Image);
    assert_eq!(upload(samples::flac(8_000, 1, 100)).await.kind(), MediaKind::Audio);
}

/// 10 MiB of WAV: more than is looked at in memory.
fn long_wav() -> Vec<u8> {
    samples::wav(48_000, 2, 16, 55_000)
}

async fn a_long_stream_is_stored_with_its_facts(world: World) {
    let wav = long_wav();
    let audio = world.service.upload_audio(ann(), AudioCreate::new("a.wav"), dripping(&wav)).await.unwrap();

    assert_eq!((audio.duration_ms, audio.size_bytes), (Some(55_000), wav.len() as u64));
    assert_eq!(*audio.sha256.unwrap().as_bytes(), <[u8; 32]>::from(sha2::Sha256::digest(&wav)));
    assert_eq!(read(world.service.download(ann(), audio.id.into(), None).await.unwrap()).await, wav);
    world.assert_consistent_after_sweep().await;
}

async fn a_long_stream_of_known_length_is_stored_as_well(world: World) {
    let wav = long_wav();
    let body = UploadBody::from_stream(pieces(&wav), Some(wav.len() as u64));
    let audio = world.service.upload_audio(ann(), AudioCreate::new("a.wav"), body).await.unwrap();
    assert_eq!((audio.duration_ms, audio.size_bytes), (Some(55_000), wav.len() as u64));
}

async fn the_owner_is_who_uploads_unless_the_system_says_otherwise(world: World) {
    let upload = |actor: Actor, create: ImageCreate| {
        let service = world.service.clone();
        async move { service.upload_image(actor, create, samples::png(2, 2).into()).await.map(|image| image.user_id) }
    };
    let create = || ImageCreate::new("a.png");
    assert_eq!(upload(ann(), create()).await.unwrap(), Some(user(1)));
    assert_eq!(upload(Actor::Anonymous, create()).await.unwrap(), None);
    assert_eq!(upload(Actor::System, create()).await.unwrap(), None);
    assert_eq!(upload(Actor::System, create().owned_by(user(7))).await.unwrap(), Some(user(7)));
    let before = world.memory.calls().total();
    for actor in [ann(), Actor::Anonymous] {
        let refused = upload(actor, create().owned_by(user(7))).await.unwrap_err();
        assert!(matches!(refused, ObjectStoreError::Forbidden));
    }
    assert_eq!(world.memory.calls().total(), before, "no storage call before the check");
}

async fn stage(world: &World) -> object_store_service::StagedImage {
    world.service.stage_image(ann(), ImageCreate::new("a.png"), samples::png(5, 4).into()).await.unwrap()
}

async fn a_caller_commits_its_own_row_and_the_file_as_one(world: World) {
    let staged = stage(&world).await;
    assert_eq!(world.count().await, Count { intents: 1, objects: 1, ..Count::default() });

    let mut tx = world.service.begin().await.unwrap();
    let image = world.service.commit_image(&mut tx, &staged).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(image.id, staged.id());
    assert_eq!(world.count().await, Count { images: 1, objects: 1, ..Count::default() });
}

async fn a_caller_who_rolls_back_leaves_nothing(world: World) {
    let staged = stage(&world).await;
    let mut tx = world.service.begin().await.unwrap();
    world.service.commit_image(&mut tx, &staged).await.unwrap();
    tx.rollback().await.unwrap();

    assert_eq!(world.count().await, Count { intents: 1, objects: 1, ..Count::default() });
    assert_eq!(world.service.sweep().await.unwrap().claimed, 0, "not due yet");
    world.let_deadlines_pass().await;
    assert_eq!(world.service.sweep().await.unwrap().purged, 1);
    world.assert_empty().await;
}

async fn a_staged_file_that_was_swept_is_expired(world: World) {
    let staged = stage(&world).await;
    world.let_deadlines_pass().await;
    world.service.sweep().await.unwrap();

    let mut tx = world.service.begin().await.unwrap();
    let expired = world.service.commit_image(&mut tx, &staged).await.unwrap_err();
    assert!(matches!(expired, ObjectStoreError::UploadExpired));
    // Even a caller who goes on has no row without an object.
    tx.commit().await.unwrap();
    world.assert_empty().await;
}

async fn only_an_open_transaction_commits_and_deletes(world: World) {
    let staged = stage(&world).await;
    let image = world.service.upload_image(ann(), ImageCreate::new("b.png"), samples::png(2, 2).into()).await.unwrap();
    let before = world.count().await;
    {
        let mut conn = world.service.connection().await.unwrap();
        let refused = world.service.commit_image(&mut conn, &staged).await.unwrap_err();
        assert_eq!(refused.code(), "no_transaction");
        let refused = world.service.delete_in(&mut conn, ann(), image.id.into()).await.unwrap_err();
        assert_eq!(refused.code(), "no_transaction");
    }
    assert_eq!(world.count().await, before);
}

async fn a_staged_file_is_committed_once(world: World) {
    let staged = StagedFile::from(stage(&world).await);
    for attempt in 1..=2 {
        let mut tx = world.service.begin().await.unwrap();
        let committed = world.service.commit_file(&mut tx, &staged).await;
        match attempt {
            1 => assert!(matches!(committed, Ok(FileUploadResult::Image(_)))),
            _ => assert!(matches!(committed, Err(ObjectStoreError::UploadExpired))),
        }
        tx.commit().await.unwrap();
    }
    assert_eq!(world.count().await, Count { images: 1, objects: 1, ..Count::default() });
}

async fn a_discarded_file_leaves_nothing(world: World) {
    let staged = stage(&world).await;
    world.service.discard(staged).await;
    world.assert_empty().await;
}

async fn discarding_a_committed_file_changes_nothing(world: World) {
    let staged = stage(&world).await;
    let mut tx = world.service.begin().await.unwrap();
    world.service.commit_image(&mut tx, &staged).await.unwrap();
    tx.commit().await.unwrap();

    world.service.discard(staged).await;

    assert_eq!(world.count().await, Count { images: 1, objects: 1, ..Count::default() });
}
