//! The operations of S3 over files.

mod conditions;
mod digests;
mod failure;
mod listing;
mod names;
mod object_file;
mod store;

use std::fs::File;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use hyper::HeaderMap;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, Bucket, BucketLocationConstraint, Checksum, CommonPrefix,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedMultipartUpload, CopyObjectInput,
    CopyObjectOutput, CopyObjectResult, CopySource, CreateBucketInput, CreateBucketOutput, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, DeleteBucketInput, DeleteBucketOutput, DeleteObjectInput, DeleteObjectOutput,
    DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag, GetBucketLocationInput, GetBucketLocationOutput,
    GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput,
    ListBucketsInput, ListBucketsOutput, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectsInput,
    ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput, MetadataDirective,
    MultipartUpload, Object, ObjectStorageClass, Owner, Part, PutObjectInput, PutObjectOutput, StorageClass,
    StreamingBlob, Timestamp, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom};

use conditions::{ReadConditions, check_write, modified};
use digests::{Announced, Digests};
use failure::failed;
use listing::{Entry, page};
use object_file::{ObjectInfo, StoredHeaders, finish, now_milliseconds};
use store::Temporary;

pub(crate) use store::Store;

/// The most lines of a listing.
const MOST_LINES: i32 = 1_000;

/// Downloads are read in pieces of so many bytes.
const READ_BYTES: usize = 256 * 1024;

/// S3 numbers parts from 1 to 10,000.
const PART_NUMBERS: std::ops::RangeInclusive<i32> = 1..=10_000;

/// The region that `GetBucketLocation` answers by saying nothing.
const DEFAULT_REGION: &str = "us-east-1";

pub(crate) struct Backend {
    store: Arc<Store>,
    region: String,
}

impl Backend {
    pub(crate) fn new(store: Store, region: String) -> Self {
        Self { store: Arc::new(store), region }
    }

    /// Runs what may wait for the disk where it is allowed to. It goes on when the client goes away.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> S3Result<T> + Send + 'static,
    ) -> S3Result<T> {
        let store = Arc::clone(&self.store);
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.map_err(|error| s3_error!(error, InternalError))?
    }

    /// Takes a body into a temporary file, whole, checked and durable.
    async fn receive(&self, received: Received) -> S3Result<(Temporary, ObjectInfo, Checksum)> {
        let Received { body, announced, request_headers, trailing_headers, headers } = received;
        let (file, temporary) = self.blocking(Store::create_temporary).await?;
        let mut file = tokio::fs::File::from_std(file);
        let mut digests = Digests::new(&announced, &request_headers);
        let mut size_bytes = 0;
        if let Some(mut body) = body {
            while let Some(piece) = body.next().await {
                let piece = piece.map_err(|error| S3Error::with_source(S3ErrorCode::IncompleteBody, error))?;
                digests.update(&piece);
                size_bytes += piece.len() as u64;
                file.write_all(&piece).await.map_err(failed)?;
            }
        }
        let trailers = trailing_headers.and_then(|trailers| trailers.take());
        let (etag, checksum) = digests.verify(announced, trailers.as_ref())?;
        let info = ObjectInfo { etag, size_bytes, modified_milliseconds: now_milliseconds(), headers };
        file.flush().await.map_err(failed)?;
        let mut file = file.into_std().await;
        let written = info.clone();
        self.blocking(move |_| finish(&mut file, &written).map_err(failed)).await?;
        Ok((temporary, info, checksum))
    }

    async fn list(&self, wanted: Listing) -> S3Result<Listed> {
        self.blocking(move |store| {
            let keys = store.keys(&wanted.bucket, &wanted.prefix)?;
            let limit = usize::try_from(wanted.limit).unwrap_or_default();
            let (entries, more) = page(keys, &wanted.prefix, wanted.delimiter.as_deref(), &wanted.after, limit);
            let next = entries.last().filter(|_| more).map(|entry| entry.text().to_owned());
            let mut listed = Listed { objects: Vec::new(), prefixes: Vec::new(), next };
            for entry in entries {
                match entry {
                    Entry::Prefix(prefix) => listed.prefixes.push(CommonPrefix { prefix: Some(prefix) }),
                    Entry::Key(key) => {
                        // It may have been deleted since its name was read.
                        let info = store.info(&wanted.bucket, &key)?;
                        listed.objects.extend(info.map(|info| listed_object(key, info)));
                    }
                }
            }
            Ok(listed)
        })
        .await
    }
}

