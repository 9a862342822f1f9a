//! Direct uploads: what a client sends to storage itself is believed no more than what it sends through us.

use std::time::Duration;

use bytes::Bytes;
use object_store_devkit::faults::{Fault, Operation, When};
use object_store_devkit::samples;
use object_store_devkit::suspension::{Ending, Turns, drop_at_suspension};
use object_store_models::{IntentPurpose, MediaId, MediaKind, ObjectIntent, Timestamp};
use object_store_repo::IntentRepo;
use object_store_service::{
    Actor, AudioCreate, DirectUpload, DirectUploadCreate, FileRef, FileUploadResult, ImageCreate, ImageRead,
    ObjectStoreError, Result, UploadMethod, UrlOptions,
};
use object_store_storage::SignedRequestRefused;

use crate::support::{Count, World, ann, ben, on_both_databases, read, user};

on_both_databases! {
    a_form_becomes_an_image
    a_put_becomes_audio
    what_a_client_sends_along_is_not_stored
    the_object_has_the_type_that_was_found
    a_large_file_is_read_in_ranges_and_hashed_up_to_the_limit
    what_cannot_be_accepted_is_refused_before_anything_is_signed
    what_was_not_sent_can_be_sent_later
    bytes_that_are_not_acceptable_end_the_upload
    the_same_reason_as_for_an_upload_through_us
    another_size_than_announced_is_refused
    a_late_request_changes_nothing_that_can_be_read
    what_is_sent_while_it_is_completed_is_not_what_is_stored
    an_upload_that_ended_cannot_be_completed
    only_the_owner_completes_and_cancels
    anyone_who_has_its_id_completes_an_ownerless_upload
    completed_again_it_has_the_same_answer
    many_that_complete_make_one_file
    a_large_file_that_is_replaced_while_it_is_read_is_read_again
    beginning_again_and_completing_at_once_do_not_wait_for_each_other_in_a_circle
    a_cancelled_upload_leaves_nothing
    completing_and_cancelling_exclude_each_other
    completing_and_sweeping_exclude_each_other
    a_sweep_in_the_middle_of_completing_wins
    a_copy_that_fails_is_tried_under_a_fresh_key
    a_copy_that_fails_for_good_changes_nothing
    what_is_replaced_under_the_same_entity_tag_is_not_stored
    a_copy_whose_answer_was_lost_is_removed_later
    storage_that_cannot_copy_on_a_condition_is_sent_the_bytes
    a_failed_delete_of_what_was_sent_is_finished_by_the_sweep
    every_failing_call_leaves_something_that_can_be_completed
    dropped_anywhere_while_beginning_nothing_is_left
    dropped_anywhere_while_completing_it_can_be_completed
    dropped_anywhere_while_completing_nothing_is_lost_or_left
    dropped_anywhere_while_cancelling_nothing_is_left
}

fn png() -> Vec<u8> {
    samples::png(6, 4)
}

fn of_png() -> DirectUploadCreate {
    DirectUploadCreate::image("a.png", "image/png")
}

async fn begin(world: &World, create: DirectUploadCreate) -> DirectUpload {
    world.service.begin_direct_upload(ann(), create).await.unwrap()
}

/// Does what a client does with what it was given.
fn send(world: &World, upload: &DirectUpload, bytes: impl Into<Bytes>) -> Result<(), SignedRequestRefused> {
    match &upload.method {
        UploadMethod::Post { url, fields, .. } => world.memory.submit_post(url, fields, bytes.into()),
        UploadMethod::Put { url, headers } => world.memory.submit_put(url, headers, bytes.into()),
        other => panic!("not one request: {other:?}"),
    }
    .map(drop)
}

async fn sent(world: &World, create: DirectUploadCreate, bytes: impl Into<Bytes>) -> DirectUpload {
    let upload = begin(world, create).await;
    send(world, &upload, bytes).unwrap();
    upload
}

async fn complete(world: &World, upload: &DirectUpload) -> Result<FileUploadResult> {
    world.service.complete_upload(ann(), upload.id).await
}

async fn completed_image(world: &World, upload: &DirectUpload) -> ImageRead {
    match complete(world, upload).await.unwrap() {
        FileUploadResult::Image(image) => image,
        FileUploadResult::Audio(audio) => panic!("{audio:?}"),
    }
}

async fn download(world: &World, id: MediaId) -> Bytes {
    read(world.service.download(ann(), id, None).await.unwrap()).await
}

async fn intents(world: &World) -> Vec<ObjectIntent> {
    let mut conn = world.database.reader().await.unwrap();
    IntentRepo::list(&mut conn, None, 100).await.unwrap()
}

