//! Facts of sound.

use object_store_media::{AudioFacts, Codec, DurationSource, Format};

use crate::write::{
    adts, aiff, flac, id3, m4a, m4a_with, mp3_frames, mp3_misleading, mp3_with_xing, ogg_opus, ogg_page, ogg_vorbis,
    rf64, riff, wav, wav_form, webm,
};
use crate::{audio, refusal, try_probe};

fn length(facts: &AudioFacts) -> (Option<u64>, DurationSource) {
    (facts.duration_ms, facts.duration_source)
}

#[test]
fn wav_tells_everything() {
    let facts = audio(&wav(8000, 2, 16, &[1; 3200]));
    assert_eq!(length(&facts), (Some(100), DurationSource::Header));
    assert_eq!((facts.sample_rate, facts.channels, facts.bit_depth), (8000, 2, Some(16)));
    assert_eq!((facts.codec, facts.bitrate, facts.variable_bitrate), (Codec::Pcm, Some(256_000), Some(false)));
}

#[test]
fn wav_of_any_size_field_lasts_as_long_as_its_sound() {
    let mut streamed = wav(8000, 1, 16, &vec![1; 16_000]);
    streamed[40..44].fill(0xFF);
    streamed[4..8].fill(0xFF);
    let mut unset = wav(8000, 1, 16, &vec![1; 16_000]);
    unset[40..44].fill(0);
    unset[4..8].fill(0);
    let mut cut = wav(8000, 1, 16, &vec![1; 32_000]);
    cut.truncate(44 + 16_000);
    for file in [streamed, unset, cut] {
        assert_eq!(length(&audio(&file)), (Some(1000), DurationSource::Counted));
    }
    assert_eq!(length(&audio(&rf64(8000, 1, 16, &vec![1; 16_000]))), (Some(1000), DurationSource::Header));
}

#[test]
fn wav_odd_chunks_are_read_padded_or_not() {
    let list = (b"LIST", b"INFOINAM\x05\0\0\0Song\0".to_vec());
    let chunks = [(b"fmt ", wav_form(1, 8000, 1, 16)), list, (b"data", vec![1; 1600])];
    let padded = riff(b"RIFF", b"WAVE", &chunks);
    let mut unpadded = padded.clone();
    unpadded.remove(36 + 8 + 17);
    for file in [padded, unpadded] {
        let facts = audio(&file);
        assert_eq!((facts.duration_ms, facts.title.as_deref()), (Some(100), Some("Song")));
    }
}

#[test]
fn wav_in_other_codecs_is_named() {
    let coded = |tag| riff(b"RIFF", b"WAVE", &[(b"fmt ", wav_form(tag, 8000, 1, 8)), (b"data", vec![1; 800])]);
    for (tag, codec) in [(6, Codec::ALaw), (7, Codec::MuLaw)] {
        let facts = audio(&coded(tag));
        assert_eq!((facts.codec, facts.duration_ms), (codec, Some(100)));
    }
    assert_eq!(refusal(&coded(0xFF)).1, "files of type audio/wav; codec=0x00ff are not accepted");
}

#[test]
fn wav_with_nonsense_is_refused() {
    for (file, reason) in [
        (wav(0, 1, 16, &[1; 16]), "its sample rate is zero"),
        (wav(8000, 0, 16, &[1; 16]), "it has no channels"),
        (wav(8000, 1, 0, &[1; 16]), "its bits a sample make no sense"),
        (riff(b"RIFF", b"WAVE", &[(b"data", vec![1; 16])]), "it has no fmt chunk"),
        (riff(b"RIFF", b"WAVE", &[(b"fmt ", wav_form(1, 8000, 1, 16))]), "it has no data chunk"),
    ] {
        assert_eq!(refusal(&file), ("corrupt", format!("not a valid wav file: {reason}")));
    }
}

#[test]
fn wav_trailing_data_is_refused_but_zeros_are_padding() {
    let whole = wav(8000, 1, 16, &[1; 1600]);
    assert_eq!(audio(&[whole.clone(), vec![0; 100]].concat()).duration_ms, Some(100));
    assert_eq!(refusal(&[whole, b"PK\x03\x04".to_vec()].concat()).0, "trailing_data");
}

