//! The life of one object, for operators: what rows, intents and storage say of its id.

use std::collections::BTreeSet;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use object_store_models::{ImageId, MediaId, Timestamp};
use object_store_repo::{AudioRepo, CandidateRepo, ImageRepo, IntentRepo};
use object_store_storage::{ObjectKey, StorageError};

use crate::dto::{
    AudioRead, FileUploadResult, ImageRead, IntentRead, NamedBy, ObjectFacts, ObjectLife, ObjectSeen, UploadSeen,
};
use crate::error::Result;
use crate::service::ObjectStoreService;

/// How many objects of one id are listed. There are two or three.
const MAX_OBJECTS: u16 = 100;

impl ObjectStoreService {
    /// All that is known of the id of an image or an audio file, or of an upload that was to become one. For operators:
    /// it says nothing about who may know.
    pub async fn explain(&self, id: MediaId) -> Result<ObjectLife> {
        let (file, intents) = self.recorded(id).await?;
        let key = file.as_ref().map(|(_, key)| key.clone());
        let mut keys: BTreeSet<String> = intents.iter().map(|intent| intent.key.clone()).chain(key.clone()).collect();
        let mut uploads = Vec::new();
        for prefix in directories(id) {
            let page = self.storage.list_page(&prefix, None, MAX_OBJECTS).await?;
            keys.extend(page.objects.into_iter().map(|object| object.key));
            uploads.extend(self.open_uploads(&prefix).await?);
        }
        let mut objects = Vec::new();
        for object_key in keys {
            let named_by = match &key {
                Some(key) if *key == object_key => NamedBy::Row,
                _ if intents.iter().any(|intent| intent.key == object_key) => NamedBy::Intent,
                _ => NamedBy::Nothing,
            };
            objects.push(self.seen(object_key, named_by).await?);
        }
        Ok(ObjectLife { id: id.to_string(), file: file.map(|(file, _)| file), key, intents, objects, uploads })
    }

    async fn recorded(&self, id: MediaId) -> Result<(Option<(FileUploadResult, String)>, Vec<IntentRead>)> {
        let mut conn = self.connection().await?;
        let file = match ImageRepo::get(&mut conn, ImageId::from(id.uuid())).await? {
            Some(row) => {
                let key = row.s3_key.clone();
                Some((FileUploadResult::Image(ImageRead::try_from(row)?), key))
            }
            None => match AudioRepo::get(&mut conn, id.uuid().into()).await? {
                Some(row) => {
                    let key = row.s3_key.clone();
                    Some((FileUploadResult::Audio(AudioRead::try_from(row)?), key))
                }
                None => None,
            },
        };
        let mut intents = Vec::new();
        for directory in directories(id) {
            let under = IntentRepo::under(&mut conn, &directory).await?;
            intents.extend(under.into_iter().map(|(intent, _)| IntentRead::from(intent)));
        }
        Ok((file, intents))
    }

    async fn open_uploads(&self, prefix: &str) -> Result<Vec<UploadSeen>> {
        let page = match self.storage.list_multipart_uploads(prefix, None).await {
            Err(StorageError::Unsupported { .. }) => return Ok(Vec::new()),
            other => other?,
        };
        let seen = page.uploads.into_iter().map(|upload| UploadSeen {
            key: upload.key,
            upload_id: upload.upload_id,
            initiated: upload.initiated.and_then(timestamp),
        });
        Ok(seen.collect())
    }

    async fn seen(&self, key: String, named_by: NamedBy) -> Result<ObjectSeen> {
        let orphan = {
            let mut conn = self.connection().await?;
            CandidateRepo::get(&mut conn, &key).await?
        };
        let object = match ObjectKey::parse(&key) {
            Err(_) => None,
            Ok(key) => match self.storage.head(&key).await {
                Ok(meta) => Some(ObjectFacts {
                    size_bytes: meta.size_bytes,
                    etag: meta.etag,
                    content_type: meta.content_type,
                    last_modified: meta.last_modified.and_then(timestamp),
                }),
                Err(StorageError::NotFound { .. }) => None,
                Err(error) => return Err(error.into()),
            },
        };
        Ok(ObjectSeen { key, named_by, object, orphan_since: orphan.map(|orphan| orphan.first_seen_at) })
    }
}

/// Where the keys of an id lie, whatever it is of.
fn directories(id: MediaId) -> [String; 3] {
    let id = id.uuid().to_string();
    [
        ObjectKey::object_directory("audio", &id),
        ObjectKey::object_directory("image", &id),
        ObjectKey::staging_directory(&id),
    ]
}

/// `None` beyond the years that can be shown; a storage can say anything.
fn timestamp(time: SystemTime) -> Option<Timestamp> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let time = DateTime::<Utc>::from_timestamp(i64::try_from(since.as_secs()).ok()?, since.subsec_nanos())?;
    Some(time.into())
}
