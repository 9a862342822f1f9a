//! Small encoders of real, valid media files, and of files that are not what they seem.
//!
//! Every sample is computed from its parameters alone, so that a test can say what must come out, and is what an
//! ordinary decoder accepts. Pictures show something, and audio plays a short melody over and over (Opus alone is
//! silent), so that a demonstration is worth looking at.
//!
//! Widths, heights, rates and counts of 0 are not refused: what comes out then is as wrong as its parameters.

mod bits;
mod checksum;
mod corrupt;
mod flac;
mod gallery;
mod gif;
mod jpeg;
mod m4a;
mod melody;
mod mp3;
mod ogg;
mod opus;
mod pictures;
mod png;
mod vorbis;
mod wav;
mod webp;

#[cfg(test)]
mod tests;

pub use corrupt::{elf, html, html_named_jpeg, pdf, png_bomb, png_zero_dimensions, svg, truncated, with_trailing, zip};
pub use flac::{flac, flac_with_tags};
pub use gallery::{Sample, SampleKind, gallery_set};
pub use gif::gif;
pub use jpeg::{jpeg, jpeg_with_orientation};
pub use m4a::{m4a, m4a_moov_at_end};
pub use mp3::mp3;
pub use opus::ogg_opus;
pub use png::{apng, png};
pub use vorbis::ogg_vorbis;
pub use wav::wav;
pub use webp::webp;
