use std::collections::BTreeSet;

use object_store_devkit::samples;
use object_store_models::{ImageId, UserId};
use object_store_repo::Owner;
use object_store_service::{Actor, AudioCreate, Cursor, ImageCreate, ImageRead, ObjectStoreError, Page, PageRequest};

use crate::support::{World, ann, ben, on_both_databases, user};

on_both_databases! {
    a_listing_is_newest_first
    a_walk_shows_everything_once
    a_walk_is_not_disturbed_by_what_happens_meanwhile
    everyone_lists_their_own
    a_page_has_its_limits
    a_cursor_belongs_to_its_listing
}

async fn upload(world: &World, actor: Actor, name: &str) -> ImageId {
    world.service.upload_image(actor, ImageCreate::new(name), samples::png(2, 2).into()).await.unwrap().id
}

async fn page(world: &World, actor: Actor, owner: Owner, limit: u16, after: Option<Cursor>) -> Page<ImageRead> {
    let mut conn = world.service.connection().await.unwrap();
    world.service.list_images(&mut conn, actor, owner, &PageRequest { limit: Some(limit), after }).await.unwrap()
}

async fn walk(world: &World, owner: Owner, limit: u16) -> Vec<ImageId> {
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = page(world, Actor::System, owner, limit, after).await;
        assert!(page.items.len() <= usize::from(limit));
        seen.extend(page.items.iter().map(|image| image.id));
        after = page.next;
        if after.is_none() {
            return seen;
        }
    }
}

async fn a_listing_is_newest_first(world: World) {
    for name in ["1.png", "2.png", "3.png"] {
        upload(&world, ann(), name).await;
    }
    let page = page(&world, ann(), Owner::User(user(1)), 2, None).await;
    let names: Vec<_> = page.items.iter().map(|image| image.filename.as_str()).collect();
    assert_eq!(names, ["3.png", "2.png"]);
    assert!(page.next.is_some());
}

async fn a_walk_shows_everything_once(world: World) {
    let mut uploaded = Vec::new();
    for _ in 0..7 {
        uploaded.push(upload(&world, ann(), "a.png").await);
    }
    uploaded.reverse();
    for limit in [1, 2, 3, 6, 7, 8] {
        assert_eq!(walk(&world, Owner::Anyone, limit).await, uploaded, "pages of {limit}");
    }
}

async fn a_walk_is_not_disturbed_by_what_happens_meanwhile(world: World) {
    let mut uploaded = BTreeSet::new();
    for _ in 0..6 {
        uploaded.insert(upload(&world, ann(), "a.png").await);
    }
    let first = page(&world, Actor::System, Owner::Anyone, 2, None).await;
    let mut seen: Vec<_> = first.items.iter().map(|image| image.id).collect();
    // The item under the cursor goes, and new ones come.
    world.service.delete(Actor::System, seen[1].into()).await.unwrap();
    upload(&world, ann(), "new.png").await;

    let mut after = first.next;
    while after.is_some() {
        let page = page(&world, Actor::System, Owner::Anyone, 2, after).await;
        seen.extend(page.items.iter().map(|image| image.id));
        after = page.next;
    }

    assert_eq!(seen.len(), 6);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), uploaded);
}

async fn everyone_lists_their_own(world: World) {
    let of_ann = upload(&world, ann(), "a.png").await;
    let of_ben = upload(&world, ben(), "b.png").await;
    let of_nobody = upload(&world, Actor::Anonymous, "c.png").await;

    assert_eq!(walk(&world, Owner::User(user(1)), 10).await, [of_ann]);
    assert_eq!(walk(&world, Owner::User(user(2)), 10).await, [of_ben]);
    assert_eq!(walk(&world, Owner::Nobody, 10).await, [of_nobody]);
    assert_eq!(walk(&world, Owner::Anyone, 10).await, [of_nobody, of_ben, of_ann]);

    let mut conn = world.service.connection().await.unwrap();
    let foreign: [(Actor, Owner); 4] = [
        (ann(), Owner::User(user(2))),
        (ann(), Owner::Nobody),
        (ann(), Owner::Anyone),
        (Actor::Anonymous, Owner::Nobody),
    ];
    for (actor, owner) in foreign {
        let refused = world.service.list_images(&mut conn, actor, owner, &PageRequest::default()).await.unwrap_err();
        assert!(matches!(refused, ObjectStoreError::Forbidden), "{actor} {owner:?}");
    }
}

async fn a_page_has_its_limits(world: World) {
    let mut conn = world.service.connection().await.unwrap();
    let mine = Owner::User(UserId::from(uuid::Uuid::from_u128(1)));
    for (limit, code) in [(0, Some("bad_page_size")), (1, None), (200, None), (201, Some("bad_page_size"))] {
        let page = PageRequest::first(limit);
        let images = world.service.list_images(&mut conn, ann(), mine, &page).await;
        assert_eq!(images.as_ref().err().map(ObjectStoreError::code), code, "{limit}");
        let audios = world.service.list_audios(&mut conn, ann(), mine, &page).await;
        assert_eq!(audios.as_ref().err().map(ObjectStoreError::code), code, "{limit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_page_is_never_too_long() {
    let world = World::sqlite().await;
    for _ in 0..3 {
        upload(&world, ann(), "a.png").await;
    }
    let service = world.service_with(|settings| settings.limits.max_page = 2);
    let mut conn = service.connection().await.unwrap();
    let page = service.list_images(&mut conn, ann(), Owner::User(user(1)), &PageRequest::default()).await.unwrap();
    assert_eq!(page.items.len(), 2);
}

async fn a_cursor_belongs_to_its_listing(world: World) {
    for _ in 0..2 {
        let create = AudioCreate::new("a.wav");
        world.service.upload_audio(ann(), create, samples::wav(8_000, 1, 16, 20).into()).await.unwrap();
    }
    let mut conn = world.service.connection().await.unwrap();
    let mine = Owner::User(user(1));
    let first = PageRequest::first(1);
    let page = world.service.list_audios(&mut conn, ann(), mine, &first).await.unwrap();
    let after = page.next.map(|cursor| cursor.to_string().parse().unwrap());

    let second = PageRequest { limit: Some(1), after };
    assert_eq!(world.service.list_audios(&mut conn, ann(), mine, &second).await.unwrap().items.len(), 1);
    let refused = world.service.list_images(&mut conn, ann(), mine, &second).await.unwrap_err();
    assert_eq!(refused.code(), "bad_cursor");
}
