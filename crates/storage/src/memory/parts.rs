//! Multipart uploads whose parts come by signed URLs.

use std::ops::Bound;

use bytes::Bytes;

use super::Memory;
use super::state::{OpenUpload, Part, StoredObject};
use crate::error::{StorageError, StorageResult};
use crate::key::ObjectKey;
use crate::parts::{MIN_PART_BYTES, PartPage, UploadedPart};

/// The most parts that a page has, as in S3.
const MAX_PAGE: u16 = 1_000;

impl Memory {
    pub(super) fn receive_part(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        number: u16,
        bytes: Bytes,
    ) -> StorageResult<String> {
        let part = Part::new(bytes);
        let etag = part.etag.clone();
        self.state().upload(key, upload_id)?.parts.insert(number, part);
        Ok(etag)
    }

    pub(super) fn parts_of(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        after: Option<u16>,
        limit: u16,
    ) -> StorageResult<PartPage> {
        if !(1..=MAX_PAGE).contains(&limit) {
            let reason = format!("a page of a listing has 1 to {MAX_PAGE} parts, not {limit}");
            return Err(StorageError::InvalidRequest { reason });
        }
        let mut state = self.state();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut parts = state.upload(key, upload_id)?.parts.range((start, Bound::Unbounded));
        let page = parts.by_ref().take(usize::from(limit)).map(|(number, part)| part.listed(*number)).collect();
        Ok(PartPage { parts: page, has_more: parts.next().is_some() })
    }

    pub(super) fn join(&self, key: &ObjectKey, upload_id: &str, wanted: &[UploadedPart]) -> StorageResult<()> {
        let mut state = self.state();
        let now = state.now();
        let upload = state.upload(key, upload_id)?;
        let object = StoredObject::joined(&chosen(upload, wanted)?, &upload.content_type, now);
        state.objects.insert(key.to_string(), object);
        state.end_upload(key, upload_id);
        Ok(())
    }
}

fn chosen<'a>(upload: &'a OpenUpload, wanted: &[UploadedPart]) -> StorageResult<Vec<&'a Part>> {
    let invalid = |reason: &str| StorageError::InvalidRequest { reason: reason.to_owned() };
    if wanted.is_empty() || !wanted.is_sorted_by(|one, next| one.number < next.number) {
        return Err(invalid("an upload is completed with at least one part, and with parts in ascending order"));
    }
    let mut chosen = Vec::with_capacity(wanted.len());
    for part in wanted {
        let found = upload.parts.get(&part.number).filter(|found| found.etag == part.etag);
        chosen.push(found.ok_or(StorageError::PreconditionFailed)?);
    }
    if chosen.iter().rev().skip(1).any(|part| (part.bytes.len() as u64) < MIN_PART_BYTES) {
        return Err(invalid("a part that is not the last has at least 5 MiB"));
    }
    Ok(chosen)
}
