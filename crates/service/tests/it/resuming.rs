//! Direct uploads in parts: a client that comes back goes on where it was.

use std::time::Duration;

use bytes::Bytes;
use object_store_devkit::faults::{Fault, Operation, When};
use object_store_devkit::samples;
use object_store_devkit::suspension::{Turns, drop_at_suspension};
use object_store_models::{IntentPurpose, MediaId, ObjectIntent};
use object_store_repo::IntentRepo;
use object_store_service::{
    Actor, DirectUpload, DirectUploadCreate, FileUploadResult, ObjectStoreError, Result, SignedPart, UploadMethod,
    UploadParts,
};
use object_store_storage::{ObjectKey, ObjectStorage, SignedRequestRefused, StorageError};

use crate::support::{Count, World, ann, ben, on_both_databases, read};

on_both_databases! {
    a_file_in_parts_becomes_audio
    a_client_that_comes_back_goes_on_where_it_was
    what_cannot_be_sent_in_parts_is_refused
    only_the_owner_signs_and_lists
    an_upload_of_another_kind_has_no_parts
    an_upload_that_ended_has_no_parts
    signatures_end_with_the_upload
    missing_parts_are_named_and_end_nothing
    a_part_of_another_size_is_missing
    bytes_that_are_not_acceptable_end_the_upload
    a_late_part_changes_nothing_that_can_be_read
    what_is_sent_while_it_is_completed_is_not_what_is_stored
    parts_that_were_joined_are_completed_by_the_next
    parts_that_are_gone_are_not_taken_for_joined
    many_that_complete_make_one_file
    completing_and_cancelling_exclude_each_other
    completing_and_sweeping_exclude_each_other
    a_cancelled_upload_leaves_nothing
    an_upload_that_was_never_completed_is_swept
    begun_again_it_has_its_parts
    begun_by_many_at_once_it_has_one_multipart_upload
    begun_again_it_gets_what_the_first_had_no_time_for
    a_multipart_upload_that_cannot_begin_leaves_nothing
    storage_without_parts_says_so
    a_lost_answer_to_joining_is_made_up_for
    every_failing_call_leaves_something_that_can_be_completed
    an_erased_user_has_no_parts_left
    dropped_anywhere_while_beginning_nothing_is_left
    dropped_anywhere_while_beginning_it_can_be_begun_again
    dropped_anywhere_while_completing_it_can_be_completed
    dropped_anywhere_while_completing_nothing_is_lost_or_left
    dropped_anywhere_while_cancelling_nothing_is_left
}

const PART: usize = 8 << 20;

fn png() -> Vec<u8> {
    samples::png(6, 4)
}

/// Of one part, which is the last and may be small.
fn of_png() -> DirectUploadCreate {
    DirectUploadCreate::image("a.png", "image/png").sized(png().len() as u64).resumable()
}

/// Of three parts.
fn wav() -> Vec<u8> {
    let wav = samples::wav(48_000, 2, 16, 95_000);
    assert!(wav.len() > 2 * PART && wav.len() < 3 * PART);
    wav
}

fn of_wav(bytes: &[u8]) -> DirectUploadCreate {
    DirectUploadCreate::audio("a.wav", "audio/wav").sized(bytes.len() as u64).resumable()
}

async fn begin(world: &World, create: DirectUploadCreate) -> DirectUpload {
    world.service.begin_direct_upload(ann(), create).await.unwrap()
}

async fn sign(world: &World, id: MediaId, numbers: &[u16]) -> Vec<SignedPart> {
    world.service.sign_upload_parts(ann(), id, numbers).await.unwrap()
}

async fn list(world: &World, id: MediaId) -> UploadParts {
    world.service.list_upload_parts(ann(), id).await.unwrap()
}

/// Does what a client does: it cuts the file and puts a part.
fn put(world: &World, part: &SignedPart, file: &[u8]) -> Result<(), SignedRequestRefused> {
    let start = (usize::from(part.number) - 1) * PART;
    let length = usize::try_from(part.size_bytes).unwrap();
    let bytes = Bytes::copy_from_slice(&file[start..start + length]);
    world.memory.submit_put(&part.url, &part.headers, bytes).map(drop)
}

