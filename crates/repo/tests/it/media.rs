//! Rows of finished media.

use std::collections::BTreeSet;

use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use object_store_models::{ImageId, IntentPurpose, MediaKind, NewAudio, NewImage, Timestamp, UserId};
use object_store_repo::{AudioRepo, ImageRepo, Owner, RepoError, query};

use crate::support::{TestDatabase, audio, has_image, image, key, store_audio, store_image, user, write};

on_both_backends!(migrated:
    an_image_comes_back_as_it_was_stored,
    an_audio_file_comes_back_as_it_was_stored,
    what_is_absent_is_none,
    an_id_or_a_key_that_is_taken_is_a_conflict,
    only_the_owner_deletes,
    a_list_has_what_its_owner_has_newest_first,
    a_walk_sees_each_row_once_while_others_come_and_go,
    a_row_that_cannot_be_is_refused,
    unknown_text_in_a_row_is_an_error,
);

async fn an_image_comes_back_as_it_was_stored(test: TestDatabase) {
    for user in [None, Some(user())] {
        let key = key();
        let new = image(&key, user);
        let stored = store_image(&test.db, &new).await.unwrap();

        let age = Timestamp::now().micros() - stored.created_at.micros();
        assert!(age.abs() < 60_000_000, "{age}");
        let back = NewImage {
            id: stored.id,
            user_id: stored.user_id,
            s3_key: &stored.s3_key,
            filename: &stored.filename,
            content_type: &stored.content_type,
            format: &stored.format,
            size_bytes: stored.size_bytes,
            sha256: stored.sha256,
            etag: &stored.etag,
            width: stored.width,
            height: stored.height,
            orientation: stored.orientation,
            frame_count: stored.frame_count,
        };
        assert_eq!(back, new);

        let mut conn = test.db.reader().await.unwrap();
        assert_eq!(ImageRepo::get(&mut conn, new.id).await.unwrap().as_ref(), Some(&stored));
        drop(conn);
        let deleted = write(&test.db, async |conn| ImageRepo::delete(conn, new.id).await).await;
        assert_eq!(deleted, Some(stored));
        assert!(!has_image(&test.db, new.id).await);
    }
}

async fn an_audio_file_comes_back_as_it_was_stored(test: TestDatabase) {
    let key = key();
    let new = audio(&key, Some(user()));
    let stored = store_audio(&test.db, &new).await.unwrap();

    let back = NewAudio {
        id: stored.id,
        user_id: stored.user_id,
        s3_key: &stored.s3_key,
        filename: &stored.filename,
        content_type: &stored.content_type,
        format: &stored.format,
        size_bytes: stored.size_bytes,
        sha256: stored.sha256,
        etag: &stored.etag,
        duration_ms: stored.duration_ms,
        sample_rate: stored.sample_rate,
        channels: stored.channels,
        bit_depth: stored.bit_depth,
        codec: &stored.codec,
        bitrate: stored.bitrate,
        title: stored.title.as_deref(),
        artist: stored.artist.as_deref(),
    };
    assert_eq!(back, new);

    let mut conn = test.db.reader().await.unwrap();
    assert_eq!(AudioRepo::get(&mut conn, new.id).await.unwrap().as_ref(), Some(&stored));
    assert_eq!(AudioRepo::list(&mut conn, Owner::Anyone, None, 9).await.unwrap(), [stored]);
    drop(conn);
    assert!(write(&test.db, async |conn| AudioRepo::delete(conn, new.id).await).await.is_some());
}

async fn what_is_absent_is_none(test: TestDatabase) {
    let id = ImageId::new();
    assert!(!has_image(&test.db, id).await);
    assert_eq!(ImageRepo::get(&mut test.db.reader().await.unwrap(), id).await.unwrap(), None);
    assert_eq!(write(&test.db, async |conn| ImageRepo::delete(conn, id).await).await, None);
}

async fn an_id_or_a_key_that_is_taken_is_a_conflict(test: TestDatabase) {
    let (key, other) = (key(), key());
    let first = image(&key, None);
    store_image(&test.db, &first).await.unwrap();
    for second in [image(&key, Some(user())), NewImage { s3_key: &other, ..first }] {
        let error = store_image(&test.db, &second).await.unwrap_err();
        let RepoError::Conflict { constraint: Some(constraint) } = &error else { panic!("{error:?}") };
        assert!(constraint.starts_with("images"), "{constraint}");
        assert!(!error.is_retryable());
    }
    test.assert_at_rest().await;
}

async fn only_the_owner_deletes(test: TestDatabase) {
    let (alice, bob) = (user(), user());
    let (hers, nobodys) = (key(), key());
    let (hers, nobodys) = (image(&hers, Some(alice)), image(&nobodys, None));
    store_image(&test.db, &hers).await.unwrap();
    store_image(&test.db, &nobodys).await.unwrap();
    let delete = async |id, owner| {
        write(&test.db, async |conn| ImageRepo::delete_owned(conn, id, owner).await).await.map(|image| image.id)
    };

    assert_eq!(delete(hers.id, Owner::User(bob)).await, None);
    assert_eq!(delete(hers.id, Owner::Nobody).await, None);
    assert_eq!(delete(nobodys.id, Owner::User(alice)).await, None);
    assert_eq!(delete(nobodys.id, Owner::User(UserId::from(uuid::Uuid::nil()))).await, None);
    assert_eq!(delete(hers.id, Owner::User(alice)).await, Some(hers.id));
    assert_eq!(delete(nobodys.id, Owner::Nobody).await, Some(nobodys.id));
    store_image(&test.db, &hers).await.unwrap();
    assert_eq!(delete(hers.id, Owner::Anyone).await, Some(hers.id));
}

