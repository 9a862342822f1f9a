use std::sync::atomic::Ordering;

use async_trait::async_trait;
use object_store_storage::{
    Body, BucketInfo, ByteRange, Check, CheckupOptions, CopyOptions, Download, Fix, ListPage, MultipartUploadPage,
    ObjectKey, ObjectMeta, ObjectStorage, PartPage, PresignGet, PresignPart, PresignPost, PresignPut, PresignedPost,
    PresignedUrl, ProbedCapability, PutOptions, PutOutcome, StorageResult, UploadedPart, collect,
};

use super::{Fault, FaultyStorage, Operation, Subject, stream};

#[async_trait]
impl ObjectStorage for FaultyStorage {
    async fn put(&self, key: &ObjectKey, body: Body, options: &PutOptions) -> StorageResult<PutOutcome> {
        let (inner, to, options) = (self.inner.clone(), key.clone(), options.clone());
        self.change(Operation::Put.of(key), async move { inner.put(&to, body, &options).await }).await
    }

    async fn get(&self, key: &ObjectKey, range: Option<ByteRange>) -> StorageResult<Download> {
        let fault = self.note(Operation::Get.of(key));
        let download = self.do_or_fail(fault, self.inner.get(key, range)).await?;
        Ok(stream::spoil(download, fault))
    }

    async fn head(&self, key: &ObjectKey) -> StorageResult<ObjectMeta> {
        let meta = self.run(Operation::Head.of(key), self.inner.head(key)).await?;
        Ok(ObjectMeta { last_modified: meta.last_modified.filter(|_| !self.timeless), ..meta })
    }

    async fn copy(&self, from: &ObjectKey, to: &ObjectKey, options: &CopyOptions) -> StorageResult<ObjectMeta> {
        let subject = Subject { source: Some(from), ..Operation::Copy.of(to) };
        let (inner, from, to, options) = (self.inner.clone(), from.clone(), to.clone(), options.clone());
        let swaps = self.swaps_copies.load(Ordering::Relaxed);
        let copy = async move {
            let copied = inner.copy(&from, &to, &options).await?;
            if swaps { replace_by_another(inner.as_ref(), &to, copied).await } else { Ok(copied) }
        };
        self.change(subject, copy).await
    }

    async fn delete(&self, key: &ObjectKey) -> StorageResult<()> {
        let (inner, at) = (self.inner.clone(), key.clone());
        self.change(Operation::Delete.of(key), async move { inner.delete(&at).await }).await
    }

    async fn list_page(&self, prefix: &str, after: Option<&str>, limit: u16) -> StorageResult<ListPage> {
        let fault = self.note(Operation::ListPage.of_none());
        let mut page = self.do_or_fail(fault, self.inner.list_page(prefix, after, limit)).await?;
        if let Some(Fault::CutListing { after_objects }) = fault {
            page.objects.truncate(after_objects);
            page.has_more = false;
        }
        if self.timeless {
            page.objects.iter_mut().for_each(|object| object.last_modified = None);
        }
        Ok(page)
    }

    async fn list_multipart_uploads(&self, prefix: &str, marker: Option<&str>) -> StorageResult<MultipartUploadPage> {
        let fault = self.note(Operation::ListMultipartUploads.of_none());
        let mut page = self.do_or_fail(fault, self.inner.list_multipart_uploads(prefix, marker)).await?;
        if let Some(Fault::CutListing { after_objects }) = fault {
            page.uploads.truncate(after_objects);
            page.next = None;
        }
        Ok(page)
    }

    async fn abort_multipart_upload(&self, key: &ObjectKey, upload_id: &str) -> StorageResult<()> {
        let (inner, at, upload_id) = (self.inner.clone(), key.clone(), upload_id.to_owned());
        let call = async move { inner.abort_multipart_upload(&at, &upload_id).await };
        self.change(Operation::AbortMultipartUpload.of(key), call).await
    }

    async fn create_multipart_upload(&self, key: &ObjectKey, content_type: &str) -> StorageResult<String> {
        let (inner, at, content_type) = (self.inner.clone(), key.clone(), content_type.to_owned());
        let call = async move { inner.create_multipart_upload(&at, &content_type).await };
        self.change(Operation::CreateMultipartUpload.of(key), call).await
    }

    async fn list_parts(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        after: Option<u16>,
        limit: u16,
    ) -> StorageResult<PartPage> {
        self.run(Operation::ListParts.of(key), self.inner.list_parts(key, upload_id, after, limit)).await
    }

    async fn complete_multipart_upload(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        parts: &[UploadedPart],
    ) -> StorageResult<()> {
        let (inner, at) = (self.inner.clone(), key.clone());
        let (upload_id, parts) = (upload_id.to_owned(), parts.to_vec());
        let call = async move { inner.complete_multipart_upload(&at, &upload_id, &parts).await };
        self.change(Operation::CompleteMultipartUpload.of(key), call).await
    }

    async fn presign_get(&self, key: &ObjectKey, options: &PresignGet) -> StorageResult<PresignedUrl> {
        self.run(Operation::PresignGet.of(key), self.inner.presign_get(key, options)).await
    }

    async fn presign_put(&self, key: &ObjectKey, options: &PresignPut) -> StorageResult<PresignedUrl> {
        self.run(Operation::PresignPut.of(key), self.inner.presign_put(key, options)).await
    }

    async fn presign_part(&self, key: &ObjectKey, options: &PresignPart) -> StorageResult<PresignedUrl> {
        self.run(Operation::PresignPart.of(key), self.inner.presign_part(key, options)).await
    }

    async fn presign_post(&self, key: &ObjectKey, options: &PresignPost) -> StorageResult<PresignedPost> {
        self.run(Operation::PresignPost.of(key), self.inner.presign_post(key, options)).await
    }

    async fn probe_capabilities(&self) -> StorageResult<Vec<ProbedCapability>> {
        self.run(Operation::ProbeCapabilities.of_none(), self.inner.probe_capabilities()).await
    }

    async fn check_up(&self, options: &CheckupOptions) -> Vec<Check> {
        self.note(Operation::CheckUp.of_none());
        self.inner.check_up(options).await
    }

    async fn apply_fix(&self, fix: &Fix) -> StorageResult<()> {
        self.run(Operation::ApplyFix.of_none(), self.inner.apply_fix(fix)).await
    }

    async fn bucket_info(&self) -> StorageResult<BucketInfo> {
        self.run(Operation::BucketInfo.of_none(), self.inner.bucket_info()).await
    }

    async fn ensure_bucket(&self) -> StorageResult<bool> {
        self.run(Operation::EnsureBucket.of_none(), self.inner.ensure_bucket()).await
    }
}

/// Flips the last bit of an object, which the facts of most files do not show.
async fn replace_by_another(
    storage: &dyn ObjectStorage,
    key: &ObjectKey,
    meta: ObjectMeta,
) -> StorageResult<ObjectMeta> {
    let mut bytes = collect(storage.get(key, None).await?.stream).await?.to_vec();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    let options = PutOptions { content_type: meta.content_type.clone().unwrap_or_default(), content_md5: None };
    let etag = storage.put(key, Body::Bytes(bytes.into()), &options).await?.etag;
    Ok(ObjectMeta { etag, ..meta })
}