#[test]
fn mp3_without_header_is_counted() {
    let facts = audio(&mp3_frames(100));
    assert_eq!(length(&facts), (Some(2612), DurationSource::Counted));
    assert_eq!((facts.sample_rate, facts.channels, facts.codec), (44_100, 2, Codec::Mp3));
    assert_eq!(facts.variable_bitrate, Some(false));
    let facts = audio(&mp3_misleading(100));
    assert_eq!((facts.duration_ms, facts.variable_bitrate), (Some(2612), Some(true)));
}

#[test]
fn mp3_header_is_trimmed_by_delay_and_padding() {
    let facts = audio(&mp3_with_xing(1000, 576, 1728));
    assert_eq!(length(&facts), (Some((1000 * 1152 - 576 - 1728) * 1000 / 44_100), DurationSource::Header));
    // A header that would leave nothing is not believed.
    assert_eq!(audio(&mp3_with_xing(2, 4000, 4000)).duration_ms, Some(52));
    assert_eq!(length(&audio(&mp3_with_xing(0, 0, 0).repeat(3))), (Some(52), DurationSource::Counted));
}

#[test]
fn mp3_tags_are_cleaned_and_skipped() {
    let facts = audio(&[id3(" So\u{202e}ng\u{7}", &"\u{e9}".repeat(200)), mp3_frames(3)].concat());
    assert_eq!(facts.title.as_deref(), Some("Song"));
    assert_eq!(facts.artist.map(|artist| artist.len()), Some(254));
}

#[test]
fn mp3_larger_than_a_walk_is_estimated() {
    let facts = audio(&mp3_frames(50_000));
    assert_eq!(facts.duration_source, DurationSource::Estimated);
    assert_eq!(facts.duration_ms, Some(50_000 * 1152 * 1000 / 44_100));
}

#[test]
fn mp3_after_junk_is_found_but_not_after_markup() {
    let junk = [vec![1, 2, 3, 0xFF, 0xFB], mp3_frames(5)].concat();
    assert_eq!(audio(&junk).duration_ms, Some(131));
    let markup = [id3("a", "b"), b"<html><script>alert(1)</script>".to_vec(), mp3_frames(5)].concat();
    assert_eq!(refusal(&markup).1, "not a valid mp3 file: no MPEG frame follows its tag");
}

#[test]
fn tags_before_other_formats_are_seen_through() {
    let tag = id3("a", "b");
    assert_eq!(try_probe(&[tag.clone(), flac(44_100)].concat()).unwrap().format, Format::Flac);
    assert_eq!(try_probe(&[tag, adts(5)].concat()).unwrap().format, Format::Adts);
}

#[test]
fn flac_tells_everything() {
    let facts = audio(&flac(44_100));
    assert_eq!(length(&facts), (Some(1000), DurationSource::Header));
    assert_eq!((facts.sample_rate, facts.channels, facts.bit_depth, facts.codec), (44_100, 2, Some(16), Codec::Flac));
    assert_eq!((facts.title.as_deref(), facts.artist.as_deref()), (Some("Song"), Some("Band")));
}

#[test]
fn flac_of_unknown_length_is_counted_by_its_last_frame_or_unknown() {
    assert_eq!(length(&audio(&flac(0))), (None, DurationSource::Unknown));
    // Fixed blocks of 4096: frame number 9, 16 bits, stereo; the checksum is the one of these five bytes.
    let mut file = flac(0);
    file.extend([0xFF, 0xF8, 0xC9, 0x18, 9]);
    let crc = (0..=255).find(|crc| {
        let whole = [file.clone(), vec![*crc], vec![0; 20]].concat();
        audio(&whole).duration_ms.is_some()
    });
    let whole = [file, vec![crc.unwrap()], vec![0; 20]].concat();
    assert_eq!(length(&audio(&whole)), (Some(929), DurationSource::Counted));
}

#[test]
fn ogg_subtracts_what_precedes_the_start() {
    let facts = audio(&ogg_opus(2, 312, 48_312));
    assert_eq!(length(&facts), (Some(1000), DurationSource::Header));
    assert_eq!((facts.sample_rate, facts.codec, facts.title.as_deref()), (48_000, Codec::Opus, Some("Song")));
    let facts = audio(&ogg_vorbis(44_100, 2, 88_200));
    assert_eq!((facts.duration_ms, facts.codec, facts.artist.as_deref()), (Some(2000), Codec::Vorbis, Some("Band")));
}

