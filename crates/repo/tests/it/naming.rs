//! What verifying and erasing ask: keys in ranges, what names a key, candidates, a user's uploads.

use std::time::Duration;

use object_store_models::{IntentPurpose, NewIntent, NewOrphanCandidate, UserId};
use object_store_repo::{AudioRepo, CandidateRepo, Deadlines, ImageRepo, IntentRepo, KeyRepo, read_clock};

use crate::support::{TestDatabase, audio, image, intent, key, store_audio, store_image, user, write};

on_both_backends!(migrated:
    rows_are_listed_by_key_within_a_range,
    keys_sort_by_their_bytes,
    one_statement_says_what_names_a_key,
    a_digest_is_noted_once,
    a_candidate_keeps_its_time_as_long_as_it_stays_the_same,
    candidates_are_listed_and_forgotten,
    uploads_of_a_user_are_taken,
    what_is_due_is_listed,
);

const HOUR: Deadlines = Deadlines { not_before_in: Duration::from_hours(1), clears_in: Duration::from_hours(2) };
const NOW: Deadlines = Deadlines { not_before_in: Duration::ZERO, clears_in: Duration::ZERO };

async fn rows_are_listed_by_key_within_a_range(test: TestDatabase) {
    let keys = ["a", "b", "c", "d", "e"];
    for key in keys {
        store_image(&test.db, &image(key, None)).await.unwrap();
        write(&test.db, async |conn| IntentRepo::create(conn, &intent(key, IntentPurpose::Upload), HOUR).await).await;
        let candidate = NewOrphanCandidate { s3_key: key, etag: "", size_bytes: 0 };
        write(&test.db, async |conn| CandidateRepo::note(conn, &candidate).await).await;
    }
    let mut conn = test.db.reader().await.unwrap();
    for (after, until, limit, expected) in [
        (None, None, 9, &keys[..]),
        (Some("a"), None, 9, &keys[1..]),
        (Some("a"), Some("c"), 9, &keys[1..3]),
        (Some("aa"), Some("cc"), 9, &keys[1..3]),
        (None, Some("d"), 2, &keys[..2]),
        (Some("e"), None, 9, &[]),
        (Some("c"), Some("b"), 9, &[]),
    ] {
        let rows = ImageRepo::list_by_key(&mut conn, after, until, limit).await.unwrap();
        let rows: Vec<_> = rows.into_iter().map(|row| row.s3_key).collect();
        assert_eq!(rows, expected, "{after:?} to {until:?}");
        assert_eq!(IntentRepo::list_keys(&mut conn, after, until, limit).await.unwrap(), expected);
        assert_eq!(CandidateRepo::list_keys(&mut conn, after, until, limit).await.unwrap(), expected);
    }
}

async fn keys_sort_by_their_bytes(test: TestDatabase) {
    let keys = ["a-b", "a.b", "a/b", "a0b", "a_b", "ab", "b"];
    for key in keys.iter().rev() {
        store_audio(&test.db, &audio(key, None)).await.unwrap();
    }
    let mut conn = test.db.reader().await.unwrap();
    // The bounds may be anybody's keys.
    let rows = AudioRepo::list_by_key(&mut conn, Some("A ?"), Some("ü"), 9).await.unwrap();
    assert_eq!(rows.into_iter().map(|row| row.s3_key).collect::<Vec<_>>(), keys);
    let rows = AudioRepo::list_by_key(&mut conn, Some("a.é"), Some("aZ"), 9).await.unwrap();
    assert_eq!(rows.into_iter().map(|row| row.s3_key).collect::<Vec<_>>(), ["a/b", "a0b"]);
}

async fn one_statement_says_what_names_a_key(test: TestDatabase) {
    let (of_image, of_audio, of_intent, of_none) = (key(), key(), key(), key());
    store_image(&test.db, &image(&of_image, None)).await.unwrap();
    store_audio(&test.db, &audio(&of_audio, None)).await.unwrap();
    write(&test.db, async |conn| IntentRepo::create(conn, &intent(&of_intent, IntentPurpose::Purge), NOW).await).await;
    let keys = [of_image.as_str(), &of_audio, &of_intent, &of_none];
    let mut conn = test.db.reader().await.unwrap();
    let sorted = |mut keys: Vec<String>| {
        keys.sort();
        keys
    };
    let named = sorted(KeyRepo::named(&mut conn, &keys).await.unwrap());
    assert_eq!(named, sorted(vec![of_image.clone(), of_audio.clone(), of_intent.clone()]));
    let rows = sorted(KeyRepo::of_rows(&mut conn, &keys).await.unwrap());
    assert_eq!(rows, sorted(vec![of_image.clone(), of_audio.clone()]));
    assert_eq!(KeyRepo::of_intents(&mut conn, &keys).await.unwrap(), std::slice::from_ref(&of_intent));
    assert!(KeyRepo::named(&mut conn, &[]).await.unwrap().is_empty());
    // As many as a page of a listing has.
    let many: Vec<String> = (0..1_000).map(|_| key()).chain([of_image.clone()]).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(KeyRepo::named(&mut conn, &many).await.unwrap(), std::slice::from_ref(&of_image));
}

