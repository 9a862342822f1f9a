//! One object is one file: its bytes, then what is known about them, then a mark. So one rename makes the whole appear.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Ends every object's file, after the length of the description in four bytes.
const MARK: [u8; 8] = *b"OBJSTOR1";
const TAIL_BYTES: u64 = 12;

/// S3 takes 2 KiB of user metadata, and headers are bounded by the HTTP server.
const MOST_DESCRIPTION_BYTES: u64 = 1024 * 1024;

/// What is known about an object.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct ObjectInfo {
    pub(super) etag: String,
    pub(super) size_bytes: u64,
    /// Since 1970.
    pub(super) modified_milliseconds: u64,
    #[serde(flatten)]
    pub(super) headers: StoredHeaders,
}

/// What a client gave along with the bytes, to get it back.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct StoredHeaders {
    pub(super) content_type: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) metadata: Option<HashMap<String, String>>,
}

impl ObjectInfo {
    pub(super) fn modified(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.modified_milliseconds)
    }
}

pub(super) fn now_milliseconds() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

/// What follows the bytes.
pub(super) fn trailer(info: &ObjectInfo) -> io::Result<Vec<u8>> {
    let mut trailer = serde_json::to_vec(info)?;
    let length = u32::try_from(trailer.len()).map_err(|_| io::Error::other("too much metadata"))?;
    trailer.extend_from_slice(&length.to_be_bytes());
    trailer.extend_from_slice(&MARK);
    Ok(trailer)
}

/// Writes what follows the bytes, and makes all of it durable.
pub(super) fn finish(file: &mut File, info: &ObjectInfo) -> io::Result<()> {
    file.write_all(&trailer(info)?)?;
    file.sync_all()
}

/// Reads what is known about an object, and leaves the file at the first of its bytes.
pub(super) fn read_info(file: &mut File) -> io::Result<ObjectInfo> {
    let not_ours = || io::Error::new(io::ErrorKind::InvalidData, "not the file of an object");
    let file_bytes = file.metadata()?.len();
    let before_tail = file_bytes.checked_sub(TAIL_BYTES).ok_or_else(not_ours)?;
    file.seek(SeekFrom::Start(before_tail))?;
    let (mut length, mut mark) = ([0; 4], [0; 8]);
    file.read_exact(&mut length)?;
    file.read_exact(&mut mark)?;
    let description_bytes = u64::from(u32::from_be_bytes(length));
    if mark != MARK || description_bytes > MOST_DESCRIPTION_BYTES {
        return Err(not_ours());
    }
    let size_bytes = before_tail.checked_sub(description_bytes).ok_or_else(not_ours)?;
    file.seek(SeekFrom::Start(size_bytes))?;
    let mut description = Vec::new();
    file.take(description_bytes).read_to_end(&mut description)?;
    let info: ObjectInfo = serde_json::from_slice(&description).map_err(|_| not_ours())?;
    if info.size_bytes != size_bytes {
        return Err(not_ours());
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(info)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::{ObjectInfo, finish, read_info};

    #[test]
    fn an_object_comes_back() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"bytes").unwrap();
        let info = ObjectInfo { etag: "e".into(), size_bytes: 5, modified_milliseconds: 7, ..ObjectInfo::default() };
        finish(&mut file, &info).unwrap();

        let read = read_info(&mut file).unwrap();
        assert_eq!((read.etag.as_str(), read.size_bytes, read.modified_milliseconds), ("e", 5, 7));
        let mut bytes = String::new();
        file.take(read.size_bytes).read_to_string(&mut bytes).unwrap();
        assert_eq!(bytes, "bytes");
    }

    #[test]
    fn any_other_file_is_refused() {
        let whole = |length: u32, mark: &[u8]| [b"{}", &length.to_be_bytes()[..], mark].concat();
        let files = [
            Vec::new(),
            b"short".to_vec(),
            b"a longer file of somebody else".to_vec(),
            whole(2, b"OBJSTOR1"),
            whole(3, b"OBJSTOR1"),
            whole(u32::MAX, b"OBJSTOR1"),
            whole(2, b"OBJSTOR2"),
        ];
        for bytes in files {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            assert!(read_info(&mut file).is_err(), "{bytes:?}");
        }
    }
}
