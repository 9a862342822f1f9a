//! Files made to be endless: rows of the smallest things that a format is made of, nests of them, and huge tags. They are
//! written nowhere, so that they cost no memory. The benchmark takes the time of the same files.

use std::io::{self, Read, Seek, SeekFrom};

use crate::write::{adts, flac, mp3_frames, mp4_box, ogg_opus, ogg_page, png, syncsafe, tiff, webm};

/// A large file that is nowhere stored: a head, a unit over and over, a tail.
#[derive(Clone)]
pub(crate) struct Tiled {
    head: Vec<u8>,
    unit: Vec<u8>,
    /// Bytes between head and tail.
    middle: u64,
    tail: Vec<u8>,
    at: u64,
}

impl Tiled {
    pub(crate) fn new(
        head: impl Into<Vec<u8>>,
        unit: impl Into<Vec<u8>>,
        times: u64,
        tail: impl Into<Vec<u8>>,
    ) -> Self {
        let unit = unit.into();
        Self { head: head.into(), middle: unit.len() as u64 * times, unit, tail: tail.into(), at: 0 }
    }

    pub(crate) fn len(&self) -> u64 {
        self.head.len() as u64 + self.middle + self.tail.len() as u64
    }

    /// The stored bytes from here on, as far as they lie in one piece.
    fn piece(&self) -> &[u8] {
        let after_head = self.at.saturating_sub(self.head.len() as u64);
        if self.at < self.head.len() as u64 {
            &self.head[usize::try_from(self.at).unwrap()..]
        } else if after_head < self.middle {
            &self.unit[usize::try_from(after_head % self.unit.len() as u64).unwrap()..]
        } else {
            self.tail.get(usize::try_from(after_head - self.middle).unwrap()..).unwrap_or_default()
        }
    }
}

impl Read for Tiled {
    fn read(&mut self, mut buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len();
        while !buffer.is_empty() {
            let done = self.piece().read(buffer)?;
            if done == 0 {
                break;
            }
            self.at += done as u64;
            buffer = &mut buffer[done..];
        }
        Ok(wanted - buffer.len())
    }
}

impl Seek for Tiled {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(by) => self.len().checked_add_signed(by).unwrap(),
            SeekFrom::Current(by) => self.at.checked_add_signed(by).unwrap(),
        };
        Ok(self.at)
    }
}

/// At least so many bytes of the unit that copying them does not dominate.
pub(crate) fn tile(unit: &[u8]) -> Vec<u8> {
    unit.repeat(4096_usize.div_ceil(unit.len()))
}

