//! This module's adapter.

use futures::StreamExt;
use object_store_s3_provider::{S3Config, S3Credentials, S3Provider};
use object_store_storage::{Body, ObjectKey, ObjectStorage, PutOptions};
use tokio_util::io::ReaderStream;
use upload_bench::{Measured, Task};

#[tokio::main]
async fn main() {
    let task = Task::from_env();
    let credentials = S3Credentials::Static {
        access_key_id: task.access_key_id,
        secret_access_key: task.secret_access_key,
        session_token: None,
    };
    let config = S3Config::new(Some(task.endpoint), "us-east-1", task.bucket, credentials);
    let storage = S3Provider::connect(config).await.expect("a valid configuration");
    storage.bucket_info().await.expect("a bucket");
    let measured = Measured::begin();
    let file = tokio::fs::File::open(&task.file).await.expect("a file");
    let length = file.metadata().await.expect("a file").len();
    let stream = ReaderStream::with_capacity(file, 128 << 10).boxed();
    let options = PutOptions { content_type: "audio/wav".to_owned(), content_md5: None };
    let key = ObjectKey::parse(&task.key).expect("a key");
    let body = Body::Stream { stream, length: Some(length) };
    storage.put(&key, body, &options).await.expect("an upload");
    measured.end();
}