async fn send(world: &World, id: MediaId, numbers: &[u16], file: &[u8]) {
    for part in sign(world, id, numbers).await {
        put(world, &part, file).unwrap();
    }
}

async fn sent(world: &World, create: DirectUploadCreate, file: &[u8]) -> DirectUpload {
    let upload = begin(world, create).await;
    send(world, upload.id, &list(world, upload.id).await.missing, file).await;
    upload
}

async fn complete(world: &World, id: MediaId) -> Result<FileUploadResult> {
    world.service.complete_upload(ann(), id).await
}

async fn download(world: &World, id: MediaId) -> Bytes {
    read(world.service.download(ann(), id, None).await.unwrap()).await
}

async fn intents(world: &World) -> Vec<ObjectIntent> {
    let mut conn = world.database.reader().await.unwrap();
    IntentRepo::list(&mut conn, None, 100).await.unwrap()
}

/// How many multipart uploads storage has.
async fn multipart_uploads(world: &World) -> usize {
    world.memory.list_multipart_uploads("", None).await.unwrap().uploads.len()
}

/// Nothing but rows and their objects, once a sweep has been here.
async fn assert_clean(world: &World) {
    world.assert_consistent_after_sweep().await;
    assert_eq!(multipart_uploads(world).await, 0, "a multipart upload is left");
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> &'static str {
    result.unwrap_err().code()
}

fn numbers(parts: &UploadParts) -> Vec<u16> {
    parts.received.iter().map(|part| part.number).collect()
}

async fn a_file_in_parts_becomes_audio(world: World) {
    let wav = wav();
    let upload = begin(&world, of_wav(&wav)).await;
    assert_eq!(upload.method, UploadMethod::Parts { part_bytes: PART as u64, part_count: 3 });
    assert_eq!((world.count().await.intents, multipart_uploads(&world).await), (1, 1));
    for number in [3, 1, 2] {
        send(&world, upload.id, &[number], &wav).await;
    }
    world.storage.forget_calls();
    let stored = complete(&world, upload.id).await.unwrap();
    let FileUploadResult::Audio(audio) = &stored else { panic!("{stored:?}") };
    assert_eq!((audio.duration_ms, audio.size_bytes), (Some(95_000), wav.len() as u64));
    assert!(audio.sha256.is_some());
    assert_eq!(world.storage.count(Operation::Put), 0, "joined and copied by the storage");
    assert!(download(&world, upload.id).await == wav);
    assert!(world.memory.keys()[0].starts_with("audio/"), "never a key that a client had");
    assert_eq!(world.count().await, Count { audios: 1, intents: 1, objects: 1, ..Count::default() });
    assert_eq!(complete(&world, upload.id).await.unwrap(), stored);
    assert_clean(&world).await;
    assert_eq!(complete(&world, upload.id).await.unwrap(), stored, "also when the intent is gone");
}

async fn a_client_that_comes_back_goes_on_where_it_was(world: World) {
    let wav = wav();
    let upload = begin(&world, of_wav(&wav)).await;
    let before = list(&world, upload.id).await;
    assert_eq!((numbers(&before), &before.missing[..]), (vec![], &[1, 2, 3][..]));
    assert_eq!((before.size_bytes, before.part_bytes, before.part_count), (wav.len() as u64, PART as u64, 3));
    assert_eq!(before.expires_at, upload.expires_at);

    let signed = sign(&world, upload.id, &before.missing).await;
    assert_eq!(signed.iter().map(|part| part.size_bytes).sum::<u64>(), wav.len() as u64);
    put(&world, &signed[1], &wav).unwrap();
    // The connection is lost in the middle of another part.
    let cut = Bytes::copy_from_slice(&wav[..PART / 2]);
    assert!(world.memory.submit_put(&signed[0].url, &signed[0].headers, cut).is_err());

    let again = list(&world, upload.id).await;
    assert_eq!((numbers(&again), &again.missing[..]), (vec![2], &[1, 3][..]));
    assert_eq!(again.received[0].size_bytes, PART as u64);
    assert!(again.received[0].etag.is_some());
    send(&world, upload.id, &again.missing, &wav).await;
    assert!(list(&world, upload.id).await.missing.is_empty());
    complete(&world, upload.id).await.unwrap();
    assert!(download(&world, upload.id).await == wav);
    assert_clean(&world).await;
}