#[test]
fn ogg_chains_are_added_up() {
    let chain = [ogg_vorbis(44_100, 2, 88_200), ogg_vorbis(44_100, 2, 44_100)].concat();
    assert_eq!(audio(&chain).duration_ms, Some(1000), "one serial number is one stream");
    let mut second = ogg_vorbis(44_100, 2, 44_100);
    for at in 0..second.len() - 18 {
        if second[at..].starts_with(b"OggS") {
            second[at + 14] = 8;
        }
    }
    let chain = [ogg_vorbis(44_100, 2, 88_200), second].concat();
    assert_eq!(length(&audio(&chain)), (Some(3000), DurationSource::Counted));
}

#[test]
fn ogg_without_channels_is_refused() {
    assert_eq!(refusal(&ogg_opus(0, 0, 0)).1, "not a valid ogg-opus file: it has no channels");
}

#[test]
fn m4a_tells_everything() {
    for (entry, codec) in [(b"mp4a", Codec::Aac), (b"alac", Codec::Alac)] {
        let facts = audio(&m4a(entry, 88_200));
        assert_eq!(length(&facts), (Some(2000), DurationSource::Header));
        assert_eq!((facts.sample_rate, facts.channels, facts.codec), (44_100, 2, codec));
        assert_eq!((facts.title.as_deref(), facts.artist.as_deref()), (Some("Song"), Some("Band")));
    }
    assert_eq!(audio(&m4a(b"alac", 1)).bit_depth, Some(16));
    assert_eq!(length(&audio(&m4a(b"mp4a", 0))), (None, DurationSource::Unknown));
}

#[test]
fn films_and_other_codecs_are_refused_by_name() {
    assert_eq!(refusal(&m4a_with(b"avc1", b"vide", 1, b"isom")).1, "files of type video/mp4 are not accepted");
    assert_eq!(refusal(&m4a_with(b"xxxx", b"vide", 1, b"M4A ")).1, "files of type video/mp4 are not accepted");
    assert_eq!(refusal(&m4a(b"samr", 1)).1, "files of type audio/mp4; codecs=samr are not accepted");
    assert_eq!(refusal(&webm("V_VP9", 1)).1, "files of type video/webm are not accepted");
    assert_eq!(refusal(&webm("A_MPEG/L2", 2)).1, "files of type audio/webm; codecs=A_MPEG/L2 are not accepted");
}

#[test]
fn cover_art_is_no_film() {
    assert_eq!(refusal(&m4a_with(b"jpeg", b"vide", 1, b"M4A ")).1, "not a valid m4a file: it has no track of sound");
}

#[test]
fn optional_formats_are_read() {
    let facts = audio(&aiff(44_100));
    assert_eq!((facts.duration_ms, facts.sample_rate, facts.title.as_deref()), (Some(1000), 44_100, Some("Song")));
    assert_eq!(length(&audio(&aiff(90_000))), (Some(1000), DurationSource::Counted));
    let facts = audio(&webm("A_OPUS", 2));
    assert_eq!((facts.duration_ms, facts.sample_rate, facts.channels), (Some(2000), 48_000, 2));
    let facts = audio(&adts(30));
    assert_eq!(length(&facts), (Some(30 * 1024 * 1000 / 44_100 + 1), DurationSource::Counted));
}

#[test]
fn large_wav_costs_little_whatever_precedes_its_sound() {
    let list = (b"LIST", b"INFOINAM\x05\0\0\0Song\0".to_vec());
    let chunks = [(b"fmt ", wav_form(1, 8000, 1, 16)), list, (b"data", vec![1; 1 << 20])];
    let probe = try_probe(&riff(b"RIFF", b"WAVE", &chunks)).unwrap();
    assert!(probe.bytes_read < 16 << 10, "{} bytes", probe.bytes_read);
}

