//! Direct uploads as a browser and a script do them, over HTTP.

use object_store_devkit::samples;
use object_store_public::bytes::Bytes;
use object_store_public::{
    DirectUpload, DirectUploadCreate, FileRef, FileUploadResult, ObjectStoreProvider, SignedPart, UploadMethod,
    UrlOptions,
};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, StatusCode};

use crate::support::{World, ann, on_both_databases};

on_both_databases! {
    a_browser_posts_a_form_and_posting_it_again_changes_nothing
    a_script_puts_a_file
    a_form_takes_nothing_but_what_it_was_signed_for
    a_large_file_is_posted_and_copied
    what_a_script_sends_along_is_not_served
    a_client_whose_connection_is_lost_goes_on_where_it_was
    an_upload_in_parts_that_is_cancelled_leaves_nothing
}

async fn post(upload: &DirectUpload, bytes: Vec<u8>) -> StatusCode {
    post_with(upload, bytes, |_, value| value.to_owned()).await
}

/// Posts the form with fields that may be changed on the way.
async fn post_with(upload: &DirectUpload, bytes: Vec<u8>, change: impl Fn(&str, &str) -> String) -> StatusCode {
    let UploadMethod::Post { url, fields, .. } = &upload.method else { panic!("{upload:?}") };
    let mut form = Form::new();
    for (name, value) in fields {
        form = form.text(name.clone(), change(name, value));
    }
    // A browser names the file and tells its own idea of its type; neither matters.
    let file = Part::bytes(bytes).file_name("holiday.html").mime_str("text/html").unwrap();
    Client::new().post(url).multipart(form.part("file", file)).send().await.unwrap().status()
}

async fn served(world: &World, file: &FileUploadResult) -> (String, Vec<u8>) {
    let signed = world.store.signed_url(ann(), FileRef::from(file), &UrlOptions::default()).await.unwrap();
    let answer = reqwest::get(&signed.url).await.unwrap();
    assert_eq!(answer.status(), 200);
    let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (content_type, answer.bytes().await.unwrap().to_vec())
}

async fn a_browser_posts_a_form_and_posting_it_again_changes_nothing(world: World) {
    let store = &world.store;
    let png = samples::png(120, 80);
    let create = DirectUploadCreate::image("Größe.png", "image/png");
    let upload = store.begin_direct_upload(ann(), create).await.unwrap();
    assert_eq!(store.complete_upload(ann(), upload.id).await.unwrap_err().code(), "upload_not_received");

    assert!(post(&upload, png.clone()).await.is_success());
    let file = store.complete_upload(ann(), upload.id).await.unwrap();
    assert_eq!(file.id(), upload.id);
    assert_eq!(served(&world, &file).await, ("image/png".to_owned(), png.clone()));
    let after_completion = world.in_storage().await;
    assert_eq!(after_completion.0.len(), 1);

    assert!(post(&upload, samples::html()).await.is_success(), "the signature still works");
    assert_eq!(served(&world, &file).await, ("image/png".to_owned(), png));
    assert_eq!(store.complete_upload(ann(), upload.id).await.unwrap(), file);
    let keys = world.in_storage().await.0;
    assert!(keys.contains(&after_completion.0[0]) && keys.len() == 2, "{keys:?}");
    assert_eq!(store.pool_status().in_use, 0);
}

async fn a_script_puts_a_file(world: World) {
    let store = &world.store;
    let wav = samples::wav(8_000, 1, 16, 500);
    let create = DirectUploadCreate::audio("a.wav", "audio/x-wav").sized(wav.len() as u64).by_put(None);
    let upload = store.begin_direct_upload(ann(), create).await.unwrap();
    let UploadMethod::Put { url, headers } = &upload.method else { panic!("{upload:?}") };
    let put = async |bytes: Vec<u8>| {
        let request = headers.iter().fold(Client::new().put(url), |request, (name, value)| request.header(name, value));
        request.body(bytes).send().await
    };
    assert!(put(wav.clone()).await.unwrap().status().is_success());
    let file = store.complete_upload(ann(), upload.id).await.unwrap();
    assert_eq!(served(&world, &file).await, ("audio/wav".to_owned(), wav));
    store.delete(ann(), upload.id).await.unwrap();
    assert_eq!(world.in_storage().await, (Vec::new(), 0));
}

