//! Boxes of the ISO base media file format (ISO/IEC 14496-12), for AVIF, HEIC and MP4.

use std::io::{Read, Seek};

use crate::bytes::{array, slice, u32_be, u64_be};
use crate::detect::Detected;
use crate::error::Fault;
use crate::format::Format;
use crate::source::Source;

/// A box: its kind, its contents' range, and whether the file ends before it does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Box4 {
    pub(crate) kind: [u8; 4],
    pub(crate) body: u64,
    pub(crate) end: u64,
}

impl Box4 {
    pub(crate) fn len(&self) -> u64 {
        self.end - self.body
    }
}

/// The box at `at` inside a parent that ends at `end`; `None` where no header fits.
pub(crate) fn next_box<S: Read + Seek>(source: &mut Source<S>, at: u64, end: u64) -> Result<Option<Box4>, Fault> {
    source.step()?;
    if at.saturating_add(8) > end {
        return Ok(None);
    }
    let head = source.array::<8>(at)?;
    let [_, _, _, _, kind @ ..] = head;
    let (header, size) = match u32_be(&head, 0) {
        0 => (8, end - at),
        1 => (16, u64_be(&source.array::<8>(at + 8)?, 0)),
        size => (8, u64::from(size)),
    };
    let box_end = at.checked_add(size).ok_or(Fault::Corrupt("a box size is absurd"))?;
    if size < header {
        return Err(Fault::Corrupt("a box is smaller than its own header"));
    }
    if box_end > end {
        return Err(Fault::Corrupt("a box is larger than what holds it"));
    }
    Ok(Some(Box4 { kind, body: at + header, end: box_end }))
}

/// The first child of a kind.
pub(crate) fn find_child<S: Read + Seek>(
    source: &mut Source<S>,
    mut at: u64,
    end: u64,
    kind: [u8; 4],
) -> Result<Option<Box4>, Fault> {
    while let Some(child) = next_box(source, at, end)? {
        if child.kind == kind {
            return Ok(Some(child));
        }
        at = child.end;
    }
    Ok(None)
}

/// Follows a path of first children.
pub(crate) fn find_path<S: Read + Seek>(
    source: &mut Source<S>,
    from: Box4,
    path: &[[u8; 4]],
) -> Result<Option<Box4>, Fault> {
    let mut here = from;
    for kind in path {
        match find_child(source, here.body, here.end, *kind)? {
            Some(child) => here = child,
            None => return Ok(None),
        }
    }
    Ok(Some(here))
}

/// The contents of a box, at most `limit` bytes of them.
pub(crate) fn contents<S: Read + Seek>(source: &mut Source<S>, of: Box4, limit: usize) -> Result<Vec<u8>, Fault> {
    source.up_to(of.body, limit.min(usize::try_from(of.len()).unwrap_or(usize::MAX)))
}

/// What the brands in `ftyp` promise.
pub(crate) fn detect(head: &[u8]) -> Detected {
    let len = usize::try_from(u32_be(head, 0)).unwrap_or_default().clamp(16, 1024);
    let list = slice(head, 8, len - 8);
    let brands: Vec<[u8; 4]> =
        list.chunks_exact(4).enumerate().filter(|(index, _)| *index != 1).map(|(_, brand)| array(brand, 0)).collect();
    let major: [u8; 4] = brands.first().copied().unwrap_or_default();
    by_brand(major).unwrap_or_else(|| match &major {
        b"mif1" | b"msf1" | b"mif2" | b"miaf" | b"MA1B" | b"MA1A" | b"tmap" => still(&brands),
        _ if brands.iter().any(|brand| matches!(brand, b"avif" | b"avis")) => Detected::Format(Format::Avif),
        _ => by_tracks(head, major),
    })
}

/// Brands that settle it alone.
fn by_brand(brand: [u8; 4]) -> Option<Detected> {
    Some(match &brand {
        b"avif" | b"avis" => Detected::Format(Format::Avif),
        b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"hevm" | b"hevs" => Detected::Format(Format::Heic),
        b"M4A " | b"M4B " | b"M4P " | b"F4A " | b"F4B " => Detected::Format(Format::Mp4Audio),
        b"M4V " | b"M4VH" | b"M4VP" | b"F4V " => Detected::Refused("video/mp4"),
        b"crx " => Detected::Refused("image/x-canon-cr3"),
        b"jp2 " | b"jpx " | b"jpm " => Detected::Refused("image/jp2"),
        b"jxl " => Detected::Refused("image/jxl"),
        _ => return None,
    })
}

/// A generic picture brand: the compatible ones tell the codec. The only writers that name two are those of AVIF.
fn still(brands: &[[u8; 4]]) -> Detected {
    const AVIF: Detected = Detected::Format(Format::Avif);
    let settled: Vec<Detected> = brands.iter().filter_map(|brand| by_brand(*brand)).collect();
    let avif = settled.contains(&AVIF).then_some(AVIF);
    avif.or(settled.first().copied()).unwrap_or(Detected::Refused("image/heif"))
}

/// A generic film brand: sound unless the head already shows a film codec. (A picture track alone may be cover art.)
fn by_tracks(head: &[u8], major: [u8; 4]) -> Detected {
    const FILM: [&[u8]; 10] =
        [b"avc1", b"avc3", b"hvc1", b"hev1", b"av01", b"vp08", b"vp09", b"s263", b"dvh1", b"apcn"];
    let head = slice(head, 0, 4096);
    // The sample description starts with eight bytes of its own and the entry's size.
    let mut descriptions = head.windows(20).filter(|window| window.starts_with(b"stsd"));
    let video = descriptions.any(|window| FILM.contains(&slice(window, 16, 4)));
    match (video, &major) {
        (false, _) => Detected::Format(Format::Mp4Audio),
        (true, b"qt  ") => Detected::Refused("video/quicktime"),
        (true, _) => Detected::Refused("video/mp4"),
    }
}
