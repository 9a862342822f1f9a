//! Facts of pictures.

use crate::write::{
    avif, avif_with, bmp, exif, gif, jpeg, mp4_box, png, scan, tiff, tiff_with, webp_extended, webp_lossy,
};
use crate::{image, refusal, try_probe};

#[test]
fn png_tells_size_depth_and_alpha() {
    let facts = image(&png(8, 6, &[]));
    assert_eq!((facts.width, facts.height, facts.bit_depth, facts.has_alpha), (8, 6, Some(8), Some(true)));
    assert_eq!((facts.orientation, facts.frame_count), (1, 1));
}

#[test]
fn png_is_turned_by_exif_and_by_text() {
    let xmp = b"XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation=\"6\"/>".to_vec();
    for chunk in [(b"eXIf", exif(6)), (b"iTXt", xmp)] {
        let facts = image(&png(8, 6, &[chunk]));
        assert_eq!((facts.width, facts.height, facts.coded_width, facts.orientation), (6, 8, 8, 6));
    }
}

#[test]
fn png_counts_only_announced_and_sensible_frames() {
    let announced = |frames: u32| png(8, 6, &[(b"acTL", [frames.to_be_bytes(), [0; 4]].concat())]);
    assert_eq!(image(&announced(15)).frame_count, 15);
    assert_eq!(image(&announced(0)).frame_count, 1);
    assert_eq!(image(&announced(0x8000_0001)).frame_count, 1);
    assert_eq!(refusal(&announced(2_000_000_000)).0, "too_many_frames");
}

#[test]
fn jpeg_is_shown_as_its_orientation_says() {
    for orientation in 1..=8 {
        let facts = image(&jpeg(8, 6, Some(orientation)));
        let shown = if orientation < 5 { (8, 6) } else { (6, 8) };
        assert_eq!((facts.width, facts.height), shown);
        assert_eq!((facts.coded_width, facts.coded_height, u16::from(facts.orientation)), (8, 6, orientation));
    }
    for invalid in [0, 9, u16::MAX] {
        assert_eq!(image(&jpeg(8, 6, Some(invalid))).orientation, 1);
    }
}

#[test]
fn jpeg_with_junk_between_segments_is_read() {
    let mut file = jpeg(8, 6, Some(1));
    let frame_at = file.windows(2).position(|pair| pair == b"\xff\xc0").unwrap();
    file.splice(frame_at..frame_at, *b"junk\xff\xff");
    assert_eq!(image(&file).width, 8);
}

#[test]
fn jpeg_without_height_is_refused() {
    assert_eq!(refusal(&jpeg(8, 0, None)), ("corrupt", "not a valid jpeg file: its width or height is zero".into()));
}

#[test]
fn jpeg_keeps_a_second_picture_but_no_archive_and_no_markup() {
    let whole = jpeg(8, 6, None);
    assert_eq!(image(&[whole.clone(), jpeg(4, 3, None)].concat()).width, 8);
    assert_eq!(image(&[whole.clone(), vec![0; 5000]].concat()).width, 8);
    let end_record = [&b"PK\x05\x06"[..], &[0; 18]].concat();
    assert_eq!(refusal(&[whole.clone(), end_record].concat()).0, "trailing_data");
    assert_eq!(refusal(&[whole, b"<HTML><script>".to_vec()].concat()).0, "trailing_data");
}

#[test]
fn jpeg_cut_in_its_image_data_is_refused() {
    let whole = jpeg(8, 6, None);
    for missing in 1..20 {
        let cut = &whole[..whole.len() - missing];
        assert_eq!(refusal(cut).1, "not a valid jpeg file: it ends before its structure does");
    }
}

#[test]
fn gif_counts_its_frames() {
    let facts = image(&gif(3));
    assert_eq!((facts.width, facts.height, facts.frame_count, facts.has_alpha), (10, 5, 3, Some(true)));
    assert_eq!(refusal(&gif(0)).1, "not a valid gif file: it has no frame");
    assert_eq!(refusal(&gif(1001)), ("too_many_frames", "at least 1001 frames are more than 1000".into()));
}

