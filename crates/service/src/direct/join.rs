//! Joining the parts of a direct upload to the object that completing looks at.

use object_store_repo::IntentRepo;
use object_store_storage::{StorageError, StorageResult, UploadedPart};
use tracing::warn;

use crate::direct::copy::may_pass;
use crate::direct::find::OpenUpload;
use crate::direct::parts::Parts;
use crate::error::{MissingParts, ObjectStoreError, Result, chain};
use crate::service::ObjectStoreService;
use crate::upload::write::pause;

/// How often parts are joined when storage fails in a way that may pass. A second time does what the first did.
const JOIN_ATTEMPTS: u32 = 3;

/// How many parts a page has: as many as storage lists at once.
const PAGE: u16 = 1_000;

impl ObjectStoreService {
    /// Makes one object of the parts that were sent, under the staging key. Parts that are no longer there were joined
    /// before: what lies under the key tells.
    ///
    /// # Errors
    /// [`ObjectStoreError::Incomplete`] when some are missing, [`StorageError::PreconditionFailed`] when one was sent
    /// again meanwhile; nothing has changed then.
    pub(super) async fn join_parts(&self, upload: &OpenUpload) -> Result<()> {
        let parts = upload.parts()?;
        let Some(upload_id) = &upload.multipart_upload_id else {
            return Err(incomplete(&parts, &[]));
        };
        let mut attempt = 1;
        loop {
            match self.join_parts_once(upload, &parts, upload_id).await {
                Err(ObjectStoreError::Storage(StorageError::UploadMissing { .. })) => return Ok(()),
                Err(ObjectStoreError::Storage(error)) if attempt < JOIN_ATTEMPTS && may_pass(&error) => {
                    warn!(object.key = %upload.staging, error = %chain(&error), "parts are joined again");
                    pause(attempt).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn join_parts_once(&self, upload: &OpenUpload, parts: &Parts, upload_id: &str) -> Result<()> {
        let received = self.received_parts(upload, parts, upload_id).await?;
        if received.len() < usize::from(parts.count()) {
            return Err(incomplete(parts, &received));
        }
        // Should storage join them long after we have given up, something still has to name what comes of it.
        let (key, generation) = (upload.staging.as_str(), upload.generation);
        let clears_in = self.upload_deadlines().clears_in;
        let is_open = self
            .database
            .statements(async |conn| IntentRepo::outlast_write(conn, key, generation, clears_in).await)
            .await?;
        if !is_open {
            return Err(ObjectStoreError::UploadExpired);
        }
        Ok(self.storage.complete_multipart_upload(&upload.staging, upload_id, &received).await?)
    }

    /// The parts that are there, whole and ascending. One of another size, on a server that does not hold what was signed,
    /// is not there.
    pub(super) async fn received_parts(
        &self,
        upload: &OpenUpload,
        parts: &Parts,
        upload_id: &str,
    ) -> StorageResult<Vec<UploadedPart>> {
        let mut received: Vec<UploadedPart> = Vec::new();
        let mut after = None;
        loop {
            let page = self.storage.list_parts(&upload.staging, upload_id, after, PAGE).await?;
            let last = page.parts.last().map(|part| part.number);
            received.extend(page.parts.into_iter().filter(|part| parts.has(part)));
            // Numbers ascend, so that this ends.
            if !page.has_more || last <= after {
                return Ok(received);
            }
            after = last;
        }
    }
}

fn incomplete(parts: &Parts, received: &[UploadedPart]) -> ObjectStoreError {
    ObjectStoreError::Incomplete(MissingParts::new(parts.missing(received), parts.count()))
}
