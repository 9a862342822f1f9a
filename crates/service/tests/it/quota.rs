//! How many bytes a user may have: counted to the byte, whatever happens at the same time and wherever it stops.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use object_store_devkit::commit_loss::{Afterwards, CommitLoss, Lost};
use object_store_devkit::faults::{Fault, Operation, When};
use object_store_devkit::samples;
use object_store_devkit::suspension::{Turns, drop_at_suspension};
use object_store_models::{MediaId, UserId};
use object_store_repo::{Database, DatabaseConfig, IntentRepo, UsageComparison, UsageRepo};
use object_store_service::{
    Actor, AudioCreate, DirectUpload, DirectUploadCreate, Finding, ImageCreate, ObjectStoreError, ObjectStoreService,
    Quota, RecountReport, Result, Settings, UploadMethod, Usage, UserQuota, VerifyOptions,
};
use object_store_storage::Memory;
use uuid::Uuid;

use crate::support::{Count, World, ann, ben, dripping, on_both_databases, user};

on_both_databases! {
    an_upload_that_does_not_fit_is_refused_before_anything_is_written
    only_owners_are_limited
    a_host_says_how_much_each_user_may_have
    of_many_at_once_as_many_are_stored_as_fit
    whatever_happens_at_once_the_limit_holds_at_every_commit
    what_was_staged_is_held_until_it_is_committed_or_given_up
    a_transaction_that_is_rolled_back_has_counted_nothing
    a_lost_answer_does_not_hold_the_bytes_twice
    a_stream_reserves_as_it_comes
    a_stream_that_becomes_too_long_leaves_an_intent_for_the_sweep
    a_direct_upload_holds_all_that_was_signed
    many_that_complete_are_counted_once
    a_direct_upload_that_ends_gives_back_what_it_held
    a_direct_upload_from_before_is_measured_when_it_is_completed
    a_repeated_request_holds_the_bytes_once
    an_abandoned_upload_is_given_back_by_any_sweep
    an_erased_user_has_no_counter
    nobody_counts_unless_told_to
    a_counter_is_built_from_what_is_there
    what_came_and_went_uncounted_is_counted_anew
    a_lower_limit_takes_nothing_away
    only_the_user_and_the_system_ask_for_the_usage
    dropped_anywhere_the_counters_are_right
}

fn png() -> Vec<u8> {
    samples::png(2, 2)
}

/// Bytes of [`png`].
fn one() -> u64 {
    png().len() as u64
}

fn limited(world: &World, limit: u64) -> ObjectStoreService {
    world.service_with(|settings| settings.quota = Quota::PerUser(limit))
}

async fn upload(service: &ObjectStoreService, actor: Actor) -> Result<MediaId> {
    Ok(service.upload_image(actor, ImageCreate::new("a.png"), png().into()).await?.id.into())
}

/// What the user has, by the counter, which is compared with the truth.
async fn usage(world: &World) -> (u64, u64) {
    let Usage { used, reserved, .. } = limited(world, 1).usage(ann(), user(1)).await.unwrap();
    for counter in counters(world).await {
        assert!(counter.agrees(), "{counter:?}");
    }
    (used, reserved)
}

async fn counters(world: &World) -> Vec<UsageComparison> {
    UsageRepo::compare(&mut world.database.reader().await.unwrap(), None, 100).await.unwrap()
}

#[track_caller]
fn assert_exceeded<T: std::fmt::Debug>(result: Result<T>, expected: (u64, u64, u64, u64)) {
    match result.unwrap_err() {
        ObjectStoreError::QuotaExceeded { limit, used, reserved, asked } => {
            assert_eq!((limit, used, reserved, asked), expected);
        }
        error => panic!("{error:?}"),
    }
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> &'static str {
    result.unwrap_err().code()
}

fn of_png() -> DirectUploadCreate {
    DirectUploadCreate::image("a.png", "image/png").sized(one())
}

