use std::time::Duration;

use futures::StreamExt;
use object_store_devkit::samples;
use object_store_public::{
    AudioCreate, ByteRange, Disposition, FileCreate, FileRef, ImageCreate, ObjectStoreProvider, Owner, PageRequest,
    UploadBody, UrlOptions, bytes::Bytes,
};
use sha2::Digest;

use crate::support::{World, ann, on_both_databases};

on_both_databases! {
    a_file_goes_through_its_whole_life
    every_sample_comes_back_over_http
    a_long_stream_of_unknown_length_is_stored_in_parts
    an_upload_that_breaks_off_leaves_nothing_in_storage
    a_signed_url_is_good_for_what_it_was_signed_for_alone
}

async fn a_file_goes_through_its_whole_life(world: World) {
    let store = &world.store;
    let png = samples::png(120, 80);
    let create = ImageCreate::new("Größe \"1\".png").declared("image/png");
    let image = store.upload_image(ann(), create, png.clone().into()).await.unwrap();
    assert_eq!((image.width, image.height), (120, 80));

    let options = UrlOptions { disposition: Disposition::Attachment, ..UrlOptions::default() };
    let signed = store.signed_url(ann(), (&image).into(), &options).await.unwrap();
    let answer = reqwest::get(&signed.url).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "image/png");
    let disposition = answer.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(disposition.starts_with("attachment; filename=\"Gr"), "{disposition}");
    assert!(disposition.ends_with("filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%221%22.png"), "{disposition}");
    assert_eq!(answer.bytes().await.unwrap(), png);

    let page = {
        let mut conn = store.connection().await.unwrap();
        let mine = Owner::User(image.user_id.unwrap());
        store.list_images(&mut conn, ann(), mine, &PageRequest::default()).await.unwrap()
    };
    assert_eq!(page.items, std::slice::from_ref(&image));

    store.delete(ann(), image.id.into()).await.unwrap();
    assert_eq!(reqwest::get(&signed.url).await.unwrap().status(), 404);
    assert_eq!(store.sweep().await.unwrap().claimed, 0);
    assert_eq!(world.in_storage().await, (Vec::new(), 0));
    assert_eq!(store.pool_status().in_use, 0);
}

async fn every_sample_comes_back_over_http(world: World) {
    let store = &world.store;
    for sample in samples::gallery_set() {
        let create = FileCreate::new(sample.filename).declared(sample.content_type);
        let file = store.upload_file(ann(), create, sample.bytes.clone().into()).await.unwrap();
        let signed = store.signed_url(ann(), FileRef::from(&file), &UrlOptions::default()).await.unwrap();
        let answer = reqwest::get(&signed.url).await.unwrap();
        assert_eq!(answer.headers()["content-type"], sample.content_type, "{}", sample.filename);
        assert_eq!(answer.bytes().await.unwrap(), sample.bytes, "{}", sample.filename);
    }
}

async fn a_long_stream_of_unknown_length_is_stored_in_parts(world: World) {
    let store = &world.store;
    let wav = samples::wav(48_000, 2, 16, 110_000);
    assert!(wav.len() > 20 << 20);
    let audio = store.upload_audio(ann(), AudioCreate::new("long.wav"), dripping(&wav)).await.unwrap();
    assert_eq!((audio.duration_ms, audio.size_bytes), (Some(110_000), wav.len() as u64));
    assert_eq!(*audio.sha256.unwrap().as_bytes(), <[u8; 32]>::from(sha2::Sha256::digest(&wav)));

    let range = ByteRange { start: 12_345_678, length: 1_000_000 };
    let mut part = Vec::new();
    let mut download = store.download(ann(), audio.id.into(), Some(range)).await.unwrap().stream;
    while let Some(piece) = download.next().await {
        part.extend_from_slice(&piece.unwrap());
    }
    assert!(part == wav[12_345_678..13_345_678]);
    assert_eq!(world.in_storage().await.1, 0);
}

async fn an_upload_that_breaks_off_leaves_nothing_in_storage(world: World) {
    let wav = samples::wav(48_000, 2, 16, 110_000);
    for length in [None, Some(wav.len() as u64)] {
        let cut = pieces(&wav[..18 << 20]).chain(broken()).boxed();
        let body = UploadBody::from_stream(cut, length);
        let failed = world.store.upload_audio(ann(), AudioCreate::new("a.wav"), body).await.unwrap_err();
        assert_eq!(failed.code(), "body_unreadable");
        assert_eq!(world.in_storage().await, (Vec::new(), 0));
    }
}

fn broken() -> impl futures::Stream<Item = std::io::Result<Bytes>> + Send {
    futures::stream::iter([Err(std::io::Error::other("the client has gone"))])
}

async fn a_signed_url_is_good_for_what_it_was_signed_for_alone(world: World) {
    let store = &world.store;
    let image = store.upload_image(ann(), ImageCreate::new("a.png"), samples::png(5, 5).into()).await.unwrap();
    let options = UrlOptions::expiring_in(Duration::from_secs(1));
    let signed = store.signed_url(ann(), (&image).into(), &options).await.unwrap();

    let client = reqwest::Client::new();
    let tampered = signed.url.replace("inline", "attachment");
    assert_ne!(tampered, signed.url);
    assert_eq!(client.get(&tampered).send().await.unwrap().status(), 403);
    assert_eq!(client.put(&signed.url).body("x").send().await.unwrap().status(), 403);
    assert_eq!(client.delete(&signed.url).send().await.unwrap().status(), 403);
    let unsigned = signed.url.split('?').next().unwrap();
    assert_eq!(client.get(unsigned).send().await.unwrap().status(), 403);

    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(client.get(&signed.url).send().await.unwrap().status(), 403, "expired");
}

fn pieces(bytes: &[u8]) -> impl futures::Stream<Item = std::io::Result<Bytes>> + Send + use<> {
    let pieces: Vec<_> = bytes.chunks(64 << 10).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    futures::stream::iter(pieces)
}

fn dripping(bytes: &[u8]) -> UploadBody {
    UploadBody::from_stream(pieces(bytes).boxed(), None)
}
