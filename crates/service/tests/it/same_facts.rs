//! The same file has the same facts whichever way it comes: in memory, as a stream, directly to storage, or asked about by
//! itself.

use std::io::Cursor;

use bytes::Bytes;
use object_store_devkit::samples;
use object_store_media::{Facts, Policy, probe};
use object_store_service::{
    AudioCreate, AudioRead, DirectUploadCreate, FileUploadResult, ImageCreate, ImageRead, UploadBody, UploadMethod,
};
use serde_json::{Value, json};

use crate::support::{World, ann, dripping, on_both_databases};

on_both_databases! {
    small_files_have_the_same_facts_by_every_way
}

/// Above what is looked at in memory.
const LARGE: usize = 9 << 20;

/// One of each format that is accepted.
fn small_files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("png", samples::png(6, 4)),
        ("apng", samples::apng(6, 4, 3)),
        ("jpeg", samples::jpeg(6, 4)),
        ("turned jpeg", samples::jpeg_with_orientation(6, 4, 6)),
        ("gif", samples::gif(6, 4, 3)),
        ("webp", samples::webp(6, 4)),
        ("wav", samples::wav(8000, 2, 16, 500)),
        ("mp3", samples::mp3(500, "Song", "Band")),
        ("flac", samples::flac_with_tags(8000, 1, 500, "Song", "Band")),
        ("vorbis", samples::ogg_vorbis(500, "Song", "Band")),
        ("opus", samples::ogg_opus(500, "Song", "Band")),
        ("m4a", samples::m4a(500, "Song", "Band")),
        ("m4a, moov at the end", samples::m4a_moov_at_end(500, "Song", "Band")),
    ]
}

/// The same with so much inside that no decoder looks at that they are read by ranges.
fn large_files() -> Vec<(&'static str, Vec<u8>)> {
    small_files().into_iter().map(|(name, file)| (name, enlarged(name, file))).collect()
}

fn enlarged(name: &str, mut file: Vec<u8>) -> Vec<u8> {
    let len = u32::try_from(LARGE).unwrap();
    let nothing = vec![0; LARGE];
    let (at, filling) = match name {
        // Behind the header.
        "png" | "apng" => (33, [&len.to_be_bytes()[..], b"fiLl", &nothing, &[0; 4]].concat()),
        "jpeg" | "turned jpeg" => (2, [&b"\xff\xfe\xff\xff"[..], &vec![0; 65_533]].concat().repeat(LARGE / 65_537 + 1)),
        "gif" => (
            file.len() - 1,
            [b"\x21\xfe".to_vec(), [&[255][..], &[1; 255]].concat().repeat(LARGE / 255), vec![0]].concat(),
        ),
        "webp" | "wav" => (file.len(), [&b"fill"[..], &len.to_le_bytes(), &nothing].concat()),
        "mp3" => {
            let size = [21, 14, 7, 0].map(|shift| u8::try_from(len >> shift & 0x7F).unwrap());
            (first_frame(&file), [&b"ID3\x04\0\0"[..], &size, &nothing].concat())
        }
        "flac" => (42, [&[1][..], &len.to_be_bytes()[1..], &nothing].concat()),
        // Sound that lasts: what fills there is looked through.
        "vorbis" => return samples::ogg_vorbis(45_000_000, "Song", "Band"),
        "opus" => return samples::ogg_opus(45_000_000, "Song", "Band"),
        _ => (usize::from(file[3]), [&(len + 8).to_be_bytes()[..], b"free", &nothing].concat()),
    };
    if matches!(name, "webp" | "wav") {
        let size = u32::try_from(file.len() + filling.len() - 8).unwrap();
        file[4..8].copy_from_slice(&size.to_le_bytes());
    }
    file.splice(at..at, filling);
    file
}

/// Behind the tag.
fn first_frame(mp3: &[u8]) -> usize {
    if !mp3.starts_with(b"ID3") {
        return 0;
    }
    10 + mp3[6..10].iter().fold(0, |size, byte| size << 7 | usize::from(*byte))
}

async fn small_files_have_the_same_facts_by_every_way(world: World) {
    for (name, file) in small_files() {
        same_by_every_way(&world, name, file).await;
    }
}

/// How they are read does not depend on the database.
#[tokio::test(flavor = "multi_thread")]
async fn files_too_large_for_memory_have_the_same_facts_by_every_way() {
    let world = World::sqlite().await;
    for (name, file) in large_files() {
        assert!(file.len() > 8 << 20, "{name} of {} bytes", file.len());
        same_by_every_way(&world, name, file).await;
    }
}

async fn same_by_every_way(world: &World, name: &str, file: Vec<u8>) {
    let found = probe(Cursor::new(&file), &Policy::default()).unwrap();
    let (content_type, format) = (found.format.content_type(), found.format.name());
    let is_image = matches!(found.facts, Facts::Image(_));
    let expected = match found.facts {
        Facts::Image(facts) => json!({
            "content_type": content_type, "format": format, "width": facts.width, "height": facts.height,
            "orientation": facts.orientation, "frame_count": facts.frame_count,
        }),
        Facts::Audio(facts) => json!({
            "content_type": content_type, "format": format, "duration_ms": facts.duration_ms,
            "sample_rate": facts.sample_rate, "channels": facts.channels, "bit_depth": facts.bit_depth,
            "codec": facts.codec.name(), "bitrate": facts.bitrate, "title": facts.title, "artist": facts.artist,
        }),
    };
    let file = Bytes::from(file);
    assert_eq!(put(world, is_image, file.clone().into()).await, expected, "{name}, put");
    assert_eq!(put(world, is_image, dripping(&file)).await, expected, "{name}, streamed");
    assert_eq!(sent_directly(world, is_image, content_type, file).await, expected, "{name}, sent directly");
}

async fn put(world: &World, is_image: bool, body: UploadBody) -> Value {
    if is_image {
        of_image(&world.service.upload_image(ann(), ImageCreate::new("a"), body).await.unwrap())
    } else {
        of_audio(&world.service.upload_audio(ann(), AudioCreate::new("a"), body).await.unwrap())
    }
}

async fn sent_directly(world: &World, is_image: bool, content_type: &str, file: Bytes) -> Value {
    let create = if is_image {
        DirectUploadCreate::image("a", content_type)
    } else {
        DirectUploadCreate::audio("a", content_type)
    };
    let upload = world.service.begin_direct_upload(ann(), create).await.unwrap();
    let UploadMethod::Post { url, fields, .. } = &upload.method else { panic!("{upload:?}") };
    world.memory.submit_post(url, fields, file).unwrap();
    match world.service.complete_upload(ann(), upload.id).await.unwrap() {
        FileUploadResult::Image(image) => of_image(&image),
        FileUploadResult::Audio(audio) => of_audio(&audio),
    }
}

fn of_image(image: &ImageRead) -> Value {
    json!({
        "content_type": image.content_type, "format": image.format, "width": image.width, "height": image.height,
        "orientation": image.orientation, "frame_count": image.frame_count,
    })
}

fn of_audio(audio: &AudioRead) -> Value {
    json!({
        "content_type": audio.content_type, "format": audio.format, "duration_ms": audio.duration_ms,
        "sample_rate": audio.sample_rate, "channels": audio.channels, "bit_depth": audio.bit_depth,
        "codec": audio.codec, "bitrate": audio.bitrate, "title": audio.title, "artist": audio.artist,
    })
}