fn staging_key(upload: &DirectUpload) -> String {
    match &upload.method {
        UploadMethod::Post { fields, .. } => fields.iter().find(|(name, _)| name == "key").unwrap().1.clone(),
        other => panic!("{other:?}"),
    }
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> &'static str {
    result.unwrap_err().code()
}

/// One image and the purge of its staging key.
fn one_image() -> Count {
    Count { images: 1, intents: 1, objects: 1, ..Count::default() }
}

async fn a_form_becomes_an_image(world: World) {
    let upload = begin(&world, DirectUploadCreate::image("../b/a.png", "image/x-png")).await;
    assert_eq!(upload.id.kind(), MediaKind::Image);
    let UploadMethod::Post { fields, max_bytes, .. } = &upload.method else { panic!("{upload:?}") };
    assert_eq!(*max_bytes, 25 << 20);
    assert!(fields.contains(&("Content-Type".to_owned(), "image/png".to_owned())), "{fields:?}");
    assert!(staging_key(&upload).starts_with(&format!("staging/{}/", upload.id)));
    assert_eq!(world.count().await, Count { intents: 1, ..Count::default() });

    send(&world, &upload, png()).unwrap();
    let image = completed_image(&world, &upload).await;
    assert_eq!(MediaId::from(image.id), upload.id);
    assert_eq!((image.filename.as_str(), image.content_type.as_str()), ("a.png", "image/png"));
    assert_eq!((image.width, image.height, image.size_bytes), (6, 4, png().len() as u64));
    assert_eq!((image.user_id, image.sha256.is_some()), (Some(user(1)), true));
    assert_eq!(download(&world, upload.id).await, png());
    assert_eq!(world.count().await, one_image());
    assert!(world.memory.keys()[0].starts_with(&format!("image/{}/", upload.id)), "never a key that a client had");

    world.assert_consistent_after_sweep().await;
    assert_eq!(download(&world, upload.id).await, png());
}

async fn a_put_becomes_audio(world: World) {
    use md5::Digest;

    let wav = samples::wav(8_000, 1, 16, 100);
    for md5 in [None, Some(md5::Md5::digest(&wav).into())] {
        let create = DirectUploadCreate::file("a.wav", "audio/wave").sized(wav.len() as u64).by_put(md5);
        let upload = begin(&world, create).await;
        assert_eq!(upload.id.kind(), MediaKind::Audio);
        assert!(send(&world, &upload, vec![0; wav.len() + 1]).is_err());
        assert_eq!(send(&world, &upload, vec![0; wav.len()]).is_err(), md5.is_some());
        send(&world, &upload, wav.clone()).unwrap();
        let FileUploadResult::Audio(audio) = complete(&world, &upload).await.unwrap() else { panic!("an image") };
        assert_eq!((audio.duration_ms, audio.content_type.as_str()), (Some(100), "audio/wav"));
        assert_eq!(download(&world, upload.id).await, wav);
        let signed = world.service.signed_url(ann(), FileRef::from(&audio), &UrlOptions::default()).await.unwrap();
        assert_eq!(world.memory.fetch(&signed.url).unwrap().content_type.as_deref(), Some("audio/wav"));
    }
    world.assert_consistent_after_sweep().await;
}

async fn what_a_client_sends_along_is_not_stored(world: World) {
    let create = of_png().sized(png().len() as u64).by_put(None);
    let upload = begin(&world, create).await;
    let UploadMethod::Put { url, headers } = &upload.method else { panic!("{upload:?}") };
    let more = [("Content-Encoding", "gzip"), ("cache-control", "max-age=31536000"), ("x-amz-meta-note", "mine")];
    let more = more.map(|(name, value)| (name.to_owned(), value.to_owned()));
    world.memory.submit_put(url, &[&headers[..], &more].concat(), png().into()).unwrap();
    let image = completed_image(&world, &upload).await;
    let signed = world.service.signed_url(ann(), FileRef::from(&image), &UrlOptions::default()).await.unwrap();
    let fetched = world.memory.fetch(&signed.url).unwrap();
    assert_eq!((fetched.headers, fetched.bytes), (Vec::new(), png().into()));
    world.assert_consistent_after_sweep().await;
}

