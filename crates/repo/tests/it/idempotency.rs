//! Idempotency keys.

use std::time::Duration;

use object_store_models::{ImageId, MediaId, NewIdempotencyKey, UserId};
use object_store_repo::{ClaimedKey, IdempotencyRepo, read_clock};

use crate::support::{TestDatabase, user, write};

on_both_backends!(migrated:
    a_key_stands_for_one_upload_of_each_user,
    a_key_is_passed_on_until_it_is_settled,
    claims_at_the_same_time_see_one_another,
    keys_are_forgotten_when_their_time_is_over,
    the_keys_of_a_user_are_forgotten,
    the_key_of_an_upload_under_way_is_renewed,
);

const DAY: Duration = Duration::from_hours(24);

fn new(user: Option<UserId>, key: &str) -> NewIdempotencyKey<'_> {
    NewIdempotencyKey::new(ImageId::new().into(), user, key, [1; 32].into())
}

async fn claim(test: &TestDatabase, new: &NewIdempotencyKey<'_>, expires_in: Duration) -> ClaimedKey {
    write(&test.db, async |conn| IdempotencyRepo::claim(conn, new, expires_in).await).await.unwrap()
}

async fn taken_by(test: &TestDatabase, new: &NewIdempotencyKey<'_>) -> Option<MediaId> {
    match claim(test, new, DAY).await {
        ClaimedKey::Fresh => None,
        ClaimedKey::Taken(row) => Some(row.media_id()),
    }
}

async fn count(test: &TestDatabase) -> i64 {
    IdempotencyRepo::count(&mut test.db.reader().await.unwrap()).await.unwrap()
}

async fn a_key_stands_for_one_upload_of_each_user(test: TestDatabase) {
    for owner in [None, Some(user()), Some(user())] {
        let first = new(owner, "same");
        assert_eq!(claim(&test, &first, DAY).await, ClaimedKey::Fresh);
        let ClaimedKey::Taken(row) = claim(&test, &new(owner, "same"), DAY).await else { panic!("claimed twice") };
        assert_eq!((row.media_id(), row.user_id, row.request_hash), (first.media_id(), owner, first.request_hash));
        assert_eq!(row.stored_at, None);
        assert_eq!(row.expires_at, row.created_at.checked_add(DAY).unwrap());
        assert_eq!(claim(&test, &new(owner, "Same"), DAY).await, ClaimedKey::Fresh, "keys differ by case");
    }
    assert_eq!(count(&test).await, 6);
}

async fn a_key_is_passed_on_until_it_is_settled(test: TestDatabase) {
    let owner = Some(user());
    let (first, second, third) = (new(owner, "key"), new(owner, "key"), new(owner, "key"));
    claim(&test, &first, DAY).await;
    let pass_on = async |from: &NewIdempotencyKey<'_>, to: &NewIdempotencyKey<'_>| {
        write(&test.db, async |conn| IdempotencyRepo::pass_on(conn, from.media_id(), to, DAY).await).await
    };
    let settle = async |of: &NewIdempotencyKey<'_>| {
        write(&test.db, async |conn| IdempotencyRepo::settle(conn, of.media_id(), DAY).await).await
    };
    assert!(pass_on(&first, &second).await);
    assert_eq!(taken_by(&test, &third).await, Some(second.media_id()));
    assert!(!pass_on(&first, &third).await);
    assert!(!settle(&first).await, "the first upload has lost its key");
    assert!(settle(&second).await);
    assert!(settle(&second).await, "a commit may be repeated");
    assert!(!pass_on(&second, &third).await);
    assert_eq!(taken_by(&test, &third).await, Some(second.media_id()));
}

async fn claims_at_the_same_time_see_one_another(test: TestDatabase) {
    let owner = Some(user());
    let claims: Vec<_> = (0..8)
        .map(|_| {
            let db = test.db.clone();
            tokio::spawn(async move {
                let new = new(owner, "key");
                write(&db, async |conn| IdempotencyRepo::claim(conn, &new, DAY).await).await.unwrap()
            })
        })
        .collect();
    let mut fresh = 0;
    for claim in claims {
        fresh += usize::from(claim.await.unwrap() == ClaimedKey::Fresh);
    }
    assert_eq!((fresh, count(&test).await), (1, 1));
    test.assert_at_rest().await;
}

async fn keys_are_forgotten_when_their_time_is_over(test: TestDatabase) {
    let forget = async || write(&test.db, async |conn| IdempotencyRepo::forget_expired(conn, 2).await).await;
    let settled = new(None, "settled");
    for key in [&settled, &new(None, "a"), &new(None, "b"), &new(None, "c")] {
        claim(&test, key, Duration::ZERO).await;
    }
    claim(&test, &new(None, "young"), DAY).await;
    write(&test.db, async |conn| IdempotencyRepo::settle(conn, settled.media_id(), DAY).await).await;
    assert_eq!((forget().await, forget().await, forget().await), (2, 1, 0));
    assert_eq!(count(&test).await, 2);
}

async fn the_keys_of_a_user_are_forgotten(test: TestDatabase) {
    let (ann, ben) = (user(), user());
    for owner in [Some(ann), Some(ben), None] {
        claim(&test, &new(owner, "key"), DAY).await;
    }
    let until = read_clock(&mut test.db.reader().await.unwrap()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    claim(&test, &new(Some(ann), "later"), DAY).await;
    assert_eq!(write(&test.db, async |conn| IdempotencyRepo::forget_of_user(conn, ann, until).await).await, 1);
    assert_eq!(count(&test).await, 3);
}

async fn the_key_of_an_upload_under_way_is_renewed(test: TestDatabase) {
    let (open, settled) = (new(None, "open"), new(None, "settled"));
    for key in [&open, &settled] {
        claim(&test, key, Duration::ZERO).await;
    }
    write(&test.db, async |conn| IdempotencyRepo::settle(conn, settled.media_id(), Duration::ZERO).await).await;
    let renew = async |id| write(&test.db, async |conn| IdempotencyRepo::renew(conn, id, DAY).await).await;
    assert!(renew(open.media_id()).await);
    assert!(!renew(settled.media_id()).await, "its time runs from its commit");
    assert!(!renew(MediaId::Image(ImageId::new())).await);
    write(&test.db, async |conn| IdempotencyRepo::forget_expired(conn, 9).await).await;
    assert_eq!(count(&test).await, 1);
}
