use std::time::Duration;

use object_store_devkit::samples;
use object_store_service::{AudioCreate, FileCreate, ImageCreate, Limits, Settings, UploadBody};

use crate::support::{World, ann, breaking, dripping, on_both_databases, pieces};

on_both_databases! {
    what_is_not_acceptable_leaves_nothing_behind
    a_long_stream_that_is_not_acceptable_leaves_nothing_behind
}

struct Case {
    name: &'static str,
    declared: Option<&'static str>,
    bytes: Vec<u8>,
    code: &'static str,
}

fn case(name: &'static str, bytes: Vec<u8>, code: &'static str) -> Case {
    Case { name, declared: None, bytes, code }
}

fn cases() -> Vec<Case> {
    let cut = |bytes: Vec<u8>, length: usize| bytes[..length].to_vec();
    let with_tail = |mut bytes: Vec<u8>| {
        bytes.extend_from_slice(b"<script>");
        bytes
    };
    vec![
        case("empty", Vec::new(), "empty"),
        case("one byte", vec![0x89], "unsupported_type"),
        case("text", b"just some words".to_vec(), "unsupported_type"),
        case("svg", samples::svg(), "unsupported_type"),
        case("html", samples::html(), "unsupported_type"),
        case("pdf", samples::pdf(), "unsupported_type"),
        case("zip", samples::zip(), "unsupported_type"),
        case("elf", samples::elf(), "unsupported_type"),
        Case { declared: Some("image/jpeg"), ..case("png as jpeg", samples::png(4, 4), "type_mismatch") },
        Case { declared: Some("audio/ogg"), ..case("wav as ogg", samples::wav(8_000, 1, 16, 10), "type_mismatch") },
        case("png cut in its header", cut(samples::png(4, 4), 20), "corrupt"),
        case("jpeg cut in its header", cut(samples::jpeg(32, 32), 8), "corrupt"),
        case("wav cut in its header", cut(samples::wav(8_000, 1, 16, 10), 20), "corrupt"),
        case("flac cut in its header", cut(samples::flac(8_000, 1, 50), 12), "corrupt"),
        case("png of no size", samples::png_zero_dimensions(), "corrupt"),
        case("bomb of pixels", samples::png_bomb(16_000, 16_000), "too_many_pixels"),
        case("long side", samples::png_bomb(20_000, 2), "side_too_long"),
        case("png with a tail", with_tail(samples::png(4, 4)), "trailing_data"),
        case("gif with a tail", with_tail(samples::gif(4, 4, 1)), "trailing_data"),
    ]
}

