//! Buckets, objects and multipart uploads as files. Blocking: called on threads that may wait.
//!
//! `buckets/<bucket>/<key>` are whole objects, `multipart/<bucket>/<upload id>/` are uploads with their parts, and `tmp/`
//! is what is being written: it is emptied when the server starts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use s3s::crypto::{Checksum, Md5};
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};

use super::failure::{failed, is_missing};
use super::names::{holds_more, key_of, path_of};
use super::object_file::{ObjectInfo, StoredHeaders, finish, now_milliseconds, read_info};
use crate::error::EmbeddedS3Error;
use crate::random::{hex, random_hex};

/// Every part but the last has at least so many bytes (Amazon S3 user guide, "multipart upload limits").
const LEAST_PART_BYTES: u64 = 5 * 1024 * 1024;

/// The longest key of S3, in bytes.
const MOST_KEY_BYTES: usize = 1_024;

const DESCRIPTION_FILE: &str = "upload.json";

/// Turns down a change when what is there is not as the client asked.
pub(super) type Guard<'a> = &'a dyn Fn(Option<&ObjectInfo>) -> S3Result<()>;

#[derive(Debug)]
pub(crate) struct Store {
    buckets: PathBuf,
    multipart: PathBuf,
    temporary: PathBuf,
    /// Held while a condition is checked and the change is made that it is about.
    changes: Mutex<()>,
}

/// A multipart upload that was begun.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) initiated_milliseconds: u64,
    pub(super) headers: StoredHeaders,
    #[serde(skip)]
    pub(super) id: String,
}

impl Upload {
    pub(super) fn initiated(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.initiated_milliseconds)
    }
}

/// A file in `tmp/` that goes when it is dropped, unless it has become an object.
#[derive(Debug)]
pub(super) struct Temporary {
    pub(super) path: PathBuf,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path)
            && !is_missing(&error)
        {
            // The next start removes it.
            tracing::debug!(error = &error as &dyn std::error::Error, "a temporary file stays for now");
        }
    }
}

impl Store {
    /// Opens or makes the directories. The caller has the directory's lock.
    pub(crate) fn open(directory: &Path) -> Result<Self, EmbeddedS3Error> {
        let store = Self {
            buckets: directory.join("buckets"),
            multipart: directory.join("multipart"),
            temporary: directory.join("tmp"),
            changes: Mutex::new(()),
        };
        match fs::remove_dir_all(&store.temporary) {
            Err(error) if !is_missing(&error) => return Err(EmbeddedS3Error::directory(&store.temporary)(error)),
            _ => {}
        }
        for made in [&store.buckets, &store.multipart, &store.temporary] {
            fs::create_dir_all(made).map_err(EmbeddedS3Error::directory(made))?;
        }
        Ok(store)
    }

    pub(super) fn require_bucket(&self, bucket: &str) -> S3Result<()> {
        // The name was checked when the request was parsed: it has no slash and is not `..`.
        if self.buckets.join(bucket).is_dir() { Ok(()) } else { Err(s3_error!(NoSuchBucket)) }
    }

