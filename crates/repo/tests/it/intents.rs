//! Intents and their protocol.

use std::collections::BTreeSet;
use std::time::Duration;

use object_store_models::{IntentPurpose, NewIntent, ObjectIntent};
use object_store_repo::{CompleteOutcome, Database, Deadlines, IntentRepo};

use crate::support::{TestDatabase, intent, key, user, write};

on_both_backends!(migrated:
    an_intent_comes_back_with_deadlines_by_the_databases_clock,
    a_key_has_one_intent,
    an_upload_is_consumed_once_by_its_generation,
    a_purge_is_a_new_generation,
    a_fence_moves_until_the_upload_is_taken,
    a_direct_upload_is_ended_once_and_keeps_its_clearing_time,
    intents_are_found_under_their_directory,
    a_multipart_upload_is_noted_once,
    an_intent_outlasts_a_write_that_is_about_to_begin,
    a_purge_can_be_written_over_an_intent,
    only_what_is_due_is_claimed_and_only_once,
    workers_never_claim_the_same_intent,
    workers_outside_a_transaction_never_claim_the_same_intent,
    a_purge_waits_for_late_writes_before_it_is_cleared,
    a_failed_purge_is_due_again_with_its_reason,
    a_listing_goes_on_after_a_key,
    the_clock_goes_on_within_a_transaction,
    the_longest_deadline_fits,
);

const NOW: Deadlines = Deadlines { not_before_in: Duration::ZERO, clears_in: Duration::ZERO };
const LATER: Deadlines =
    Deadlines { not_before_in: Duration::from_micros(60_000_001), clears_in: Duration::from_hours(2) };

async fn create(db: &Database, new: &NewIntent<'_>, deadlines: Deadlines) -> Option<ObjectIntent> {
    write(db, async |conn| IntentRepo::create(conn, new, deadlines).await).await
}

async fn upload(db: &Database, key: &str, deadlines: Deadlines) -> ObjectIntent {
    create(db, &intent(key, IntentPurpose::Upload), deadlines).await.unwrap()
}

async fn get(db: &Database, key: &str) -> Option<ObjectIntent> {
    IntentRepo::get(&mut db.reader().await.unwrap(), key).await.unwrap()
}

async fn claim(db: &Database, limit: i64) -> Vec<ObjectIntent> {
    write(db, async |conn| IntentRepo::claim_due(conn, limit, Duration::from_mins(1)).await).await
}

async fn an_intent_comes_back_with_deadlines_by_the_databases_clock(test: TestDatabase) {
    let key = key();
    let new =
        NewIntent { user_id: Some(user()), multipart_upload_id: Some("upload"), ..intent(&key, IntentPurpose::Direct) };
    let stored = create(&test.db, &new, LATER).await.unwrap();

    assert_eq!(get(&test.db, &key).await, Some(stored.clone()));
    let created_at = stored.created_at;
    let expected = ObjectIntent {
        s3_key: key.clone(),
        purpose: IntentPurpose::Direct,
        media_id: new.media_id,
        user_id: new.user_id,
        declared: new.declared.to_owned(),
        multipart_upload_id: Some("upload".to_owned()),
        generation: 1,
        // To the microsecond: one statement has one time.
        not_before: created_at.checked_add(LATER.not_before_in).unwrap(),
        clears_at: created_at.checked_add(LATER.clears_in).unwrap(),
        attempts: 0,
        last_error: None,
        created_at,
        reserved_bytes: 0,
    };
    assert_eq!(stored, expected);
}

async fn a_key_has_one_intent(test: TestDatabase) {
    let key = key();
    let first = upload(&test.db, &key, NOW).await;
    assert_eq!(create(&test.db, &intent(&key, IntentPurpose::Direct), LATER).await, None);
    assert_eq!(get(&test.db, &key).await, Some(first));
    let mut conn = test.db.reader().await.unwrap();
    assert_eq!(IntentRepo::count(&mut conn).await.unwrap(), 1);
}

