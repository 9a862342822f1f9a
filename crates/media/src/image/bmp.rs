//! Windows bitmaps. Read here, because `imagesize` misreads the oldest header and negative heights.

use std::io::{Read, Seek};

use super::checked_size;
use crate::bytes::{array, u16_le, u32_le};
use crate::error::Fault;
use crate::facts::ImageFacts;
use crate::policy::Limits;
use crate::source::Source;

/// `BITMAPCOREHEADER`, with 16-bit sizes.
const CORE_HEADER: u32 = 12;

pub(super) fn facts<S: Read + Seek>(source: &mut Source<S>, limits: &Limits) -> Result<ImageFacts, Fault> {
    let head = source.array::<26>(0)?;
    let (width, height, bits) = if u32_le(&head, 14) == CORE_HEADER {
        (u32::from(u16_le(&head, 18)), u32::from(u16_le(&head, 20)), u16_le(&head, 24))
    } else {
        let width = i32::from_le_bytes(array(&head, 18));
        let height = i32::from_le_bytes(array(&head, 22));
        let bits = source.array::<2>(28)?;
        // A negative height says that the rows run from top to bottom; a negative width says nothing.
        (u32::try_from(width).unwrap_or_default(), height.unsigned_abs(), u16_le(&bits, 0))
    };
    let (width, height) = checked_size(limits, width, height)?;
    let pixels_at = u64::from(u32_le(&head, 10));
    if pixels_at >= source.len() {
        return Err(Fault::Corrupt(crate::error::TRUNCATED));
    }
    let mut facts = ImageFacts::still(width, height);
    facts.bit_depth = match bits {
        24 | 32 => Some(8),
        1 | 2 | 4 | 8 => u8::try_from(bits).ok(),
        _ => None,
    };
    Ok(facts)
}
