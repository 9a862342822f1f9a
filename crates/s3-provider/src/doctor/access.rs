//! Whether the credentials, the region and the bucket are those of the server.

use object_store_storage::Check;
use reqwest::Method;
use tokio::time::timeout;

use super::{TIME, failed, late};
use crate::client::{Client, Request};
use crate::error::{Failure, Operation, Refusal, translate};
use crate::put::SMALL_ANSWER_BYTES;
use crate::retry::{Repeat, attempts};
use crate::target::Resource;
use crate::xml::Element;

const LIST: Operation = Operation::read("list bucket");

/// What a signed listing was answered.
enum Answer {
    Listing,
    /// An answer that is none of S3's.
    Other,
    Refused(Refusal),
}

pub(super) async fn look(client: &Client) -> Vec<Check> {
    let answer = match timeout(TIME, list(client)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return vec![failed("credentials", &error)],
        Err(_) => return vec![late("credentials")],
    };
    let (bucket, region) = (&client.config.bucket, &client.config.region);
    match answer {
        Answer::Listing => vec![
            Check::ok("credentials", "accepted"),
            Check::ok("region", format!("signed for {region}")),
            Check::ok("bucket", format!("{bucket} can be listed")),
        ],
        Answer::Other => vec![Check::error(
            "endpoint",
            "what answers is not S3",
            "Check OBJECT_STORE_S3_ENDPOINT: some servers have S3 on a port or below a path of its own",
        )],
        Answer::Refused(refusal) => vec![refused(client, &refusal)],
    }
}

/// Asked for like every listing; a refusal is an answer.
async fn list(client: &Client) -> object_store_storage::StorageResult<Answer> {
    let prefix = client.target.full_key("");
    let prefix = prefix.as_str();
    attempts(&client.patience, Repeat::Idempotent, LIST, None, || async move {
        let query = [("list-type", "2"), ("max-keys", "1"), ("prefix", prefix)];
        let request = Request { query: &query, ..client.request(Method::GET, Resource::Contents) };
        let response = match client.send(request).await {
            Ok(response) => response,
            Err(Failure::Refused(refusal)) if refusal.status < 500 && refusal.status != 429 => {
                return Ok(Answer::Refused(refusal));
            }
            Err(failure) => return Err(failure),
        };
        let answer = client.read(response, SMALL_ANSWER_BYTES).await?;
        let is_listing = Element::parse(&answer).is_some_and(|root| root.name == "ListBucketResult");
        Ok(if is_listing { Answer::Listing } else { Answer::Other })
    })
    .await
}

fn refused(client: &Client, refusal: &Refusal) -> Check {
    let (bucket, region) = (&client.config.bucket, &client.config.region);
    let found = refusal.describe();
    let credentials = |advice: &str| Check::error("credentials", found.clone(), advice);
    match (refusal.code.as_deref(), refusal.status) {
        (Some("InvalidAccessKeyId" | "NotSignedUp" | "AccountProblem"), _) => {
            credentials("The server does not know this access key id: check it, and that it is one of this server's")
        }
        (Some("SignatureDoesNotMatch"), _) => credentials(
            "The secret access key is not the one of the access key id (some servers say this of an unknown id, too); \
             or a proxy in between changes the host name or the path",
        ),
        (Some("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" | "InvalidSecurity"), _) => {
            credentials("The session token has expired or is not of these keys: get new credentials")
        }
        (Some("RequestTimeTooSkewed"), _) => Check::error(
            "clock",
            found.clone(),
            "The server's clock and ours are too far apart for signatures: set this machine's clock by NTP",
        ),
        (Some("NoSuchBucket"), _) => Check::error(
            "bucket",
            format!("there is no bucket {bucket}"),
            "Check OBJECT_STORE_S3_BUCKET, or make the bucket: `cargo xtask migrate` does",
        ),
        (Some("AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" | "PermanentRedirect"), _)
        | (_, 300..=399) => Check::error(
            "region",
            format!("signed for {region}: {found}"),
            "Set OBJECT_STORE_S3_REGION to the region of the bucket, and the endpoint to that of the region",
        ),
        (_, 401 | 403) => Check::error(
            "bucket",
            format!("{bucket} may not be listed: {found}"),
            "Allow these credentials s3:ListBucket, s3:ListBucketMultipartUploads and s3:GetBucketLocation on the bucket, \
             and s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and s3:ListMultipartUploadParts on \
             what is in it",
        ),
        (None, 404 | 405) => Check::error(
            "endpoint",
            format!("what answers is not S3: {found}"),
            "Check OBJECT_STORE_S3_ENDPOINT: some servers have S3 on a port or below a path of its own",
        ),
        _ => failed("bucket", &translate(Failure::Refused(refusal.clone()), LIST, None)),
    }
}