async fn an_upload_is_consumed_once_by_its_generation(test: TestDatabase) {
    let (uploaded, direct) = (key(), key());
    upload(&test.db, &uploaded, LATER).await;
    create(&test.db, &intent(&direct, IntentPurpose::Direct), LATER).await;
    let consume = async |key, generation| {
        write(&test.db, async |conn| IntentRepo::consume_upload(conn, key, generation).await).await
    };

    assert!(!consume(&uploaded, 2).await);
    assert!(!consume(&direct, 1).await);
    assert!(!consume("other", 1).await);
    assert!(consume(&uploaded, 1).await);
    assert!(!consume(&uploaded, 1).await);
    assert_eq!(get(&test.db, &uploaded).await, None);
}

async fn a_purge_is_a_new_generation(test: TestDatabase) {
    let key = key();
    let before = upload(&test.db, &key, LATER).await;
    let purge =
        async |generation| write(&test.db, async |conn| IntentRepo::to_purge(conn, &key, generation, NOW).await).await;

    let after = purge(1).await.unwrap();
    assert_eq!((after.purpose, after.generation), (IntentPurpose::Purge, 2));
    assert!(after.not_before < before.not_before);
    assert_eq!(purge(1).await, None);
    assert!(!write(&test.db, async |conn| IntentRepo::consume_upload(conn, &key, 1).await).await);
    assert!(!write(&test.db, async |conn| IntentRepo::consume_upload(conn, &key, 2).await).await);
}

async fn a_fence_moves_until_the_upload_is_taken(test: TestDatabase) {
    let key = key();
    let before = upload(&test.db, &key, NOW).await;
    let renew = async |generation| {
        write(&test.db, async |conn| IntentRepo::renew_fence(conn, &key, generation, LATER).await).await
    };

    assert!(renew(1).await);
    let after = get(&test.db, &key).await.unwrap();
    assert!(after.not_before > before.not_before && after.clears_at > before.clears_at);
    assert_eq!(claim(&test.db, 9).await, []);
    assert!(!renew(2).await);
    write(&test.db, async |conn| IntentRepo::to_purge(conn, &key, 1, NOW).await).await.unwrap();
    assert!(!renew(1).await);
    assert!(!renew(2).await);
}

async fn a_direct_upload_is_ended_once_and_keeps_its_clearing_time(test: TestDatabase) {
    let (direct, uploaded) = (key(), key());
    let before = create(&test.db, &intent(&direct, IntentPurpose::Direct), LATER).await.unwrap();
    upload(&test.db, &uploaded, LATER).await;
    let end = async |key, generation| {
        write(&test.db, async |conn| IntentRepo::end_direct(conn, key, generation, Duration::ZERO).await).await
    };

    assert_eq!(end(&direct, 2).await, None);
    assert_eq!(end(&uploaded, 1).await, None);
    let after = end(&direct, 1).await.unwrap();
    assert_eq!((after.purpose, after.generation), (IntentPurpose::Purge, 2));
    assert!(after.not_before < before.not_before);
    assert_eq!(after.clears_at, before.clears_at);
    assert_eq!(end(&direct, 1).await, None);
    assert_eq!(end(&direct, 2).await, None);
}

async fn intents_are_found_under_their_directory(test: TestDatabase) {
    for (key, deadlines) in [("m/a/1", NOW), ("m/a/2", LATER), ("m/a", NOW), ("m/a0/1", NOW), ("m/a-/1", NOW)] {
        upload(&test.db, key, deadlines).await;
    }
    let mut conn = test.db.reader().await.unwrap();
    let found = IntentRepo::under(&mut conn, "m/a/").await.unwrap();
    let found: Vec<_> = found.iter().map(|(intent, is_due)| (intent.s3_key.as_str(), *is_due)).collect();
    assert_eq!(found, [("m/a/1", true), ("m/a/2", false)]);
    assert_eq!(IntentRepo::under(&mut conn, "m/b/").await.unwrap(), []);
}

async fn a_multipart_upload_is_noted_once(test: TestDatabase) {
    let (direct, uploaded) = (key(), key());
    create(&test.db, &intent(&direct, IntentPurpose::Direct), NOW).await.unwrap();
    upload(&test.db, &uploaded, NOW).await;
    let note = async |key: &str, generation, id| {
        write(&test.db, async |conn| IntentRepo::name_multipart_upload(conn, key, generation, id).await).await
    };

    assert!(!note(&uploaded, 1, "a").await);
    assert!(!note(&direct, 2, "a").await);
    assert!(note(&direct, 1, "b").await);
    for id in ["b", "c"] {
        assert!(!note(&direct, 1, id).await);
    }
    let purge =
        write(&test.db, async |conn| IntentRepo::end_direct(conn, &direct, 1, Duration::ZERO).await).await.unwrap();
    assert_eq!(purge.multipart_upload_id.as_deref(), Some("b"), "the purge has to know it");
    assert!(!note(&direct, 2, "d").await);
}