/// A body on its way in, and what came with it.
struct Received {
    body: Option<StreamingBlob>,
    announced: Announced,
    request_headers: HeaderMap,
    trailing_headers: Option<s3s::TrailingHeaders>,
    headers: StoredHeaders,
}

struct Listing {
    bucket: String,
    prefix: String,
    delimiter: Option<String>,
    after: String,
    limit: i32,
}

struct Listed {
    objects: Vec<Object>,
    prefixes: Vec<CommonPrefix>,
    /// The last line, when there are more.
    next: Option<String>,
}

#[async_trait]
impl S3 for Backend {
    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        let buckets = self.blocking(Store::list_buckets).await?;
        let buckets = buckets.into_iter().map(|(name, created)| Bucket {
            name: Some(name),
            creation_date: Some(Timestamp::from(created)),
            ..Bucket::default()
        });
        Ok(S3Response::new(ListBucketsOutput {
            buckets: Some(buckets.collect()),
            owner: Some(owner()),
            ..ListBucketsOutput::default()
        }))
    }

    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        let bucket = req.input.bucket;
        let location = Some(format!("/{bucket}"));
        self.blocking(move |store| store.create_bucket(&bucket)).await?;
        Ok(S3Response::new(CreateBucketOutput { location }))
    }

    async fn delete_bucket(&self, req: S3Request<DeleteBucketInput>) -> S3Result<S3Response<DeleteBucketOutput>> {
        self.blocking(move |store| store.delete_bucket(&req.input.bucket)).await?;
        Ok(S3Response::new(DeleteBucketOutput {}))
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.blocking(move |store| store.require_bucket(&req.input.bucket)).await?;
        Ok(S3Response::new(HeadBucketOutput {
            bucket_region: Some(self.region.clone()),
            ..HeadBucketOutput::default()
        }))
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.blocking(move |store| store.require_bucket(&req.input.bucket)).await?;
        let region = Some(self.region.clone()).filter(|region| region != DEFAULT_REGION);
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint: region.map(BucketLocationConstraint::from) }))
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = req.input;
        let (bucket, key) = (input.bucket, input.key);
        let checked = bucket.clone();
        self.blocking(move |store| store.require_bucket(&checked)).await?;
        let received = Received {
            body: input.body,
            announced: Announced {
                md5: input.content_md5,
                checksums: [
                    input.checksum_crc32,
                    input.checksum_crc32c,
                    input.checksum_sha1,
                    input.checksum_sha256,
                    input.checksum_crc64nvme,
                ],
                algorithm: input.checksum_algorithm,
            },
            request_headers: req.headers,
            trailing_headers: req.trailing_headers,
            headers: StoredHeaders {
                content_type: input.content_type,
                content_encoding: input.content_encoding,
                content_disposition: input.content_disposition,
                content_language: input.content_language,
                cache_control: input.cache_control,
                metadata: input.metadata,
            },
        };
        let (temporary, info, checksum) = self.receive(received).await?;
        let (if_match, if_none_match) = (input.if_match, input.if_none_match);
        self.blocking(move |store| {
            store.publish(&temporary, &bucket, &key, &|found| {
                check_write(if_match.as_ref(), if_none_match.as_ref(), found)
            })
        })
        .await?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(ETag::Strong(info.etag)),
            checksum_crc32: checksum.checksum_crc32,
            checksum_crc32c: checksum.checksum_crc32c,
            checksum_sha1: checksum.checksum_sha1,
            checksum_sha256: checksum.checksum_sha256,
            checksum_crc64nvme: checksum.checksum_crc64nvme,
            ..PutObjectOutput::default()
        }))
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = req.input;
        let (bucket, key) = (input.bucket, input.key);
        let (file, info) = self.blocking(move |store| store.open_object(&bucket, &key)).await?;
        let conditions = ReadConditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        conditions.check_read(&info)?;

        let size = info.size_bytes;
        let part = input.range.map(|range| range.check(size)).transpose()?;
        let content_range = part.as_ref().map(|part| format!("bytes {}-{}/{size}", part.start, part.end - 1));
        let part = part.unwrap_or(0..size);
        let length = part.end - part.start;
        let body = read(file, part.start, length).await.map_err(failed)?;
        let stored = info.headers.clone();
        Ok(S3Response::new(GetObjectOutput {
            body: Some(StreamingBlob::wrap(body)),
            content_length: Some(signed(length)),
            content_range,
            accept_ranges: Some("bytes".to_owned()),
            e_tag: Some(ETag::Strong(info.etag.clone())),
            last_modified: Some(modified(&info)),
            content_type: input.response_content_type.or(stored.content_type),
            content_encoding: input.response_content_encoding.or(stored.content_encoding),
            content_disposition: input.response_content_disposition.or(stored.content_disposition),
            content_language: input.response_content_language.or(stored.content_language),
            cache_control: input.response_cache_control.or(stored.cache_control),
            metadata: stored.metadata,
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = req.input;
        let (bucket, key) = (input.bucket, input.key);
        let (_, info) = self.blocking(move |store| store.open_object(&bucket, &key)).await?;
        let conditions = ReadConditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        conditions.check_read(&info)?;
        let stored = info.headers.clone();
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(signed(info.size_bytes)),
            accept_ranges: Some("bytes".to_owned()),
            e_tag: Some(ETag::Strong(info.etag.clone())),
            last_modified: Some(modified(&info)),
            content_type: stored.content_type,
            content_encoding: stored.content_encoding,
            content_disposition: stored.content_disposition,
            content_language: stored.content_language,
            cache_control: stored.cache_control,
            metadata: stored.metadata,
            ..HeadObjectOutput::default()
        }))
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.blocking(move |store| store.delete_object(&req.input.bucket, &req.input.key)).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(&self, req: S3Request<DeleteObjectsInput>) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let S3Request { input, .. } = req;
        let quiet = input.delete.quiet.unwrap_or(false);
        let deleted = self
            .blocking(move |store| {
                let mut deleted = Vec::new();
                for object in input.delete.objects {
                    store.delete_object(&input.bucket, &object.key)?;
                    deleted.push(DeletedObject { key: Some(object.key), ..DeletedObject::default() });
                }
                Ok(deleted)
            })
            .await?;
        let deleted = Some(deleted).filter(|_| !quiet);
        Ok(S3Response::new(DeleteObjectsOutput { deleted, ..DeleteObjectsOutput::default() }))
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = req.input;
        let CopySource::Bucket { bucket, key, .. } = input.copy_source else {
            return Err(s3_error!(NotImplemented, "a copy has its source in a bucket"));
        };
        let replaces =
            input.metadata_directive.is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
        let headers = replaces.then_some(StoredHeaders {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            content_disposition: input.content_disposition,
            content_language: input.content_language,
            cache_control: input.cache_control,
            metadata: input.metadata,
        });
        let conditions = ReadConditions {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
            if_modified_since: input.copy_source_if_modified_since,
            if_unmodified_since: input.copy_source_if_unmodified_since,
        };
        let (to_bucket, to_key) = (input.bucket, input.key);
        let info = self
            .blocking(move |store| {
                store.copy((&bucket, &key), (&to_bucket, &to_key), headers, &|info| conditions.check_copy(info))
            })
            .await?;
        let result = CopyObjectResult {
            e_tag: Some(ETag::Strong(info.etag.clone())),
            last_modified: Some(Timestamp::from(info.modified())),
            ..CopyObjectResult::default()
        };
        Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() }))
    }

    async fn list_objects(&self, req: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = req.input;
        let limit = lines(input.max_keys);
        let listed = self
            .list(Listing {
                bucket: input.bucket.clone(),
                prefix: input.prefix.clone().unwrap_or_default(),
                delimiter: input.delimiter.clone(),
                after: input.marker.clone().unwrap_or_default(),
                limit,
            })
            .await?;
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(input.prefix.unwrap_or_default()),
            marker: Some(input.marker.unwrap_or_default()),
            delimiter: input.delimiter,
            max_keys: Some(limit),
            is_truncated: Some(listed.next.is_some()),
            next_marker: listed.next,
            contents: Some(listed.objects),
            common_prefixes: Some(listed.prefixes),
            ..ListObjectsOutput::default()
        }))
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = req.input;
        let limit = lines(input.max_keys);
        // A token is the last line of the page before, and comes after whatever the first page started after.
        let after = input.continuation_token.as_ref().or(input.start_after.as_ref()).cloned().unwrap_or_default();
        let listed = self
            .list(Listing {
                bucket: input.bucket.clone(),
                prefix: input.prefix.clone().unwrap_or_default(),
                delimiter: input.delimiter.clone(),
                after,
                limit,
            })
            .await?;
        let count = listed.objects.len() + listed.prefixes.len();
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(input.prefix.unwrap_or_default()),
            delimiter: input.delimiter,
            start_after: input.start_after,
            continuation_token: input.continuation_token,
            max_keys: Some(limit),
            key_count: i32::try_from(count).ok(),
            is_truncated: Some(listed.next.is_some()),
            next_continuation_token: listed.next,
            contents: Some(listed.objects),
            common_prefixes: Some(listed.prefixes),
            ..ListObjectsV2Output::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = req.input;
        let headers = StoredHeaders {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            content_disposition: input.content_disposition,
            content_language: input.content_language,
            cache_control: input.cache_control,
            metadata: input.metadata,
        };
        let (bucket, key) = (input.bucket.clone(), input.key.clone());
        let upload_id = self.blocking(move |store| store.begin_upload(&bucket, &key, headers)).await?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(upload_id),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let input = req.input;
        if !PART_NUMBERS.contains(&input.part_number) {
            return Err(s3_error!(InvalidArgument, "a part's number is 1 to 10000"));
        }
        let (bucket, key, id, number) = (input.bucket, input.key, input.upload_id, input.part_number);
        let (checked_bucket, checked_id) = (bucket.clone(), id.clone());
        self.blocking(move |store| store.upload(&checked_bucket, &key, &checked_id)).await?;
        let received = Received {
            body: input.body,
            announced: Announced {
                md5: input.content_md5,
                checksums: [
                    input.checksum_crc32,
                    input.checksum_crc32c,
                    input.checksum_sha1,
                    input.checksum_sha256,
                    input.checksum_crc64nvme,
                ],
                algorithm: input.checksum_algorithm,
            },
            request_headers: req.headers,
            trailing_headers: req.trailing_headers,
            headers: StoredHeaders::default(),
        };
        let (temporary, info, checksum) = self.receive(received).await?;
        self.blocking(move |store| store.publish_part(&temporary, &bucket, &id, number)).await?;
        Ok(S3Response::new(UploadPartOutput {
            e_tag: Some(ETag::Strong(info.etag)),
            checksum_crc32: checksum.checksum_crc32,
            checksum_crc32c: checksum.checksum_crc32c,
            checksum_sha1: checksum.checksum_sha1,
            checksum_sha256: checksum.checksum_sha256,
            checksum_crc64nvme: checksum.checksum_crc64nvme,
            ..UploadPartOutput::default()
        }))
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = req.input;
        let parts = wanted_parts(input.multipart_upload)?;
        let (bucket, key, id) = (input.bucket.clone(), input.key.clone(), input.upload_id);
        let (if_match, if_none_match) = (input.if_match, input.if_none_match);
        let info = self
            .blocking(move |store| {
                let upload = store.upload(&bucket, &key, &id)?;
                store.complete_upload(&bucket, &upload, &parts, &|found| {
                    check_write(if_match.as_ref(), if_none_match.as_ref(), found)
                })
            })
            .await?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(ETag::Strong(info.etag)),
            ..CompleteMultipartUploadOutput::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = req.input;
        self.blocking(move |store| {
            store.upload(&input.bucket, &input.key, &input.upload_id)?;
            store.abort_upload(&input.bucket, &input.upload_id)
        })
        .await?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        let input = req.input;
        let limit = lines(input.max_parts);
        let after = input.part_number_marker.unwrap_or(0);
        let (bucket, key, id) = (input.bucket.clone(), input.key.clone(), input.upload_id.clone());
        let mut parts = self
            .blocking(move |store| {
                store.upload(&bucket, &key, &id)?;
                store.parts(&bucket, &id)
            })
            .await?;
        parts.retain(|(number, _)| *number > after);
        let more = parts.len() > usize::try_from(limit).unwrap_or_default();
        parts.truncate(usize::try_from(limit).unwrap_or_default());
        let next = parts.last().filter(|_| more).map(|(number, _)| *number);
        let parts = parts.into_iter().map(|(number, info)| Part {
            part_number: Some(number),
            size: Some(signed(info.size_bytes)),
            last_modified: Some(Timestamp::from(info.modified())),
            e_tag: Some(ETag::Strong(info.etag)),
            ..Part::default()
        });
        Ok(S3Response::new(ListPartsOutput {
            parts: Some(parts.collect()),
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            max_parts: Some(limit),
            part_number_marker: Some(after),
            next_part_number_marker: next,
            is_truncated: Some(more),
            owner: Some(owner()),
            storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
            ..ListPartsOutput::default()
        }))
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = req.input;
        if input.delimiter.is_some() {
            return Err(s3_error!(NotImplemented, "multipart uploads are listed without a delimiter"));
        }
        let limit = lines(input.max_uploads);
        let (bucket, prefix) = (input.bucket.clone(), input.prefix.clone().unwrap_or_default());
        let mut uploads = self.blocking(move |store| store.uploads(&bucket, &prefix)).await?;
        if let Some(key) = &input.key_marker {
            // Without the name of an upload, all uploads of the marked key are behind the marker.
            let id = input.upload_id_marker.as_ref();
            uploads.retain(|upload| match upload.key.cmp(key) {
                std::cmp::Ordering::Equal => id.is_some_and(|id| upload.id > *id),
                order => order.is_gt(),
            });
        }
        let more = uploads.len() > usize::try_from(limit).unwrap_or_default();
        uploads.truncate(usize::try_from(limit).unwrap_or_default());
        let last = uploads.last().filter(|_| more).cloned();
        let uploads = uploads.into_iter().map(|upload| MultipartUpload {
            initiated: Some(Timestamp::from(upload.initiated())),
            key: Some(upload.key),
            upload_id: Some(upload.id),
            owner: Some(owner()),
            storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
            ..MultipartUpload::default()
        });
        Ok(S3Response::new(ListMultipartUploadsOutput {
            uploads: Some(uploads.collect()),
            bucket: Some(input.bucket),
            prefix: input.prefix,
            key_marker: input.key_marker,
            upload_id_marker: input.upload_id_marker,
            max_uploads: Some(limit),
            is_truncated: Some(more),
            next_key_marker: last.as_ref().map(|upload| upload.key.clone()),
            next_upload_id_marker: last.map(|upload| upload.id),
            ..ListMultipartUploadsOutput::default()
        }))
    }
}

