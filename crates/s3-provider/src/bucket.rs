use std::time::{Duration, SystemTime, UNIX_EPOCH};

use object_store_storage::{BucketInfo, ClockSkew, ObjectKey, StorageError, StorageResult};
use reqwest::Method;
use reqwest::header::HeaderMap;

use crate::client::{Client, Payload, Request, header};
use crate::error::{Failure, Operation};
use crate::put::SMALL_ANSWER_BYTES;
use crate::retry::{Repeat, attempts};
use crate::target::Resource;

const HEAD: Operation = Operation::read("head bucket");
const INFO: Operation = Operation::read("list bucket");
const CREATE: Operation = Operation::write("create bucket");

/// Asks for one key: unlike a `HEAD`, a listing is answered with a code when it is refused.
pub(crate) async fn info(client: &Client) -> StorageResult<BucketInfo> {
    let prefix = client.target.full_key("");
    let prefix = prefix.as_str();
    let clock_skew = attempts(&client.patience, Repeat::Idempotent, INFO, None, || async move {
        let query = [("list-type", "2"), ("max-keys", "1"), ("prefix", prefix)];
        let request = Request { query: &query, ..client.request(Method::GET, Resource::Contents) };
        let response = client.send(request).await?;
        let skew = clock_skew(response.headers(), SystemTime::now());
        let answer = client.read(response, SMALL_ANSWER_BYTES).await?;
        match crate::xml::Element::parse(&answer) {
            Some(root) if root.name == "ListBucketResult" => Ok(skew),
            _ => Err(Failure::Garbled("the answer is not a listing")),
        }
    })
    .await?;
    Ok(BucketInfo {
        bucket: client.config.bucket.clone(),
        prefix: client.config.prefix.clone(),
        endpoint: client.region.endpoint(),
        region: client.config.region.clone(),
        clock_skew,
    })
}

/// Creates the bucket. Asked first, because creating one's own bucket again is a success on some servers.
pub(crate) async fn ensure(client: &Client) -> StorageResult<bool> {
    if exists(client).await? {
        return Ok(false);
    }
    let created = attempts(&client.patience, Repeat::Idempotent, CREATE, None, || async move {
        let payload = client.config.location_constraint().map_or(Payload::None, |location| {
            Payload::Document(format!(
                "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                 <LocationConstraint>{location}</LocationConstraint></CreateBucketConfiguration>"
            ))
        });
        let request = Request { payload, ..client.request(Method::PUT, Resource::Bucket) };
        match client.send(request).await {
            Ok(response) => client.read(response, SMALL_ANSWER_BYTES).await.map(|_| true),
            Err(Failure::Refused(refusal)) if refusal.code.as_deref() == Some("BucketAlreadyOwnedByYou") => Ok(false),
            Err(failure) => Err(failure),
        }
    })
    .await;
    match created {
        // Servers with one owner say this to whoever was second; on others the bucket is somebody else's.
        Err(StorageError::AccessDenied { code }) if code == "BucketAlreadyExists" => match exists(client).await {
            Ok(true) => Ok(false),
            _ => Err(StorageError::AccessDenied { code }),
        },
        created => created,
    }
}

/// A 404 that does not say what is missing is only taken for the key's absence when the bucket is there.
pub(crate) async fn sure_of_absence(client: &Client, failure: Failure, key: &ObjectKey) -> Failure {
    match &failure {
        Failure::Refused(refusal) if refusal.status == 404 && refusal.code.is_none() => {}
        _ => return failure,
    }
    match exists(client).await {
        // Who may read an object need not be allowed to ask for the bucket.
        Ok(true) | Err(StorageError::AccessDenied { .. }) => StorageError::NotFound { key: key.clone() }.into(),
        Ok(false) => StorageError::BucketMissing.into(),
        Err(error) => error.into(),
    }
}

async fn exists(client: &Client) -> StorageResult<bool> {
    attempts(&client.patience, Repeat::Idempotent, HEAD, None, || async move {
        match client.send(client.request(Method::HEAD, Resource::Contents)).await {
            Ok(_) => Ok(true),
            Err(Failure::Refused(refusal)) if refusal.status == 404 => Ok(false),
            Err(failure) => Err(failure),
        }
    })
    .await
}

pub(crate) fn clock_skew(headers: &HeaderMap, now: SystemTime) -> Option<ClockSkew> {
    let theirs = httpdate::parse_http_date(header(headers, "date")?).ok()?;
    // `Date` has whole seconds, so that ours must be cut as well.
    let ours = UNIX_EPOCH + Duration::from_secs(now.duration_since(UNIX_EPOCH).ok()?.as_secs());
    Some(match theirs.duration_since(ours) {
        Ok(ahead) => ClockSkew::Ahead(ahead),
        Err(behind) => ClockSkew::Behind(behind.duration()),
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use object_store_storage::ClockSkew;
    use reqwest::header::HeaderMap;

    use super::clock_skew;

    #[test]
    fn skew_is_the_distance_of_whole_seconds() {
        let mut headers = HeaderMap::new();
        let now = UNIX_EPOCH + Duration::from_millis(1_257_894_000_900);
        assert_eq!(clock_skew(&headers, now), None);
        headers.insert("date", "Tue, 10 Nov 2009 23:00:00 GMT".parse().unwrap());
        assert_eq!(clock_skew(&headers, now), Some(ClockSkew::Ahead(Duration::ZERO)));
        let later = now + Duration::from_secs(90);
        assert_eq!(clock_skew(&headers, later), Some(ClockSkew::Behind(Duration::from_secs(90))));
        headers.insert("date", "now".parse().unwrap());
        assert_eq!(clock_skew(&headers, now), None);
    }
}
