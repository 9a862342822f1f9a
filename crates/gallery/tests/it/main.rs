//! The gallery on the whole real module, in a throw-away database and in memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use object_store_devkit::samples;
use object_store_gallery::{Gallery, GalleryError};
use object_store_public::{
    Actor, Config, ImageCreate, ObjectStoreError, ObjectStoreProvider, PageRequest, UserId, object_store_provider, uuid,
};

async fn gallery() -> (Gallery, Arc<dyn ObjectStoreProvider>) {
    let store = object_store_provider(Config::ephemeral()).await.unwrap();
    let gallery = Gallery::new(store.clone());
    gallery.install().await.unwrap();
    (gallery, store)
}

fn user(number: u128) -> UserId {
    UserId::from(uuid::Uuid::from_u128(number))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_shown_with_its_title() {
    let (gallery, _) = gallery().await;
    let (ann, png) = (user(1), samples::png(40, 30));

    let added = gallery.add(ann, "Dawn", ImageCreate::new("dawn.png"), png.into()).await.unwrap();
    gallery.add(ann, "Dusk", ImageCreate::new("dusk.png"), samples::png(30, 40).into()).await.unwrap();

    let page = gallery.show(ann, &PageRequest::default()).await.unwrap();
    let titles: Vec<_> = page.items.iter().map(|picture| picture.title.as_str()).collect();
    assert_eq!(titles, ["Dusk", "Dawn"]);
    assert_eq!((added.image.width, added.image.height), (40, 30));
    assert!(gallery.show(user(2), &PageRequest::default()).await.unwrap().items.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_whose_row_fails_leaves_no_image() {
    let (gallery, store) = gallery().await;
    let (ann, untitled) = (user(1), "");
    let failed = gallery.add(ann, untitled, ImageCreate::new("a.png"), samples::png(4, 4).into()).await.unwrap_err();
    assert!(matches!(failed, GalleryError::Query(_)), "{failed:?}");
    assert!(gallery.show(ann, &PageRequest::default()).await.unwrap().items.is_empty());
    // Not even for a sweep is there anything left.
    assert_eq!(store.sweep().await.unwrap().claimed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_a_gallery_shows_cannot_be_deleted_behind_its_back() {
    let (gallery, store) = gallery().await;
    let ann = user(1);
    let added = gallery.add(ann, "Dawn", ImageCreate::new("a.png"), samples::png(4, 4).into()).await.unwrap();
    let refused = store.delete(Actor::User(ann), added.image.id.into()).await.unwrap_err();
    assert_eq!((refused.code(), refused.is_retryable()), ("conflict", false));
    assert_eq!(gallery.show(ann, &PageRequest::default()).await.unwrap().items.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_removes_a_picture() {
    let (gallery, _) = gallery().await;
    let (ann, ben) = (user(1), user(2));
    let added = gallery.add(ann, "Dawn", ImageCreate::new("dawn.png"), samples::png(4, 4).into()).await.unwrap();

    let refused = gallery.remove(ben, added.image.id).await.unwrap_err();
    assert!(matches!(refused, GalleryError::Store(ObjectStoreError::Forbidden)), "{refused:?}");
    assert_eq!(gallery.show(ann, &PageRequest::default()).await.unwrap().items.len(), 1);

    gallery.remove(ann, added.image.id).await.unwrap();
    assert!(gallery.show(ann, &PageRequest::default()).await.unwrap().items.is_empty());
}