async fn what_cannot_be_sent_in_parts_is_refused(world: World) {
    let small = world.service_with(|settings| settings.limits.max_image_bytes = 100);
    let of_size = |size| DirectUploadCreate { size_bytes: size, ..of_png() };
    for (create, expected) in [
        (of_size(None), "size_required"),
        (of_size(Some(0)), "empty"),
        (of_size(Some(101)), "too_large"),
        (of_size(Some(u64::MAX)), "too_large"),
    ] {
        assert_eq!(code(small.begin_direct_upload(ann(), create).await), expected);
    }
    assert_eq!(world.storage.calls(), []);
    world.assert_empty().await;

    let wav = wav();
    let upload = begin(&world, of_wav(&wav)).await;
    for number in [0, 4, u16::MAX] {
        let refused = world.service.sign_upload_parts(ann(), upload.id, &[1, number]).await.unwrap_err();
        assert_eq!(refused.code(), "bad_part_number");
        assert_eq!(refused.to_string(), format!("a part of this upload has a number from 1 to 3, not {number}"));
    }
    let refused = world.service.sign_upload_parts(ann(), upload.id, &vec![1; 1_001]).await.unwrap_err();
    assert_eq!(refused.code(), "too_many_parts");
    assert_eq!(sign(&world, upload.id, &vec![1; 1_000]).await.len(), 1_000);
    assert!(sign(&world, upload.id, &[]).await.is_empty());
    assert_clean(&world).await;
}

async fn only_the_owner_signs_and_lists(world: World) {
    let upload = begin(&world, of_png()).await;
    world.storage.forget_calls();
    for actor in [ben(), Actor::Anonymous] {
        assert_eq!(code(world.service.sign_upload_parts(actor, upload.id, &[1]).await), "forbidden");
        assert_eq!(code(world.service.list_upload_parts(actor, upload.id).await), "forbidden");
        assert_eq!(code(world.service.complete_upload(actor, upload.id).await), "forbidden");
        assert_eq!(code(world.service.cancel_upload(actor, upload.id).await), "forbidden");
    }
    assert_eq!(world.storage.calls(), [], "storage is not asked before");
    let for_system = world.service.sign_upload_parts(Actor::System, upload.id, &[1]).await.unwrap();
    put(&world, &for_system[0], &png()).unwrap();
    complete(&world, upload.id).await.unwrap();
    assert_eq!(code(world.service.list_upload_parts(ben(), upload.id).await), "forbidden");
}

async fn an_upload_of_another_kind_has_no_parts(world: World) {
    let upload = begin(&world, DirectUploadCreate::image("a.png", "image/png")).await;
    assert_eq!(code(world.service.sign_upload_parts(ann(), upload.id, &[1]).await), "upload_not_in_parts");
    assert_eq!(code(world.service.list_upload_parts(ann(), upload.id).await), "upload_not_in_parts");
    let unknown = object_store_models::ImageId::new().into();
    assert_eq!(code(world.service.sign_upload_parts(ann(), unknown, &[1]).await), "not_found");
    assert_eq!(code(world.service.list_upload_parts(ann(), unknown).await), "not_found");
}

async fn an_upload_that_ended_has_no_parts(world: World) {
    let completed = sent(&world, of_png(), &png()).await;
    complete(&world, completed.id).await.unwrap();
    let cancelled = begin(&world, of_png()).await;
    world.service.cancel_upload(ann(), cancelled.id).await.unwrap();
    for (upload, expected) in [(&completed, "upload_completed"), (&cancelled, "upload_expired")] {
        assert_eq!(code(world.service.sign_upload_parts(ann(), upload.id, &[1]).await), expected);
        assert_eq!(code(world.service.list_upload_parts(ann(), upload.id).await), expected);
    }
    let due = begin(&world, of_png()).await;
    world.let_deadlines_pass().await;
    assert_eq!(code(world.service.sign_upload_parts(ann(), due.id, &[1]).await), "upload_expired");
    assert_clean(&world).await;
    assert_eq!(code(world.service.list_upload_parts(ann(), due.id).await), "not_found");
}