#[test]
fn webp_masks_the_scale_and_counts_frames() {
    let facts = image(&webp_lossy(0xC0B0, 0x4090, &[]));
    assert_eq!((facts.width, facts.height), (176, 144));
    let frames = [(b"ANMF", vec![0; 16]), (b"ANMF", vec![0; 17])];
    let facts = image(&webp_extended(640, 480, &frames));
    assert_eq!((facts.width, facts.height, facts.frame_count, facts.has_alpha), (640, 480, 2, Some(true)));
}

#[test]
fn webp_exif_is_read_with_and_without_prefix() {
    let still = (b"VP8 ", vec![0; 18]);
    for block in [exif(6), [b"Exif\0\0".to_vec(), exif(6)].concat()] {
        let facts = image(&webp_extended(640, 480, &[still.clone(), (b"EXIF", block)]));
        assert_eq!((facts.width, facts.height, facts.orientation), (480, 640, 6));
    }
}

#[test]
fn webp_without_pictures_is_refused() {
    assert_eq!(refusal(&webp_extended(640, 480, &[])).1, "not a valid webp file: it has no image data");
}

#[test]
fn avif_takes_the_primary_item_and_its_turn() {
    let facts = image(&avif(b"avif", 64, 48, Some(1), None));
    assert_eq!((facts.width, facts.height, facts.coded_width, facts.orientation), (48, 64, 64, 8));
    let facts = image(&avif(b"heic", 64, 48, None, Some(1)));
    assert_eq!((facts.width, facts.height, facts.orientation), (64, 48, 2));
}

#[test]
fn tiff_and_bmp_are_read() {
    let facts = image(&tiff(8, 6, 6));
    assert_eq!((facts.width, facts.height, facts.frame_count), (6, 8, 1));
    let facts = image(&bmp(8, -6));
    assert_eq!((facts.width, facts.height, facts.bit_depth), (8, 6, Some(8)));
}

#[test]
fn trailing_data_is_refused() {
    for (file, format) in [(png(8, 6, &[]), "png"), (gif(1), "gif"), (webp_lossy(8, 6, &[]), "webp")] {
        let refused = refusal(&[file, b"<script>".to_vec()].concat());
        assert_eq!(refused, ("trailing_data", format!("8 bytes follow the end of the {format} file")));
    }
}

fn large_jpeg() -> Vec<u8> {
    let small = jpeg(8, 6, Some(6));
    [&small[..small.len() - 2], &scan(200_000), b"\xff\xd9"].concat()
}

#[test]
fn large_jpeg_costs_little() {
    let probe = try_probe(&large_jpeg()).unwrap();
    // The beginning, and all of the end in which an archive may be.
    assert!(probe.bytes_read < 70 << 10, "{} bytes", probe.bytes_read);
    let two = [large_jpeg(), large_jpeg()].concat();
    assert!(try_probe(&two).unwrap().bytes_read < 70 << 10);
}

#[test]
fn cut_large_jpeg_is_refused() {
    let whole = large_jpeg();
    assert_eq!(refusal(&whole[..150_000]).1, "not a valid jpeg file: it ends before its structure does");
}

#[test]
fn exif_is_read_wherever_its_directory_lies() {
    for gap in [0_u32, 10, 3000, 30_000] {
        let mut block = b"Exif\0\0II*\0".to_vec();
        block.extend((8 + gap).to_le_bytes());
        block.resize(block.len() + usize::try_from(gap).unwrap(), 0);
        block.extend(&exif(6)[8..]);
        let mut file = jpeg(8, 6, None);
        let segment = [&[0xFF, 0xE1][..], &u16::try_from(block.len() + 2).unwrap().to_be_bytes(), &block].concat();
        file.splice(2..2, segment);
        assert_eq!(image(&file).orientation, 6, "a gap of {gap}");
    }
}

