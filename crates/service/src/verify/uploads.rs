//! Multipart uploads that nobody goes on with.

use std::collections::HashSet;

use object_store_repo::KeyRepo;
use object_store_storage::{MultipartUpload, StorageError};

use crate::error::Result;
use crate::verify::Run;
use crate::verify::report::Finding;
use crate::verify::shape::OwnKey;

/// Some of the multipart uploads that nobody goes on with.
pub(super) struct StaleUploads {
    pub(super) uploads: Vec<(OwnKey, String)>,
    /// Where the next begin.
    pub(super) next: Option<String>,
}

impl Run<'_> {
    pub(super) async fn find_stale_uploads(&mut self) -> Result<()> {
        let mut marker = None;
        loop {
            let page = self.stale_uploads(marker.as_deref()).await?;
            for (own, upload_id) in page.uploads {
                self.report.add(Finding::StaleUpload { key: own.key.to_string(), upload_id });
            }
            match page.next {
                Some(next) => marker = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Those from `marker` on that are ours, older than the grace period and without an intent. One whose age storage
    /// does not tell is left to the bucket's own rule.
    pub(super) async fn stale_uploads(&self, marker: Option<&str>) -> Result<StaleUploads> {
        let page = match self.service.storage.list_multipart_uploads("", marker).await {
            // A storage that cannot list them has none that we could leave.
            Err(StorageError::Unsupported { .. }) => return Ok(StaleUploads { uploads: Vec::new(), next: None }),
            other => other?,
        };
        let mut old = Vec::new();
        for upload in page.uploads {
            let is_old = upload.initiated.is_some_and(|initiated| initiated <= self.old_until);
            if let Some(own) = OwnKey::parse(&upload.key).filter(|_| is_old) {
                old.push((own, upload.upload_id));
            }
        }
        let mut uploads = Vec::new();
        for (own, upload_id) in self.without_intent(old).await? {
            // One that went on for so long may have been completed just now.
            if self.is_open(&own, &upload_id).await? {
                uploads.push((own, upload_id));
            }
        }
        // A marker that does not move on would never end.
        let next = page.next.filter(|next| Some(next.as_str()) != marker);
        Ok(StaleUploads { uploads, next })
    }

    async fn without_intent(&self, uploads: Vec<(OwnKey, String)>) -> Result<Vec<(OwnKey, String)>> {
        if uploads.is_empty() {
            return Ok(uploads);
        }
        let intended: HashSet<String> = {
            let keys: Vec<&str> = uploads.iter().map(|(own, _)| own.key.as_str()).collect();
            let mut conn = self.service.connection().await?;
            KeyRepo::of_intents(&mut conn, &keys).await?.into_iter().collect()
        };
        Ok(uploads.into_iter().filter(|(own, _)| !intended.contains(own.key.as_str())).collect())
    }

    async fn is_open(&self, own: &OwnKey, upload_id: &str) -> Result<bool> {
        let mut marker: Option<String> = None;
        loop {
            let page = self.service.storage.list_multipart_uploads(own.key.as_str(), marker.as_deref()).await?;
            let is_it = |upload: &MultipartUpload| upload.key == own.key.as_str() && upload.upload_id == upload_id;
            if page.uploads.iter().any(is_it) {
                return Ok(true);
            }
            match page.next {
                Some(next) if marker.as_ref() != Some(&next) => marker = Some(next),
                _ => return Ok(false),
            }
        }
    }
}