async fn the_object_has_the_type_that_was_found(world: World) {
    let service = world.service_with(|settings| settings.limits.formats = object_store_media::Format::all().to_vec());
    let m4a = samples::m4a(500, "a", "b");
    let create = DirectUploadCreate::audio("a.aac", "audio/aac");
    let upload = service.begin_direct_upload(ann(), create).await.unwrap();
    let UploadMethod::Post { fields, .. } = &upload.method else { panic!("{upload:?}") };
    assert!(fields.contains(&("Content-Type".to_owned(), "audio/aac".to_owned())), "{fields:?}");
    send(&world, &upload, m4a).unwrap();
    let FileUploadResult::Audio(audio) = service.complete_upload(ann(), upload.id).await.unwrap() else {
        panic!("an image")
    };
    let key = object_store_storage::ObjectKey::parse(&world.memory.keys()[0]).unwrap();
    let stored = object_store_storage::ObjectStorage::head(&world.memory, &key).await.unwrap().content_type;
    assert_eq!((stored.as_deref(), audio.content_type.as_str()), (Some("audio/mp4"), "audio/mp4"));
}

async fn a_large_file_is_read_in_ranges_and_hashed_up_to_the_limit(world: World) {
    let wav = samples::wav(48_000, 2, 16, 55_000);
    assert!(wav.len() > 8 << 20);
    for (hash_at_completion, is_hashed) in [(wav.len() as u64, true), (wav.len() as u64 - 1, false)] {
        let service = world.service_with(|settings| settings.hash_at_completion = hash_at_completion);
        let upload = sent(&world, DirectUploadCreate::audio("a.wav", "audio/wav"), wav.clone()).await;
        world.storage.forget_calls();
        let FileUploadResult::Audio(audio) = service.complete_upload(ann(), upload.id).await.unwrap() else {
            panic!("an image")
        };
        assert_eq!((audio.duration_ms, audio.sha256.is_some()), (Some(55_000), is_hashed));
        assert_eq!(world.storage.count(Operation::Put), 0, "copied by the storage");
        assert!(download(&world, upload.id).await == wav);
    }
    let through_us =
        world.service.upload_audio(ann(), AudioCreate::new("a.wav"), wav.clone().into()).await.unwrap().sha256;
    assert!(through_us.is_some());
    world.assert_consistent_after_sweep().await;
}

async fn what_cannot_be_accepted_is_refused_before_anything_is_signed(world: World) {
    let small = world.service_with(|settings| settings.limits.max_image_bytes = 100);
    let week = Duration::from_hours(7 * 24);
    for (create, expected) in [
        (DirectUploadCreate::file("a", "text/html"), "unsupported_type"),
        (DirectUploadCreate::file("a", ""), "unsupported_type"),
        (DirectUploadCreate::file("a", "application/octet-stream"), "unsupported_type"),
        (DirectUploadCreate::image("a", "audio/wav"), "type_mismatch"),
        (of_png().sized(0), "empty"),
        (of_png().sized(101), "too_large"),
        (of_png().by_put(None), "size_required"),
        (of_png().expiring_in(Duration::ZERO), "bad_url_life"),
        (of_png().expiring_in(week + Duration::from_secs(1)), "bad_url_life"),
        (of_png().idempotent(""), "bad_idempotency_key"),
        (of_png().owned_by(user(2)), "forbidden"),
    ] {
        assert_eq!(code(small.begin_direct_upload(ann(), create.clone()).await), expected, "{create:?}");
    }
    world.storage.fail(Operation::PresignPost, When::Always, Fault::Unsupported);
    let refused = small.begin_direct_upload(ann(), of_png()).await.unwrap_err();
    assert_eq!(refused.code(), "upload_method_unsupported");
    assert_eq!(refused.to_string(), "the storage takes no direct uploads by POST; use PUT");
    assert!(small.begin_direct_upload(ann(), of_png().sized(100).by_put(None)).await.is_ok());
    assert_eq!(world.count().await, Count { intents: 1, ..Count::default() });
    world.assert_consistent_after_sweep().await;

    // With a size that is known, there is a way without asking.
    let sized = begin(&world, of_png().sized(png().len() as u64)).await;
    assert!(matches!(sized.method, UploadMethod::Put { .. }), "{sized:?}");
    send(&world, &sized, png()).unwrap();
    completed_image(&world, &sized).await;
    world.assert_consistent_after_sweep().await;
}

async fn what_was_not_sent_can_be_sent_later(world: World) {
    let upload = begin(&world, of_png()).await;
    let before = intents(&world).await;
    for _ in 0..2 {
        let missing = complete(&world, &upload).await.unwrap_err();
        assert_eq!((missing.code(), missing.is_retryable()), ("upload_not_received", true));
    }
    assert_eq!(intents(&world).await, before);
    send(&world, &upload, png()).unwrap();
    completed_image(&world, &upload).await;
}