async fn signatures_end_with_the_upload(world: World) {
    let minute = Duration::from_mins(1);
    let upload = begin(&world, of_png().expiring_in(minute)).await;
    let intent = &intents(&world).await[0];
    let late = |time: object_store_models::Timestamp| time.checked_add(Duration::from_hours(2)).unwrap();
    assert_eq!(late(upload.expires_at), intent.not_before);
    let signed = sign(&world, upload.id, &[1]).await;
    // Two clocks tell the time, to different precision.
    assert!(signed[0].expires_at <= upload.expires_at.checked_add(Duration::from_secs(1)).unwrap());

    world.memory.advance(minute);
    assert!(matches!(put(&world, &signed[0], &png()), Err(SignedRequestRefused::Expired)));
    // Nothing more is signed, and what has arrived can still be completed.
    let nothing_left = world.service_with(|settings| settings.timings.late_write = Duration::from_hours(3));
    assert_eq!(code(nothing_left.sign_upload_parts(ann(), upload.id, &[1]).await), "upload_expired");
    assert_eq!(code(complete(&world, upload.id).await), "upload_incomplete");
    assert_clean(&world).await;
    world.assert_empty().await;
}

async fn missing_parts_are_named_and_end_nothing(world: World) {
    let wav = wav();
    let upload = begin(&world, of_wav(&wav)).await;
    send(&world, upload.id, &[2], &wav).await;
    let before = intents(&world).await;
    for _ in 0..2 {
        let missing = complete(&world, upload.id).await.unwrap_err();
        assert_eq!((missing.code(), missing.is_retryable()), ("upload_incomplete", true));
        assert_eq!(missing.to_string(), "2 of 3 parts have not been received: 1, 3");
        let ObjectStoreError::Incomplete(missing) = missing else { panic!("{missing:?}") };
        assert_eq!((missing.numbers(), missing.part_count()), (&[1, 3][..], 3));
    }
    assert_eq!(intents(&world).await, before);
    assert_eq!((world.memory.object_count(), multipart_uploads(&world).await), (0, 1));
    send(&world, upload.id, &[1, 3], &wav).await;
    complete(&world, upload.id).await.unwrap();
    assert_clean(&world).await;
}

async fn a_part_of_another_size_is_missing(world: World) {
    let upload = begin(&world, of_png()).await;
    let signed = sign(&world, upload.id, &[1]).await;
    for length in [0, png().len() - 1, png().len() + 1] {
        let refused = world.memory.submit_put(&signed[0].url, &signed[0].headers, vec![0; length].into()).unwrap_err();
        assert!(matches!(refused, SignedRequestRefused::Differs { name: "content-length" }), "{refused:?}");
    }
    // A server that holds no signatures.
    let intent = &intents(&world).await[0];
    let part = object_store_storage::PresignPart {
        expires_in: Duration::from_mins(1),
        upload_id: intent.multipart_upload_id.clone().unwrap(),
        part_number: 1,
        content_length: 7,
    };
    let key = ObjectKey::parse(&intent.s3_key).unwrap();
    for part in [part.clone(), object_store_storage::PresignPart { part_number: 2, ..part }] {
        let url = world.memory.presign_part(&key, &part).await.unwrap();
        world.memory.submit_put(&url.url, &url.headers, vec![0; 7].into()).unwrap();
    }
    let parts = list(&world, upload.id).await;
    assert_eq!((numbers(&parts), parts.missing), (vec![], vec![1]));
    assert_eq!(code(complete(&world, upload.id).await), "upload_incomplete");
    put(&world, &signed[0], &png()).unwrap();
    complete(&world, upload.id).await.unwrap();
    assert_eq!(download(&world, upload.id).await, png());
    assert_clean(&world).await;
}

async fn bytes_that_are_not_acceptable_end_the_upload(world: World) {
    let html = samples::html();
    let create = DirectUploadCreate { size_bytes: Some(html.len() as u64), ..of_png() };
    let upload = sent(&world, create, &html).await;
    let signed = sign(&world, upload.id, &[1]).await;
    assert_eq!(code(complete(&world, upload.id).await), "unsupported_type");
    assert_eq!(world.count().await, Count { intents: 1, ..Count::default() }, "gone at once");
    assert!(put(&world, &signed[0], &html).is_err());
    assert_eq!(code(complete(&world, upload.id).await), "upload_expired");
    assert_clean(&world).await;
    world.assert_empty().await;
}