async fn what_is_not_acceptable_leaves_nothing_behind(world: World) {
    for Case { name, declared, bytes, code } in cases() {
        for body in [bytes.clone().into(), dripping(&bytes)] {
            let mut create = FileCreate::new("innocent.png");
            create.content_type = declared.map(str::to_owned);
            let refused = world.service.upload_file(ann(), create, body).await.unwrap_err();
            assert_eq!(refused.code(), code, "{name}: {refused}");
            assert!(!refused.is_retryable(), "{name}");
        }
    }
    assert_eq!(world.memory.calls().total(), 0, "refused before any storage call");
    world.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_kind_of_media_is_refused() {
    let world = World::sqlite().await;
    let wav = samples::wav(8_000, 1, 16, 10);
    let refused = world.service.upload_image(ann(), ImageCreate::new("a.png"), wav.into()).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.to_string().as_str()),
        ("type_mismatch", "declared as image, but the bytes are audio/wav")
    );
    let refused =
        world.service.upload_audio(ann(), AudioCreate::new("a.wav"), samples::png(2, 2).into()).await.unwrap_err();
    assert_eq!(refused.code(), "type_mismatch");
    world.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_type_is_matched_by_its_other_names() {
    let world = World::sqlite().await;
    for declared in ["image/png", "IMAGE/PNG", "image/png; charset=binary", "application/octet-stream", ""] {
        let create = ImageCreate::new("a.png").declared(declared);
        let image = world.service.upload_image(ann(), create, samples::png(2, 2).into()).await.unwrap();
        assert_eq!(image.content_type, "image/png", "{declared}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_limit_is_inclusive() {
    let world = World::sqlite().await;
    let png = samples::png(20, 20);
    let size = png.len() as u64;
    for (limit, accepted) in [(size, true), (size - 1, false)] {
        let service = world.service_with(|settings| settings.limits.max_image_bytes = limit);
        for body in [png.clone().into(), dripping(&png), UploadBody::from_stream(pieces(&png), Some(size))] {
            let uploaded = service.upload_image(ann(), ImageCreate::new("a.png"), body).await;
            match uploaded {
                Ok(_) => assert!(accepted),
                Err(refused) => {
                    assert!(!accepted);
                    let told = format!("the file has {size} bytes or more; at most {limit} are allowed");
                    assert_eq!((refused.code(), refused.to_string()), ("too_large", told));
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_is_that_of_what_the_bytes_are() {
    let world = World::sqlite().await;
    let service = world.service_with(|settings| settings.limits.max_image_bytes = 100);
    let png = samples::png(20, 20);
    let refused = service.upload_file(ann(), FileCreate::new("a"), png.into()).await.unwrap_err();
    assert_eq!(refused.code(), "too_large");
    let wav = samples::wav(8_000, 1, 16, 100);
    assert!(service.upload_file(ann(), FileCreate::new("a"), wav.into()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_limit_has_its_own_code() {
    let world = World::sqlite().await;
    let refused_with = |change: fn(&mut Limits), bytes: Vec<u8>| {
        let service = world.service_with(|settings: &mut Settings| change(&mut settings.limits));
        async move { service.upload_file(ann(), FileCreate::new("a"), bytes.into()).await.unwrap_err().code() }
    };
    assert_eq!(refused_with(|limits| limits.max_pixels = 99, samples::png(10, 10)).await, "too_many_pixels");
    assert_eq!(refused_with(|limits| limits.max_side = 9, samples::png(10, 1)).await, "side_too_long");
    assert_eq!(refused_with(|limits| limits.max_frames = 2, samples::gif(4, 4, 3)).await, "too_many_frames");
    let second = |limits: &mut Limits| limits.max_duration = Duration::from_secs(1);
    assert_eq!(refused_with(second, samples::wav(8_000, 1, 16, 1_001)).await, "too_long");
    assert_eq!(refused_with(|limits| limits.formats.clear(), samples::png(10, 10)).await, "unsupported_type");
    world.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_another_length_than_announced_is_refused() {
    let world = World::sqlite().await;
    let png = samples::png(20, 20);
    let size = png.len() as u64;
    for announced in [size - 1, size + 1] {
        let body = UploadBody::from_stream(pieces(&png), Some(announced));
        let refused = world.service.upload_image(ann(), ImageCreate::new("a.png"), body).await.unwrap_err();
        assert_eq!(refused.code(), "length_mismatch");
    }
    world.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_leaves_nothing() {
    let world = World::sqlite().await;
    let png = samples::png(20, 20);
    let refused = world.service.upload_image(ann(), ImageCreate::new("a.png"), breaking(&png)).await.unwrap_err();
    assert_eq!(refused.code(), "body_unreadable");

    let wav = samples::wav(48_000, 2, 16, 55_000);
    let refused = world.service.upload_audio(ann(), AudioCreate::new("a.wav"), breaking(&wav)).await.unwrap_err();
    assert_eq!(refused.code(), "body_unreadable");
    world.assert_consistent_after_sweep().await;
    world.assert_empty().await;
}

async fn a_long_stream_that_is_not_acceptable_leaves_nothing_behind(world: World) {
    let wav = samples::wav(48_000, 2, 16, 55_000);
    let size = wav.len() as u64;
    let text = vec![b'x'; 9 << 20];

    let refused = world.service.upload_file(ann(), FileCreate::new("a"), dripping(&text)).await.unwrap_err();
    assert_eq!(refused.code(), "unsupported_type");
    let small = world.service_with(|settings| settings.limits.max_audio_bytes = size - 1);
    let known = UploadBody::from_stream(pieces(&wav), Some(size));
    let refused = small.upload_audio(ann(), AudioCreate::new("a.wav"), known).await.unwrap_err();
    assert_eq!(refused.code(), "too_large");
    assert_eq!(world.memory.calls().total(), 0, "refused before any storage call");

    // Noticed only while the bytes flow.
    let refused = small.upload_audio(ann(), AudioCreate::new("a.wav"), dripping(&wav)).await.unwrap_err();
    assert_eq!(refused.code(), "too_large");
    let mut tailed = wav.clone();
    tailed.extend_from_slice(b"<script>");
    let refused = world.service.upload_audio(ann(), AudioCreate::new("a.wav"), dripping(&tailed)).await.unwrap_err();
    assert_eq!(refused.code(), "trailing_data");
    world.assert_consistent_after_sweep().await;
    world.assert_empty().await;
}