async fn bytes_that_are_not_acceptable_end_the_upload(world: World) {
    let upload = sent(&world, DirectUploadCreate::image("holiday.jpg", "image/jpeg"), samples::html()).await;
    let refused = complete(&world, &upload).await.unwrap_err();
    assert_eq!((refused.code(), refused.is_retryable()), ("unsupported_type", false));
    assert_eq!(world.count().await, Count { intents: 1, ..Count::default() }, "gone at once");

    // The signature still works, but for nothing.
    send(&world, &upload, png()).unwrap();
    assert_eq!(code(complete(&world, &upload).await), "upload_expired");
    world.assert_consistent_after_sweep().await;
    world.assert_empty().await;
    assert_eq!(code(complete(&world, &upload).await), "not_found");
}

async fn the_same_reason_as_for_an_upload_through_us(world: World) {
    for (declared, bytes) in [
        ("image/jpeg", samples::html()),
        ("image/jpeg", samples::png(4, 4)),
        ("image/png", png()[..20].to_vec()),
        ("image/png", png()[..60].to_vec()),
        ("image/png", samples::png_bomb(16_000, 16_000)),
        ("image/png", samples::png_bomb(20_000, 2)),
        ("image/png", samples::png_zero_dimensions()),
        ("image/png", [png(), b"<script>".to_vec()].concat()),
        ("image/png", samples::wav(8_000, 1, 16, 10)),
        ("image/svg+xml", samples::svg()),
    ] {
        let direct = match world.service.begin_direct_upload(ann(), DirectUploadCreate::image("a", declared)).await {
            Ok(upload) => {
                send(&world, &upload, bytes.clone()).unwrap();
                complete(&world, &upload).await.map(drop)
            }
            Err(error) => Err(error),
        };
        let through_us = ImageCreate::new("a").declared(declared);
        let through_us = world.service.upload_image(ann(), through_us, bytes.into()).await.map(drop);
        match (direct, through_us) {
            (Ok(()), Ok(())) => {}
            (Err(direct), Err(through_us)) => assert_eq!(direct.code(), through_us.code(), "{declared}"),
            (direct, through_us) => panic!("{declared}: {direct:?}, {through_us:?}"),
        }
    }
    world.assert_consistent_after_sweep().await;
}

async fn another_size_than_announced_is_refused(world: World) {
    let upload = begin(&world, of_png().sized(png().len() as u64)).await;
    assert!(matches!(send(&world, &upload, samples::png(60, 40)), Err(SignedRequestRefused::Size { .. })));
    // A server that holds no policies.
    world.memory.insert_foreign(&staging_key(&upload), "image/png", samples::png(60, 40));
    assert_eq!(code(complete(&world, &upload).await), "length_mismatch");

    let small = world.service_with(|settings| settings.limits.max_image_bytes = 100);
    let upload = small.begin_direct_upload(ann(), of_png()).await.unwrap();
    assert!(matches!(send(&world, &upload, vec![0; 101]), Err(SignedRequestRefused::Size { .. })));
    world.memory.insert_foreign(&staging_key(&upload), "image/png", vec![0; 101]);
    assert_eq!(code(small.complete_upload(ann(), upload.id).await), "too_large");

    let upload = begin(&world, of_png()).await;
    world.memory.insert_foreign(&staging_key(&upload), "image/png", Vec::new());
    assert_eq!(code(complete(&world, &upload).await), "empty");
    world.assert_consistent_after_sweep().await;
    world.assert_empty().await;
}

/// When a request that was sent in the last moment can no longer land.
fn nothing_lands_any_more(upload: &DirectUpload) -> Timestamp {
    // Two clocks tell the time, to different precision.
    upload.expires_at.checked_add(Duration::from_hours(2) - Duration::from_secs(1)).unwrap()
}

async fn a_late_request_changes_nothing_that_can_be_read(world: World) {
    let upload = sent(&world, of_png(), png()).await;
    assert!(intents(&world).await[0].not_before >= nothing_lands_any_more(&upload));
    let image = completed_image(&world, &upload).await;
    let left = &intents(&world).await[0];
    assert_eq!((left.purpose, left.s3_key.as_str()), (IntentPurpose::Purge, staging_key(&upload).as_str()));
    assert!(left.clears_at >= nothing_lands_any_more(&upload) && left.not_before == left.clears_at, "{left:?}");

    send(&world, &upload, samples::png(60, 40)).unwrap();
    assert_eq!(world.memory.object_count(), 2);
    assert_eq!(download(&world, upload.id).await, png());
    assert_eq!(completed_image(&world, &upload).await, image);
    let signed = world.service.signed_url(ann(), FileRef::from(&image), &UrlOptions::default()).await.unwrap();
    assert_eq!(world.memory.fetch(&signed.url).unwrap().bytes, png());

    // Nothing more can be sent, and what was goes.
    world.memory.advance(Duration::from_secs(3_601));
    assert!(matches!(send(&world, &upload, png()), Err(SignedRequestRefused::Expired)));
    world.assert_consistent_after_sweep().await;
    assert_eq!(download(&world, upload.id).await, png());
}