async fn a_late_part_changes_nothing_that_can_be_read(world: World) {
    let upload = begin(&world, of_png()).await;
    let signed = sign(&world, upload.id, &[1]).await;
    for _ in 0..2 {
        put(&world, &signed[0], &png()).unwrap();
    }
    let stored = complete(&world, upload.id).await.unwrap();
    let left = &intents(&world).await[0];
    assert_eq!(left.purpose, IntentPurpose::Purge);
    assert_eq!(left.not_before, left.clears_at);
    let refused = put(&world, &signed[0], &png()).unwrap_err();
    let gone = matches!(refused, SignedRequestRefused::Storage(StorageError::UploadMissing { .. }));
    assert!(gone, "{refused:?}");
    assert_eq!(download(&world, upload.id).await, png());
    assert_eq!(complete(&world, upload.id).await.unwrap(), stored);
    assert_clean(&world).await;
}

async fn what_is_sent_while_it_is_completed_is_not_what_is_stored(world: World) {
    let other = vec![b'x'; png().len()];
    for await_number in 1.. {
        let upload = begin(&world, of_png()).await;
        let signed = sign(&world, upload.id, &[1]).await;
        put(&world, &signed[0], &png()).unwrap();
        let mut completing = std::pin::pin!(world.service.complete_upload(ann(), upload.id));
        let first = poll_times(completing.as_mut(), await_number).await;
        let finished = first.is_some();
        let stored = if let Some(done) = first {
            done
        } else {
            // Refused, once the parts were joined.
            let _ = put(&world, &signed[0], &other);
            completing.await
        };
        match stored {
            Ok(_) => assert_eq!(download(&world, upload.id).await, png(), "await {await_number}"),
            Err(error) => assert_eq!(error.code(), "unsupported_type", "await {await_number}"),
        }
        assert_clean(&world).await;
        if finished {
            break;
        }
    }
}

async fn parts_that_were_joined_are_completed_by_the_next(world: World) {
    let upload = sent(&world, of_png(), &png()).await;
    world.storage.fail(Operation::Head, When::Always, Fault::Unavailable);
    assert_eq!(code(complete(&world, upload.id).await), "storage_unavailable");
    world.storage.heal();
    assert_eq!((world.memory.object_count(), multipart_uploads(&world).await), (1, 0), "joined, and no more");

    let parts = list(&world, upload.id).await;
    assert_eq!((numbers(&parts), &parts.missing[..]), (vec![1], &[][..]));
    assert_eq!((parts.received[0].size_bytes, &parts.received[0].etag), (png().len() as u64, &None));
    complete(&world, upload.id).await.unwrap();
    assert_eq!(download(&world, upload.id).await, png());
    assert_clean(&world).await;
}

async fn parts_that_are_gone_are_not_taken_for_joined(world: World) {
    let upload = sent(&world, of_png(), &png()).await;
    // A rule of the bucket that aborts what is old.
    let intent = &intents(&world).await[0];
    let (key, upload_id) = (ObjectKey::parse(&intent.s3_key).unwrap(), intent.multipart_upload_id.clone().unwrap());
    world.memory.abort_multipart_upload(&key, &upload_id).await.unwrap();
    let missing = complete(&world, upload.id).await.unwrap_err();
    assert_eq!((missing.code(), missing.is_retryable()), ("in_progress", true));
    assert_eq!(code(world.service.list_upload_parts(ann(), upload.id).await), "in_progress");
    world.service.cancel_upload(ann(), upload.id).await.unwrap();
    assert_clean(&world).await;
    world.assert_empty().await;
}

async fn many_that_complete_make_one_file(world: World) {
    for round in 0..4 {
        let upload = sent(&world, of_png(), &png()).await;
        let completing: Vec<_> = (0..8)
            .map(|_| {
                let service = world.service.clone();
                tokio::spawn(async move {
                    loop {
                        match service.complete_upload(ann(), upload.id).await {
                            Err(error) if error.code() == "in_progress" => tokio::task::yield_now().await,
                            done => return done,
                        }
                    }
                })
            })
            .collect();
        let mut answers = Vec::new();
        for one in completing {
            answers.push(one.await.unwrap().unwrap());
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "round {round}: {answers:#?}");
        assert_eq!(world.count().await.images, round + 1);
    }
    assert_clean(&world).await;
}

