use std::time::Duration;

use object_store_devkit::samples;
use object_store_service::{Actor, Disposition, FileRef, ImageCreate, ImageRead, ObjectStoreError, UrlOptions};
use object_store_storage::CdnUrl;

use crate::support::{World, ann, ben};

async fn upload(world: &World, actor: Actor, name: &str) -> ImageRead {
    world.service.upload_image(actor, ImageCreate::new(name), samples::png(6, 5).into()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_url_gives_the_bytes_with_their_type_and_name() {
    let world = World::sqlite().await;
    let image = upload(&world, ann(), "übersicht.png").await;

    let signed = world.service.signed_url(ann(), (&image).into(), &UrlOptions::default()).await.unwrap();
    let answer = world.memory.fetch(&signed.url).unwrap();
    assert_eq!(answer.bytes, samples::png(6, 5));
    assert_eq!(answer.content_type.as_deref(), Some("image/png"));
    let disposition = answer.content_disposition.unwrap();
    assert!(disposition.starts_with("inline; "), "{disposition}");
    assert!(disposition.ends_with("filename*=UTF-8''%C3%BCbersicht.png"), "{disposition}");

    let options = UrlOptions { disposition: Disposition::Attachment, ..UrlOptions::default() };
    let signed = world.service.signed_url(ann(), (&image).into(), &options).await.unwrap();
    let answer = world.memory.fetch(&signed.url).unwrap();
    assert!(answer.content_disposition.unwrap().starts_with("attachment; "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_url_expires() {
    let world = World::sqlite().await;
    let image = upload(&world, ann(), "a.png").await;
    let options = UrlOptions::expiring_in(Duration::from_mins(1));
    let signed = world.service.signed_url(ann(), (&image).into(), &options).await.unwrap();

    world.memory.advance(Duration::from_secs(59));
    assert!(world.memory.fetch(&signed.url).is_ok());
    world.memory.advance(Duration::from_secs(2));
    assert!(world.memory.fetch(&signed.url).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cacheable_url_is_the_same_for_a_while_and_works_as_long_as_was_promised() {
    let world = World::sqlite().await;
    let image = upload(&world, ann(), "a.png").await;
    let hour = Duration::from_hours(1);
    let options = UrlOptions::cacheable(hour);
    let sign = async || world.service.signed_url(ann(), (&image).into(), &options).await.unwrap();
    let first = sign().await;
    let mut changes = 0;
    let mut last = first.clone();
    for _ in 0..60 {
        world.memory.advance(Duration::from_mins(2));
        let next = sign().await;
        changes += u32::from(next != last);
        last = next;
    }
    assert!((2..=3).contains(&changes), "{changes} changes in 2 hours");

    let answer = world.memory.fetch(&last.url).unwrap();
    assert_eq!(answer.cache_control.as_deref(), Some("max-age=3600, immutable"));
    world.memory.advance(hour.checked_sub(Duration::from_secs(1)).unwrap());
    assert!(world.memory.fetch(&last.url).is_ok());
    world.memory.advance(hour + Duration::from_secs(2));
    assert!(world.memory.fetch(&last.url).is_err());

    let too_long = UrlOptions::cacheable(Duration::from_hours(7 * 12 + 1));
    let refused = world.service.signed_url(ann(), (&image).into(), &too_long).await.unwrap_err();
    assert_eq!(refused.code(), "bad_url_life");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_has_an_address_on_a_cdn_where_there_is_one() {
    let world = World::sqlite().await;
    let image = upload(&world, ann(), "a.png").await;
    let unset = world.service.cdn_url(ann(), (&image).into()).unwrap_err();
    assert_eq!(unset.code(), "misconfigured");
    let cdn = CdnUrl::parse("https://media.example.org/app/").unwrap();
    let service = world.service_with(|settings| settings.cdn = Some(cdn.clone()));
    let url = service.cdn_url(ann(), (&image).into()).unwrap();
    assert_eq!(url, format!("https://media.example.org/app/{}", world.memory.keys()[0]));
    assert_eq!(service.cdn_url(ben(), (&image).into()).unwrap_err().code(), "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_url_lives_between_a_second_and_a_week() {
    let world = World::sqlite().await;
    let image = upload(&world, ann(), "a.png").await;
    let week = 7 * 24 * 60 * 60;
    for (seconds, code) in [
        (0, Some("bad_url_life")),
        (1, None),
        (week, None),
        (week + 1, Some("bad_url_life")),
        (u64::MAX, Some("bad_url_life")),
    ] {
        let options = UrlOptions::expiring_in(Duration::from_secs(seconds));
        let signed = world.service.signed_url(ann(), (&image).into(), &options).await;
        assert_eq!(signed.as_ref().err().map(ObjectStoreError::code), code, "{seconds}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_signed_without_asking_anyone() {
    let world = World::sqlite().await;
    let images = [upload(&world, ann(), "a.png").await, upload(&world, Actor::Anonymous, "b.png").await];
    let files: Vec<_> = images.iter().map(FileRef::from).collect();
    let before = world.memory.calls().requests();

    // All connections are taken: signing needs none.
    let mut taken = Vec::new();
    for _ in 0..4 {
        taken.push(world.service.connection().await.unwrap());
    }
    let signed = world.service.signed_urls(ann(), &files, &UrlOptions::default()).await.unwrap();

    assert_eq!(signed.len(), 2);
    assert_ne!(signed[0].url, signed[1].url);
    assert_eq!(world.memory.calls().requests(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_page_with_foreign_files_is_signed() {
    let world = World::sqlite().await;
    let images = [upload(&world, ben(), "b.png").await, upload(&world, ann(), "a.png").await];
    let files: Vec<_> = images.iter().map(FileRef::from).collect();
    let before = world.memory.calls().total();
    for actor in [ann(), ben(), Actor::Anonymous] {
        let refused = world.service.signed_urls(actor, &files, &UrlOptions::default()).await.unwrap_err();
        assert!(matches!(refused, ObjectStoreError::Forbidden));
    }
    assert_eq!(world.memory.calls().total(), before);
    assert!(world.service.signed_urls(Actor::System, &files, &UrlOptions::default()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_url_is_not_shown_by_debug() {
    let world = World::sqlite().await;
    let image = upload(&world, ann(), "a.png").await;
    let signed = world.service.signed_url(ann(), (&image).into(), &UrlOptions::default()).await.unwrap();
    assert!(!format!("{signed:?}").contains("signature"), "{signed:?}");
}
