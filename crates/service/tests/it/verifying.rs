//! Verifying: each finding is made and found, and what merely happens meanwhile is none.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store_devkit::faults::{Fault, FaultyStorage, Operation, When};
use object_store_devkit::samples;
use object_store_models::{ImageId, IntentPurpose, MediaId, NewImage, NewIntent};
use object_store_repo::{CandidateRepo, Connection, Deadlines, ImageRepo, IntentRepo, RepoError, read_clock};
use object_store_service::{
    AudioCreate, Finding, ImageCreate, ImageRead, ObjectStoreError, ObjectStoreService, Settings, StagedImage,
    VerifyOptions, VerifyReport,
};
use object_store_storage::{ObjectKey, ObjectStorage};

use crate::support::{Count, World, ann, on_both_databases, user, with_meanwhile};

on_both_databases! {
    a_store_without_fault_is_clean
    a_lost_object_is_found_and_nothing_done_about_it
    an_object_of_another_size_is_found
    an_orphan_goes_when_it_was_seen_twice
    an_orphan_that_changes_or_goes_starts_anew
    an_orphan_of_unknown_age_has_to_be_seen_for_long
    foreign_objects_are_counted_and_never_touched
    the_brake_keeps_a_wrong_database_from_removing_much
    a_wrong_database_is_not_filled_with_orphans
    a_multipart_upload_that_nobody_goes_on_with_is_found
    bytes_are_compared_with_their_digests
    one_object_that_cannot_be_read_is_a_finding_and_many_an_error
    a_verify_goes_on_where_another_stopped
    thousands_of_objects_are_compared_page_by_page
    a_listing_cut_short_makes_nothing_missing
    storage_that_fails_midway_is_an_error_and_repairs_nothing
    what_happens_meanwhile_is_no_finding
    a_delete_meanwhile_makes_nothing_missing
    a_repair_never_takes_what_is_being_committed
    a_busy_store_is_clean
    an_object_is_explained
    what_is_due_is_told_without_being_taken
}

const DAY: Duration = Duration::from_hours(25);

async fn verify(world: &World) -> VerifyReport {
    verify_with(world, &VerifyOptions::default()).await
}

async fn repair(world: &World) -> VerifyReport {
    verify_with(world, &VerifyOptions::repairing()).await
}