async fn a_digest_is_noted_once(test: TestDatabase) {
    let stored = store_audio(&test.db, &audio(&key(), None)).await.unwrap();
    for (digest, noted) in [([1; 32], true), ([2; 32], false)] {
        let done = write(&test.db, async |conn| AudioRepo::set_sha256(conn, stored.id, digest.into()).await).await;
        assert_eq!(done, noted);
    }
    let mut conn = test.db.reader().await.unwrap();
    let row = AudioRepo::get(&mut conn, stored.id).await.unwrap().unwrap();
    assert_eq!(row.sha256, Some([1; 32].into()));
}

async fn a_candidate_keeps_its_time_as_long_as_it_stays_the_same(test: TestDatabase) {
    let key = key();
    let note = async |etag: &str, size_bytes| {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let new = NewOrphanCandidate { s3_key: &key, etag, size_bytes };
        write(&test.db, async |conn| CandidateRepo::note(conn, &new).await).await
    };
    let first = note("a", 1).await;
    assert_eq!(note("a", 1).await, first);
    let other_etag = note("b", 1).await;
    assert!(other_etag.first_seen_at > first.first_seen_at);
    let other_size = note("b", 2).await;
    assert!(other_size.first_seen_at > other_etag.first_seen_at);
    assert_eq!((other_size.etag.as_str(), other_size.size_bytes), ("b", 2));
}

async fn candidates_are_listed_and_forgotten(test: TestDatabase) {
    let keys: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
    for key in &keys {
        let new = NewOrphanCandidate { s3_key: key, etag: "e", size_bytes: 1 };
        write(&test.db, async |conn| CandidateRepo::note(conn, &new).await).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let third = {
        let mut conn = test.db.reader().await.unwrap();
        CandidateRepo::get(&mut conn, "c").await.unwrap().unwrap().first_seen_at
    };
    let before = async |after: Option<&str>| {
        let mut conn = test.db.reader().await.unwrap();
        let listed = CandidateRepo::list_seen_before(&mut conn, third, after, 9).await.unwrap();
        listed.into_iter().map(|candidate| candidate.s3_key).collect::<Vec<_>>()
    };
    assert_eq!(before(None).await, ["a", "b"]);
    assert_eq!(before(Some("a")).await, ["b"]);
    assert_eq!(write(&test.db, async |conn| CandidateRepo::delete(conn, &keys[..1]).await).await, 1);
    assert_eq!(before(None).await, ["b"]);
}

async fn uploads_of_a_user_are_taken(test: TestDatabase) {
    let (ann, ben) = (user(), user());
    let put = async |key: &str, purpose, owner: Option<UserId>| {
        let new = NewIntent { user_id: owner, ..intent(key, purpose) };
        write(&test.db, async |conn| IntentRepo::create(conn, &new, HOUR).await).await.unwrap()
    };
    let upload = put("a", IntentPurpose::Upload, Some(ann)).await;
    put("b", IntentPurpose::Direct, Some(ann)).await;
    let purge = put("c", IntentPurpose::Purge, Some(ann)).await;
    put("d", IntentPurpose::Upload, Some(ben)).await;
    put("e", IntentPurpose::Upload, None).await;
    let until = read_clock(&mut test.db.reader().await.unwrap()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    put("f", IntentPurpose::Upload, Some(ann)).await;

    let uploads = async |after: Option<&str>| {
        let mut conn = test.db.reader().await.unwrap();
        IntentRepo::list_uploads_of(&mut conn, ann, until, after, 9).await.unwrap()
    };
    assert_eq!(uploads(None).await, ["a", "b"]);
    assert_eq!(uploads(Some("a")).await, ["b"]);

    let take = async |key: &str| write(&test.db, async |conn| IntentRepo::take_upload(conn, key).await).await.is_some();
    assert!(take("a").await && !take("a").await && !take("c").await && !take("none").await);
    assert_eq!(uploads(None).await, ["b"]);
    let mut conn = test.db.reader().await.unwrap();
    let taken = IntentRepo::get(&mut conn, "a").await.unwrap().unwrap();
    assert_eq!((taken.purpose, taken.generation), (IntentPurpose::Purge, 2));
    // The uploader may still be writing: the second delete stays where it was.
    assert_eq!(taken.clears_at, upload.clears_at);
    assert!(taken.not_before < upload.not_before);
    assert_eq!(IntentRepo::get(&mut conn, "c").await.unwrap().unwrap(), purge);
}

async fn what_is_due_is_listed(test: TestDatabase) {
    let mut made = Vec::new();
    for (name, deadlines) in [("late", HOUR), ("first", NOW), ("second", NOW)] {
        let new = intent(name, IntentPurpose::Upload);
        let stored = write(&test.db, async |conn| IntentRepo::create(conn, &new, deadlines).await).await.unwrap();
        made.push(stored);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut conn = test.db.reader().await.unwrap();
    assert_eq!(IntentRepo::count_due(&mut conn).await.unwrap(), 2);
    assert_eq!(IntentRepo::list_due(&mut conn, 9).await.unwrap(), made[1..]);
    assert_eq!(IntentRepo::list_due(&mut conn, 1).await.unwrap(), made[1..2]);
}