#[test]
fn frames_beyond_counting_are_estimated() {
    // 8 kbit/s at 8 kHz: 72 bytes and 72 ms a frame.
    let mut frame = vec![0xFF, 0xE3, 0x18, 0xC0];
    frame.resize(72, 0);
    let facts = audio(&frame.repeat(10_000));
    assert_eq!(length(&facts), (Some(720_000), DurationSource::Counted));
    let facts = audio(&frame.repeat(200_000));
    assert_eq!(length(&facts), (Some(14_400_000), DurationSource::Estimated));
    // LC, 44.1 kHz, 13 bytes and 1024 samples a frame.
    let mut frame = vec![0xFF, 0xF1, 0x50, 0x80, 0x01, 0xBF, 0xFC];
    frame.resize(13, 0);
    let facts = audio(&frame.repeat(200_000));
    assert_eq!(length(&facts), (Some(4_643_991), DurationSource::Estimated));
}

#[test]
fn mp4_without_a_table_of_sizes_has_the_stated_bit_rate() {
    let facts = audio(&m4a(b"alac", 88_200));
    assert_eq!(facts.bitrate, Some(256), "64 bytes in two seconds");
    let mut stated = m4a(b"alac", 88_200);
    let config = stated.windows(8).rposition(|window| window == b"alac\0\0\0\0").unwrap();
    stated[config + 24..config + 28].copy_from_slice(&705_600_u32.to_be_bytes());
    assert_eq!(audio(&stated).bitrate, Some(705_600));
}

#[test]
fn ogg_pictures_among_the_comments_are_not_read() {
    let head = [&b"OpusHead\x01\x02"[..], &[0x38, 1, 0x80, 0xBB, 0, 0, 0, 0, 0]].concat();
    let entry = |text: &[u8]| [&u32::try_from(text.len()).unwrap().to_le_bytes()[..], text].concat();
    let picture = [b"METADATA_BLOCK_PICTURE=".to_vec(), vec![b'A'; 600_000]].concat();
    let tags =
        [&b"OpusTags"[..], &entry(b"us"), &2_u32.to_le_bytes(), &entry(b"TITLE=Song"), &entry(&picture)].concat();
    let mut file = ogg_page(2, 0, 9, &[&head]);
    for part in tags.chunks(254 * 255) {
        // Pages of full segments; the last one ends the packet.
        let mut page = ogg_page(0, 0, 9, &[part]);
        if part.len() == 254 * 255 {
            page[26] = 254;
            page.remove(27 + 254);
        }
        file.extend(page);
    }
    file.extend(ogg_page(0, 960, 9, &[&[0xF8; 40]]));
    file.extend(ogg_page(4, 48_312, 9, &[&[0xF8; 300]]));
    let probe = try_probe(&file).unwrap();
    assert!(probe.bytes_read < 128 << 10, "{} bytes", probe.bytes_read);
    let facts = audio(&file);
    assert_eq!((facts.duration_ms, facts.title.as_deref()), (Some(1000), Some("Song")));
}

/// The pages of a file, each by itself.
fn pages(file: &[u8]) -> Vec<Vec<u8>> {
    let starts = (0..file.len()).filter(|at| file[*at..].starts_with(b"OggS"));
    let mut starts: Vec<usize> = starts.collect();
    starts.push(file.len());
    starts.windows(2).map(|pair| file[pair[0]..pair[1]].to_vec()).collect()
}

#[test]
fn ogg_sound_is_found_beside_a_skeleton() {
    let sound = pages(&ogg_vorbis(44_100, 2, 88_200));
    let beside = [
        ogg_page(2, 0, 1, &[b"fishead\0\x03\0\0\0"]),
        ogg_page(2, 0, 2, &[b"\x80kate\0\0\0"]),
        ogg_page(0, 0, 1, &[b"fisbone\0"]),
        ogg_page(4, 0, 1, &[]),
    ];
    // Its last page may come after the last one of the sound, and so may captions' of a position of their own.
    let last = ogg_page(4, 77, 2, &[b"late caption"]);
    let file =
        [&beside[0], &sound[0], &beside[1], &beside[2], &sound[1], &beside[3], &sound[2], &last].map(Clone::clone);
    let probe = try_probe(&file.concat()).unwrap();
    assert_eq!(probe.format, Format::OggVorbis);
    let facts = audio(&file.concat());
    assert_eq!(length(&facts), (Some(2000), DurationSource::Header));
    assert_eq!((facts.sample_rate, facts.channels, facts.title.as_deref()), (44_100, 2, Some("Song")));
    let with_pictures =
        [&beside[0], &sound[0], &ogg_page(2, 0, 3, &[b"\x80theora\x03"]), &sound[1], &sound[2]].map(Clone::clone);
    assert_eq!(refusal(&with_pictures.concat()).1, "files of type video/ogg are not accepted");
    assert_eq!(refusal(&beside[0]).1, "files of type application/ogg are not accepted");
}