async fn completing_and_cancelling_exclude_each_other(world: World) {
    for _ in 0..10 {
        let upload = sent(&world, of_png(), &png()).await;
        let (completing, cancelling) = (world.service.clone(), world.service.clone());
        let completing = tokio::spawn(async move { completing.complete_upload(ann(), upload.id).await });
        let cancelling = tokio::spawn(async move { cancelling.cancel_upload(ann(), upload.id).await });
        match (completing.await.unwrap(), cancelling.await.unwrap()) {
            (Ok(_), Err(cancelled)) => assert_eq!(cancelled.code(), "upload_completed"),
            (Err(completed), Ok(())) => assert_eq!(completed.code(), "upload_expired", "{completed:?}"),
            both => panic!("{both:?}"),
        }
    }
    assert_clean(&world).await;
}

async fn completing_and_sweeping_exclude_each_other(world: World) {
    for await_number in 1.. {
        let upload = sent(&world, of_png(), &png()).await;
        let mut completing = std::pin::pin!(world.service.complete_upload(ann(), upload.id));
        if poll_times(completing.as_mut(), await_number).await.is_some() {
            break;
        }
        // A transaction that is open has to end before anybody else can write to SQLite.
        let sweep = async {
            world.let_deadlines_pass().await;
            world.service.sweep().await.unwrap();
        };
        let (stored, ()) = tokio::join!(completing, sweep);
        match stored {
            Ok(_) => assert_eq!(download(&world, upload.id).await, png()),
            Err(error) => {
                let expected = ["upload_expired", "not_found", "in_progress"];
                assert!(expected.contains(&error.code()), "await {await_number}: {error:?}");
            }
        }
        assert_clean(&world).await;
    }
}

async fn a_cancelled_upload_leaves_nothing(world: World) {
    let wav = wav();
    let upload = begin(&world, of_wav(&wav)).await;
    let signed = sign(&world, upload.id, &[1, 2]).await;
    put(&world, &signed[0], &wav).unwrap();
    for _ in 0..2 {
        world.service.cancel_upload(ann(), upload.id).await.unwrap();
        assert_eq!(multipart_uploads(&world).await, 0, "at once");
    }
    assert!(put(&world, &signed[1], &wav).is_err());
    assert_eq!(code(complete(&world, upload.id).await), "upload_expired");
    assert_clean(&world).await;
    world.assert_empty().await;

    // Storage that cannot list uploads is told which one to abort.
    let upload = begin(&world, of_png()).await;
    world.storage.fail(Operation::ListMultipartUploads, When::Always, Fault::Unsupported);
    world.service.cancel_upload(ann(), upload.id).await.unwrap();
    assert_eq!(multipart_uploads(&world).await, 0);
    world.storage.heal();

    let upload = sent(&world, of_png(), &png()).await;
    complete(&world, upload.id).await.unwrap();
    assert_eq!(code(world.service.cancel_upload(ann(), upload.id).await), "upload_completed");
}

async fn an_upload_that_was_never_completed_is_swept(world: World) {
    let wav = wav();
    let upload = begin(&world, of_wav(&wav)).await;
    send(&world, upload.id, &[1], &wav).await;
    assert_eq!(world.service.sweep().await.unwrap().claimed, 0, "not before its time");
    assert_clean(&world).await;
    world.assert_empty().await;
    assert_eq!(code(complete(&world, upload.id).await), "not_found");
}

async fn begun_again_it_has_its_parts(world: World) {
    let wav = wav();
    let create = of_wav(&wav).idempotent("k");
    let upload = begin(&world, create.clone()).await;
    send(&world, upload.id, &[1, 2], &wav).await;
    world.storage.forget_calls();
    let again = begin(&world, create.clone()).await;
    assert_eq!((again.id, &again.method), (upload.id, &upload.method));
    assert!(again.expires_at >= upload.expires_at);
    assert_eq!(world.storage.count(Operation::CreateMultipartUpload), 0);
    assert_eq!(list(&world, again.id).await.missing, [3]);
    let as_form = DirectUploadCreate { via: object_store_service::UploadVia::Form, ..create.clone() };
    assert_eq!(code(world.service.begin_direct_upload(ann(), as_form).await), "idempotency_key_reused");

    send(&world, upload.id, &[3], &wav).await;
    complete(&world, upload.id).await.unwrap();
    assert_eq!(begin(&world, create).await.method, UploadMethod::Completed);
    assert!(download(&world, upload.id).await == wav);
    assert_clean(&world).await;
}

