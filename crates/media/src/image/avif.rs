//! AVIF and HEIC: the primary item of the `meta` box (ISO/IEC 23008-12), and image sequences.
//!
//! Read here, because `imagesize` takes the largest item instead of the primary one and applies any rotation it sees.

use std::io::{Read, Seek};

use super::checked_size;
use crate::bmff::{Box4, contents, find_child, find_path, next_box};
use crate::bytes::{find, u8_at, u16_be, u32_be};
use crate::error::Fault;
use crate::facts::ImageFacts;
use crate::policy::Limits;
use crate::source::Source;

/// More properties than any encoder writes.
const MAX_PROPERTIES: usize = 4096;
const MAX_ASSOCIATIONS: usize = 256 << 10;

pub(super) fn facts<S: Read + Seek>(source: &mut Source<S>, limits: &Limits) -> Result<ImageFacts, Fault> {
    let mut meta = None;
    let mut moov = None;
    let mut at = 0;
    let end = source.len();
    while at + 8 <= end {
        let top = match next_box(source, at, end) {
            Ok(Some(top)) => top,
            Ok(None) => break,
            // What follows everything that matters may be anything but pictures that are cut.
            Err(Fault::Corrupt(_)) if (meta.or(moov)).is_some() && source.array::<8>(at)?.get(4..) != Some(b"mdat") => {
                break;
            }
            Err(fault) => return Err(fault),
        };
        match &top.kind {
            b"meta" if meta.is_none() => meta = Some(top),
            b"moov" if moov.is_none() => moov = Some(top),
            _ => {}
        }
        at = top.end;
    }
    let sequence = match moov {
        Some(moov) => read_sequence(source, moov)?,
        None => None,
    };
    let primary = match meta {
        Some(meta) => read_primary(source, meta, limits)?,
        None => None,
    };
    let mut facts = match (primary, &sequence) {
        (Some(facts), _) => facts,
        (None, Some(sequence)) => {
            let (width, height) = checked_size(limits, sequence.width, sequence.height)?;
            ImageFacts::still(width, height)
        }
        (None, None) => return Err(Fault::Corrupt("it names no primary picture")),
    };
    if let Some(sequence) = sequence {
        limits.check_frames(sequence.frames)?;
        facts.frame_count = sequence.frames.max(1);
    }
    Ok(facts)
}

/// A property of the primary item.
enum Property {
    Size(u32, u32),
    Clean(u32, u32),
    Rotation(u8),
    Mirror(u8),
    Depth(u8),
    CodedDepth(u8),
    Other,
}

/// Facts of the primary item; `None` when none is named, as in pure sequences.
fn read_primary<S: Read + Seek>(
    source: &mut Source<S>,
    meta: Box4,
    limits: &Limits,
) -> Result<Option<ImageFacts>, Fault> {
    // `meta` starts with version and flags.
    let inside = Box4 { body: meta.body.saturating_add(4).min(meta.end), ..meta };
    let Some(pitm) = find_child(source, inside.body, inside.end, *b"pitm")? else { return Ok(None) };
    let pitm = contents(source, pitm, 8)?;
    let primary = if u8_at(&pitm, 0) == 0 { u32::from(u16_be(&pitm, 4)) } else { u32_be(&pitm, 4) };
    let iprp = find_child(source, inside.body, inside.end, *b"iprp")?;
    let iprp = iprp.ok_or(Fault::Corrupt("its pictures have no properties"))?;
    let (properties, has_alpha) = read_properties(source, iprp)?;
    let associated = read_associations(source, iprp, primary)?;

    let mut size = None;
    let mut clean = None;
    let (mut rotation, mut mirror, mut depth) = (0, None, None);
    // What changes the picture ought to be marked essential, but viewers heed it also where it is not.
    for index in associated {
        match properties.get(index) {
            Some(Property::Size(width, height)) => size = Some((*width, *height)),
            Some(Property::Clean(width, height)) => clean = Some((*width, *height)),
            Some(Property::Rotation(angle)) => rotation = *angle,
            Some(Property::Mirror(axis)) => mirror = Some(*axis),
            Some(Property::Depth(bits)) => depth = Some(*bits),
            Some(Property::CodedDepth(bits)) => depth = depth.or(Some(*bits)),
            Some(Property::Other) | None => {}
        }
    }
    let (width, height) = size.ok_or(Fault::Corrupt("its primary picture has no size"))?;
    let (width, height) = checked_size(limits, width, height)?;
    let mut facts = ImageFacts::still(width, height);
    facts.bit_depth = depth;
    facts.has_alpha = Some(has_alpha);
    if let Some((clean_width, clean_height)) = clean.filter(|clean| clean.0 <= width && clean.1 <= height) {
        (facts.width, facts.height) = (clean_width, clean_height);
    }
    Ok(Some(facts.turned(exif_equivalent(rotation, mirror))))
}

/// `irot` turns by quarter turns against the clock, then `imir` swaps top and bottom (0) or left and right (1).
fn exif_equivalent(rotation: u8, mirror: Option<u8>) -> u8 {
    match (rotation & 3, mirror.map(|axis| axis & 1)) {
        (0, None) => 1,
        (0, Some(0)) | (2, Some(1)) => 4,
        (0 | 2, Some(_)) => 2,
        (1, None) => 8,
        (1, Some(0)) | (3, Some(1)) => 5,
        (2, None) => 3,
        (_, None) => 6,
        (_, Some(_)) => 7,
    }
}