async fn what_is_sent_while_it_is_completed_is_not_what_is_stored(world: World) {
    for by_put in [false, true] {
        // Dropped at each await, something else is sent there, and the next one completes.
        for await_number in 1.. {
            if by_put {
                world.storage.fail(Operation::Copy, When::Always, Fault::Unsupported);
            }
            let upload = sent(&world, of_png(), png()).await;
            let mut completing = std::pin::pin!(world.service.complete_upload(ann(), upload.id));
            let first = poll_times(completing.as_mut(), await_number).await;
            let finished = first.is_some();
            let stored = if let Some(done) = first {
                done
            } else {
                send(&world, &upload, samples::html()).unwrap();
                completing.await
            };
            match stored {
                Ok(_) => assert_eq!(download(&world, upload.id).await, png()),
                Err(error) => assert_eq!(error.code(), "unsupported_type", "await {await_number}"),
            }
            world.storage.heal();
            world.assert_consistent_after_sweep().await;
            if finished {
                break;
            }
        }
    }
}

async fn an_upload_that_ended_cannot_be_completed(world: World) {
    let upload = sent(&world, of_png(), png()).await;
    world.let_deadlines_pass().await;
    assert_eq!(code(complete(&world, &upload).await), "upload_expired", "due, and not swept");
    world.service.sweep().await.unwrap();
    assert_eq!(code(complete(&world, &upload).await), "not_found", "swept");
    world.assert_empty().await;
    assert_eq!(
        code(world.service.complete_upload(ann(), object_store_models::ImageId::new().into()).await),
        "not_found"
    );

    let upload = sent(&world, of_png(), png()).await;
    let as_audio = MediaId::of(MediaKind::Audio, upload.id.uuid());
    assert_eq!(code(world.service.complete_upload(ann(), as_audio).await), "not_found");
    completed_image(&world, &upload).await;
    world.service.delete(ann(), upload.id).await.unwrap();
    assert_eq!(code(complete(&world, &upload).await), "upload_expired", "deleted stays deleted");
    world.assert_consistent_after_sweep().await;
    world.assert_empty().await;
}

async fn only_the_owner_completes_and_cancels(world: World) {
    let upload = sent(&world, of_png(), png()).await;
    world.storage.forget_calls();
    for actor in [ben(), Actor::Anonymous] {
        assert_eq!(code(world.service.complete_upload(actor, upload.id).await), "forbidden");
        assert_eq!(code(world.service.cancel_upload(actor, upload.id).await), "forbidden");
    }
    assert_eq!(world.storage.calls(), [], "storage is not asked before");
    world.service.complete_upload(Actor::System, upload.id).await.unwrap();
    assert_eq!(code(world.service.complete_upload(ben(), upload.id).await), "forbidden");
    completed_image(&world, &upload).await;
}

async fn anyone_who_has_its_id_completes_an_ownerless_upload(world: World) {
    let upload = world.service.begin_direct_upload(Actor::Anonymous, of_png()).await.unwrap();
    send(&world, &upload, png()).unwrap();
    let stored = world.service.complete_upload(Actor::Anonymous, upload.id).await.unwrap();
    assert_eq!(FileUploadResult::id(&stored), upload.id);
}

async fn completed_again_it_has_the_same_answer(world: World) {
    let upload = sent(&world, of_png(), png()).await;
    let image = completed_image(&world, &upload).await;
    assert_eq!(completed_image(&world, &upload).await, image);
    world.assert_consistent_after_sweep().await;
    assert_eq!(completed_image(&world, &upload).await, image, "also when the intent is gone");
}

async fn many_that_complete_make_one_file(world: World) {
    for round in 0..4 {
        let upload = sent(&world, of_png(), png()).await;
        let completing: Vec<_> = (0..8)
            .map(|_| {
                let service = world.service.clone();
                tokio::spawn(async move { service.complete_upload(ann(), upload.id).await })
            })
            .collect();
        let mut answers = Vec::new();
        for one in completing {
            answers.push(one.await.unwrap().unwrap());
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "round {round}: {answers:#?}");
        assert_eq!(world.count().await.images, round + 1);
    }
    world.assert_consistent_after_sweep().await;
    assert_eq!(world.count().await, Count { images: 4, objects: 4, ..Count::default() });
}