async fn a_form_takes_nothing_but_what_it_was_signed_for(world: World) {
    let store = &world.store;
    let png = samples::png(12, 8);
    let create = DirectUploadCreate::image("a.png", "image/png").sized(png.len() as u64);
    let upload = store.begin_direct_upload(ann(), create).await.unwrap();
    assert!(post(&upload, [png.clone(), png.clone()].concat()).await.is_client_error());
    let as_html = |name: &str, value: &str| match name {
        "Content-Type" => "text/html".to_owned(),
        _ => value.to_owned(),
    };
    assert!(post_with(&upload, png.clone(), as_html).await.is_client_error());
    let elsewhere = |name: &str, value: &str| match name {
        "key" => value.replace("staging/", "image/"),
        _ => value.to_owned(),
    };
    assert!(post_with(&upload, png.clone(), elsewhere).await.is_client_error());
    assert_eq!(world.in_storage().await, (Vec::new(), 0));
    assert!(post(&upload, png).await.is_success());
    store.cancel_upload(ann(), upload.id).await.unwrap();
    assert_eq!(world.in_storage().await, (Vec::new(), 0));
    assert_eq!(store.complete_upload(ann(), upload.id).await.unwrap_err().code(), "upload_expired");
}

async fn a_large_file_is_posted_and_copied(world: World) {
    let store = &world.store;
    let wav = samples::wav(48_000, 2, 16, 60_000);
    assert!(wav.len() > 8 << 20);
    let upload = store.begin_direct_upload(ann(), DirectUploadCreate::file("a.wav", "audio/wav")).await.unwrap();
    assert!(post(&upload, wav.clone()).await.is_success());
    let file = store.complete_upload(ann(), upload.id).await.unwrap();
    let FileUploadResult::Audio(audio) = &file else { panic!("{file:?}") };
    assert_eq!((audio.duration_ms, audio.sha256.is_some()), (Some(60_000), true));
    assert!(served(&world, &file).await.1 == wav);
}

async fn what_a_script_sends_along_is_not_served(world: World) {
    let store = &world.store;
    let png = samples::png(12, 8);
    let create = DirectUploadCreate::image("a.png", "image/png").sized(png.len() as u64).by_put(None);
    let upload = store.begin_direct_upload(ann(), create).await.unwrap();
    let UploadMethod::Put { url, headers } = &upload.method else { panic!("{upload:?}") };
    let request = headers.iter().fold(Client::new().put(url), |request, (name, value)| request.header(name, value));
    let request = request.header("content-encoding", "gzip").header("cache-control", "max-age=31536000");
    assert!(request.header("x-amz-meta-note", "mine").body(png.clone()).send().await.unwrap().status().is_success());
    let file = store.complete_upload(ann(), upload.id).await.unwrap();

    let signed = store.signed_url(ann(), FileRef::from(&file), &UrlOptions::default()).await.unwrap();
    let answer = reqwest::get(&signed.url).await.unwrap();
    assert_eq!(answer.status(), 200);
    for name in ["content-encoding", "cache-control", "x-amz-meta-note"] {
        assert_eq!(answer.headers().get(name), None, "{name}");
    }
    assert_eq!(answer.bytes().await.unwrap(), png);
}

/// Puts a part as a browser does; cut off after so many bytes if told.
async fn put_part(part: &SignedPart, file: &[u8], part_bytes: u64, cut: Option<usize>) -> reqwest::Result<StatusCode> {
    let start = usize::try_from(u64::from(part.number - 1) * part_bytes).unwrap();
    let bytes = Bytes::copy_from_slice(&file[start..start + usize::try_from(part.size_bytes).unwrap()]);
    let request =
        part.headers.iter().fold(Client::new().put(&part.url), |request, (name, value)| request.header(name, value));
    let body = match cut {
        None => bytes.into(),
        Some(cut) => {
            let lost = Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
            reqwest::Body::wrap_stream(futures::stream::iter([Ok(bytes.slice(..cut)), lost]))
        }
    };
    Ok(request.body(body).send().await?.status())
}

