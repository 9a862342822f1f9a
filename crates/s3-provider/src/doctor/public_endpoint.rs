//! Whether what clients are given leads anywhere.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store_storage::{Body, Check, ObjectKey, PresignGet, PutOptions, StorageError, StorageResult};
use reqwest::Method;
use reqwest::header::HeaderMap;

use super::failed;
use crate::client::{Answer, Client};
use crate::delete::delete;
use crate::error::{Failure, Operation, translate};
use crate::presign::Presigner;
use crate::put::put;

const NAME: &str = "public_endpoint";

pub(super) async fn look(client: &Arc<Client>, presigner: &Presigner) -> Check {
    let Some(public) = client.config.public_endpoint.clone() else {
        return Check::ok(NAME, "signed URLs name the endpoint itself");
    };
    let answer = match ask(client, presigner).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(failure)) => {
            let error = translate(failure, Operation::read("GET"), None);
            return Check::error(
                NAME,
                format!("signed URLs name {public}, where a GET from here finds no server: {error}"),
                "Check OBJECT_STORE_S3_PUBLIC_ENDPOINT; if only clients can reach it, ask from where they are",
            );
        }
        Err(error) => return failed(NAME, &error),
    };
    if answer.is_success() {
        return Check::ok(NAME, format!("a signed GET by {public} is answered {}", answer.status));
    }
    let advice = match answer.code.as_deref() {
        Some("SignatureDoesNotMatch" | "AccessDenied") => {
            "Signed URLs hold the host that clients see: a proxy must pass that Host on to the server as it is"
        }
        Some("NoSuchBucket" | "NoSuchKey") => "What answers there is S3, but not with this bucket's objects",
        _ => "Check OBJECT_STORE_S3_PUBLIC_ENDPOINT: what answers there is not this S3 server",
    };
    Check::error(NAME, format!("a signed GET by {public} is answered {}", answer.describe()), advice)
}

/// Reads an object that was written for this, as a client would.
async fn ask(client: &Arc<Client>, presigner: &Presigner) -> StorageResult<Result<Answer, Failure>> {
    let key = ObjectKey::parse("probe/public-endpoint")
        .map_err(|error| StorageError::InvalidRequest { reason: error.to_string() })?;
    let options = PutOptions { content_type: "text/plain".to_owned(), content_md5: None };
    put(client, &key, Body::Bytes(Bytes::from_static(b"probe")), &options).await?;
    let get = PresignGet { expires_in: Duration::from_mins(1), ..PresignGet::default() };
    let answer = match presigner.get(client, &key, &get).await {
        Ok(signed) => Ok(client.send_as_it_is(Method::GET, &signed.url, HeaderMap::new(), Bytes::new()).await),
        Err(error) => Err(error),
    };
    delete(client, &key).await?;
    answer
}
