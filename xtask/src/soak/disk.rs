//! What the embedded server really holds, by the files in its directory.
//!
//! Keys of this module have no characters that the server writes otherwise, but for `/`, which it writes `,`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The bucket of the embedded defaults.
const BUCKET: &str = "object-store";

/// What lies in storage, by its keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) objects: Vec<String>,
    /// The keys of multipart uploads that are open.
    pub(crate) uploads: Vec<String>,
}

/// The part of `upload.json` that matters here.
#[derive(Deserialize)]
struct Upload {
    key: String,
}

/// All objects and open multipart uploads in a store's directory.
pub(crate) fn stored(directory: &Path) -> io::Result<Stored> {
    let mut stored = Stored::default();
    for name in names(&buckets(directory))? {
        stored.objects.push(name.replace(',', "/"));
    }
    let uploads = directory.join("s3/multipart").join(BUCKET);
    for name in names(&uploads)? {
        match fs::read(uploads.join(&name).join("upload.json")) {
            Ok(json) => stored.uploads.push(serde_json::from_slice::<Upload>(&json)?.key),
            // It has just ended.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(stored)
}

/// How many bytes of uploads are on their way: what is being written, and the parts of open multipart uploads.
pub(crate) fn bytes_under_way(directory: &Path) -> io::Result<u64> {
    Ok(bytes_below(&directory.join("s3/tmp"))? + bytes_below(&directory.join("s3/multipart"))?)
}

/// The file of an object.
pub(crate) fn file_of(directory: &Path, key: &str) -> PathBuf {
    buckets(directory).join(key.replace('/', ","))
}

fn buckets(directory: &Path) -> PathBuf {
    directory.join("s3/buckets").join(BUCKET)
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Files may go while they are counted.
fn bytes_below(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for name in names(directory)? {
        let path = directory.join(name);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => bytes += bytes_below(&path)?,
            Ok(metadata) => bytes += metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}