async fn an_intent_outlasts_a_write_that_is_about_to_begin(test: TestDatabase) {
    let (direct, uploaded) = (key(), key());
    let before = create(&test.db, &intent(&direct, IntentPurpose::Direct), LATER).await.unwrap();
    upload(&test.db, &uploaded, LATER).await;
    let outlast = async |key: &str, generation, hours| {
        let clears_in = Duration::from_hours(hours);
        write(&test.db, async |conn| IntentRepo::outlast_write(conn, key, generation, clears_in).await).await
    };

    for hours in [1, 3] {
        assert!(!outlast(&uploaded, 1, hours).await);
        assert!(!outlast(&direct, 2, hours).await);
    }
    assert!(outlast(&direct, 1, 1).await);
    assert_eq!(get(&test.db, &direct).await, Some(before.clone()), "it does so as it is");
    assert!(outlast(&direct, 1, 3).await);
    let after = get(&test.db, &direct).await.unwrap();
    assert!(after.clears_at > before.clears_at);
    assert_eq!((after.not_before, after.generation), (before.not_before, before.generation));
}

async fn a_purge_can_be_written_over_an_intent(test: TestDatabase) {
    let (fresh, taken) = (key(), key());
    upload(&test.db, &taken, LATER).await;
    for (key, generation) in [(&fresh, 1), (&taken, 2)] {
        let new = intent(key, IntentPurpose::Upload);
        let purge = write(&test.db, async |conn| IntentRepo::create_purge(conn, &new, NOW).await).await;
        assert_eq!((purge.purpose, purge.generation), (IntentPurpose::Purge, generation));
        assert_eq!(purge.not_before, purge.clears_at);
    }
    assert_eq!(claim(&test.db, 9).await.len(), 2);
}

