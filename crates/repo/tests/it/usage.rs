//! Counters of what users have.

use std::time::Duration;

use object_store_models::{ImageModel, IntentPurpose, NewIntent, UserId, UserUsage};
use object_store_repo::{CompleteOutcome, Deadlines, ImageRepo, IntentRepo, RepoError, Reservation, Result, UsageRepo};

use crate::support::{TestDatabase, audio, image, intent, key, store_audio, store_image, user, write};

on_both_backends!(migrated:
    a_counter_is_built_once_from_what_is_there,
    bytes_are_reserved_up_to_the_limit,
    of_many_at_once_as_many_reserve_as_fit,
    many_at_once_build_one_counter,
    a_counter_that_would_fall_below_nothing_is_counted_anew,
    counters_are_compared_page_by_page,
    an_intent_gives_back_once,
    an_intent_that_holds_something_does_not_go,
);

const NOW: Deadlines = Deadlines { not_before_in: Duration::ZERO, clears_in: Duration::ZERO };

fn of(user_id: UserId, used_bytes: i64, reserved_bytes: i64) -> UserUsage {
    UserUsage { user_id, used_bytes, reserved_bytes }
}

async fn counter(test: &TestDatabase, user: UserId) -> Option<UserUsage> {
    UsageRepo::get(&mut test.db.reader().await.unwrap(), user).await.unwrap()
}

async fn stored(test: &TestDatabase, user: Option<UserId>) -> ImageModel {
    store_image(&test.db, &image(&key(), user)).await.unwrap()
}

/// An intent of the user's that holds so many bytes.
async fn holding(test: &TestDatabase, user: UserId, key: &str, bytes: i64) {
    let new = NewIntent { user_id: Some(user), ..intent(key, IntentPurpose::Upload) };
    write(&test.db, async |conn| IntentRepo::create_reserving(conn, &new, NOW, bytes).await).await.unwrap();
}

async fn a_counter_is_built_once_from_what_is_there(test: TestDatabase) {
    let (ann, ben) = (user(), user());
    let size = stored(&test, Some(ann)).await.size_bytes;
    stored(&test, Some(ann)).await;
    stored(&test, Some(ben)).await;
    stored(&test, None).await;
    store_audio(&test.db, &audio(&key(), Some(ann))).await.unwrap();
    holding(&test, ann, "a", 7).await;
    holding(&test, ann, "b", 0).await;
    holding(&test, ben, "c", 9).await;
    let truth = of(ann, 2 * size + 1, 7);
    assert_eq!(counter(&test, ann).await, None);
    assert_eq!(UsageRepo::count(&mut test.db.reader().await.unwrap(), ann).await.unwrap(), truth);

    assert_eq!(write(&test.db, async |conn| UsageRepo::lock(conn, ann).await).await, truth);
    stored(&test, Some(ann)).await;
    assert_eq!(write(&test.db, async |conn| UsageRepo::lock(conn, ann).await).await, truth, "nobody has told it");
    assert!(write(&test.db, async |conn| UsageRepo::recount(conn, ann).await).await);
    assert!(!write(&test.db, async |conn| UsageRepo::recount(conn, ann).await).await);
    assert_eq!(counter(&test, ann).await, Some(of(ann, 3 * size + 1, 7)));

    assert!(!write(&test.db, async |conn| UsageRepo::forget(conn, ann).await).await);
    let nobody = user();
    write(&test.db, async |conn| UsageRepo::lock(conn, nobody).await).await;
    assert!(write(&test.db, async |conn| UsageRepo::forget(conn, nobody).await).await);
    assert_eq!(counter(&test, nobody).await, None);
}

async fn bytes_are_reserved_up_to_the_limit(test: TestDatabase) {
    let ann = user();
    let reserve =
        async |bytes, limit| write(&test.db, async |conn| UsageRepo::reserve(conn, ann, bytes, limit).await).await;
    assert_eq!(reserve(6, Some(10)).await, Reservation::Made);
    assert_eq!(reserve(5, Some(10)).await, Reservation::Exceeded(of(ann, 0, 6)));
    write(&test.db, async |conn| UsageRepo::shift(conn, ann, 6, -6).await).await;
    assert_eq!(reserve(5, Some(10)).await, Reservation::Exceeded(of(ann, 6, 0)));
    assert_eq!(reserve(4, Some(10)).await, Reservation::Made);
    assert_eq!(reserve(1, Some(0)).await, Reservation::Exceeded(of(ann, 6, 4)));
    assert_eq!(reserve(1 << 40, None).await, Reservation::Made);
    assert_eq!(reserve(i64::MAX, Some(i64::MAX)).await, Reservation::Exceeded(of(ann, 6, 4 + (1 << 40))));
    assert_eq!(counter(&test, ann).await, Some(of(ann, 6, 4 + (1 << 40))));
}