/// SQLite's clock ticks in milliseconds, and an orphan that was seen in the tick in which a verify starts was not seen
/// before it: the next one starts later.
async fn verify_with(world: &World, options: &VerifyOptions) -> VerifyReport {
    let report = world.service.verify(options).await.unwrap();
    let now = async || read_clock(&mut world.database.reader().await.unwrap()).await.unwrap();
    let seen = now().await;
    while now().await == seen {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    report
}

async fn upload(world: &World) -> ImageRead {
    world.service.upload_image(ann(), ImageCreate::new("a.png"), samples::png(4, 3).into()).await.unwrap()
}

async fn stage(world: &World) -> StagedImage {
    world.service.stage_image(ann(), ImageCreate::new("a.png"), samples::png(2, 2).into()).await.unwrap()
}

fn own_key(kind: &str) -> String {
    format!("{kind}/{}/{}", uuid::Uuid::now_v7(), uuid::Uuid::new_v4().simple())
}

/// The key of the only object that storage has.
fn only_key(world: &World) -> ObjectKey {
    let keys = world.memory.keys();
    assert_eq!(keys.len(), 1);
    ObjectKey::parse(&keys[0]).unwrap()
}

async fn a_store_without_fault_is_clean(world: World) {
    assert_eq!(verify(&world).await, VerifyReport::default());
    upload(&world).await;
    let wav = samples::wav(8_000, 1, 16, 50);
    world.service.upload_audio(ann(), AudioCreate::new("a.wav"), wav.into()).await.unwrap();
    let _staged = stage(&world).await;
    world.memory.advance(DAY);

    let report = verify(&world).await;

    assert_eq!(report, VerifyReport { objects: 3, rows: 2, intents: 1, ..VerifyReport::default() });
    assert!(report.is_clean());
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!((&json["objects"], &json["findings"]), (&3.into(), &serde_json::json!([])));
    world.assert_at_rest();
}

async fn a_lost_object_is_found_and_nothing_done_about_it(world: World) {
    let image = upload(&world).await;
    let key = only_key(&world);
    assert!(world.memory.lose(&key));

    for _ in 0..2 {
        let heads = world.memory.calls().head;
        let report = repair(&world).await;
        assert_eq!(report.findings, [Finding::Missing { id: image.id.into(), key: key.to_string() }]);
        assert_eq!((report.missing, report.found(), report.repaired), (1, 1, 0));
        assert_eq!(world.memory.calls().head, heads + 2, "it is asked for twice");
    }
    assert_eq!(world.count().await, Count { images: 1, ..Count::default() });
    let finding = serde_json::to_value(&verify(&world).await.findings[0]).unwrap();
    let expected = serde_json::json!({ "finding": "missing", "id": image.id.to_string(), "key": key.as_str() });
    assert_eq!(finding, expected);
}

async fn an_object_of_another_size_is_found(world: World) {
    let image = upload(&world).await;
    let key = only_key(&world);
    world.memory.insert_foreign(key.as_str(), "image/png", "short");

    let report = repair(&world).await;

    let expected = Finding::SizeMismatch {
        id: image.id.into(),
        key: key.to_string(),
        row_bytes: image.size_bytes,
        object_bytes: 5,
    };
    assert_eq!((report.size_mismatches, report.findings), (1, vec![expected]));
    assert_eq!(world.count().await, Count { images: 1, objects: 1, ..Count::default() });
}

async fn an_orphan_goes_when_it_was_seen_twice(world: World) {
    upload(&world).await;
    for kind in ["image", "audio", "staging"] {
        world.memory.insert_foreign(&own_key(kind), "image/png", "orphan");
    }
    let young = repair(&world).await;
    assert_eq!((young.young, young.orphans), (3, 0));
    assert!(young.is_clean());

    world.memory.advance(DAY);
    let first = repair(&world).await;
    assert_eq!((first.orphans, first.confirmed_orphans, first.repaired), (3, 0, 0));
    assert_eq!(world.count().await, Count { images: 1, objects: 4, ..Count::default() });

    let dry = verify(&world).await;
    assert_eq!((dry.orphans, dry.confirmed_orphans, dry.repaired), (3, 3, 0));
    assert_eq!(world.count().await, Count { images: 1, objects: 4, ..Count::default() });

    let second = repair(&world).await;
    assert_eq!((second.orphans, second.confirmed_orphans, second.repaired), (3, 3, 3));
    assert!(matches!(&second.findings[0], Finding::Orphan { confirmed: true, size_bytes: 6, .. }));
    // The sweep removes them, not the verify.
    assert_eq!(world.count().await, Count { images: 1, objects: 4, intents: 3, ..Count::default() });
    assert!(verify(&world).await.is_clean(), "an intent names them now");

    assert_eq!(world.service.sweep().await.unwrap().purged, 3);
    assert_eq!(world.count().await, Count { images: 1, objects: 1, ..Count::default() });
    assert!(candidates(&world).await.is_empty());
    assert!(verify(&world).await.is_clean());
}

async fn candidates(world: &World) -> Vec<String> {
    let mut conn = world.database.reader().await.unwrap();
    CandidateRepo::list_keys(&mut conn, None, None, 1_000).await.unwrap()
}

async fn an_orphan_that_changes_or_goes_starts_anew(world: World) {
    let (changing, going) = (own_key("image"), own_key("image"));
    for key in [&changing, &going] {
        world.memory.insert_foreign(key, "image/png", "orphan");
    }
    world.memory.advance(DAY);
    assert_eq!(verify(&world).await.orphans, 2);

    world.memory.insert_foreign(&changing, "image/png", "another");
    world.memory.lose(&ObjectKey::parse(&going).unwrap());
    world.memory.advance(DAY);
    let changed = repair(&world).await;
    assert_eq!((changed.orphans, changed.confirmed_orphans, changed.repaired), (1, 0, 0));
    assert_eq!(candidates(&world).await, [changing.as_str()]);

    // Of the same key again, it has been seen once.
    world.memory.insert_foreign(&going, "image/png", "orphan");
    world.memory.advance(DAY);
    let again = repair(&world).await;
    assert_eq!((again.orphans, again.confirmed_orphans, again.repaired), (2, 1, 1));
}

async fn an_orphan_of_unknown_age_has_to_be_seen_for_long(world: World) {
    let service = timeless(&world);
    world.memory.insert_foreign(&own_key("audio"), "audio/wav", "orphan");
    let repairing = |grace| VerifyOptions { grace, ..VerifyOptions::repairing() };
    for _ in 0..3 {
        let report = service.verify(&repairing(Duration::from_hours(1))).await.unwrap();
        assert_eq!((report.orphans, report.confirmed_orphans, report.repaired), (1, 0, 0));
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    let report = service.verify(&repairing(Duration::from_millis(10))).await.unwrap();
    assert_eq!((report.confirmed_orphans, report.repaired), (1, 1));
}

/// The same world on a storage that does not tell when objects were written: nothing is too young to judge.
fn timeless(world: &World) -> ObjectStoreService {
    let storage: Arc<dyn ObjectStorage> =
        Arc::new(FaultyStorage::new(Arc::new(world.memory.clone())).suspending().timeless());
    ObjectStoreService::new(world.database.clone(), storage, Settings::default())
}

async fn foreign_objects_are_counted_and_never_touched(world: World) {
    let id = uuid::Uuid::now_v7();
    let mut keys = vec![
        "backup.tar".to_owned(),
        "Über uns.html".to_owned(),
        "image".to_owned(),
        format!("image/{id}/thumbnail"),
        format!("images/{id}/{}", id.simple()),
        format!("audio/{id}/{}/x", id.simple()),
        format!("image/{}/{}", id.simple(), id.simple()),
        "x".repeat(500),
    ];
    for key in &keys {
        world.memory.insert_foreign(key, "text/html", "not ours");
    }
    keys.sort();
    for _ in 0..3 {
        world.memory.advance(DAY);
        let report = repair(&world).await;
        assert_eq!((report.foreign, report.objects, report.repaired), (8, 8, 0));
        assert_eq!(report.foreign_keys, keys);
        assert!(report.is_clean());
    }
    world.service.sweep().await.unwrap();
    assert_eq!(world.memory.keys(), keys);
}

async fn the_brake_keeps_a_wrong_database_from_removing_much(world: World) {
    for _ in 0..101 {
        world.memory.insert_foreign(&own_key("image"), "image/png", "orphan");
    }
    world.memory.advance(DAY);
    assert_eq!(repair(&world).await.orphans, 101, "seen once, none would go");

    let stopped = world.service.verify(&VerifyOptions::repairing()).await.unwrap_err();
    let ObjectStoreError::VerifyStopped { report, source } = &stopped else { panic!("{stopped:?}") };
    assert!(matches!(**source, ObjectStoreError::TooManyOrphans { found: 101, limit: 100 }), "{stopped:?}");
    assert_eq!((report.orphans, report.findings.len(), report.repaired), (101, 101, 0), "what was found is told");
    assert_eq!((stopped.code(), stopped.is_retryable()), ("too_many_orphans", false));
    assert_eq!(world.count().await, Count { objects: 101, ..Count::default() });

    let allowed = VerifyOptions { max_orphans: Some(101), ..VerifyOptions::repairing() };
    assert_eq!(world.service.verify(&allowed).await.unwrap().repaired, 101);
    assert_eq!(world.service.sweep().await.unwrap().purged, 101);
    world.assert_empty().await;
}

async fn a_wrong_database_is_not_filled_with_orphans(world: World) {
    for _ in 0..3_500 {
        world.memory.insert_foreign(&own_key("image"), "image/png", "orphan");
    }
    world.memory.advance(DAY);
    let report = verify(&world).await;
    assert_eq!((report.objects, report.orphans), (3_500, 3_500));
    let mut conn = world.database.reader().await.unwrap();
    let noted = CandidateRepo::list_keys(&mut conn, None, None, 10_000).await.unwrap().len();
    assert_eq!(noted, 2_000, "the rest is counted");
    assert_eq!(world.memory.calls().head, 2_000);
}

async fn a_multipart_upload_that_nobody_goes_on_with_is_found(world: World) {
    let image = upload(&world).await;
    let finished = only_key(&world);
    let staged = stage(&world).await;
    let staged_key = world.memory.keys().into_iter().find(|key| key.contains(&staged.id().to_string())).unwrap();
    let forgotten = ObjectKey::parse(&own_key("audio")).unwrap();
    for key in [&finished, &ObjectKey::parse(&staged_key).unwrap(), &forgotten, &ObjectKey::parse("a/b").unwrap()] {
        world.memory.begin_multipart_upload(key);
    }
    assert!(verify(&world).await.is_clean(), "they are young");
    world.memory.advance(DAY);
    assert_eq!(verify(&world).await.stale_uploads, 2);

    let report = repair(&world).await;
    assert_eq!((report.stale_uploads, report.repaired), (2, 2));
    world.service.sweep().await.unwrap();

    let left = world.memory.list_multipart_uploads("", None).await.unwrap().uploads;
    let left: Vec<_> = left.into_iter().map(|upload| upload.key).collect();
    assert_eq!(left, ["a/b", staged_key.as_str()]);
    assert!(verify(&world).await.is_clean());
    assert!(world.service.download(ann(), image.id.into(), None).await.is_ok());
}

async fn bytes_are_compared_with_their_digests(world: World) {
    let options = VerifyOptions { rehash: std::num::NonZeroU64::new(1 << 30), ..VerifyOptions::default() };
    let image = upload(&world).await;
    let key = only_key(&world);
    let sound = world.service.verify(&options).await.unwrap();
    assert_eq!((sound.rehashed, sound.rehashed_bytes), (1, image.size_bytes));
    assert!(sound.is_clean());
    assert_eq!(options.progress.rows(), 1);

    // Neither a bit that flipped on its way nor a connection that broke is the object's.
    world.storage.fail(Operation::Get, When::Nth(1), Fault::FlipDownload { at: 9 });
    world.storage.fail(Operation::Get, When::Nth(3), Fault::CutDownload { after_bytes: 9 });
    for _ in 0..2 {
        assert!(world.service.verify(&options).await.unwrap().is_clean());
    }
    assert!(world.storage.calls().iter().filter(|call| call.fault.is_some()).count() == 2);

    let mut bytes = samples::png(4, 3);
    bytes[20] ^= 1;
    world.memory.insert_foreign(key.as_str(), "image/png", Bytes::from(bytes));
    let report = world.service.verify(&options).await.unwrap();
    let [Finding::DigestMismatch { id, row_sha256, object_sha256, .. }] = &report.findings[..] else {
        panic!("{report:?}")
    };
    assert_eq!((*id, Some(*row_sha256)), (image.id.into(), image.sha256));
    assert_ne!(row_sha256, object_sha256);
    assert!(verify(&world).await.is_clean(), "it was not asked to read");

    // A row without a digest gets one.
    forget_digests(&world).await;
    assert_eq!(world.service.verify(&options).await.unwrap().digests_noted, 1);
    assert!(world.service.verify(&options).await.unwrap().is_clean());
    let mut conn = world.service.connection().await.unwrap();
    assert_eq!(world.service.get_image(&mut conn, ann(), image.id).await.unwrap().sha256, Some(*object_sha256));
}

async fn one_object_that_cannot_be_read_is_a_finding_and_many_an_error(world: World) {
    let options = VerifyOptions { rehash: std::num::NonZeroU64::new(1 << 30), ..VerifyOptions::default() };
    for _ in 0..11 {
        upload(&world).await;
    }
    world.storage.fail(Operation::Get, When::Nth(3), Fault::AccessDenied);
    let report = world.service.verify(&options).await.unwrap();
    let [Finding::Unreadable { key, code, .. }] = &report.findings[..] else { panic!("{report:?}") };
    assert_eq!((key, *code), (&world.memory.keys()[2], "access_denied"));
    assert_eq!((report.rehashed, report.unreadable, report.found()), (10, 1, 1));

    world.storage.fail(Operation::Get, When::Always, Fault::AccessDenied);
    let stopped = world.service.verify(&options).await.unwrap_err();
    assert_eq!(stopped.code(), "storage_access_denied");
    let ObjectStoreError::VerifyStopped { report, .. } = stopped else { panic!("{stopped:?}") };
    assert_eq!((report.unreadable, report.rehashed), (9, 0));
    world.assert_at_rest();
}

async fn a_verify_goes_on_where_another_stopped(world: World) {
    let keys = populate(&world, 1_100).await;
    for lost in [&keys[10], &keys[1_050]] {
        world.memory.lose(&ObjectKey::parse(lost).unwrap());
    }
    world.storage.fail(Operation::ListPage, When::Nth(2), Fault::AccessDenied);
    let stopped = world.service.verify(&VerifyOptions::default()).await.unwrap_err();
    let ObjectStoreError::VerifyStopped { report, .. } = stopped else { panic!("{stopped:?}") };
    assert_eq!((report.missing, report.objects), (1, 1_000));
    let reached = report.compared_until.clone().unwrap();
    assert!(reached > keys[10] && reached < keys[1_050]);

    let rest = VerifyOptions { start_after: Some(reached), ..VerifyOptions::default() };
    let report = world.service.verify(&rest).await.unwrap();
    assert_eq!((report.missing, report.objects, report.compared_until), (1, 98, None));
}

async fn forget_digests(world: &World) {
    use diesel_async::RunQueryDsl;
    let mut tx = world.database.begin().await.unwrap();
    object_store_repo::query!(tx, async |db| {
        diesel::sql_query("UPDATE images SET sha256 = NULL").execute(db).await
    })
    .unwrap();
    tx.commit().await.unwrap();
}

/// Rows and objects, as many uploads would leave them. Returns their keys, ascending.
async fn populate(world: &World, how_many: usize) -> Vec<String> {
    let mut keys: Vec<String> = (0..how_many).map(|_| own_key("image")).collect();
    world
        .database
        .transaction(async |conn| {
            for key in &keys {
                insert_row(conn, key).await?;
            }
            Ok::<_, RepoError>(())
        })
        .await
        .unwrap();
    for key in &keys {
        world.memory.insert_foreign(key, "image/png", "bytes");
    }
    keys.sort();
    keys
}

/// The row of an object of five bytes.
async fn insert_row(conn: &mut Connection<'_>, key: &str) -> Result<(), RepoError> {
    let id: ImageId = key.split('/').nth(1).unwrap().parse().unwrap();
    let row = NewImage {
        id,
        user_id: Some(user(1)),
        s3_key: key,
        filename: "a.png",
        content_type: "image/png",
        format: "png",
        size_bytes: 5,
        sha256: None,
        etag: "e",
        width: 1,
        height: 1,
        orientation: 1,
        frame_count: 1,
    };
    ImageRepo::create(conn, &row).await.map(drop)
}

async fn thousands_of_objects_are_compared_page_by_page(world: World) {
    let keys = populate(&world, 2_500).await;
    let options = VerifyOptions::default();
    let clean = world.service.verify(&options).await.unwrap();
    assert_eq!(clean, VerifyReport { objects: 2_500, rows: 2_500, ..VerifyReport::default() });
    assert_eq!((options.progress.expected_rows(), options.progress.rows()), (2_500, 2_500));
    assert_eq!(world.memory.calls().list_page, 3);

    // The first, the last, and around the ends of pages.
    let lost = [0, 998, 999, 1_000, 1_001, 2_499].map(|index| keys[index].clone());
    for key in &lost {
        world.memory.lose(&ObjectKey::parse(key).unwrap());
    }
    let strays = [
        "!".to_owned(),
        format!("{}!", keys[999]),
        format!("{}0", keys[1_999]),
        format!("{}\0x", keys[1_500]),
        "zoo/Ω".to_owned(),
    ];
    for key in &strays {
        world.memory.insert_foreign(key, "text/html", "stray");
    }
    let orphans: Vec<String> = (0..20).map(|_| own_key("audio")).chain((0..20).map(|_| own_key("staging"))).collect();
    for key in &orphans {
        world.memory.insert_foreign(key, "image/png", "orphan");
    }
    world.memory.advance(DAY);

    let report = verify(&world).await;
    assert_eq!((report.objects, report.rows), (2_500 - 6 + 5 + 40, 2_500));
    assert_eq!((report.missing, report.orphans, report.foreign, report.found()), (6, 40, 5, 46));
    let missing: Vec<_> = report
        .findings
        .iter()
        .filter_map(|finding| match finding {
            Finding::Missing { key, .. } => Some(key.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(missing, lost);
    assert_eq!(repair(&world).await.repaired, 40);
    assert_eq!(world.service.sweep().await.unwrap().purged, 40);
    assert_eq!(world.memory.object_count(), 2_500 - 6 + 5);
    world.assert_at_rest();
}

async fn a_listing_cut_short_makes_nothing_missing(world: World) {
    populate(&world, 30).await;
    for after_objects in [0, 1, 29] {
        world.storage.fail(Operation::ListPage, When::Nth(1), Fault::CutListing { after_objects });
        let report = repair(&world).await;
        assert_eq!((report.objects, report.rows), (after_objects as u64, 30));
        assert!(report.is_clean(), "{report:?}");
        world.storage.heal();
    }
}

async fn storage_that_fails_midway_is_an_error_and_repairs_nothing(world: World) {
    let keys = populate(&world, 1_100).await;
    world.memory.lose(&ObjectKey::parse(&keys[1_050]).unwrap());
    for _ in 0..3 {
        world.memory.insert_foreign(&own_key("audio"), "audio/wav", "orphan");
    }
    world.memory.advance(DAY);
    assert_eq!(verify(&world).await.orphans, 3);
    for (operation, when) in [
        (Operation::ListPage, When::Nth(1)),
        (Operation::ListPage, When::Nth(2)),
        (Operation::Head, When::Nth(1)),
        (Operation::Head, When::Nth(4)),
        (Operation::ListMultipartUploads, When::Nth(1)),
        (Operation::BucketInfo, When::Nth(1)),
    ] {
        for (fault, code) in
            [(Fault::AccessDenied, "storage_access_denied"), (Fault::Unavailable, "storage_unavailable")]
        {
            world.storage.fail(operation, when, fault);
            let failed = world.service.verify(&VerifyOptions::repairing()).await.unwrap_err();
            assert_eq!(failed.code(), code, "{operation:?} {when:?}");
            assert_eq!(world.count().await.intents, 0, "{operation:?} {when:?}");
            world.storage.heal();
        }
    }
    world.assert_at_rest();
    assert_eq!(repair(&world).await.repaired, 3);
}

async fn what_happens_meanwhile_is_no_finding(world: World) {
    let service = timeless(&world);
    // No grace: nothing is forgiven for being young.
    let options = VerifyOptions { grace: Duration::ZERO, ..VerifyOptions::repairing() };
    for nth in 1.. {
        let staged = stage(&world).await;
        let committed = upload(&world).await;
        let left_to_the_sweep = upload(&world).await;
        let meanwhile = async {
            let mut tx = world.service.begin().await.unwrap();
            world.service.commit_image(&mut tx, &staged).await.unwrap();
            tx.commit().await.unwrap();
            world.service.delete(ann(), committed.id.into()).await.unwrap();
            let mut tx = world.service.begin().await.unwrap();
            world.service.delete_in(&mut tx, ann(), left_to_the_sweep.id.into()).await.unwrap();
            tx.commit().await.unwrap();
            upload(&world).await;
        };
        let (report, was_under_way) = Box::pin(with_meanwhile(service.verify(&options), nth, meanwhile)).await;
        let report = report.unwrap();
        assert!(report.is_clean() && report.repaired == 0, "at its wait {nth}: {report:?}");
        if !was_under_way {
            assert!(nth > 10, "it waited only {nth} times");
            return;
        }
    }
}

async fn a_delete_meanwhile_makes_nothing_missing(world: World) {
    // A listing from before: each row is looked at by itself.
    world.storage.fail(Operation::ListPage, When::Always, Fault::CutListing { after_objects: 0 });
    for nth in 1.. {
        let image = upload(&world).await;
        let meanwhile = async { world.service.delete(ann(), image.id.into()).await.unwrap() };
        let options = VerifyOptions::default();
        let (report, was_under_way) = with_meanwhile(world.service.verify(&options), nth, meanwhile).await;
        let report = report.unwrap();
        assert!(report.is_clean(), "at its wait {nth}: {report:?}");
        if !was_under_way {
            assert!(nth > 5, "it waited only {nth} times");
            return;
        }
    }
}

async fn a_repair_never_takes_what_is_being_committed(world: World) {
    for nth in 1.. {
        let key = own_key("image");
        world.memory.insert_foreign(&key, "image/png", "bytes");
        world.memory.advance(DAY);
        assert_eq!(verify(&world).await.orphans, 1);
        // A write that no protocol of ours makes: an intent, and then a row, for a key that had neither.
        let meanwhile = async {
            let intent = NewIntent {
                s3_key: &key,
                purpose: IntentPurpose::Upload,
                media_id: MediaId::Image(key.split('/').nth(1).unwrap().parse().unwrap()),
                user_id: Some(user(1)),
                declared: "{}",
                multipart_upload_id: None,
            };
            let hour = Duration::from_hours(1);
            let deadlines = Deadlines { not_before_in: hour, clears_in: hour };
            let created = world.database.transaction(async |conn| IntentRepo::create(conn, &intent, deadlines).await);
            let Some(intent) = created.await.unwrap() else { return };
            let committed = world.database.transaction(async |conn| {
                if IntentRepo::consume_upload(conn, &key, intent.generation).await? {
                    insert_row(conn, &key).await?;
                }
                Ok::<_, RepoError>(())
            });
            committed.await.unwrap();
        };
        let repair = VerifyOptions::repairing();
        let (report, was_under_way) = with_meanwhile(world.service.verify(&repair), nth, meanwhile).await;
        report.unwrap();
        world.assert_consistent_after_sweep().await;
        if !was_under_way {
            assert!(nth > 10, "it waited only {nth} times");
            return;
        }
    }
}

async fn a_busy_store_is_clean(world: World) {
    let service = timeless(&world);
    let work: Vec<_> = (0..4)
        .map(|_| {
            let service = world.service.clone();
            tokio::spawn(async move {
                for round in 0..25 {
                    let create = ImageCreate::new("a.png");
                    let image = service.upload_image(ann(), create, samples::png(2, 2).into()).await.unwrap();
                    if round % 2 == 0 {
                        service.delete(ann(), image.id.into()).await.unwrap();
                    }
                    service.sweep().await.unwrap();
                }
            })
        })
        .collect();
    let options = VerifyOptions { grace: Duration::ZERO, ..VerifyOptions::repairing() };
    let mut verified = 0;
    while verified < 3 || work.iter().any(|work| !work.is_finished()) {
        let report = service.verify(&options).await.unwrap();
        assert!(report.is_clean() && report.repaired == 0, "{report:?}");
        verified += 1;
    }
    for work in work {
        work.await.unwrap();
    }
    world.assert_consistent_after_sweep().await;
    assert_eq!(verify(&world).await.rows, 48);
}

async fn an_object_is_explained(world: World) {
    let image = upload(&world).await;
    let key = only_key(&world);
    let life = world.service.explain(image.id.into()).await.unwrap();
    assert!(life.is_known() && life.intents.is_empty() && life.uploads.is_empty());
    assert_eq!(life.key.as_deref(), Some(key.as_str()));
    let json = serde_json::to_value(&life).unwrap();
    assert_eq!((&json["file"]["kind"], &json["objects"][0]["named_by"]), (&"image".into(), &"row".into()));
    assert_eq!(json["objects"][0]["object"]["size_bytes"], image.size_bytes);

    // Lost, with something else of the same id beside it.
    world.memory.lose(&key);
    let stray = format!("image/{}/{}", image.id, image.id.uuid().simple());
    world.memory.insert_foreign(&stray, "image/png", "stray");
    let life = serde_json::to_value(world.service.explain(image.id.into()).await.unwrap()).unwrap();
    let seen: Vec<_> =
        life["objects"].as_array().unwrap().iter().map(|seen| (&seen["key"], &seen["named_by"])).collect();
    assert!(seen.contains(&(&stray.as_str().into(), &"nothing".into())), "{seen:?}");
    let lost = life["objects"].as_array().unwrap().iter().find(|seen| seen["key"] == key.as_str()).unwrap();
    assert!(lost["object"].is_null());

    let staged = stage(&world).await;
    let life = serde_json::to_value(world.service.explain(staged.id().into()).await.unwrap()).unwrap();
    assert_eq!((&life["intents"][0]["purpose"], &life["file"]), (&"upload".into(), &serde_json::Value::Null));
    assert!(!world.service.explain(ImageId::new().into()).await.unwrap().is_known());
}

async fn what_is_due_is_told_without_being_taken(world: World) {
    let (first, _second) = (stage(&world).await, stage(&world).await);
    assert_eq!(world.service.due(10).await.unwrap().due, 0);
    world.let_deadlines_pass().await;
    for _ in 0..2 {
        let report = world.service.due(1).await.unwrap();
        assert_eq!((report.due, report.intents.len()), (2, 1));
        assert_eq!((report.intents[0].generation, report.intents[0].attempts), (1, 0));
    }
    let ids: Vec<_> = world.service.due(10).await.unwrap().intents.into_iter().map(|intent| intent.id).collect();
    assert!(ids.contains(&first.id().into()));
}