async fn only_what_is_due_is_claimed_and_only_once(test: TestDatabase) {
    let keys: Vec<_> = (0..3).map(|_| key()).collect();
    for key in &keys {
        upload(&test.db, key, NOW).await;
        // SQLite's clock ticks in milliseconds.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    upload(&test.db, &key(), LATER).await;

    let first = claim(&test.db, 2).await;
    let claimed: BTreeSet<_> = first.iter().map(|intent| &intent.s3_key).collect();
    assert_eq!(claimed, BTreeSet::from([&keys[0], &keys[1]]), "those due longest come first");
    for intent in &first {
        assert_eq!((intent.purpose, intent.generation, intent.attempts), (IntentPurpose::Purge, 2, 1));
        assert!(intent.not_before > intent.created_at.checked_add(Duration::from_secs(59)).unwrap());
    }
    let second = claim(&test.db, 9).await;
    assert_eq!(second.iter().map(|intent| &intent.s3_key).collect::<Vec<_>>(), [&keys[2]]);
    assert_eq!(claim(&test.db, 9).await, []);
}

async fn workers_never_claim_the_same_intent(test: TestDatabase) {
    race(&test, async |db| claim(db, 5).await).await;
}

async fn workers_outside_a_transaction_never_claim_the_same_intent(test: TestDatabase) {
    if test.db.engine() == object_store_repo::Engine::Sqlite {
        // Outside a transaction there is only a reader, which cannot write.
        let mut conn = test.db.reader().await.unwrap();
        upload(&test.db, &key(), NOW).await;
        assert!(IntentRepo::claim_due(&mut conn, 5, Duration::ZERO).await.is_err());
        return;
    }
    race(&test, async |db| {
        let mut conn = db.reader().await.unwrap();
        IntentRepo::claim_due(&mut conn, 5, Duration::from_mins(1)).await.unwrap()
    })
    .await;
}

/// Lets four workers claim 100 intents.
async fn race<W>(test: &TestDatabase, work: W)
where
    W: AsyncFn(&Database) -> Vec<ObjectIntent>,
{
    let keys: Vec<_> = (0..100).map(|_| key()).collect();
    write(&test.db, async |conn| {
        for key in &keys {
            IntentRepo::create(conn, &intent(key, IntentPurpose::Upload), NOW).await?;
        }
        Ok(())
    })
    .await;

    let worker = async || {
        let mut claimed = Vec::new();
        // Others may have locked all that are due, so an empty answer is no end.
        for _ in 0..60 {
            claimed.extend(work(&test.db).await.into_iter().map(|intent| intent.s3_key));
        }
        claimed
    };
    let (a, b, c, d) = tokio::join!(worker(), worker(), worker(), worker());
    let all: Vec<_> = [a, b, c, d].concat();
    let unique: BTreeSet<_> = all.iter().collect();
    assert_eq!(unique.len(), all.len(), "an intent was claimed twice");
    assert_eq!(unique, keys.iter().collect());
}

async fn a_purge_waits_for_late_writes_before_it_is_cleared(test: TestDatabase) {
    let key = key();
    let late = Deadlines { not_before_in: Duration::ZERO, clears_in: Duration::from_secs(3) };
    upload(&test.db, &key, late).await;
    let complete =
        async |generation| write(&test.db, async |conn| IntentRepo::complete(conn, &key, generation).await).await;

    assert_eq!(complete(1).await, CompleteOutcome::Superseded, "an upload is no purge");
    assert_eq!(claim(&test.db, 9).await.len(), 1);
    assert_eq!(complete(1).await, CompleteOutcome::Superseded);
    assert_eq!(complete(2).await, CompleteOutcome::Waiting);
    let waiting = get(&test.db, &key).await.unwrap();
    assert_eq!(waiting.not_before, waiting.clears_at);
    assert_eq!(claim(&test.db, 9).await, []);

    tokio::time::sleep(Duration::from_millis(3_010)).await;
    assert_eq!(claim(&test.db, 9).await.len(), 1);
    assert_eq!(complete(3).await, CompleteOutcome::Cleared);
    assert_eq!(get(&test.db, &key).await, None);
    assert_eq!(complete(3).await, CompleteOutcome::Superseded);
}

async fn a_failed_purge_is_due_again_with_its_reason(test: TestDatabase) {
    let key = key();
    upload(&test.db, &key, NOW).await;
    assert_eq!(claim(&test.db, 9).await.len(), 1);
    let reason = format!("a\0b{}", "é".repeat(1000));
    let fail = async |generation| {
        write(&test.db, async |conn| IntentRepo::fail(conn, &key, generation, Duration::ZERO, &reason).await).await
    };

    assert!(!fail(1).await);
    assert!(fail(2).await);
    let failed = get(&test.db, &key).await.unwrap();
    let kept = failed.last_error.unwrap();
    assert!(kept.starts_with("abé") && kept.chars().count() == 500, "{kept}");
    let claimed = claim(&test.db, 9).await;
    assert_eq!((claimed[0].generation, claimed[0].attempts), (3, 2));
}

async fn a_listing_goes_on_after_a_key(test: TestDatabase) {
    let mut keys: Vec<_> =
        (0..10).map(|n| format!("{}/k", if n % 2 == 0 { "m" } else { "u" }) + &n.to_string()).collect();
    for key in &keys {
        upload(&test.db, key, NOW).await;
    }
    keys.sort();
    let mut conn = test.db.reader().await.unwrap();
    let mut listed: Vec<String> = Vec::new();
    loop {
        let page = IntentRepo::list(&mut conn, listed.last().map(String::as_str), 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        listed.extend(page.into_iter().map(|intent| intent.s3_key));
    }
    assert_eq!(listed, keys);
}

async fn the_clock_goes_on_within_a_transaction(test: TestDatabase) {
    let (first, second) = (key(), key());
    let times = write(&test.db, async |conn| {
        let first = IntentRepo::create(conn, &intent(&first, IntentPurpose::Upload), NOW).await?.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let second = IntentRepo::create(conn, &intent(&second, IntentPurpose::Upload), NOW).await?.unwrap();
        Ok(second.created_at.micros() - first.created_at.micros())
    })
    .await;
    assert!(times >= 19_000, "{times} µs");
}

async fn the_longest_deadline_fits(test: TestDatabase) {
    let forever = Deadlines { not_before_in: Duration::MAX, clears_in: Duration::MAX };
    let stored = upload(&test.db, &key(), forever).await;
    assert!(stored.not_before.to_rfc3339().as_str() > "2120");
}
