//! ZIP archives in or behind media. Unpackers find an archive by the record at its end, wherever it starts, so that a file
//! can be a picture and an archive at once.
//!
//! Every file has its last 4 KiB looked at. More is fetched only where an archive costs an attacker nothing: behind the end
//! of the media where the format does not show it, and in comments, metadata and whatever else no decoder looks at.

use std::io::{Read, Seek};

use crate::bytes::{find, slice, u16_le, u32_le};
use crate::error::Fault;
use crate::source::Source;

/// A record has 22 bytes, and a comment of up to 64 KiB may follow it: unpackers look no further.
pub(crate) const TAIL: u64 = (64 << 10) + RECORD as u64;
const RECORD: usize = 22;
/// What is looked at of every file.
const SHORT_TAIL: u64 = 4 << 10;

const END_RECORD: &[u8] = b"PK\x05\x06";
const DIRECTORY: [u8; 4] = *b"PK\x01\x02";
/// It says where the end record of large archives is, and lies so far before the plain one.
const LARGE_LOCATOR: ([u8; 4], u64) = (*b"PK\x06\x07", 20);

/// Refuses a file that ends as an archive does.
pub(crate) fn check_end<S: Read + Seek>(source: &mut Source<S>) -> Result<(), Fault> {
    let end = source.len();
    check(source, end.saturating_sub(SHORT_TAIL), end)
}

/// Refuses a file in which an archive ends between two offsets.
pub(crate) fn check<S: Read + Seek>(source: &mut Source<S>, from: u64, to: u64) -> Result<(), Fault> {
    if ends_between(source, from, to)? { Err(Fault::Corrupt("it is an archive, too")) } else { Ok(()) }
}

/// Whether an archive ends between two offsets, as far as unpackers look for it.
pub(crate) fn ends_between<S: Read + Seek>(source: &mut Source<S>, from: u64, to: u64) -> Result<bool, Fault> {
    let start = from.max(source.len().saturating_sub(TAIL));
    let len = usize::try_from(to.saturating_sub(start)).unwrap_or_default();
    let data = source.up_to(start, len)?;
    let mut done = 0;
    while let Some(found) = find(slice(&data, done, usize::MAX), END_RECORD) {
        if is_end_record(source, start + (done + found) as u64)? {
            return Ok(true);
        }
        done += found + END_RECORD.len();
    }
    Ok(false)
}

/// Four bytes alone turn up in coded data by chance: the record must also agree with itself, or with what lies before it.
/// Unpackers forgive much, but need a directory.
fn is_end_record<S: Read + Seek>(source: &mut Source<S>, at: u64) -> Result<bool, Fault> {
    let record = source.up_to(at, RECORD)?;
    if record.len() < RECORD {
        return Ok(false);
    }
    let (disk, disk_of_directory) = (u16_le(&record, 4), u16_le(&record, 6));
    let (entries, all_entries) = (u16_le(&record, 8), u16_le(&record, 10));
    let comment_end = at + RECORD as u64 + u64::from(u16_le(&record, 20));
    if disk == disk_of_directory && entries == all_entries && comment_end <= source.len() {
        return Ok(true);
    }
    let (locator, before) = LARGE_LOCATOR;
    Ok(lies_before(source, at, u64::from(u32_le(&record, 12)), DIRECTORY)? || lies_before(source, at, before, locator)?)
}

fn lies_before<S: Read + Seek>(source: &mut Source<S>, at: u64, by: u64, name: [u8; 4]) -> Result<bool, Fault> {
    match at.checked_sub(by) {
        Some(start) => Ok(source.padded::<4>(start)? == name),
        None => Ok(false),
    }
}
