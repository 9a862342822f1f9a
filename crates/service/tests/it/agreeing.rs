//! The same calls on both databases give the same answers.

use object_store_devkit::samples;
use object_store_models::{AudioId, ImageId, MediaId};
use object_store_repo::Owner;
use object_store_service::{
    Actor, AudioCreate, DirectUploadCreate, FileCreate, FileRef, ImageCreate, ObjectStoreService, PageRequest,
    UrlOptions,
};
use serde_json::{Value, json};

use crate::support::{World, ann, ben, user};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_calls_give_the_same_answers() {
    let sqlite = answers(&World::sqlite().await.service).await;
    let postgres = answers(&World::postgres().await.service).await;
    assert_eq!(sqlite, postgres);
    assert!(sqlite.len() > 25);
}

fn answer<T: serde::Serialize>(result: Result<T, object_store_service::ObjectStoreError>) -> Value {
    match result {
        Ok(value) => json!({ "ok": value }),
        Err(error) => json!({ "code": error.code(), "retryable": error.is_retryable(), "text": error.to_string() }),
    }
}

/// Ids, times and cursors differ from run to run.
fn anonymous(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                match name.as_str() {
                    "id" | "created_at" => *field = json!("…"),
                    "next" if !field.is_null() => *field = json!("…"),
                    _ => *field = anonymous(field.take()),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = anonymous(item.take())),
        _ => {}
    }
    value
}

async fn answers(service: &ObjectStoreService) -> Vec<Value> {
    let mut log = Vec::new();
    let names =
        ["plain.png", "emoji 🎈.png", "a\0b.png", "ünïcödé\u{202e}gpj.png", "𝒳.png", "", "x".repeat(300).leak()];
    let mut images = Vec::new();
    for name in names {
        let uploaded = service.upload_image(ann(), ImageCreate::new(name), samples::png(3, 2).into()).await;
        images.extend(uploaded.as_ref().ok().cloned());
        log.push(answer(uploaded));
    }
    let tags = [("Tïtle 🎈", "Ärtist"), ("", ""), ("a\u{200f}b", "c\td")];
    let mut audios = Vec::new();
    for (title, artist) in tags {
        let mp3 = samples::mp3(200, title, artist);
        let uploaded = service.upload_audio(ben(), AudioCreate::new("a.mp3"), mp3.into()).await;
        audios.extend(uploaded.as_ref().ok().cloned());
        log.push(answer(uploaded));
    }
    for bytes in [samples::html(), Vec::new(), samples::png_bomb(60_000, 60_000), samples::wav(8_000, 1, 16, 5)] {
        log.push(answer(service.upload_file(Actor::Anonymous, FileCreate::new("f"), bytes.into()).await));
    }
    let mut conn = service.connection().await.unwrap();
    for actor in [ann(), ben(), Actor::Anonymous, Actor::System] {
        log.push(answer(service.get_image(&mut conn, actor, images[0].id).await));
        log.push(answer(service.get_image(&mut conn, actor, ImageId::new()).await));
        log.push(answer(service.get_audio(&mut conn, actor, audios[0].id).await));
        log.push(answer(service.get_audio(&mut conn, actor, AudioId::from(images[0].id.uuid())).await));
        for owner in [Owner::User(user(1)), Owner::Nobody, Owner::Anyone] {
            let page = PageRequest::first(3);
            log.push(answer(service.list_images(&mut conn, actor, owner, &page).await));
            log.push(answer(service.list_audios(&mut conn, actor, owner, &page).await));
        }
        let signed = service.signed_url(actor, FileRef::from(&images[0]), &UrlOptions::default()).await;
        log.push(answer(signed.map(|_| ())));
    }
    drop(conn);
    for actor in [ben(), ann(), ann()] {
        log.push(answer(service.delete(actor, MediaId::from(images[0].id)).await));
    }
    for (content_type, key) in [("image/png", "a"), ("image/png", "a"), ("image/jpeg", "a"), ("text/html", "b")] {
        let create = DirectUploadCreate::image("d.png", content_type).idempotent(key);
        let begun = service.begin_direct_upload(ann(), create).await;
        let id = begun.as_ref().ok().map(|upload| upload.id);
        log.push(answer(begun.map(|_| ())));
        for id in id.into_iter().chain([MediaId::from(ImageId::new())]) {
            log.push(answer(service.complete_upload(ben(), id).await));
            log.push(answer(service.complete_upload(ann(), id).await));
            log.push(answer(service.cancel_upload(ann(), id).await));
            log.push(answer(service.complete_upload(ann(), id).await));
        }
    }
    for (name, key) in [("k.png", "k"), ("k.png", "k"), ("l.png", "k"), ("k.png", "")] {
        let create = ImageCreate::new(name).idempotent(key);
        log.push(answer(service.upload_image(ann(), create, samples::png(3, 2).into()).await));
    }
    log.push(answer(service.sweep().await));
    log.into_iter().map(anonymous).collect()
}