/// All properties in order, and whether one says that an item is an alpha plane.
fn read_properties<S: Read + Seek>(source: &mut Source<S>, iprp: Box4) -> Result<(Vec<Property>, bool), Fault> {
    let mut properties = Vec::new();
    let mut has_alpha = false;
    let Some(ipco) = find_child(source, iprp.body, iprp.end, *b"ipco")? else {
        return Err(Fault::Corrupt("its pictures have no properties"));
    };
    let mut at = ipco.body;
    while let Some(property) = next_box(source, at, ipco.end)? {
        at = property.end;
        if properties.len() == MAX_PROPERTIES {
            return Err(Fault::Corrupt("its pictures have too many properties"));
        }
        let data = contents(source, property, 64)?;
        has_alpha |= &property.kind == b"auxC" && find(&data, b":alpha").or(find(&data, b":auxid:1")).is_some();
        properties.push(match &property.kind {
            b"ispe" => Property::Size(u32_be(&data, 4), u32_be(&data, 8)),
            b"clap" => clean_aperture(&data).map_or(Property::Other, |(width, height)| Property::Clean(width, height)),
            b"irot" => Property::Rotation(u8_at(&data, 0)),
            b"imir" => Property::Mirror(u8_at(&data, 0)),
            b"pixi" => Property::Depth(u8_at(&data, 5)),
            // The decoder's configuration tells as well, where `pixi` is left out.
            b"av1C" => Property::CodedDepth(av1_depth(u8_at(&data, 2))),
            b"hvcC" => Property::CodedDepth(8 + (u8_at(&data, 17) & 7)),
            _ => Property::Other,
        });
    }
    Ok((properties, has_alpha))
}

/// By the flags for a high bit depth, and for one of twelve (AV1 in ISO base media files, section 2.3.3).
fn av1_depth(flags: u8) -> u8 {
    match flags & 0x60 {
        0x60 => 12,
        0x40 => 10,
        _ => 8,
    }
}

/// Width and height of the clean aperture, when they are whole and there is something left.
fn clean_aperture(data: &[u8]) -> Option<(u32, u32)> {
    let whole = |at| u32_be(data, at).checked_div(u32_be(data, at + 4)).filter(|side| *side > 0);
    Some((whole(0)?, whole(8)?))
}

/// Indexes into the properties of one item, from `ipma`.
fn read_associations<S: Read + Seek>(source: &mut Source<S>, iprp: Box4, item: u32) -> Result<Vec<usize>, Fault> {
    let mut at = iprp.body;
    while let Some(child) = next_box(source, at, iprp.end)? {
        at = child.end;
        if &child.kind == b"ipma"
            && let Some(found) = associations_of(&contents(source, child, MAX_ASSOCIATIONS)?, item)
        {
            return Ok(found);
        }
    }
    Err(Fault::Corrupt("its primary picture has no properties"))
}

fn associations_of(ipma: &[u8], item: u32) -> Option<Vec<usize>> {
    let (wide_ids, wide_indexes) = (u8_at(ipma, 0) > 0, u8_at(ipma, 3) & 1 == 1);
    let mut at = 8;
    for _ in 0..u32_be(ipma, 4) {
        if at >= ipma.len() {
            return None;
        }
        let id = if wide_ids { u32_be(ipma, at) } else { u32::from(u16_be(ipma, at)) };
        at += if wide_ids { 4 } else { 2 };
        let count = usize::from(u8_at(ipma, at));
        at += 1;
        let width = if wide_indexes { 2 } else { 1 };
        if id == item {
            let read = |n| {
                let at = at + n * width;
                let index = if wide_indexes { u16_be(ipma, at) & 0x7FFF } else { u16::from(u8_at(ipma, at) & 0x7F) };
                // Indexes count from 1; 0 means none.
                usize::from(index).checked_sub(1)
            };
            return Some((0..count).filter_map(read).collect());
        }
        at += count * width;
    }
    None
}

struct Sequence {
    width: u32,
    height: u32,
    frames: u32,
}

/// Size and sample count of the first picture track.
fn read_sequence<S: Read + Seek>(source: &mut Source<S>, moov: Box4) -> Result<Option<Sequence>, Fault> {
    let mut at = moov.body;
    while let Some(trak) = next_box(source, at, moov.end)? {
        at = trak.end;
        if &trak.kind != b"trak" {
            continue;
        }
        let Some(hdlr) = find_path(source, trak, &[*b"mdia", *b"hdlr"])? else { continue };
        let hdlr = contents(source, hdlr, 12)?;
        if !matches!(crate::bytes::slice(&hdlr, 8, 4), b"pict" | b"vide") {
            continue;
        }
        let Some(stbl) = find_path(source, trak, &[*b"mdia", *b"minf", *b"stbl"])? else { continue };
        let Some(stsd) = find_child(source, stbl.body, stbl.end, *b"stsd")? else { continue };
        let Some(sizes) = find_child(source, stbl.body, stbl.end, *b"stsz")? else { continue };
        // A visual sample entry has its size 24 bytes into its contents; 8 bytes of `stsd` and its own header precede.
        let entry = contents(source, stsd, 48)?;
        let (width, height) = (u32::from(u16_be(&entry, 40)), u32::from(u16_be(&entry, 42)));
        let frames = u32_be(&contents(source, sizes, 12)?, 8);
        return Ok(Some(Sequence { width, height, frames }));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_and_mirroring_have_an_exif_equivalent() {
        let by_rotation = |mirror| [0, 1, 2, 3].map(|rotation| exif_equivalent(rotation, mirror));
        assert_eq!(by_rotation(None), [1, 8, 3, 6]);
        assert_eq!(by_rotation(Some(0)), [4, 5, 2, 7]);
        assert_eq!(by_rotation(Some(1)), [2, 7, 4, 5]);
    }
}
