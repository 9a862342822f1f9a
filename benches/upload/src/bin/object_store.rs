//! The crate `object_store`, as its documentation streams large files.

use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{ObjectStoreExt, WriteMultipart};
use tokio::io::AsyncReadExt;
use upload_bench::{Measured, Task};

/// Its own default for parts.
const PART_BYTES: usize = 5 << 20;
/// How many parts are on their way, as its `BufWriter` has it.
const AT_ONCE: usize = 8;

#[tokio::main]
async fn main() {
    let task = Task::from_env();
    let storage = AmazonS3Builder::new()
        .with_endpoint(task.endpoint)
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_bucket_name(task.bucket)
        .with_access_key_id(task.access_key_id)
        .with_secret_access_key(task.secret_access_key)
        // As ours: hashing the body is the server's and the caller's affair.
        .with_unsigned_payload(true)
        .build()
        .expect("a valid configuration");
    let _connected = storage.head(&Path::from("no-such-key")).await;
    let measured = Measured::begin();
    let mut file = tokio::fs::File::open(&task.file).await.expect("a file");
    let upload = storage.put_multipart(&Path::from(task.key)).await.expect("an upload");
    let mut writer = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
    let mut buffer = vec![0; 128 << 10];
    loop {
        let count = file.read(&mut buffer).await.expect("a file that can be read");
        if count == 0 {
            break;
        }
        writer.wait_for_capacity(AT_ONCE).await.expect("parts that are sent");
        writer.write(&buffer[..count]);
    }
    writer.finish().await.expect("a completion");
    measured.end();
}