#[test]
fn ogg_recorded_from_the_middle_on_lasts_from_there() {
    let whole = pages(&ogg_vorbis(44_100, 2, 1_441_000));
    let packets = [&[0; 20][..]; 10];
    let file = [whole[0].clone(), whole[1].clone(), ogg_page(0, 1_000_000, 7, &packets), whole[2].clone()].concat();
    // Ten packets of at most half a long block of 2048.
    assert_eq!(length(&audio(&file)), (Some((441_000 + 10 * 1024) * 1000 / 44_100), DurationSource::Estimated));
}

#[test]
fn ogg_links_of_another_kind_do_not_count() {
    let other = |mut link: Vec<u8>| {
        for at in (0..link.len() - 18).filter(|at| link[*at..].starts_with(b"OggS")).collect::<Vec<_>>() {
            link[at + 14] = 99;
        }
        link
    };
    let chain = [ogg_vorbis(44_100, 2, 88_200), other(ogg_vorbis(8000, 1, 44_100))].concat();
    assert_eq!(length(&audio(&chain)), (Some(2000), DurationSource::Counted));
    let chain = [ogg_opus(2, 312, 48_312), other(ogg_opus(2, 1000, 49_000))].concat();
    assert_eq!(length(&audio(&chain)), (Some(2000), DurationSource::Counted));
}

#[test]
fn adts_goes_on_behind_tags_and_junk() {
    let frames = |count: u64| (count * 1024 * 1000 + 22_050) / 44_100;
    let segments = [id3("a", "b"), adts(20), id3("c", "d"), adts(10)].concat();
    assert_eq!(length(&audio(&segments)), (Some(frames(30)), DurationSource::Counted));
    let joined = [adts(20), b"junk".to_vec(), adts(10)].concat();
    assert_eq!(length(&audio(&joined)), (Some(frames(30)), DurationSource::Counted));
    let cut = [&adts(1)[30..], &adts(20)].concat();
    assert_eq!(try_probe(&cut).unwrap().format, Format::Adts);
    assert_eq!(length(&audio(&cut)), (Some(frames(20)), DurationSource::Counted));
    let markup = [b"\x01<html>".to_vec(), adts(20)].concat();
    assert_eq!(refusal(&markup).0, "unsupported_type");
}

#[test]
fn aiff_of_a_recorder_that_could_not_go_back_is_counted() {
    let mut file = aiff(0);
    file[4..8].fill(0);
    let sound = file.windows(4).position(|name| name == b"SSND").unwrap();
    file[sound + 4..sound + 8].fill(0);
    assert_eq!(length(&audio(&file)), (Some(1000), DurationSource::Counted));
}

#[test]
fn mp3_header_of_the_first_of_two_joined_files_is_not_believed() {
    let mut one = mp3_with_xing(30, 0, 0);
    // Frames and bytes.
    let len = u32::try_from(one.len()).unwrap();
    one[36 + 7] = 3;
    one[36 + 12..36 + 16].copy_from_slice(&len.to_be_bytes());
    assert_eq!(length(&audio(&one)), (Some(784), DurationSource::Header));
    let two = [one.clone(), one].concat();
    assert_eq!(audio(&two).duration_source, DurationSource::Counted);
    assert!(audio(&two).duration_ms >= Some(1567), "{:?}", audio(&two));
}

#[test]
fn m4a_layouts_have_their_own_number_of_channels() {
    for (layout, channels) in [(1, 1), (6, 6), (7, 8), (11, 7), (12, 8), (14, 8)] {
        let mut file = m4a(b"mp4a", 88_200);
        let config = file.windows(4).position(|part| part == [5, 2, 0x12, 0x10]).unwrap();
        file[config + 3] = layout << 3;
        assert_eq!(audio(&file).channels, channels, "layout {layout}");
    }
}

#[test]
fn letters_of_a_video_codec_in_coded_sound_make_no_film() {
    let file = [webm("A_OPUS", 2), b"V_VP8".to_vec()].concat();
    assert_eq!(try_probe(&file).unwrap().format, Format::WebmAudio);
    assert_eq!(audio(&file).bit_depth, None);
}
