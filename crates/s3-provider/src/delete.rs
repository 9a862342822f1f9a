use object_store_storage::{ObjectKey, StorageError, StorageResult};
use reqwest::Method;

use crate::bucket::sure_of_absence;
use crate::client::Client;
use crate::error::{Failure, Operation};
use crate::put::SMALL_ANSWER_BYTES;
use crate::retry::{Repeat, attempts};
use crate::target::Resource;

const DELETE: Operation = Operation::write("delete object");

/// Removes an object. Its absence is a success, the bucket's is not.
pub(crate) async fn delete(client: &Client, key: &ObjectKey) -> StorageResult<()> {
    attempts(&client.patience, Repeat::Idempotent, DELETE, Some(key), || async move {
        let failure = match client.send(client.request(Method::DELETE, Resource::Object(key))).await {
            Ok(response) => return client.read(response, SMALL_ANSWER_BYTES).await.map(drop),
            Err(failure) => failure,
        };
        match sure_of_absence(client, failure, key).await {
            Failure::Storage(StorageError::NotFound { .. }) => Ok(()),
            Failure::Refused(refusal) if refusal.code.as_deref() == Some("NoSuchKey") => Ok(()),
            failure => Err(failure),
        }
    })
    .await
}