fn send(memory: &Memory, upload: &DirectUpload) {
    match &upload.method {
        UploadMethod::Post { url, fields, .. } => memory.submit_post(url, fields, png().into()).map(drop).unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn an_upload_that_does_not_fit_is_refused_before_anything_is_written(world: World) {
    let service = limited(&world, 2 * one());
    let first = upload(&service, ann()).await.unwrap();
    upload(&service, ann()).await.unwrap();
    let calls = world.memory.calls().total();

    let refused = upload(&service, ann()).await.unwrap_err();

    assert_eq!((refused.code(), refused.is_retryable()), ("quota_exceeded", false));
    assert_exceeded::<()>(Err(refused), (2 * one(), 2 * one(), 0, one()));
    assert_eq!(world.memory.calls().total(), calls);
    assert_eq!(world.count().await, Count { images: 2, objects: 2, ..Count::default() });
    assert_eq!(usage(&world).await, (2 * one(), 0));

    service.delete(ann(), first).await.unwrap();
    assert_eq!(usage(&world).await, (one(), 0));
    upload(&service, ann()).await.unwrap();
    // One byte less would not do.
    assert_exceeded(upload(&limited(&world, 3 * one() - 1), ann()).await, (3 * one() - 1, 2 * one(), 0, one()));
    upload(&limited(&world, 3 * one()), ann()).await.unwrap();
    world.assert_consistent_after_sweep().await;
}

async fn only_owners_are_limited(world: World) {
    let service = limited(&world, 0);
    upload(&service, Actor::Anonymous).await.unwrap();
    upload(&service, Actor::System).await.unwrap();
    let create = ImageCreate { owner: Some(user(1)), ..ImageCreate::new("a.png") };
    assert_exceeded(service.upload_image(Actor::System, create, png().into()).await, (0, 0, 0, one()));
    let page = DirectUploadCreate { owner: Some(user(1)), ..of_png() };
    assert_exceeded(service.begin_direct_upload(Actor::System, page).await, (0, 0, 0, one()));
    service.begin_direct_upload(Actor::Anonymous, of_png()).await.unwrap();
    assert!(counters(&world).await.is_empty(), "a refusal keeps nothing");
}

/// Ann may have one picture, Ben as many as he likes, and of others nothing is known.
#[derive(Debug)]
struct Plans;

#[async_trait]
impl UserQuota for Plans {
    async fn limit(&self, of: UserId) -> Result<Option<u64>, Box<dyn std::error::Error + Send + Sync>> {
        tokio::task::yield_now().await;
        match of {
            of if of == user(1) => Ok(Some(one())),
            of if of == user(2) => Ok(None),
            _ => Err("the plans are not to be found".into()),
        }
    }
}

async fn a_host_says_how_much_each_user_may_have(world: World) {
    let service = world.service_with(|settings| settings.quota = Quota::ByUser(Arc::new(Plans)));
    upload(&service, ann()).await.unwrap();
    assert_eq!(code(upload(&service, ann()).await), "quota_exceeded");
    upload(&service, ben()).await.unwrap();
    upload(&service, ben()).await.unwrap();
    let unknown = upload(&service, Actor::User(user(3))).await.unwrap_err();
    assert_eq!((unknown.code(), unknown.is_retryable()), ("quota_unknown", true));
    assert_eq!(world.count().await, Count { images: 3, objects: 3, ..Count::default() });
    let usage = service.usage(ben(), user(2)).await.unwrap();
    assert_eq!(usage, Usage { user_id: user(2), used: 2 * one(), reserved: 0, limit: None });
    assert_eq!(service.usage(ann(), user(1)).await.unwrap().limit, Some(one()));
}

async fn of_many_at_once_as_many_are_stored_as_fit(world: World) {
    let service = limited(&world, 5 * one() + one() - 1);
    let uploads: Vec<_> = (0..16)
        .map(|_| {
            let service = service.clone();
            tokio::spawn(async move { upload(&service, ann()).await })
        })
        .collect();
    let mut stored = 0;
    for upload in uploads {
        match upload.await.unwrap() {
            Ok(_) => stored += 1,
            Err(error) => assert_eq!(error.code(), "quota_exceeded"),
        }
    }
    // What is reserved becomes what is used: none is refused for bytes that are counted twice.
    assert_eq!(stored, 5);
    assert_eq!(usage(&world).await, (5 * one(), 0));
}

/// Looks at the counters, and at what they count, in one statement again and again: at every instant they agree, and
/// neither exceeds the limit.
fn watch(world: &World, limit: u64, over: Arc<AtomicBool>) -> tokio::task::JoinHandle<usize> {
    let (database, limit) = (world.database.clone(), i64::try_from(limit).unwrap());
    tokio::spawn(async move {
        let mut looks = 0;
        while !over.load(Ordering::Relaxed) {
            let counters = UsageRepo::compare(&mut database.reader().await.unwrap(), None, 100).await.unwrap();
            for counter in counters {
                assert!(counter.agrees(), "{counter:?}");
                assert!(counter.used_bytes + counter.reserved_bytes <= limit, "{counter:?}");
            }
            looks += 1;
            tokio::task::yield_now().await;
        }
        looks
    })
}

async fn whatever_happens_at_once_the_limit_holds_at_every_commit(world: World) {
    let limit = 4 * one() + one() / 2;
    let service = limited(&world, limit);
    let over = Arc::new(AtomicBool::new(false));
    let watching = watch(&world, limit, over.clone());
    let busy: Vec<_> = (0..6)
        .map(|task| {
            let (service, memory) = (service.clone(), world.memory.clone());
            tokio::spawn(async move {
                let mut done = 0;
                for round in 0..8 {
                    // What stays is stored in the first rounds only: once all is used up, nothing more happens.
                    let choice = match (task * 5 + round * 3) % 6 {
                        0 if round > 1 => 1,
                        choice => choice,
                    };
                    match something(&service, &memory, choice).await {
                        Ok(()) => done += 1,
                        Err(error) => assert_eq!(error.code(), "quota_exceeded"),
                    }
                }
                done
            })
        })
        .collect();
    let mut done = 0;
    for task in busy {
        done += task.await.unwrap();
    }
    over.store(true, Ordering::Relaxed);
    let looks = watching.await.unwrap();
    assert!(looks > 3 && done > 10, "{looks} looks, {done} done");
    world.assert_consistent_after_sweep().await;
    let (used, reserved) = usage(&world).await;
    assert_eq!((used, reserved), (u64::try_from(world.count().await.images).unwrap() * one(), 0));
}

async fn something(service: &ObjectStoreService, memory: &Memory, choice: usize) -> Result<()> {
    match choice {
        0 => upload(service, ann()).await.map(drop),
        1 => {
            let id = upload(service, ann()).await?;
            service.delete(ann(), id).await
        }
        2 => {
            let staged = service.stage_image(ann(), ImageCreate::new("a.png"), png().into()).await?;
            service.discard(staged).await;
            Ok(())
        }
        3 => {
            let begun = service.begin_direct_upload(ann(), of_png()).await?;
            send(memory, &begun);
            let complete = || service.complete_upload(ann(), begun.id);
            let (one, other) = tokio::join!(complete(), complete());
            assert_eq!(one?.id(), other?.id());
            service.delete(ann(), begun.id).await
        }
        4 => {
            let begun = service.begin_direct_upload(ann(), of_png()).await?;
            service.cancel_upload(ann(), begun.id).await
        }
        _ => {
            let staged = service.stage_image(ann(), ImageCreate::new("a.png"), png().into()).await?;
            let mut tx = service.begin().await?;
            service.commit_image(&mut tx, &staged).await?;
            service.delete_in(&mut tx, ann(), staged.id().into()).await?;
            Ok(tx.commit().await?)
        }
    }
}

async fn what_was_staged_is_held_until_it_is_committed_or_given_up(world: World) {
    let service = limited(&world, one());
    let stage = async || service.stage_image(ann(), ImageCreate::new("a.png"), png().into()).await;
    let staged = stage().await.unwrap();
    assert_eq!(usage(&world).await, (0, one()));
    assert_exceeded(upload(&service, ann()).await, (one(), 0, one(), one()));
    service.discard(staged).await;
    assert_eq!(usage(&world).await, (0, 0));

    let staged = stage().await.unwrap();
    let mut tx = service.begin().await.unwrap();
    service.commit_image(&mut tx, &staged).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(usage(&world).await, (one(), 0));
    assert_eq!(code(stage().await), "quota_exceeded");
}

async fn a_transaction_that_is_rolled_back_has_counted_nothing(world: World) {
    let service = limited(&world, 2 * one());
    let kept = upload(&service, ann()).await.unwrap();
    let staged = service.stage_image(ann(), ImageCreate::new("a.png"), png().into()).await.unwrap();
    let mut tx = service.begin().await.unwrap();
    service.commit_image(&mut tx, &staged).await.unwrap();
    service.delete_in(&mut tx, Actor::System, kept).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(usage(&world).await, (one(), one()));

    // Without a transaction nothing is counted, and nothing done.
    let mut conn = service.connection().await.unwrap();
    assert_eq!(code(service.commit_image(&mut conn, &staged).await), "no_transaction");
    drop(conn);
    world.assert_consistent_after_sweep().await;
    assert_eq!(usage(&world).await, (one(), 0));
}

async fn a_lost_answer_does_not_hold_the_bytes_twice(world: World) {
    let service = limited(&world, one());
    world.storage.fail(Operation::Put, When::Nth(1), Fault::ReplyLost);
    upload(&service, ann()).await.unwrap();
    assert_eq!(usage(&world).await, (one(), 0));
    world.assert_consistent_after_sweep().await;

    world.storage.fail(Operation::Put, When::Always, Fault::RequestLost);
    assert_eq!(code(upload(&limited(&world, 2 * one()), ann()).await), "storage_unavailable");
    world.storage.heal();
    assert_eq!(usage(&world).await, (one(), 0), "no bytes are held by what will be purged");
}

async fn a_stream_reserves_as_it_comes(world: World) {
    let wav = samples::wav(48_000, 2, 16, 110_000);
    let size = wav.len() as u64;
    let service = limited(&world, size);
    let over = Arc::new(AtomicBool::new(false));
    let watching = watch(&world, size, over.clone());
    let audio = service.upload_audio(ann(), AudioCreate::new("a.wav"), dripping(&wav)).await.unwrap();
    over.store(true, Ordering::Relaxed);
    assert!(watching.await.unwrap() > 0);
    assert_eq!(audio.size_bytes, size);
    assert_eq!(usage(&world).await, (size, 0));

    // Staged, it holds what it has, not what it might have had.
    let service = limited(&world, 4 * size);
    let staged = service.stage_audio(ann(), AudioCreate::new("a.wav"), dripping(&wav)).await.unwrap();
    assert_eq!(usage(&world).await, (size, size));
    service.discard(staged).await;
    assert_eq!(usage(&world).await, (size, 0));
}

async fn a_stream_that_becomes_too_long_leaves_an_intent_for_the_sweep(world: World) {
    let wav = samples::wav(48_000, 2, 16, 110_000);
    for limit in [wav.len() as u64 - 1, 12 << 20, 1 << 20] {
        let service = limited(&world, limit);
        let refused = service.upload_audio(ann(), AudioCreate::new("a.wav"), dripping(&wav)).await;
        assert_eq!(code(refused), "quota_exceeded", "{limit}");
        assert_eq!(usage(&world).await, (0, 0));
        world.assert_consistent_after_sweep().await;
    }
    // Where the length is known, nothing is written.
    let puts = world.memory.calls().total();
    let body = object_store_service::UploadBody::from_stream(crate::support::pieces(&wav), Some(wav.len() as u64));
    let refused = limited(&world, 12 << 20).upload_audio(ann(), AudioCreate::new("a.wav"), body).await;
    assert_exceeded(refused, (12 << 20, 0, 0, wav.len() as u64));
    assert_eq!(world.memory.calls().total(), puts);
    world.assert_empty().await;
}

async fn a_direct_upload_holds_all_that_was_signed(world: World) {
    let max = Settings::default().limits.max_image_bytes;
    let service = limited(&world, max + one());
    let open = service.begin_direct_upload(ann(), DirectUploadCreate::image("a.png", "image/png")).await.unwrap();
    assert_eq!(usage(&world).await, (0, max));
    let sized = service.begin_direct_upload(ann(), of_png()).await.unwrap();
    assert_eq!(usage(&world).await, (0, max + one()));
    assert_exceeded(service.begin_direct_upload(ann(), of_png()).await, (max + one(), 0, max + one(), one()));

    for upload in [&open, &sized] {
        send(&world.memory, upload);
        service.complete_upload(ann(), upload.id).await.unwrap();
    }
    assert_eq!(usage(&world).await, (2 * one(), 0));
    world.assert_consistent_after_sweep().await;
    assert_eq!(usage(&world).await, (2 * one(), 0));
}

async fn many_that_complete_are_counted_once(world: World) {
    let service = limited(&world, one());
    let begun = service.begin_direct_upload(ann(), of_png()).await.unwrap();
    send(&world.memory, &begun);
    let completing: Vec<_> = (0..6)
        .map(|_| {
            let (service, id) = (service.clone(), begun.id);
            tokio::spawn(async move { service.complete_upload(ann(), id).await.unwrap().id() })
        })
        .collect();
    for complete in completing {
        assert_eq!(complete.await.unwrap(), begun.id);
    }
    assert_eq!(usage(&world).await, (one(), 0));
    world.assert_consistent_after_sweep().await;
    assert_eq!(usage(&world).await, (one(), 0));
}

async fn a_direct_upload_that_ends_gives_back_what_it_held(world: World) {
    let service = limited(&world, one());
    let begin = async || service.begin_direct_upload(ann(), of_png()).await.unwrap();
    let cancelled = begin().await;
    service.cancel_upload(ann(), cancelled.id).await.unwrap();
    assert_eq!(usage(&world).await, (0, 0));

    let refused = begin().await;
    let UploadMethod::Post { url, fields, .. } = &refused.method else { panic!("{refused:?}") };
    world.memory.submit_post(url, fields, vec![b'<'; png().len()].into()).unwrap();
    assert_eq!(code(service.complete_upload(ann(), refused.id).await), "unsupported_type");
    assert_eq!(usage(&world).await, (0, 0));

    let _expired = begin().await;
    world.assert_consistent_after_sweep().await;
    assert_eq!(usage(&world).await, (0, 0));
}

async fn a_direct_upload_from_before_is_measured_when_it_is_completed(world: World) {
    let begun = world.service.begin_direct_upload(ann(), of_png()).await.unwrap();
    send(&world.memory, &begun);
    let small = limited(&world, one() - 1);
    assert_exceeded(small.complete_upload(ann(), begun.id).await, (one() - 1, 0, 0, one()));
    // It is open still: somebody may make room.
    limited(&world, one()).complete_upload(ann(), begun.id).await.unwrap();
    assert_eq!(usage(&world).await, (one(), 0));
    world.assert_consistent_after_sweep().await;
}

async fn a_repeated_request_holds_the_bytes_once(world: World) {
    let service = limited(&world, 2 * one());
    let create = || ImageCreate::new("a.png").idempotent("upload");
    let first = service.upload_image(ann(), create(), png().into()).await.unwrap();
    let begin = async || service.begin_direct_upload(ann(), of_png().idempotent("begin")).await;
    let opened = begin().await.unwrap();
    assert_eq!(usage(&world).await, (one(), one()));
    // The limit is reached, and is none of the repeated requests' business.
    let again = service.upload_image(ann(), create(), png().into()).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(begin().await.unwrap().id, opened.id);
    assert_eq!(usage(&world).await, (one(), one()));
    send(&world.memory, &opened);
    service.complete_upload(ann(), opened.id).await.unwrap();
    assert!(matches!(begin().await.unwrap().method, UploadMethod::Completed));
    assert_eq!(usage(&world).await, (2 * one(), 0));

    // A signature that allows more than the first one did holds more.
    let raised = |bytes, limit| {
        world.service_with(|settings| {
            settings.limits.max_image_bytes = bytes;
            settings.quota = Quota::PerUser(limit);
        })
    };
    let unsized_form = || DirectUploadCreate::image("b.png", "image/png").idempotent("form");
    let open = raised(1_000, 10_000).begin_direct_upload(ann(), unsized_form()).await.unwrap();
    assert_eq!(usage(&world).await.1, 1_000);
    let again = raised(3_000, 10_000).begin_direct_upload(ann(), unsized_form()).await.unwrap();
    assert_eq!((open.id, usage(&world).await.1), (again.id, 3_000));
    let refused = raised(9_999, 10_000).begin_direct_upload(ann(), unsized_form()).await;
    assert_exceeded(refused, (10_000, 2 * one(), 3_000, 6_999));
}

async fn an_abandoned_upload_is_given_back_by_any_sweep(world: World) {
    let service = limited(&world, 3 * one());
    let _abandoned = service.stage_image(ann(), ImageCreate::new("a.png"), png().into()).await.unwrap();
    let _expired = service.begin_direct_upload(ann(), of_png()).await.unwrap();
    assert_eq!(usage(&world).await, (0, 2 * one()));
    world.let_deadlines_pass().await;
    // This process does not count.
    world.storage.fail(Operation::Delete, When::Always, Fault::Unavailable);
    assert_eq!(world.service.sweep().await.unwrap().failed, 2);
    assert_eq!(usage(&world).await, (0, 0), "given back, whatever storage does");
    world.storage.heal();
    world.assert_consistent_after_sweep().await;
    assert_eq!(usage(&world).await, (0, 0));
}

async fn an_erased_user_has_no_counter(world: World) {
    let service = limited(&world, 10 * one());
    upload(&service, ann()).await.unwrap();
    upload(&service, ben()).await.unwrap();
    let _staged = service.stage_image(ann(), ImageCreate::new("a.png"), png().into()).await.unwrap();
    service.begin_direct_upload(ann(), of_png()).await.unwrap();
    let report = service.erase_user(Actor::System, user(1)).await.unwrap();
    assert_eq!((report.images, report.uploads), (1, 2));
    let users: Vec<_> = counters(&world).await.into_iter().map(|counter| counter.user_id).collect();
    assert_eq!(users, [user(2)]);
    assert_eq!(usage(&world).await, (0, 0));
    world.assert_consistent_after_sweep().await;
    assert_eq!(counters(&world).await.len(), 1);
}

async fn nobody_counts_unless_told_to(world: World) {
    upload(&world.service, ann()).await.unwrap();
    let deleted = upload(&world.service, ann()).await.unwrap();
    let _staged = world.service.stage_image(ann(), ImageCreate::new("a.png"), png().into()).await.unwrap();
    world.service.begin_direct_upload(ann(), of_png()).await.unwrap();
    world.service.delete(ann(), deleted).await.unwrap();
    assert!(counters(&world).await.is_empty());
    let intents = IntentRepo::list(&mut world.database.reader().await.unwrap(), None, 9).await.unwrap();
    assert!(intents.len() == 2 && intents.iter().all(|intent| intent.reserved_bytes == 0));
    // Asked all the same, it is added up.
    let usage = world.service.usage(ann(), user(1)).await.unwrap();
    assert_eq!(usage, Usage { user_id: user(1), used: one(), reserved: 0, limit: None });
}

async fn a_counter_is_built_from_what_is_there(world: World) {
    upload(&world.service, ann()).await.unwrap();
    let audio = world.service.upload_audio(ann(), AudioCreate::new("a.wav"), samples::wav(8_000, 1, 16, 50).into());
    let before = one() + audio.await.unwrap().size_bytes;
    assert_eq!(usage(&world).await, (before, 0));
    assert!(counters(&world).await.is_empty());
    assert_exceeded(upload(&limited(&world, before), ann()).await, (before, before, 0, one()));
    upload(&limited(&world, before + one()), ann()).await.unwrap();
    assert_eq!(counters(&world).await.len(), 1);
    assert_eq!(usage(&world).await, (before + one(), 0));
}

async fn what_came_and_went_uncounted_is_counted_anew(world: World) {
    let service = limited(&world, 10 * one());
    let first = upload(&service, ann()).await.unwrap();
    upload(&service, ben()).await.unwrap();
    upload(&world.service, ann()).await.unwrap();
    upload(&world.service, ann()).await.unwrap();
    assert!(!counters(&world).await[0].agrees());

    let found = service.verify(&VerifyOptions::default()).await.unwrap();
    let (counted, sum) = (i64::try_from(one()).unwrap(), i64::try_from(3 * one()).unwrap());
    let finding =
        Finding::UsageMismatch { user_id: user(1), counted_used: counted, counted_reserved: 0, used: sum, reserved: 0 };
    assert_eq!((found.usage_mismatches, found.recounted), (1, 0));
    assert_eq!(found.findings, [finding]);
    assert!(world.service.verify(&VerifyOptions::default()).await.unwrap().is_clean(), "nobody counts here");
    assert_eq!(service.recount_usage(None).await.unwrap(), RecountReport { users: 2, corrected: 1 });
    assert_eq!(usage(&world).await, (3 * one(), 0));
    assert_eq!(service.recount_usage(None).await.unwrap(), RecountReport { users: 2, corrected: 0 });

    world.service.delete(ann(), first).await.unwrap();
    assert_eq!(service.recount_usage(Some(user(1))).await.unwrap(), RecountReport { users: 1, corrected: 1 });
    upload(&world.service, ann()).await.unwrap();
    let repaired = service.verify(&VerifyOptions::repairing()).await.unwrap();
    assert_eq!((repaired.usage_mismatches, repaired.recounted), (1, 1));
    assert_eq!(usage(&world).await, (3 * one(), 0));

    // A counter that would fall below nothing mends itself.
    for _ in 0..2 {
        upload(&world.service, ben()).await.unwrap();
    }
    let page = object_store_service::PageRequest::default();
    let of_ben = object_store_repo::Owner::User(user(2));
    let bens = {
        let mut conn = service.connection().await.unwrap();
        service.list_images(&mut conn, ben(), of_ben, &page).await.unwrap()
    };
    for image in &bens.items[..2] {
        service.delete(ben(), image.id.into()).await.unwrap();
    }
    assert_eq!(service.usage(ben(), user(2)).await.unwrap().used, one());
    usage(&world).await;
}

async fn a_lower_limit_takes_nothing_away(world: World) {
    let service = limited(&world, 4 * one());
    upload(&service, ann()).await.unwrap();
    let begun = service.begin_direct_upload(ann(), of_png()).await.unwrap();
    let staged = service.stage_image(ann(), ImageCreate::new("a.png"), png().into()).await.unwrap();
    let lower = limited(&world, 1);
    assert_exceeded(upload(&lower, ann()).await, (1, one(), 2 * one(), one()));
    // What was reserved may be stored.
    send(&world.memory, &begun);
    lower.complete_upload(ann(), begun.id).await.unwrap();
    let mut tx = lower.begin().await.unwrap();
    lower.commit_image(&mut tx, &staged).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(usage(&world).await, (3 * one(), 0));
}

async fn only_the_user_and_the_system_ask_for_the_usage(world: World) {
    for actor in [ben(), Actor::Anonymous] {
        assert_eq!(code(world.service.usage(actor, user(1)).await), "forbidden");
    }
    assert_eq!(world.service.usage(Actor::System, user(1)).await.unwrap().used, 0);
    let nobody = UserId::from(Uuid::nil());
    upload(&limited(&world, 999), Actor::User(nobody)).await.unwrap();
    assert_eq!(world.service.recount_usage(None).await.unwrap(), RecountReport { users: 1, corrected: 0 });
}

/// Does `when` again and again, dropped one await later each time, until it finishes; the counters are right after each,
/// before and after a sweep.
async fn drop_everywhere<T, F: Future>(world: &World, given: impl AsyncFn() -> T, when: impl Fn(T) -> F) {
    let mut turns = Turns::default();
    for await_number in 1.. {
        let prepared = given().await;
        let ending = drop_at_suspension(when(prepared), await_number).await;
        world.settle().await;
        usage(world).await;
        world.assert_consistent_after_sweep().await;
        assert_eq!(usage(world).await.1, 0);
        if turns.are_over(await_number, &ending) {
            assert!(turns.dropped() >= 1, "it never waited for anything");
            return;
        }
    }
}

async fn dropped_anywhere_the_counters_are_right(world: World) {
    let service = world.service_with(|settings| settings.quota = Quota::Counted);
    let service = &service;
    let wav = samples::wav(48_000, 2, 16, 45_000);
    drop_everywhere(&world, async || (), async |()| upload(service, ann()).await.unwrap()).await;
    drop_everywhere(
        &world,
        async || dripping(&wav),
        async |body| service.upload_audio(ann(), AudioCreate::new("a.wav"), body).await.unwrap(),
    )
    .await;
    let uploaded = async || upload(service, ann()).await.unwrap();
    drop_everywhere(&world, uploaded, async |id| service.delete(ann(), id).await.unwrap()).await;
    let begin =
        async || service.begin_direct_upload(ann(), of_png().idempotent(Uuid::new_v4().to_string())).await.unwrap();
    drop_everywhere(&world, async || (), async |()| begin().await).await;
    let sent = async || {
        let opened = begin().await;
        send(&world.memory, &opened);
        opened.id
    };
    drop_everywhere(&world, sent, async |id| service.complete_upload(ann(), id).await.unwrap()).await;
    drop_everywhere(&world, sent, async |id| service.cancel_upload(ann(), id).await.unwrap()).await;
    let due = async || {
        sent().await;
        world.let_deadlines_pass().await;
    };
    drop_everywhere(&world, due, async |()| service.sweep().await.unwrap()).await;
    let much = async || {
        sent().await;
        uploaded().await;
    };
    drop_everywhere(&world, much, async |()| service.erase_user(Actor::System, user(1)).await.unwrap()).await;
    drop_everywhere(&world, uploaded, async |_| service.recount_usage(Some(user(1))).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_lost_holds_the_bytes_once() {
    for lost in [Lost::Commit, Lost::Reply] {
        let world = World::postgres().await;
        let proxy = CommitLoss::start(&world.url, lost, Afterwards::Serve).await.unwrap();
        let database = Database::open(&DatabaseConfig::new(proxy.url())).unwrap();
        let settings = Settings { quota: Quota::PerUser(one()), ..Settings::default() };
        let service = ObjectStoreService::new(database, world.storage.clone(), settings);
        // The first commit is that of the intent, which fits exactly once.
        upload(&service, ann()).await.unwrap();
        assert_eq!(usage(&world).await, (one(), 0), "{lost:?}");
        assert_eq!(code(upload(&service, ann()).await), "quota_exceeded");
        world.assert_consistent_after_sweep().await;
    }
}
