//! What uploaded bytes are: the type and the facts of images and audio, read from content alone.
//!
//! **Architecture invariant:** this crate is pure and synchronous. It reads from a `Read + Seek` inside a [`Budget`] and
//! answers with facts or a [`MediaError`]; it never decodes pixels or samples, never writes, never looks at names or
//! the environment, and has no async runtime, SQL or S3 in its dependency tree. No panic, unbounded allocation or
//! endless loop is reachable from the bytes.
//!
//! ```
//! use object_store_media::{Facts, Policy, probe};
//! # fn main() -> Result<(), object_store_media::MediaError> {
//! let gif = *b"GIF89a\x02\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x02\0\x01\0\0\x02\x02\x44\x01\0;";
//! let probe = probe(std::io::Cursor::new(gif), &Policy::default())?;
//! assert_eq!(probe.format.content_type(), "image/gif");
//! let Facts::Image(facts) = probe.facts else { unreachable!() };
//! assert_eq!((facts.width, facts.height, facts.frame_count), (2, 1, 1));
//! # Ok(())
//! # }
//! ```

mod archive;
mod audio;
mod bmff;
mod bytes;
pub mod check;
mod declared;
mod detect;
mod error;
mod facts;
mod format;
mod image;
mod policy;
mod probe;
mod riff;
mod source;
mod text;

pub use declared::{declared_matches, is_undeclared};
pub use detect::{Detected, detect};
pub use error::MediaError;
pub use facts::{AudioFacts, Codec, DurationSource, Facts, ImageFacts, Probe};
pub use format::{Format, FormatSet, Kind};
pub use policy::{Budget, Limits, Policy, Spent};
pub use probe::{identify, probe, probe_spending};