async fn a_large_file_that_is_replaced_while_it_is_read_is_read_again(world: World) {
    let (first, second) = (samples::wav(48_000, 2, 16, 50_000), samples::wav(48_000, 2, 16, 60_000));
    for unsupported in [false, true] {
        if unsupported {
            world.storage.fail(Operation::Copy, When::Always, Fault::Unsupported);
        }
        for await_number in 1.. {
            let upload = sent(&world, DirectUploadCreate::audio("a.wav", "audio/wav"), first.clone()).await;
            let mut completing = std::pin::pin!(world.service.complete_upload(ann(), upload.id));
            let done = poll_times(completing.as_mut(), await_number).await;
            let finished = done.is_some();
            let stored = if let Some(done) = done {
                done
            } else {
                send(&world, &upload, second.clone()).unwrap();
                completing.await
            };
            let FileUploadResult::Audio(audio) = stored.unwrap() else { panic!("an image") };
            let bytes = download(&world, upload.id).await;
            assert_eq!(bytes.len() as u64, audio.size_bytes, "await {await_number}");
            let expected = if bytes.len() == first.len() { (&first, 50_000) } else { (&second, 60_000) };
            assert!(bytes == *expected.0 && audio.duration_ms == Some(expected.1), "await {await_number}");
            if finished {
                break;
            }
        }
    }
    world.storage.heal();
    world.assert_consistent_after_sweep().await;
}

async fn beginning_again_and_completing_at_once_do_not_wait_for_each_other_in_a_circle(world: World) {
    for round in 0..10 {
        let create = of_png().idempotent(format!("key{round}"));
        let upload = sent(&world, create.clone(), png()).await;
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let (service, create) = (world.service.clone(), create.clone());
                tokio::spawn(async move {
                    if task % 2 == 0 {
                        service.begin_direct_upload(ann(), create).await.map(|upload| upload.id)
                    } else {
                        service.complete_upload(ann(), upload.id).await.map(|stored| stored.id())
                    }
                })
            })
            .collect();
        for task in tasks {
            match task.await.unwrap() {
                Ok(id) => assert_eq!(id, upload.id),
                Err(error) => assert_eq!(error.code(), "in_progress", "{error:?}"),
            }
        }
    }
    world.assert_consistent_after_sweep().await;
    assert_eq!(world.count().await.images, 10);
}

/// Polls a future until it has waited so often. What it returned, if it did before that.
async fn poll_times<F: Future>(mut future: std::pin::Pin<&mut F>, times: usize) -> Option<F::Output> {
    let mut polls = 0;
    std::future::poll_fn(|context| {
        polls += 1;
        match future.as_mut().poll(context) {
            std::task::Poll::Ready(done) => std::task::Poll::Ready(Some(done)),
            std::task::Poll::Pending if polls == times => std::task::Poll::Ready(None),
            std::task::Poll::Pending => std::task::Poll::Pending,
        }
    })
    .await
}

async fn a_cancelled_upload_leaves_nothing(world: World) {
    let upload = sent(&world, of_png(), png()).await;
    for _ in 0..2 {
        world.service.cancel_upload(ann(), upload.id).await.unwrap();
        assert_eq!(world.count().await, Count { intents: 1, ..Count::default() });
    }
    assert_eq!(code(complete(&world, &upload).await), "upload_expired");
    send(&world, &upload, png()).unwrap();
    world.assert_consistent_after_sweep().await;
    world.assert_empty().await;
    assert_eq!(code(world.service.cancel_upload(ann(), upload.id).await), "not_found");

    let upload = sent(&world, of_png(), png()).await;
    completed_image(&world, &upload).await;
    let refused = world.service.cancel_upload(ann(), upload.id).await.unwrap_err();
    assert!(matches!(refused, ObjectStoreError::Conflict(_)));
    assert_eq!(refused.code(), "upload_completed");
    assert_eq!(download(&world, upload.id).await, png());
}

async fn completing_and_cancelling_exclude_each_other(world: World) {
    for _ in 0..10 {
        let upload = sent(&world, of_png(), png()).await;
        let (completing, cancelling) = (world.service.clone(), world.service.clone());
        let completing = tokio::spawn(async move { completing.complete_upload(ann(), upload.id).await });
        let cancelling = tokio::spawn(async move { cancelling.cancel_upload(ann(), upload.id).await });
        match (completing.await.unwrap(), cancelling.await.unwrap()) {
            (Ok(_), Err(cancelled)) => assert_eq!(cancelled.code(), "upload_completed"),
            (Err(completed), Ok(())) => assert!(
                // What was sent may be gone before the intent was read again.
                matches!(completed.code(), "upload_expired" | "upload_not_received"),
                "{completed:?}"
            ),
            both => panic!("{both:?}"),
        }
    }
    world.assert_consistent_after_sweep().await;
}