pub(crate) type Row = (&'static str, Vec<u8>, Vec<u8>);

/// Names, starts, and the smallest things that pictures are rows of.
pub(crate) fn rows_of_pictures() -> Vec<Row> {
    let ftyp = |brand: &[u8; 4]| mp4_box(b"ftyp", &[brand, &[0; 4], brand]);
    let webp = b"RIFF\xff\xff\xff\xffWEBPVP8X\x0a\0\0\0\x02\0\0\0\x01\0\0\x01\0\0".to_vec();
    let png = png(8, 6, &[])[..33].to_vec();
    let gif = b"GIF89a\x0a\0\x05\0\0\0\0".to_vec();
    let properties = b"\x03\xff\xff\xffmeta\0\0\0\0\0\0\0\x0epitm\0\0\0\0\0\x01\x03\0\0\0iprp\x02\0\0\0ipco";
    let associations = b"\x03\xff\xff\xffmeta\0\0\0\0\0\0\0\x0epitm\0\0\0\0\0\x01\x03\0\0\0iprp\0\0\0\x08ipco";
    vec![
        ("webp chunks", webp.clone(), b"ALPH\0\0\0\0".to_vec()),
        ("webp exif", webp, b"EXIF\x02\0\0\0MM".to_vec()),
        ("png chunks", png.clone(), [&[0; 4][..], b"tIME", &[0; 4]].concat()),
        ("png texts", png.clone(), [&[0, 0, 0, 1][..], b"tEXta", &[0; 4]].concat()),
        ("png exif", png, [&[0, 0, 0, 2][..], b"eXIfMM", &[0; 4]].concat()),
        ("gif padding", gif.clone(), vec![0]),
        ("gif blocks", [&gif[..], b"\x21\xfe"].concat(), b"\x01a".to_vec()),
        ("gif extensions", gif, b"\x21\xfe\0".to_vec()),
        ("jpeg segments", b"\xff\xd8".to_vec(), b"\xff\xfe\0\x02".to_vec()),
        ("jpeg exif", b"\xff\xd8".to_vec(), b"\xff\xe1\0\x04xx".to_vec()),
        ("jpeg junk", b"\xff\xd8".to_vec(), [vec![b'a'; 4000], b"\xff\xfe\0\x02".to_vec()].concat()),
        ("jpeg fill", b"\xff\xd8".to_vec(), vec![0xFF]),
        ("jpeg restarts", b"\xff\xd8\xff".to_vec(), b"\xd0\xff".to_vec()),
        ("jpeg starts", b"\xff\xd8\xff".to_vec(), b"\xd8\xff".to_vec()),
        ("avif boxes", ftyp(b"avif"), b"\0\0\0\x08free".to_vec()),
        ("avif tracks", [ftyp(b"avis"), b"\x03\xff\xff\xffmoov".to_vec()].concat(), b"\0\0\0\x08trak".to_vec()),
        (
            "avif associations",
            [ftyp(b"avif"), associations.to_vec()].concat(),
            b"\0\0\x20\x14ipma\0\0\0\0\0\0\x08\0".iter().copied().chain([0, 9, 0].repeat(2731)).take(8212).collect(),
        ),
        ("avif properties", [ftyp(b"avif"), properties.to_vec()].concat(), b"\0\0\0\x08irot".to_vec()),
        ("tiff directories", tiff(8, 6, 1), b"\x01\0\0\x01\x03\0\x01\0\0\0\x01\0\0\0".to_vec()),
    ]
}

/// Names, starts, and the smallest things that sound and texts are rows of.
pub(crate) fn rows_of_sound() -> Vec<Row> {
    let ftyp = mp4_box(b"ftyp", &[b"M4A ", &[0; 4], b"M4A "]);
    let moov = [&ftyp[..], b"\x03\xff\xff\xffmoov"].concat();
    let wav = b"RIFF\xff\xff\xff\xffWAVE".to_vec();
    let aiff = b"FORM\xff\xff\xff\xffAIFF".to_vec();
    let flac = flac(1)[..42].to_vec();
    let ogg = ogg_opus(2, 312, 48_312);
    let webm = webm("A_OPUS", 2);
    vec![
        ("wav chunks", wav.clone(), b"junk\0\0\0\0".to_vec()),
        ("wav lists", wav.clone(), b"LIST\x0c\0\0\0INFOIART\0\0\0\0".to_vec()),
        ("wav forms", wav.clone(), b"fmt \0\0\0\0".to_vec()),
        ("wav sounds", wav, b"data\x02\0\0\0aa".to_vec()),
        ("mp4 boxes", ftyp.clone(), b"\0\0\0\x08free".to_vec()),
        ("mp4 fragments", ftyp, b"\0\0\0\x08moof".to_vec()),
        ("mp4 tracks", moov.clone(), b"\0\0\0\x08trak".to_vec()),
        ("mp4 children", [&moov[..], b"\x03\0\0\0trak"].concat(), b"\0\0\0\x08mdix".to_vec()),
        ("aiff chunks", aiff.clone(), b"ANNO\0\0\0\0".to_vec()),
        ("aiff names", aiff, b"NAME\0\0\0\0".to_vec()),
        ("flac blocks", flac.clone(), b"\x01\0\0\0".to_vec()),
        ("flac comments", flac, b"\x04\0\0\x08\0\0\0\0\0\0\0\0".to_vec()),
        ("ogg pages", ogg[..ogg.len() - 400].to_vec(), ogg_page(0, u64::MAX, 9, &[])),
        ("ogg links", ogg.clone(), ogg_page(2, 1, 10, &[b"OpusHead"])),
        ("ogg beginnings", Vec::new(), ogg_page(2, 0, 9, &[b"OpusHead"])),
        ("ogg names", ogg, b"OggS".to_vec()),
        ("webm elements", webm[..webm.len() - 12].to_vec(), b"\xec\x80".to_vec()),
        ("webm clusters", webm.clone(), b"\x1f\x43\xb6\x75\x80".to_vec()),
        ("webm blocks", webm, b"\xa3\x84\x81\0\0\0".to_vec()),
        ("mp3 frames", mp3_frames(3), b"\xff\xe3\x18\xc0\0\0\0\0".to_vec()),
        ("mp3 syncs", mp3_frames(3), b"\xff\xfb\x90\0".to_vec()),
        ("mp3 starts", Vec::new(), b"\xff\xfb\x90\0".to_vec()),
        ("layer I", Vec::new(), b"\xff\xff\x10\0".to_vec()),
        ("adts syncs", adts(3), b"\xff\xf1\x50\x80".to_vec()),
        ("adts tags", adts(3), b"ID3\x04\0\0\0\0\0\0".to_vec()),
        ("archive ends", b"\xff\xd8\xff\xda\0\x02".to_vec(), b"PK\x05\x06\x01\0\0\0".to_vec()),
        ("adts frames", adts(3), b"\xff\xf1\x50\x80\x01\x1f\xfc\0".to_vec()),
        ("markup", b"<!-- ".to_vec(), b"<!".to_vec()),
        ("comments", Vec::new(), b"<!---->".to_vec()),
        ("text", Vec::new(), b"a".to_vec()),
        ("zeros", Vec::new(), vec![0]),
        ("ones", Vec::new(), vec![0xFF]),
    ]
}

/// 200 MB of `ID3v2` tag, then sound: empty, full of small frames, and to be undone in memory.
pub(crate) fn large_tags() -> Vec<(&'static str, Tiled)> {
    const LEN: u32 = 200 << 20;
    let tag = |version: u8, flags: u8| [&b"ID3"[..], &[version, 0, flags], &syncsafe(LEN)].concat();
    let filled = |head: Vec<u8>, unit: &[u8]| {
        let unit = tile(unit);
        let times = u64::from(LEN) / unit.len() as u64;
        let rest = usize::try_from(u64::from(LEN) - times * unit.len() as u64).unwrap();
        Tiled::new(head, unit, times, [vec![0; rest], mp3_frames(50)].concat())
    };
    vec![
        ("an empty tag", filled(tag(4, 0), &[0])),
        ("a tag of small frames", filled(tag(3, 0), b"TXXX\0\0\0\0\0\0")),
        ("an unsynchronised tag", filled(tag(3, 0x80), b"TXXX\0\0\0\x01\0\0\xff\0")),
    ]
}

/// More than is read at all, and as much as is walked through.
pub(crate) fn rows() -> impl Iterator<Item = (&'static str, Tiled)> {
    rows_of_pictures().into_iter().chain(rows_of_sound()).flat_map(|(name, head, unit)| {
        let unit = tile(&unit);
        [80 << 20, 15 << 20].map(|size| (name, Tiled::new(head.clone(), unit.clone(), size / unit.len() as u64, [])))
    })
}

/// Boxes in boxes, each as long as what is left.
pub(crate) fn nested(kinds: &[&[u8; 4]], depth: u32, version: &[u8]) -> Vec<u8> {
    let each = 8 + u32::try_from(version.len()).unwrap();
    let boxes = (0..depth).flat_map(|level| {
        let kind = kinds[level as usize % kinds.len()];
        [&((depth - level) * each).to_be_bytes()[..], kind, version].concat()
    });
    boxes.collect()
}