async fn of_many_at_once_as_many_reserve_as_fit(test: TestDatabase) {
    let ann = user();
    let reserving: Vec<_> = (0..12)
        .map(|_| {
            let db = test.db.clone();
            tokio::spawn(async move {
                write(&db, async |conn| UsageRepo::reserve(conn, ann, 3, Some(20)).await).await == Reservation::Made
            })
        })
        .collect();
    let mut made = 0;
    for reserve in reserving {
        made += usize::from(reserve.await.unwrap());
    }
    assert_eq!(made, 6);
    assert_eq!(counter(&test, ann).await, Some(of(ann, 0, 18)));
}

/// Each counts a row of its own; whoever comes first builds the counter.
async fn many_at_once_build_one_counter(test: TestDatabase) {
    for _ in 0..5 {
        let ann = user();
        let size = stored(&test, Some(ann)).await.size_bytes;
        let counting: Vec<_> = (0..6)
            .map(|_| {
                let db = test.db.clone();
                tokio::spawn(async move {
                    write(&db, async |conn| {
                        UsageRepo::lock(conn, ann).await?;
                        ImageRepo::create(conn, &image(&key(), Some(ann))).await?;
                        UsageRepo::shift(conn, ann, size, 0).await
                    })
                    .await;
                })
            })
            .collect();
        for count in counting {
            count.await.unwrap();
        }
        assert_eq!(counter(&test, ann).await, Some(of(ann, 7 * size, 0)));
    }
}

async fn a_counter_that_would_fall_below_nothing_is_counted_anew(test: TestDatabase) {
    let ann = user();
    write(&test.db, async |conn| UsageRepo::lock(conn, ann).await).await;
    let size = stored(&test, Some(ann)).await.size_bytes;
    holding(&test, ann, "a", 5).await;
    for (used, reserved) in [(-1, 0), (0, -1), (-size, 5)] {
        write(&test.db, async |conn| UsageRepo::shift(conn, ann, used, reserved).await).await;
        assert_eq!(counter(&test, ann).await, Some(of(ann, size, 5)));
        let undone: Result<()> = test
            .db
            .transaction(async |conn| {
                UsageRepo::shift(conn, ann, -size, -5).await?;
                Err(RepoError::Conflict { constraint: None })
            })
            .await;
        assert!(undone.is_err());
        write(&test.db, async |conn| UsageRepo::shift(conn, ann, -size, -5).await).await;
        assert_eq!(counter(&test, ann).await, Some(of(ann, 0, 0)));
    }
}

async fn counters_are_compared_page_by_page(test: TestDatabase) {
    let mut users = [user(), UserId::from(uuid::Uuid::nil()), user()];
    users.sort();
    for user in users {
        write(&test.db, async |conn| UsageRepo::reserve(conn, user, 2, None).await).await;
    }
    holding(&test, users[1], "a", 2).await;
    let compare =
        async |after, limit| UsageRepo::compare(&mut test.db.reader().await.unwrap(), after, limit).await.unwrap();
    let all = compare(None, 9).await;
    assert_eq!(all.iter().map(|counter| counter.user_id).collect::<Vec<_>>(), users);
    assert_eq!(all.iter().map(object_store_repo::UsageComparison::agrees).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!((all[0].reserved_bytes, all[0].true_reserved_bytes), (2, 0));
    assert_eq!(compare(None, 2).await, all[..2]);
    assert_eq!(compare(Some(users[1]), 2).await, all[2..]);
}

async fn an_intent_gives_back_once(test: TestDatabase) {
    let ann = user();
    holding(&test, ann, "a", 5).await;
    let release = async |bytes| write(&test.db, async |conn| IntentRepo::release(conn, "a", bytes).await).await;
    let reserved =
        async |generation| IntentRepo::reserved(&mut test.db.reader().await.unwrap(), "a", generation).await.unwrap();
    assert_eq!((reserved(1).await, reserved(2).await), (Some(5), None));
    assert!(!release(4).await && release(5).await && !release(5).await && !release(0).await);
    assert_eq!(reserved(1).await, Some(0));
    let set =
        async |generation| write(&test.db, async |conn| IntentRepo::set_reserved(conn, "a", generation, 3).await).await;
    assert!(set(1).await && !set(2).await);
    let settle =
        async |generation| write(&test.db, async |conn| IntentRepo::settle_upload(conn, "a", generation).await).await;
    assert_eq!((settle(2).await, settle(1).await, settle(1).await), (None, Some(3), None));
}

async fn an_intent_that_holds_something_does_not_go(test: TestDatabase) {
    let ann = user();
    holding(&test, ann, "a", 5).await;
    let claimed = write(&test.db, async |conn| IntentRepo::claim_due(conn, 9, Duration::from_mins(5)).await).await;
    assert_eq!((claimed.len(), claimed[0].reserved_bytes), (1, 5));
    let complete = async || write(&test.db, async |conn| IntentRepo::complete(conn, "a", 2).await).await;
    assert_eq!(complete().await, CompleteOutcome::Waiting);
    // A purge is nobody's upload any more.
    assert!(!write(&test.db, async |conn| IntentRepo::set_reserved(conn, "a", 2, 9).await).await);
    assert!(write(&test.db, async |conn| IntentRepo::release(conn, "a", 5).await).await);
    assert_eq!(complete().await, CompleteOutcome::Cleared);
}