/// The parts that a client wants joined, by number and entity tag.
fn wanted_parts(completed: Option<CompletedMultipartUpload>) -> S3Result<Vec<(i32, String)>> {
    let parts = completed.and_then(|completed| completed.parts).unwrap_or_default();
    if parts.is_empty() {
        return Err(s3_error!(MalformedXML, "an upload is completed with at least one part"));
    }
    let mut wanted: Vec<(i32, String)> = Vec::new();
    for part in parts {
        let number = part.part_number.ok_or_else(|| s3_error!(InvalidPart))?;
        let etag = part.e_tag.ok_or_else(|| s3_error!(InvalidPart))?;
        if wanted.last().is_some_and(|(last, _)| *last >= number) {
            return Err(s3_error!(InvalidPartOrder));
        }
        wanted.push((number, etag.into_value()));
    }
    Ok(wanted)
}

/// The bytes of an open file. A file that is shorter than it was fails, so that the client sees a broken download.
async fn read(file: File, start: u64, length: u64) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + Sync> {
    let mut file = tokio::fs::File::from_std(file);
    file.seek(SeekFrom::Start(start)).await?;
    Ok(futures::stream::try_unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let mut piece = BytesMut::with_capacity(READ_BYTES.min(usize::try_from(left).unwrap_or(READ_BYTES)));
        let read = (&mut file).take(left).read_buf(&mut piece).await? as u64;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some((piece.freeze(), (file, left - read))))
    }))
}

fn listed_object(key: String, info: ObjectInfo) -> Object {
    Object {
        size: Some(signed(info.size_bytes)),
        last_modified: Some(Timestamp::from(info.modified())),
        key: Some(key),
        e_tag: Some(ETag::Strong(info.etag)),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        owner: Some(owner()),
        ..Object::default()
    }
}

fn owner() -> Owner {
    Owner { id: Some("embedded".to_owned()), display_name: Some("embedded".to_owned()) }
}

fn lines(asked: Option<i32>) -> i32 {
    asked.unwrap_or(MOST_LINES).clamp(0, MOST_LINES)
}

/// Sizes of files are never above it.
fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