async fn begun_by_many_at_once_it_has_one_multipart_upload(world: World) {
    for round in 0..4 {
        let create = of_png().idempotent(format!("key{round}"));
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let (service, create) = (world.service.clone(), create.clone());
                tokio::spawn(async move { service.begin_direct_upload(ann(), create).await })
            })
            .collect();
        let mut ids = Vec::new();
        for task in tasks {
            match task.await.unwrap() {
                Ok(upload) => ids.push(upload.id),
                Err(error) => assert_eq!(error.code(), "in_progress", "{error:?}"),
            }
        }
        ids.dedup();
        assert_eq!(ids.len(), 1, "round {round}");
        assert_eq!(multipart_uploads(&world).await, 1, "round {round}");
        send(&world, ids[0], &[1], &png()).await;
        complete(&world, ids[0]).await.unwrap();
    }
    assert_clean(&world).await;
    assert_eq!(world.count().await.images, 4);
}

async fn begun_again_it_gets_what_the_first_had_no_time_for(world: World) {
    let create = of_png().idempotent("k");
    for fault in [Fault::Unavailable, Fault::RequestLost, Fault::ReplyLost] {
        world.storage.fail(Operation::CreateMultipartUpload, When::Always, fault);
        assert_eq!(code(world.service.begin_direct_upload(ann(), create.clone()).await), "storage_unavailable");
        world.storage.heal();
    }
    let intent = &intents(&world).await[0];
    assert_eq!((intent.purpose, &intent.multipart_upload_id), (IntentPurpose::Direct, &None));
    assert_eq!(code(world.service.sign_upload_parts(ann(), intent.media_id, &[1]).await), "in_progress");
    assert_eq!(list(&world, intent.media_id).await.missing, [1]);
    assert_eq!(code(complete(&world, intent.media_id).await), "upload_incomplete");

    let upload = begin(&world, create).await;
    assert_eq!(upload.id, intent.media_id);
    send(&world, upload.id, &[1], &png()).await;
    complete(&world, upload.id).await.unwrap();
    assert_eq!(multipart_uploads(&world).await, 0, "also the one whose name was lost");
    assert_clean(&world).await;
}

async fn a_multipart_upload_that_cannot_begin_leaves_nothing(world: World) {
    for (fault, expected) in [
        (Fault::Unavailable, "storage_unavailable"),
        (Fault::ReplyLost, "storage_unavailable"),
        (Fault::AccessDenied, "storage_access_denied"),
        (Fault::BucketMissing, "storage_bucket_missing"),
    ] {
        world.storage.fail(Operation::CreateMultipartUpload, When::Always, fault);
        assert_eq!(code(world.service.begin_direct_upload(ann(), of_png()).await), expected);
        world.storage.heal();
        assert_eq!(multipart_uploads(&world).await, 0, "at once");
        let left = intents(&world).await;
        assert!(left.iter().all(|intent| intent.purpose == IntentPurpose::Purge), "{left:?}");
    }
    assert_clean(&world).await;
    world.assert_empty().await;
}

async fn storage_without_parts_says_so(world: World) {
    world.storage.fail(Operation::CreateMultipartUpload, When::Always, Fault::Unsupported);
    let refused = world.service.begin_direct_upload(ann(), of_png()).await.unwrap_err();
    assert_eq!(refused.code(), "upload_method_unsupported");
    assert_eq!(refused.to_string(), "the storage takes no direct uploads by multipart upload; use PUT");
}

async fn a_lost_answer_to_joining_is_made_up_for(world: World) {
    for fault in [Fault::Unavailable, Fault::RequestLost, Fault::ReplyLost] {
        let upload = sent(&world, of_png(), &png()).await;
        world.storage.fail(Operation::CompleteMultipartUpload, When::Nth(1), fault);
        complete(&world, upload.id).await.unwrap();
        world.storage.heal();
        assert_eq!(download(&world, upload.id).await, png());
        assert_clean(&world).await;
    }
    let upload = sent(&world, of_png(), &png()).await;
    world.storage.fail(Operation::CompleteMultipartUpload, When::Always, Fault::RequestLost);
    assert_eq!(code(complete(&world, upload.id).await), "storage_unavailable");
    world.storage.heal();
    assert_eq!(multipart_uploads(&world).await, 1, "it can go on");
    complete(&world, upload.id).await.unwrap();
    assert_clean(&world).await;
}