async fn a_list_has_what_its_owner_has_newest_first(test: TestDatabase) {
    let owners = [Some(user()), Some(user()), None];
    let mut stored = Vec::new();
    for n in 0..30 {
        let key = key();
        stored.push(store_image(&test.db, &image(&key, owners[n % 3])).await.unwrap());
    }
    stored.reverse();

    let mut conn = test.db.reader().await.unwrap();
    for owner in owners.map(|user| user.map_or(Owner::Nobody, Owner::User)).into_iter().chain([Owner::Anyone]) {
        let expected: Vec<_> = stored
            .iter()
            .filter(|image| match owner {
                Owner::User(user) => image.user_id == Some(user),
                Owner::Nobody => image.user_id.is_none(),
                Owner::Anyone => true,
            })
            .cloned()
            .collect();
        let mut listed = Vec::new();
        loop {
            let page = ImageRepo::list(&mut conn, owner, listed.last().copied(), 7).await.unwrap();
            assert!(page.len() <= 7);
            if page.is_empty() {
                break;
            }
            listed.extend(page.iter().map(|image| image.id));
        }
        assert_eq!(listed, expected.iter().map(|image| image.id).collect::<Vec<_>>());
        assert_eq!(ImageRepo::count(&mut conn, owner).await.unwrap(), i64::try_from(expected.len()).unwrap());
    }
    assert_eq!(ImageRepo::list(&mut conn, Owner::Anyone, None, 0).await.unwrap(), []);
}

async fn a_walk_sees_each_row_once_while_others_come_and_go(test: TestDatabase) {
    let (mut steady, mut passing) = (BTreeSet::new(), Vec::new());
    for n in 0..60 {
        let key = key();
        let id = store_image(&test.db, &image(&key, None)).await.unwrap().id;
        if n % 3 == 0 {
            passing.push(id);
        } else {
            steady.insert(id);
        }
    }
    let db = test.db.clone();
    let others = tokio::spawn(async move {
        for id in passing {
            let key = key();
            store_image(&db, &image(&key, None)).await.unwrap();
            write(&db, async |conn| ImageRepo::delete(conn, id).await).await.unwrap();
        }
    });

    let mut seen = Vec::new();
    loop {
        let mut conn = test.db.reader().await.unwrap();
        let page = ImageRepo::list(&mut conn, Owner::Anyone, seen.last().copied(), 4).await.unwrap();
        if page.is_empty() {
            break;
        }
        seen.extend(page.iter().map(|image| image.id));
        tokio::task::yield_now().await;
    }
    others.await.unwrap();

    let unique: BTreeSet<_> = seen.iter().copied().collect();
    assert_eq!(unique.len(), seen.len(), "a row was seen twice");
    assert!(unique.is_superset(&steady), "a row was missed");
}

async fn a_row_that_cannot_be_is_refused(test: TestDatabase) {
    let (good_key, long_key) = (key(), "k".repeat(129));
    let good = image(&good_key, None);
    for bad in [
        NewImage { size_bytes: 0, ..good },
        NewImage { width: 0, ..good },
        NewImage { height: -1, ..good },
        NewImage { orientation: 0, ..good },
        NewImage { orientation: 9, ..good },
        NewImage { frame_count: 0, ..good },
        NewImage { filename: "", ..good },
        NewImage { content_type: "", ..good },
        NewImage { format: "", ..good },
        NewImage { s3_key: "", ..good },
        NewImage { s3_key: &long_key, ..good },
    ] {
        assert_refused(&store_image(&test.db, &bad).await, &bad);
    }
    let good = audio(&good_key, None);
    for bad in [
        NewAudio { size_bytes: -1, ..good },
        NewAudio { duration_ms: Some(-1), ..good },
        NewAudio { sample_rate: 0, ..good },
        NewAudio { channels: 0, ..good },
        NewAudio { bit_depth: Some(0), ..good },
        NewAudio { bitrate: Some(0), ..good },
        NewAudio { codec: "", ..good },
    ] {
        assert_refused(&store_audio(&test.db, &bad).await, &bad);
    }
    store_audio(&test.db, &NewAudio { duration_ms: None, bit_depth: None, ..good }).await.unwrap();
}

fn assert_refused<T: std::fmt::Debug>(outcome: &Result<T, RepoError>, row: &impl std::fmt::Debug) {
    use diesel::result::{DatabaseErrorKind, Error};
    let Err(RepoError::Query { source: Error::DatabaseError(DatabaseErrorKind::CheckViolation, _) }) = outcome else {
        panic!("{row:?}: {outcome:?}");
    };
}

async fn unknown_text_in_a_row_is_an_error(test: TestDatabase) {
    let mut conn = test.db.reader().await.unwrap();
    let kind: Result<MediaKind, _> =
        query!(conn, async |db| diesel::select(diesel::dsl::sql::<Text>("'video'")).get_result(db).await);
    assert!(matches!(kind, Err(diesel::result::Error::DeserializationError(_))), "{kind:?}");
    let purpose: Result<IntentPurpose, _> =
        query!(conn, async |db| diesel::select(diesel::dsl::sql::<Text>("'UPLOAD'")).get_result(db).await);
    assert!(matches!(purpose, Err(diesel::result::Error::DeserializationError(_))), "{purpose:?}");
}