    /// Names and times of creation, ascending.
    pub(super) fn list_buckets(&self) -> S3Result<Vec<(String, SystemTime)>> {
        let mut buckets = Vec::new();
        for entry in fs::read_dir(&self.buckets).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let metadata = entry.metadata().map_err(failed)?;
            if let Ok(name) = entry.file_name().into_string()
                && metadata.is_dir()
            {
                // Not every file system knows when a directory was made.
                let created = metadata.created().or_else(|_| metadata.modified()).map_err(failed)?;
                buckets.push((name, created));
            }
        }
        buckets.sort();
        Ok(buckets)
    }

    pub(super) fn create_bucket(&self, bucket: &str) -> S3Result<()> {
        match fs::create_dir(self.buckets.join(bucket)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(s3_error!(BucketAlreadyOwnedByYou)),
            made => made.and_then(|()| sync_directory(&self.buckets)).map_err(failed),
        }
    }

    pub(super) fn delete_bucket(&self, bucket: &str) -> S3Result<()> {
        let _changing = self.changing();
        if !self.keys(bucket, "")?.is_empty() {
            return Err(s3_error!(BucketNotEmpty));
        }
        fs::remove_dir_all(self.buckets.join(bucket)).map_err(failed)?;
        match fs::remove_dir_all(self.multipart.join(bucket)) {
            Err(error) if !is_missing(&error) => Err(failed(error)),
            _ => sync_directory(&self.buckets).map_err(failed),
        }
    }

    /// All keys of a bucket that start so, ascending by their bytes.
    pub(super) fn keys(&self, bucket: &str, prefix: &str) -> S3Result<Vec<String>> {
        self.require_bucket(bucket)?;
        let root = self.buckets.join(bucket);
        let mut keys = Vec::new();
        collect_keys(&root, Path::new(""), &mut |key| {
            if key.starts_with(prefix) {
                keys.push(key);
            }
        })
        .map_err(failed)?;
        keys.sort_unstable();
        Ok(keys)
    }

    /// An object's file, at the first of its bytes. What is read from it stays the same whatever becomes of the key.
    pub(super) fn open_object(&self, bucket: &str, key: &str) -> S3Result<(File, ObjectInfo)> {
        match self.find(bucket, key)? {
            Some(found) => Ok(found),
            None => Err(s3_error!(NoSuchKey)),
        }
    }

    fn find(&self, bucket: &str, key: &str) -> S3Result<Option<(File, ObjectInfo)>> {
        self.require_bucket(bucket)?;
        let mut file = match File::open(self.object_path(bucket, key)?) {
            Ok(file) => file,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let info = read_info(&mut file).map_err(failed)?;
        Ok(Some((file, info)))
    }

    /// What is known about an object; `None` also for a file that is no object's.
    pub(super) fn info(&self, bucket: &str, key: &str) -> S3Result<Option<ObjectInfo>> {
        let path = self.object_path(bucket, key)?;
        match File::open(&path).and_then(|mut file| read_info(&mut file)) {
            Ok(info) => Ok(Some(info)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!(object.key = key, "a file among the objects is none, or is damaged");
                Ok(None)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Removes an object. True if it was there.
    pub(super) fn delete_object(&self, bucket: &str, key: &str) -> S3Result<bool> {
        self.require_bucket(bucket)?;
        let path = self.object_path(bucket, key)?;
        let _changing = self.changing();
        match fs::remove_file(&path) {
            Ok(()) => sync_parent(&path).map(|()| true).map_err(failed),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    /// A new file to write to.
    pub(super) fn create_temporary(&self) -> S3Result<(File, Temporary)> {
        let name = random_hex(16).map_err(failed)?;
        let path = self.temporary.join(name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).map_err(failed)?;
        Ok((file, Temporary { path }))
    }

    /// Makes a finished file the object of a key, at once, if the guard agrees to what is there.
    pub(super) fn publish(&self, temporary: &Temporary, bucket: &str, key: &str, guard: Guard<'_>) -> S3Result<()> {
        let path = self.object_path(bucket, key)?;
        {
            let _changing = self.changing();
            let found = self.find(bucket, key)?;
            guard(found.as_ref().map(|(_, info)| info))?;
            // The folders of long keys are made on the way; nothing ever removes them.
            if let Some(parent) = path.parent()
                && parent != self.buckets.join(bucket)
            {
                fs::create_dir_all(parent).map_err(failed)?;
            }
            fs::rename(&temporary.path, &path).map_err(failed)?;
        }
        sync_parent(&path).map_err(failed)
    }

    /// Copies an object's bytes, under new headers where there are some.
    pub(super) fn copy(
        &self,
        source: (&str, &str),
        target: (&str, &str),
        headers: Option<StoredHeaders>,
        condition: &dyn Fn(&ObjectInfo) -> S3Result<()>,
    ) -> S3Result<ObjectInfo> {
        self.require_bucket(target.0)?;
        let (file, mut info) = self.open_object(source.0, source.1)?;
        condition(&info)?;
        let (mut copy, temporary) = self.create_temporary()?;
        let copied = io::copy(&mut file.take(info.size_bytes), &mut copy).map_err(failed)?;
        if copied != info.size_bytes {
            return Err(s3_error!(InternalError, "the object's file is cut off"));
        }
        info.modified_milliseconds = now_milliseconds();
        if let Some(headers) = headers {
            info.headers = headers;
        }
        finish(&mut copy, &info).map_err(failed)?;
        self.publish(&temporary, target.0, target.1, &|_| Ok(()))?;
        Ok(info)
    }

    pub(super) fn begin_upload(&self, bucket: &str, key: &str, headers: StoredHeaders) -> S3Result<String> {
        self.require_bucket(bucket)?;
        require_key(key)?;
        let id = random_hex(16).map_err(failed)?;
        let upload =
            Upload { key: key.to_owned(), initiated_milliseconds: now_milliseconds(), headers, id: String::new() };
        let json = serde_json::to_vec(&upload).map_err(io::Error::from).map_err(failed)?;

        let made = self.temporary.join(&id);
        fs::create_dir(&made).map_err(failed)?;
        write_durably(&made.join(DESCRIPTION_FILE), &json).map_err(failed)?;
        sync_directory(&made).map_err(failed)?;
        let uploads = self.multipart.join(bucket);
        fs::create_dir_all(&uploads).map_err(failed)?;
        fs::rename(&made, uploads.join(&id)).map_err(failed)?;
        sync_directory(&uploads).map_err(failed)?;
        Ok(id)
    }

    /// The upload of this name, if it is this key's.
    pub(super) fn upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<Upload> {
        self.require_bucket(bucket)?;
        let upload = self.read_upload(bucket, id)?.filter(|upload| upload.key == key);
        upload.ok_or_else(|| s3_error!(NoSuchUpload))
    }

    /// All uploads of a bucket whose keys start so, ascending by key and name.
    pub(super) fn uploads(&self, bucket: &str, prefix: &str) -> S3Result<Vec<Upload>> {
        self.require_bucket(bucket)?;
        let mut uploads = Vec::new();
        for name in names_in(&self.multipart.join(bucket)).map_err(failed)? {
            // It may have ended since its name was read.
            uploads.extend(self.read_upload(bucket, &name)?.filter(|upload| upload.key.starts_with(prefix)));
        }
        uploads.sort_by(|left, right| (&left.key, &left.id).cmp(&(&right.key, &right.id)));
        Ok(uploads)
    }

    /// Makes a finished file a part of an upload, in place of an earlier one of the same number.
    pub(super) fn publish_part(&self, temporary: &Temporary, bucket: &str, id: &str, number: i32) -> S3Result<()> {
        let path = self.upload_path(bucket, id)?.join(part_name(number));
        match fs::rename(&temporary.path, &path) {
            Err(error) if is_missing(&error) => Err(s3_error!(NoSuchUpload)),
            renamed => renamed.and_then(|()| sync_parent(&path)).map_err(failed),
        }
    }

    /// The parts that an upload has, ascending by number.
    pub(super) fn parts(&self, bucket: &str, id: &str) -> S3Result<Vec<(i32, ObjectInfo)>> {
        let directory = self.upload_path(bucket, id)?;
        let mut parts = Vec::new();
        for name in names_in(&directory).map_err(failed)? {
            if let Some(number) = name.strip_prefix("part-").and_then(|number| number.parse().ok()) {
                let mut file = File::open(directory.join(&name)).map_err(failed)?;
                parts.push((number, read_info(&mut file).map_err(failed)?));
            }
        }
        parts.sort_by_key(|(number, _)| *number);
        Ok(parts)
    }

    /// Joins the parts, given by number and entity tag, into the object, and ends the upload.
    pub(super) fn complete_upload(
        &self,
        bucket: &str,
        upload: &Upload,
        wanted: &[(i32, String)],
        guard: Guard<'_>,
    ) -> S3Result<ObjectInfo> {
        let directory = self.upload_path(bucket, &upload.id)?;
        let (mut file, temporary) = self.create_temporary()?;
        let mut digests = Md5::new();
        let mut size_bytes = 0;
        for (position, (number, etag)) in wanted.iter().enumerate() {
            let mut part = match File::open(directory.join(part_name(*number))) {
                Ok(part) => part,
                Err(error) if is_missing(&error) => return Err(s3_error!(InvalidPart)),
                Err(error) => return Err(failed(error)),
            };
            let info = read_info(&mut part).map_err(failed)?;
            if info.etag != *etag {
                return Err(s3_error!(InvalidPart));
            }
            if info.size_bytes < LEAST_PART_BYTES && position + 1 < wanted.len() {
                return Err(s3_error!(EntityTooSmall));
            }
            digests.update(&unhex(&info.etag));
            size_bytes += io::copy(&mut part.take(info.size_bytes), &mut file).map_err(failed)?;
        }
        let info = ObjectInfo {
            etag: format!("{}-{}", hex(&digests.finalize()), wanted.len()),
            size_bytes,
            modified_milliseconds: now_milliseconds(),
            headers: upload.headers.clone(),
        };
        finish(&mut file, &info).map_err(failed)?;
        // Under the same lock as an abort: whichever comes first wins.
        let ended = self.temporary.join(&upload.id);
        self.publish(&temporary, bucket, &upload.key, &|found| {
            guard(found)?;
            if directory.is_dir() { Ok(()) } else { Err(s3_error!(NoSuchUpload)) }
        })?;
        // The object is there. What is left of the upload, after a crash or a failure here, can still be aborted.
        if let Err(error) = end(&directory, &ended) {
            tracing::warn!(error = &error as &dyn std::error::Error, "the parts of a finished upload stay for now");
        }
        Ok(info)
    }

    pub(super) fn abort_upload(&self, bucket: &str, id: &str) -> S3Result<()> {
        let directory = self.upload_path(bucket, id)?;
        let _changing = self.changing();
        end(&directory, &self.temporary.join(id))
    }

    fn read_upload(&self, bucket: &str, id: &str) -> S3Result<Option<Upload>> {
        let Ok(directory) = self.upload_path(bucket, id) else { return Ok(None) };
        match fs::read(directory.join(DESCRIPTION_FILE)) {
            Ok(json) => {
                let upload: Upload = serde_json::from_slice(&json).map_err(io::Error::from).map_err(failed)?;
                Ok(Some(Upload { id: id.to_owned(), ..upload }))
            }
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn object_path(&self, bucket: &str, key: &str) -> S3Result<PathBuf> {
        require_key(key)?;
        Ok(self.buckets.join(bucket).join(path_of(key)))
    }

    /// The name comes from a client, and must not lead anywhere else.
    fn upload_path(&self, bucket: &str, id: &str) -> S3Result<PathBuf> {
        let is_ours = id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_ours { Ok(self.multipart.join(bucket).join(id)) } else { Err(s3_error!(NoSuchUpload)) }
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        // What it protects is on disk, where a panic cannot leave it half done.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn require_key(key: &str) -> S3Result<()> {
    if key.len() > MOST_KEY_BYTES { Err(s3_error!(KeyTooLongError)) } else { Ok(()) }
}

fn part_name(number: i32) -> String {
    format!("part-{number:05}")
}

/// The upload disappears at once, and its files a moment later.
fn end(directory: &Path, ended: &Path) -> S3Result<()> {
    match fs::rename(directory, ended) {
        Err(error) if is_missing(&error) => Err(s3_error!(NoSuchUpload)),
        Err(error) => Err(failed(error)),
        Ok(()) => sync_parent(directory).and_then(|()| fs::remove_dir_all(ended)).map_err(failed),
    }
}

fn collect_keys(root: &Path, below: &Path, found: &mut dyn FnMut(String)) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let place = below.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() && entry.file_name().to_str().is_some_and(holds_more) {
            collect_keys(root, &place, found)?;
        } else if kind.is_file()
            && let Some(key) = key_of(&place)
        {
            found(key);
        }
    }
    Ok(())
}

/// Empty when the directory does not exist.
fn names_in(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if is_missing(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    entries.filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose()).collect()
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync_directory)
}

/// Makes a new or removed name durable. Only Unix can open a directory for it.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect()
}