async fn completing_and_sweeping_exclude_each_other(world: World) {
    for _ in 0..10 {
        let upload = sent(&world, of_png(), png()).await;
        let service = world.service.clone();
        let completing = tokio::spawn(async move { service.complete_upload(ann(), upload.id).await });
        world.let_deadlines_pass().await;
        world.service.sweep().await.unwrap();
        match completing.await.unwrap() {
            Ok(_) => assert_eq!(download(&world, upload.id).await, png()),
            Err(error) => {
                assert!(matches!(error.code(), "upload_expired" | "not_found" | "upload_not_received"), "{error:?}");
            }
        }
    }
    world.assert_consistent_after_sweep().await;
}

async fn a_sweep_in_the_middle_of_completing_wins(world: World) {
    for await_number in 1.. {
        let upload = sent(&world, of_png(), png()).await;
        let mut completing = std::pin::pin!(world.service.complete_upload(ann(), upload.id));
        if poll_times(completing.as_mut(), await_number).await.is_some() {
            return;
        }
        // A transaction that is open has to end before anybody else can write to SQLite.
        let sweep = async {
            world.let_deadlines_pass().await;
            world.service.sweep().await.unwrap();
        };
        let (stored, ()) = tokio::join!(completing, sweep);
        if stored.is_ok() {
            assert_eq!(download(&world, upload.id).await, png());
        }
        world.assert_consistent_after_sweep().await;
    }
}

async fn a_copy_that_fails_is_tried_under_a_fresh_key(world: World) {
    for fault in [Fault::Unavailable, Fault::RequestLost, Fault::ReplyLost] {
        let upload = sent(&world, of_png(), png()).await;
        world.storage.forget_calls();
        world.storage.fail(Operation::Copy, When::Nth(1), fault);
        completed_image(&world, &upload).await;
        let copies: Vec<_> =
            world.storage.calls().into_iter().filter(|call| call.operation == Operation::Copy).collect();
        assert_eq!(copies.len(), 2);
        assert_ne!(copies[0].key, copies[1].key);
        world.storage.heal();
        world.assert_consistent_after_sweep().await;
        assert_eq!(download(&world, upload.id).await, png());
    }
}

async fn a_copy_that_fails_for_good_changes_nothing(world: World) {
    let upload = sent(&world, of_png(), png()).await;
    for (fault, expected) in [
        (Fault::Unavailable, "storage_unavailable"),
        (Fault::AccessDenied, "storage_access_denied"),
        (Fault::BucketMissing, "storage_bucket_missing"),
        (Fault::PreconditionFailed, "upload_not_received"),
    ] {
        world.storage.fail(Operation::Copy, When::Always, fault);
        assert_eq!(code(complete(&world, &upload).await), expected);
        world.storage.heal();
        assert_eq!(world.count().await, Count { intents: 1, objects: 1, ..Count::default() });
    }
    completed_image(&world, &upload).await;
}

async fn what_is_replaced_under_the_same_entity_tag_is_not_stored(world: World) {
    let small = sent(&world, of_png(), png()).await;
    world.storage.swap_copies();
    assert_eq!(code(complete(&world, &small).await), "storage_corrupted");
    // Beyond what is held in memory, the copy is what is looked at and hashed.
    let wav = samples::wav(48_000, 2, 16, 55_000);
    let long = sent(&world, DirectUploadCreate::audio("a.wav", "audio/wav"), wav.clone()).await;
    let FileUploadResult::Audio(audio) = complete(&world, &long).await.unwrap() else { panic!("an image") };
    world.storage.heal();

    let served = download(&world, long.id).await;
    assert!(served != wav);
    let through_us = world.service.upload_audio(ann(), AudioCreate::new("a.wav"), served.into()).await.unwrap();
    assert_eq!(audio.sha256, through_us.sha256);
    completed_image(&world, &small).await;
    assert_eq!(download(&world, small.id).await, png());
    world.assert_consistent_after_sweep().await;
}