async fn a_client_whose_connection_is_lost_goes_on_where_it_was(world: World) {
    let store = &world.store;
    let wav = samples::wav(48_000, 2, 16, 110_000);
    let create = DirectUploadCreate::audio("talk.wav", "audio/wav").sized(wav.len() as u64).resumable();
    let create = create.idempotent("0193f6c2");
    let upload = store.begin_direct_upload(ann(), create.clone()).await.unwrap();
    let UploadMethod::Parts { part_bytes, part_count } = upload.method else { panic!("{upload:?}") };
    assert_eq!((part_bytes, part_count), (8 << 20, 3));
    assert_eq!(world.in_storage().await, (Vec::new(), 1));

    let signed = store.sign_upload_parts(ann(), upload.id, &[1, 2, 3]).await.unwrap();
    assert!(put_part(&signed[2], &wav, part_bytes, None).await.unwrap().is_success());
    assert!(put_part(&signed[0], &wav, part_bytes, None).await.unwrap().is_success());
    put_part(&signed[1], &wav, part_bytes, Some(3 << 20)).await.unwrap_err();
    let early = store.complete_upload(ann(), upload.id).await.unwrap_err();
    assert_eq!(
        (early.code(), early.to_string()),
        ("upload_incomplete", "1 of 3 parts have not been received: 2".into())
    );

    // The client has forgotten everything but its idempotency key.
    let again = store.begin_direct_upload(ann(), create).await.unwrap();
    assert_eq!(again.id, upload.id);
    let parts = store.list_upload_parts(ann(), again.id).await.unwrap();
    assert_eq!(parts.missing, [2]);
    assert_eq!(parts.received.iter().map(|part| part.number).collect::<Vec<_>>(), [1, 3]);
    let signed = store.sign_upload_parts(ann(), again.id, &parts.missing).await.unwrap();
    assert!(put_part(&signed[0], &wav, part_bytes, None).await.unwrap().is_success());

    let file = store.complete_upload(ann(), again.id).await.unwrap();
    let FileUploadResult::Audio(audio) = &file else { panic!("{file:?}") };
    assert_eq!((audio.duration_ms, audio.sha256.is_some()), (Some(110_000), true));
    assert!(served(&world, &file).await == ("audio/wav".to_owned(), wav.clone()));
    assert!(
        put_part(&signed[0], &wav, part_bytes, None).await.unwrap().is_client_error(),
        "there are no parts any more"
    );
    assert_eq!(store.complete_upload(ann(), again.id).await.unwrap(), file);
    let (keys, uploads) = world.in_storage().await;
    assert_eq!((keys.len(), uploads), (1, 0));
    assert_eq!(store.pool_status().in_use, 0);
}

async fn an_upload_in_parts_that_is_cancelled_leaves_nothing(world: World) {
    let store = &world.store;
    let png = samples::png(12, 8);
    let create = DirectUploadCreate::image("a.png", "image/png").sized(png.len() as u64).resumable();
    let upload = store.begin_direct_upload(ann(), create).await.unwrap();
    let signed = store.sign_upload_parts(ann(), upload.id, &[1]).await.unwrap();
    let too_long = [png.clone(), png.clone()].concat();
    let sent = Client::new().put(&signed[0].url).body(too_long).send().await.unwrap();
    assert!(sent.status().is_client_error(), "another length than was signed");
    assert_eq!(store.list_upload_parts(ann(), upload.id).await.unwrap().missing, [1]);
    assert!(put_part(&signed[0], &png, 8 << 20, None).await.unwrap().is_success());
    store.cancel_upload(ann(), upload.id).await.unwrap();
    assert_eq!(world.in_storage().await, (Vec::new(), 0));
    assert_eq!(store.complete_upload(ann(), upload.id).await.unwrap_err().code(), "upload_expired");
}
