use object_store_devkit::samples;
use object_store_public::{Config, FileRef, ImageCreate, ObjectStoreProvider, UrlOptions, open};
use tempfile::TempDir;

use crate::support::ann;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_is_there_after_a_restart_and_under_the_same_url() {
    let directory = TempDir::new().unwrap();
    let store = open(Config::embedded(directory.path())).await.unwrap();
    let png = samples::png(7, 7);
    let image = store.upload_image(ann(), ImageCreate::new("a.png"), png.clone().into()).await.unwrap();
    let signed = store.signed_url(ann(), FileRef::from(&image), &UrlOptions::default()).await.unwrap();
    drop(store);

    let store = open(Config::embedded(directory.path())).await.unwrap();
    let mut conn = store.connection().await.unwrap();
    assert_eq!(store.get_image(&mut conn, ann(), image.id).await.unwrap(), image);
    assert_eq!(reqwest::get(&signed.url).await.unwrap().bytes().await.unwrap(), png);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_module_uses_the_server_of_the_first() {
    let directory = TempDir::new().unwrap();
    let first = open(Config::embedded(directory.path())).await.unwrap();
    let second = open(Config::embedded(directory.path())).await.unwrap();
    let image = first.upload_image(ann(), ImageCreate::new("a.png"), samples::png(7, 7).into()).await.unwrap();
    let download = second.download(ann(), image.id.into(), None).await.unwrap();
    assert_eq!(download.length, image.size_bytes);
    let endpoints = [first.bucket_info().await.unwrap().endpoint, second.bucket_info().await.unwrap().endpoint];
    assert_eq!(endpoints[0], endpoints[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_is_made_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let parent = TempDir::new().unwrap();
    let directory = parent.path().join("new/store");
    let _store = open(Config::embedded(&directory)).await.unwrap();
    let mode = std::fs::metadata(&directory).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(std::fs::read_to_string(directory.join(".gitignore")).unwrap(), "*\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_cannot_be_made_is_an_error_that_names_it() {
    let parent = TempDir::new().unwrap();
    let file = parent.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = open(Config::embedded(file.join("store"))).await.unwrap_err();
    assert_eq!(error.code(), "misconfigured");
    assert!(error.to_string().contains("file/store"), "{error}");
}