async fn every_failing_call_leaves_something_that_can_be_completed(world: World) {
    for fault in [Fault::Unavailable, Fault::RequestLost, Fault::ReplyLost] {
        for call in 1.. {
            let upload = sent(&world, of_png(), &png()).await;
            world.storage.forget_calls();
            world.storage.fail_any(When::Nth(call), fault);
            let first = complete(&world, upload.id).await;
            let calls = world.storage.calls().len();
            world.storage.heal();
            if let Err(error) = first {
                assert!(error.is_retryable(), "call {call}, {fault:?}: {error:?}");
            }
            complete(&world, upload.id).await.unwrap();
            assert_clean(&world).await;
            assert_eq!(download(&world, upload.id).await, png());
            if calls < call {
                break;
            }
        }
    }
}

async fn an_erased_user_has_no_parts_left(world: World) {
    let upload = sent(&world, of_png(), &png()).await;
    world.service.erase_user(ann(), crate::support::user(1)).await.unwrap();
    assert_eq!(code(complete(&world, upload.id).await), "upload_expired");
    assert_clean(&world).await;
    world.assert_empty().await;
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

async fn dropped_anywhere_while_beginning_nothing_is_left(world: World) {
    let mut turns = Turns::default();
    for await_number in 1.. {
        let ending = drop_at_suspension(world.service.begin_direct_upload(ann(), of_png()), await_number).await;
        world.settle().await;
        assert_clean(&world).await;
        world.assert_empty().await;
        if turns.are_over(await_number, &ending) {
            assert!(turns.dropped() >= 5);
            return;
        }
    }
}

async fn dropped_anywhere_while_beginning_it_can_be_begun_again(world: World) {
    let mut turns = Turns::default();
    for await_number in 1.. {
        let create = of_png().idempotent(format!("key{await_number}"));
        let ending = drop_at_suspension(world.service.begin_direct_upload(ann(), create.clone()), await_number).await;
        world.settle().await;
        let upload = begin(&world, create).await;
        send(&world, upload.id, &[1], &png()).await;
        complete(&world, upload.id).await.unwrap();
        assert_eq!(multipart_uploads(&world).await, 0, "await {await_number}");
        if turns.are_over(await_number, &ending) {
            break;
        }
    }
    assert_clean(&world).await;
}

async fn dropped_anywhere_while_completing_it_can_be_completed(world: World) {
    let mut turns = Turns::default();
    for await_number in 1.. {
        let upload = sent(&world, of_png().idempotent(format!("{await_number}")), &png()).await;
        let ending = drop_at_suspension(world.service.complete_upload(ann(), upload.id), await_number).await;
        world.settle().await;
        complete(&world, upload.id).await.unwrap();
        assert_eq!(download(&world, upload.id).await, png());
        if turns.are_over(await_number, &ending) {
            assert!(turns.dropped() >= 15);
            break;
        }
    }
    assert_clean(&world).await;
}

async fn dropped_anywhere_while_completing_nothing_is_lost_or_left(world: World) {
    for bytes in [png(), vec![b'x'; png().len()]] {
        let mut turns = Turns::default();
        for await_number in 1.. {
            let upload = sent(&world, of_png(), &bytes).await;
            let ending = drop_at_suspension(world.service.complete_upload(ann(), upload.id), await_number).await;
            world.settle().await;
            assert_clean(&world).await;
            if turns.are_over(await_number, &ending) {
                break;
            }
        }
    }
}

async fn dropped_anywhere_while_cancelling_nothing_is_left(world: World) {
    let mut turns = Turns::default();
    for await_number in 1.. {
        let upload = sent(&world, of_png(), &png()).await;
        let ending = drop_at_suspension(world.service.cancel_upload(ann(), upload.id), await_number).await;
        world.settle().await;
        assert_clean(&world).await;
        world.assert_empty().await;
        if turns.are_over(await_number, &ending) {
            return;
        }
    }
}