async fn a_copy_whose_answer_was_lost_is_removed_later(world: World) {
    let upload = sent(&world, of_png(), png()).await;
    world.storage.fail(Operation::Copy, When::Always, Fault::RequestLost);
    assert_eq!(code(complete(&world, &upload).await), "storage_unavailable");
    world.storage.heal();
    let lost: Vec<_> = world.storage.calls().into_iter().filter(|call| call.operation == Operation::Copy).collect();
    completed_image(&world, &upload).await;
    // The copies land after all.
    for call in &lost {
        world.memory.insert_foreign(call.key.as_ref().unwrap().as_str(), "image/png", png());
    }
    world.assert_consistent_after_sweep().await;
    assert_eq!(download(&world, upload.id).await, png());
}

async fn storage_that_cannot_copy_on_a_condition_is_sent_the_bytes(world: World) {
    let wav = samples::wav(48_000, 2, 16, 55_000);
    world.storage.fail(Operation::Copy, When::Always, Fault::Unsupported);
    for (create, bytes) in [(of_png(), png()), (DirectUploadCreate::audio("a.wav", "audio/wav"), wav)] {
        let upload = sent(&world, create, bytes.clone()).await;
        complete(&world, &upload).await.unwrap();
        assert!(download(&world, upload.id).await == bytes);
    }
    world.assert_consistent_after_sweep().await;
}

async fn a_failed_delete_of_what_was_sent_is_finished_by_the_sweep(world: World) {
    let upload = sent(&world, of_png(), png()).await;
    world.storage.fail(Operation::Delete, When::Always, Fault::Unavailable);
    completed_image(&world, &upload).await;
    assert_eq!(world.memory.object_count(), 2);
    let left = intents(&world).await;
    assert_eq!((left.len(), left[0].purpose), (1, IntentPurpose::Purge));
    world.storage.heal();
    world.assert_consistent_after_sweep().await;
}

async fn every_failing_call_leaves_something_that_can_be_completed(world: World) {
    for fault in [Fault::Unavailable, Fault::RequestLost, Fault::ReplyLost] {
        for call in 1.. {
            let upload = sent(&world, of_png(), png()).await;
            world.storage.forget_calls();
            world.storage.fail_any(When::Nth(call), fault);
            let first = complete(&world, &upload).await;
            let calls = world.storage.calls().len();
            world.storage.heal();
            if let Err(error) = first {
                assert!(error.is_retryable(), "call {call}, {fault:?}: {error:?}");
            }
            completed_image(&world, &upload).await;
            world.assert_consistent_after_sweep().await;
            assert_eq!(download(&world, upload.id).await, png());
            if calls < call {
                break;
            }
        }
    }
}

async fn dropped_anywhere_while_beginning_nothing_is_left(world: World) {
    for key in [None, Some("key")] {
        let mut turns = Turns::default();
        for await_number in 1.. {
            let mut create = of_png();
            create.idempotency_key = key.map(|key| format!("{key}{await_number}"));
            let ending = drop_at_suspension(world.service.begin_direct_upload(ann(), create), await_number).await;
            world.settle().await;
            world.assert_consistent_after_sweep().await;
            let is_over = turns.are_over(await_number, &ending);
            if let Ending::Completed { output, .. } = ending {
                output.unwrap();
            }
            if is_over {
                break;
            }
        }
    }
}

async fn dropped_anywhere_while_completing_it_can_be_completed(world: World) {
    let mut turns = Turns::default();
    for await_number in 1.. {
        let upload = sent(&world, of_png().idempotent(format!("{await_number}")), png()).await;
        let ending = drop_at_suspension(world.service.complete_upload(ann(), upload.id), await_number).await;
        world.settle().await;
        completed_image(&world, &upload).await;
        assert_eq!(download(&world, upload.id).await, png());
        if turns.are_over(await_number, &ending) {
            assert!(turns.dropped() >= 10);
            break;
        }
    }
    world.assert_consistent_after_sweep().await;
}

async fn dropped_anywhere_while_completing_nothing_is_lost_or_left(world: World) {
    for bytes in [png(), samples::html()] {
        let mut turns = Turns::default();
        for await_number in 1.. {
            let upload = sent(&world, of_png(), bytes.clone()).await;
            let ending = drop_at_suspension(world.service.complete_upload(ann(), upload.id), await_number).await;
            world.settle().await;
            world.assert_consistent_after_sweep().await;
            if turns.are_over(await_number, &ending) {
                break;
            }
        }
    }
}

async fn dropped_anywhere_while_cancelling_nothing_is_left(world: World) {
    let mut turns = Turns::default();
    for await_number in 1.. {
        let upload = sent(&world, of_png(), png()).await;
        let ending = drop_at_suspension(world.service.cancel_upload(ann(), upload.id), await_number).await;
        world.settle().await;
        world.assert_consistent_after_sweep().await;
        world.assert_empty().await;
        if turns.are_over(await_number, &ending) {
            return;
        }
    }
}