#[test]
fn tiff_fields_that_come_twice_keep_their_first_sensible_value() {
    let again = |kind: u8, value: u8| [0, 1, kind, 0, 1, 0, 0, 0, value, 0, 0, 0];
    let mut file = tiff(8, 6, 6);
    // Another width, and one of a type that does not exist.
    file[8] = 5;
    let end = file.len() - 4;
    file.splice(end..end, [again(3, 99), again(99, 77)].concat());
    let facts = image(&file);
    assert_eq!((facts.coded_width, facts.coded_height, facts.orientation), (8, 6, 6));
    // Such a one first.
    file[8] = 6;
    file.splice(10..10, again(99, 77));
    assert_eq!(image(&file).coded_width, 8);
}

#[test]
fn tiff_bits_of_several_channels_lie_elsewhere() {
    let bits_at = |at: u32| [&[2, 1, 3, 0, 3, 0, 0, 0][..], &at.to_le_bytes()].concat();
    let plain = tiff_with(8, 6, &[&bits_at(50)]);
    let file = [plain, vec![8, 0, 8, 0, 8, 0]].concat();
    assert_eq!(image(&file).bit_depth, Some(8));
    assert_eq!(image(&tiff(8, 6, 1)).bit_depth, Some(1), "what is left out is one");
}

#[test]
fn raw_data_of_cameras_are_no_tiff() {
    let short =
        |tag: u16, value: u16| [&tag.to_le_bytes()[..], &[3, 0, 1, 0, 0, 0], &value.to_le_bytes(), &[0; 2]].concat();
    for (fields, name) in [
        (vec![short(0xC612, 1)], "image/x-adobe-dng"),
        (vec![short(0x106, 32_803)], "image/x-raw"),
        (vec![short(0xFE, 1), short(0x14A, 8)], "image/x-raw"),
    ] {
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        assert_eq!(refusal(&tiff_with(160, 120, &fields)).1, format!("files of type {name} are not accepted"));
    }
    assert_eq!(image(&tiff_with(160, 120, &[&short(0x14A, 8)])).width, 160, "smaller copies below are none");
}

#[test]
fn avif_depth_is_told_by_the_coder_where_nothing_else_tells() {
    let coded = |flags: u8| mp4_box(b"av1C", &[&[0x81, 0, flags, 0]]);
    let pixi = mp4_box(b"pixi", &[&[0; 4], &[3, 8, 8, 8]]);
    for (properties, depth) in [
        (vec![coded(0)], Some(8)),
        (vec![coded(0x40)], Some(10)),
        (vec![coded(0x60)], Some(12)),
        (vec![coded(0x40), pixi.clone()], Some(8)),
        (vec![pixi, coded(0x40)], Some(8)),
        (Vec::new(), None),
    ] {
        assert_eq!(image(&avif_with(b"avif", b"mif1", 64, 48, properties)).bit_depth, depth);
    }
}

#[test]
fn avif_is_one_by_any_of_its_brands() {
    let format = |major, compatible| try_probe(&avif_with(major, compatible, 64, 48, Vec::new())).unwrap().format;
    assert_eq!(format(b"mif1", b"avif").name(), "avif");
    assert_eq!(format(b"mif1", b"heic").name(), "heic");
    let mut both = avif_with(b"mif1", b"heic", 64, 48, Vec::new());
    both.splice(20..20, *b"avif");
    both[3] += 4;
    assert_eq!(try_probe(&both).unwrap().format.name(), "avif");
}

#[test]
fn png_of_many_data_chunks_is_hopped_through() {
    let file = png(800, 600, &vec![(b"IDAT", vec![1; 8192]); 100]);
    let probe = try_probe(&file).unwrap();
    assert!(probe.bytes_read < file.len() as u64 / 4, "{} of {}", probe.bytes_read, file.len());
}
