//! Facts of pictures.

mod avif;
mod bmp;
mod exif;
mod gif;
mod jpeg;
mod png;
mod tiff;
mod webp;

use std::io::{Read, Seek};

use crate::error::Fault;
use crate::facts::ImageFacts;
use crate::format::Format;
use crate::policy::Limits;
use crate::source::Source;

/// Reads the facts of a picture whose type is known.
pub(crate) fn facts<S: Read + Seek>(
    source: &mut Source<S>,
    format: Format,
    limits: &Limits,
) -> Result<ImageFacts, Fault> {
    match format {
        Format::Png => png::facts(source, limits),
        Format::Jpeg => jpeg::facts(source, limits),
        Format::Gif => gif::facts(source, limits),
        Format::WebP => webp::facts(source, limits),
        Format::Avif | Format::Heic => avif::facts(source, limits),
        Format::Tiff => tiff::facts(source, limits),
        Format::Bmp => bmp::facts(source, limits),
        _ => Err(Fault::Corrupt("it is not a picture")),
    }
}

/// The size that `imagesize` reads. Only for files that passed the guards for what it is known to get wrong.
fn library_size<S: Read + Seek>(source: &mut Source<S>) -> Result<(u32, u32), Fault> {
    let mut view = source.view();
    let size = imagesize::reader_size(&mut view);
    view.failure()?;
    let size = size.map_err(|_| Fault::Corrupt("its header has no size"))?;
    match (u32::try_from(size.width), u32::try_from(size.height)) {
        (Ok(width), Ok(height)) => Ok((width, height)),
        _ => Err(Fault::Corrupt("its size is absurd")),
    }
}

/// Refuses empty pictures, and those that the limits refuse.
fn checked_size(limits: &Limits, width: u32, height: u32) -> Result<(u32, u32), Fault> {
    if width == 0 || height == 0 {
        return Err(Fault::Corrupt("its width or height is zero"));
    }
    limits.check_size(width, height)?;
    Ok((width, height))
}
